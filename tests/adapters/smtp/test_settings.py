from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from wirekit.adapters.smtp import (
    SMTPArgumentError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPHeloError,
    SMTPResponseException,
)
from wirekit.adapters.smtp._login import Credentials
from wirekit.adapters.smtp._queue import Queue
from wirekit.adapters.smtp._settings import Settings, open_connection
from wirekit.sockets import memory_pair

from ._script import Server, ehlo_lines

EHLO = b"EHLO client.example\r\n"


class Opening(Server):
    """A server, and a client that opens its conversation with it."""

    def __init__(self, *, pair: dict[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(**(pair or {}))
        self.opening: asyncio.Task[Queue] = asyncio.create_task(
            open_connection(self.client, Settings(hostname="client.example", **settings))
        )

    async def fails(self, kind: type[Exception], match: str) -> Exception:
        """Wait until it has failed, and make sure that the socket is closed."""
        with pytest.raises(kind, match=match) as caught:
            await self.opening
        await self.client.closed
        return caught.value


async def test_it_greets_and_asks_for_extensions() -> None:
    server = Opening()
    await server.say("220-ready", "220 now")
    await server.answer(EHLO, *ehlo_lines("PIPELINING", "SIZE 5"))
    queue = await server.opening
    assert queue.pipelining
    assert queue.connection.capabilities.size == 5
    assert queue.connection.peer == "memory"
    assert not queue.connection.secure


async def test_a_server_that_knows_no_extensions() -> None:
    server = Opening()
    await server.say("220 ready")
    await server.answer(EHLO, "502 what?")
    await server.answer(b"HELO client.example\r\n", "250 hello")
    queue = await server.opening
    assert not queue.pipelining


async def test_without_a_name_we_give_our_address() -> None:
    client, end = memory_pair()
    opening = asyncio.create_task(open_connection(client, Settings()))
    await end.write(b"220 ready\r\n")
    assert await end.read_until() == b"EHLO localhost\r\n"  # memory has no address
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await client.closed


@pytest.mark.parametrize("code", [421, 554])
async def test_a_server_that_greets_with_a_refusal(code: int) -> None:
    server = Opening()
    await server.say(f"{code} 5.3.2 go away")
    error = await server.fails(SMTPConnectResponseError, "go away")
    assert isinstance(error, SMTPConnectError)
    assert isinstance(error, SMTPResponseException)
    assert error.code == code


@pytest.mark.parametrize("replies", [["550 no"], ["500 what?", "550 no"]])
async def test_a_server_that_refuses_ehlo(replies: list[str]) -> None:
    server = Opening()
    await server.say("220 ready")
    await server.answer(EHLO, replies[0])
    if replies[1:]:
        await server.answer(b"HELO client.example\r\n", *replies[1:])
    await server.fails(SMTPHeloError, "550 no")


async def test_a_server_that_closes() -> None:
    server = Opening()
    await server.say("220 ready")
    await server.expect(EHLO)
    server.socket.abort()
    error = await server.fails(SMTPConnectError, "no conversation with memory came about")
    assert isinstance(error, wirekit.ConnectError)


async def test_a_server_that_says_nothing() -> None:
    server = Opening(timeout=0.02)
    await server.fails(SMTPConnectTimeoutError, "memory did not")


async def test_a_server_that_is_none() -> None:
    server = Opening()
    await server.say("HTTP/1.1 400 Bad Request")
    await server.fails(wirekit.RemoteProtocolError, "reply code")


async def test_lines_that_end_in_lf() -> None:
    server = Opening(allow_bare_lf=True)
    await server.socket.write(b"220 ready\n")
    await server.expect(EHLO)
    await server.socket.write(b"250 fine\n")
    await server.opening
    server = Opening()
    await server.socket.write(b"220 ready\n")
    await server.fails(wirekit.RemoteProtocolError, "LF")


# TLS

STARTTLS = {"secure_transport": "starttls"}


async def test_starttls_that_was_stripped() -> None:
    server = Opening(pair=STARTTLS)
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("AUTH PLAIN"))
    await server.fails(wirekit.TLSError, "does not offer STARTTLS; nothing was sent in clear")
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_exactly(1)


async def test_starttls_that_is_refused() -> None:
    server = Opening(pair=STARTTLS)
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("STARTTLS"))
    await server.answer(b"STARTTLS\r\n", "454 4.7.0 not now")
    await server.fails(SMTPResponseException, "not now")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("more", ["250 injected\r\n", "2", "\0"])
async def test_plaintext_behind_the_220(more: str, together: bool) -> None:
    server = Opening(pair=STARTTLS, tls={"server_hostname": "mail.example"})
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("STARTTLS"))
    await server.expect(b"STARTTLS\r\n")
    if together:
        await server.socket.write(b"220 go\r\n" + more.encode())
        await server.fails(wirekit.RemoteProtocolError, "data behind the 220")
    else:
        await server.say("220 go")
        await server.socket.write(more.encode() * 100)
        await server.fails(wirekit.TLSError, "(?i)tls|ssl")


async def test_a_socket_that_is_not_made_for_tls() -> None:
    server = Opening(start_tls=True)
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("STARTTLS"))
    await server.fails(wirekit.AddressError, 'secure_transport="starttls"')


async def test_tls_that_is_not_wanted() -> None:
    server = Opening(pair=STARTTLS, start_tls=False)
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("STARTTLS"))
    assert not (await server.opening).connection.secure


async def test_the_upgrade_is_cancelled() -> None:
    server = Opening(pair=STARTTLS)
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("STARTTLS"))
    await server.expect(b"STARTTLS\r\n")
    server.opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server.opening
    await server.client.closed


async def test_no_login_in_clear() -> None:
    server = Opening(credentials=Credentials(username="alice", password="wonder land"))
    await server.say("220 ready")
    await server.answer(EHLO, *ehlo_lines("AUTH PLAIN"))
    error = await server.fails(SMTPArgumentError, "in clear")
    assert "wonder" not in str(error)
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_exactly(1)
    assert "wonder" not in repr(Settings(credentials=Credentials(username="a", password="wonder")))
