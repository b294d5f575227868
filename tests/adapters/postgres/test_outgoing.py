from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import wirekit
from wirekit.adapters.postgres._outgoing import Outgoing
from wirekit.adapters.postgres._request import Request


class Transport:
    """Takes what is written, until there is no more room."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.room = 1_000_000_000
        self.paused = 0
        self.outgoing: Subject | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        self.room -= len(data)
        if self.room < 0 and self.outgoing is not None:
            self.outgoing.pause_writing()

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


class Subject(Outgoing):
    def __init__(self, transport: Any) -> None:
        super().__init__()
        self._transport = transport
        transport.outgoing = self

    def lost_error(self) -> Exception:
        return wirekit.ConnectionLost(str(self.error))


def new_outgoing(transport: Transport) -> Any:
    return Subject(transport)


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport()
    yield made
    made.outgoing = None


def request(*, abandoned: bool = False) -> Request:
    made = Request(asyncio.get_running_loop().create_future())
    made.abandoned = abandoned
    return made


async def test_one_turn_is_one_write(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    outgoing._write([b"a", b"b"], None)
    outgoing._write([b"c"], None)
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"abc"]


async def test_at_once(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    assert outgoing._write_at_once([b"a"])
    assert transport.written == [b"a"]
    assert not outgoing._write_at_once([b"a", b"b"])
    assert not outgoing._write_at_once([bytes(16384)])
    outgoing._write([b"c"], None)
    assert not outgoing._write_at_once([b"d"])  # it is behind another
    await outgoing.written()
    outgoing.pause_writing()
    assert not outgoing._write_at_once([b"d"])
    outgoing.resume_writing()
    assert outgoing._write_at_once([b"d"])
    assert transport.written == [b"a", b"c", b"d"]


async def test_large_pieces_go_in_slices_as_there_is_room(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    transport.room = 300_000
    large = bytes(range(256)) * 4000
    outgoing._write([b"a", b"b", large, b"c"], None)
    await asyncio.sleep(0)
    assert outgoing.congested
    assert transport.written[0] == b"ab"
    assert sum(map(len, transport.written)) < 600_000
    assert outgoing._unsent() == 3 + len(large) - sum(map(len, transport.written))
    outgoing._write([b"d"], None)
    await asyncio.sleep(0)
    waiting = asyncio.create_task(outgoing.writable())
    await asyncio.sleep(0)
    assert not waiting.done()
    transport.room = 1_000_000_000
    outgoing.resume_writing()
    await waiting
    assert b"".join(transport.written) == b"ab" + large + b"cd"
    assert transport.written[-1] == b"cd"
    assert outgoing._unsent() == 0


async def test_who_waits_for_room_and_is_cancelled_leaves_nothing(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    outgoing.pause_writing()
    for _ in range(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await outgoing.writable()
    assert not outgoing._writable_waiters
    waiters = [asyncio.create_task(outgoing.writable()) for _ in range(3)]
    await asyncio.sleep(0)
    outgoing.resume_writing()
    waiters[1].cancel()  # it may go on by now
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert results[0] is results[2] is None
    assert isinstance(results[1], asyncio.CancelledError)


async def test_who_waits_for_room_gets_the_error_of_the_end(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    outgoing.pause_writing()
    waiting = asyncio.create_task(outgoing.written())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    outgoing.error = wirekit.ConnectionLost("gone")
    outgoing._wake_writers()
    with pytest.raises(wirekit.ConnectionLost, match="gone"):
        await waiting
    outgoing._write([b"a"], None)
    await asyncio.sleep(0)
    outgoing.pause_reading()
    outgoing.resume_reading()
    assert (transport.written, transport.paused) == ([], 0)
    outgoing._forget()
    assert outgoing._unsent() == 0


async def test_holding_back(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    outgoing._write([b"before"], None)
    outgoing._hold_back()
    given_up, live = request(abandoned=True), request()
    outgoing._write([b"1"], given_up)
    outgoing._write([b"2"], given_up)
    outgoing._write([b"3"], live)
    outgoing._write([b"4"], request(abandoned=True))
    assert not outgoing._write_at_once([b"5"])
    writing = asyncio.create_task(outgoing.written())
    await asyncio.sleep(0)
    assert transport.written == [b"before"]
    # Nobody who waits is behind it yet.
    assert outgoing._let_go_abandoned() == [given_up]
    assert transport.written == [b"before", b"12"]
    assert outgoing._let_go_abandoned() == []
    await asyncio.sleep(0)
    assert not writing.done()
    outgoing._let_go()
    await writing
    assert transport.written == [b"before", b"12", b"34"]
    assert outgoing._write_at_once([b"5"])


async def test_reading_is_paused_and_resumed(transport: Transport) -> None:
    outgoing = new_outgoing(transport)
    outgoing.pause_reading()
    assert transport.paused == 1
    outgoing.resume_reading()
    assert transport.paused == 0


async def test_it_is_abstract() -> None:
    with pytest.raises(NotImplementedError):
        Outgoing().lost_error()
