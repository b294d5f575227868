from __future__ import annotations

import asyncio
import socket as stdlib_socket
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio

from wirekit import AddressError, BlockedError, ConnectRefused, ConnectTimeout, SocketClosed
from wirekit.sockets import AddressLike, Policy, Scope, Socket, as_socket, memory_pair

from .carriers import Workshop, client_context
from .protocols import Streamed

pytestmark = pytest.mark.both_loops


@pytest_asyncio.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    """Where a listener is that never says anything."""
    with stdlib_socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_all_sockets_end_with_the_scope(address: tuple[str, int]) -> None:
    async with Scope() as scope:
        sockets = [scope.connect(address) for _ in range(3)]
        await sockets[0].opened
        sockets[1].close()
    for socket in sockets:
        assert socket.closed.done()
        with pytest.raises(SocketClosed):
            await socket.read()
    with pytest.raises(SocketClosed, match="scope is not open"):
        scope.connect(address)


async def test_a_scope_has_to_be_entered(address: tuple[str, int]) -> None:
    with pytest.raises(SocketClosed):
        Scope().connect(address)


async def test_an_exception_ends_them_too(address: tuple[str, int]) -> None:
    sockets: list[Socket] = []

    async def use() -> None:
        async with Scope() as scope:
            sockets.append(scope.connect(address))
            await sockets[0].opened
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()
    assert sockets[0].closed.done()
    assert isinstance(sockets[0].close_reason, ZeroDivisionError)


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_cancelled_scope_ends_them_too(cancels: int) -> None:
    left, right = memory_pair(close_timeout=100)
    right.attach(Streamed(paused=True))
    sockets: list[Socket] = []

    async def connector(address: AddressLike) -> Socket:
        return left

    async def use() -> None:
        async with Scope() as scope:
            sockets.append(scope.connect("db.example:1", connector=connector, close_timeout=0.5))
            await sockets[0].write(bytes(1_000_000))

    task = asyncio.create_task(use())
    await turns()
    for _ in range(cancels):
        task.cancel()
        await turns(3)
    with pytest.raises(asyncio.CancelledError):
        await task
    await sockets[0].closed
    await left.closed
    await right.closed


async def test_the_end_is_bounded_for_a_peer_that_never_reads() -> None:
    left, right = memory_pair()
    right.attach(Streamed(paused=True))

    async def connector(address: AddressLike) -> Socket:
        return left

    async with Scope() as scope:
        socket = scope.connect("db.example:1", connector=connector, close_timeout=0.02)
        writing = asyncio.create_task(socket.write(bytes(1_000_000)))
        await turns()
        assert not writing.done()
    with pytest.raises(SocketClosed):
        await writing
    assert left.closed.done()


async def test_the_next_socket_waits_for_its_turn(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=2) as scope:
        first, second, third, fourth = [scope.connect(address) for _ in range(4)]
        await first.opened
        await second.opened
        await turns()
        assert not third.opened.done()
        await first.close()
        await third.opened
        await turns()
        assert not fourth.opened.done()
        second.abort()
        await fourth.opened


async def test_a_socket_that_gives_up_waiting_frees_the_queue(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=1) as scope:
        first, second, third = [scope.connect(address) for _ in range(3)]
        await first.opened
        await second.close()
        with pytest.raises(SocketClosed):
            await second.opened
        await first.close()
        await third.opened


async def test_waiting_counts_towards_the_connect_timeout(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=1) as scope:
        first = scope.connect(address)
        with pytest.raises(ConnectTimeout):
            await scope.connect(address, connect_timeout=0.01).opened
        await first.close()
        await scope.connect(address).opened


async def test_a_failure_gives_its_place_back(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=1) as scope:
        for _ in range(3):
            with pytest.raises(ConnectRefused):
                await scope.connect("127.0.0.1:1").opened
        await scope.connect(address).opened


async def test_the_peers_end_gives_the_place_back() -> None:
    async with Scope(max_sockets=1) as scope:
        for _ in range(3):
            with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
                socket = scope.connect(listener.getsockname())
                await socket.opened
                listener.accept()[0].close()
                await socket.closed


async def test_an_upgraded_socket_keeps_its_place_and_ends_with_the_scope(make: Workshop) -> None:
    context = client_context(make.authority)
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with Scope(max_sockets=1) as scope:
            plain = scope.connect(
                listener.getsockname(), secure_transport="starttls", ssl_context=context
            )
            await plain.opened
            accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
            server = make.serve_tls(as_server(accepted, make))
            upgraded = plain.start_tls()
            await upgraded.opened
            assert plain.closed.done()
            next_one = scope.connect(listener.getsockname())
            await turns()
            assert not next_one.opened.done()
        assert upgraded.closed.done()
        assert await server.read() == b""  # by close_notify: it was closed as it should be


def as_server(accepted: stdlib_socket.socket, make: Workshop) -> Socket:
    server = as_socket(accepted)
    make.keep(server)
    return server


async def test_an_upgrade_at_the_very_end_does_not_outlive_the_scope(
    address: tuple[str, int], make: Workshop
) -> None:
    async with Scope() as scope:
        plain = scope.connect(
            address, secure_transport="starttls", ssl_context=client_context(make.authority)
        )
        await plain.opened
        upgraded = plain.start_tls()
    assert upgraded.closed.done()


async def test_an_attached_socket_ends_with_the_scope(address: tuple[str, int]) -> None:
    protocol = Streamed()
    async with Scope() as scope:
        socket = scope.connect(address)
        await socket.opened
        socket.attach(protocol)
    assert protocol.lost.is_set()


async def test_its_connector_makes_open_sockets_that_belong_to_it(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=1) as scope:
        connector = scope.connector(timeout=0.01)
        socket = await connector(address)
        assert socket.opened.done()
        waiting = asyncio.create_task(open_one(connector(address)))
        await turns()
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await socket.close()
        last = await connector(address)
    assert last.closed.done()
    with pytest.raises(SocketClosed):
        await connector(address)


async def open_one(connecting: Awaitable[Socket]) -> Socket:
    return await connecting


async def test_the_policy_of_the_scope_holds_for_all(address: tuple[str, int]) -> None:
    async with Scope(policy=Policy.public_only()) as scope:
        for target in (address, "localhost:5432", "/run/db.sock"):
            with pytest.raises(BlockedError):
                await scope.connect(target).opened
        with pytest.raises(AddressError, match="the scope has a policy"):
            scope.connect(address, policy=Policy.any())

        async def connector(target: AddressLike) -> Socket:
            raise AssertionError

        with pytest.raises(BlockedError):
            await scope.connect("localhost:1", connector=connector).opened
    async with Scope() as scope:
        with pytest.raises(BlockedError):
            await scope.connect(address, policy=Policy.public_only()).opened


@pytest.mark.parametrize("number", [0, -1])
async def test_a_scope_has_room_for_one_at_least(number: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Scope(max_sockets=number)


async def test_a_wrong_address_is_told_at_once_and_takes_no_place(address: tuple[str, int]) -> None:
    async with Scope(max_sockets=1) as scope:
        with pytest.raises(AddressError):
            scope.connect("no port")
        await scope.connect(address).opened
