"""Blocking commands that are cancelled at any moment lose nothing, and double nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.interop.redis.fake_server import Command, FakeServer
from tests.interop.redis.helpers import (
    Client,
    connections_named,
    eventually,
    on_socket,
    oracle,
    reconnecting,
    turns,
)
from tests.servers import RunningServer
from wirekit import SocketClosed
from wirekit.adapters.redis import _commands as commands_module
from wirekit.adapters.redis import _salvage as salvage_module
from wirekit.protocols.resp import encode


@dataclass(frozen=True)
class Queue:
    """A command that pops: how to put an item in, take one out, and see those that are left."""

    put: Callable[[Any, str], object]
    take: Callable[[Client, float], Awaitable[list[str]]]
    left: Callable[[Any], list[str]]


async def _blpop(client: Client, timeout: float) -> list[str]:
    reply: Any = await client.blpop(["q"], timeout=timeout)
    return [] if reply is None else [reply[1]]


async def _brpop(client: Client, timeout: float) -> list[str]:
    reply: Any = await client.brpop(["nothing", "q"], timeout=timeout)
    return [] if reply is None else [reply[1]]


async def _blmpop(client: Client, timeout: float) -> list[str]:
    reply: Any = await client.blmpop(timeout, 2, "nothing", "q", direction="RIGHT", count=3)
    return [] if reply is None else list(reply[1])


async def _bzpopmin(client: Client, timeout: float) -> list[str]:
    reply: Any = await client.bzpopmin(["q"], timeout=timeout)
    return [] if reply is None else [reply[1]]


async def _bzmpop(client: Client, timeout: float) -> list[str]:
    reply: Any = await client.bzmpop(timeout, 1, ["q"], max=True, count=2)
    return [] if reply is None else [member for member, _ in reply[1]]


def _list(admin: Any) -> list[str]:
    return [item.decode() for item in admin.lrange("q", 0, -1)]


def _sorted_set(admin: Any) -> list[str]:
    return [item.decode() for item in admin.zrange("q", 0, -1)]


QUEUES = {
    "blpop": Queue(lambda admin, item: admin.rpush("q", item), _blpop, _list),
    "brpop": Queue(lambda admin, item: admin.lpush("q", item), _brpop, _list),
    "blmpop": Queue(lambda admin, item: admin.rpush("q", item), _blmpop, _list),
    "bzpopmin": Queue(lambda admin, item: admin.zadd("q", {item: 1.5}), _bzpopmin, _sorted_set),
    "bzmpop": Queue(lambda admin, item: admin.zadd("q", {item: 1.5}), _bzmpop, _sorted_set),
}
ITEMS = 400
CONSUMERS = 6


async def consume(
    client: Client,
    take: Callable[[Client, float], Awaitable[list[str]]],
    delivered: list[str],
    rng: random.Random,
) -> None:
    while True:
        try:
            async with asyncio.timeout(rng.choice((0, 0.001, 0.002, 0.005, None))):
                delivered += await take(client, rng.choice((0, 0.02, 3)))
        except TimeoutError:
            pass


async def produce(put: Callable[[Any, str], object], admin: Any, rng: random.Random) -> None:
    number = 0
    while number < ITEMS:
        for _ in range(min(rng.randrange(1, 6), ITEMS - number)):
            put(admin, f"item {number}")
            number += 1
        await asyncio.sleep(rng.choice((0, 0, 0.001, 0.004)))


async def run_consumers(
    client: Client,
    take: Callable[[Client, float], Awaitable[list[str]]],
    production: Awaitable[None],
    rng: random.Random,
) -> list[str]:
    """Return what consumers got that were cancelled again and again."""
    delivered: list[str] = []
    consumers = [
        asyncio.create_task(consume(client, take, delivered, rng)) for _ in range(CONSUMERS)
    ]

    async def disturb() -> None:
        while True:
            await asyncio.sleep(0.001)
            victim = rng.randrange(CONSUMERS)
            consumers[victim].cancel()
            await asyncio.wait([consumers[victim]])
            consumers[victim] = asyncio.create_task(consume(client, take, delivered, rng))

    disturber = asyncio.create_task(disturb())
    try:
        await production
        await asyncio.sleep(0.05)
    finally:
        for task in (disturber, *consumers):
            task.cancel()
        outcomes = await asyncio.gather(disturber, *consumers, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, asyncio.CancelledError), outcome
    return delivered


@pytest.mark.parametrize("carrier", [reconnecting, on_socket])
@pytest.mark.parametrize("command", QUEUES)
async def test_cancelled_pops_lose_and_double_nothing(
    server: RunningServer,
    command: str,
    carrier: Callable[..., Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A client on one socket lets others in between slices; shorter ones make more of them.
    monkeypatch.setattr(commands_module, "_SLICE", 0.02)
    queue, rng = QUEUES[command], random.Random(command)
    with oracle(server, flush=True) as admin:
        client = carrier(server, client_name="pops", decode_responses=True)
        async with client:
            production = produce(queue.put, admin, rng)
            delivered = await run_consumers(client, queue.take, production, rng)
            assert await client.ping()
        left = queue.left(admin)
        assert sorted([*delivered, *left]) == sorted(f"item {n}" for n in range(ITEMS))
        assert delivered
        await eventually(lambda: not connections_named(admin, "pops"))


@pytest.mark.parametrize("carrier", [reconnecting, on_socket])
async def test_cancelled_moves_lose_and_double_nothing(
    server: RunningServer, carrier: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "_SLICE", 0.02)
    rng = random.Random(11)

    async def take(client: Client, timeout: float) -> list[str]:
        reply: Any = await client.blmove("q", "done", timeout)
        return [] if reply is None else [reply]

    with oracle(server, flush=True) as admin:
        async with carrier(server, client_name="moves", decode_responses=True) as client:
            production = produce(lambda a, item: a.rpush("q", item), admin, rng)
            delivered = await run_consumers(client, take, production, rng)
        lists: Any = [admin.lrange("q", 0, -1), admin.lrange("done", 0, -1)]
        waiting, done = ([item.decode() for item in items] for items in lists)
        assert sorted([*waiting, *done]) == sorted(f"item {n}" for n in range(ITEMS))
        assert len(set(delivered)) == len(delivered)
        assert set(delivered) <= set(done)
        assert delivered


@pytest.mark.parametrize("carrier", [reconnecting, on_socket])
async def test_cancelled_group_reads_lose_and_double_nothing(
    server: RunningServer, carrier: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_module, "_SLICE", 0.02)
    rng = random.Random(12)

    async def take(client: Client, timeout: float) -> list[str]:
        reply: Any = await client.xreadgroup(
            "group", "me", {"q": ">"}, count=2, block=int(timeout * 1000)
        )
        return [fields["item"] for _, entries in reply for _, fields in entries]

    with oracle(server, flush=True) as admin:
        admin.xgroup_create("q", "group", mkstream=True)
        async with carrier(server, client_name="groups", decode_responses=True) as client:
            production = produce(lambda a, item: a.xadd("q", {"item": item}), admin, rng)
            delivered = await run_consumers(client, take, production, rng)
        entries: Any = admin.xrange("q")
        assert len(entries) == ITEMS
        assert len(set(delivered)) == len(delivered)
        assert delivered
        # What was read for a caller who left waits in the group's list, to be claimed.
        item_of = {identifier: fields[b"item"].decode() for identifier, fields in entries}
        pending: Any = admin.xpending_range("q", "group", "-", "+", ITEMS)
        assert set(delivered) <= {item_of[entry["message_id"]] for entry in pending}
        await eventually(lambda: not connections_named(admin, "groups"))


async def test_a_task_whose_pop_timed_out_goes_on_with_the_only_socket(
    server: RunningServer,
) -> None:
    with oracle(server, flush=True) as admin:
        async with on_socket(server) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.blpop(["q"], timeout=0)
            assert await client.rpush("q", "item") == 1
        assert admin.lrange("q", 0, -1) == [b"item"]


async def test_close_while_connections_are_being_opened(server: RunningServer) -> None:
    with oracle(server, flush=True) as admin:
        for pause in (*range(12), None):
            client = reconnecting(server, client_name="closing")
            await client.open()
            waiting = [asyncio.create_task(client.blpop(["q"], timeout=0)) for _ in range(4)]
            if pause is None:
                await eventually(lambda: len(connections_named(admin, "closing")) == 5)
            else:
                await turns(pause)
            await client.aclose()
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, SocketClosed), repr(outcome)
            await eventually(lambda: not connections_named(admin, "closing"))


# Servers that make it hard ----------------------------------------------------------------------


@pytest.mark.parametrize("reply", [b":5\r\n", b"*1\r\n:5\r\n", b"*0\r\n", b"*2\r\n%0\r\n*0\r\n"])
async def test_nothing_to_put_back_in_the_reply_to_a_cancelled_pop(
    reply: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    unblocked = asyncio.Event()

    async def answer(command: Command) -> bytes:
        if command[0] == b"BLPOP":
            await unblocked.wait()
            return reply
        if command[:2] == [b"CLIENT", b"UNBLOCK"]:
            unblocked.set()
        return encode(command[-1]) if command[0] == b"GET" else b":1\r\n"

    async with FakeServer(answer) as server, server.client() as client:
        wait = asyncio.create_task(client.blpop(["q"], timeout=0))
        await eventually(lambda: [b"BLPOP", b"q", b"0"] in server.received)
        wait.cancel()
        await asyncio.wait([wait])
        assert await client.get("a") == b"a"
        await eventually(lambda: not client._salvage._tasks)
    # Nobody else is left whom it could be told.
    (record,) = caplog.records
    assert "could not be put back" in record.getMessage()
    caplog.clear()


async def test_an_unblocking_that_overtook_its_command() -> None:
    """It comes by another connection, so the server may see it first; then it is said again."""
    unblocked = asyncio.Event()
    asked = 0

    async def answer(command: Command) -> bytes:
        nonlocal asked
        if command[0] == b"BLPOP":
            await unblocked.wait()
            return encode([b"q", b"item"])
        if command[:2] == [b"CLIENT", b"UNBLOCK"]:
            asked += 1
            if asked == 3:
                unblocked.set()
            return encode(int(asked == 3))
        return b":1\r\n"

    async with FakeServer(answer) as server, server.client() as client:
        wait = asyncio.create_task(client.blpop(["q"], timeout=0))
        await eventually(lambda: [b"BLPOP", b"q", b"0"] in server.received)
        wait.cancel()
        await asyncio.wait([wait])
    assert asked == 3
    assert server.received[-1] == [b"LPUSH", b"q", b"item"]


async def test_a_shared_connection_that_is_stuck_costs_no_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait cannot be ended in time, but ends by itself: what was popped is put back."""
    monkeypatch.setattr(salvage_module, "_PATIENCE", 0.05)
    arrived = asyncio.Event()

    async def answer(command: Command) -> bytes:
        if command[0] == b"BLPOP":
            await arrived.wait()
            return encode([b"q", b"item"])
        return b"" if command[0] == b"CLIENT" else b":1\r\n"

    async with FakeServer(answer) as server, server.client() as client:
        wait = asyncio.create_task(client.blpop(["q"], timeout=0))
        await eventually(lambda: [b"BLPOP", b"q", b"0"] in server.received)
        wait.cancel()
        await asyncio.wait([wait])
        await asyncio.sleep(0.02)
        arrived.set()
        await eventually(lambda: [b"LPUSH", b"q", b"item"] in server.received)
