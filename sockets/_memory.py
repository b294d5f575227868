"""Two sockets joined in memory: for tests, and for speaking to a server in the same process."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from ._socket import SecureTransport, Socket
from ._transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryTransport", "memory_pair"]


class MemoryTransport(Transport):
    """One end of a pair; bytes written here are delivered there, in later turns of the loop."""

    def __init__(
        self, protocol: asyncio.BaseProtocol, fragment: Callable[[int], int], delay: float
    ) -> None:
        super().__init__(protocol, {"peername": "memory", "sockname": "memory"})
        self.peer = self
        self._fragment = fragment
        self._delay = delay
        self._outgoing: deque[memoryview] = deque()
        self._outgoing_size = 0
        self._eof_written = False
        self._eof_sent = False
        self._pump_handle: asyncio.Handle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes for the other end."""
        if self._eof_written:
            raise RuntimeError("cannot write after write_eof")
        if self._closing or not data:
            return
        if self.peer.lost:
            self._lose(ConnectionResetError("the other end is closed"))
            return
        view = memoryview(bytes(data))
        self._outgoing.append(view)
        self._outgoing_size += len(view)
        self._update_flow()
        self._schedule()

    def get_write_buffer_size(self) -> int:
        """Number of bytes that the other end has not taken yet."""
        return self._outgoing_size

    def write_eof(self) -> None:
        """End this direction behind everything written."""
        self._eof_written = True
        self._schedule()

    def pause_reading(self) -> None:
        """Take nothing more from the other end."""
        self._paused = True

    def resume_reading(self) -> None:
        """Take bytes from the other end again."""
        self._paused = False
        self.peer._schedule()

    def close(self) -> None:
        """Deliver what is written, then end."""
        if not self._closing:
            self._closing = self._eof_written = True
            self._schedule()

    def abort(self) -> None:
        """End at once; the other end sees a reset."""
        self._closing = True
        self._lose(None)
        self.peer._lose(ConnectionResetError("the other end was aborted"))

    @property
    def lost(self) -> bool:
        """Whether this end is over."""
        return self._lost

    def _lose(self, error: Exception | None) -> None:
        self._closing = True
        self._outgoing.clear()
        self._outgoing_size = 0
        asyncio.get_running_loop().call_soon(self._deliver_lost, error)

    def _schedule(self) -> None:
        if self._pump_handle is None:
            loop = asyncio.get_running_loop()
            if self._delay:
                self._pump_handle = loop.call_later(self._delay, self._pump)
            else:
                self._pump_handle = loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Deliver one fragment, or the end, to the other side."""
        self._pump_handle = None
        peer = self.peer
        if self._lost:
            return
        if self._outgoing and not peer.lost:
            if not peer.is_reading() and not peer.is_closing():
                return
            view = self._outgoing.popleft()
            piece = view[: max(1, self._fragment(len(view)))]
            # A peer that is closing no longer reads, like a kernel buffer that is thrown away.
            taken = len(piece) if peer.is_closing() else peer._deliver(piece)
            if taken < len(view):
                self._outgoing.appendleft(view[taken:])
            self._outgoing_size -= taken
            self._update_flow()
            self._schedule()
        elif self._eof_written:
            if not self._eof_sent and not peer.lost:
                if not peer.is_reading() and not peer.is_closing():
                    return
                self._eof_sent = True
                if not peer.is_closing():
                    peer._deliver_eof()
            if self._closing:
                self._lose(None)


def memory_pair(
    *,
    fragment: int | Callable[[int], int] | None = None,
    delay: float = 0.0,
    secure_transport: SecureTransport = "off",
    allow_half_open: bool = False,
    timeout: float | None = None,
    close_timeout: float = 5.0,
    high_water_mark: int = 65536,
) -> tuple[Socket, Socket]:
    """Return two open sockets; what one writes, the other reads.

    ``fragment`` cuts what is delivered: at most so many bytes at a time, or a function from the
    number at hand to the number to deliver. ``delay`` is the seconds before each delivery. The
    other options are those of ``connect``, for both ends.
    """
    if fragment is None:
        cut: Callable[[int], int] = int
    elif callable(fragment):
        cut = fragment
    else:
        cut = partial(min, fragment)
    ends = [MemoryTransport(asyncio.Protocol(), cut, delay) for _ in range(2)]
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    left, right = (
        Socket(
            end,
            remote_address="memory",
            secure_transport=secure_transport,
            allow_half_open=allow_half_open,
            timeout=timeout,
            close_timeout=close_timeout,
            high_water_mark=high_water_mark,
        )
        for end in ends
    )
    return left, right
