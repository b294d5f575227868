"""The base of every carrier that is not one of the event loop's own transports."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LayeredTransport", "Transport", "offered_buffer"]

_DEFAULT_HIGH_WATER = 65536
_FIRST_BUFFER, _LARGEST_BUFFER = 4096, 262144


class Transport(asyncio.Transport):
    """An `asyncio.Transport` with delivery and write flow control already written.

    A carrier (TLS, memory, an SSH channel, a WebSocket, a JavaScript socket) subclasses this and
    writes ``write``, ``write_eof``, ``close``, ``abort``, ``pause_reading``, ``resume_reading``
    and ``get_write_buffer_size``, with asyncio's contract for each:

    - ``write`` never blocks; what the carrier cannot take yet is counted by
      ``get_write_buffer_size``, and ``_update_flow()`` is called whenever that count changes;
    - received bytes go to ``_deliver``, which stops when the receiver pauses reading, the end of
      the peer's stream to ``_deliver_eof``, both in order and never after ``_deliver_lost``;
    - after ``pause_reading`` nothing is delivered, and a carrier that reads on demand asks the
      other side for nothing;
    - an exception that the receiver raises goes to the event loop's exception handler and ends
      the connection, as it does on asyncio's own transports;
    - ``_deliver_lost`` is called exactly once, last of all, from the event loop and never from
      within ``close`` or ``abort``.
    """

    def __init__(
        self, protocol: asyncio.BaseProtocol, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(extra)
        self._protocol = protocol
        self._paused = False
        self._closing = False
        self._lost = False
        self._eof_delivered = False
        self._write_paused = False
        self._high_water = _DEFAULT_HIGH_WATER
        self._low_water = _DEFAULT_HIGH_WATER // 4

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Send everything from now on to another receiver."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the present receiver."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether ``close`` or ``abort`` was called, or the connection is lost."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether received bytes are being delivered."""
        return not self._paused and not self._closing

    def can_write_eof(self) -> bool:
        """Whether ``write_eof`` ends our direction and leaves the other open."""
        return True

    def get_write_buffer_size(self) -> int:
        """Number of bytes written that the carrier has not passed on yet."""
        raise NotImplementedError

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes, at which the receiver is told to pause and resume writing."""
        if high is None:
            high = _DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"write buffer limits: high ({high}) must be >= low ({low}) >= 0")
        self._high_water, self._low_water = high, low
        self._update_flow()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high mark."""
        return self._low_water, self._high_water

    def _update_flow(self) -> None:
        if self._lost:
            return
        size = self.get_write_buffer_size()
        if size > self._high_water and not self._write_paused:
            self._write_paused = True
            self._protocol.pause_writing()
        elif self._write_paused and size <= self._low_water:
            self._write_paused = False
            self._protocol.resume_writing()

    def _deliver(self, data: bytes | memoryview) -> int:
        """Hand over received bytes; return how many the receiver took before it paused."""
        taken = 0
        try:
            while taken < len(data) and self.is_reading():
                if isinstance(self._protocol, asyncio.BufferedProtocol):
                    room = offered_buffer(self._protocol, len(data) - taken)
                    count = min(len(room), len(data) - taken)
                    room[:count] = data[taken : taken + count]
                    taken += count
                    self._protocol.buffer_updated(count)
                else:
                    rest = bytes(data[taken:])
                    taken = len(data)
                    cast("asyncio.Protocol", self._protocol).data_received(rest)
        except Exception as error:
            self._receiver_failed(error)
        return taken

    def _deliver_eof(self) -> None:
        """Tell the receiver, once, that the peer is done; close unless it wants to write on."""
        if self._eof_delivered:
            return
        self._eof_delivered = True
        try:
            if not cast("asyncio.Protocol", self._protocol).eof_received():
                self.close()
        except Exception as error:
            self._receiver_failed(error)

    def _deliver_lost(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._protocol.connection_lost(error)

    def _receiver_failed(self, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": "the receiver failed on what the transport gave it",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self.abort()


class LayeredTransport(Transport):
    """A `Transport` that stands on another one, with what is written waiting in a backlog.

    A subclass writes ``close`` and what is below: ``begin``, ``received``, ``eof_received``;
    and its engine: ``_read``, which delivers what was received, and ``_flush``, which passes the
    backlog on while the transport below is not ``_lower_paused``, then what ends the stream if
    ``_eof_wanted``.

    Attributes:
        below: the receiver for the transport below.
    """

    _lower: asyncio.Transport  # there from the connection_made of ``below`` on

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__(protocol)
        self.below: asyncio.BufferedProtocol = _Below(self)
        self._backlog: deque[memoryview] = deque()
        self._backlog_size = 0
        self._lower_paused = False
        self._eof_wanted = False
        self._error: Exception | None = None
        self._closer: asyncio.TimerHandle | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport below knows under the name."""
        return self._lower.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; what the transport below cannot take yet waits here."""
        if self._closing or not data:
            return
        if self._eof_wanted:
            raise RuntimeError("cannot write after write_eof")
        view = memoryview(data)
        if not view.readonly:
            view = memoryview(bytes(view))
        self._backlog.append(view.cast("B"))
        self._backlog_size += view.nbytes
        self._flush()

    def get_write_buffer_size(self) -> int:
        """Number of bytes written that have not been passed on."""
        return self._backlog_size

    def write_eof(self) -> None:
        """End our direction behind everything written; receiving goes on."""
        self._eof_wanted = True
        self._flush()

    def pause_reading(self) -> None:
        """Deliver nothing more and read nothing more from below."""
        if not self._paused:
            self._paused = True
            if not self._lower.is_closing():
                self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was received already."""
        if self._paused and not self._closing:
            self._read_on()

    def abort(self) -> None:
        """End at once; what is not sent is dropped."""
        self._closing = True
        self._drop()
        self._lower.abort()

    # Called by what is below.

    def begin(self, lower: asyncio.Transport) -> None:
        """Take the transport below."""
        raise NotImplementedError

    def received(self, data: memoryview) -> None:
        """Take bytes from below, which are overwritten after the call."""
        raise NotImplementedError

    def eof_received(self) -> None:
        """Take the end of the stream below."""
        raise NotImplementedError

    def lower_writing(self, *, paused: bool) -> None:
        """Follow the flow control of the transport below."""
        self._lower_paused = paused
        if not paused:
            self._flush()

    def lower_lost(self, error: Exception | None) -> None:
        """Take the end of the transport below."""
        if self._closer is not None:
            self._closer.cancel()
        self._deliver_lost(self._error or error)

    # The engine.

    def _read(self) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError

    def _read_on(self) -> None:
        self._paused = False
        asyncio.get_running_loop().call_soon(self._read)
        if not self._lower.is_closing():
            self._lower.resume_reading()

    def _drop(self) -> None:
        self._backlog.clear()
        self._backlog_size = 0

    def _abort_later(self, seconds: float) -> None:
        if self._closer is None and not self._lost:
            self._closer = asyncio.get_running_loop().call_later(seconds, self._lower.abort)


class _Below(asyncio.BufferedProtocol):
    """The receiver below a layer, which it tells what happens there."""

    def __init__(self, layer: LayeredTransport) -> None:
        self._layer = layer
        self._view = memoryview(bytearray(_FIRST_BUFFER))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell which transport is below."""
        self._layer.begin(cast("asyncio.Transport", transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Offer a buffer, which grows while it is filled."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Tell what has been received."""
        view = self._view
        if nbytes == len(view) < _LARGEST_BUFFER:
            self._view = memoryview(bytearray(4 * len(view)))
        self._layer.received(view[:nbytes])

    def eof_received(self) -> bool:
        """Tell of the end, and leave the other direction open."""
        self._layer.eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the loss."""
        self._layer.lower_lost(exc)

    def pause_writing(self) -> None:
        """Tell of the flow control."""
        self._layer.lower_writing(paused=True)

    def resume_writing(self) -> None:
        """Tell of the flow control."""
        self._layer.lower_writing(paused=False)


def offered_buffer(protocol: asyncio.BufferedProtocol, size_hint: int) -> memoryview:
    """Return the writable buffer that the receiver offers; asyncio demands that it has room."""
    # asyncio's annotation of get_buffer names a Buffer; it has to be writable.
    room = memoryview(cast("bytearray", protocol.get_buffer(size_hint))).cast("B")
    if not room:
        raise RuntimeError("get_buffer() returned an empty buffer")
    return room
