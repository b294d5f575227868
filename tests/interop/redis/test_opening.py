"""A server that answers the opening by nonsense, and whether it makes us show a password."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.redis.errors import assert_typed, everything_in
from tests.interop.redis.fake_server import HELLO, NULL, OK, Command, FakeServer, echo_server
from tests.interop.redis.helpers import (
    eventually,
    outcomes,
    turns,
)
from wirekit.protocols.resp import encode

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
        return OK if command[:2] in ([b"CLIENT", b"SETINFO"], [b"PING"]) else None

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


# Secrets -----------------------------------------------------------------------------------------

PASSWORD = "correct horse battery staple"
USER = "some-user"


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
