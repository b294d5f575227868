from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import pytest

import wirekit
from wirekit.adapters.smtp import (
    SMTPArgumentError,
    SMTPAuthenticationError,
    SMTPNotSupported,
    SMTPServiceClosed,
)
from wirekit.adapters.smtp._login import Credentials, log_in
from wirekit.adapters.smtp._queue import Queue
from wirekit.protocols.smtp import Reply

from ._script import Server, open_queue

PLAIN = b64encode(b"\0alice\0wonder land")


def start(queue: Queue, *, allow_plaintext: bool = True, **credentials: Any) -> asyncio.Task[Reply]:
    who = Credentials(username="alice", **(credentials or {"password": "wonder land"}))
    return asyncio.create_task(log_in(queue.connection, who, allow_plaintext=allow_plaintext))


async def opened(mechanisms: str) -> tuple[Queue, Server]:
    return await open_queue(f"AUTH {mechanisms}")


async def test_one_message() -> None:
    queue, server = await opened("PLAIN LOGIN")
    login = start(queue)
    await server.answer(b"AUTH PLAIN %b\r\n" % PLAIN, "235 2.7.0 welcome")
    assert (await login).code == 235


async def test_challenges() -> None:
    queue, server = await opened("LOGIN")
    login = start(queue)
    await server.answer(b"AUTH LOGIN\r\n", "334 VXNlcm5hbWU6")
    await server.answer(b"%b\r\n" % b64encode(b"alice"), "334 UGFzc3dvcmQ6")
    await server.answer(b"%b\r\n" % b64encode(b"wonder land"), "235 welcome")
    assert (await login).code == 235


async def test_a_first_message_that_is_too_long_for_its_line() -> None:
    queue, server = await opened("XOAUTH2")
    token = "x" * 1000
    login = start(queue, token=lambda: token)
    await server.answer(b"AUTH XOAUTH2\r\n", "334 ")
    first = b64encode(f"user=alice\1auth=Bearer {token}\1\1".encode())
    await server.answer(first + b"\r\n", "235 welcome")
    await login


async def test_a_challenge_where_the_first_message_was_due() -> None:
    queue, server = await opened("XOAUTH2")
    login = start(queue, token="x" * 1000)
    await server.answer(b"AUTH XOAUTH2\r\n", "334 YQ==")
    with pytest.raises(wirekit.RemoteProtocolError, match="initial response was due"):
        await login
    assert queue.connection.error is not None


async def test_a_refusal_leaves_the_connection_and_tells_no_secret() -> None:
    queue, server = await opened("PLAIN")
    login = start(queue)
    echo = f"535 5.7.8 no: {PLAIN.decode()} (wonder land)"
    await server.answer(b"AUTH PLAIN %b\r\n" % PLAIN, echo)
    with pytest.raises(SMTPAuthenticationError) as caught:
        await login
    assert caught.value.code == 535
    assert caught.value.text == "no: *** (***)"
    assert queue.connection.error is None


async def test_a_token_that_is_refused() -> None:
    queue, server = await opened("XOAUTH2")
    login = start(queue, token="abc")
    first = b64encode(b"user=alice\1auth=Bearer abc\1\1")
    rejection = b64encode(b'{"status":"401"}').decode()
    await server.answer(b"AUTH XOAUTH2 %b\r\n" % first, f"334 {rejection}")
    await server.answer(b"\r\n", "535 no")
    with pytest.raises(SMTPAuthenticationError) as caught:
        await login
    assert caught.value.__notes__ == ["the server said: 401"]


async def test_in_clear_only_if_that_is_allowed() -> None:
    queue, server = await opened("PLAIN")
    with pytest.raises(SMTPArgumentError, match="in clear"):
        await start(queue, allow_plaintext=False)
    await server.nothing_comes()


async def test_no_mechanism() -> None:
    queue, server = await opened("GSSAPI")
    with pytest.raises(SMTPNotSupported, match="GSSAPI"):
        await start(queue)
    assert queue.connection.error is None
    await server.nothing_comes()


@pytest.mark.parametrize("reply", ["334 !", "235 welcome", "334 YWJj"])
async def test_a_server_that_lies(reply: str) -> None:
    queue, server = await opened("SCRAM-SHA-256")
    login = start(queue)
    await server.expect(b"AUTH SCRAM-SHA-256 ")
    await server.socket.read_until()
    await server.say(reply)
    with pytest.raises(wirekit.RemoteProtocolError):
        await login
    assert queue.connection.error is not None


async def test_a_server_that_never_stops_asking() -> None:
    queue, server = await opened("LOGIN")
    login = start(queue)
    await server.answer(b"AUTH LOGIN\r\n", "334 ")
    for data in (b"alice", b"wonder land"):
        await server.answer(b64encode(data) + b"\r\n", "334 ")
    with pytest.raises(wirekit.RemoteProtocolError):
        await login


async def test_421_instead_of_an_answer() -> None:
    queue, server = await opened("PLAIN")
    login = start(queue)
    await server.answer(b"AUTH PLAIN %b\r\n" % PLAIN, "421 bye")
    with pytest.raises(SMTPServiceClosed):
        await login


async def test_cancelled_within_the_exchange() -> None:
    queue, server = await opened("LOGIN")
    login = start(queue)
    await server.expect(b"AUTH LOGIN\r\n")
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login
    assert isinstance(queue.connection.error, wirekit.ConnectionLost)


def test_nothing_of_the_credentials_is_shown() -> None:
    shown = repr(Credentials(username="alice", password="wonder", token="land"))
    assert "wonder" not in shown
    assert "land" not in shown
