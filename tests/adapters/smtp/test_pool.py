from __future__ import annotations

import asyncio
from email.message import EmailMessage
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually, outcomes, turns
from wirekit.adapters.smtp import (
    Mail,
    Options,
    SMTPDataError,
    SMTPException,
    SMTPPool,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    Uncertain,
)
from wirekit.sockets import Backoff

from ._script import CHUNKING, MESSAGE, PIPELINING
from ._servers import Mailbox, Unreachable

MAIL = ("a@example.org", ["b@example.org"], MESSAGE)


def pool_for(mailbox: Mailbox, *errors: Exception, **options: Any) -> SMTPPool:
    options = {"backoff": Backoff(0.001, 0.001), "attempts": 4, **options}
    return SMTPPool(Unreachable(mailbox, *errors), "server", hostname="client.example", **options)


async def test_mails_go_over_several_connections() -> None:
    mailbox = Mailbox(*PIPELINING)
    async with pool_for(mailbox, size=3) as pool:
        assert repr(pool) == "<SMTPPool 0 of 3 connected>"
        results = await outcomes(*(pool.send(MAIL) for _ in range(30)))
        assert repr(pool) == "<SMTPPool 3 of 3 connected>"
    assert all(result.errors == {} for result in results)
    assert (mailbox.connections, len(mailbox.mails)) == (3, 30)
    assert repr(pool) == "<SMTPPool closed>"
    with pytest.raises(wirekit.SocketClosed):
        await pool.send(MAIL)


async def test_one_after_another_needs_one_connection() -> None:
    mailbox = Mailbox(*PIPELINING)
    async with pool_for(mailbox) as pool:
        for _ in range(5):
            await pool.send(MAIL)
    assert mailbox.connections == 1


async def test_connections_are_replaced_after_so_many_mails() -> None:
    mailbox = Mailbox(*CHUNKING)
    async with pool_for(mailbox, size=2, messages_per_connection=5) as pool:
        results = await outcomes(*(pool.send(MAIL) for _ in range(50)))
    assert all(result.errors == {} for result in results)
    assert mailbox.connections >= 10
    assert len(mailbox.mails) == 50


@pytest.mark.parametrize(
    "answer",
    [
        ("MAIL", "450 4.2.0 later"),
        ("MAIL", "421 too many"),
        ("MAIL", ""),
        ("RCPT", "450 greylisted"),
        ("DATA", "451 later"),
        ("DATA", ""),
        ("<message>", "452 full"),
        ("<message>", "421 restart"),
        ("<greeting>", "421 too many connections"),
        ("<greeting>", ""),
        ("EHLO", "421 no"),
    ],
)
async def test_what_is_refused_for_a_while_is_sent_again(answer: tuple[str, str]) -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [answer] * 2
    async with pool_for(mailbox) as pool:
        assert (await pool.send(MAIL)).errors == {}
    assert mailbox.mails == [MAIL]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (("MAIL", "550 no"), SMTPSenderRefused),
        (("RCPT", "550 no"), SMTPRecipientsRefused),
        (("<message>", "554 no"), SMTPDataError),
        (("<message>", ""), Uncertain),
        (("<greeting>", "554 no"), SMTPException),
    ],
)
async def test_what_is_final_is_not(answer: tuple[str, str], error: type[Exception]) -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [answer]
    async with pool_for(mailbox) as pool:
        with pytest.raises(error):
            await pool.send(MAIL)
    assert mailbox.mails == []


async def test_so_many_attempts_and_no_more() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("<message>", "451 later")] * 10
    async with pool_for(mailbox, attempts=3) as pool:
        with pytest.raises(SMTPDataError, match="451"):
            await pool.send(MAIL)
    assert len(mailbox.answers) == 7


async def test_a_server_that_cannot_be_reached_for_a_while() -> None:
    mailbox = Mailbox(*PIPELINING)
    errors = [wirekit.ConnectRefused("no"), wirekit.ConnectTimeout("no")]
    async with pool_for(mailbox, *errors) as pool:
        await pool.send(MAIL)
    async with pool_for(mailbox, wirekit.BlockedError("never")) as pool:
        with pytest.raises(wirekit.BlockedError):
            await pool.send(MAIL)


async def test_only_who_was_deferred_gets_it_again() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("RCPT TO:<c@", "450 greylisted"), ("RCPT TO:<d@", "550 unknown")]
    async with pool_for(mailbox) as pool:
        result = await pool.sendmail(
            "a@example.org", [f"{name}@example.org" for name in "bcd"], MESSAGE
        )
    assert [mail[1] for mail in mailbox.mails] == [["b@example.org"], ["c@example.org"]]
    assert result.errors == {"d@example.org": (550, "unknown")}
    assert result.recipients["c@example.org"].code == 250


async def test_what_was_said_of_all_recipients_is_told_in_the_end() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("RCPT TO:<c@", "550 unknown"), *[("RCPT TO:<b@", "450 later")] * 9]
    async with pool_for(mailbox) as pool:
        with pytest.raises(SMTPRecipientsRefused) as caught:
            await pool.sendmail("a@example.org", ["b@example.org", "c@example.org"], MESSAGE)
    assert {refused.recipient: refused.code for refused in caught.value.recipients} == {
        "b@example.org": 450,
        "c@example.org": 550,
    }


async def test_what_is_deferred_for_ever_is_told_beside_what_was_accepted() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("RCPT TO:<c@", "450 later")] * 9
    async with pool_for(mailbox) as pool:
        result = await pool.sendmail("a@example.org", ["b@example.org", "c@example.org"], MESSAGE)
    assert result.errors == {"c@example.org": (450, "later")}
    assert len(mailbox.mails) == 1


async def test_all_recipients_or_none_again() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("RCPT TO:<c@", "450 greylisted")]
    mail = Mail(
        "a@example.org",
        ["b@example.org", "c@example.org"],
        MESSAGE,
        options=Options(all_recipients=True),
    )
    async with pool_for(mailbox) as pool:
        await pool.send(mail)
    assert [mail[1] for mail in mailbox.mails] == [["b@example.org", "c@example.org"]]


async def test_a_stream_cannot_be_sent_twice() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("<message>", "451 later")]
    async with pool_for(mailbox) as pool:
        with pytest.raises(SMTPDataError):
            await pool.sendmail("a@example.org", "b@example.org", iter([b"x\r\n"]))
        mailbox.answers = [("MAIL", "451 later")]
        await pool.sendmail("a@example.org", "b@example.org", iter([b"x\r\n"]))
    assert len(mailbox.mails) == 1


async def test_a_message() -> None:
    mailbox = Mailbox(*PIPELINING)
    message = EmailMessage()
    message["From"] = "a@example.org"
    message["To"] = "b@example.org"
    async with pool_for(mailbox) as pool:
        await pool.send_message(message, recipients="c@example.org")
    assert mailbox.mails[0][:2] == ("a@example.org", ["c@example.org"])


async def test_all_of_the_pool_pauses_when_the_server_wants_less() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("MAIL", "421 too fast")]
    draws: list[float] = []

    def random() -> float:
        draws.append(1.0)
        return 1.0

    backoff = Backoff(0.05, 0.05, random=random)
    async with pool_for(mailbox, backoff=backoff, size=2) as pool:
        first = asyncio.create_task(pool.send(MAIL))
        await turns(60)
        second = asyncio.create_task(pool.send(MAIL))
        await turns(20)
        assert mailbox.mails == []
        await outcomes(first, second)
    assert len(mailbox.mails) == 2


async def test_send_many() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("RCPT TO:<7@", "550 no"), ("MAIL FROM:<9@", "450 later")]
    mails: list[Any] = [(f"{n}@example.org", f"{n}@example.org", MESSAGE) for n in range(100)]
    mails[3] = 3
    async with pool_for(mailbox, size=3) as pool:
        got = [outcome async for outcome in pool.send_many(mails)]
        assert [outcome.message for outcome in got] == mails
        assert [n for n, outcome in enumerate(got) if outcome.error is not None] == [3, 7]
        leaving = pool.send_many(mails[10:])
        async for _ in leaving:
            break
        await leaving.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await anext(pool.send_many(mails))


async def test_those_that_are_deferred_of_recipients_in_several_transactions() -> None:
    mailbox = Mailbox(*PIPELINING, "LIMITS RCPTMAX=2")
    mailbox.answers = [("RCPT TO:<2@", "450 later"), ("RCPT TO:<3@", "550 unknown")]
    names = [f"{number}@example.org" for number in range(5)]
    async with pool_for(mailbox, size=1) as pool:
        result = await pool.sendmail("a@example.org", names, MESSAGE)
    assert {name: reply.code for name, reply in result.errors.items()} == {names[3]: 550}
    assert list(result.recipients) == names
    assert [recipients for _, recipients, _ in mailbox.mails] == [names[:2], names[4:], [names[2]]]


@pytest.mark.parametrize("why", ["451 later", "421 too fast"])
async def test_whoever_pauses_learns_at_once_that_the_pool_is_closed(why: str) -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("MAIL", why)]
    pool = pool_for(mailbox, backoff=Backoff(3600, 3600))
    sending = asyncio.create_task(pool.send(MAIL))
    await eventually(lambda: not mailbox.answers)
    await turns(20)
    await pool.aclose()
    with pytest.raises(wirekit.SocketClosed, match="the pool was closed"):
        await sending


async def test_from_a_url() -> None:
    mailbox = Mailbox(*PIPELINING)
    url = "smtp://server:2525?hostname=client.example&messages_per_connection=1"
    async with SMTPPool.from_url(url, connector=mailbox.connector, size=1) as pool:
        await pool.send(MAIL)
        await pool.send(MAIL)
    assert (mailbox.connections, len(mailbox.mails)) == (2, 2)
    with pytest.raises(wirekit.AddressError, match="port 25"):
        SMTPPool.from_url("smtp://server")


@pytest.mark.parametrize("options", [{"size": 0}, {"attempts": 0}])
def test_options_that_are_wrong(options: dict[str, int]) -> None:
    with pytest.raises(wirekit.AddressError):
        pool_for(Mailbox(), **options)
