"""A server that breaks the protocol harms those it concerns, with a typed error, and no others."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.exceptions

import wirekit
from tests.interop.redis.errors import assert_typed, everything_in
from tests.interop.redis.fake_server import (
    HELLO,
    NULL,
    OK,
    PONG,
    Command,
    Cut,
    FakeServer,
    echo_server,
)
from tests.interop.redis.helpers import (
    Client,
    eventually,
    new_client,
    outcomes,
    turns,
)
from wirekit import ConnectionLost, ReadTimeout, RemoteProtocolError
from wirekit.adapters.redis import Cache
from wirekit.protocols.resp import encode
from wirekit.sockets import connect

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
            writer.write(OK * (data.count(b"SETINFO") + data.count(b"PING")))
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
    opening = len(HELLO + OK + OK + PONG)
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
    for length in range(len(HELLO + OK + OK + PONG)):
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


# Errors ------------------------------------------------------------------------------------------


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
