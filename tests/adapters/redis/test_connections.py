from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.exceptions

import wirekit
from tests.interop.redis.fake_server import OK, FakeServer
from tests.interop.redis.helpers import eventually
from wirekit.adapters.redis._connections import Connections
from wirekit.adapters.redis._settings import Settings
from wirekit.sockets import Backoff, Socket


class Dialler:
    """Leads to a server, or fails as told."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.failures: list[Exception] = []
        self.calls = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> Socket:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return self.server.socket()


def made(dial: Any = None, socket: Socket | None = None, **options: Any) -> Connections:
    arguments: dict[str, Any] = {
        "max_dedicated": 2,
        "attempts": 3,
        "backoff": Backoff(initial=0.001, maximum=0.001),
        "on_push": list[Any],
        "on_renewed": lambda: None,
    }
    return Connections(Settings(), socket=socket, dial=dial, **{**arguments, **options})


def server() -> FakeServer:
    return FakeServer(lambda command: OK)


async def test_not_open_yet() -> None:
    async with server() as fake:
        connections = made(Dialler(fake))
        for use in (connections.ready, connections.acquire):
            with pytest.raises(wirekit.SocketClosed, match=r"await client\.open\(\)") as caught:
                await use()
            assert isinstance(caught.value, redis.exceptions.ConnectionError)
        await connections.aclose()


async def test_opened_once_by_many() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        connections = made(dial)
        await asyncio.gather(connections.open(), connections.open(), connections.open())
        assert dial.calls == 1
        assert await connections.ready() is connections.current is connections.shared
        await connections.aclose()


async def test_opening_is_tried_once() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        dial.failures = [wirekit.ConnectRefused("no")]
        connections = made(dial)
        with pytest.raises(wirekit.ConnectRefused):
            await connections.open()
        await connections.open()
        assert dial.calls == 2
        await connections.aclose()


async def test_a_socket_serves_for_one_attempt() -> None:
    async with FakeServer(lambda command: OK, opening=lambda command: b"-ERR no\r\n") as fake:
        connections = made(socket=fake.socket())
        with pytest.raises(redis.exceptions.ResponseError):
            await connections.open()
        with pytest.raises(wirekit.SocketClosed, match="used up"):
            await connections.open()
        await connections.aclose()


async def test_closed_while_opening() -> None:
    async with FakeServer(lambda command: OK, opening=lambda command: b"") as fake:
        connections = made(socket=fake.socket())
        opening = asyncio.create_task(connections.open())
        await asyncio.sleep(0.01)
        await connections.aclose()
        with pytest.raises(wirekit.TransportError):
            await opening


async def test_renewed_when_lost() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        renewals: list[int] = []
        connections = made(dial, on_renewed=lambda: renewals.append(dial.calls))
        await connections.open()
        before = connections.shared
        fake.sockets[-1].abort()
        await eventually(lambda: connections.current is None)
        dial.failures = [wirekit.ConnectRefused("no"), wirekit.ConnectRefused("no")]
        found = await asyncio.gather(connections.ready(), connections.ready())
        assert found[0] is found[1] is connections.current
        assert connections.shared is not before
        assert dial.calls == 4
        assert renewals == [1, 1, 4]
        await connections.aclose()


@pytest.mark.parametrize(
    ("failure", "calls"),
    [
        (wirekit.ConnectRefused("no"), 3),
        (wirekit.BlockedError("no"), 1),
        (wirekit.TLSError("no"), 1),
    ],
)
@pytest.mark.parametrize("use", ["ready", "acquire"])
async def test_attempts_are_counted(failure: wirekit.Error, calls: int, use: str) -> None:
    async with server() as fake:
        dial = Dialler(fake)
        connections = made(dial)
        await connections.open()
        fake.sockets[-1].abort()
        await eventually(lambda: connections.current is None)
        dial.calls, dial.failures = 0, list[Exception]([failure] * 10)
        with pytest.raises(type(failure)) as caught:
            await getattr(connections, use)()
        assert isinstance(caught.value, redis.exceptions.RedisError)
        assert dial.calls == calls
        dial.failures = []
        await connections.ready()
        await connections.aclose()


async def test_leases_are_counted_and_reused() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        connections = made(dial)
        await connections.open()
        first, second = await connections.acquire(), await connections.acquire()
        third = asyncio.create_task(connections.acquire())
        await asyncio.sleep(0.01)
        assert not third.done()
        connections.release(first)
        connections.release(first)  # once too often
        assert await third is first
        fourth = asyncio.create_task(connections.acquire())
        await asyncio.sleep(0.01)
        assert not fourth.done()
        connections.release(second, reusable=False)
        assert await fourth is not second
        assert second.error is not None
        assert dial.calls == 4
        await connections.aclose()


async def test_a_lease_whose_making_was_cancelled_leaves_no_trace() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        connections = made(dial, max_dedicated=1)
        await connections.open()
        dial.gate = asyncio.Event()
        for _ in range(3):
            task = asyncio.create_task(connections.acquire())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        dial.gate = None
        connections.release(await connections.acquire())
        await connections.aclose()


async def test_what_is_given_back_with_a_reply_on_its_way_serves_again() -> None:
    async with server() as fake:
        connections = made(Dialler(fake))
        await connections.open()
        lent = await connections.acquire()
        lent.send(["UNWATCH"]).cancel()
        connections.release(lent)
        assert await connections.acquire() is lent
        assert await lent.send(["PING"]) == b"OK"
        connections.release(lent)
        fake.sockets[-1].abort()
        await eventually(lambda: lent.error is not None)
        assert await connections.acquire() is not lent
        await connections.aclose()


async def test_a_release_restores_the_connection() -> None:
    async with server() as fake:
        connections = made(socket=fake.socket())
        await connections.open()
        lent: Any = await connections.acquire()
        lent.set_timeout(None)
        connections.release(lent)
        assert lent._timeout == Settings().timeout
        assert lent._guest is None
        await connections.aclose()


async def test_the_only_connection_is_taken_in_turn() -> None:
    async with server() as fake:
        connections = made(socket=fake.socket())
        await connections.open()
        lent = await connections.acquire()
        assert lent is connections.shared
        assert connections.current is None
        order: list[str] = []

        async def use(name: str) -> None:
            await connections.ready()
            order.append(name)

        async def lease(name: str) -> None:
            connections.release(await connections.acquire())
            order.append(name)

        tasks = [asyncio.create_task(lease("lease")), asyncio.create_task(use("use"))]
        await asyncio.sleep(0.01)
        assert order == []
        connections.release(lent)
        await asyncio.gather(*tasks)
        assert sorted(order) == ["lease", "use"]
        assert connections.current is lent
        await connections.aclose()


async def test_who_holds_the_only_connection_does_not_wait_for_itself() -> None:
    async with server() as fake:
        connections = made(socket=fake.socket())
        await connections.open()
        lent = await connections.acquire()
        for use in (connections.ready, connections.acquire):
            with pytest.raises(wirekit.BusyError, match="this task has taken") as caught:
                await use()
            assert isinstance(caught.value, redis.exceptions.RedisError)
        connections.release(lent)
        assert await connections.ready() is lent
        await connections.aclose()


async def test_nobody_waits_for_a_task_that_has_ended() -> None:
    async with server() as fake:
        connections = made(socket=fake.socket())
        await connections.open()
        await asyncio.create_task(connections.acquire())
        with pytest.raises(wirekit.BusyError, match="a task that has ended"):
            await connections.ready()
        await connections.aclose()


async def test_a_lease_handed_over() -> None:
    async with server() as fake:
        connections = made(socket=fake.socket())
        await connections.open()
        lent = await connections.acquire()
        done = asyncio.Event()

        async def give_back() -> None:
            await done.wait()
            connections.release(lent)

        task = asyncio.create_task(give_back())
        connections.hand_over(lent, task)
        asyncio.get_running_loop().call_soon(done.set)
        assert await connections.ready() is lent
        await task
        await connections.aclose()


@pytest.mark.parametrize("end", ["closed", "lost"])
@pytest.mark.parametrize("own", [True, False])
async def test_nobody_waits_for_what_will_not_come(end: str, own: bool) -> None:
    async with server() as fake:
        connections = made(socket=fake.socket()) if own else made(Dialler(fake), max_dedicated=1)
        await connections.open()
        await connections.acquire()
        waiting = [asyncio.create_task(connections.acquire()) for _ in range(3)]
        if own:
            waiting += [asyncio.create_task(connections.ready()) for _ in range(3)]
        await asyncio.sleep(0.01)
        if end == "closed":
            await connections.aclose()
        else:
            fake.sockets[0].abort()
        if end == "lost" and not own:
            # The shared connection went, not the lent one: they go on waiting.
            await asyncio.sleep(0.01)
            assert not any(task.done() for task in waiting)
            await connections.aclose()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, wirekit.TransportError)
        await connections.aclose()


async def test_closed_while_dialling() -> None:
    async with server() as fake:
        dial = Dialler(fake)
        connections = made(dial)
        await connections.open()
        fake.sockets[-1].abort()
        await eventually(lambda: connections.current is None)
        gate = dial.gate = asyncio.Event()
        waiting = asyncio.create_task(connections.ready())
        leasing = asyncio.create_task(connections.acquire())
        await asyncio.sleep(0.01)
        await connections.aclose()
        with pytest.raises(wirekit.SocketClosed):
            await waiting
        gate.set()
        with pytest.raises(wirekit.SocketClosed):
            await leasing
        with pytest.raises(wirekit.SocketClosed):
            await connections.open()


async def test_closing_twice_and_half_way() -> None:
    async with server() as fake:
        connections = made(Dialler(fake))
        await connections.open()
        lent = await connections.acquire()
        shared = await connections.ready()
        closing = asyncio.create_task(connections.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        # All were closed before the first was waited for.
        assert isinstance(lent.error, wirekit.SocketClosed)
        assert isinstance(shared.error, wirekit.SocketClosed)
        connections.release(lent)
        await connections.aclose()
        await connections.aclose()


async def test_nobody_waits_for_ever_for_a_connection_of_his_own() -> None:
    arguments: dict[str, Any] = {"max_dedicated": 1, "attempts": 1, "backoff": Backoff()}
    connections = Connections(
        Settings(timeout=0.1),
        socket=None,
        dial=Dialler(server()),
        on_push=lambda push: None,
        on_renewed=lambda: None,
        **arguments,
    )
    await connections.open()
    first = await connections.acquire()
    with pytest.raises(wirekit.BusyError, match="max_dedicated"):
        await connections.acquire()
    connections.release(first)
    assert await connections.acquire() is first
    await connections.aclose()
