"""The two directions by themselves; tests/sockets/test_contract.py has what every carrier does."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from wirekit import BusyError, ConnectionLost, ConnectRefused, SocketClosed, WriteTimeout
from wirekit.sockets import Promise, ReadableStream, WritableStream


class FakeTransport:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.written: list[bytes] = []
        self.unsent = 0
        self.half_close = True
        self.closing = False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def can_write_eof(self) -> bool:
        return self.half_close

    def get_write_buffer_size(self) -> int:
        return self.unsent


def readable(*, on_demand: bool = False) -> tuple[ReadableStream, FakeTransport]:
    opened: Promise[None] = Promise()
    opened.resolve(None)
    stream = ReadableStream(opened=opened, timeout=None, on_demand=on_demand)
    transport = FakeTransport()
    stream.made(cast("asyncio.Transport", transport))
    return stream, transport


def writable(timeout: float | None = None) -> tuple[WritableStream, FakeTransport, list[str]]:
    opened: Promise[None] = Promise()
    opened.resolve(None)
    ended: list[str] = []
    stream = WritableStream(opened=opened, timeout=timeout, on_ended=lambda: ended.append("ended"))
    transport = FakeTransport()
    stream.made(cast("asyncio.Transport", transport))
    return stream, transport, ended


# Readable.


async def test_the_transport_is_paused_while_enough_is_unread() -> None:
    stream, transport = readable()
    stream.received(bytes(262143))
    assert transport.calls == []
    stream.received(b"x")
    stream.received(b"y")
    assert transport.calls == ["pause"]
    assert len(await stream.read(10)) == 10
    assert transport.calls == ["pause", "resume"]


async def test_read_exactly_may_ask_for_more_than_is_read_ahead() -> None:
    stream, transport = readable()
    stream.received(bytes(262144))
    reading = asyncio.create_task(stream.read_exactly(500_000))
    await asyncio.sleep(0)
    assert transport.calls == ["pause", "resume"]
    stream.received(bytes(237_856))
    assert len(await reading) == 500_000
    with pytest.raises(ValueError, match="negative"):
        await stream.read_exactly(-1)
    assert await stream.read_exactly(0) == b""


async def test_on_demand_it_reads_only_while_a_call_waits() -> None:
    stream, transport = readable(on_demand=True)
    assert transport.calls == ["pause"]
    reading = asyncio.create_task(stream.read_until(b"\n"))
    await asyncio.sleep(0)
    assert transport.calls == ["pause", "resume"]
    stream.received(b"hal")
    assert transport.calls == ["pause", "resume", "pause"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stream.received(b"f\nrest")
    assert await reading == b"half\n"
    assert transport.calls == ["pause", "resume"] * 2 + ["pause"]
    assert await stream.read() == b"rest"
    assert transport.calls[-1] == "pause"
    waiting = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert transport.calls[-2:] == ["resume", "pause"]


async def test_behind_the_end_nothing_is_resumed() -> None:
    stream, transport = readable()
    stream.received(bytes(300_000))
    stream.end()
    assert stream.ended
    assert len(await stream.read_exactly(300_000)) == 300_000
    assert await stream.read() == b""
    assert transport.calls == ["pause"]


async def test_a_closing_transport_is_left_alone() -> None:
    stream, transport = readable()
    transport.closing = True
    stream.received(bytes(300_000))
    await stream.read()
    assert transport.calls == []


async def test_a_broken_connection_gives_what_had_arrived_first() -> None:
    stream, _ = readable()
    stream.received(b"ab")
    stream.failed(ConnectionLost("first"))
    stream.failed(ConnectionLost("second"))
    with pytest.raises(ConnectionLost, match="2 of 3") as caught:
        await stream.read_exactly(3)
    assert str(caught.value.__cause__) == "first"
    with pytest.raises(ConnectionLost, match="2 bytes without separator"):
        await stream.read_until(b"\n")
    assert await stream.read() == b"ab"
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="first"):
            await stream.read()


async def test_our_own_end_drops_what_is_unread() -> None:
    stream, _ = readable()
    stream.received(b"unread")
    reading = asyncio.create_task(stream.read_exactly(10))
    await asyncio.sleep(0)
    stream.shut(SocketClosed("closed"))
    stream.shut(BusyError("later"))
    stream.failed(ConnectionLost("later"))
    with pytest.raises(SocketClosed):
        await reading
    with pytest.raises(SocketClosed):
        await stream.read()


async def test_detach_gives_what_is_unread() -> None:
    stream, _ = readable()
    stream.received(b"unread")
    stream.end()
    assert stream.detach() == (b"unread", True)
    with pytest.raises(BusyError):
        await stream.read()


async def test_an_errors_traceback_does_not_grow() -> None:
    stream, _ = readable()
    stream.failed(ConnectionLost("gone"))
    lengths: set[int] = set()
    for _ in range(3):
        with pytest.raises(ConnectionLost) as caught:
            await stream.read()
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1


async def test_a_separator_may_arrive_in_two_pieces() -> None:
    stream, _ = readable()
    reading = asyncio.create_task(stream.read_until(b"\r\n\r\n"))
    for piece in (b"a\r", b"\n", b"\r", b"\nrest"):
        await asyncio.sleep(0)
        stream.received(piece)
    assert await reading == b"a\r\n\r\n"
    assert await stream.read() == b"rest"
    with pytest.raises(ValueError, match="separator"):
        await stream.read_until(b"")


@pytest.mark.parametrize("room", [b"constant", bytearray()])
async def test_read_into_needs_room_and_drops_nothing(room: Any) -> None:
    stream, _ = readable()
    stream.received(b"kept")
    with pytest.raises(ValueError, match="writable buffer"):
        await stream.read_into(room)
    assert await stream.read() == b"kept"


async def test_reading_waits_until_the_socket_is_open() -> None:
    opened: Promise[None] = Promise()
    stream = ReadableStream(opened=opened, timeout=0.001, on_demand=False)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0.01)  # its own timeout does not count yet
    assert stream.locked
    opened.reject(ConnectRefused("no"))
    with pytest.raises(ConnectRefused):
        await reading


# Writable.


async def test_writes_wait_above_the_mark_and_are_woken_together() -> None:
    stream, transport, _ = writable()
    await stream.write(b"one")
    stream.pause()
    waiting = [asyncio.create_task(stream.write(b"two")), asyncio.create_task(stream.drain())]
    await asyncio.sleep(0)
    assert stream.locked
    assert transport.written == [b"one", b"two"]
    stream.resume()
    await asyncio.gather(*waiting)
    assert not stream.locked


async def test_a_cancelled_write_is_sent_nevertheless() -> None:
    stream, transport, _ = writable()
    stream.pause()
    writing = asyncio.create_task(stream.write(b"sent"))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert transport.written == [b"sent"]
    assert not stream.locked


async def test_progress_resets_the_write_timeout() -> None:
    stream, transport, _ = writable(timeout=0.01)
    transport.unsent = 5
    stream.pause()
    waiting = asyncio.create_task(stream.drain())
    while transport.unsent:
        await asyncio.sleep(0.005)
        transport.unsent -= 1
    with pytest.raises(WriteTimeout, match="took nothing"):
        await waiting


async def test_write_eof_ends_the_direction() -> None:
    stream, transport, ended = writable()
    await stream.write_eof()
    assert stream.ended
    assert transport.calls == ["write_eof"]
    assert ended == ["ended"]
    with pytest.raises(SocketClosed, match="write_eof"):
        await stream.write(b"x")


async def test_a_carrier_may_have_no_half_close() -> None:
    stream, transport, ended = writable()
    transport.half_close = False
    with pytest.raises(NotImplementedError):
        await stream.write_eof()
    assert not stream.ended
    assert ended == []
    await stream.write(b"still open")


async def test_a_failure_wakes_and_stays() -> None:
    stream, transport, _ = writable()
    stream.pause()
    writing = asyncio.create_task(stream.write(b"x"))
    await asyncio.sleep(0)
    stream.failed(ConnectionLost("first"))
    stream.failed(SocketClosed("second"))
    with pytest.raises(ConnectionLost, match="first"):
        await writing
    for use in (stream.drain, stream.write_eof, lambda: stream.write(b"x")):
        with pytest.raises(ConnectionLost, match="first"):
            await use()
    assert transport.written == [b"x"]


async def test_detach_tells_whether_writing_is_paused() -> None:
    stream, _, _ = writable()
    stream.pause()
    assert stream.detach()
    with pytest.raises(BusyError):
        await stream.write(b"x")


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
async def test_only_bytes_are_written(data: Any) -> None:
    stream, transport, _ = writable()
    with pytest.raises(TypeError, match="bytes-like"):
        await stream.write(data)
    assert transport.written == []
