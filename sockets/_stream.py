"""The two directions of a Socket as people read and write them, and the receiver behind them."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

from wirekit._errors import (
    BusyError,
    ConnectionLost,
    MessageTooLarge,
    ReadTimeout,
    SocketClosed,
    WriteTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ReadableStream", "WritableStream"]

_READ_AHEAD = 262144  # bytes kept for the reader before the transport is paused


class ReadableStream:
    """The bytes that come from the peer.

    Cancelling a call loses no byte: what it would have returned stays for the next call.
    """

    def __init__(self, *, opened: Awaitable[object], timeout: float | None, on_demand: bool) -> None:
        self._opened = opened
        self._timeout = timeout
        self._on_demand = on_demand
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = _READ_AHEAD
        self._paused = False
        self._eof = False
        self._error: Exception | None = None
        self._reading = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def locked(self) -> bool:
        """Whether a call is reading at this moment."""
        return self._reading

    @property
    def ended(self) -> bool:
        """Whether the peer has ended its direction; bytes may still be unread."""
        return self._eof

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return 1 to ``max_bytes`` bytes, waiting for the first; ``b""`` is the end of the stream.

        Raises:
            ReadTimeout: nothing arrived within the socket's ``timeout``.
            ConnectionLost: the connection broke; what had arrived before is returned first.
            SocketClosed: this side closed the socket.
            BusyError: another call is reading.
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        await self._fill(lambda: len(self._buffer) > 0)
        return self._take(max_bytes)

    async def read_into(self, buffer: bytearray | memoryview) -> int:
        """Like ``read``, into a writable buffer; return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = await self.read(max(1, len(view)))
        view[: len(data)] = data
        return len(data)

    async def read_exactly(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            ConnectionLost: the stream ended before; what had arrived stays readable.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, but is {count}")
        self._wanted = max(_READ_AHEAD, count)
        try:
            await self._fill(lambda: len(self._buffer) >= count)
        finally:
            self._wanted = _READ_AHEAD
        if len(self._buffer) < count:
            raise ConnectionLost(
                f"the stream ended after {len(self._buffer)} of {count} expected bytes"
            )
        return self._take(count)

    async def read_until(self, separator: bytes = b"\r\n", max_bytes: int = 65536) -> bytes:
        """Return everything up to and including ``separator``.

        Raises:
            MessageTooLarge: no separator within ``max_bytes``.
            ConnectionLost: the stream ended before a separator; what had arrived stays readable.
        """
        if not separator:
            raise ValueError("the separator must not be empty")
        searched = 0
        end = -1

        def found() -> bool:
            nonlocal searched, end
            end = self._buffer.find(separator, searched, max_bytes)
            searched = max(0, len(self._buffer) - len(separator) + 1)
            return end >= 0 or len(self._buffer) >= max_bytes

        self._wanted = max(_READ_AHEAD, max_bytes)
        try:
            await self._fill(found)
        finally:
            self._wanted = _READ_AHEAD
        if end >= 0:
            return self._take(end + len(separator))
        if len(self._buffer) >= max_bytes:
            raise MessageTooLarge(f"no separator within {max_bytes} bytes")
        raise ConnectionLost(f"the stream ended after {len(self._buffer)} bytes without separator")

    def __aiter__(self) -> ReadableStream:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def _fill(self, enough: Callable[[], bool]) -> None:
        """Wait until ``enough()``, or until nothing more will come."""
        if self._reading:
            raise BusyError("another call is reading this stream")
        self._reading = True
        try:
            if self._timeout is None:
                await self._wait(enough)
                return
            try:
                async with asyncio.timeout(self._timeout):
                    await self._wait(enough)
            except TimeoutError:
                raise ReadTimeout(f"nothing arrived within {self._timeout} s") from None
        finally:
            self._reading = False

    async def _wait(self, enough: Callable[[], bool]) -> None:
        if self._transport is None and self._error is None:
            await self._opened
        while not (isinstance(self._error, SocketClosed | BusyError) or enough() or self._eof):
            if self._error is not None:
                break
            self._resume()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                if self._on_demand:
                    self._pause()
        if self._error is not None and (
            isinstance(self._error, SocketClosed | BusyError) or not self._buffer
        ):
            raise _again(self._error)

    def _take(self, count: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        if not self._on_demand and len(self._buffer) < self._wanted:
            self._resume()
        return data

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by the socket.

    def made(self, transport: asyncio.Transport) -> None:
        """Begin to receive from the transport."""
        self._transport = transport
        if self._on_demand:
            self._pause()

    def received(self, data: bytes) -> None:
        """Keep received bytes for the reader."""
        self._buffer += data
        if self._on_demand or len(self._buffer) >= self._wanted:
            self._pause()
        self._wake()

    def end(self) -> None:
        """Note the end of the peer's stream."""
        self._eof = True
        self._wake()

    def failed(self, error: Exception) -> None:
        """End the stream with an error; the first one counts."""
        if self._error is None:
            self._error = error
        self._wake()

    def detach(self) -> tuple[bytes, bool]:
        """Give up what is not read and whether the end was seen; later calls raise BusyError."""
        data = bytes(self._buffer)
        self._buffer.clear()
        self._transport = None
        self._error = BusyError("an adapter or a TLS upgrade has taken over this socket")
        return data, self._eof


class WritableStream:
    """The bytes that go to the peer."""

    def __init__(
        self,
        *,
        opened: Awaitable[object],
        timeout: float | None,
        on_ended: Callable[[], None],
    ) -> None:
        self._opened = opened
        self._on_ended = on_ended
        self._timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._error: Exception | None = None
        self._eof = False
        self._paused = False
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def locked(self) -> bool:
        """Whether a call is waiting for the peer to take bytes."""
        return bool(self._waiters)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``; returns at once unless more than the high-water mark is unsent.

        Cancelled while waiting, the bytes are sent nevertheless: they are in the transport.

        Raises:
            WriteTimeout: the peer took too little within the socket's ``timeout``.
            ConnectionLost: the connection broke.
            SocketClosed: this side closed the socket or this direction.
            TypeError: not a bytes-like object; text is not encoded for you.
        """
        if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
            raise TypeError(f"write() takes a bytes-like object, not {type(data).__name__}")
        if self._transport is None and self._error is None:
            await self._opened
        self._check().write(data)
        await self.drain()

    async def drain(self) -> None:
        """Wait until less than the high-water mark is unsent."""
        if self._error is not None:
            self._check()
        if not self._paused:
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._wait()
        except TimeoutError:
            raise WriteTimeout(f"the peer took too little within {self._timeout} s") from None

    async def write_eof(self) -> None:
        """End this direction behind everything written (a FIN); reading goes on.

        Raises:
            NotImplementedError: the carrier cannot end one direction alone.
        """
        if self._transport is None and self._error is None:
            await self._opened
        transport = self._check()
        if not transport.can_write_eof():
            raise NotImplementedError("this carrier cannot end one direction alone; use close()")
        self._eof = True
        transport.write_eof()
        self._on_ended()

    @property
    def ended(self) -> bool:
        """Whether ``write_eof`` was called."""
        return self._eof

    async def _wait(self) -> None:
        while self._paused and self._error is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        if self._error is not None:
            self._check()

    def _check(self) -> asyncio.Transport:
        if self._error is not None:
            raise _again(self._error)
        if self._eof or self._transport is None:
            raise SocketClosed("this direction was ended by write_eof()")
        return self._transport

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Called by the socket.

    def made(self, transport: asyncio.Transport) -> None:
        """Begin to send by the transport."""
        self._transport = transport

    def pause(self) -> None:
        """Follow the transport's flow control."""
        self._paused = True

    def resume(self) -> None:
        """Follow the transport's flow control."""
        self._paused = False
        self._wake()

    def failed(self, error: Exception) -> None:
        """End the stream with an error; the first one counts."""
        if self._error is None:
            self._error = error
        self._wake()

    def detach(self) -> bool:
        """Give up the transport; later calls raise BusyError. Return whether writing is paused."""
        self._transport = None
        self._error = BusyError("an adapter or a TLS upgrade has taken over this socket")
        return self._paused


def _again(error: Exception) -> Exception:
    """Return a copy to raise: a stored exception would collect one traceback a call."""
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    return again
