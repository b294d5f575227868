"""What was sent and has not left yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer

__all__ = ["Outbox"]

_MANY = 65536  # bytes that are not gathered any longer


class Outbox:
    """Gathers what is sent in one turn of the event loop into one write.

    Args:
        transport: takes it.
        timeout: seconds in which a peer that takes bytes too slowly has to take some.
        on_late: called when it took none.

    Attributes:
        is_congested: the peer takes bytes more slowly than they are sent.
    """

    __slots__ = (
        "_flush_scheduled",
        "_is_closed",
        "_loop",
        "_on_late",
        "_pieces",
        "_size",
        "_timeout",
        "_transport",
        "_watch",
        "is_congested",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        on_late: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._timeout = timeout
        self._on_late = on_late
        self._pieces: list[Buffer] = []
        self._size = 0
        self._flush_scheduled = False
        self._is_closed = False
        self._watch: asyncio.TimerHandle | None = None
        self.is_congested = False

    def put(self, pieces: list[Buffer]) -> None:
        """Send pieces, at once if they are many."""
        if not pieces:
            return
        self._pieces += pieces
        self._size += sum(map(len, pieces))
        if self._size >= _MANY:
            self.flush()
        elif not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._flush_scheduled = False
        if not self._is_closed:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        pieces, self._pieces = self._pieces, []
        self._size = 0
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif pieces:
            self._transport.writelines(pieces)

    def pause(self) -> None:
        """Note that the peer has to take bytes first."""
        self.is_congested = True
        if not self._is_closed:
            self._look_later()

    def resume(self) -> None:
        """Note that it did."""
        self.is_congested = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look_later(self) -> None:
        size = self._transport.get_write_buffer_size()
        self._watch = self._loop.call_later(self._timeout, self._look, size)

    def _look(self, size: int) -> None:
        """See that the peer took some of what was there before."""
        self._watch = None
        if self._transport.get_write_buffer_size() >= size:
            self._on_late()
        else:
            self._look_later()

    def close(self) -> None:
        """Write what was gathered, and nothing later by itself."""
        self._is_closed = True
        self.resume()
        if not self._transport.is_closing():
            self.flush()
