from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import turns
from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._envelope import Options
from wirekit.adapters.smtp._errors import (
    SMTPArgumentError,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPServiceClosed,
    Uncertain,
)
from wirekit.adapters.smtp._transaction import Stage, Transaction
from wirekit.protocols import smtp

from ._script import CHUNKING, MAIL, MESSAGE, PIPELINING, RCPT, envelope, open_queue, submit

DATA = b"DATA\r\n"
END = b".\r\n"
RSET = b"RSET\r\n"
ENVELOPE = MAIL + RCPT + DATA
GO = ("250 ok", "250 ok", "354 go")


def rcpts(*names: str) -> bytes:
    return b"".join(b"RCPT TO:<%s@example.org>\r\n" % name.encode() for name in names)


def bdat(data: bytes, *, last: bool = True) -> bytes:
    return b"BDAT %d%s\r\n%s" % (len(data), b" LAST" if last else b"", data)


def streamed(*pieces: bytes, error: Exception | None = None) -> Body:
    async def pieces_of() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece
        if error is not None:
            raise error

    return Body(open_pieces=pieces_of, replayable=False)


async def test_the_envelope_goes_together_and_the_content_behind_the_354() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail = submit(queue)
    await server.expect(ENVELOPE)
    await server.nothing_comes()
    await server.say(*GO)
    await server.answer(MESSAGE + END, "250 2.0.0 queued as 1")
    result = await mail.result()
    errors, text = result
    assert (errors, text) == ({}, "2.0.0 queued as 1")
    assert result.response.text == "queued as 1"
    assert result.recipients["b@example.org"].code == 250


async def test_without_pipelining_each_command_waits() -> None:
    queue, server = await open_queue()
    mail, after = submit(queue), submit(queue)
    for command, reply in [(MAIL, "250 ok"), (RCPT, "250 ok"), (DATA, "354 go")]:
        await server.expect(command)
        await server.nothing_comes()
        await server.say(reply)
    await server.expect(MESSAGE + END)
    await server.nothing_comes()
    await server.say("250 ok")
    assert (await mail.result()).message == "ok"
    await server.answer(MAIL, "550 no")
    with pytest.raises(SMTPSenderRefused, match="550 no"):
        await after.result()


async def test_the_next_mail_rides_behind_the_content() -> None:
    queue, server = await open_queue(*PIPELINING)
    mails = [submit(queue) for _ in range(3)]
    await server.answer(ENVELOPE, *GO)
    for _ in range(2):
        # In one piece, as the client sends it in one.
        assert await server.socket.read() == MESSAGE + END + ENVELOPE
        await server.say("250 ok", *GO)
    await server.answer(MESSAGE + END, "250 ok")
    for mail in mails:
        assert (await mail.result()).errors == {}


async def test_a_recipient_is_refused() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail = submit(queue, MESSAGE, "b@example.org", "c@example.org")
    await server.expect(MAIL + rcpts("b", "c") + DATA)
    await server.say("250 ok", "550 5.1.1 unknown", "251 will forward", "354 go")
    await server.answer(MESSAGE + END, "250 ok")
    errors, _ = await mail.result()
    assert errors == {"b@example.org": (550, "5.1.1 unknown")}
    assert errors["b@example.org"].enhanced_status == (5, 1, 1)
    assert errors["b@example.org"].text == "unknown"


@pytest.mark.parametrize("answer", ["554 no recipients", "354 go"])
@pytest.mark.parametrize("reply", ["250 taken", "554 nobody"])
async def test_all_recipients_are_refused(answer: str, reply: str) -> None:
    queue, server = await open_queue(*PIPELINING)
    mail = submit(queue, MESSAGE, "b@example.org", "c@example.org")
    after = submit(queue)
    await server.expect(MAIL + rcpts("b", "c") + DATA)
    await server.say("250 ok", "550 5.1.1 unknown", "450 later", answer)
    if answer == "354 go":
        # RFC 2920 §3.1: a single dot, and nothing of the message.
        await server.answer(END, reply)
    await server.expect(RSET + ENVELOPE)
    with pytest.raises(SMTPRecipientsRefused) as caught:
        await mail.result()
    assert [(refused.recipient, refused.code) for refused in caught.value.recipients] == [
        ("b@example.org", 550),
        ("c@example.org", 450),
    ]
    await server.say("250 ok", *GO)
    await server.answer(MESSAGE + END, "250 ok")
    await after.result()


async def test_a_sender_is_refused_and_the_mail_is_wanted_all_the_same() -> None:
    """A dot would deliver an empty message."""
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, "550 not you", "250 ok", "354 go")
    with pytest.raises(SMTPSenderRefused):
        await mail.result()
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_exactly(1)
    with pytest.raises(SMTPServerDisconnected):
        await after.result()


async def test_the_sender_is_refused_and_nothing_is_left_to_reset() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, "550 5.7.1 not you", "503 no", "503 no")
    await server.expect(ENVELOPE)
    with pytest.raises(SMTPSenderRefused) as caught:
        await mail.result()
    assert (caught.value.sender, caught.value.reply_code) == ("a@example.org", 550)
    assert caught.value.enhanced_status == (5, 7, 1)
    after.abandon()


async def test_data_is_refused() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, "250 ok", "250 ok", "451 4.3.0 later")
    await server.expect(RSET + ENVELOPE)
    with pytest.raises(SMTPDataError, match=r"451 4\.3\.0 later"):
        await mail.result()
    after.abandon()


async def test_the_message_is_refused_and_the_next_is_not_disturbed() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, *GO)
    await server.answer(MESSAGE + END + ENVELOPE, "554 spam", *GO)
    with pytest.raises(SMTPDataError, match="554 spam"):
        await mail.result()
    await server.answer(MESSAGE + END, "250 ok")
    await after.result()


async def test_the_server_does_not_want_to_reset() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, "250 ok", "250 ok", "451 later")
    await server.answer(RSET + ENVELOPE, "500 what?", *GO)
    with pytest.raises(SMTPDataError):
        await mail.result()
    with pytest.raises(SMTPException, match="500 what"):
        await after.result()
    assert queue.connection.error is not None


# BDAT


async def test_all_of_a_mail_goes_together_by_bdat() -> None:
    queue, server = await open_queue(*CHUNKING)
    mails = [submit(queue) for _ in range(3)]
    whole = MAIL + RCPT + bdat(MESSAGE)
    assert await server.socket.read() == whole + RSET + whole + RSET + whole
    await server.say("250 ok", "250 ok", "250 1", "250 ok", "250 ok", "250 ok", "554 2")
    await server.say("250 ok", "250 ok", "250 ok", "250 3")
    assert (await mails[0].result()).message == "1"
    with pytest.raises(SMTPDataError, match="554 2"):
        await mails[1].result()
    assert (await mails[2].result()).message == "3"


async def test_bdat_for_recipients_that_are_all_refused() -> None:
    queue, server = await open_queue(*CHUNKING)
    mail = submit(queue)
    await server.answer(MAIL + RCPT + bdat(MESSAGE), "250 ok", "550 unknown", "554 nobody")
    with pytest.raises(SMTPRecipientsRefused, match="550 unknown"):
        await mail.result()
    after = submit(queue)
    await server.expect(RSET + MAIL + RCPT + bdat(MESSAGE))
    after.abandon()


async def test_no_more_than_a_window_of_mails_is_on_its_way() -> None:
    queue, server = await open_queue(*CHUNKING)
    mails = [submit(queue) for _ in range(40)]
    whole = MAIL + RCPT + bdat(MESSAGE)
    await server.expect(whole + (RSET + whole) * 15)
    await server.nothing_comes()
    await server.say("250 ok", "250 ok", "250 ok")
    await server.expect(RSET + whole)
    assert (await mails[0].result()).errors == {}
    for mail in mails[1:]:
        mail.abandon()


async def test_large_content_waits_for_the_envelope() -> None:
    queue, server = await open_queue(*CHUNKING)
    data = b"x" * 70 + b"\r\n"
    data *= 2000
    mail, after = submit(queue, data), submit(queue)
    await server.expect(MAIL + RCPT)
    await server.nothing_comes()
    await server.say("250 ok", "250 ok")
    await server.answer(bdat(data), "250 ok")
    await server.expect(RSET + MAIL + RCPT + bdat(MESSAGE))
    await mail.result()
    after.abandon()


async def test_bdat_without_pipelining() -> None:
    queue, server = await open_queue("CHUNKING")
    mail = submit(queue)
    await server.answer(MAIL, "250 ok")
    await server.answer(RCPT, "250 ok")
    await server.answer(bdat(MESSAGE), "250 ok")
    await mail.result()


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING, ()])
async def test_all_recipients_or_none(keywords: tuple[str, ...]) -> None:
    queue, server = await open_queue(*keywords)
    options = Options(all_recipients=True)
    mail = submit(queue, MESSAGE, "b@example.org", "c@example.org", options=options)
    if keywords:
        await server.answer(MAIL + rcpts("b", "c"), "250 ok", "250 ok", "550 no")
    else:
        await server.answer(MAIL, "250 ok")
        await server.answer(rcpts("b"), "250 ok")
        await server.answer(rcpts("c"), "550 no")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        await mail.result()
    assert [refused.recipient for refused in caught.value.recipients] == ["c@example.org"]
    after = submit(queue, MESSAGE, options=options)
    await server.answer(RSET, "250 ok")
    await server.answer(MAIL, "250 ok")
    await server.answer(RCPT, "250 ok")
    if "CHUNKING" in keywords:
        await server.answer(bdat(MESSAGE), "250 ok")
    else:
        await server.answer(DATA, "354 go")
        await server.answer(MESSAGE + END, "250 ok")
    await after.result()


# LMTP


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING, ("CHUNKING",), ()])
async def test_lmtp_answers_for_each_recipient(keywords: tuple[str, ...]) -> None:
    queue, server = await open_queue(*keywords, lmtp=True)
    mail = submit(queue, MESSAGE, "b@example.org", "c@example.org", "d@example.org")
    after = submit(queue)
    envelope = MAIL + rcpts("b", "c", "d")
    replies = ["250 ok", "250 ok", "550 5.1.1 unknown", "250 ok"]
    chunked = "CHUNKING" in keywords
    if "PIPELINING" in keywords:
        await server.expect(envelope + (b"" if chunked else DATA))
        await server.say(*replies, *(() if chunked else ("354 go",)))
    else:
        for command, reply in zip(envelope.splitlines(keepends=True), replies, strict=True):
            await server.answer(command, reply)
        if not chunked:
            await server.answer(DATA, "354 go")
    await server.expect(bdat(MESSAGE) if chunked else MESSAGE + END)
    await server.say("452 4.2.2 over quota", "250 2.0.0 delivered")
    result = await mail.result()
    assert {name: reply.code for name, reply in result.recipients.items()} == {
        "b@example.org": 452,
        "c@example.org": 550,
        "d@example.org": 250,
    }
    assert set(result.errors) == {"b@example.org", "c@example.org"}
    assert result.message == "2.0.0 delivered"
    after.abandon()


async def test_lmtp_refuses_for_all() -> None:
    queue, server = await open_queue(*PIPELINING, lmtp=True)
    mail = submit(queue, MESSAGE, "b@example.org", "c@example.org")
    await server.answer(MAIL + rcpts("b", "c") + DATA, *GO[:2], "550 no", "354 go")
    await server.answer(MESSAGE + END, "452 4.2.2 over quota")
    with pytest.raises(SMTPRecipientsRefused) as caught:
        await mail.result()
    assert [refused.code for refused in caught.value.recipients] == [452, 550]


async def test_lmtp_refuses_a_chunk_when_the_last_is_on_its_way() -> None:
    """How often the last is answered then is not told: the next mail must not get a reply of it."""
    queue, server = await open_queue(*CHUNKING, lmtp=True)
    mail = submit(queue, streamed(b"x" * 65536, b"y\r\n"), "b@example.org", "c@example.org")
    after = submit(queue)
    result = asyncio.create_task(mail.result())
    await server.answer(MAIL + rcpts("b", "c"), "250 ok", "250 ok", "250 ok")
    await server.expect(bdat(b"x" * 65536, last=False) + bdat(b"y\r\n"))
    await server.say("452 4.3.1 no space", "503 what?")
    with pytest.raises(SMTPDataError, match="no space"):
        await result
    with pytest.raises(SMTPServerDisconnected):
        await after.result()


# Content that is streamed


async def test_a_stream_by_data() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail = submit(queue, streamed(b"Subject: x\n", b"\n.dot\r", b"\nend"))
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, *GO)
    await server.answer(b"Subject: x\r\n\r\n..dot\r\nend\r\n" + END, "250 ok")
    assert (await result).errors == {}


async def test_a_stream_by_bdat() -> None:
    queue, server = await open_queue(*CHUNKING)
    line = b"x" * 78 + b"\r\n"
    mail = submit(queue, streamed(line * 500, line * 500, line * 500))
    result = asyncio.create_task(mail.result())
    await server.answer(MAIL + RCPT, "250 ok", "250 ok")
    chunk = line * 1000
    await server.answer(bdat(chunk, last=False), "250 got it")
    await server.answer(bdat(line * 500), "250 ok")
    assert (await result).message == "ok"


async def test_large_content_in_memory_is_sent_bit_by_bit() -> None:
    queue, server = await open_queue(*PIPELINING, pair={"high_water_mark": 1000})
    data = (b"y" * 78 + b"\n") * 20000
    mail = submit(queue, data)
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, *GO)
    await server.answer(data.replace(b"\n", b"\r\n") + END, "250 ok")
    await result


async def test_the_server_refuses_a_chunk() -> None:
    queue, server = await open_queue(*CHUNKING)
    asked = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"z" * 65536

    mail = submit(queue, Body(open_pieces=endless))
    result = asyncio.create_task(mail.result())
    await server.answer(MAIL + RCPT, "250 ok", "250 ok")
    await server.expect(bdat(b"z" * 65536, last=False))
    for _ in range(20):
        await asyncio.sleep(0)
    assert asked <= 6  # no more than a few chunks ahead of the replies
    await server.say("552 5.3.4 too much")
    with pytest.raises(SMTPDataError, match="552"):
        await result
    rest = asked - 1
    await server.expect(bdat(b"z" * 65536, last=False) * rest)
    after = submit(queue)
    await server.nothing_comes()  # chunks that are on their way are answered first
    await server.say(*["503 no"] * rest)
    await server.expect(RSET + MAIL + RCPT + bdat(MESSAGE))
    after.abandon()


async def test_a_stream_that_nobody_wants_is_not_read() -> None:
    queue, server = await open_queue(*PIPELINING)
    read = False

    async def pieces() -> AsyncGenerator[bytes]:
        nonlocal read
        read = True
        yield b""

    mail = submit(queue, Body(open_pieces=pieces))
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, "250 ok", "550 no", "554 no")
    with pytest.raises(SMTPRecipientsRefused):
        await result
    assert not read


async def test_content_breaks_off_after_data() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail = submit(queue, streamed(MESSAGE * 5000, error=OSError("gone")))
    after = submit(queue)
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, *GO)
    with pytest.raises(OSError, match="gone"):
        await result
    # It must never look complete, whatever would be sent next.
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_until(b"\r\n.\r\n", 1000000)
    with pytest.raises(SMTPServerDisconnected, match="broken off") as caught:
        await after.result()
    assert not vars(caught.value)["sent"]


async def test_content_breaks_off_after_bdat() -> None:
    queue, server = await open_queue(*CHUNKING)
    mail = submit(queue, streamed(b"x" * 65536, b"y", error=OSError("gone")))
    after = submit(queue)
    result = asyncio.create_task(mail.result())
    await server.answer(MAIL + RCPT, "250 ok", "250 ok")
    await server.expect(bdat(b"x" * 65536, last=False))
    with pytest.raises(OSError, match="gone"):
        await result
    await server.say("250 ok")
    await server.answer(RSET + MAIL + RCPT + bdat(MESSAGE), "250 ok", "250 ok", "250 ok", "250 ok")
    await after.result()


async def test_a_stream_that_is_not_ascii_for_a_server_without_8bitmime() -> None:
    queue, server = await open_queue("PIPELINING", "CHUNKING")
    mail = submit(queue, streamed("ä".encode()))
    result = asyncio.create_task(mail.result())
    await server.answer(MAIL + RCPT, "250 ok", "250 ok")
    with pytest.raises(SMTPNotSupported, match="8BITMIME"):
        await result


async def test_the_server_refuses_before_the_end_of_the_message() -> None:
    queue, server = await open_queue(*PIPELINING)
    told = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x" * 100000
        await told.wait()
        yield b"never sent"

    mail = submit(queue, Body(open_pieces=pieces))
    after = submit(queue)
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, *GO)
    await server.expect(b"x" * 100000)
    await server.say("552 5.3.4 enough")
    await turns(5)
    told.set()
    with pytest.raises(SMTPDataError, match="552"):
        await result
    with pytest.raises(SMTPServerDisconnected):
        await after.result()


@pytest.mark.parametrize(
    ("reply", "error"), [("552 enough", SMTPDataError), ("250 ok", SMTPServerDisconnected)]
)
async def test_the_reply_comes_before_the_message_is_sent_whole(
    reply: str, error: type[Exception]
) -> None:
    queue, server = await open_queue(*PIPELINING, pair={"high_water_mark": 1000})
    mail = submit(queue, b"x" * 900000)
    after = submit(queue)
    await server.answer(ENVELOPE, *GO)
    await server.expect(b"x" * 10)
    await server.say(reply)
    with pytest.raises(SMTPException) as caught:
        await mail.result()
    if reply[0] == "5":
        assert isinstance(caught.value, SMTPDataError)
    else:
        assert isinstance(caught.value, wirekit.RemoteProtocolError)
    with pytest.raises(SMTPException):
        await after.result()


# The end of the connection


async def test_lost_after_the_final_dot() -> None:
    queue, server = await open_queue(*PIPELINING)
    mails = [submit(queue) for _ in range(3)]
    await server.answer(ENVELOPE, *GO)
    await server.expect(MESSAGE + END + ENVELOPE)
    server.socket.abort()
    with pytest.raises(Uncertain, match="may have accepted") as caught:
        await mails[0].result()
    assert isinstance(caught.value.__cause__, wirekit.ConnectionLost)
    assert not isinstance(caught.value, ConnectionError)
    for mail, begun in [(mails[1], True), (mails[2], False)]:
        with pytest.raises(SMTPServerDisconnected) as lost:
            await mail.result()
        assert vars(lost.value)["sent"] is begun
        assert (mail.begun, mail.content_begun) == (begun, False)


async def test_lost_with_several_on_their_way() -> None:
    queue, server = await open_queue(*CHUNKING)
    mails = [submit(queue), submit(queue, MESSAGE, "c@example.org"), submit(queue)]
    await server.expect(MAIL + RCPT + bdat(MESSAGE))
    await server.say("250 ok", "250 ok", "250 ok", "250 ok", "250 ok", "550 unknown")
    await mails[0].result()
    server.socket.abort()
    with pytest.raises(SMTPRecipientsRefused):
        await mails[1].result()  # sure, as nobody was to get it
    with pytest.raises(Uncertain):
        await mails[2].result()


@pytest.mark.parametrize("stage", range(4))
async def test_421_at_any_time(stage: int) -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.expect(ENVELOPE)
    await server.say(*GO[:stage])
    if stage == 3:
        await server.expect(MESSAGE + END)
    await server.say("421 4.3.2 going down")
    with pytest.raises(SMTPServiceClosed, match="going down") as caught:
        await mail.result()
    assert caught.value.code == 421
    assert isinstance(caught.value, SMTPServerDisconnected)
    with pytest.raises(SMTPServiceClosed):
        await after.result()


async def test_421_in_the_middle_of_a_message() -> None:
    queue, server = await open_queue(*PIPELINING)
    going = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x" * 70000
        await going.wait()
        yield b"x"

    mail = submit(queue, Body(open_pieces=pieces))
    result = asyncio.create_task(mail.result())
    await server.answer(ENVELOPE, *GO)
    await server.expect(b"x" * 70000)
    await server.say("421 4.3.2 going down")
    await turns(5)
    going.set()
    with pytest.raises(SMTPServiceClosed):
        await result


async def test_the_server_falls_silent() -> None:
    queue, server = await open_queue(*PIPELINING, timeout=0.05, data_timeout=0.1)
    mail, after = submit(queue), submit(queue)
    await server.answer(ENVELOPE, *GO)
    with pytest.raises(Uncertain) as caught:
        await mail.result()
    assert isinstance(caught.value.__cause__, wirekit.ReadTimeout)
    with pytest.raises(wirekit.ReadTimeout):
        await after.result()


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING, ()])
async def test_an_argument_that_cannot_be_sent_is_found_before_anything_is(
    keywords: tuple[str, ...],
) -> None:
    queue, server = await open_queue(*keywords)
    wrong = envelope(queue, "b@example.org", "c@example.org")
    wrong.rcpts = [wrong.rcpts[0], smtp.Rcpt("c>\r\nRSET")]
    bad = Transaction(queue, wrong, Body(MESSAGE))
    queue.submit(bad)
    after = submit(queue)
    with pytest.raises(SMTPArgumentError, match="path of RCPT"):
        await bad.result()
    await server.expect(MAIL)  # of the next one
    after.abandon()


# Giving up


async def cancelled(mail: Transaction) -> None:
    """Cancel a call that waits for the mail."""
    call = asyncio.create_task(mail.result())
    await turns(2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_mail_that_has_not_begun_is_withdrawn() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, given_up, after = submit(queue), submit(queue, MESSAGE, "c@example.org"), submit(queue)
    await cancelled(given_up)
    await server.answer(ENVELOPE, *GO)
    await server.expect(MESSAGE + END + ENVELOPE)
    assert given_up.stage is Stage.DONE
    await server.say("250 ok", *GO)
    await mail.result()
    after.abandon()


async def test_given_up_when_data_is_asked_for_closes_the_connection() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.expect(ENVELOPE)
    await cancelled(mail)
    await server.say(*GO)
    # A dot would have an empty message delivered.
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_exactly(1)
    with pytest.raises(SMTPServerDisconnected, match="broken off"):
        await after.result()


async def test_given_up_when_data_is_refused_leaves_the_connection() -> None:
    queue, server = await open_queue(*PIPELINING)
    mail, after = submit(queue), submit(queue)
    await server.expect(ENVELOPE)
    await cancelled(mail)
    await server.say("250 ok", "250 ok", "451 no")
    await server.answer(RSET + ENVELOPE, "250 ok", *GO)
    await server.answer(MESSAGE + END, "250 ok")
    await after.result()


@pytest.mark.parametrize("replies", range(3))
async def test_given_up_step_by_step_leaves_the_connection(replies: int) -> None:
    queue, server = await open_queue()
    mail, after = submit(queue), submit(queue)
    for command in (MAIL, RCPT)[:replies]:
        await server.answer(command, "250 ok")
    await server.expect((MAIL, RCPT, DATA)[replies])
    await cancelled(mail)
    await server.say("250 ok" if replies < 2 else "451 no")
    await server.answer(RSET, "250 ok")
    await server.expect(MAIL)
    after.abandon()


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING])
async def test_given_up_when_all_is_sent_leaves_the_connection(keywords: tuple[str, ...]) -> None:
    queue, server = await open_queue(*keywords)
    mail = submit(queue)
    if keywords == CHUNKING:
        await server.expect(MAIL + RCPT + bdat(MESSAGE))
        replies: tuple[str, ...] = ("250 ok", "250 ok", "250 ok")
    else:
        await server.answer(ENVELOPE, *GO)
        await server.expect(MESSAGE + END)
        replies = ("250 ok",)
    await cancelled(mail)
    assert mail.may_be_accepted
    await server.say(*replies)
    await turns(5)
    after = submit(queue)
    await server.expect(MAIL)
    after.abandon()


async def test_given_up_in_the_middle_of_a_large_message_closes_the_connection() -> None:
    queue, server = await open_queue(*PIPELINING, pair={"high_water_mark": 1000})
    mail, after = submit(queue, b"x" * 900000), submit(queue)
    await server.answer(ENVELOPE, *GO)
    await server.expect(b"x" * 10)
    await cancelled(mail)
    assert not mail.may_be_accepted
    with pytest.raises(wirekit.ConnectionLost):
        await server.socket.read_exactly(900000)
    with pytest.raises(SMTPServerDisconnected):
        await after.result()


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING])
async def test_given_up_in_the_middle_of_a_stream(keywords: tuple[str, ...]) -> None:
    queue, server = await open_queue(*keywords)

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x" * 65536
        await asyncio.Event().wait()

    mail, after = submit(queue, Body(open_pieces=pieces)), submit(queue)
    call = asyncio.create_task(mail.result())
    if keywords == CHUNKING:
        await server.answer(MAIL + RCPT, "250 ok", "250 ok")
        await server.answer(bdat(b"x" * 65536, last=False), "250 ok")
    else:
        await server.answer(ENVELOPE, *GO)
        await server.expect(b"x" * 65536)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    if keywords == CHUNKING:
        whole = MAIL + RCPT + bdat(MESSAGE)
        await server.answer(RSET + whole, "250 ok", "250 ok", "250 ok", "250 ok")
        await after.result()
    else:
        with pytest.raises(wirekit.ConnectionLost):
            await server.socket.read_exactly(1)
        with pytest.raises(SMTPServerDisconnected):
            await after.result()


async def test_binary_content_goes_verbatim() -> None:
    queue, server = await open_queue(*CHUNKING, "BINARYMIME")
    data = b"\r.\n\0\r\r.\r\n\xff"
    options: Any = Options(mail_options=("BODY=BINARYMIME",))
    mail = submit(queue, data, options=options)
    await server.expect(b"MAIL FROM:<a@example.org> BODY=BINARYMIME\r\n" + RCPT + bdat(data))
    mail.abandon()
