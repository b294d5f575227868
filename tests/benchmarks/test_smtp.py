"""The SMTP rows, run once and small against Postfix's sink."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from benchmarks._model import Address, Scale, WrongReply
from benchmarks._result import Result
from benchmarks._runner import Settings, run_adapter
from benchmarks.smtp import ADAPTER, _delay
from benchmarks.smtp._client import SMTPParticipant
from benchmarks.smtp._data import Replies, mails_of
from benchmarks.smtp._delay import Delay
from tests.servers import RunningServer, aiosmtpd_server, smtp_sink_server

SMALL = Scale(seconds=0.001, mails=12, delayed_mails=11)


@pytest.fixture(scope="module")
def sink() -> Generator[RunningServer]:
    with smtp_sink_server() as server:
        yield server


@pytest.fixture
def address(sink: RunningServer) -> Address:
    found = (sink.host, sink.port)
    ADAPTER.prepare(found, SMALL)
    return found


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def run(name: str, address: Address, keys: Sequence[str]) -> list[Result]:
    workloads: list[Any] = [
        workload for workload in ADAPTER.workloads(SMALL) if workload.rows[0].key in keys
    ]
    settings = Settings(1, "asyncio", lambda participant, row: None)
    return await run_adapter(ADAPTER, [ADAPTER.participant(name)], workloads, address, settings)


@pytest.mark.parametrize("size", [200, 20 * 1024, 5 * 1024 * 1024])
def test_mails_have_their_size_and_none_is_like_another(size: int) -> None:
    mails = mails_of(size, 3)
    assert {len(mail.content) for mail in mails} == {size}
    assert len({mail.content for mail in mails}) == len({mail.recipient for mail in mails}) == 3
    for mail in mails:
        assert mail.content.endswith(b"\r\n")
        assert mail.content.count(b"\r\n") == mail.content.count(b"\n") == mail.content.count(b"\r")
        assert b"\n." not in mail.content
        assert max(map(len, mail.content.split(b"\r\n"))) < 250


def test_replies(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    replies = Replies(left)
    right.sendall(b"250-one\r\n250 two\r\n250 ok\r\n354 go on\r\n550 no\r\n")
    assert replies.lines() == [b"250-one", b"250 two"]
    replies.expect([b"250 ", b"354 "])
    with pytest.raises(WrongReply, match="550 no"):
        replies.expect([b"250 "])
    right.close()
    with pytest.raises(WrongReply, match="closed"):
        replies.lines()
    with pytest.raises(WrongReply, match="closed"):
        replies.expect([b"250 "])


def test_server_version(address: Address) -> None:
    assert ADAPTER.server_version(address) == "smtp-sink"


def test_a_server_without_pipelining_is_not_for_this() -> None:
    with smtp_sink_server("-p") as sink, pytest.raises(WrongReply, match="PIPELINING"):
        ADAPTER.prepare((sink.host, sink.port), SMALL)


def test_goals_name_peers_that_take_part() -> None:
    rows = [row for workload in ADAPTER.workloads(SMALL) for row in workload.rows]
    assert len({row.key for row in rows}) == len(rows)
    goals = [row.goal for row in rows if row.goal is not None]
    assert {(goal.factor, goal.peer) for goal in goals} == {(3, "aiosmtplib"), (2.5, "smtplib")}
    assert {goal.peer for goal in goals} <= set(ADAPTER.participants)


@pytest.mark.parametrize("name", ADAPTER.participants)
async def test_every_kind_of_row_has_a_figure(name: str, address: Address) -> None:
    keys = ("kept-200", "12-of-200", "1-of-200", "10-of-20480", "1-of-5242880", "1-of-200-delayed")
    results = await run(name, address, keys)
    assert [result.series[0].error for result in results] == [""] * len(keys)
    assert all(result.series[0].samples[0] > 0 for result in results)


@pytest.mark.parametrize("name", ADAPTER.participants)
async def test_what_is_sent_is_what_was_to_be_sent(name: str) -> None:
    mails = mails_of(20 * 1024, 3)
    with aiosmtpd_server() as server:
        mails = [
            mail._replace(recipient=f"alice+{n}@wirekit.example") for n, mail in enumerate(mails)
        ]
        client = ADAPTER.participant(name)()
        assert isinstance(client, SMTPParticipant)
        assert await client.session((server.host, server.port), mails) == len(mails)
        found = [(mail.recipient, mail.content) for mail in server.delivered()]
    assert found == [(mail.recipient, mail.content) for mail in mails]


@pytest.mark.parametrize("name", ADAPTER.participants)
async def test_a_mail_that_is_refused_is_found(name: str) -> None:
    with smtp_sink_server("-r", "rcpt") as sink:
        (result,) = await run(name, (sink.host, sink.port), ["1-of-200"])
    assert result.series[0].error


async def test_the_delay_is_there_each_way(address: Address) -> None:
    delay = await Delay.start(address, 30)
    try:
        start = time.perf_counter()
        reader, writer = await asyncio.open_connection(*delay.address)
        assert (await reader.readline()).startswith(b"220 ")
        greeted = time.perf_counter()
        writer.write(b"NOOP\r\n")
        assert (await reader.readline()).startswith(b"250 ")
        assert greeted - start >= 0.03
        assert time.perf_counter() - greeted >= 0.06
        writer.write(b"QUIT\r\n")
        assert (await reader.read()).startswith(b"221 ")
        writer.close()
        await writer.wait_closed()
    finally:
        await delay.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*delay.address)
    assert _delay.ROUND_TRIP == 20
