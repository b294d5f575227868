"""The two directions of a Socket as people read and write them, and the receiver behind them."""

from __future__ import annotations

import asyncio
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

    Cancelling a call loses no byte: what it would have returned stays for the next call. With
    ``on_demand`` the transport reads only while a call waits for bytes.
    """

    def __init__(
        self, *, opened: Awaitable[object], timeout: float | None, on_demand: bool
    ) -> None:
        self._opened = opened
        self._timeout = timeout
        self._on_demand = on_demand
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = _READ_AHEAD
        self._paused = False
        self._eof = False
        self._error: Exception | None = None
        self._ours = False  # whether the error is our own doing and bytes left unread are dropped
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
        if view.readonly or not view:
            raise ValueError("read_into needs a writable buffer with room for at least one byte")
        data = await self.read(len(view))
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
            ) from self._error
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
        text = f"the stream ended after {len(self._buffer)} bytes without separator"
        raise ConnectionLost(text) from self._error

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
            if self._transport is None and self._error is None:
                await self._opened
            while not (self._ours or enough() or self._eof or self._error is not None):
                await self._more()
        finally:
            self._reading = False
        if self._error is not None and (self._ours or not (self._buffer or self._eof)):
            raise self._error.with_traceback(None)

    async def _more(self) -> None:
        """Wait until something happens to the stream."""
        self._resume()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self._timeout is None:
                await self._waiter
            else:
                async with asyncio.timeout(self._timeout):
                    await self._waiter
        except TimeoutError:
            raise ReadTimeout(f"nothing arrived within {self._timeout} s") from None
        finally:
            self._waiter = None
            if self._on_demand:
                self._pause()

    def _take(self, count: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:count])
        del self._buffer[:count]
        if not self._on_demand and len(self._buffer) < self._wanted:
            self._resume()
        return data

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        # Behind the end of the stream asyncio's transports would read that end once more.
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = self._eof
            if not self._eof:
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
        """Note that the connection broke; what was received is still there to read."""
        if self._error is None:
            self._error = error
        self._wake()

    def shut(self, error: Exception) -> None:
        """End the stream on our side: every call raises this error from now on."""
        if not self._ours:
            self._ours = True
            self._error = error
            self._buffer.clear()
        self._wake()

    def detach(self) -> tuple[bytes, bool]:
        """Give up what is not read and whether the end was seen; later calls raise BusyError."""
        data = bytes(self._buffer)
        self._transport = None
        self.shut(BusyError("an adapter or a TLS upgrade has taken over this socket"))
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
        self._waiting = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def locked(self) -> bool:
        """Whether a call is waiting until the socket is open, or for the peer to take bytes."""
        return self._waiting > 0

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``; returns at once unless more than the high-water mark is unsent.

        Cancelled while waiting for the peer, the bytes are sent nevertheless: the transport has
        them. The caller may change or reuse ``data`` at once.

        Raises:
            WriteTimeout: the peer took nothing within the socket's ``timeout``.
            ConnectionLost: the connection broke.
            SocketClosed: this side closed the socket or this direction.
            TypeError: not a bytes-like object; text is not encoded for you.
        """
        if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
            raise TypeError(f"write() takes a bytes-like object, not {type(data).__name__}")
        transport = await self._usable()
        # Transports may keep what they are given; the caller may go on using a buffer.
        transport.write(data if isinstance(data, bytes) else bytes(data))
        await self.drain()

    async def drain(self) -> None:
        """Wait until less than the high-water mark is unsent; raises what ``write`` raises."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._waiting += 1
        try:
            while self._paused and self._transport is not None:
                await self._wait(self._transport)
        finally:
            self._waiting -= 1
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def write_eof(self) -> None:
        """End this direction behind everything written (a FIN); reading goes on.

        Raises:
            NotImplementedError: the carrier cannot end one direction alone.
        """
        transport = await self._usable()
        if not transport.can_write_eof():
            raise NotImplementedError("this carrier cannot end one direction alone; use close()")
        self._eof = True
        transport.write_eof()
        self._on_ended()

    @property
    def ended(self) -> bool:
        """Whether ``write_eof`` was called."""
        return self._eof

    async def _usable(self) -> asyncio.Transport:
        """Return the transport once it is open."""
        if self._transport is None and self._error is None:
            self._waiting += 1
            try:
                await self._opened
            finally:
                self._waiting -= 1
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._eof or self._transport is None:
            raise SocketClosed("this direction was ended by write_eof()")
        return self._transport

    async def _wait(self, transport: asyncio.Transport) -> None:
        """Wait until something happens to the stream; the peer must take some bytes meanwhile."""
        unsent = transport.get_write_buffer_size()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(self._timeout):
                await waiter
        except TimeoutError:
            if transport.get_write_buffer_size() >= unsent:
                raise WriteTimeout(f"the peer took nothing within {self._timeout} s") from None
        finally:
            self._waiters.discard(waiter)

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
        self._transport = None
        self._wake()

    def detach(self) -> bool:
        """Give up the transport; later calls raise BusyError. Return whether writing is paused."""
        self._error = BusyError("an adapter or a TLS upgrade has taken over this socket")
        self._transport = None
        return self._paused
