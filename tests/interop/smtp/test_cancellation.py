"""Cancelling callers at any moment: every mail arrives once, whole and as it was reported.

``WIREKIT_STORM=20000 python -m pytest tests/interop/smtp/test_cancellation.py`` is a longer one.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from email.message import EmailMessage
from typing import Any

import pytest

from tests.servers import MailServer, RunningServer
from wirekit.adapters.smtp import SMTP, Mail, SMTPException, SMTPPool, Uncertain
from wirekit.sockets import Backoff, DirectConnector, connect

from .errors import assert_typed
from .fake_server import END, WAYS, FakeServer
from .helpers import SENDER, eventually, fresh, outcomes, reconnecting, turns

CALLS = int(os.environ.get("WIREKIT_STORM", "120"))
GROUP = 24
SIZES = (20, 20, 20, 20, 3_000, 60_000, 200_000)
STREAMED = 300_000

Client = SMTP | SMTPPool


def content(number: int, size: int) -> bytes:
    line = b"%08d .MAIL FROM:<x>\r\n.\r\n" % number
    return b"Subject: %d\r\n\r\n" % number + (line * (size // len(line) + 1))


async def pieces(text: bytes, *, slow: bool) -> AsyncGenerator[bytes]:
    for start in range(0, len(text), 40_000):
        await asyncio.sleep(0.001 if slow else 0)
        yield text[start : start + 40_000]


class Storm:
    """Mails to one recipient, most of which are given up; and what was told about each."""

    def __init__(self, client: Client, to: str, *, seed: int = 1) -> None:
        self.client = client
        self.to = to
        self.random = random.Random(seed)
        self.sent: dict[int, bytes] = {}
        self.told: dict[int, str] = {}
        self.errors: Counter[str] = Counter()

    async def run(self, calls: int) -> None:
        while len(self.sent) < calls:
            tasks = {self._start(self._new()): None for _ in range(GROUP)}
            if self.random.random() < 0.3:
                await asyncio.sleep(0)
            for task in tasks:
                if self.random.random() < 0.6:
                    asyncio.get_running_loop().call_later(
                        self.random.choice((0, 0.001, 0.003, 0.01, 0.03)), task.cancel
                    )
            async with asyncio.timeout(50):
                await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.result()

    def _new(self) -> int:
        number = len(self.sent) + 1
        size = self.random.choice(SIZES) if self.random.random() < 0.9 else STREAMED
        self.sent[number] = content(number, size)
        return number

    def _start(self, number: int) -> asyncio.Task[None]:
        if self.random.random() < 0.15:
            more = [self._new() for _ in range(self.random.randrange(1, 6))]
            return asyncio.create_task(self._many([number, *more]))
        return asyncio.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        self.told[number] = "unknown"
        try:
            await self._call(number)
        except Exception as error:
            self._note(number, error)
        else:
            self._note(number, None)

    def _call(self, number: int) -> Coroutine[Any, Any, Any]:
        text = self.sent[number]
        kind = self.random.random()
        timeout = self.random.choice((None, None, 0.0, 0.002, 0.01, 0.05))
        options: dict[str, Any] = {} if isinstance(self.client, SMTPPool) else {"timeout": timeout}
        if len(text) >= STREAMED:
            slow = self.random.random() < 0.3
            return self.client.sendmail(SENDER, self.to, pieces(text, slow=slow), **options)
        if kind < 0.3 and len(text) < 10_000:
            message = EmailMessage()
            message["Subject"] = str(number)
            message.set_content(text.decode().partition("\r\n\r\n")[2], cte="7bit")
            self.sent[number] = b""  # its header is the standard library's
            return self.client.send_message(message, sender=SENDER, recipients=[self.to], **options)
        return self.client.sendmail(SENDER, self.to, text, **options)

    async def _many(self, numbers: list[int]) -> None:
        for number in numbers:
            self.told[number] = "unknown"
        mails = [Mail(SENDER, [self.to], self.sent[number]) for number in numbers]
        leave = self.random.choice((None, None, 1))
        source = self.client.send_many(mails)
        try:
            done = 0
            async for outcome in source:
                self._note(numbers[done], outcome.error)
                done += 1
                if done == leave:
                    break
        except SMTPException as error:
            assert_typed(error)  # no more of them were taken, or were given up
        finally:
            await source.aclose()

    def _note(self, number: int, error: Exception | None) -> None:
        if error is None:
            self.told[number] = "accepted"
            return
        assert_typed(error)
        self.errors[type(error).__name__] += 1
        self.told[number] = "unknown" if isinstance(error, Uncertain) else "not accepted"

    async def check(self, server: MailServer) -> None:
        """What was delivered is what was told."""
        accepted = sum(told == "accepted" for told in self.told.values())
        await eventually(lambda: server.is_idle and len(server.delivered(self.to)) >= accepted)
        found: Counter[int] = Counter()
        for mail in server.delivered(self.to):
            number = int(re.search(rb"^Subject: (\d+)\r$", mail.content, re.MULTILINE)[1])  # type: ignore[index]
            found[number] += 1
            if self.sent[number]:
                assert mail.content == self.sent[number], number
            else:
                assert set(re.findall(rb"^(\d{8}) ", mail.content, re.MULTILINE)) == {
                    b"%08d" % number
                }
        for number, told in self.told.items():
            if told == "accepted":
                assert found[number] == 1, (number, told)
            elif told == "not accepted":
                assert found[number] == 0, (number, told)
            else:
                assert found[number] <= 1, (number, told)
        counts = Counter(self.told.values())
        assert counts["accepted"]
        assert counts["unknown"] or counts["not accepted"]


def new_pool(server: MailServer | RunningServer, **settings: Any) -> SMTPPool:
    return SMTPPool(
        DirectConnector(),
        (server.host, server.port),
        size=3,
        backoff=Backoff(initial=0.01, maximum=0.05),
        hostname="client.example",
        **settings,
    )


WAYS_TO_SEND: dict[str, dict[str, Any]] = {
    "as offered": {},
    "DATA": {"chunking": False},
    "steps": {"chunking": False, "pipelining": False},
}


@pytest.mark.parametrize("way", WAYS_TO_SEND)
async def test_one_connection(mail_server: MailServer, way: str) -> None:
    to = fresh(mail_server)
    async with reconnecting(mail_server, timeout=10, **WAYS_TO_SEND[way]) as smtp:
        storm = Storm(smtp, to)
        await storm.run(CALLS)
        await smtp.sendmail(SENDER, fresh(mail_server), b"Subject: after\r\n\r\n")
    await storm.check(mail_server)


@pytest.mark.parametrize("way", ["as offered", "DATA"])
async def test_a_pool(mail_server: MailServer, way: str) -> None:
    to = fresh(mail_server)
    async with new_pool(mail_server, timeout=10, **WAYS_TO_SEND[way]) as pool:
        storm = Storm(pool, to, seed=2)
        await storm.run(CALLS)
        await pool.sendmail(SENDER, fresh(mail_server), b"Subject: after\r\n\r\n")
    await storm.check(mail_server)


@pytest.mark.both_loops
async def test_a_sink(smtp_sink: RunningServer) -> None:
    """Thousands: nothing hangs, and whatever is raised is typed."""
    socket = DirectConnector()
    address = (smtp_sink.host, smtp_sink.port)
    async with SMTP(connector=socket, address=address, hostname="me.example") as smtp:
        storm = Storm(smtp, "to@wirekit.example", seed=3)
        await storm.run(CALLS * 10)
        await smtp.sendmail(SENDER, "to@wirekit.example", b"Subject: after\r\n\r\n")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("turn", range(0, 40, 3))
async def test_cancelled_at_each_turn(way: str, turn: int) -> None:
    """The others are sent all the same, over another connection if need be."""
    async with FakeServer(keywords=WAYS[way], fragment=11) as server, server.client() as smtp:
        victim = asyncio.create_task(smtp.sendmail(SENDER, "b@example.org", content(1, 2000)))
        other = asyncio.create_task(smtp.sendmail(SENDER, "b@example.org", content(2, 20)))
        await turns(turn)
        victim.cancel()
        _, got = await outcomes(victim, other)
        assert server.mails.count(content(1, 2000)) <= 1
        if isinstance(got, Exception):
            assert_typed(got)
        else:
            assert server.mails.count(content(2, 20)) == 1
        await smtp.sendmail(SENDER, "b@example.org", content(3, 20))
        assert {bytes(mail) for mail in server.mails} <= {
            content(1, 2000),
            content(2, 20),
            content(3, 20),
        }


async def test_the_reply_comes_in_the_turn_of_the_timeout() -> None:
    """What was accepted is not reported as if it had not been."""
    limit = 0.02
    for delay in range(40):
        async with (
            FakeServer(lambda line: b"" if line == END else None) as server,
            server.client_on_socket() as smtp,
        ):
            call = smtp.sendmail(SENDER, "b@example.org", b"x\r\n", timeout=limit)
            sending = asyncio.create_task(call)
            loop = asyncio.get_running_loop()
            end = loop.time() + limit - 0.0005 + delay * 0.00005
            await eventually(lambda: any(line.startswith(b"BDAT") for line in server.lines))
            while loop.time() < end:  # noqa: ASYNC110 - it is the turn that counts
                await asyncio.sleep(0)
            await server.write(b"250 ok\r\n")
            (got,) = await outcomes(sending)
            assert isinstance(got, Uncertain | tuple), repr(got)


@pytest.mark.parametrize("command", ["helo", "ehlo", "quit", "noop", "rset"])
@pytest.mark.parametrize("turn", range(1, 8))
async def test_a_command_is_cancelled(command: str, turn: int) -> None:
    calls: dict[str, Callable[[SMTP], Coroutine[Any, Any, object]]] = {
        "helo": lambda smtp: smtp.helo("me.example"),
        "ehlo": lambda smtp: smtp.ehlo(),
        "quit": lambda smtp: smtp.quit(),
        "noop": lambda smtp: smtp.noop(),
        "rset": lambda smtp: smtp.rset(),
    }
    async with FakeServer() as server, server.client() as smtp:
        call = asyncio.create_task(calls[command](smtp))
        await turns(turn)
        mails = [
            asyncio.create_task(smtp.sendmail(SENDER, "b@example.org", content(n, 20)))
            for n in range(3)
        ]
        await turns(1)
        call.cancel()
        _, *got = await outcomes(call, *mails)
        for outcome in got:
            assert not isinstance(outcome, Exception), repr(outcome)
        assert sorted(server.mails) == [content(n, 20) for n in range(3)]


async def test_a_connection_without_a_connector_says_that_it_is_over() -> None:
    async with FakeServer(keywords=WAYS["pipelining"]) as server:
        smtp = server.client_on_socket()
        async with smtp:
            started = asyncio.Event()

            async def source() -> AsyncGenerator[bytes]:
                yield b"x" * 200_000
                started.set()
                await asyncio.Event().wait()

            sending = asyncio.create_task(smtp.sendmail(SENDER, "b@example.org", source()))
            await started.wait()
            waiting = asyncio.create_task(smtp.sendmail(SENDER, "b@example.org", b"x\r\n"))
            await turns(2)
            sending.cancel()
            cancelled, error = await outcomes(sending, waiting)
            assert isinstance(cancelled, asyncio.CancelledError)
            assert_typed(error)
            assert "broken off" in str(error)
            assert "broken off" in repr(smtp)
        assert server.mails == []


async def test_connect_is_cancelled(postfix: MailServer) -> None:
    for turn in range(30):
        smtp = SMTP(connect((postfix.host, postfix.port)), hostname="me.example")
        opening = asyncio.create_task(smtp.open())
        await turns(turn)
        opening.cancel()
        await outcomes(opening)
        await smtp.aclose()
