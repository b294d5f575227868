from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tests.servers import CertificateAuthority, RunningServer
from wirekit import AddressError, BlockedError
from wirekit.adapters.mqtt._url import client_settings, parse_url
from wirekit.sockets import DirectConnector, Policy, Socket, TCPAddress, UnixAddress, memory_pair
from wirekit.sockets.websocket import WebSocketConnector

NO_OPTIONS: Any = {"connector": None, "policy": None, "connect_timeout": 5.0, "tls": None}


@pytest.mark.parametrize(
    ("url", "address", "tls", "websocket_path", "settings"),
    [
        ("mqtt://", TCPAddress("localhost", 1883), False, None, {}),
        ("mqtt://broker.example/", TCPAddress("broker.example", 1883), False, None, {}),
        ("mqtts://broker.example", TCPAddress("broker.example", 8883), True, None, {}),
        ("MQTTS://broker.example:99", TCPAddress("broker.example", 99), True, None, {}),
        ("mqtt://[::1]:7000", TCPAddress("::1", 7000), False, None, {}),
        ("ws://broker.example", TCPAddress("broker.example", 80), False, "/mqtt", {}),
        ("wss://broker.example", TCPAddress("broker.example", 443), True, "/mqtt", {}),
        ("ws://h:8080/", TCPAddress("h", 8080), False, "/", {}),
        (
            "wss://app:word@h:8084/a/b?client_id=theirs",
            TCPAddress("h", 8084),
            True,
            "/a/b?client_id=theirs",
            {"username": "app", "password": "word"},
        ),
        (
            "mqtt://app:p%40ss%2Fword@h",
            TCPAddress("h", 1883),
            False,
            None,
            {"username": "app", "password": "p@ss/word"},
        ),
        ("mqtt://:word@h", TCPAddress("h", 1883), False, None, {"password": "word"}),
        ("mqtt://app@h", TCPAddress("h", 1883), False, None, {"username": "app"}),
        (
            "unix://app@/run/mqtt.sock?keep_alive=9",
            UnixAddress("/run/mqtt.sock"),
            False,
            None,
            {"username": "app", "keep_alive": 9},
        ),
        (
            "mqtt://h?client_id=a%20b&version=3.1.1&clean_start=no&session_expiry_interval=60"
            "&timeout=none&reconnect_attempts=none&manual_acknowledgement=yes&overflow=error",
            TCPAddress("h", 1883),
            False,
            None,
            {
                "client_id": "a b",
                "version": 4,
                "clean_start": False,
                "session_expiry_interval": 60,
                "timeout": None,
                "reconnect_attempts": None,
                "manual_acknowledgement": True,
                "overflow": "error",
            },
        ),
        (
            "mqtt://h?version=5&timeout=1.5&receive_maximum=3",
            TCPAddress("h", 1883),
            False,
            None,
            {"version": 5, "timeout": 1.5, "receive_maximum": 3},
        ),
    ],
)
def test_urls(
    url: str, address: object, tls: bool, websocket_path: str | None, settings: dict[str, Any]
) -> None:
    parsed = parse_url(url)
    assert parsed == (address, tls, websocket_path, settings)
    assert "word" not in repr(parsed)
    assert "theirs" not in repr(parsed)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@h",
        "user:hunter2@h",
        "mqtt://user:hunter2@h:port",
        "mqtt://user:hunter2@h:0",
        "mqtt://user:hunter2@[::1",
        "mqtt://user:hunter2@h/topic",
        "mqtt://user:hunter2@h#fragment",
        "mqtt://user:hunter2@h?nonsense=1",
        "mqtt://user:hunter2@h?keep_alive=long",
        "mqtt://user:hunter2@h?clean_start=perhaps",
        "mqtt://user:hunter2@h?timeout=soon",
        "mqtt://user:hunter2@h?version=3",
        "mqtt://user:hunter2@h?session_expiry_interval=",
        "mqtt://user:pass#hunter2@h",
        "mqtt://user:12?hunter2=@h",
        "mqtt://user:pa/hunter2@h",
        "mqtt://user:12/hunter2@h",
        "ws://user:12/hunter2@h",
        "wss://user:12?hunter2@h",
        "ws://user:pass#hunter2@h",
        "ws://user:word@h/hunter2 path",
        "unix://user:hunter2@",
    ],
)
def test_bad_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        client_settings(url, **NO_OPTIONS)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


@pytest.mark.parametrize(
    ("plain", "address"),
    [
        ("h:7000", TCPAddress("h", 7000)),
        ("h", TCPAddress("h", 1883)),
        ("/run/mqtt.sock", UnixAddress("/run/mqtt.sock")),
    ],
)
def test_what_is_no_url(plain: str, address: object) -> None:
    settings = client_settings(plain, **NO_OPTIONS)
    assert settings["address"] == address
    assert isinstance(settings["connector"], DirectConnector)


def test_options_that_do_not_fit() -> None:
    tls: Any = {**NO_OPTIONS, "tls": {"server_hostname": "x"}}
    for url in ("mqtt://h", "ws://h", "h"):
        with pytest.raises(AddressError, match="mqtts://"):
            client_settings(url, **tls)
    for url in ("mqtt://h", "unix:///run/mqtt.sock"):
        with pytest.raises(AddressError, match="ws://"):
            client_settings(url, **NO_OPTIONS, headers={"X-Key": "x"})
    with pytest.raises(AddressError, match="X-Key"):
        client_settings("ws://h", **NO_OPTIONS, headers={"X-Key": "x\r\ny"})


async def test_path_and_headers_of_a_websocket() -> None:
    inner, server = memory_pair()

    async def connector(address: object) -> Socket:
        assert address == TCPAddress("broker.example", 8083)
        return inner

    options: Any = {**NO_OPTIONS, "connector": connector}
    settings = client_settings(
        "ws://broker.example:8083/a?b=c", **options, headers={"Authorization": "Bearer x"}
    )
    assert isinstance(settings["connector"], WebSocketConnector)
    opening = asyncio.create_task(settings["connector"](settings["address"]))
    request = await server.read_until(b"\r\n\r\n")
    assert request.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: broker.example:8083\r\n")
    assert b"\r\nSec-WebSocket-Protocol: mqtt\r\n" in request
    assert b"\r\nAuthorization: Bearer x\r\n" in request
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1:1", "wss://127.0.0.1:1"])
async def test_the_policy_holds(url: str) -> None:
    options: Any = {**NO_OPTIONS, "policy": Policy.public_only()}
    settings = client_settings(url, **options)
    with pytest.raises(BlockedError):
        await settings["connector"](settings["address"])


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss", "unix"])
async def test_each_scheme_leads_to_a_broker(
    scheme: str, mosquitto: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    ports = {
        "mqtt": mosquitto.port,
        "mqtts": mosquitto.tls_port,
        "ws": mosquitto.websocket_port,
        "wss": mosquitto.websocket_tls_port,
    }
    url = (
        f"unix://{mosquitto.unix_path}"
        if scheme == "unix"
        else f"{scheme}://localhost:{ports[scheme]}"
    )
    options = dict(NO_OPTIONS)
    if scheme in ("mqtts", "wss"):
        assert mosquitto.certificates is not None
        options["tls"] = {"ca_file": mosquitto.certificates.authority, "alpn": ["mqtt"]}
    settings = client_settings(url, **cast("Any", options))
    async with await settings["connector"](settings["address"]) as socket:
        await socket.write(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test")
        assert await socket.read_exactly(4) == b"\x20\x02\x00\x00"
