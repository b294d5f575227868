from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from email.message import EmailMessage
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import outcomes, turns
from wirekit.adapters.smtp import (
    SMTP,
    Mail,
    Options,
    SMTPConnectError,
    SMTPDataError,
    SMTPNotSupported,
    SMTPServerDisconnected,
    SMTPTimeoutError,
    Uncertain,
    connect,
)

from ._script import CHUNKING, MESSAGE, PIPELINING
from ._servers import Mailbox, Unreachable


def reconnecting(mailbox: Mailbox, **settings: Any) -> SMTP:
    return SMTP(
        connector=mailbox.connector, address="server", hostname="client.example", **settings
    )


def connection_of(client: Any) -> Any:
    return client._sessions.opened().connection


async def test_sendmail_as_aiosmtplibs_programs_call_it() -> None:
    mailbox = Mailbox(*PIPELINING, "DSN")
    async with SMTP(await mailbox.connector("server"), hostname="client.example") as smtp:
        errors, message = await smtp.sendmail(
            "a@example.org",
            ["b@example.org"],
            "Subject: x\n\nHello\n",
            mail_options=["RET=HDRS"],
            rcpt_options=["NOTIFY=NEVER"],
        )
        assert (errors, message) == ({}, "ok")
        await smtp.sendmail("a@example.org", "b@example.org", MESSAGE)
    assert mailbox.commands[1] == "MAIL FROM:<a@example.org> RET=HDRS"
    assert mailbox.commands[2] == "RCPT TO:<b@example.org> NOTIFY=NEVER"
    assert mailbox.mails == [("a@example.org", ["b@example.org"], MESSAGE)] * 2


async def test_send_message() -> None:
    mailbox = Mailbox(*PIPELINING, "DSN")
    message = EmailMessage()
    message["From"] = "a@example.org"
    message["To"] = "b@example.org"
    message["Bcc"] = "c@example.org"
    message.set_content("Hello\n")
    async with reconnecting(mailbox) as smtp:
        await smtp.send_message(message)
        await smtp.send_message(
            message, sender="x@example.org", recipients="y@example.org", mail_options=["RET=FULL"]
        )
        await smtp.send_message(message, options=Options(ret="HDRS"))
        await smtp.send(message)
    assert [mail[:2] for mail in mailbox.mails] == [
        ("a@example.org", ["b@example.org", "c@example.org"]),
        ("x@example.org", ["y@example.org"]),
        ("a@example.org", ["b@example.org", "c@example.org"]),
        ("a@example.org", ["b@example.org", "c@example.org"]),
    ]
    assert all(b"Bcc" not in mail[2] for mail in mailbox.mails)
    assert [line for line in mailbox.commands if "RET" in line] == [
        "MAIL FROM:<x@example.org> RET=FULL",
        "MAIL FROM:<a@example.org> RET=HDRS",
    ]


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING, ()])
async def test_many_tasks_at_once(keywords: tuple[str, ...]) -> None:
    mailbox = Mailbox(*keywords)
    async with reconnecting(mailbox) as smtp:
        results = await outcomes(
            *(smtp.sendmail("a@example.org", f"{n}@example.org", b"%d\r\n" % n) for n in range(50))
        )
    assert all(result.errors == {} for result in results)
    assert mailbox.mails == [
        ("a@example.org", [f"{n}@example.org"], b"%d\r\n" % n) for n in range(50)
    ]
    assert mailbox.connections == 1


@pytest.mark.parametrize("keywords", [PIPELINING, CHUNKING, ()])
async def test_send_many(keywords: tuple[str, ...]) -> None:
    mailbox = Mailbox(*keywords)
    mailbox.answers = [("RCPT TO:<7@", "550 no"), ("MAIL FROM:<12@", "450 later")]
    calls: list[tuple[int, int | None]] = []
    mails: list[Any] = [
        (f"{n}@example.org", [f"{n}@example.org"], b"%d\r\n" % n) for n in range(100)
    ]
    mails[3] = Mail("3@example.org", "no address", b"")
    mails[20] = Mail("20@example.org", "20@example.org", iter([b"2", b"0\r\n"]))
    async with reconnecting(mailbox) as smtp:
        got = [
            outcome
            async for outcome in smtp.send_many(
                mails, progress=lambda done, total: calls.append((done, total))
            )
        ]
    assert [outcome.message for outcome in got] == mails
    failed = {n for n, outcome in enumerate(got) if outcome.error is not None}
    assert failed == {3, 7, 12}
    assert calls[-1] == (100, 100)
    assert [int(mail[2]) for mail in mailbox.mails] == [n for n in range(100) if n not in failed]


async def test_leaving_the_loop_early_leaves_the_rest_unsent() -> None:
    mailbox = Mailbox(*PIPELINING)
    async with reconnecting(mailbox) as smtp:
        outcomes_ = smtp.send_many([("a@example.org", "b@example.org", MESSAGE)] * 100)
        async for _ in outcomes_:
            break
        await outcomes_.aclose()
        await smtp.sendmail("a@example.org", "last@example.org", MESSAGE)
    assert len(mailbox.mails) <= 3
    assert mailbox.mails[-1][1] == ["last@example.org"]


async def collect(outcomes: AsyncIterable[Any], got: list[Any]) -> None:
    async for outcome in outcomes:
        got.append(outcome)  # noqa: PERF401 - those before an error, too


async def test_a_lost_connection_without_a_connector_ends_send_many() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("MAIL FROM:<2@", "421 bye")]
    taken = 0

    def mails() -> Any:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield (f"{n}@example.org", "b@example.org", MESSAGE)

    got: list[Any] = []
    async with SMTP(await mailbox.connector("server"), hostname="client.example") as smtp:
        with pytest.raises(SMTPServerDisconnected):
            await collect(smtp.send_many(mails()), got)
    assert len(got) == taken - 1 < 1000
    assert [outcome.error is None for outcome in got[:2]] == [True, True]
    assert all(outcome.error is not None for outcome in got[2:])


async def test_a_limit_of_time() -> None:
    mailbox = Mailbox()
    async with reconnecting(mailbox, data_timeout=0.1) as smtp:
        await smtp.sendmail("a@example.org", "b@example.org", MESSAGE, timeout=5)
        mailbox.answers = [("RCPT", "250-not yet")]
        with pytest.raises(SMTPTimeoutError, match=r"within 0\.02 s"):
            await smtp.sendmail("a@example.org", "b@example.org", MESSAGE, timeout=0.02)
        connection_of(smtp).fail(wirekit.ConnectionLost("x"))
        mailbox.answers = [("<message>", "250-not yet")]
        with pytest.raises(Uncertain, match="may accept it yet"):
            await smtp.sendmail("a@example.org", "b@example.org", MESSAGE, timeout=0.02)
        connection_of(smtp).fail(wirekit.ConnectionLost("x"))


async def test_what_the_server_offers() -> None:
    mailbox = Mailbox("PIPELINING", "SIZE 100")
    smtp = reconnecting(mailbox)
    with pytest.raises(SMTPServerDisconnected, match="not open"):
        _ = smtp.capabilities
    assert not smtp.is_connected
    async with smtp:
        assert smtp.capabilities.size == 100
        assert smtp.supports_extension("size")
        assert not smtp.supports_extension("STARTTLS")
        assert smtp.esmtp_extensions == {"pipelining": "", "size": "100"}
        with pytest.raises(SMTPNotSupported, match="100"):
            await smtp.sendmail("a@example.org", "b@example.org", b"x" * 200)
    assert "MAIL" not in " ".join(mailbox.commands)


async def test_what_it_shows() -> None:
    mailbox = Mailbox()
    smtp = reconnecting(mailbox, username="alice", password="wonder", allow_plaintext_auth=True)
    assert repr(smtp) == "<SMTP not open>"
    mailbox.answers = [("AUTH", "235 ok")]
    mailbox.keywords = ("AUTH PLAIN",)
    async with smtp:
        assert repr(smtp) == "<SMTP memory open>"
        assert await smtp.open() is smtp
    assert repr(smtp) == "<SMTP memory closed>"
    assert "wonder" not in str(vars(smtp))
    await smtp.aclose()
    lost = reconnecting(Mailbox())
    async with lost:
        connection_of(lost).fail(wirekit.ConnectionLost("gone"))
        assert repr(lost) == "<SMTP memory lost: gone>"


async def test_an_opening_that_fails_leaves_nothing_open() -> None:
    mailbox = Mailbox()
    mailbox.answers = [("<greeting>", "554 no")]
    with pytest.raises(SMTPConnectError):
        async with reconnecting(mailbox):
            raise AssertionError
    await turns(5)
    assert mailbox.open == 0
    refused = Unreachable(mailbox, wirekit.ConnectRefused("no"))
    with pytest.raises(wirekit.ConnectRefused) as caught:
        await SMTP(connector=refused, address="x").open()
    assert isinstance(caught.value, SMTPConnectError)


async def test_cancelled_while_it_opens() -> None:
    mailbox = Mailbox()
    opening = asyncio.create_task(reconnecting(mailbox).__aenter__())
    await turns(4)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await turns(5)
    assert mailbox.open == 0


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"connector": print},
        {"address": "x"},
        {"connector": print, "address": "x", "password": "y"},
        {"connector": print, "address": "x", "username": "y"},
        {"connector": print, "address": "x", "username": "y", "password": "z", "token": "t"},
        {"connector": print, "address": "x", "messages_per_connection": 0},
    ],
)
def test_options_that_do_not_go_together(settings: dict[str, Any]) -> None:
    with pytest.raises(wirekit.AddressError):
        SMTP(**settings)


async def test_urls() -> None:
    mailbox = Mailbox()
    lmtp: Any = SMTP.from_url("lmtp://x:24", messages_per_connection=5)
    assert lmtp._sessions.settings.lmtp
    assert lmtp._sessions.settings.messages_per_connection == 5
    async with await connect(
        "smtp://server:2525?hostname=client.example", connector=mailbox.connector
    ) as smtp:
        await smtp.noop()
    with pytest.raises(wirekit.AddressError, match="port 25"):
        await connect("smtp://server")
    with pytest.raises(wirekit.AddressError, match="tls"):
        SMTP.from_url("smtp://server:2525", tls={"server_hostname": "x"})


async def test_the_refusal_of_one_is_no_business_of_the_others() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("<message>", "554 spam")]
    async with reconnecting(mailbox) as smtp:
        results = await outcomes(
            *(smtp.sendmail("a@example.org", "b@example.org", MESSAGE) for _ in range(4))
        )
    assert isinstance(results[0], SMTPDataError)
    assert len(mailbox.mails) == 3
