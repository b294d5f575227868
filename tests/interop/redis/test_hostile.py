"""A server that breaks the protocol harms those it concerns, with a typed error, and no others."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
import struct
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import redis.exceptions

import wirekit
from tests.interop.redis.fake_server import HELLO, NULL, OK, Command, Cut, FakeServer
from tests.interop.redis.helpers import Client, eventually, new_client, outcomes, turns
from wirekit import ConnectionLost, MessageTooLarge, ReadTimeout, RemoteProtocolError
from wirekit.adapters.redis import Cache
from wirekit.adapters.redis import _salvage as salvage_module
from wirekit.protocols.resp import encode
from wirekit.sockets import connect

MEBIBYTE = 1024 * 1024


def echo_server(command: Command) -> bytes:
    return encode(command[-1])


def assert_typed(error: object) -> None:
    """It is an error of ours, and those who catch redis-py's catch it too."""
    assert isinstance(error, wirekit.Error), repr(error)
    assert isinstance(error, redis.exceptions.RedisError), repr(error)


# A fault in the middle ---------------------------------------------------------------------------

FAULTS = {
    "garbage": b"\x00\xff garbage \r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "no number": b":12x\r\n",
    "no length": b"$five\r\nhello\r\n",
    "negative length": b"$-2\r\n",
    "bare LF": b"+OK\n",
    "longer than said": b"$3\r\nhello\r\n",
    "huge string": b"$99999999999999999999\r\n",
    "huge array": b"*9999999999\r\n",
    "huge map": b"%9999999999\r\n",
    "huge push": b">9999999999\r\n",
    "deep": b"*1\r\n" * 100_000,
    "deep map": b"%1\r\n:1\r\n" * 100_000,
    "nested push": b"*2\r\n>1\r\n+a\r\n",
    "push of nothing": b">0\r\n",
    "push of a number": b">2\r\n:1\r\n:2\r\n",
    "push of an array": b">2\r\n*0\r\n:2\r\n",
    "odd streamed map": b"%?\r\n:1\r\n.\r\n",
    "end of nothing": b".\r\n",
    "chunk of nothing": b";5\r\nhello\r\n",
    "attribute of nothing": b"|1\r\n+a\r\n+b\r\n.\r\n",
}


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_between_the_replies_of_concurrent_callers(
    fault: str, fragment: int | None
) -> None:
    if fragment and len(FAULTS[fault]) > 1000:
        fragment = 997

    def answer(command: Command) -> bytes:
        return FAULTS[fault] if command[-1] == b"fault" and broken else encode(command[-1])

    broken = True
    async with FakeServer(answer, fragment=fragment) as server, server.client() as client:
        got = await outcomes(
            client.get("a secret"),
            client.execute("MGET", "second"),
            client.get("fault"),
            client.get("fourth"),
            client.pipeline(transaction=False).get("x").get("y").execute(),
        )
        assert got[:2] == [b"a secret", b"second"]
        for error in got[2:]:
            assert isinstance(error, RemoteProtocolError), repr(error)
            assert_typed(error)
            assert isinstance(error, redis.exceptions.InvalidResponse)
            # What was somebody else's reply is not told to those who get the error.
            assert b"a secret" not in everything_in(error)
        broken = False
        assert await client.get("again") == b"again"
        assert len(server.sockets) == 2


async def test_fault_inside_the_replies_to_a_pipeline() -> None:
    def answer(command: Command) -> bytes:
        return b"?\r\n" if command[-1] == b"fault" else encode(command[-1])

    async with FakeServer(answer) as server, server.client_on_socket() as client:
        pipe = client.pipeline(transaction=False).get("a").get("fault").get("c")
        before, error, after = await outcomes(client.get("1"), pipe.execute(), client.get("2"))
        assert before == b"1"
        for each in (error, after):
            assert isinstance(each, RemoteProtocolError), repr(each)
            assert_typed(each)
        # The client has no connector: it is over, and says so at once.
        (error,) = await outcomes(client.get("3"))
        assert_typed(error)
        assert "lost" in repr(client)


@pytest.mark.both_loops
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_the_end_in_the_middle_of_a_reply_by_tcp(how: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gets = 0
        while data := await reader.read(65536):
            if b"HELLO" in data:
                writer.write(HELLO)
            writer.write(OK * data.count(b"SETINFO"))
            gets += data.count(b"GET")
            if gets == 3:
                writer.write(b"$1\r\na\r\n$9\r\nhalf")
                await writer.drain()
                await asyncio.sleep(0.05)
                if how == "reset":
                    sock: stdlib_socket.socket = writer.get_extra_info("socket")
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger)
                break
        writer.close()

    tcp = await asyncio.start_server(serve, "127.0.0.1")
    async with tcp, new_client(connect(tcp.sockets[0].getsockname())) as client:
        got = await outcomes(client.get("a"), client.get("b"), client.get("c"))
        assert got[0] == b"a"
        for error in got[1:]:
            assert isinstance(error, ConnectionLost), repr(error)
            assert_typed(error)


# Truncation at every byte ------------------------------------------------------------------------

REPLIES: list[tuple[str, bytes, Any]] = [
    ("string", encode(b"value"), b"value"),
    ("integer", encode(-42), -42),
    ("null", NULL, None),
    ("array", encode([b"a", [1, None], b""]), [b"a", [1, None], b""]),
    ("map", encode({b"k": {b"x"}, b"l": 1.5}), {b"k": {b"x"}, b"l": 1.5}),
    ("verbatim", b"=7\r\ntxt:abc\r\n", b"abc"),
    ("streamed", b"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", b"abc"),
    ("push and integer", b">2\r\n+note\r\n:1\r\n:7\r\n", 7),
    ("attribute and integer", b"|1\r\n+ttl\r\n:9\r\n:8\r\n", 8),
]
SESSION = b"".join(reply for _, reply, _ in REPLIES)
ENDS = [sum(len(reply) for _, reply, _ in REPLIES[: index + 1]) for index in range(len(REPLIES))]


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("reset", [False, True])
async def test_truncated_at_every_byte(reset: bool, fragment: int | None) -> None:
    replies = {name.encode(): reply for name, reply, _ in REPLIES}
    opening = len(HELLO + OK + OK)
    for length in range(1, len(SESSION)):
        cut = Cut(opening + length, reset=reset)
        async with (
            FakeServer(lambda command: replies[command[1]], fragment=fragment, cut=cut) as server,
            server.client_on_socket() as client,
        ):
            got = await outcomes(*(client.execute("GET", name) for name, _, _ in REPLIES))
            for (name, _, expected), end, outcome in zip(REPLIES, ENDS, got, strict=True):
                if end <= length:
                    assert outcome == expected, (name, length)
                else:
                    assert isinstance(outcome, ConnectionLost), (name, length)
                    assert_typed(outcome)
            assert client._connections.shared is not None
            assert not client._connections.shared._pending


@pytest.mark.parametrize("reset", [False, True])
async def test_truncated_within_the_opening(reset: bool) -> None:
    for length in range(len(HELLO + OK + OK)):
        async with FakeServer(echo_server, cut=Cut(length, reset=reset)) as server:
            (error,) = await outcomes(server.client_on_socket().open())
            assert_typed(error)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_one_byte_a_turn(protocol: int) -> None:
    async with (
        FakeServer(lambda command: encode(command[-1], protocol), fragment=1) as server,
        server.client_on_socket(protocol=protocol) as client,
    ):
        names = [f"value {number}" * 20 for number in range(20)]
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.get(name)
        got = await outcomes(*(client.get(name) for name in names), pipe.execute())
        assert got == [*(name.encode() for name in names), [name.encode() for name in names]]


# Replies nobody asked for ------------------------------------------------------------------------


async def test_a_reply_nobody_asked_for_ends_the_connection() -> None:
    async with FakeServer(echo_server) as server, server.client() as client:
        assert await client.get("a") == b"a"
        await server.write(encode(b"what?"))
        await turns(5)
        # It is not given to the next caller.
        assert await client.get("b") == b"b"
        assert len(server.sockets) == 2


async def test_two_replies_to_one_command() -> None:
    async with (
        FakeServer(lambda command: encode(command[-1]) * 2) as server,
        server.client_on_socket() as client,
    ):
        first, error = await outcomes(client.get("a"), _later(lambda: client.get("b")))
        assert first == b"a"
        assert_typed(error)


async def _later(call: Callable[[], Awaitable[Any]]) -> Any:
    await turns(10)
    return await call()


PUSHES = {
    "unknown": b">3\r\n+news\r\n:1\r\n%0\r\n",
    "message": b">3\r\n$7\r\nmessage\r\n+c\r\n+data\r\n",
    "confirmation": b">3\r\n$9\r\nsubscribe\r\n+c\r\n:1\r\n",
    "short": b">1\r\n$10\r\ninvalidate\r\n",
    "invalidate a number": b">2\r\n$10\r\ninvalidate\r\n:5\r\n",
    "invalidate a map": b">2\r\n$10\r\ninvalidate\r\n%1\r\n*0\r\n*0\r\n",
    "invalidate arrays": b">2\r\n$10\r\ninvalidate\r\n*2\r\n*0\r\n%0\r\n",
    "invalidate null": b">2\r\n$10\r\ninvalidate\r\n_\r\n",
    "many": b">2\r\n+a\r\n:1\r\n" * 5000,
}


@pytest.mark.parametrize("fragment", [None, 7])
@pytest.mark.parametrize("push", PUSHES)
async def test_pushes_in_odd_places(push: str, fragment: int | None) -> None:
    if push == "many":
        fragment = None

    def answer(command: Command) -> bytes:
        return PUSHES[push] + encode(command[-1]) + PUSHES[push]

    async with (
        FakeServer(answer, fragment=fragment) as server,
        server.client(cache=Cache()) as client,
    ):
        await server.write(PUSHES[push])
        pipe = client.pipeline(transaction=False).get("c").get("d")
        got = await outcomes(client.get("a"), client.get("b"), pipe.execute())
        for outcome, expected in zip(got, [b"a", b"b", [b"c", b"d"]], strict=True):
            if isinstance(outcome, Exception):
                assert isinstance(outcome, RemoteProtocolError), repr(outcome)
                assert_typed(outcome)
            else:
                assert outcome == expected


# Replies of the wrong type -----------------------------------------------------------------------

WRONG: list[Any] = [b"text", 5, None, [], [1], [[[]]], {}, {b"a": 1}, {1}, 1.5, True, b"\xff\xfe"]
CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "info": lambda client: client.info(),
    "hgetall": lambda client: client.hgetall("k"),
    "zrange": lambda client: client.zrange("k", 0, -1, withscores=True),
    "set": lambda client: client.set("k", "v"),
    "client_list": lambda client: client.client_list(),
    "scan": lambda client: client.scan(),
    "xrange": lambda client: client.xrange("k"),
    "xinfo": lambda client: client.xinfo_stream("k"),
    "geopos": lambda client: client.geopos("k", "m"),
    "config_get": lambda client: client.config_get(),
    "blpop": lambda client: client.blpop(["k"], timeout=1),
    "bzpopmin": lambda client: client.bzpopmin(["k"], timeout=1),
    "pipeline": lambda client: client.pipeline(transaction=False).info().hgetall("k").execute(),
    "transaction": lambda client: client.pipeline().info().hgetall("k").execute(),
}


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("call", CALLS)
async def test_replies_of_the_wrong_type(call: str, protocol: int, decode: bool) -> None:
    """The call returns something or raises a typed error; its neighbours do not notice."""
    for wrong in WRONG:
        broken = encode(wrong, protocol)

        def answer(command: Command, broken: bytes = broken) -> bytes:
            return encode(command[-1], protocol) if command[0] == b"ECHO" else broken

        async with (
            FakeServer(answer) as server,
            server.client(protocol=protocol, decode_responses=decode) as client,
        ):
            before, got, after = await outcomes(
                client.execute("ECHO", "1"), CALLS[call](client), client.execute("ECHO", "2")
            )
            assert before == b"1"
            if call == "transaction" and isinstance(after, Exception):
                # Where EXEC is answered by something else, the replies are out of step.
                assert_typed(after)
                after = await client.execute("ECHO", "2")
            assert after == b"2"
            if isinstance(got, BaseException) and not isinstance(got, UnicodeDecodeError):
                assert_typed(got)


async def test_invalid_utf8_concerns_only_its_caller() -> None:
    replies = {b"bad": b"\xff\xfe", b"good": "grün".encode()}
    async with (
        FakeServer(lambda command: encode(replies[command[1]])) as server,
        server.client(decode_responses=True) as client,
    ):
        good, bad, again = await outcomes(client.get("good"), client.get("bad"), client.get("good"))
        assert (good, again) == ("grün", "grün")
        # As redis-py does.
        assert isinstance(bad, UnicodeDecodeError)
        assert len(server.sockets) == 1
    async with (
        FakeServer(lambda command: encode(replies[command[1]])) as server,
        server.client(decode_responses=True, encoding_errors="replace") as client,
    ):
        assert await client.get("bad") == "\ufffd\ufffd"


# The opening -------------------------------------------------------------------------------------

NONSENSE = {
    "a number": b":1\r\n",
    "null": NULL,
    "text": encode(b"hello to you"),
    "an array": encode([b"server", b"redis"]),
    "no id": encode({b"server": b"redis"}),
    "an id of text": encode({b"server": b"redis", b"id": b"7"}),
    "an id of arrays": encode({b"server": b"redis", b"id": [[1]]}),
    "keys of numbers": encode({1: 2, 3: 4}),
    "an error": b"-ERR go away\r\n",
    "an empty error": b"-\r\n",
    "no permission": b"-NOPERM you may not\r\n",
    "noauth": b"-NOAUTH HELLO must be called with the client already authenticated\r\n",
    "garbage": b"SSH-2.0-OpenSSH_9.6\r\n",
    "two replies": HELLO + HELLO,
    "a push": b">2\r\n+a\r\n:1\r\n" + HELLO,
}
TAKEN = {
    "no id",
    "an id of text",
    "an id of arrays",
    "keys of numbers",
    "a push",
}  # a client can live with these


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_hello_answered_by_nonsense(nonsense: str) -> None:
    def opening(command: Command) -> bytes | None:
        if command[0] == b"HELLO":
            return NONSENSE[nonsense]
        return OK if command[0] == b"CLIENT" else None

    async with FakeServer(echo_server, opening=opening) as server:
        client = server.client_on_socket(protocol=3)
        (error,) = await outcomes(client.open())
        if error is client:
            assert nonsense in TAKEN
            assert await client.get("a") == b"a"
            await client.aclose()
        else:
            assert nonsense not in TAKEN
            assert_typed(error)
            await server.sockets[0].closed


@pytest.mark.parametrize("reply", [b"+seven\r\n", b"*0\r\n", b"-ERR no\r\n", NULL])
async def test_client_id_answered_by_nonsense(reply: bytes) -> None:
    """A client can live without its id, but for ending a wait; it does not make one up."""

    def opening(command: Command) -> bytes | None:
        if command[:2] == [b"CLIENT", b"ID"]:
            return reply
        return OK if command[:2] == [b"CLIENT", b"SETINFO"] else None

    def answer(command: Command) -> bytes:
        return b"" if command[0] == b"BLPOP" else encode(command[-1])

    async with (
        FakeServer(answer, opening=opening) as server,
        server.client(protocol=2) as client,
    ):
        assert await client.get("a") == b"a"
        wait = asyncio.create_task(client.blpop(["q"], timeout=0))
        await eventually(lambda: [b"BLPOP", b"q", b"0"] in server.received)
        wait.cancel()
        await asyncio.wait([wait])
        await turns(20)
        assert not [command for command in server.received if command[0] == b"CLIENT"]
        server.sockets[-1].abort()


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


# Silence -----------------------------------------------------------------------------------------


async def test_silence_ends_in_a_typed_error_for_everyone() -> None:
    silent = True

    def get_g(pipe: Client) -> None:
        pipe.get("g")

    async with (
        FakeServer(lambda command: b"" if silent else encode(command[-1])) as server,
        server.client(timeout=0.1) as client,
    ):
        async with client.pubsub() as pubsub:
            got = await outcomes(
                client.get("a"),
                client.execute("ECHO", "b"),
                client.pipeline().get("c").execute(),
                client.pipeline(transaction=False).get("d").execute(),
                client.blpop(["e"], timeout=0.01),
                pubsub.subscribe("f"),
                client.transaction(get_g, "g"),
            )
            for error in got:
                assert isinstance(error, ReadTimeout), repr(error)
                assert isinstance(error, redis.exceptions.TimeoutError)
                assert_typed(error)
        silent = False
        assert await client.get("again") == b"again"


async def test_silence_in_the_middle_of_a_reply() -> None:
    async with (
        FakeServer(lambda command: b"$5\r\nab" if command[1] == b"a" else b"") as server,
        server.client_on_socket(timeout=0.1) as client,
    ):
        got = await outcomes(client.get("a"), client.get("b"))
        assert [type(error).__name__ for error in got] == ["ReadTimeout"] * 2


async def test_silence_at_the_opening() -> None:
    async with FakeServer(echo_server, opening=lambda command: b"") as server:
        (error,) = await outcomes(server.client_on_socket(timeout=0.1).open())
        assert isinstance(error, wirekit.ConnectTimeout), repr(error)
        assert_typed(error)


# Memory ------------------------------------------------------------------------------------------


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


# Secrets -----------------------------------------------------------------------------------------

PASSWORD = "correct horse battery staple"
USER = "some-user"


def everything_in(thing: object) -> bytes:
    """Return all text that can be reached from an error without its traceback's frames."""
    seen: set[int] = set()
    found: list[bytes] = []

    def visit(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, bytes | bytearray):
            found.append(bytes(value))
        elif isinstance(value, str):
            found.append(value.encode("utf-8", "surrogateescape"))
        elif isinstance(value, dict):
            visit(list(cast("Any", value).items()))
        elif isinstance(value, list | tuple | set | frozenset):
            for item in cast("Any", value):
                visit(item)
        else:
            found.append(repr(value).encode())
            if isinstance(value, BaseException):
                visit([value.args, value.__cause__, value.__context__, str(value)])
                visit("".join(traceback.format_exception(value)))
            visit(getattr(value, "__dict__", {}) if isinstance(value, BaseException) else {})

    visit(thing)
    return b"\n".join(found)


def echoes_everything(command: Command) -> bytes:
    """Complain as Redis does of what it does not know, with the arguments."""
    arguments = b" ".join(b"`%b`," % argument for argument in command[1:])
    return b"-ERR unknown command `%b`, with args beginning with: %b\r\n" % (command[0], arguments)


OPENINGS: dict[str, Callable[[Command], bytes | None]] = {
    "echo": echoes_everything,
    "echo in a string": lambda command: encode(b" ".join(command)),
    "echo in an array": lambda command: encode(command),
    "echo in a map": lambda command: encode({b"id": command}),
    "wrong password": lambda command: b"-WRONGPASS invalid username-password pair\r\n",
    "garbage with echo": lambda command: b"?" + b" ".join(command) + b"\r\n",
    "echo and garbage": lambda command: encode(command) + b"?\r\n",
    "silence": lambda command: b"",
}


@pytest.mark.parametrize("protocol", [None, 2, 3])
@pytest.mark.parametrize("given", ["argument", "callable"])
@pytest.mark.parametrize("opening", OPENINGS)
async def test_passwords_show_nowhere(
    opening: str, given: str, protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    settings: dict[str, Any] = {"username": USER, "password": PASSWORD}
    if given == "callable":
        settings = {"credentials": lambda: (USER, PASSWORD)}
    async with FakeServer(echo_server, opening=OPENINGS[opening]) as server:
        client = server.client(protocol=protocol, timeout=0.05, reconnect_attempts=1, **settings)
        errors = await outcomes(client.open(), client.get("a"), client.blpop(["a"]))
        assert [error for error in errors if isinstance(error, Exception)]
        shown = everything_in([*errors, repr(client), repr(client._settings), caplog.text])
        assert PASSWORD.encode() not in shown
        await client.aclose()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_arguments_do_not_show_in_our_own_errors() -> None:
    secret = "the payload"
    async with FakeServer(lambda command: b"?\r\n") as server:
        async with server.client_on_socket() as client:
            errors = await outcomes(
                client.set("k", secret),
                client.pipeline().set("k", secret).execute(),
                client.execute("SET", "k", secret, None),
                client.execute("SET", "k", secret, "\ud800"),
                client.execute("SUBSCRIBE", secret),
                client.execute("CLIENT", "REPLY", secret),
            )
        for error in errors:
            assert_typed(error)
            assert secret.encode() not in everything_in(error)


async def test_an_error_for_one_is_not_the_object_that_another_gets() -> None:
    """Callers may add notes to what they catch, or raise it on, without meeting each other."""
    async with (
        FakeServer(lambda command: b"?\r\n") as server,
        server.client_on_socket() as client,
    ):
        first, second = await outcomes(client.get("a"), client.get("b"))
        assert first is not second
        assert_typed(first)
        assert_typed(second)


async def test_everything_of_a_broken_client_is_let_go() -> None:
    async with FakeServer(lambda command: b"?\r\n") as server:
        client = server.client()
        await outcomes(*(client.get(str(number)) for number in range(50)))
        await client.aclose()
        await eventually(lambda: all(socket.closed.done() for socket in server.sockets))
