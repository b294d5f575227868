from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import wirekit
from wirekit.adapters.redis import DataError, ResponseError
from wirekit.adapters.redis._connection import Connection, Guest
from wirekit.protocols.resp import Codec, SimpleError
from wirekit.sockets import memory_pair


class Pair:
    """A connection, and the server's end of it."""

    def __init__(self, **options: Any) -> None:
        ours, self.server = memory_pair(allow_half_open=True)
        self.socket = ours
        self.connection = Connection(ours, Codec(), **options)
        self.pushed: list[list[Any]] = []
        self.lost: list[Exception | None] = []
        self.connection.on_push = self.pushed.append
        self.connection.on_lost = lambda: self.lost.append(self.connection.error)

    async def serve(self, expected: bytes, reply: bytes) -> None:
        assert await self.server.read_exactly(len(expected)) == expected
        await self.server.write(reply)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    made.socket.abort()
    made.server.abort()


PING = b"*1\r\n$4\r\nPING\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


async def test_commands_of_one_turn_leave_together_and_are_answered_in_order(pair: Pair) -> None:
    first = pair.connection.send(["PING"])
    second = pair.connection.send(["GET", "k"])
    assert not pair.connection.idle
    assert await pair.server.read() == PING + GET
    await pair.server.write(b"+PONG\r\n$1\r\nv\r\n")
    assert await first == b"PONG"
    assert await second == b"v"
    assert pair.connection.idle


async def test_an_error_reply_is_for_its_caller(pair: Pair) -> None:
    first = pair.connection.send(["PING"])
    second = pair.connection.send(["GET", "k"])
    await pair.serve(PING + GET, b"-ERR no\r\n$1\r\nv\r\n")
    with pytest.raises(ResponseError, match="no"):
        await first
    assert await second == b"v"


async def test_the_reply_to_one_who_left_is_dropped(pair: Pair) -> None:
    first = pair.connection.send(["PING"])
    second = pair.connection.send(["GET", "k"])
    first.cancel()
    await pair.serve(PING + GET, b"+PONG\r\n$1\r\nv\r\n")
    assert await second == b"v"


async def test_a_batch_has_errors_as_values(pair: Pair) -> None:
    batch = pair.connection.send_batch([["PING"], ["GET", "k"]])
    after = pair.connection.send(["PING"])
    await pair.serve(PING + GET + PING, b"-ERR no\r\n$1\r\nv\r\n+PONG\r\n")
    replies = await batch
    assert isinstance(replies[0], SimpleError)
    assert replies[1:] == [b"v"]
    assert await after == b"PONG"


async def test_a_long_batch_in_pieces_with_pushes_between(pair: Pair) -> None:
    count = 500
    batch = pair.connection.send_batch([["GET", "k"]] * count)
    after = pair.connection.send(["PING"])
    replies = b"".join(b":%d\r\n" % number for number in range(count))
    middle = replies.index(b":300\r\n")
    await pair.server.write(replies[:middle])
    await asyncio.sleep(0.01)
    await pair.server.write(b">1\r\n$1\r\np\r\n" + replies[middle:] + b"+PONG\r\n")
    assert await batch == list(range(count))
    assert await after == b"PONG"
    assert pair.pushed == [[b"p"]]


async def test_a_batch_of_one_who_left_is_consumed(pair: Pair) -> None:
    batch = pair.connection.send_batch([["PING"], ["GET", "k"]])
    after = pair.connection.send(["PING"])
    batch.cancel()
    await pair.serve(PING + GET + PING, b"+1\r\n+2\r\n+3\r\n")
    assert await after == b"3"


async def test_confirmations(pair: Pair) -> None:
    subscribed = pair.connection.send_subscribe(["SUBSCRIBE", "a", "b"], 2)
    ping = pair.connection.send(["PING"])
    await pair.server.write(b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
    await asyncio.sleep(0.01)
    assert not subscribed.done()
    await pair.server.write(b">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n+PONG\r\n")
    await subscribed
    assert await ping == b"PONG"
    assert [push[1] for push in pair.pushed] == [b"a", b"b"]


async def test_a_subscription_that_is_refused(pair: Pair) -> None:
    subscribed = pair.connection.send_subscribe(["SUBSCRIBE", "a"], 1)
    await pair.server.write(b"-NOPERM no\r\n")
    with pytest.raises(ResponseError, match="no"):
        await subscribed
    assert pair.connection.idle


async def test_a_guest_gets_what_is_no_reply(pair: Pair) -> None:
    pushed: list[Any] = []
    unasked: list[Any] = []
    lost: list[str] = []
    pair.connection.receive_guest(
        Guest(pushed.append, lambda: lost.append("lost"), unasked.append, resp2_pushes=True)
    )
    message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nd\r\n"
    await pair.server.write(message + b">1\r\n$1\r\np\r\n+line\r\n")
    await asyncio.sleep(0.01)
    assert pushed == [[b"message", b"a", b"d"], [b"p"]]
    assert unasked == [b"line"]
    assert pair.pushed == pushed
    pair.server.abort()
    await pair.socket.closed
    assert lost == ["lost"]


async def test_a_guest_who_left_gets_nothing(pair: Pair) -> None:
    pushed: list[Any] = []
    pair.connection.receive_guest(Guest(pushed.append, lambda: None))
    pair.connection.receive_guest(None)
    await pair.server.write(b">1\r\n$1\r\np\r\n")
    await asyncio.sleep(0.01)
    assert pushed == []
    assert pair.pushed == [[b"p"]]


@pytest.mark.parametrize(
    "data", [b"+unasked\r\n", b"?\r\n", b">0\r\n", b">1\r\n:1\r\n", b"$99999999999\r\n"]
)
async def test_faults_end_the_connection(pair: Pair, data: bytes) -> None:
    await pair.server.write(data)
    await pair.socket.closed
    assert isinstance(pair.connection.error, wirekit.RemoteProtocolError)
    with pytest.raises(wirekit.RemoteProtocolError) as caught:
        pair.connection.send(["PING"])
    assert vars(caught.value)["sent"] is False
    assert len(pair.lost) == 1


async def test_what_came_before_a_fault_is_delivered(pair: Pair) -> None:
    first = pair.connection.send(["PING"])
    second = pair.connection.send(["PING"])
    await pair.serve(PING * 2, b"+PONG\r\n?\r\n")
    assert await first == b"PONG"
    with pytest.raises(wirekit.RemoteProtocolError) as caught:
        await second
    assert caught.value.events == []


@pytest.mark.parametrize("how", ["eof", "reset", "eof in a reply"])
async def test_the_end_tells_what_was_sent(pair: Pair, how: str) -> None:
    sent = pair.connection.send(["PING"])
    await pair.server.read()
    if how == "eof in a reply":
        await pair.server.write(b"$5\r\nhe")
    if how == "reset":
        pair.server.abort()
    else:
        await pair.server.write_eof()
    with pytest.raises(wirekit.Error) as caught:
        await sent
    assert vars(caught.value)["sent"] is True
    assert pair.connection.error is not None
    assert not pair.connection.idle


async def test_not_sent_yet(pair: Pair) -> None:
    future = pair.connection.send(["PING"])
    pair.connection.fail(wirekit.ConnectionLost("gone"))
    with pytest.raises(wirekit.ConnectionLost) as caught:
        await future
    assert vars(caught.value)["sent"] is False


async def test_closing_sends_what_is_written(pair: Pair) -> None:
    future = pair.connection.send(["PING"])
    closing = pair.connection.close()
    with pytest.raises(wirekit.SocketClosed):
        await future
    assert await pair.server.read() == PING
    await closing
    await pair.connection.close()
    assert isinstance(pair.connection.error, wirekit.SocketClosed)


async def test_arguments_that_cannot_be_sent(pair: Pair) -> None:
    for argument in (None, True, ["x"], object()):
        wrong: Any = argument
        with pytest.raises(DataError):
            pair.connection.send(["SET", "k", wrong])
        with pytest.raises(DataError):
            pair.connection.send_batch([["PING"], ["SET", "k", wrong]])
    assert pair.connection.idle


async def test_silence() -> None:
    pair = Pair(timeout=0.05)
    future = pair.connection.send(["PING"])
    with pytest.raises(wirekit.ReadTimeout, match=r"0\.05 s"):
        await future
    pair.server.abort()


async def test_bytes_are_a_sign_of_life() -> None:
    pair = Pair(timeout=0.2)
    future = pair.connection.send(["GET", "k"])
    for byte in b"$3\r\nabc\r\n":
        await asyncio.sleep(0.05)
        await pair.server.write(bytes([byte]))
    assert await future == b"abc"
    await asyncio.sleep(0.25)  # nothing is due now
    assert pair.connection.idle
    pair.socket.abort()
    pair.server.abort()


async def test_another_timeout() -> None:
    pair = Pair(timeout=0.05)
    future = pair.connection.send(["PING"])
    pair.connection.set_timeout(None)
    await asyncio.sleep(0.1)
    assert not future.done()
    pair.connection.set_timeout(0.05)
    with pytest.raises(wirekit.ReadTimeout):
        await future
    pair.server.abort()


async def test_congestion() -> None:
    pair = Pair()
    large = b"x" * 1_000_000
    future = pair.connection.send(["SET", "k", large])
    await asyncio.sleep(0)
    assert pair.connection.congested
    behind = pair.connection.send(["PING"])
    waiting = asyncio.create_task(pair.connection.writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    expected = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n" + large + b"\r\n" + PING
    await pair.serve(expected, b"+OK\r\n+PONG\r\n")
    assert (await future, await behind) == (b"OK", b"PONG")
    await waiting
    pair.socket.abort()
    pair.server.abort()


async def test_the_end_during_congestion() -> None:
    pair = Pair()
    future = pair.connection.send(["SET", "k", b"x" * 1_000_000])
    await asyncio.sleep(0)
    waiting = asyncio.create_task(pair.connection.writable())
    await asyncio.sleep(0)
    pair.connection.fail(wirekit.ConnectionLost("gone"))
    with pytest.raises(wirekit.ConnectionLost):
        await waiting
    with pytest.raises(wirekit.ConnectionLost):
        await future
    pair.server.abort()


async def test_peer(pair: Pair) -> None:
    assert pair.connection.peer == "memory"
