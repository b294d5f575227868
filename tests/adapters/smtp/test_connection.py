from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import turns
from wirekit.adapters.smtp import SMTPArgumentError, SMTPDataError, SMTPServiceClosed
from wirekit.adapters.smtp._connection import Connection
from wirekit.protocols.smtp import (
    Codec,
    Data,
    Ehlo,
    EndOfMailData,
    Mail,
    MailData,
    Noop,
    Rcpt,
    Reply,
    Vrfy,
)

from ._script import Server, ehlo_lines


class Pair(Server):
    """A connection, and the server's end of it."""

    def __init__(
        self, timeout: float | None = None, data_timeout: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.connection = Connection(
            self.client, Codec(), timeout=timeout, data_timeout=data_timeout
        )
        self.lost: list[Exception] = []
        self.connection.on_lost = self.lost.append

    async def greet(self, *keywords: str) -> None:
        await self.say("220 ready")
        assert (await self.connection.greeting())[0].code == 220
        asked = self.connection.ask(Ehlo("client.example"))
        await self.answer(b"EHLO client.example\r\n", *ehlo_lines(*keywords))
        await asked


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    await made.greet("PIPELINING")
    yield made
    made.abort()


MAIL = b"MAIL FROM:<a@b.example>\r\n"


async def test_commands_of_one_turn_leave_together_and_are_answered_in_order(pair: Pair) -> None:
    got: list[list[Reply]] = []
    pair.connection.request(got.append, Mail("a@b.example"), Rcpt("c@d.example"))
    data = pair.connection.ask(Data())
    assert not pair.connection.idle
    assert await pair.socket.read() == MAIL + b"RCPT TO:<c@d.example>\r\nDATA\r\n"
    await pair.say("250 1", "250 2", "354 3")
    assert [reply.text for reply in await data] == ["3"]
    assert [[reply.text for reply in replies] for replies in got] == [["1", "2"]]
    assert pair.connection.idle


async def test_what_replies_give_rise_to_leaves_at_once(pair: Pair) -> None:
    def answered(replies: list[Reply]) -> None:
        pair.connection.request(more.append, Noop())

    more: list[list[Reply]] = []
    pair.connection.request(answered, Mail("a@b.example"))
    progress = 0

    def progressed() -> None:
        nonlocal progress
        progress += 1

    pair.connection.on_progress = progressed
    await pair.answer(MAIL, "250 ok")
    await pair.answer(b"NOOP\r\n", "250 ok")
    await turns(5)
    assert len(more) == 1
    assert progress == 2


async def test_the_reply_to_one_who_left_is_consumed(pair: Pair) -> None:
    first = pair.connection.ask(Mail("a@b.example"))
    second = pair.connection.ask(Rcpt("c@d.example"))
    first.cancel()
    await pair.answer(MAIL + b"RCPT TO:<c@d.example>\r\n", "250 1", "250 2")
    assert (await second)[0].text == "2"


async def test_what_cannot_be_sent_is_found_at_once(pair: Pair) -> None:
    with pytest.raises(SMTPArgumentError, match="control character"):
        pair.connection.ask(Vrfy("x\r\nRSET"))
    assert pair.connection.idle
    with pytest.raises(SMTPArgumentError, match="cannot be sent"):
        pair.connection.write(MailData(b"x"))


async def test_bytes_that_wait_for_the_server_to_take_them() -> None:
    pair = Pair(high_water_mark=1000)
    await pair.greet("PIPELINING")
    connection = pair.connection
    asked = connection.ask(Mail("a@b.example"), Rcpt("c@d.example"), Data())
    await pair.expect(MAIL + b"RCPT TO:<c@d.example>\r\nDATA\r\n")
    await pair.say("250 1", "250 2", "354 3")
    await asked
    data = b"x" * 2000000
    connection.write(MailData(data))
    final = connection.ask(EndOfMailData())
    mark = connection.mark()
    await turns(3)
    assert connection.congested
    assert connection.full
    assert not connection.has_written(mark)
    drained = asyncio.create_task(connection.drained())
    await turns(3)
    assert not drained.done()
    await pair.expect(data)
    await drained
    assert connection.has_written(mark)
    assert not connection.full
    await pair.answer(b"\r\n.\r\n", "250 ok")
    await final
    pair.abort()


async def test_421_ends_it(pair: Pair) -> None:
    asked = pair.connection.ask(Mail("a@b.example"))
    await pair.answer(MAIL, "421 4.3.2 bye")
    with pytest.raises(SMTPServiceClosed, match=r"4\.3\.2 bye"):
        await asked
    assert isinstance(pair.lost[0], SMTPServiceClosed)
    with pytest.raises(SMTPServiceClosed):
        pair.connection.ask(Noop())
    assert await pair.socket.read() == b""


async def test_a_refusal_within_the_mail_data(pair: Pair) -> None:
    asked = pair.connection.ask(Mail("a@b.example"), Rcpt("c@d.example"), Data())
    await pair.expect(MAIL + b"RCPT TO:<c@d.example>\r\nDATA\r\n")
    await pair.say("250 1", "250 2", "354 3")
    await asked
    await pair.say("552 5.3.4 too much")
    await turns(5)
    assert isinstance(pair.lost[0], SMTPDataError)


async def test_a_fault_of_the_servers(pair: Pair) -> None:
    first = pair.connection.ask(Mail("a@b.example"))
    second = pair.connection.ask(Rcpt("c@d.example"))
    await pair.expect(MAIL + b"RCPT TO:<c@d.example>\r\n")
    await pair.say("250 1", "2x0 2")
    assert (await first)[0].text == "1"
    with pytest.raises(wirekit.RemoteProtocolError):
        await second
    assert isinstance(pair.connection.error, wirekit.RemoteProtocolError)
    assert pair.connection.error.events == []


async def test_the_end_of_the_stream(pair: Pair) -> None:
    asked = pair.connection.ask(Noop())
    await pair.expect(b"NOOP\r\n")
    await pair.socket.write_eof()
    with pytest.raises(wirekit.ConnectionLost, match="when an answer was due"):
        await asked


async def test_the_end_when_nothing_is_due(pair: Pair) -> None:
    await pair.socket.write_eof()
    await turns(5)
    assert isinstance(pair.connection.error, wirekit.ConnectionLost)


async def test_a_reset(pair: Pair) -> None:
    asked = pair.connection.ask(Noop())
    pair.socket.abort()
    with pytest.raises(wirekit.ConnectionLost):
        await asked
    with pytest.raises(wirekit.ConnectionLost) as caught:
        pair.connection.ask(Noop())
    assert vars(caught.value)["sent"] is False
    await pair.connection.drained()  # nothing to wait for any more


async def test_an_error_in_a_callback_ends_it(pair: Pair) -> None:
    def answered(_: list[Reply]) -> None:
        raise ZeroDivisionError

    pair.connection.request(answered, Noop())
    await pair.answer(b"NOOP\r\n", "250 ok")
    await turns(5)
    assert isinstance(pair.connection.error, ZeroDivisionError)


async def test_a_server_that_does_not_answer() -> None:
    pair = Pair(timeout=0.02)
    with pytest.raises(wirekit.ReadTimeout, match=r"within 0\.02 s"):
        await pair.connection.greeting()


async def test_an_answer_that_drips() -> None:
    """Bytes of a reply are no progress: its time runs from when it is due to its end."""
    pair = Pair(timeout=0.1)
    await pair.greet("PIPELINING")
    asked = pair.connection.ask(Noop())

    async def drip() -> None:
        with contextlib.suppress(wirekit.TransportError):
            await pair.socket.write(b"250-")
            while pair.connection.error is None:
                await pair.socket.write(b"x" if random.random() < 0.9 else b"\r\n250-")
                await asyncio.sleep(0.005)

    dripping = asyncio.create_task(drip())
    with pytest.raises(wirekit.ReadTimeout):
        await asked
    await dripping


@pytest.mark.parametrize("data_timeout", [30, None])
async def test_an_answer_that_may_take_longer(data_timeout: float | None) -> None:
    pair = Pair(timeout=0.02, data_timeout=data_timeout)
    await pair.greet("PIPELINING")
    got: list[list[Reply]] = []
    pair.connection.request(got.append, Noop(), final=True)
    await asyncio.sleep(0.06)
    assert pair.connection.error is None
    await pair.answer(b"NOOP\r\n", "250 ok")
    await turns(5)
    assert got
    asked = pair.connection.ask(Noop())
    with pytest.raises(wirekit.ReadTimeout):
        await asked


async def test_only_the_reply_to_a_message_has_a_limit() -> None:
    pair = Pair(timeout=None, data_timeout=0.02)
    await pair.greet("PIPELINING")
    asked = pair.connection.ask(Noop())
    await asyncio.sleep(0.06)
    await pair.answer(b"NOOP\r\n", "250 ok")
    await asked
    with pytest.raises(wirekit.ReadTimeout, match=r"within 0\.02 s"):
        await pair.connection.ask(Noop(), final=True)


async def test_a_server_that_takes_nothing() -> None:
    pair = Pair(timeout=0.03, high_water_mark=1000)
    await pair.greet("PIPELINING")
    asked = pair.connection.ask(Mail("a@b.example"), Rcpt("c@d.example"), Data())
    await pair.expect(MAIL + b"RCPT TO:<c@d.example>\r\nDATA\r\n")
    await pair.say("250 1", "250 2", "354 3")
    await asked
    pair.connection.write(MailData(b"x" * 2000000))
    await pair.connection.drained()
    assert isinstance(pair.connection.error, wirekit.WriteTimeout)


async def test_closing(pair: Pair) -> None:
    asked = pair.connection.ask(Noop())
    await pair.connection.close()
    with pytest.raises(wirekit.SocketClosed):
        await asked
    assert await pair.socket.read() == b"NOOP\r\n"
