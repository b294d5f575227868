from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

import wirekit
from tests.interop.waiting import outcomes, turns
from wirekit.adapters.smtp import Mail, SMTPException, SMTPServerDisconnected, Uncertain
from wirekit.adapters.smtp._bodies import Source
from wirekit.adapters.smtp._drafts import Draft
from wirekit.adapters.smtp._sending import Submission, deliver, submit
from wirekit.adapters.smtp._sessions import Sessions

from ._script import CHUNKING, MESSAGE, PIPELINING
from ._servers import Mailbox
from .test_sessions import on_socket, renewable


def draft(body: Source = MESSAGE) -> Draft:
    return Draft(Mail("a@example.org", "b@example.org", body))


async def opened(mailbox: Mailbox) -> Sessions:
    sessions = renewable(mailbox)
    await sessions.open()
    return sessions


async def test_a_mail_is_submitted_and_delivered() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    mail = draft()
    await submit(sessions, mail)
    assert (await deliver(sessions, mail)).errors == {}
    assert mailbox.mails == [("a@example.org", ["b@example.org"], MESSAGE)]
    await sessions.aclose()


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA"])
async def test_a_connection_that_turns_out_to_be_gone_is_made_anew(at: str) -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    mailbox.answers = [(at, "")]
    assert (await deliver(sessions, draft())).errors == {}
    assert (mailbox.connections, len(mailbox.mails)) == (2, 1)
    await sessions.aclose()


async def test_but_only_once() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    mailbox.answers = [("MAIL", ""), ("MAIL", "")]
    with pytest.raises(SMTPServerDisconnected):
        await deliver(sessions, draft())
    assert mailbox.connections == 2
    await sessions.aclose()


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING])
async def test_never_when_it_may_have_been_accepted(keywords: tuple[str, ...]) -> None:
    mailbox = Mailbox(*keywords)
    sessions = await opened(mailbox)
    mailbox.answers = [("<message>", "")]
    with pytest.raises(Uncertain):
        await deliver(sessions, draft())
    assert mailbox.connections == 1
    await sessions.aclose()


async def test_not_when_the_server_says_that_it_closes() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    mailbox.answers = [("MAIL", "421 too busy")]
    with pytest.raises(SMTPException, match="too busy"):
        await deliver(sessions, draft())
    assert mailbox.connections == 1
    await sessions.aclose()


async def test_those_that_had_not_begun_are_sent_on_the_next_connection() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    mailbox.answers = [("<message>", "")]
    results = await outcomes(*(deliver(sessions, draft()) for _ in range(5)))
    assert isinstance(results[0], Uncertain)
    assert all(result.errors == {} for result in results[1:])
    assert (mailbox.connections, len(mailbox.mails)) == (2, 4)
    await sessions.aclose()


async def test_without_a_connector_the_loss_is_told() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await on_socket(mailbox)
    await sessions.open()
    mailbox.answers = [("MAIL", "")]
    results = await outcomes(*(deliver(sessions, draft()) for _ in range(2)))
    assert all(isinstance(result, SMTPServerDisconnected) for result in results)
    assert [vars(result)["sent"] for result in results] == [True, False]
    await sessions.aclose()


async def test_a_stream_is_not_begun_twice() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"x" * 70000
        sessions.opened().connection.fail(wirekit.ConnectionLost("gone"))
        yield b"x"

    with pytest.raises(SMTPServerDisconnected, match="gone"):
        await deliver(sessions, draft(pieces()))
    assert (mailbox.connections, mailbox.mails) == (1, [])
    await sessions.aclose()


async def test_submissions() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    good = await Submission.start(sessions, ("a@example.org", "b@example.org", MESSAGE))
    bad = await Submission.start(sessions, ("a@example.org", "nobody", MESSAGE))
    given_up = await Submission.start(sessions, ("a@example.org", "c@example.org", MESSAGE))
    given_up.abandon()
    bad.abandon()
    assert (await good.result()).errors == {}
    with pytest.raises(wirekit.LocalProtocolError):
        await bad.result()
    assert (good.size, bad.size) == (len(MESSAGE), 0)
    await sessions.aclose()
    assert len(mailbox.mails) == 1
    with pytest.raises(SMTPServerDisconnected):
        await Submission.start(sessions, ("a@example.org", "b@example.org", MESSAGE))


async def test_cancelling_withdraws_it() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    first = asyncio.create_task(deliver(sessions, draft()))
    second = asyncio.create_task(deliver(sessions, draft()))
    await turns(2)
    second.cancel()
    await first
    await sessions.aclose()
    assert len(mailbox.mails) == 1
