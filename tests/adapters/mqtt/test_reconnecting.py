from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MqttCodeError, MqttError, StoreError
from wirekit.adapters.mqtt._connection import Connection
from wirekit.adapters.mqtt._reconnecting import Reconnecting
from wirekit.adapters.mqtt._settings import Settings, open_connection
from wirekit.protocols.mqtt import (
    ConnAck,
    Connect,
    ConnectReturnCode,
    Disconnect,
    Packet,
    Properties,
    ReasonCode,
)
from wirekit.sockets import AddressLike, Backoff, Socket, TCPAddress, memory_pair

from ._peer import AT_ONCE, PATIENCE, Network, Server, inside


class Link(Reconnecting):
    """A `Reconnecting` with nothing above it, and the network below it."""

    def __init__(self, **settings: Any) -> None:
        self.network = Network()
        self.ends: list[Exception] = []
        given: dict[str, Any] = {
            "socket": None,
            "connector": self.network,
            "address": "broker:1883",
            "attempts": None,
            "backoff": AT_ONCE,
            "timeout": PATIENCE,
            "follow_server_reference": False,
            "on_end": self.ends.append,
        }
        super().__init__(self._converse, **{**given, **settings})

    async def _converse(self, socket: Socket) -> Connection:
        connection, _ = await open_connection(
            socket, Settings(timeout=PATIENCE), client_id="tester", clean_start=True
        )
        connection.on_lost = lambda: self.lost(connection)

        def receive(packets: list[Packet]) -> None:
            for packet in packets:
                if isinstance(packet, Disconnect):
                    connection.disconnected(packet)

        connection.start(receive, 0)
        return connection

    async def first(self) -> Server:
        opening = asyncio.create_task(self.open())
        server = await self.accept()
        await opening
        return server

    async def accept(self) -> Server:
        server = await self.network.server()
        await server.accept()
        return server

    async def refuse(self, code: ReasonCode, reference: str | None = None) -> None:
        server = await self.network.server()
        await server.receive(Connect)
        properties: Properties = {} if reference is None else {"server_reference": reference}
        await server.send(ConnAck(False, code, properties))


@pytest.fixture
async def links() -> AsyncIterator[list[Link]]:
    made: list[Link] = []
    yield made
    for link in made:
        await link.aclose()
        link.network.close()


@pytest.fixture
def link(links: list[Link]) -> Link:
    links.append(Link())
    return links[-1]


async def test_opening_and_losing(link: Link) -> None:
    server = await link.first()
    first = link.current
    assert first is not None
    assert await link.ready() is first
    server.socket.abort()
    await eventually(lambda: link.current is None)
    waiting = [asyncio.create_task(link.ready()) for _ in range(3)]
    waiting[0].cancel()
    await link.accept()
    assert await waiting[1] is await waiting[2] is link.current
    assert link.current is not first
    assert link.network.addresses == ["broker:1883"] * 2


async def test_it_is_opened_once(link: Link) -> None:
    await link.first()
    await link.open()
    assert len(link.network.addresses) == 1


async def test_the_first_failure_is_the_callers(link: Link) -> None:
    link.network.fail(wirekit.ConnectRefused("nobody"))
    with pytest.raises(wirekit.ConnectRefused) as caught:
        await link.open()
    assert isinstance(caught.value, MqttError)
    assert link.ends == []
    with pytest.raises(wirekit.SocketClosed, match="not open"):
        await link.ready()
    await link.first()  # he may try again


async def test_later_ones_are_tried_again(link: Link) -> None:
    server = await link.first()
    failures = [wirekit.ConnectRefused("nobody"), OSError("odd"), wirekit.ResolveError("who?")]
    link.network.fail(*failures)
    server.socket.abort()
    await link.refuse(ReasonCode.SERVER_BUSY)
    await link.accept()
    await link.ready()
    assert len(link.network.addresses) == 1 + len(failures) + 2


async def test_so_often_and_no_more(links: list[Link]) -> None:
    link = Link(attempts=3)
    links.append(link)
    server = await link.first()
    link.network.fail(*[wirekit.ConnectRefused("nobody")] * 3)
    server.socket.abort()
    await eventually(lambda: link.ends)
    assert isinstance(link.ends[0], wirekit.ConnectRefused)
    with pytest.raises(wirekit.ConnectRefused):
        await link.ready()
    with pytest.raises(wirekit.ConnectRefused):
        await link.open()


def bad_certificate() -> wirekit.TLSError:
    error = wirekit.TLSError("not the server")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    return error


@pytest.mark.parametrize(
    "error",
    [
        wirekit.AddressError("wrong"),
        wirekit.BlockedError("forbidden"),
        bad_certificate(),
        StoreError("full"),
        MqttCodeError("no", ReasonCode.NOT_AUTHORIZED),
        MqttCodeError("no", ReasonCode.USE_ANOTHER_SERVER),
        MqttCodeError("no", ConnectReturnCode.NOT_AUTHORIZED),
        ZeroDivisionError("a bug"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_would_come_back_ends_it(link: Link, error: Exception) -> None:
    server = await link.first()
    link.network.fail(error)
    server.socket.abort()
    await eventually(lambda: link.ends)
    assert isinstance(link.ends[0], type(error))
    assert len(link.network.addresses) == 2


@pytest.mark.parametrize(
    "error",
    [
        wirekit.TLSError("handshake"),
        wirekit.RemoteProtocolError("odd"),
        MqttCodeError("later", ReasonCode.SERVER_SHUTTING_DOWN),
        MqttCodeError("later", ConnectReturnCode.SERVER_UNAVAILABLE),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_pass_does_not(link: Link, error: Exception) -> None:
    server = await link.first()
    link.network.fail(error)
    server.socket.abort()
    await link.accept()
    await link.ready()


async def test_a_disconnect_that_would_come_back(link: Link) -> None:
    server = await link.first()
    await server.send(Disconnect(ReasonCode.SESSION_TAKEN_OVER))
    await eventually(lambda: link.ends)
    with pytest.raises(MqttCodeError, match="session taken over"):
        await link.ready()


async def test_a_disconnect_that_may_pass(link: Link) -> None:
    server = await link.first()
    await server.send(Disconnect(ReasonCode.SERVER_SHUTTING_DOWN))
    await link.accept()
    await link.ready()
    assert isinstance(link.last_error, MqttCodeError)


async def test_lost_again_at_once(link: Link) -> None:
    server = await link.first()
    server.socket.abort()
    for _ in range(3):
        server = await link.network.server()
        connect = await server.receive(Connect)
        assert connect.client_id == "tester"
        await server.send(ConnAck())
        server.socket.close()
    await link.accept()
    await link.ready()
    assert link.ends == []


async def test_pauses_grow_until_a_connection_has_held(links: list[Link]) -> None:
    bounds: list[float] = []

    def draw() -> float:
        bounds.append(0.0)
        return 0.0

    link = Link(backoff=Backoff(initial=0.001, maximum=1000, random=draw))
    links.append(link)
    for _ in range(3):
        server = await (link.accept() if bounds else link.first())
        await link.ready()
        server.socket.abort()
        await eventually(lambda: link.current is None)
    await link.accept()
    assert len(bounds) == 3
    pauses = inside(link)._pauses
    await link.ready()
    assert link.current is not None
    inside(link)._since -= 2000
    link.current.fail(wirekit.ConnectionLost("gone"))
    assert inside(link)._pauses is not pauses


# One socket.


async def test_one_socket_and_no_more(links: list[Link]) -> None:
    ours, theirs = memory_pair()
    link = Link(socket=ours, connector=None, address=None)
    links.append(link)
    opening = asyncio.create_task(link.open())
    server = Server(theirs)
    await server.accept()
    await opening
    theirs.abort()
    await eventually(lambda: link.ends)
    with pytest.raises(wirekit.ConnectionLost) as caught:
        await link.ready()
    assert vars(caught.value)["sent"] is False


async def test_a_socket_that_is_used_up(links: list[Link]) -> None:
    ours, theirs = memory_pair()
    link = Link(socket=ours, connector=None, address=None)
    links.append(link)
    theirs.abort()
    with pytest.raises(wirekit.ConnectError):
        await link.open()
    with pytest.raises(wirekit.SocketClosed, match="used up"):
        await link.open()


async def test_a_socket_before_the_connector(links: list[Link]) -> None:
    ours, theirs = memory_pair()
    link = Link(socket=ours)
    links.append(link)
    opening = asyncio.create_task(link.open())
    await Server(theirs).accept()
    await opening
    assert link.network.addresses == []
    theirs.abort()
    await link.accept()
    await link.ready()


# Server references (§4.11).


async def test_references_are_not_followed_unasked(link: Link) -> None:
    opening = asyncio.create_task(link.open())
    await link.refuse(ReasonCode.SERVER_MOVED, "other:1884")
    with pytest.raises(MqttCodeError) as caught:
        await opening
    assert caught.value.server_reference == "other:1884"


async def test_another_server_for_now(links: list[Link]) -> None:
    link = Link(follow_server_reference=True)
    links.append(link)
    opening = asyncio.create_task(link.open())
    await link.refuse(ReasonCode.USE_ANOTHER_SERVER, "other elsewhere:1885")
    server = await link.accept()
    await opening
    server.socket.abort()
    await link.accept()
    assert link.network.addresses == ["broker:1883", TCPAddress("other", 1883), "broker:1883"]


async def test_another_server_for_good(links: list[Link]) -> None:
    link = Link(follow_server_reference=True, address=TCPAddress("broker", 8883))
    links.append(link)
    server = await link.first()
    await server.send(Disconnect(ReasonCode.SERVER_MOVED, {"server_reference": "[::1] other:1884"}))
    server = await link.accept()
    await link.ready()
    server.socket.abort()
    await link.accept()
    await link.ready()
    assert link.network.addresses[1:] == [TCPAddress("::1", 8883)] * 2


async def test_a_disconnect_that_sends_us_elsewhere_for_now(links: list[Link]) -> None:
    link = Link(follow_server_reference=True)
    links.append(link)
    server = await link.first()
    code = ReasonCode.USE_ANOTHER_SERVER
    await server.send(Disconnect(code, {"server_reference": "other:1884"}))
    server = await link.accept()
    await link.ready()
    server.socket.abort()
    await link.accept()
    assert link.network.addresses[1:] == [TCPAddress("other", 1884), "broker:1883"]


@pytest.mark.parametrize("reference", [None, " ", "/var/run/socket", "unix:/var/run/socket"])
async def test_references_to_nowhere(links: list[Link], reference: str | None) -> None:
    link = Link(follow_server_reference=True)
    links.append(link)
    opening = asyncio.create_task(link.open())
    await link.refuse(ReasonCode.USE_ANOTHER_SERVER, reference)
    with pytest.raises(MqttCodeError, match="use another server"):
        await opening
    assert len(link.network.addresses) == 1


async def test_references_in_a_circle(links: list[Link]) -> None:
    link = Link(follow_server_reference=True)
    links.append(link)
    opening = asyncio.create_task(link.open())
    for _ in range(5):
        await link.refuse(ReasonCode.USE_ANOTHER_SERVER, "broker")
    with pytest.raises(MqttCodeError, match="use another server"):
        await opening
    assert len(link.network.addresses) == 5


async def test_references_go_through_the_connectors_policy(links: list[Link]) -> None:
    network = Network()

    async def only_the_broker(address: AddressLike) -> Socket:
        if address != "broker:1883":
            raise wirekit.BlockedError(f"{address} is forbidden")
        return await network(address)

    link = Link(follow_server_reference=True, connector=only_the_broker)
    links.append(link)
    link.network = network
    opening = asyncio.create_task(link.open())
    await link.refuse(ReasonCode.USE_ANOTHER_SERVER, "169.254.169.254:80")
    with pytest.raises(wirekit.BlockedError):
        await opening


# Time limits and closing.


async def test_a_connector_that_hangs(links: list[Link]) -> None:
    async def hang(address: AddressLike) -> Socket:
        await asyncio.Event().wait()
        raise AssertionError

    link = Link(connector=hang, timeout=0.01)
    links.append(link)
    with pytest.raises(wirekit.ConnectTimeout, match="the connector made no connection"):
        await link.open()


async def test_a_connector_that_times_out_by_itself(link: Link) -> None:
    link.network.fail(TimeoutError("slow"))
    with pytest.raises(MqttError):
        await link.open()


async def test_closing_wakes_who_waits_and_stops_trying(link: Link) -> None:
    server = await link.first()
    server.socket.abort()
    await eventually(lambda: link.current is None)
    waiting = asyncio.create_task(link.ready())
    await link.network.server()
    await link.aclose()
    with pytest.raises(wirekit.SocketClosed, match="client was closed"):
        await waiting
    await link.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await link.open()
    assert link.ends == []


async def test_closing_while_it_opens(link: Link) -> None:
    opening = asyncio.create_task(link.open())
    server = await link.network.server()
    await server.receive(Connect)
    await link.aclose()
    await server.send(ConnAck())
    with pytest.raises(wirekit.SocketClosed):
        await opening
    assert await server.end() == b""
    assert link.current is None


async def test_closing_waits_for_no_connector_for_ever(
    links: list[Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._reconnecting._PATIENCE", 0.01)
    asked, over = asyncio.Event(), asyncio.Event()
    link = Link()
    links.append(link)
    server = await link.first()

    async def stubborn(address: AddressLike) -> Socket:
        asked.set()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        return await link.network(address)

    link._connector = stubborn  # pyright: ignore[reportPrivateUsage]
    server.socket.abort()
    await asked.wait()
    await link.aclose()
    over.set()
    server = await link.network.server()  # and what it makes after all is not used
    assert await server.end() == b""
    assert link.current is None
