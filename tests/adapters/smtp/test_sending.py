from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually, outcomes, turns
from wirekit.adapters.smtp import (
    SMTP,
    Mail,
    Options,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPServerDisconnected,
    Uncertain,
)
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


# More recipients than the server takes at a time


EVERYBODY = [f"{name}@{domain}.example" for domain in ("x", "y") for name in "abc"]


def to_everybody(body: Source = MESSAGE, **options: Any) -> Draft:
    return Draft(Mail("a@example.org", EVERYBODY, body, options=Options(**options)))


async def test_recipients_are_split_over_transactions() -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=4")
    mailbox.answers = [("RCPT TO:<b@x", "550 5.1.1 unknown")]
    sessions = await opened(mailbox)
    mail = to_everybody()
    result = await deliver(sessions, mail)
    await sessions.aclose()
    assert [recipients for _, recipients, _ in mailbox.mails] == [
        ["a@x.example", "c@x.example", "a@y.example"],
        ["b@y.example", "c@y.example"],
    ]
    assert {content for _, _, content in mailbox.mails} == {MESSAGE}
    assert list(result.recipients) == EVERYBODY
    assert result.errors == {"b@x.example": (550, "5.1.1 unknown")}
    assert mailbox.connections == 1
    assert mail.recipients is None


async def test_recipients_are_split_over_connections_by_their_domains() -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTDOMAINMAX=1")
    sessions = await opened(mailbox)
    result = await deliver(sessions, to_everybody())
    await sessions.aclose()
    assert [recipients for _, recipients, _ in mailbox.mails] == [EVERYBODY[:3], EVERYBODY[3:]]
    assert result.errors == {}
    assert mailbox.connections == 2


async def test_transactions_are_counted_and_a_new_connection_is_made() -> None:
    mailbox = Mailbox(*CHUNKING, "LIMITS MAILMAX=2")
    sessions = await opened(mailbox)
    for result in await outcomes(*(deliver(sessions, draft()) for _ in range(5))):
        assert result.errors == {}
    assert (mailbox.connections, len(mailbox.mails)) == (3, 5)
    await sessions.aclose()


@pytest.mark.parametrize("body", ["read once", "all or none"])
async def test_what_cannot_be_sent_twice_is_not_split(body: str) -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=4")
    sessions = await opened(mailbox)
    mail = (
        to_everybody(iter([MESSAGE])) if body == "read once" else to_everybody(all_recipients=True)
    )
    with pytest.raises(SMTPNotSupported, match=f"takes 4 of 6 recipients at a time, .*{body}"):
        await deliver(sessions, mail)
    assert not any(command.startswith("MAIL") for command in mailbox.commands)
    await sessions.aclose()


@pytest.mark.parametrize("refused", [[0], [1], [0, 1]])
async def test_all_recipients_of_a_part_are_refused(refused: list[int]) -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=3")
    mailbox.answers = [(f"RCPT TO:<{n}@{'xy'[d]}", "450 later") for d in refused for n in "abc"]
    sessions = await opened(mailbox)
    (got,) = await outcomes(deliver(sessions, to_everybody()))
    await sessions.aclose()
    if len(refused) == 2:
        assert isinstance(got, SMTPRecipientsRefused)
        assert [error.recipient for error in got.recipients] == EVERYBODY
    else:
        (part,) = refused
        assert list(got.errors) == EVERYBODY[part * 3 : part * 3 + 3]
        assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("step", "answer"), [("MAIL", "451 slow down"), ("<message>", "554 spam")])
async def test_a_part_is_refused_when_another_was_accepted(step: str, answer: str) -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=2")
    sessions = await opened(mailbox)
    mailbox.answers = [(step, "250 ok"), (step, answer)]
    result = await deliver(sessions, to_everybody())
    assert result.errors == dict.fromkeys(EVERYBODY[2:4], (int(answer[:3]), answer[4:]))
    assert [recipients for _, recipients, _ in mailbox.mails] == [EVERYBODY[:2], EVERYBODY[4:]]
    await sessions.aclose()


@pytest.mark.parametrize("first", ["250 ok", "554 spam"])
async def test_the_connection_is_lost_when_a_part_was_answered(first: str) -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=3")
    sessions = await opened(mailbox)
    mailbox.answers = [("<message>", first), ("<message>", "")]
    (got,) = await outcomes(deliver(sessions, to_everybody()))
    await sessions.aclose()
    if first == "250 ok":
        assert isinstance(got, Uncertain)
        assert list(got.recipients) == EVERYBODY[:3]
        assert "accepted for some" in str(got)
        assert isinstance(got.__cause__, Uncertain)
    else:
        assert isinstance(got, SMTPDataError)


async def test_time_runs_out_when_a_part_was_answered() -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=3")
    async with SMTP(
        connector=mailbox.connector, address="server", hostname="client.example", timeout=5
    ) as smtp:
        mailbox.hold = asyncio.Event()
        call = smtp.sendmail("a@example.org", EVERYBODY, MESSAGE, timeout=0.1)
        sending = asyncio.create_task(call)
        await eventually(lambda: "DATA" in mailbox.commands)
        mailbox.hold.set()
        mailbox.hold = asyncio.Event()
        with pytest.raises(Uncertain) as caught:
            await sending
        assert list(caught.value.recipients) == EVERYBODY[:3]
        mailbox.hold.set()


async def test_the_connection_is_lost_while_a_file_is_read(tmp_path: Path) -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await opened(mailbox)
    path = tmp_path / "mail"
    path.write_bytes(MESSAGE)
    delivering = asyncio.create_task(deliver(sessions, draft(path)))
    await turns(1)
    sessions.opened().connection.fail(wirekit.ConnectionLost("gone"))
    assert (await delivering).errors == {}
    assert mailbox.connections == 2
    await sessions.aclose()


async def test_a_mail_that_waits_while_the_extensions_change() -> None:
    mailbox = Mailbox(*CHUNKING, "SIZE")
    async with SMTP(await mailbox.connector("server"), hostname="client.example") as smtp:
        hello = asyncio.create_task(smtp.helo("client.example"))
        await turns(1)
        await smtp.sendmail("a@example.org", "b@example.org", MESSAGE)
        await hello
    assert mailbox.commands[1:5] == [
        "HELO client.example",
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<b@example.org>",
        "DATA",
    ]
