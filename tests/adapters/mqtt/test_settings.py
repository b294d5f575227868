from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest

import wirekit
from wirekit.adapters.mqtt import Authentication, MqttCodeError, MqttError, Will
from wirekit.adapters.mqtt._connection import Connection
from wirekit.adapters.mqtt._settings import Settings, open_connection
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Properties,
    Publish,
    ReasonCode,
)
from wirekit.sockets import Socket, memory_pair

from ._peer import PATIENCE, Server

CONTINUE = ReasonCode.CONTINUE_AUTHENTICATION


class Opening:
    """A connection that is being opened, and the server's end of it."""

    def __init__(self, *, client_id: str = "tester", clean_start: bool = True, **settings: Any):
        self.socket, theirs = memory_pair()
        self.server = Server(theirs)
        given: dict[str, Any] = {"timeout": PATIENCE, **settings}
        self.settings = Settings(**given)
        self._opening = asyncio.create_task(
            open_connection(
                self.socket, self.settings, client_id=client_id, clean_start=clean_start
            )
        )

    def cancel(self) -> None:
        self._opening.cancel()

    async def result(self) -> tuple[Connection, ConnAck]:
        return await self._opening


def method(name: str, data: bytes | None = None) -> Properties:
    properties: Properties = {"authentication_method": name}
    if data is not None:
        properties["authentication_data"] = data
    return properties


async def test_everything_that_is_said_in_5_0() -> None:
    will = Will("gone", b"tester", 1)
    opening = Opening(
        username="user",
        password=b"secret",
        keep_alive=7,
        session_expiry_interval=8,
        will=will,
        receive_maximum=9,
        maximum_packet_size=1000,
        topic_alias_maximum=11,
        properties={"user_property": [("a", "b")]},
        clean_start=False,
    )
    connect = await opening.server.accept({"server_keep_alive": 3})
    assert connect == Connect(
        "tester",
        False,
        7,
        "user",
        b"secret",
        will,
        {
            "request_response_information": 1,
            "session_expiry_interval": 8,
            "receive_maximum": 9,
            "maximum_packet_size": 1000,
            "topic_alias_maximum": 11,
            "user_property": [("a", "b")],
        },
        5,
    )
    connection, answer = await opening.result()
    assert answer.properties == {"server_keep_alive": 3}
    assert connection.error is None
    opening.socket.abort()


async def test_everything_that_is_said_in_3_1_1() -> None:
    opening = Opening(version=4, username="user", password=b"secret", keep_alive=7)
    connect = await opening.server.accept()
    assert connect == Connect("tester", True, 7, "user", b"secret", version=4)
    await opening.result()
    opening.socket.abort()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"version": 3}, "version must be 5, or 4"),
        ({"keep_alive": 65536}, "keep_alive"),
        ({"receive_maximum": 0}, "receive_maximum"),
        ({"maximum_packet_size": 1}, "maximum_packet_size"),
        ({"topic_alias_maximum": -1}, "topic_alias_maximum"),
        ({"session_expiry_interval": 2**32}, "session_expiry_interval"),
        ({"max_buffered": 0}, "max_buffered"),
        ({"version": 4, "session_expiry_interval": 1}, "3.1.1 has no session_expiry_interval"),
        ({"version": 4, "properties": {"receive_maximum": 1}}, "3.1.1 has no properties"),
        ({"version": 4, "authentication": Authentication("m", lambda: iter(()))}, "3.1.1"),  # type: ignore[arg-type, return-value]
    ],
)
def test_wrong_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(wirekit.AddressError, match=text):
        Settings(**settings)


def test_no_password_is_shown() -> None:
    assert "secret" not in repr(Settings(password=b"secret"))


# Refusals.


async def refused(opening: Opening, answer: ConnAck) -> MqttCodeError:
    await opening.server.receive(Connect)
    await opening.server.send(answer)
    with pytest.raises(MqttCodeError) as caught:
        await opening.result()
    assert await opening.server.end() == b""
    return caught.value


async def test_a_server_that_refuses() -> None:
    properties: Properties = {"reason_string": "no", "server_reference": "other"}
    answer = ConnAck(False, ReasonCode.USE_ANOTHER_SERVER, properties)
    error = await refused(Opening(), answer)
    assert str(error) == "memory refused the connection: use another server (0x9C), 'no'"
    assert error.server_reference == "other"


async def test_a_server_that_refuses_in_3_1_1() -> None:
    error = await refused(Opening(version=4), ConnAck(False, ConnectReturnCode.NOT_AUTHORIZED))
    assert error.rc is ConnectReturnCode.NOT_AUTHORIZED


async def test_a_server_that_repeats_the_password() -> None:
    properties: Properties = {"reason_string": "user: hunter2 is wrong"}
    answer = ConnAck(False, ReasonCode.BAD_USER_NAME_OR_PASSWORD, properties)
    error = await refused(Opening(username="user", password=b"hunter2"), answer)
    assert error.reason_string == "user: *** is wrong"
    assert "hunter2" not in repr(error)


async def test_a_server_that_says_something_else_first() -> None:
    opening = Opening()
    await opening.server.receive(Connect)
    await opening.server.send_bytes(b"\x30\x04\x00\x01a\x00")
    with pytest.raises(wirekit.RemoteProtocolError, match="before CONNACK") as caught:
        await opening.result()
    assert isinstance(caught.value, MqttError)


async def test_settings_that_the_codec_refuses() -> None:
    opening = Opening(version=4, password=b"secret")
    with pytest.raises(wirekit.LocalProtocolError, match="without a user name"):
        await opening.result()


@pytest.mark.parametrize("version", [5, 4])
async def test_a_server_that_says_nothing(version: int) -> None:
    opening = Opening(timeout=0.01, version=version)
    with pytest.raises(wirekit.ConnectTimeout, match=r"did not open within 0\.01 s") as caught:
        await opening.result()
    assert isinstance(caught.value, MqttError)
    # Such as amqtt, which takes the properties of 5.0 for a name that goes on.
    assert ("version=4" in str(caught.value)) == (version == 5)


@pytest.mark.parametrize("cut", [0, 1, 3])
async def test_a_server_that_goes_away(cut: int) -> None:
    opening = Opening()
    await opening.server.receive(Connect)
    await opening.server.send_bytes(b"\x20\x03\x00\x00\x00"[:cut])
    opening.server.socket.close()
    with pytest.raises(wirekit.ConnectError, match="came about") as caught:
        await opening.result()
    assert isinstance(caught.value, MqttError)


async def test_a_socket_that_never_opens() -> None:
    async def fail(protocol: asyncio.BaseProtocol) -> None:
        raise wirekit.ConnectRefused("nobody there")

    socket = Socket(fail, remote_address="nowhere")
    with pytest.raises(wirekit.ConnectRefused) as caught:
        await open_connection(socket, Settings(), client_id="", clean_start=True)
    assert isinstance(caught.value, MqttError)


async def test_cancelling_closes_the_socket() -> None:
    opening = Opening()
    await opening.server.receive(Connect)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening.result()
    assert await opening.server.end() == b""


# Enhanced authentication.


def challenge() -> Generator[bytes | None, bytes | None, None]:
    first = yield b"hello"
    assert first == b"who?"
    second = yield b"me"
    assert second == b"welcome"


async def challenge_async() -> AsyncGenerator[bytes | None, bytes | None]:
    first = yield b"hello"
    await asyncio.sleep(0)
    assert first == b"who?"
    second = yield b"me"
    assert second == b"welcome"


@pytest.mark.parametrize("exchange", [challenge, challenge_async])
async def test_enhanced_authentication(exchange: Any) -> None:
    opening = Opening(authentication=Authentication("m", exchange))
    connect = await opening.server.receive(Connect)
    assert connect.properties.get("authentication_method") == "m"
    assert connect.properties.get("authentication_data") == b"hello"
    await opening.server.send(Auth(CONTINUE, method("m", b"who?")))
    assert await opening.server.receive(Auth) == Auth(CONTINUE, method("m", b"me"))
    await opening.server.send(ConnAck(properties=method("m", b"welcome")))
    connection, _ = await opening.result()
    assert connection.error is None
    opening.socket.abort()


async def test_what_the_method_raises_refuses_the_server() -> None:
    def suspicious() -> Generator[bytes | None, bytes | None, None]:
        yield None
        raise PermissionError("not the server that I know")

    opening = Opening(authentication=Authentication("m", suspicious))
    connect = await opening.server.receive(Connect)
    assert "authentication_data" not in connect.properties
    await opening.server.send(ConnAck(properties=method("m")))
    with pytest.raises(PermissionError):
        await opening.result()


async def test_packets_behind_connack_are_kept() -> None:
    opening = Opening()
    await opening.server.receive(Connect)
    await opening.server.send(ConnAck(), Publish("a"))
    connection, _ = await opening.result()
    assert await connection.next_packet() == Publish("a")
    opening.socket.abort()


@pytest.mark.parametrize(
    "name",
    ["session_expiry_interval", "receive_maximum", "maximum_packet_size", "topic_alias_maximum"],
)
def test_properties_that_have_an_argument(name: str) -> None:
    given: Any = {name: 50}
    with pytest.raises(wirekit.AddressError, match=name):
        Settings(properties=given)


@pytest.mark.parametrize("value", [None, 1.5, "5"])
def test_options_that_are_no_whole_numbers(value: Any) -> None:
    with pytest.raises(wirekit.AddressError, match="keep_alive must be a whole number"):
        Settings(keep_alive=value)
