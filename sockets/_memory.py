"""Two sockets joined in memory: for tests, and for speaking to a server in the same process."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Unpack

from ._socket import SecureTransport, Socket, StreamOptions
from ._transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MemoryTransport", "memory_pair"]

_FRAGMENT = 65536


class MemoryTransport(Transport):
    """One end of a pair; bytes written here are delivered there, in later turns of the loop.

    ``fragment`` says how many of the bytes at hand are delivered to this end at a time.
    """

    def __init__(
        self, protocol: asyncio.BaseProtocol, fragment: Callable[[int], int], delay: float
    ) -> None:
        super().__init__(protocol, {"peername": "memory", "sockname": "memory"})
        self._peer = self
        self._fragment = fragment
        self._delay = delay
        self._inbox: deque[memoryview] = deque()
        self._inbox_size = 0
        self._inbox_ended = False
        self._eof_written = False
        self._over = False
        self._delivery: asyncio.Handle | None = None

    def join(self, peer: MemoryTransport) -> None:
        """Make the other end the one that bytes go to."""
        self._peer = peer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes to the other end."""
        if self._closing or not data:
            return
        if self._eof_written:
            raise RuntimeError("cannot write after write_eof")
        self._peer.arrived(bytes(data))
        self._update_flow()

    def get_write_buffer_size(self) -> int:
        """Number of bytes that the other end has not taken yet."""
        return self._peer.inbox_size

    def write_eof(self) -> None:
        """End this direction behind everything written."""
        if not self._eof_written:
            self._eof_written = True
            self._peer.ended()

    def pause_reading(self) -> None:
        """Take nothing more from the other end."""
        self._paused = True

    def resume_reading(self) -> None:
        """Take bytes from the other end again."""
        self._paused = False
        self._schedule()

    def close(self) -> None:
        """Deliver what is written, then end; what is not received yet is thrown away."""
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._empty_inbox()
            self.taken()

    def abort(self) -> None:
        """End at once; the other end sees a reset."""
        if not self._over:
            self._end(None)
            self._peer.reset()

    # Called by the other end.

    @property
    def inbox_size(self) -> int:
        """Number of bytes that have been sent here and not been taken by the receiver."""
        return self._inbox_size

    def arrived(self, data: bytes) -> None:
        """Take bytes that the other end sends."""
        if self._over:
            self._peer.reset()
        elif not self._closing:
            self._inbox.append(memoryview(data))
            self._inbox_size += len(data)
            self._schedule()

    def ended(self) -> None:
        """Take the end of the other end's direction."""
        self._inbox_ended = True
        self._schedule()

    def taken(self) -> None:
        """Take note that the other end's inbox has shrunk."""
        self._update_flow()
        if self._closing and not self.get_write_buffer_size():
            self._end(None)

    def reset(self) -> None:
        """Take the other end's abort."""
        self._end(ConnectionResetError("the other end was aborted"))

    def _end(self, error: Exception | None) -> None:
        if not self._over:
            self._over = self._closing = True
            asyncio.get_running_loop().call_soon(self._deliver_lost, error)
            self._empty_inbox()

    def _empty_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_size = 0
        self._peer.taken()

    def _schedule(self) -> None:
        if self._delivery is None and self.is_reading():
            loop = asyncio.get_running_loop()
            if self._delay:
                self._delivery = loop.call_later(self._delay, self._deliver_next)
            else:
                self._delivery = loop.call_soon(self._deliver_next)

    def _deliver_next(self) -> None:
        """Deliver one fragment, or the end, to our receiver."""
        self._delivery = None
        if not self.is_reading():
            return
        if self._inbox:
            view = self._inbox.popleft()
            taken = self._deliver(view[: max(1, self._fragment(len(view)))])
            if self._closing:
                return  # within the receiver's call, and the inbox is thrown away
            if taken < len(view):
                self._inbox.appendleft(view[taken:])
            self._inbox_size -= taken
            self._peer.taken()
            self._schedule()
        elif self._inbox_ended:
            self._deliver_eof()


def memory_pair(
    *,
    fragment: int | Callable[[int], int] | None = None,
    delay: float = 0.0,
    secure_transport: SecureTransport = "off",
    **options: Unpack[StreamOptions],
) -> tuple[Socket, Socket]:
    """Return two open sockets; what one writes, the other reads.

    ``fragment`` cuts what is delivered: at most so many bytes at a time (64 KiB if None), or a
    function from the number at hand to the number to deliver. ``delay`` is the seconds before each
    delivery. The other options are those of ``connect`` and hold for both ends.
    """
    cut = fragment if callable(fragment) else partial(min, fragment or _FRAGMENT)
    ends = [MemoryTransport(asyncio.Protocol(), cut, delay) for _ in range(2)]
    ends[0].join(ends[1])
    ends[1].join(ends[0])
    left, right = (
        Socket(end, remote_address="memory", secure_transport=secure_transport, **options)
        for end in ends
    )
    return left, right
