"""Whatever the server sends, memory stays bounded."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from tests.interop.redis.errors import assert_typed
from tests.interop.redis.fake_server import Command, FakeServer
from tests.interop.redis.helpers import (
    outcomes,
    turns,
)
from wirekit import MessageTooLarge
from wirekit.protocols.resp import encode

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("flood", "most"),
    [
        (b"$536870912\r\n", MEBIBYTE),  # announced, never sent
        (b"*16777216\r\n", MEBIBYTE),
        (b"*1000\r\n" * 63, MEBIBYTE),
        (b"%1000000\r\n" + b":1\r\n:2\r\n" * 1000, MEBIBYTE),
        (b">3\r\n+message\r\n+c\r\n+d\r\n" * 50_000, 4 * MEBIBYTE),
    ],
    ids=["string", "array", "nested", "map", "pushes"],
)
async def test_announcements_take_no_memory(flood: bytes, most: int) -> None:
    async with (
        FakeServer(lambda command: b"") as server,
        server.client_on_socket() as client,
    ):
        call = asyncio.create_task(client.get("a"))
        await turns(5)
        tracemalloc.start()
        try:
            for start in range(0, len(flood), 65536):
                await server.write(flood[start : start + 65536])
                await turns(4)
            assert tracemalloc.get_traced_memory()[1] < most
        finally:
            tracemalloc.stop()
        assert not call.done()
        call.cancel()


async def test_limits_are_the_callers_to_choose() -> None:
    replies = {
        b"long": encode(b"x" * 101),
        b"many": encode([1] * 11),
        b"line": b"+" + b"x" * 101,
        b"good": encode(b"y" * 100),
    }
    async with (
        FakeServer(lambda command: replies[command[1]]) as server,
        server.client(max_bulk_length=100, max_elements=10) as client,
    ):
        for name in ("long", "many", "line"):
            with pytest.raises(MessageTooLarge):
                await client.get(name)
            assert await client.get("good") == b"y" * 100


@pytest.mark.parametrize("shape", ["data", "channel", "pattern"])
async def test_messages_of_any_shape_are_counted(shape: str) -> None:
    """The limit on bytes holds for all that a message consists of."""
    big = b"x" * 100_000
    message: list[Any] = [b"message", b"c", b"d"]
    if shape == "pattern":
        message = [b"pmessage", big, b"c", b"d"]
    else:
        message[1 if shape == "channel" else 2] = big
    flood = b">" + encode(message)[1:]

    def answer(command: Command) -> bytes:
        return b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"

    async with (
        FakeServer(answer) as server,
        server.client() as client,
        client.pubsub(max_bytes=MEBIBYTE) as pubsub,
    ):
        await pubsub.subscribe("c")
        tracemalloc.start()
        try:
            for _ in range(100):
                await server.write(flood)
                await turns(6)
            assert tracemalloc.get_traced_memory()[0] < 4 * MEBIBYTE
        finally:
            tracemalloc.stop()


MESSAGES = {
    "channel of array": b">3\r\n+message\r\n*0\r\n+d\r\n",
    "channel of map": b">3\r\n+message\r\n%0\r\n+d\r\n",
    "data of set": b">3\r\n+message\r\n+c\r\n~1\r\n:1\r\n",
    "kind of garbage": b">3\r\n$2\r\n\xff\xfe\r\n+c\r\n+d\r\n",
    "long": b">9\r\n+message\r\n" + b"*0\r\n" * 8,
    "short": b">1\r\n+message\r\n",
    "count of text": b">3\r\n+subscribe\r\n+c\r\n+many\r\n",
}


@pytest.mark.parametrize("message", MESSAGES)
async def test_messages_that_are_none(message: str) -> None:
    """They are dropped, with the connection or without; a real message still gets through."""

    def answer(command: Command) -> bytes:
        return b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"

    async with (
        FakeServer(answer) as server,
        server.client() as client,
        client.pubsub(ignore_subscribe_messages=True) as pubsub,
    ):
        await pubsub.subscribe(c=None)
        await server.write(MESSAGES[message])
        for _ in range(50):
            if not server.sockets[-1].closed.done():
                await server.write(b">3\r\n+message\r\n+c\r\n+real\r\n")
            found = await pubsub.get_message(timeout=0.02)
            if found is not None and found["data"] == b"real":
                break
        else:
            raise AssertionError("the real message did not arrive")


@pytest.mark.parametrize(
    "reply",
    [
        b"*1\r\n*0\r\n",
        b"*2\r\n*1\r\n:1\r\n:1\r\n",
        b"*0\r\n",
        b":1\r\n",
        b"*3\r\n:1\r\n:2\r\n:3\r\n",
    ],
)
async def test_subscription_by_resp2_answered_by_nonsense(reply: bytes) -> None:
    async with (
        FakeServer(lambda command: reply) as server,
        server.client(protocol=2, timeout=0.2) as client,
        client.pubsub() as pubsub,
    ):
        (error,) = await outcomes(pubsub.subscribe("c"))
        assert_typed(error)
