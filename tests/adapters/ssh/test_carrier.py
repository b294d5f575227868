from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import asyncssh
import pytest
import pytest_asyncio

import wirekit
from tests.adapters.ssh._far import PROHIBITED, Far, Road, Ways, road
from tests.interop.ssh.sessions import embedded
from tests.interop.waiting import eventually, outcomes, turns
from tests.servers import asyncssh_server
from tests.sockets.protocols import Buffered, Recording, Streamed
from wirekit.adapters.ssh import ChannelOpenError, ChannelTransport, SSHConnector
from wirekit.sockets import Policy, TCPAddress, UnixAddress

pytestmark = pytest.mark.both_loops

LARGE = bytes(range(256)) * 20_000


@pytest_asyncio.fixture
async def way() -> AsyncIterator[Road]:
    async with road() as made:
        yield made


def transport_of(protocol: Recording) -> ChannelTransport:
    assert isinstance(protocol.transport, ChannelTransport)
    return protocol.transport


# Opening.


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("db.internal:5432", ("db.internal", 5432)),
        (("10.0.0.7", 6379), ("10.0.0.7", 6379)),
        ("[2001:db8::1]:25", ("2001:db8::1", 25)),
        (TCPAddress("DB.internal", 1), ("db.internal", 1)),
        ("unix:///run/db.sock", ("/run/db.sock", 0)),
        (UnixAddress("/run/db.sock"), ("/run/db.sock", 0)),
    ],
    ids=str,
)
async def test_the_server_is_asked_for_the_address(
    address: Any, asked: tuple[str, int], way: Road
) -> None:
    socket = await way.ssh.connector()(address)
    assert way.ways.asked == [asked]
    assert socket.remote_address in (f"{asked[0]}:{asked[1]}", f"[{asked[0]}]:{asked[1]}") or (
        socket.remote_address == f"unix:{asked[0]}"
    )
    assert socket.secure_transport == "off"
    assert socket.info.peer_address is None
    await socket.close()


async def test_what_the_server_refuses(way: Road) -> None:
    async def answer() -> None:
        raise PROHIBITED

    way.ways.answer = answer
    with pytest.raises(ChannelOpenError, match=r"db:1 through SSH: no such way out") as caught:
        await way.ssh.connector()("db:1")
    assert isinstance(caught.value, wirekit.ConnectError)
    assert isinstance(caught.value, asyncssh.ChannelOpenError)
    assert caught.value.code == 1
    assert way.channels == 0
    assert way.ssh.is_connected


@pytest.mark.parametrize(
    ("reason", "kind", "cause"),
    [
        ("Connection refused", wirekit.ConnectRefused, "refused"),
        ("Connection timed out", wirekit.ConnectTimeout, "timeout"),
        ("Name or service not known", wirekit.ResolveError, "dns"),
        ("No route to host", wirekit.ConnectError, "network"),
    ],
)
async def test_what_the_server_met_with(
    reason: str, kind: type[wirekit.ConnectError], cause: str, way: Road
) -> None:
    async def answer() -> None:
        raise asyncssh.ChannelOpenError(2, reason)

    way.ways.answer = answer
    with pytest.raises(kind) as caught:
        await way.ssh.connector()("db:1")
    assert isinstance(caught.value, ChannelOpenError)
    assert (caught.value.code, caught.value.cause) == (2, cause)


async def test_the_policy_holds(way: Road) -> None:
    connector = way.ssh.connector(policy=Policy.public_only())
    for address in ("127.0.0.1:1", "[::1]:1", "unix:///run/db.sock"):
        with pytest.raises(wirekit.BlockedError):
            await connector(address)
    assert way.ways.asked == []
    await (await connector("db.example.com:1")).close()  # a name is the server's to resolve


async def test_no_answer_in_time(way: Road) -> None:
    way.ways.answer = asyncio.Event().wait
    with pytest.raises(wirekit.ConnectTimeout):
        await way.ssh.connector(connect_timeout=0.02)("db:1")


async def test_cancelled_at_every_turn(way: Road) -> None:
    connector = way.ssh.connector()
    before = asyncio.all_tasks()
    done = 0
    for count in range(40):
        opening = asyncio.create_task(connector("db:1"))
        await turns(count)
        opening.cancel()
        (outcome,) = await outcomes(opening)
        if not isinstance(outcome, asyncio.CancelledError):
            done += 1
            outcome.abort()
    assert 0 < done < 40
    await eventually(lambda: way.channels == 0)
    await eventually(lambda: asyncio.all_tasks() <= before)
    socket, _ = await way.open()
    await socket.close()


async def test_a_client_that_is_closed(way: Road) -> None:
    connector = way.ssh.connector()
    await way.ssh.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await connector("db:1")


def test_its_text() -> None:
    opener: Any = "an SSH"
    assert repr(SSHConnector(opener)) == "<SSHConnector over 'an SSH'>"


async def test_a_receiver_that_fails_at_once(way: Road) -> None:
    caught = catch(asyncio.get_running_loop())

    class Failing(Streamed):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            raise ZeroDivisionError

    protocol = Failing()
    await way.ssh.create_connection(lambda: session(protocol), "db", 1)
    await protocol.lost.wait()
    assert [type(context["exception"]) for context in caught] == [ZeroDivisionError]
    await eventually(lambda: way.channels == 0)


def session(protocol: asyncio.BaseProtocol) -> Any:
    return ChannelTransport(protocol)


def catch(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    caught: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: caught.append(context))
    return caught


# Bytes.


async def test_the_channel_is_there_for_whoever_asks(way: Road) -> None:
    socket, _ = await way.open()
    transport = socket.attach(Streamed())
    channel = transport.get_extra_info("ssh_channel")
    assert channel.get_connection() is way.ssh.connection
    assert transport.get_extra_info("peername") is None
    assert transport.get_extra_info("socket", "none") == "none"
    await socket.close()


async def test_writing_waits_for_the_window(way: Road) -> None:
    socket, far = await way.open()
    transport = socket.attach(protocol := Streamed())
    far.channel.pause_reading()
    for _ in range(3):
        transport.write(memoryview(LARGE))
    assert protocol.write_paused
    assert 0 < transport.get_write_buffer_size() < 3 * len(LARGE)
    channel = transport.get_extra_info("ssh_channel")
    assert channel.get_write_buffer_size() <= 32768
    transport.write_eof()
    assert not far.ended.is_set()
    far.channel.resume_reading()
    await far.ended.wait()
    assert far.data == 3 * LARGE
    assert not protocol.write_paused
    assert transport.get_write_buffer_size() == 0
    await socket.close()


async def test_writing_waits_for_what_is_below(way: Road) -> None:
    """Whatever the peer grants: here it takes nothing from the connection itself."""
    way.ways.window = 1 << 31
    socket, far = await way.open()
    transport = socket.attach(protocol := Streamed())
    way.server_transport.pause_reading()
    transport.write(4 * LARGE)
    lower = cast("Any", way.ssh.connection)._lower
    assert protocol.write_paused
    assert lower.get_write_buffer_size() < 300_000
    assert transport.get_write_buffer_size() > 3 * len(LARGE)
    way.server_transport.resume_reading()
    transport.write_eof()
    await far.ended.wait()
    assert far.data == 4 * LARGE
    await socket.close()


async def test_a_receiver_that_pauses_within_a_packet(way: Road) -> None:
    class Sipping(Buffered):
        def received(self, data: bytes | memoryview) -> None:
            super().received(data)
            transport = transport_of(self)
            transport.pause_reading()
            asyncio.get_running_loop().call_soon(transport.resume_reading)

    socket, far = await way.open()
    protocol = Sipping(half_open=True)
    transport = socket.attach(protocol)
    far.channel.write(LARGE[:100_000])
    far.channel.write_eof()
    await protocol.ended.wait()
    assert protocol.data == LARGE[:100_000]
    assert not protocol.lost.is_set()
    transport.write(b"still here")
    transport.close()
    await far.ended.wait()
    assert far.data == b"still here"
    await protocol.lost.wait()
    assert protocol.error is None


async def test_what_is_not_read_stays_with_the_server(way: Road) -> None:
    socket, far = await way.open()
    protocol = Streamed(paused=True)
    transport = socket.attach(protocol)
    far.channel.write(LARGE)
    await turns(200)
    assert not protocol.data
    assert not far.writable.is_set()
    transport.resume_reading()
    await eventually(lambda: len(protocol.data) == len(LARGE))
    assert protocol.data == LARGE
    await socket.close()


async def test_nothing_is_written_behind_the_end(way: Road) -> None:
    socket, far = await way.open(allow_half_open=True)
    transport = socket.attach(Streamed(half_open=True))
    transport.write(b"")
    transport.write(b"x")
    transport.write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.write(b"y")
    transport.close()
    transport.write(b"z")
    await far.lost.wait()
    assert far.data == b"x"


# The end.


async def test_an_end_that_comes_while_nobody_reads(way: Road) -> None:
    socket, far = await way.open()
    protocol = Streamed(paused=True)
    transport = socket.attach(protocol)
    far.channel.write(b"last words")
    far.channel.write_eof()
    far.channel.close()
    await turns(50)
    assert protocol.calls == ["connection_made"]
    transport.resume_reading()
    await protocol.lost.wait()
    assert protocol.data == b"last words"
    assert protocol.calls[1:] == ["data_received", "eof_received", "connection_lost"]
    assert protocol.error is None


@pytest.mark.parametrize("half_open", [False, True])
async def test_an_end_with_nothing_before_it_while_nobody_reads(half_open: bool, way: Road) -> None:
    socket, far = await way.open(allow_half_open=True)
    protocol = Streamed(paused=True, half_open=half_open)
    transport = socket.attach(protocol)
    far.channel.write_eof()
    far.channel.close()
    await turns(50)
    transport.resume_reading()
    await protocol.lost.wait()
    assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
    assert protocol.error is None


@pytest.mark.parametrize("closes", [False, True])
async def test_an_end_right_behind_the_answer(
    closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(far: Far) -> None:
        far.channel.write(b"421 too many\r\n")
        far.channel.write_eof()
        if closes:
            far.channel.close()

    monkeypatch.setattr(Far, "session_started", begin)
    ways = Ways()
    async with (
        asyncssh_server(server_factory=lambda: ways) as server,
        embedded(server).client() as ssh,
    ):
        lower = cast("Any", ssh.connection)._lower
        lower.pause_reading()  # so that all of it comes at once
        opening = asyncio.create_task(ssh.connector()("db.internal:5432"))
        await ways.ends.get()
        await turns(20)
        lower.resume_reading()
        async with await opening as socket:
            assert await socket.read() == b"421 too many\r\n"
            assert await socket.read() == b""


async def test_closed_while_an_end_is_not_read(way: Road) -> None:
    socket, far = await way.open()
    protocol = Streamed(paused=True)
    transport = socket.attach(protocol)
    far.channel.write_eof()
    far.channel.close()
    await turns(50)
    transport.close()
    await protocol.lost.wait()
    assert protocol.calls == ["connection_made", "connection_lost"]


async def test_a_channel_that_is_closed_without_an_end(way: Road) -> None:
    socket, far = await way.open()
    far.channel.write(b"some")
    far.channel.close()
    assert await socket.read() == b"some"
    assert await socket.read() == b""
    await socket.closed


async def test_a_writer_learns_that_nobody_is_there(way: Road) -> None:
    """The peer closes, but what it sent before is not read, so that asyncssh does not tell."""
    socket, far = await way.open()
    protocol = Streamed(paused=True)
    transport = socket.attach(protocol)
    far.channel.pause_reading()
    far.channel.write(b"never read")
    await turns(20)
    transport.write(LARGE)
    assert protocol.write_paused
    far.channel.write_eof()
    far.channel.close()
    await protocol.lost.wait()
    assert isinstance(protocol.error, wirekit.ConnectionLost)
    assert "more to send" in str(protocol.error)


async def test_writing_to_a_channel_that_the_peer_has_closed(way: Road) -> None:
    socket, far = await way.open()
    protocol = Streamed(paused=True)
    transport = socket.attach(protocol)
    far.channel.write(b"not read yet")
    far.channel.write_eof()
    far.channel.close()
    await turns(50)
    transport.write(b"x")
    transport.write(b"y")
    await protocol.lost.wait()
    assert isinstance(protocol.error, wirekit.ConnectionLost)


async def test_what_comes_after_close_is_dropped(way: Road) -> None:
    """However much it is, the peer can send it and then take what was written."""
    socket, far = await way.open()
    protocol = Streamed()
    transport = socket.attach(protocol)
    far.channel.pause_reading()
    transport.write(LARGE)
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    far.channel.write(LARGE)
    await far.writable.wait()
    far.channel.resume_reading()
    await protocol.lost.wait()
    await far.ended.wait()
    assert far.data == LARGE
    assert protocol.calls == ["connection_made", "connection_lost"]


async def test_a_peer_that_does_not_answer_the_close(
    way: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.ssh._carrier._CLOSE_TIMEOUT", 0.02)
    socket, far = await way.open()
    protocol = Streamed()
    transport = socket.attach(protocol)
    way.server_transport.pause_reading()
    transport.close()
    await protocol.lost.wait()
    assert protocol.error is None
    way.server_transport.resume_reading()
    await far.lost.wait()
    await eventually(lambda: way.channels == 0)


async def test_an_abort_drops_what_is_not_sent(way: Road) -> None:
    socket, far = await way.open()
    transport = socket.attach(protocol := Streamed())
    far.channel.pause_reading()
    transport.write(LARGE)
    transport.abort()
    transport.abort()
    assert transport.get_write_buffer_size() == 0
    assert not protocol.lost.is_set()
    await protocol.lost.wait()
    assert protocol.calls == ["connection_made", "connection_lost"]
    assert protocol.error is None
    far.channel.resume_reading()
    await far.lost.wait()
    assert not far.ended.is_set()
    await eventually(lambda: way.channels == 0)


@pytest.mark.parametrize("end", ["cut", "closed by us"])
async def test_the_loss_of_the_connection_is_everybodys(end: str, way: Road) -> None:
    ends = [await way.open() for _ in range(3)]
    reading = [asyncio.create_task(socket.read()) for socket, _ in ends[:2]]
    paused = Streamed(paused=True)
    ends[2][0].attach(paused)
    ends[2][1].channel.write(b"not read")
    writing = asyncio.create_task(ends[0][0].write(LARGE))
    await turns(20)
    if end == "cut":
        way.server_transport.abort()
    else:
        await way.ssh.aclose()
    for outcome in await outcomes(*reading, writing):
        assert isinstance(outcome, wirekit.ConnectionLost), outcome
        assert "SSH connection was lost" in str(outcome)
    await paused.lost.wait()
    assert isinstance(paused.error, wirekit.ConnectionLost)
    with pytest.raises(wirekit.ConnectionLost):
        await ends[1][0].write(b"x")


@pytest.mark.parametrize("call", ["received", "eof_received", "pause_writing", "resume_writing"])
async def test_a_receiver_that_fails_ends_its_own_channel_only(call: str, way: Road) -> None:
    caught = catch(asyncio.get_running_loop())
    protocol = Streamed()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    setattr(protocol, call, fail)
    (socket, far), (other, other_far) = await way.open(), await way.open()
    transport = socket.attach(protocol)
    far.channel.pause_reading()
    actions: dict[str, list[Callable[[], None]]] = {
        "received": [lambda: far.channel.write(b"x")],
        "eof_received": [far.channel.write_eof],
        "pause_writing": [lambda: transport.write(LARGE)],
        "resume_writing": [lambda: transport.write(LARGE), far.channel.resume_reading],
    }
    for action in actions[call]:
        action()
        await turns(20)
    await protocol.lost.wait()
    assert [type(context["exception"]) for context in caught] == [ZeroDivisionError]
    await other.write(b"well")
    await eventually(lambda: bytes(other_far.data) == b"well")
    await other.close()
