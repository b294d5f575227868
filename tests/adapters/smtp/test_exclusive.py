from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

import wirekit
from tests.interop.smtp.errors import assert_typed
from tests.interop.waiting import eventually, outcomes, turns
from wirekit.adapters.smtp import (
    SMTP,
    Session,
    SMTPArgumentError,
    SMTPDataError,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPServiceClosed,
    Uncertain,
)

from ._script import MAIL, MESSAGE, PIPELINING, RCPT, Server

END = b".\r\n"
DATA = b"DATA\r\n"


async def opened(*keywords: str, lmtp: bool = False, **settings: float) -> tuple[SMTP, Server]:
    server = Server(high_water_mark=1000)
    client = SMTP(server.client, hostname="client.example", lmtp=lmtp, **settings)  # type: ignore[arg-type]
    opening = asyncio.create_task(client.open())
    await server.hello(*keywords, lmtp=lmtp)
    await opening
    return client, server


class Held:
    """A session that is open until it is told to end."""

    def __init__(self, client: SMTP) -> None:
        self._over = asyncio.Event()
        self._ready: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(client))

    async def _hold(self, client: SMTP) -> None:
        async with client.session() as session:
            self._ready.set_result(session)
            await self._over.wait()

    async def session(self) -> Session:
        return await self._ready

    async def end(self) -> None:
        self._over.set()
        await self._task


@pytest.fixture
async def open_one() -> AsyncIterator[tuple[SMTP, Server]]:
    client, server = await opened(*PIPELINING)
    yield client, server
    server.abort()


Opened = tuple[SMTP, Server]


async def test_a_mail_command_by_command(open_one: Opened) -> None:
    client, server = open_one
    async with client.session() as session:
        assert "open" in repr(session)
        assert session.capabilities.pipelining
        mail = asyncio.create_task(session.mail("a@example.org", ["BODY=8BITMIME"]))
        after = asyncio.create_task(client.noop())  # waits until the session is over
        await server.answer(MAIL.replace(b">", b"> BODY=8BITMIME"), "250 2.1.0 ok")
        assert (await mail).enhanced_status == (2, 1, 0)
        rcpt = asyncio.create_task(session.rcpt("b@example.org", ["NOTIFY=NEVER"]))
        await server.answer(RCPT.replace(b">", b"> NOTIFY=NEVER"), "250 ok")
        assert (await rcpt).code == 250
        data = asyncio.create_task(session.data("Subject: x\n\n.Hello"))
        await server.answer(DATA, "354 go")
        await server.answer(b"Subject: x\r\n\r\n..Hello\r\n" + END, "250 queued")
        assert (await data).message == "queued"
        await server.nothing_comes()
    await server.answer(b"NOOP\r\n", "250 ok")
    await after
    for call in (session.mail("a@example.org"), session.noop(), session.data(b"")):
        (error,) = await outcomes(call)
        assert isinstance(error, SMTPServerDisconnected)
        assert "the session is over" in str(error)
    assert "over" in repr(session)


async def test_refusals(open_one: Opened) -> None:
    client, server = open_one
    async with client.session() as session:
        mail = asyncio.create_task(session.mail(""))
        await server.answer(b"MAIL FROM:<>\r\n", "550 no")
        with pytest.raises(SMTPSenderRefused):
            await mail
        assert not session.unfinished
        mail = asyncio.create_task(session.mail("a@example.org"))
        await server.answer(MAIL, "250 ok")
        await mail
        rcpt = asyncio.create_task(session.rcpt("b@example.org"))
        await server.answer(RCPT, "450 later")
        with pytest.raises(SMTPRecipientRefused) as caught:
            await rcpt
        assert caught.value.recipient == "b@example.org"
        data = asyncio.create_task(session.data(b"x"))
        await server.answer(DATA, "554 nobody")
        with pytest.raises(SMTPDataError):
            await data
        reset = asyncio.create_task(session.rset())
        await server.answer(b"RSET\r\n", "250 ok")
        await reset
        assert not session.unfinished
        data = asyncio.create_task(session.data(b"x\r\n"))
        await server.answer(DATA, "354 go")
        await server.answer(b"x\r\n" + END, "554 spam")
        with pytest.raises(SMTPDataError, match="spam"):
            await data


async def test_a_mail_that_is_left_is_reset_before_the_next(open_one: Opened) -> None:
    client, server = open_one
    held = Held(client)
    mail = asyncio.create_task((await held.session()).mail("a@example.org"))
    await server.answer(MAIL, "250 ok")
    await mail
    await held.end()
    sending = asyncio.create_task(client.sendmail("a@example.org", "b@example.org", MESSAGE))
    await server.expect(b"RSET\r\n" + MAIL + RCPT + DATA)
    sending.cancel()
    await outcomes(sending)


async def test_other_commands(open_one: Opened) -> None:
    client, server = open_one
    async with client.session() as session:
        for words, line in (
            (("XCLIENT", "NAME=x", "ADDR=y"), b"XCLIENT NAME=x ADDR=y\r\n"),
            ((b"noop",), b"NOOP\r\n"),
            (("VRFY", b"someone"), b"VRFY someone\r\n"),
        ):
            asked = asyncio.create_task(session.execute_command(*words))
            await server.answer(line, "550 5.7.1 no")
            assert (await asked).code == 550
        for wrong in (
            ("MAIL", "FROM:<a@example.org>"),
            ("DATA",),
            ("STARTTLS",),
            ("QUIT",),
            ("X\r\nRSET",),
            ("XCLIENT", "a\r\nRSET"),
            ("XCLIENT", "ä"),
            ("XCLIENT", b"\xe4"),
            (),
            ("",),
        ):
            with pytest.raises(SMTPArgumentError):
                await session.execute_command(*wrong)
        await server.nothing_comes()
        asked = asyncio.create_task(session.execute_command("XAUTH"))
        await server.answer(b"XAUTH\r\n", "334 go on")
        with pytest.raises(wirekit.RemoteProtocolError):
            await asked


async def test_what_cannot_be_sent(open_one: Opened) -> None:
    client, server = open_one
    async with client.session() as session:
        with pytest.raises(SMTPNotSupported, match="SMTPUTF8"):
            await session.mail("δοκιμή@example.org")
        with pytest.raises(SMTPArgumentError, match="SMTPUTF8"):
            await session.rcpt("δοκιμή@example.org")
        with pytest.raises(SMTPNotSupported, match="BINARYMIME"):
            await session.mail("a@example.org", ["BODY=BINARYMIME"])
        for wrong in ("a@example.org\r\nRSET", "no address"):
            with pytest.raises(SMTPArgumentError):
                await session.mail(wrong)
            with pytest.raises(SMTPArgumentError):
                await session.rcpt(wrong)
        with pytest.raises(SMTPArgumentError, match="parameter"):
            await session.mail("a@example.org", ["X=1\r\nRSET"])
        with pytest.raises(SMTPArgumentError, match="null"):
            await session.data(b"\0")
        await server.nothing_comes()
    client, server = await opened()
    async with client.session() as session:
        with pytest.raises(SMTPNotSupported, match="8BITMIME"):
            await session.data("ä".encode())
    client, server = await opened(lmtp=True)
    async with client.session() as session:
        with pytest.raises(SMTPNotSupported, match="LMTP"):
            await session.data(b"x")


async def test_addresses_that_need_smtputf8() -> None:
    client, server = await opened("SMTPUTF8", "8BITMIME")
    async with client.session() as session:
        mail = asyncio.create_task(session.mail("ä@bücher.example"))
        await server.answer("MAIL FROM:<ä@bücher.example> SMTPUTF8\r\n".encode(), "250 ok")
        await mail
        rcpt = asyncio.create_task(session.rcpt("ö@example.org"))
        await server.answer("RCPT TO:<ö@example.org>\r\n".encode(), "250 ok")
        await rcpt
        mail = asyncio.create_task(session.mail("b@bücher.example", "SMTPUTF8"))
        await server.answer(b"MAIL FROM:<b@xn--bcher-kva.example> SMTPUTF8\r\n", "250 ok")
        await mail


# In the middle of a message


async def in_the_middle(
    client: SMTP, server: Server, over: asyncio.Event
) -> tuple[Held, asyncio.Task[object]]:
    """Return a session, and a call of which some content was sent."""

    async def endless() -> AsyncGenerator[bytes]:
        yield b"x" * 65536
        await over.wait()

    held = Held(client)
    session = await held.session()
    data: asyncio.Task[object] = asyncio.create_task(session.data(endless()))
    await server.answer(DATA, "354 go")
    await server.expect(b"x" * 65536)
    return held, data


async def test_cancelled_in_the_middle_of_a_message(open_one: Opened) -> None:
    client, server = open_one
    held, data = await in_the_middle(client, server, asyncio.Event())
    other = asyncio.create_task(client.sendmail("a@example.org", "b@example.org", MESSAGE))
    data.cancel()
    cancelled, error = await outcomes(data, other)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(error, SMTPServerDisconnected)
    with pytest.raises(wirekit.ConnectionLost):  # no dot
        await server.socket.read_exactly(1)
    await held.end()


@pytest.mark.parametrize("turn", range(8))
async def test_cancelled_at_each_turn(turn: int) -> None:
    client, server = await opened(*PIPELINING)
    held = Held(client)
    data = asyncio.create_task((await held.session()).data(b"x\r\n"))
    await server.answer(DATA, "354 go")
    await turns(turn)
    data.cancel()
    await outcomes(data)
    await held.end()
    after = asyncio.create_task(client.noop())
    if client.is_connected:  # the message is complete
        await server.answer(b"x\r\n" + END, "250 ok")
        await server.answer(b"NOOP\r\n", "250 ok")
        await after
    else:
        with pytest.raises(wirekit.TransportError):
            await server.socket.read_until(END)
        assert_typed((await outcomes(after))[0])
    server.abort()


async def test_the_source_fails(open_one: Opened) -> None:
    client, server = open_one

    async def broken() -> AsyncGenerator[bytes]:
        yield b"x"
        raise OSError("gone")

    async with client.session() as session:
        data = asyncio.create_task(session.data(broken()))
        await server.answer(DATA, "354 go")
        with pytest.raises(OSError, match="gone"):
            await data
        with pytest.raises(SMTPServerDisconnected, match="broken off"):
            await session.noop()


async def test_the_connection_is_lost_behind_the_dot(open_one: Opened) -> None:
    client, server = open_one
    async with client.session() as session:
        data = asyncio.create_task(session.data(MESSAGE))
        await server.answer(DATA, "354 go")
        await server.expect(MESSAGE + END)
        server.socket.abort()
        with pytest.raises(Uncertain):
            await data


async def test_the_connection_is_lost_before_the_dot(open_one: Opened) -> None:
    client, server = open_one
    over = asyncio.Event()
    held, data = await in_the_middle(client, server, over)
    server.socket.abort()
    await eventually(lambda: not client.is_connected)
    over.set()
    (error,) = await outcomes(data)
    assert isinstance(error, SMTPServerDisconnected)
    assert not isinstance(error, Uncertain)
    await held.end()


@pytest.mark.parametrize(
    ("reply", "error"),
    [("421 bye", SMTPServiceClosed), ("250 ok", wirekit.RemoteProtocolError)],
)
async def test_an_answer_before_the_dot(reply: str, error: type[Exception]) -> None:
    client, server = await opened(*PIPELINING)
    async with client.session() as session:
        data = asyncio.create_task(session.data(b"x" * 5_000_000))
        await server.answer(DATA, "354 go")
        await server.expect(b"x" * 10)
        await server.say(reply)
        with pytest.raises(error):
            await data
    assert not client.is_connected
    server.abort()
