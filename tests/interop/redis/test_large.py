"""Large values and long queues: everything arrives, and memory stays within what was handed in."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from tests.interop.redis.helpers import (
    on_socket,
    oracle,
    reconnecting,
    shared_connection,
    stopped,
    turns,
)
from tests.servers import RunningServer

MEBIBYTE = 1024 * 1024
LARGE = 64 * MEBIBYTE


@pytest.mark.both_loops
async def test_a_large_value_beside_small_commands(server: RunningServer) -> None:
    value = memoryview(bytes(range(256)) * (LARGE // 256))
    with oracle(server, flush=True):
        async with on_socket(server) as client:
            tracemalloc.start()
            try:
                small = [client.incr(f"small:{number % 10}") for number in range(100)]
                stored, *_ = await asyncio.gather(client.set("large", value), *small)
                assert stored is True
                # Sent in slices out of the caller's own memory, not as a copy.
                assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE

                small = [client.incr(f"small:{number % 10}") for number in range(100)]
                got, *_ = await asyncio.gather(client.get("large"), *small)
                # The pieces as they came, and the value that they were joined to.
                assert tracemalloc.get_traced_memory()[1] < 2 * LARGE + 8 * MEBIBYTE
                assert got == value
                del got
                await turns(2)
                assert tracemalloc.get_traced_memory()[0] < 8 * MEBIBYTE
            finally:
                tracemalloc.stop()
            assert await client.mget([f"small:{number}" for number in range(10)]) == [b"20"] * 10
            await client.delete("large")


async def test_many_large_values_at_once(server: RunningServer) -> None:
    value = bytes(MEBIBYTE)
    with oracle(server, flush=True):
        async with reconnecting(server) as client:
            tracemalloc.start()
            try:
                await asyncio.gather(*(client.set(f"large:{n}", value) for n in range(200)))
                assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
            finally:
                tracemalloc.stop()
            lengths = await asyncio.gather(*(client.strlen(f"large:{n}") for n in range(200)))
            assert lengths == [MEBIBYTE] * 200


@pytest.mark.both_loops
async def test_a_large_pipeline(server: RunningServer) -> None:
    with oracle(server, flush=True):
        async with on_socket(server) as client:
            pipe = client.pipeline(transaction=True)
            for number in range(20_000):
                pipe.set(f"key:{number}", number)
            assert await pipe.execute() == [True] * 20_000
            pipe = client.pipeline(transaction=False)
            for number in range(20_000):
                pipe.get(f"key:{number}")
            beside = [asyncio.create_task(client.echo(str(number))) for number in range(10)]
            assert await pipe.execute() == [b"%d" % number for number in range(20_000)]
            assert await asyncio.gather(*beside) == [b"%d" % number for number in range(10)]


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["stopped", "paused"])
async def test_many_commands_while_the_server_does_not_answer(
    server: RunningServer, how: str
) -> None:
    """10 000 callers; where the server takes no bytes, those who come late wait with theirs."""
    size = 10_000
    with oracle(server, flush=True) as admin:
        async with on_socket(server) as client:

            async def append(number: int) -> int:
                # Made when it is this caller's turn, as by someone who waits for each before.
                result: int = await client.append(f"key:{number % 100}", b"%d " % number * 4)
                return result

            if how == "paused":
                admin.client_pause(300, all=True)
                results = await asyncio.gather(*(append(number) for number in range(size)))
                assert len(results) == size
            else:
                with stopped(server):
                    filling = [
                        asyncio.create_task(client.set(f"fill:{n}", bytes(MEBIBYTE)))
                        for n in range(16)
                    ]
                    await turns(5)
                    connection = shared_connection(client)
                    assert connection.congested
                    tracemalloc.start()
                    tasks = [asyncio.create_task(append(number)) for number in range(size)]
                    await asyncio.sleep(0.3)
                    held = tracemalloc.get_traced_memory()[0]
                    tracemalloc.stop()
                    # They wait: nothing of theirs was packed or queued.
                    assert len(connection._pending) == 16
                    assert held < 60 * MEBIBYTE  # 10 000 tasks and what they wait with
                assert len(await asyncio.gather(*tasks)) == size
                assert await asyncio.gather(*filling) == [True] * 16
            assert connection_is_clear(client)
            lengths = await asyncio.gather(*(client.strlen(f"key:{n}") for n in range(100)))
            expected = sum(4 * len(b"%d " % number) for number in range(size))
            assert sum(lengths) == expected


def connection_is_clear(client: object) -> bool:
    connection = shared_connection(client)
    return connection.idle and not connection._out and not connection._writable_waiters


async def test_replies_that_nobody_can_keep_up_with(server: RunningServer) -> None:
    """Large replies to many callers who left: they are read, and dropped one by one."""
    with oracle(server, flush=True) as admin:
        admin.set("large", bytes(MEBIBYTE))
        async with on_socket(server) as client:
            tracemalloc.start()
            try:
                tasks = [asyncio.create_task(client.get("large")) for _ in range(200)]
                await turns(3)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                assert await client.ping()
                assert tracemalloc.get_traced_memory()[1] < 16 * MEBIBYTE
            finally:
                tracemalloc.stop()
            assert shared_connection(client).idle
