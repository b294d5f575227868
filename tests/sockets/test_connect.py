from __future__ import annotations

import asyncio
import gc
import socket as stdlib_socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from wirekit import AddressError, BusyError, ConnectionLost, ConnectRefused, SocketClosed
from wirekit.sockets import (
    AddressLike,
    DirectConnector,
    Policy,
    Socket,
    as_socket,
    connect,
    memory_pair,
)
from wirekit.sockets._connect import open_socket

from .carriers import Workshop, client_context, returning, until
from .protocols import Streamed


@asynccontextmanager
async def socket_pair() -> AsyncGenerator[tuple[stdlib_socket.socket, stdlib_socket.socket]]:
    """A connected TCP socket, and the blocking one that is its peer."""
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        ours = stdlib_socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            yield ours, peer


# connect().


def test_connect_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        connect("localhost:1")


@pytest.mark.parametrize(
    "address",
    ["localhost", "", ":1", "localhost:0", "localhost:65536", "::1:80", "h:1/path", ("h", 0), 5],
)
async def test_a_wrong_address_is_told_at_once(address: Any) -> None:
    with pytest.raises(AddressError):
        connect(address)


@pytest.mark.parametrize("value", ["tls", "ON", "", None, True])
async def test_secure_transport_has_three_values(value: Any) -> None:
    with pytest.raises(AddressError, match='must be "off", "on" or "starttls"'):
        connect("localhost:1", secure_transport=value)


async def test_an_unknown_option_is_refused() -> None:
    options: Any = {"verify": False}
    for transport in ("off", "on", "starttls"):
        with pytest.raises(AddressError, match="verify"):
            connect("localhost:1", secure_transport=transport, **options)


@pytest.mark.parametrize("spelling", ["127.0.0.1:{}", "tcp://127.0.0.1:{}", "localhost:{}", None])
async def test_every_spelling_of_an_address_connects(spelling: str | None) -> None:
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = ("127.0.0.1", port) if spelling is None else spelling.format(port)
        async with connect(address) as socket:
            assert socket.remote_address.endswith(f":{port}")
            assert socket.info.peer_address == ("127.0.0.1", port)


async def test_ipv6() -> None:
    try:
        listener = stdlib_socket.create_server(("::1", 0), family=stdlib_socket.AF_INET6)
    except OSError:
        with pytest.raises(OSError, match=r"cannot connect to \[::1\]:1"):
            await connect("[::1]:1").opened
        return
    with listener:
        port = listener.getsockname()[1]
        async with connect(f"[::1]:{port}") as socket:
            assert socket.remote_address == f"[::1]:{port}"


async def test_a_carrier_learns_of_the_end_whatever_stands_on_it(make: Workshop) -> None:
    for secure in ("on", "starttls", "off"):
        carrier, lower = await make.tcp()
        tls: Any = {} if secure == "off" else {"ssl_context": client_context(make.authority)}
        client = connect(
            "localhost:1", secure_transport=secure, connector=returning(carrier), **tls
        )
        if secure != "off":
            make.keep(make.serve_tls(lower))
        if secure == "starttls":
            client = client.start_tls()
        await client.opened
        client.attach(Streamed())
        assert not carrier.closed.done()
        await client.close()
        await carrier.closed


async def test_a_connector_may_return_a_socket_that_is_not_open_yet() -> None:
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

        async def early(_: AddressLike) -> Socket:
            return connect(address)

        async with connect("db.example:1", connector=early) as socket:
            assert socket.info.remote_address == "db.example:1"
            assert socket.info.peer_address == address

    async def failing(_: AddressLike) -> Socket:
        return connect("127.0.0.1:1")

    with pytest.raises(ConnectRefused):
        await connect("db.example:1", connector=failing).opened


async def test_a_connector_that_returns_a_socket_in_use() -> None:
    carrier, other = memory_pair()
    carrier.attach(Streamed())
    with pytest.raises(BusyError):
        await connect("db.example:1", connector=returning(carrier)).opened
    carrier.abort()
    await other.closed


# Connectors.


async def test_a_direct_connector_returns_open_sockets() -> None:
    connector = DirectConnector(timeout=0.01, policy=Policy.only("127.0.0.1:1"))
    with pytest.raises(ConnectRefused):
        await connector("127.0.0.1:1")
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        socket = await DirectConnector()(listener.getsockname())
        assert socket.opened.done()
        await socket.close()


async def test_waiting_for_a_socket_that_is_given_up_aborts_it() -> None:
    async def never(_: AddressLike) -> Socket:
        await asyncio.Event().wait()
        raise AssertionError

    socket = connect("db.example:1", connector=never, connect_timeout=None)
    waiting = asyncio.create_task(open_socket(socket))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(SocketClosed):
        await socket.opened
    await socket.closed


def reading(writer: asyncio.StreamWriter) -> bool:
    return cast("asyncio.Transport", writer.transport).is_reading()


# as_socket().


async def test_a_socket_is_returned_as_it_is() -> None:
    left, right = memory_pair()
    assert as_socket(left) is left
    left.abort()
    await right.closed


@pytest.mark.both_loops
async def test_a_stdlib_socket() -> None:
    async with socket_pair() as (ours, peer):
        async with as_socket(ours) as socket:
            assert socket.remote_address == f"127.0.0.1:{ours.getpeername()[1]}"
            peer.send(b"hello")
            assert await socket.read() == b"hello"
        assert await asyncio.to_thread(peer.recv, 1) == b""


@pytest.mark.both_loops
async def test_a_unix_socket() -> None:
    ours, peer = stdlib_socket.socketpair()
    with peer:
        async with as_socket(ours, remote_address="sidecar", timeout=0.01) as socket:
            assert socket.remote_address == "sidecar"
            with pytest.raises(TimeoutError):
                await socket.read()
    unnamed, peer = stdlib_socket.socketpair()
    with peer:
        async with as_socket(unnamed) as socket:
            assert socket.remote_address == "an unnamed peer"


@pytest.mark.both_loops
async def test_an_adopted_socket_can_be_upgraded(make: Workshop) -> None:
    async with socket_pair() as (ours, peer):
        client = as_socket(ours, secure_transport="starttls")
        server = make.serve_tls(as_socket(peer.dup()))
        await client.opened
        with pytest.raises(AddressError, match="server_hostname"):
            client.start_tls(ssl_context=client_context(make.authority))
        upgraded = client.start_tls(
            ssl_context=client_context(make.authority), server_hostname="localhost"
        )
        make.keep(upgraded)
        await upgraded.write(b"x")
        assert await server.read() == b"x"


async def test_what_is_no_connected_stream_socket_is_refused() -> None:
    with stdlib_socket.socket() as unconnected, pytest.raises(AddressError, match="not connected"):
        as_socket(unconnected)
    with (
        stdlib_socket.socket(type=stdlib_socket.SOCK_DGRAM) as datagrams,
        pytest.raises(AddressError, match="stream"),
    ):
        as_socket(datagrams)
    async with socket_pair() as (ours, _):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with (
            context.wrap_socket(ours, do_handshake_on_connect=False) as tls,
            pytest.raises(AddressError, match="start_tls"),
        ):
            as_socket(tls)
    wrong: Any
    for wrong in (None, "localhost:1", (1, 2), (1, 2, 3), object()):
        with pytest.raises(TypeError, match="a socket is"):
            as_socket(wrong)


@pytest.mark.both_loops
async def test_an_asyncio_transport() -> None:
    async with socket_pair() as (ours, peer):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        socket = as_socket(transport)
        peer.send(b"hello")
        assert await socket.read() == b"hello"
        assert socket.secure_transport == "off"
        await socket.close()
        with pytest.raises(AddressError, match="closed"):
            as_socket(transport)


@pytest.mark.both_loops
async def test_an_asyncio_transport_that_is_paused() -> None:
    async with socket_pair() as (ours, peer):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.pause_reading()
        socket = as_socket(transport)
        peer.send(b"hello")
        assert await socket.read() == b"hello"
        await socket.close()


@pytest.mark.both_loops
async def test_a_transport_that_is_tls_already(make: Workshop) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Streamed, "127.0.0.1", 0, ssl=make.authority.server_context())
    transport, _ = await loop.create_connection(
        asyncio.Protocol,
        *server.sockets[0].getsockname(),
        ssl=client_context(make.authority),
        server_hostname="localhost",
    )
    socket = as_socket(transport)
    assert socket.secure_transport == "on"
    assert socket.info.tls_version == "TLSv1.3"
    with pytest.raises(AddressError, match="TLS socket already"):
        socket.start_tls()
    with pytest.raises(NotImplementedError):
        await socket.write_eof()
    await socket.close()
    server.close()


@pytest.mark.both_loops
async def test_asyncio_streams_with_what_their_reader_holds() -> None:
    async with socket_pair() as (ours, peer):
        reader, writer = await asyncio.open_connection(sock=ours)
        peer.send(b"line\nunread")
        assert await reader.readline() == b"line\n"
        socket = as_socket((reader, writer))
        assert await socket.read() == b"unread"
        peer.send(b"more")
        assert await socket.read() == b"more"
        # Nobody holds the writer any more, and the socket stays open.
        del reader, writer
        gc.collect()
        peer.send(b"still open")
        assert await socket.read() == b"still open"
        await socket.close()


@pytest.mark.both_loops
async def test_asyncio_streams_whose_reader_has_paused_the_transport() -> None:
    async with socket_pair() as (ours, peer):
        reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
        data = bytes(range(256)) * 1000
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, data))
        await until(lambda: not reading(writer))
        socket = as_socket((reader, writer))
        assert await socket.read_exactly(len(data)) == data
        await sending
        await socket.close()


@pytest.mark.both_loops
async def test_asyncio_streams_for_starttls_read_on_demand() -> None:
    async with socket_pair() as (ours, peer):
        reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
        peer.send(bytes(5000))
        await until(lambda: not reading(writer))
        socket = as_socket((reader, writer), secure_transport="starttls")
        assert not reading(writer)
        assert await socket.read_exactly(5000) == bytes(5000)
        assert not reading(writer)
        await socket.close()


@pytest.mark.both_loops
async def test_asyncio_streams_that_have_ended() -> None:
    async with socket_pair() as (ours, peer):
        reader, writer = await asyncio.open_connection(sock=ours)
        peer.send(b"last")
        peer.shutdown(stdlib_socket.SHUT_WR)
        await until(lambda: cast("Any", reader)._eof)
        socket = as_socket((reader, writer))
        assert await socket.read() == b"last"
        assert await socket.read() == b""
        await socket.closed
        with pytest.raises(ConnectionLost):
            await socket.write(b"x")
        with pytest.raises(AddressError, match="closed"):
            as_socket((reader, writer))


@pytest.mark.parametrize(
    "options",
    [
        {"connect_timeout": "5"},
        {"timeout": -1},
        {"close_timeout": None},
        {"high_water_mark": -1},
        {"secure_transport": "on", "alpn": "h2"},
        {"secure_transport": "on", "ssl_context": "x"},
    ],
)
async def test_options_that_cannot_be(options: Any) -> None:
    with pytest.raises(AddressError):
        connect("localhost:1", **options)
