"""The connection by itself, with the test as its server."""

from __future__ import annotations

import asyncio
import gc
import struct
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

import wirekit
import wirekit.adapters.postgres as pg
from tests.servers import RunningServer
from wirekit.adapters.postgres import (
    AdminShutdownError,
    ConnectionDoesNotExistError,
    InterfaceError,
    ProtocolError,
)
from wirekit.adapters.postgres._connection import Connection
from wirekit.adapters.postgres._request import Request
from wirekit.protocols.postgres import (
    Close,
    Codec,
    CommandComplete,
    ErrorResponse,
    FunctionCodec,
    NoticeResponse,
    NotificationResponse,
    Query,
    RecordKeys,
    RowReader,
    StartupMessage,
    Sync,
    TransactionStatus,
)
from wirekit.sockets import memory_pair


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


def ready(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


def complete(tag: str = "SELECT 1") -> bytes:
    return message(b"C", tag.encode() + b"\0")


def error(text: str = "no", *, code: str = "XX000", severity: str = "ERROR") -> bytes:
    fields = {"S": severity, "V": severity, "C": code, "M": text}
    body = b"".join(key.encode() + value.encode() + b"\0" for key, value in fields.items())
    return message(b"E", body + b"\0")


def parameter(name: str, value: str) -> bytes:
    return message(b"S", name.encode() + b"\0" + value.encode() + b"\0")


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


ROWS = message(b"T", struct.pack("!h", 1) + b"c\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0))
ROW = message(b"D", struct.pack("!hi", 1, 100) + b"x" * 100)


class Pair:
    """An open connection, and the server's end of it."""

    def __init__(self) -> None:
        self.socket, self.server = memory_pair(allow_half_open=True)
        self.connection = Connection(self.socket, Codec())
        self.lost = 0
        self.cancels = 0
        self.connection.on_lost = self._lost

    def _lost(self) -> None:
        self.lost += 1

    async def open(self) -> None:
        request = self.connection.request(StartupMessage({"user": "me"}, (3, 0)))
        await self.server.read()
        await self.server.write(message(b"R", bytes(4)) + ready())
        await request.future

    def ask(self, text: str = "q", **options: Any) -> Request:
        return self.connection.request(Query(text, options.pop("reader", None)), **options)

    async def expect(self, *messages: bytes) -> None:
        data = b"".join(messages)
        async with asyncio.timeout(10):
            assert await self.server.read_exactly(len(data)) == data

    async def silent(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await self.server.read()

    async def cancel(self) -> None:
        self.cancels += 1


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    await made.open()
    yield made
    made.socket.abort()
    made.server.abort()


# Order ---------------------------------------------------------------------------------------


async def test_requests_are_answered_in_order(pair: Pair) -> None:
    first, second = pair.ask("1"), pair.ask("2")
    assert not pair.connection.idle
    assert pair.connection.attended
    await pair.expect(query("1"), query("2"))
    await pair.server.write(complete("ONE") + ready(b"T") + error() + ready(b"E"))
    (event,) = await first.future
    assert isinstance(event, CommandComplete)
    assert event.tag == "ONE"
    (event,) = await second.future
    assert isinstance(event, ErrorResponse)
    assert first.status is TransactionStatus.IN_TRANSACTION
    assert second.status is pair.connection.status is TransactionStatus.FAILED
    assert pair.connection.idle
    assert not pair.connection.attended
    assert pair.connection.requests == 3


async def test_messages_of_one_turn_leave_together(pair: Pair) -> None:
    first, *rest = [pair.ask(str(number)) for number in range(5)]
    assert await pair.server.read() == query("0")  # of a lone caller, as it seemed
    assert await pair.server.read() == b"".join(query(str(number)) for number in range(1, 5))
    await pair.server.write((complete() + ready()) * 5)
    await asyncio.gather(first.future, *[request.future for request in rest])
    # Now it is known that there are several.
    for number in range(3):
        pair.ask(str(number))
    assert await pair.server.read() == query("0") + query("1") + query("2")


async def test_what_cannot_be_sent_leaves_no_trace(pair: Pair) -> None:
    with pytest.raises(wirekit.LocalProtocolError):
        pair.ask("nul\0")
    assert pair.connection.idle
    request = pair.ask("q")
    await pair.expect(query("q"))
    await pair.server.write(complete() + ready())
    await request.future


async def test_events_one_by_one(pair: Pair) -> None:
    events: list[Any] = []
    ends: list[Any] = []
    request = pair.ask(on_event=events.append, on_end=ends.append)
    await pair.server.write(complete("A") + complete("B"))
    await pair.server.write(ready())
    assert await request.future == []
    assert [event.tag for event in events] == ["A", "B"]
    assert ends == [request]


# At any moment -------------------------------------------------------------------------------


async def test_what_comes_at_any_moment(pair: Pair) -> None:
    told: list[Any] = []
    pair.connection.on_notice = told.append
    pair.connection.on_notification = told.append
    request = pair.ask()
    notice = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0")
    notification = message(b"A", struct.pack("!i", 7) + b"channel\0payload\0")
    await pair.server.write(notice + parameter("TimeZone", "UTC") + notification)
    await pair.server.write(complete() + notice + ready() + notification)
    assert len(await request.future) == 1
    await asyncio.sleep(0.01)
    kinds: list[Any] = [type(event) for event in told]
    assert kinds == [NoticeResponse, NotificationResponse, NoticeResponse, NotificationResponse]
    assert pair.connection.settings["TimeZone"] == "UTC"


async def test_another_encoding_ends_the_connection(pair: Pair) -> None:
    request = pair.ask()
    await pair.server.write(parameter("client_encoding", "UTF8"))
    await pair.server.write(parameter("client_encoding", "LATIN1") + complete() + ready())
    with pytest.raises(ConnectionDoesNotExistError, match="LATIN1"):
        await request.future
    assert pair.lost == 1


# The end -------------------------------------------------------------------------------------


async def test_each_caller_gets_an_error_of_his_own(pair: Pair) -> None:
    requests = [pair.ask() for _ in range(3)]
    await pair.server.close()
    errors = await asyncio.gather(*[one.future for one in requests], return_exceptions=True)
    assert all(isinstance(one, ConnectionDoesNotExistError) for one in errors)
    assert len({id(one) for one in errors}) == 3
    with pytest.raises(wirekit.ConnectionLost):
        pair.ask()
    with pytest.raises(wirekit.ConnectionLost):
        pair.connection.send(Sync())
    assert pair.lost == 1


async def test_closed_by_the_server_while_idle(pair: Pair) -> None:
    await pair.server.close()
    await pair.connection.closed
    with pytest.raises(ConnectionDoesNotExistError, match="closed the connection"):
        pair.ask()


async def test_the_servers_last_words(pair: Pair) -> None:
    requests = [pair.ask() for _ in range(2)]
    last = error("the end is near", code="57P01", severity="FATAL")
    await pair.server.write(complete() + ready() + last)
    await requests[0].future
    with pytest.raises(ConnectionDoesNotExistError, match="the end is near") as caught:
        await requests[1].future
    assert isinstance(caught.value.__cause__, AdminShutdownError)
    assert isinstance(caught.value, wirekit.ConnectionLost)


async def test_the_servers_last_words_while_idle(pair: Pair) -> None:
    await pair.server.write(error("idle for too long", code="57P05", severity="FATAL"))
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionDoesNotExistError, match="idle for too long"):
        pair.ask()


async def test_nonsense_is_an_error_for_all(pair: Pair) -> None:
    requests = [pair.ask() for _ in range(3)]
    await pair.server.write(complete() + ready() + b"nonsense")
    assert len(await requests[0].future) == 1
    for request in requests[1:]:
        with pytest.raises(ProtocolError) as caught:
            await request.future
        assert isinstance(caught.value, wirekit.RemoteProtocolError)
        assert isinstance(caught.value, ConnectionDoesNotExistError)
        assert caught.value.events == []


async def test_closing(pair: Pair) -> None:
    request = pair.ask()
    await pair.expect(query("q"))
    closing = asyncio.create_task(pair.connection.aclose())
    await pair.expect(message(b"X"))
    with pytest.raises(ConnectionDoesNotExistError, match="in the middle of operation") as caught:
        await request.future
    assert isinstance(caught.value, wirekit.SocketClosed)
    await pair.server.close()
    await closing
    await pair.connection.aclose()
    pair.connection.close()
    with pytest.raises(InterfaceError, match="connection is closed"):
        pair.ask()
    assert pair.lost == 1


async def test_closing_ends_at_the_server_what_was_under_way(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    pair.ask()
    closing = asyncio.create_task(pair.connection.aclose())
    await pair.expect(query("q"), message(b"X"))
    await pair.server.close()
    await closing
    assert pair.cancels == 1


async def test_closing_when_the_server_cannot_be_asked(pair: Pair) -> None:
    async def refuse() -> None:
        raise wirekit.ConnectRefused("nobody there")

    pair.connection.canceller = refuse
    pair.ask()
    closing = asyncio.create_task(pair.connection.aclose())
    await pair.server.close()
    await closing


async def test_closing_cancels_nothing_that_is_protected(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    pair.ask(protected=True)
    closing = asyncio.create_task(pair.connection.aclose())
    await pair.server.close()
    await closing
    assert pair.cancels == 0


async def test_what_comes_after_closing_is_ignored(pair: Pair) -> None:
    pair.ask()
    pair.connection.close()
    await pair.server.write(complete() + ready() + b"nonsense")
    await pair.server.close()
    await pair.connection.closed
    assert isinstance(pair.connection.error, wirekit.SocketClosed)


async def test_it_is_garbage_when_it_is_over(pair: Pair) -> None:
    request = pair.ask()
    pair.connection.fail(wirekit.ConnectionLost("gone"))
    with pytest.raises(wirekit.ConnectionLost):
        await request.future
    await pair.connection.closed
    gone = weakref.ref(pair.connection)
    del pair.connection, request
    pair.socket, pair.server = memory_pair()
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None


# Giving up -----------------------------------------------------------------------------------


async def test_an_answer_that_nobody_waits_for_is_dropped(pair: Pair) -> None:
    first, second = pair.ask(), pair.ask()
    first.future.cancel()
    pair.connection.abandon(first)
    pair.connection.abandon(first)
    await pair.server.write(complete("A") + ready() + complete("B") + ready())
    (event,) = await second.future
    assert isinstance(event, CommandComplete)
    assert event.tag == "B"
    assert first.events == []
    assert not pair.connection.attended
    pair.connection.abandon(second)
    assert not second.abandoned  # it was answered


class Counter:
    """A reader of rows, and how many it has read."""

    def __init__(self) -> None:
        self.count = 0
        codec = FunctionCodec("text", 0, self._decode, None)
        self.reader = RowReader(RecordKeys(["c"]), [codec])

    def _decode(self, data: bytes) -> str:
        self.count += 1
        return data.decode()


async def test_rows_that_nobody_waits_for_do_not_gather(pair: Pair) -> None:
    early, late = Counter(), Counter()
    live, first = pair.ask(), pair.ask(reader=early.reader)
    second = pair.ask(reader=late.reader)
    pair.connection.abandon(first)  # before its answer begins
    await pair.server.write(complete() + ready() + ROWS + ROW * 10)
    assert len(await live.future) == 1
    await pair.server.write(ROW * 100)
    await pair.server.write(complete() + ready() + ROWS + ROW * 20)
    await asyncio.sleep(0.01)
    assert (early.count, late.count) == (10, 20)
    pair.connection.abandon(second)  # in the middle of its answer
    await pair.server.write(ROW * 100)
    await pair.server.write(complete() + ready())
    await asyncio.sleep(0.01)
    assert pair.connection.idle
    assert (early.count, late.count) == (10, 20)


async def test_the_server_is_asked_to_cancel(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    first, second = pair.ask("1"), pair.ask("2")
    for request in (first, second):
        request.future.cancel()
    pair.connection.abandon(first)
    await pair.expect(query("1"), query("2"))
    await pair.silent()
    assert pair.cancels == 0  # for it might hit the second
    pair.connection.abandon(second)
    third = pair.ask("3")
    await asyncio.sleep(0.01)
    assert pair.cancels == 1
    await pair.server.write(error(code="57014") + ready())
    await asyncio.sleep(0.01)
    assert pair.cancels == 2
    await pair.silent()  # for it might be hit
    await pair.server.write(error(code="57014") + ready())
    await pair.expect(query("3"))
    await pair.server.write(complete("C") + ready())
    assert len(await third.future) == 1
    assert pair.cancels == 2


async def test_what_is_protected_is_not_cancelled(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    only = pair.ask(protected=True)
    only.future.cancel()
    pair.connection.abandon(only)
    await asyncio.sleep(0.01)
    assert pair.cancels == 0
    await pair.server.write(complete() + ready())
    request = pair.ask()
    closing = pair.connection.request(Close("S", "s"), Sync(), protected=True)
    pair.connection.abandon(closing)  # nobody ever waits for it
    request.future.cancel()
    pair.connection.abandon(request)
    await asyncio.sleep(0.01)
    assert pair.cancels == 1
    await pair.server.write(error(code="57014") + ready() + message(b"3") + ready())
    await asyncio.sleep(0.01)
    assert pair.connection.idle
    assert pair.cancels == 1


async def test_what_comes_while_cancelling_and_is_given_up_as_well(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    first = pair.ask("1")
    pair.connection.abandon(first)
    second, third = pair.ask("2"), pair.ask("3")
    pair.connection.abandon(second)
    await pair.expect(query("1"))
    await pair.server.write(error(code="57014") + ready())
    # Nobody waits for it, so it is cancelled before who waits for the third is behind it.
    await pair.expect(query("2"))
    await pair.silent()
    assert pair.cancels == 2
    await pair.server.write(error(code="57014") + ready())
    await pair.expect(query("3"))
    await pair.server.write(complete() + ready())
    assert len(await third.future) == 1


@pytest.mark.parametrize("fault", [wirekit.ConnectRefused("nobody there"), ValueError("a bug")])
async def test_a_cancel_request_that_cannot_be_sent(pair: Pair, fault: Exception) -> None:
    async def refuse() -> None:
        raise fault

    pair.connection.canceller = refuse
    request = pair.ask()
    pair.connection.abandon(request)
    behind = pair.ask()
    text = f"a cancelled query could not be ended at .*: {fault}"
    with pytest.raises(ConnectionDoesNotExistError, match=text) as caught:
        await behind.future
    assert caught.value.__cause__ is fault
    with pytest.raises(ConnectionDoesNotExistError, match=text):
        pair.ask()


async def test_a_server_that_does_not_end_a_cancelled_query(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_SHORTEST_PAUSE", "_LONGEST_PAUSE"):
        monkeypatch.setattr(f"wirekit.adapters.postgres._cancelling.{name}", 0.001)
    pair.connection.canceller = pair.cancel
    request = pair.ask()
    pair.connection.abandon(request)
    behind = pair.ask()
    with pytest.raises(ConnectionDoesNotExistError, match="did not end a cancelled query"):
        await behind.future
    assert pair.cancels == 6


async def test_lost_while_cancelling(pair: Pair) -> None:
    pair.connection.canceller = pair.cancel
    request = pair.ask()
    pair.connection.abandon(request)
    behind = pair.ask()
    await asyncio.sleep(0.01)
    await pair.server.close()
    with pytest.raises(ConnectionDoesNotExistError, match="middle of an answer"):
        await behind.future


async def test_ten_thousand_given_up_at_once(pair: Pair) -> None:
    requests = [pair.ask() for _ in range(10_000)]
    for request in requests:
        request.future.cancel()
        pair.connection.abandon(request)
    reading = asyncio.create_task(pair.server.read_exactly(len(query("q")) * 10_000))
    await reading
    await pair.server.write((complete() + ready()) * 10_000)
    last = pair.ask()
    await pair.server.write(complete() + ready())
    assert len(await last.future) == 1


# COPY that nobody asked for ------------------------------------------------------------------


async def test_a_copy_from_us_is_refused(pair: Pair) -> None:
    request = pair.ask("COPY t FROM STDIN")
    await pair.expect(query("COPY t FROM STDIN"))
    await pair.server.write(message(b"G", b"\0\0\0"))
    kind, length = struct.unpack("!ci", await pair.server.read_exactly(5))
    await pair.server.read_exactly(length - 4)
    assert kind == b"f"
    await pair.server.write(error("COPY failed", code="57014") + ready())
    assert isinstance((await request.future)[-1], ErrorResponse)


async def test_the_data_of_a_copy_to_us_is_dropped(pair: Pair) -> None:
    request = pair.ask("COPY t TO STDOUT")
    await pair.server.write(message(b"H", b"\0\0\0") + message(b"d", b"data") * 100)
    await pair.server.write(message(b"c") + complete("COPY 100") + ready())
    events = await request.future
    assert len(events) < 5


async def test_a_decoder_that_ends_the_connection(postgres15: RunningServer) -> None:
    client = await pg.connect(
        host=postgres15.host, port=postgres15.port, user="trust_user", database="wirekit"
    )

    def decode(_: str) -> None:
        client.terminate()

    await client.set_type_codec("int4", schema="pg_catalog", encoder=str, decoder=decode)
    with pytest.raises(pg.ConnectionDoesNotExistError):
        await client.fetch("SELECT 1")
    assert client.is_closed()
