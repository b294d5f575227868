from __future__ import annotations

import asyncio

import pytest

import wirekit
from tests.interop.waiting import turns
from wirekit.adapters.smtp import SMTPServerDisconnected, SMTPServiceClosed
from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._queue import Outdated, Queue
from wirekit.adapters.smtp._transaction import Transaction
from wirekit.protocols import smtp

from ._script import CHUNKING, MAIL, MESSAGE, PIPELINING, RCPT, Server, envelope, open_queue, submit

ENVELOPE = MAIL + RCPT + b"DATA\r\n"
GO = ("250 ok", "250 ok", "354 go")


async def noop(queue: Queue) -> str:
    async with queue.alone() as connection:
        (reply,) = await connection.ask(smtp.Noop())
    return reply.text


async def deliver(server: Server) -> None:
    await server.answer(ENVELOPE, *GO)
    await server.answer(MESSAGE + b".\r\n", "250 ok")


async def test_commands_and_mails_keep_their_order() -> None:
    queue, server = await open_queue(*PIPELINING)
    first = submit(queue)
    asked = asyncio.create_task(noop(queue))
    await turns(2)
    second = submit(queue)
    await server.answer(ENVELOPE, *GO)
    await server.expect(MESSAGE + b".\r\n")
    await server.nothing_comes()  # NOOP waits until all is answered
    await server.say("250 ok")
    await server.expect(b"NOOP\r\n")
    await server.nothing_comes()
    await server.say("250 fine")
    assert await asked == "fine"
    await deliver(server)
    await first.result()
    await second.result()


async def test_whoever_leaves_the_line_holds_up_nobody() -> None:
    queue, server = await open_queue(*PIPELINING)
    first = submit(queue)
    asked = asyncio.create_task(noop(queue))
    await turns(2)
    second = submit(queue)
    asked.cancel()
    await deliver(server)
    await deliver(server)
    await first.result()
    await second.result()


async def test_whoever_leaves_before_the_answer_holds_up_nobody() -> None:
    queue, server = await open_queue(*PIPELINING)
    asked = asyncio.create_task(noop(queue))
    await server.expect(b"NOOP\r\n")
    asked.cancel()
    mail = submit(queue)
    await server.nothing_comes()  # its answer comes first, as NOOP ends a group
    await server.say("250 ok")
    await deliver(server)
    await mail.result()


async def test_a_turn_that_comes_when_its_owner_is_cancelled() -> None:
    queue, server = await open_queue(*PIPELINING)
    first = submit(queue)
    asked = asyncio.create_task(noop(queue))
    second = None
    await server.answer(ENVELOPE, *GO)
    await server.expect(MESSAGE + b".\r\n")
    first.future.add_done_callback(lambda _: asked.cancel())
    await server.say("250 ok")
    await turns(10)
    second = submit(queue)
    await server.expect(MAIL)
    second.abandon()


async def test_nothing_is_submitted_to_a_connection_that_is_over() -> None:
    queue, server = await open_queue(*PIPELINING)
    server.socket.abort()
    await turns(5)
    with pytest.raises(SMTPServerDisconnected):
        submit(queue)
    with pytest.raises(SMTPServerDisconnected):
        await noop(queue)


async def test_who_waits_for_a_turn_when_the_connection_is_lost() -> None:
    queue, server = await open_queue(*PIPELINING)
    submit(queue).abandon()
    submit(queue).abandon()
    asked = asyncio.create_task(noop(queue))
    await turns(2)
    await server.say("421 bye")
    with pytest.raises(SMTPServiceClosed):
        await asked


async def test_a_server_that_takes_so_many_mails_only() -> None:
    queue, server = await open_queue(*PIPELINING, "LIMITS MAILMAX=2")
    mails = [submit(queue) for _ in range(3)]
    await server.answer(ENVELOPE, *GO)
    await server.answer(MESSAGE + b".\r\n" + ENVELOPE, "250 ok", *GO)
    await server.answer(MESSAGE + b".\r\n", "250 ok")
    assert [(await mail.result()).message for mail in mails[:2]] == ["ok", "ok"]
    assert queue.is_spent
    with pytest.raises(wirekit.ConnectionLost, match="no more mails") as caught:
        await mails[2].result()
    assert vars(caught.value)["sent"] is False


async def test_extensions_that_are_not_wanted() -> None:
    queue, server = await open_queue(*CHUNKING, pipelining=False, chunking=False)
    assert not queue.pipelining
    assert not queue.chunking
    mail = submit(queue)
    await server.answer(MAIL, "250 ok")
    await server.expect(RCPT)
    mail.abandon()


async def test_what_cannot_be_sent_does_not_take_the_reset_with_it() -> None:
    queue, server = await open_queue(*CHUNKING)
    refused = submit(queue)
    await server.answer(MAIL + RCPT + b"BDAT 21 LAST\r\n" + MESSAGE, "250 ok", "550 no", "554 no")
    with pytest.raises(wirekit.ServerError):
        await refused.result()
    wrong = envelope(queue)
    wrong.mail = smtp.Mail("a b")
    bad = Transaction(queue, wrong, Body(MESSAGE))
    queue.submit(bad)
    with pytest.raises(wirekit.LocalProtocolError):
        await bad.result()
    after = submit(queue)
    await server.expect(b"RSET\r\n" + MAIL)
    after.abandon()


async def test_what_is_not_wanted_is_as_if_it_were_not_offered() -> None:
    offered = ("PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME")
    queue, _ = await open_queue(*offered, chunking=False)
    got = queue.capabilities
    assert (got.pipelining, got.chunking, got.binarymime) == (True, False, False)
    queue, _ = await open_queue(*offered, pipelining=False)
    got = queue.capabilities
    assert (got.pipelining, got.chunking, got.binarymime) == (False, True, True)


async def test_a_mail_that_was_made_for_what_is_not_offered_any_more() -> None:
    queue, server = await open_queue(*CHUNKING)
    asked = asyncio.create_task(_helo(queue))
    await turns(2)
    mail = submit(queue)
    await server.answer(b"HELO x\r\n", "250 server")
    await asked
    with pytest.raises(Outdated):
        await mail.result()
    assert not mail.begun
    after = submit(queue)  # BDAT was decided when it was submitted, once
    await server.answer(MAIL, "250 ok")
    await server.answer(RCPT, "250 ok")
    await server.answer(b"DATA\r\n", "354 go")
    await server.answer(MESSAGE + b".\r\n", "250 ok")
    await after.result()


async def _helo(queue: Queue) -> None:
    async with queue.alone() as connection:
        await connection.ask(smtp.Helo("x"))


async def test_domains_of_a_session_are_counted() -> None:
    queue, server = await open_queue(*PIPELINING, "LIMITS RCPTDOMAINMAX=2")
    names = ("One", "two", "one")
    mails = [submit(queue, MESSAGE, f"b@{name}.example") for name in names]
    more = submit(queue, MESSAGE, "b@three.example")
    again = submit(queue, MESSAGE, "b@one.example")
    for name in names:
        await server.answer(MAIL + b"RCPT TO:<b@%b.example>\r\nDATA\r\n" % name.encode(), *GO)
        await server.answer(MESSAGE + b".\r\n", "250 ok")
    for mail in mails:
        await mail.result()
    for mail in (more, again):
        with pytest.raises(SMTPServerDisconnected, match="no more mails"):
            await mail.result()
        assert not mail.begun
    assert queue.is_spent
