"""The Socket as people hold it, row by row of its likeness to cloudflare:sockets."""

from __future__ import annotations

import asyncio
import gc
import socket as stdlib_socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from tests.servers import CertificateAuthority
from wirekit import (
    AddressError,
    BusyError,
    ConnectError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    SocketClosed,
    TLSError,
    TransportError,
)
from wirekit.sockets import (
    AddressLike,
    MemoryTransport,
    Socket,
    SocketInfo,
    TLSOptions,
    as_socket,
    connect,
    memory_pair,
)

from .carriers import Workshop, below, client_context, reading_is_paused, returning, unread, until
from .protocols import Streamed

pytestmark = pytest.mark.both_loops


@asynccontextmanager
async def tcp_peer() -> AsyncGenerator[tuple[Socket, stdlib_socket.socket]]:
    """A client socket, and the plain blocking socket that is its peer."""
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(listener.getsockname())
        await client.opened
        peer, _ = listener.accept()
        with peer:
            yield client, peer
            client.abort()
            await asyncio.sleep(0)


def reset(peer: stdlib_socket.socket) -> None:
    """Close with RST."""
    peer.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@asynccontextmanager
async def silent_server() -> AsyncGenerator[tuple[str, int]]:
    """The address of a listener that accepts in its backlog and never says anything."""
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


# connect() returns at once.


async def test_connect_returns_a_socket_that_is_not_open_yet() -> None:
    async with silent_server() as address:
        socket = connect(address)
        assert not socket.opened.done()
        assert repr(socket) == f"<Socket 127.0.0.1:{address[1]} connecting>"
        with pytest.raises(BusyError, match="not open yet"):
            _ = socket.info
        with pytest.raises(BusyError, match="not open yet"):
            socket.attach(Streamed())
        assert isinstance(await socket.opened, SocketInfo)
        assert repr(socket) == f"<Socket 127.0.0.1:{address[1]} open>"
        await socket.close()
        assert repr(socket) == f"<Socket 127.0.0.1:{address[1]} closed>"


async def test_reads_and_writes_wait_until_it_is_open(make: Workshop) -> None:
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(listener.getsockname())
        make.keep(client)
        writes = [asyncio.create_task(client.write(b"%d" % number)) for number in range(5)]
        ending = asyncio.create_task(client.write_eof())
        reading = asyncio.create_task(client.read())
        await asyncio.sleep(0)
        assert client.writable.locked
        assert client.readable.locked
        await client.opened
        await asyncio.gather(*writes, ending)
        with listener.accept()[0] as peer:
            assert await asyncio.to_thread(peer.recv, 5, stdlib_socket.MSG_WAITALL) == b"01234"
            peer.send(b"answer")
            assert await reading == b"answer"


# Failures to connect.


async def test_a_failure_is_told_by_opened_and_closed_and_every_use() -> None:
    socket = connect("127.0.0.1:1")
    waiting = asyncio.create_task(socket.read())
    for use in (value_of(socket.opened), value_of(socket.closed), waiting, socket.write(b"x")):
        with pytest.raises(ConnectRefused) as caught:
            await use
        assert caught.value.cause == "refused"
    with pytest.raises(ConnectRefused):
        _ = socket.info
    with pytest.raises(ConnectRefused):
        socket.attach(Streamed())
    assert isinstance(socket.close_reason, ConnectRefused)
    await socket.close("never raises")
    socket.abort()
    with pytest.raises(ConnectRefused):
        async with socket:
            raise AssertionError


async def value_of(promise: Awaitable[object]) -> object:
    return await promise


async def test_an_unobserved_failure_is_silent() -> None:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    is_over = connect("127.0.0.1:1").closed.done
    await until(is_over)
    del is_over
    await asyncio.sleep(0)
    gc.collect()
    assert reports == []


async def test_promises_are_the_same_objects_each_time() -> None:
    left, right = memory_pair()
    assert left.opened is left.opened
    assert left.closed is left.closed
    left.abort()
    await right.closed


async def test_the_time_to_connect_is_bounded() -> None:
    async def never(address: AddressLike) -> Socket:
        await asyncio.Event().wait()
        raise AssertionError

    socket = connect("db.example:5432", connector=never, connect_timeout=0.01)
    with pytest.raises(ConnectTimeout, match=r"no connection to db.example:5432 within 0.01 s"):
        await socket.opened
    assert isinstance(socket.close_reason, ConnectTimeout)


async def test_a_server_that_never_answers_in_tls_times_out(
    certificate_authority: CertificateAuthority,
) -> None:
    context = client_context(certificate_authority)
    async with silent_server() as address:
        socket = connect(address, secure_transport="on", ssl_context=context, connect_timeout=0.05)
        with pytest.raises(ConnectTimeout):
            await socket.opened
        plain = connect(
            address, secure_transport="starttls", ssl_context=context, connect_timeout=0.05
        )
        await plain.opened
        upgraded = plain.start_tls()
        with pytest.raises(ConnectTimeout):
            await upgraded.opened
        with pytest.raises(ConnectTimeout):
            await upgraded.read()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionRefusedError(111, "refused"), ConnectError),
        (TimeoutError("its own"), ConnectTimeout),
        (ConnectRefused("typed"), ConnectRefused),
        (SocketClosed("typed"), SocketClosed),
        (ZeroDivisionError("whatever"), ZeroDivisionError),
    ],
)
async def test_what_a_connector_raises_is_told(
    raised: Exception, expected: type[Exception]
) -> None:
    async def failing(address: AddressLike) -> Socket:
        raise raised

    socket = connect("db.example:5432", connector=failing)
    with pytest.raises(expected) as caught:
        await socket.opened
    assert raised in (caught.value, caught.value.__cause__)
    assert socket.closed.done()


async def test_an_opener_has_to_open_something() -> None:
    async def opener(protocol: asyncio.BaseProtocol) -> None: ...

    with pytest.raises(ConnectError, match="opened nothing"):
        await Socket(opener, remote_address="nowhere").opened


# close().


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("end", [Socket.close, Socket.abort])
async def test_close_before_it_is_open_gives_up(
    end: Callable[[Socket, str], object], turns: int
) -> None:
    async with silent_server() as address:
        socket = connect(address)
        reading = asyncio.create_task(socket.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not socket.opened.done()
        end(socket, "changed my mind")
        with pytest.raises(SocketClosed):
            await socket.opened
        with pytest.raises(SocketClosed):
            await reading
        with pytest.raises(SocketClosed):
            await socket.write(b"x")
        await socket.close()
        await socket.closed
        assert socket.close_reason == "changed my mind"


async def test_close_right_before_an_adopted_socket_is_open_closes_it() -> None:
    left, right = stdlib_socket.socketpair()
    with right:
        await as_socket(left).close()
        assert right.recv(1) == b""


async def test_close_while_a_connector_finishes_at_once() -> None:
    carrier, other = memory_pair()
    socket = connect("db.example:5432", connector=returning(carrier))
    socket.close()
    with pytest.raises(SocketClosed):
        await socket.opened
    await carrier.closed
    await other.closed


async def test_a_task_cancelled_from_outside_still_settles_everything() -> None:
    for turns in (0, 1, 2):
        async with silent_server() as address:
            socket = connect(address)
            for _ in range(turns):
                await asyncio.sleep(0)
            cast("Any", socket)._task.cancel()
            with pytest.raises(SocketClosed):
                await socket.opened
            await socket.closed
            await socket.close()


async def test_the_reason_of_close_is_kept() -> None:
    left, right = memory_pair()
    error = ValueError()
    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        async with left:
            raise error
    assert left.close_reason is error
    await right.closed
    assert right.close_reason is None


# The peer's end: FIN and RST.


async def test_closed_settles_when_the_end_arrives_unread() -> None:
    async with tcp_peer() as (client, peer):
        peer.send(b"unread")
        peer.shutdown(stdlib_socket.SHUT_WR)
        await client.closed
        assert await asyncio.to_thread(peer.recv, 1) == b""  # our direction was ended too
        assert await client.read() == b"unread"
        assert await client.read() == b""
        with pytest.raises(ConnectionLost):
            await client.write(b"x")
        with pytest.raises(ConnectionLost):
            client.attach(Streamed())
        assert not client.close_reason
        client.close()
        with pytest.raises(SocketClosed):
            await client.read()


async def test_a_reset_while_reading() -> None:
    async with tcp_peer() as (client, peer):
        peer.send(b"before")
        await until(lambda: unread(client))
        reset(peer)
        await client.closed
        assert await client.read() == b"before"
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="lost") as caught:
                await client.read()
            assert isinstance(caught.value, ConnectionError)
            assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(ConnectionLost):
            await client.write(b"x")
        assert isinstance(client.close_reason, ConnectionLost)


async def test_a_reset_wakes_readers_and_writers() -> None:
    async with tcp_peer() as (client, peer):
        reading = asyncio.create_task(client.read())
        writing = asyncio.create_task(client.write(bytes(20_000_000)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not writing.done()
        reset(peer)
        for task in (reading, writing):
            with pytest.raises(ConnectionLost):
                await task
        await client.closed


async def test_a_reset_after_the_peers_end_spoils_nothing_that_was_read() -> None:
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(listener.getsockname(), allow_half_open=True)
        await client.opened
        peer, _ = listener.accept()
        peer.send(b"all")
        peer.shutdown(stdlib_socket.SHUT_WR)
        await until(lambda: client.readable.ended)
        reset(peer)
        with pytest.raises(ConnectionLost):
            await write_for_ever(client)
        await client.closed
        assert await client.read() == b"all"
        assert await client.read() == b""
        assert await client.read() == b""


async def write_for_ever(socket: Socket) -> None:
    while True:
        await socket.write(b"x")
        await asyncio.sleep(0)


async def read_for_ever(socket: Socket) -> None:
    while await socket.read():
        pass


async def test_a_reset_after_our_end() -> None:
    async with tcp_peer() as (client, peer):
        await client.write_eof()
        assert await asyncio.to_thread(peer.recv, 1) == b""
        reset(peer)
        with pytest.raises(ConnectionLost):
            await client.read()
        await client.closed


async def test_the_end_behind_a_full_buffer_is_seen_when_it_is_read() -> None:
    async with tcp_peer() as (client, peer):
        data = bytes(2_000_000)
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, data))
        await until(lambda: reading_is_paused(client))
        assert not client.closed.done()
        assert await client.read_exactly(len(data)) == data
        await sending
        peer.shutdown(stdlib_socket.SHUT_WR)
        assert await client.read() == b""
        await client.closed


async def test_closing_a_paused_socket_ends_it() -> None:
    async with tcp_peer() as (client, peer):
        peer.setblocking(False)
        while not reading_is_paused(client):
            try:
                peer.send(bytes(65536))
            except BlockingIOError:
                break
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(SocketClosed):
            await client.read()


# Options.


async def test_the_high_water_mark_counts_bytes() -> None:
    left, right = memory_pair(high_water_mark=1000)
    right.attach(Streamed(paused=True))
    await left.write(bytes(1000))
    writing = asyncio.create_task(left.write(b"x"))
    await asyncio.sleep(0)
    assert not writing.done()
    writing.cancel()
    default, other = memory_pair()
    assert below(default).get_write_buffer_limits()[1] == 65536
    for socket in (left, default):
        socket.abort()
    await right.closed
    await other.closed


async def test_text_is_refused() -> None:
    left, right = memory_pair()
    text: Any = "text"
    with pytest.raises(TypeError, match="bytes-like"):
        await left.write(text)
    left.abort()
    await right.closed


# start_tls().


@asynccontextmanager
async def starttls_pair() -> AsyncGenerator[tuple[Socket, Socket]]:
    client, server = memory_pair(secure_transport="starttls")
    yield client, server
    for socket in (client, server):
        socket.abort()
        await socket.closed


async def test_start_tls_on_tls_is_refused(make: Workshop) -> None:
    client, _ = await make.make("tls")
    with pytest.raises(AddressError, match="TLS socket already"):
        client.start_tls()


async def test_start_tls_has_to_be_announced() -> None:
    client, server = memory_pair()
    with pytest.raises(AddressError, match='connect with secure_transport="starttls"'):
        client.start_tls(server_hostname="localhost")
    client.abort()
    await server.closed


async def test_start_tls_after_close_is_refused() -> None:
    async with starttls_pair() as (client, _):
        client.close()
        with pytest.raises(SocketClosed):
            client.start_tls(server_hostname="localhost")


async def test_start_tls_after_a_failure_says_which() -> None:
    client = connect("127.0.0.1:1", secure_transport="starttls")
    with pytest.raises(ConnectRefused):
        await client.opened
    with pytest.raises(ConnectRefused):
        client.start_tls()


@pytest.mark.parametrize("end", [Socket.close, Socket.write_eof])
async def test_start_tls_after_the_peers_end_is_refused(
    end: Callable[[Socket], Awaitable[None]],
) -> None:
    client, server = memory_pair(secure_transport="starttls", allow_half_open=True)
    await end(server)
    assert await client.read() == b""
    with pytest.raises(ConnectionLost):
        client.start_tls(server_hostname="localhost")
    client.abort()
    await client.closed


async def test_start_tls_twice_is_refused() -> None:
    async with starttls_pair() as (client, _):
        upgraded = client.start_tls(server_hostname="localhost")
        with pytest.raises(BusyError, match="called before"):
            client.start_tls(server_hostname="localhost")
        upgraded.abort()


async def write_much(socket: Socket) -> None:
    await socket.write(bytes(1_000_000))


@pytest.mark.parametrize("held", [Socket.read, write_much])
async def test_start_tls_while_reading_or_writing_is_refused(
    held: Callable[[Socket], Awaitable[object]],
) -> None:
    async with starttls_pair() as (client, _):
        task = asyncio.ensure_future(held(client))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="under way"):
            client.start_tls(server_hostname="localhost")
        task.cancel()
        await asyncio.sleep(0)


async def test_a_wrong_option_leaves_the_socket_as_it_was() -> None:
    async with starttls_pair() as (client, server):
        wrong: list[TLSOptions] = [{}, {"server_hostname": ""}, {"server_hostname": "a b"}]
        for options in wrong:
            with pytest.raises(AddressError):
                client.start_tls(**options)
        await client.write(b"still plain")
        assert await server.read() == b"still plain"


async def test_the_old_socket_is_done_for(make: Workshop) -> None:
    plain, accepted = await make.tcp(
        secure_transport="starttls", ssl_context=client_context(make.authority)
    )
    await plain.opened
    assert not plain.upgraded
    upgraded = plain.start_tls()
    assert plain.upgraded
    assert plain.successor is upgraded
    await plain.closed
    assert plain.secure_transport == "starttls"
    assert upgraded.secure_transport == "on"
    assert not upgraded.upgraded
    make.keep(make.serve_tls(accepted))
    await plain.close()  # does nothing to the connection
    plain.abort()
    for use in (plain.read, lambda: plain.write(b"x"), plain.write_eof):
        with pytest.raises(BusyError):
            await use()
    with pytest.raises(BusyError):
        plain.attach(Streamed())
    info = await upgraded.opened
    assert info.tls_version == "TLSv1.3"
    assert "tls" in repr(upgraded)
    assert "upgraded" in repr(plain)


async def test_leaving_the_old_sockets_block_leaves_the_new_one_open(make: Workshop) -> None:
    plain, accepted = await make.tcp(
        secure_transport="starttls", ssl_context=client_context(make.authority)
    )
    server = make.serve_tls(accepted)
    async with plain:
        upgraded = plain.start_tls()
    make.keep(upgraded)
    await upgraded.write(b"x")
    assert await server.read() == b"x"


async def test_start_tls_may_be_called_before_it_is_open(make: Workshop) -> None:
    plain, accepted = await make.tcp(
        secure_transport="starttls", ssl_context=client_context(make.authority)
    )
    server = make.serve_tls(accepted)
    upgraded = plain.start_tls()
    make.keep(upgraded)
    await upgraded.write(b"x")
    assert await server.read() == b"x"
    assert plain.closed.done()


async def test_the_upgrade_of_a_socket_that_never_opens_fails_alike() -> None:
    for end in (None, "old", "new"):
        plain = connect("127.0.0.1:1", secure_transport="starttls")
        upgraded = plain.start_tls()
        if end == "old":
            plain.close()
        elif end == "new":
            upgraded.close()
        with pytest.raises(SocketClosed if end else ConnectRefused):
            await upgraded.opened
        with pytest.raises(SocketClosed if end else ConnectRefused):
            await plain.opened
        await upgraded.close()
        await plain.close()


@pytest.mark.parametrize("turns", range(4))
async def test_closing_during_the_upgrade_ends_the_connection(turns: int) -> None:
    client, server = memory_pair(secure_transport="starttls")
    upgraded = client.start_tls(server_hostname="localhost")
    for _ in range(turns):
        await asyncio.sleep(0)
    upgraded.close()
    with pytest.raises(SocketClosed):
        await upgraded.opened
    await upgraded.closed
    with pytest.raises(ConnectionLost):
        await read_for_ever(server)
    await server.closed


async def test_a_connection_lost_before_the_upgrade_begins() -> None:
    client, server = memory_pair(secure_transport="starttls")
    server.abort()
    upgraded = client.start_tls(server_hostname="localhost")
    with pytest.raises(TransportError):
        await upgraded.opened


# The upgrade rule.

INJECTED = b"250 injected in plaintext\r\n"


async def hostile(make: Workshop) -> tuple[Socket, Socket]:
    """A client that asked for TLS, and the peer that is to give the go-ahead."""
    client, server = await make.tcp(
        secure_transport="starttls", ssl_context=client_context(make.authority)
    )
    await client.write(b"STARTTLS\r\n")
    await server.read_until()
    return client, server


async def test_plaintext_in_the_segment_of_the_go_ahead_is_refused(make: Workshop) -> None:
    client, server = await hostile(make)
    await server.write(b"220 go ahead\r\n" + INJECTED)
    assert await client.read_until() == b"220 go ahead\r\n"
    with pytest.raises(TLSError, match="plaintext behind its go-ahead") as caught:
        client.start_tls()
    assert caught.value.cause == "tls"
    assert b"injected" not in str(caught.value).encode()
    await client.closed
    assert client.close_reason is caught.value
    with pytest.raises(BusyError):
        await client.read()
    with pytest.raises((SocketClosed, BusyError)):
        client.start_tls()
    await server.closed


async def test_plaintext_in_the_next_segment_never_comes_out_of_tls(make: Workshop) -> None:
    client, server = await hostile(make)
    await server.write(b"220 go ahead\r\n")
    assert await client.read_until() == b"220 go ahead\r\n"
    await server.write(INJECTED)
    for _ in range(10):  # it lies in the kernel: nothing reads before the upgrade
        await asyncio.sleep(0)
    upgraded = client.start_tls()
    with pytest.raises(TLSError):
        await upgraded.opened
    with pytest.raises(TLSError):
        await upgraded.read()


async def test_plaintext_during_the_handshake_never_comes_out_of_tls(make: Workshop) -> None:
    client, server = await hostile(make)
    await server.write(b"220 go ahead\r\n")
    await client.read_until()
    upgraded = client.start_tls()
    assert (await server.read(3))[:2] == b"\x16\x03"  # the ClientHello
    await server.write(INJECTED)
    with pytest.raises(TLSError):
        await upgraded.opened


@pytest.mark.parametrize("when", ["trailing", "unseen", "later"])
async def test_the_upgrade_rule_holds_for_an_attached_protocol(when: str, make: Workshop) -> None:
    client, server = await hostile(make)
    protocol = Streamed()
    client.attach(protocol)
    go_ahead = b"220 go ahead\r\n"
    await server.write(go_ahead + INJECTED if when == "trailing" else go_ahead)
    await until(lambda: len(protocol.data) >= len(go_ahead))
    trailing = bytes(protocol.data[len(go_ahead) :])
    if when == "trailing":
        with pytest.raises(TLSError, match="plaintext"):
            client.start_tls(trailing_data=trailing)
        await protocol.lost.wait()
        await client.closed
        return
    if when == "unseen":
        await server.write(INJECTED)
    upgraded = client.start_tls(trailing_data=trailing)
    if when == "later":
        await server.read(3)
        await server.write(INJECTED)
    with pytest.raises(TLSError):
        await upgraded.opened
    assert protocol.data == go_ahead


async def test_an_attached_protocol_upgrades_and_attaches_again(make: Workshop) -> None:
    client, server = await hostile(make)
    first = Streamed()
    client.attach(first)
    upgraded = client.start_tls()
    secured = make.serve_tls(server)
    make.keep(upgraded)
    await client.closed
    await upgraded.opened
    second = Streamed()
    upgraded.attach(second).write(b"by TLS")
    assert await secured.read_exactly(6) == b"by TLS"
    await secured.write(b"answer")
    await until(lambda: len(second.data) >= 6)
    assert second.data == b"answer"
    assert not first.data
    await upgraded.close()
    await second.lost.wait()
    assert not first.lost.is_set()


# Corners of opening and ending.


def opener_over(transport: MemoryTransport, *, lost: bool) -> Callable[..., Awaitable[None]]:
    """An opener whose connection is lost again before it is done, if so asked."""

    async def opener(protocol: asyncio.BaseProtocol) -> None:
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.write(b"x")
        if lost:
            cast("asyncio.Protocol", protocol).data_received(b"early words")
            protocol.connection_lost(None)

    return opener


def memory_transport() -> MemoryTransport:
    left, right = (MemoryTransport(Streamed(), int, 0.0) for _ in range(2))
    left.join(right)
    right.join(left)
    return left


async def test_a_connection_that_ends_while_it_opens_was_open() -> None:
    socket = Socket(opener_over(memory_transport(), lost=True), remote_address="brief")
    assert (await socket.opened).remote_address == "brief"
    await socket.closed
    assert await socket.read() == b"early words"
    with pytest.raises(ConnectionLost):
        await socket.read()
    upgrading = Socket(
        opener_over(memory_transport(), lost=True),
        remote_address="brief",
        secure_transport="starttls",
    )
    upgraded = upgrading.start_tls(server_hostname="localhost")
    with pytest.raises(ConnectionLost):
        await upgraded.opened
    await upgrading.closed


async def test_attach_tells_that_writing_is_paused() -> None:
    client, server = memory_pair(high_water_mark=10)
    server.attach(Streamed(paused=True))
    writing = asyncio.create_task(client.write(bytes(100)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    protocol = Streamed()
    client.attach(protocol)
    assert protocol.write_paused
    client.abort()
    await server.closed


async def test_attach_ends_a_half_open_connection_for_a_protocol_that_wants_none() -> None:
    client, server = memory_pair(allow_half_open=True)
    await server.write_eof()
    await until(lambda: client.readable.ended)
    protocol = Streamed()
    client.attach(protocol)
    await protocol.lost.wait()
    await client.closed
    await server.closed


async def test_repr_shows_the_state_and_nothing_secret() -> None:
    client, server = memory_pair()
    server.attach(Streamed(paused=True))
    assert repr(server) == "<Socket memory attached>"
    await client.write(b"secret")
    client.close("secret")
    assert repr(client) == "<Socket memory closing>"
    client.abort()
    await client.closed
    assert repr(client) == "<Socket memory closed>"
    await server.closed
