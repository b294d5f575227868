"""The adapter speaks on everything that carries bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest

import wirekit
from tests.interop import carriers
from tests.interop.carriers import Carrier, Way, tls_address
from tests.interop.tunnel import Tunnel
from tests.interop.waiting import PATIENCE
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.mqtt import MQTT, Messages
from wirekit.adapters.mqtt import connect as connect_url
from wirekit.sockets import DirectConnector, connect
from wirekit.sockets.websocket import WebSocketConnector

CARRIERS: dict[str, Carrier] = {**carriers.CARRIERS}
_numbers = count()


def websocket_address(server: RunningServer, *, tls: bool) -> tuple[str, int]:
    port = server.websocket_tls_port if tls else server.websocket_port
    assert port is not None
    return server.host, port


@asynccontextmanager
async def websocket(server: RunningServer, authority: CertificateAuthority) -> AsyncGenerator[Way]:
    connector = WebSocketConnector(connector=DirectConnector(), subprotocols=["mqtt"])
    yield {"connector": connector, "address": websocket_address(server, tls=False)}


@asynccontextmanager
async def websocket_over_tls(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    inner = DirectConnector(secure_transport="on", ssl_context=authority.client_context())
    connector = WebSocketConnector(connector=inner, subprotocols=["mqtt"])
    yield {"connector": connector, "address": websocket_address(server, tls=True)}


@asynccontextmanager
async def websocket_over_tls_through_memory(
    server: RunningServer, authority: CertificateAuthority
) -> AsyncGenerator[Way]:
    address = websocket_address(server, tls=True)
    tunnel = Tunnel(address, fragment=1000)
    inner = DirectConnector(
        connector=tunnel, secure_transport="on", ssl_context=authority.client_context()
    )
    yield {
        "connector": WebSocketConnector(connector=inner, subprotocols=["mqtt"]),
        "address": address,
    }
    await tunnel.ended()


for function in (websocket, websocket_over_tls, websocket_over_tls_through_memory):
    CARRIERS[function.__name__] = function


@asynccontextmanager
async def awake(server: RunningServer) -> AsyncGenerator[None]:
    """Keep Mosquitto awake: to its WebSockets it looks once a turn, and an idle one takes 0.1 s."""
    async with MQTT(connect((server.host, server.port))) as client:

        async def speak_on() -> None:
            while True:
                await client.publish("awake", qos=1)

        speaking = asyncio.create_task(speak_on())
        try:
            yield
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])


async def speak(client: MQTT, topic: str) -> None:
    """A bit of everything: every QoS, small and large, many at once, cancelled."""
    large = bytes(range(256)) * 1000
    await client.subscribe(f"{topic}/+", 2)
    for qos in range(3):
        await client.publish(f"{topic}/{qos}", large, qos)
        message = await client.messages.get(PATIENCE)
        assert (message.topic, message.qos) == (f"{topic}/{qos}", qos)
        assert message.payload == large
    gone = asyncio.create_task(client.publish(f"{topic}/gone", "x", 2))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await client.messages.get(PATIENCE)).topic == f"{topic}/gone"
    await asyncio.gather(*(client.publish(f"{topic}/many", n, n % 3) for n in range(60)))
    # Each QoS keeps its own order.
    got = [await client.messages.get(PATIENCE) for _ in range(60)]
    for qos in range(3):
        numbers = [int(message.payload) for message in got if message.qos == qos]
        assert numbers == list(range(qos, 60, 3))
    async with client.subscription(f"{topic}/own/#", 1) as own:
        assert isinstance(own, Messages)
        await client.publish(f"{topic}/own/a", "mine", 1)
        assert (await own.get(PATIENCE)).payload == b"mine"
    await client.unsubscribe(f"{topic}/+")


@pytest.mark.usefixtures("sshd")
@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("name", "version"),
    [
        (name, version)
        for name in CARRIERS
        for version in (5, 4)
        if version == 5 or not name.startswith("websocket")
    ],
)
async def test_every_carrier(
    name: str,
    version: int,
    mosquitto: RunningServer,
    certificate_authority: CertificateAuthority,
) -> None:
    async with AsyncExitStack() as stack:
        if name.startswith("websocket"):
            await stack.enter_async_context(awake(mosquitto))
        way = await stack.enter_async_context(CARRIERS[name](mosquitto, certificate_authority))
        settings: dict[str, Any] = {**way, "version": version, "timeout": PATIENCE}
        async with MQTT(**settings) as client:
            await speak(client, f"carriers/{next(_numbers)}")


@pytest.mark.both_loops
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
async def test_every_scheme(
    scheme: str, mosquitto: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    ports = {
        "mqtt": mosquitto.port,
        "mqtts": mosquitto.tls_port,
        "ws": mosquitto.websocket_port,
        "wss": mosquitto.websocket_tls_port,
    }
    secure = scheme in ("mqtts", "wss")
    tls: Any = {"ssl_context": certificate_authority.client_context()} if secure else None
    async with (
        awake(mosquitto),
        await connect_url(f"{scheme}://127.0.0.1:{ports[scheme]}/", tls=tls) as client,
    ):
        await speak(client, f"carriers/{next(_numbers)}")


@pytest.mark.both_loops
async def test_a_certificate_that_is_not_trusted(mosquitto: RunningServer) -> None:
    context = CertificateAuthority().client_context()
    connector = DirectConnector(secure_transport="on", ssl_context=context)
    client = MQTT(connector=connector, address=tls_address(mosquitto))
    with pytest.raises(wirekit.TLSError):
        await client.open()
    await client.aclose()


@pytest.mark.both_loops
async def test_plain_to_the_tls_port(mosquitto: RunningServer) -> None:
    client = MQTT(connect(tls_address(mosquitto)), timeout=5)
    with pytest.raises((wirekit.ConnectError, wirekit.RemoteProtocolError)):
        await client.open()
    await client.aclose()
