"""What goes out on a connection: gathered turn by turn, and no faster than the server takes it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from wirekit.adapters._writing import LARGE, write_pieces

if TYPE_CHECKING:
    from wirekit._errors import ProtocolError, TransportError
    from wirekit.protocols._buffer import Buffer

    from ._request import Request

__all__ = ["Outgoing"]


class Outgoing(asyncio.BaseProtocol):
    """The sending half of a connection.

    Messages of one turn of the event loop leave in one write.

    Attributes:
        congested: the server takes bytes more slowly than they are written.
        error: why the connection is over.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.congested = False
        self.error: TransportError | ProtocolError | None = None
        self._loop = asyncio.get_running_loop()
        self._out: list[Buffer] = []
        self._flush_scheduled = False
        self._holding_back = False
        self._later: deque[tuple[Request | None, list[Buffer]]] = deque()  # what is held back
        self._writable_waiters: deque[asyncio.Future[None]] = deque()

    def lost_error(self) -> Exception:
        """Return the error for whoever needs the connection now."""
        raise NotImplementedError

    # Writing

    def _write_at_once(self, buffers: list[Buffer]) -> bool:
        """Write a single small piece, if nothing is before it; return whether it was."""
        if self._out or self.congested or self._holding_back:
            return False
        if len(buffers) > 1 or len(buffers[0]) >= LARGE:
            return False
        self._transport.write(buffers[0])
        return True

    def _write(self, buffers: list[Buffer], request: Request | None) -> None:
        """Write what belongs to a request, in a while."""
        if self._holding_back:
            self._later.append((request, buffers))
            return
        self._out += buffers
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what was gathered: small pieces as one, large ones in slices as there is room."""
        self._flush_scheduled = False
        if self.congested or self.error is not None or not self._out:
            return
        out, self._out = self._out, []
        self._out[:0] = write_pieces(self._transport, out, self._is_congested)

    def _unsent(self) -> int:
        """Return how many bytes wait for the server to take those before them."""
        return sum(map(len, self._out))

    def _forget(self) -> None:
        """Write nothing any more."""
        self._out.clear()
        self._later.clear()

    # Holding back

    def _hold_back(self) -> None:
        """Keep what is written from here on, until `_let_go`."""
        self._holding_back = True

    def _let_go_abandoned(self) -> list[Request]:
        """Let the first of what is held back go, as far as nobody waits for it; return it."""
        requests: list[Request] = []
        while self._later:
            request = self._later[0][0]
            if request is None or not request.abandoned:
                break
            if request not in requests:
                requests.append(request)
            self._out += self._later.popleft()[1]
        self._flush()
        return requests

    def _let_go(self) -> None:
        """Let go what is held back, and hold back nothing more."""
        self._holding_back = False
        for _, buffers in self._later:
            self._out += buffers
        self._later.clear()
        self._flush()
        if not self.congested:
            self._wake_writers()

    # Flow control

    async def writable(self) -> None:
        """Wait while the server takes bytes more slowly than they are written.

        Raises:
            ConnectionDoesNotExistError: the connection is over.
        """
        while (self.congested or self._out or self._later) and self.error is None:
            if not self.congested and not self._holding_back:
                await asyncio.sleep(0)  # gathered, and about to be written
                continue
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writable_waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._writable_waiters:
                    self._writable_waiters.remove(waiter)
                raise
        if self.error is not None:
            raise self.lost_error()

    async def written(self) -> None:
        """Write what is gathered, let others have a turn, and wait as `writable` does."""
        self._flush()
        await asyncio.sleep(0)
        if self.congested or self._later or self.error is not None:
            await self.writable()

    def _is_congested(self) -> bool:
        return self.congested

    def pause_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = True

    def resume_writing(self) -> None:
        """Follow the transport's flow control."""
        self.congested = False
        self._flush()
        if not self.congested:
            self._wake_writers()

    def _wake_writers(self) -> None:
        while self._writable_waiters:
            waiter = self._writable_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def pause_reading(self) -> None:
        """Leave what the server sends with it, for COPY."""
        if self.error is None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take again what the server sends."""
        if self.error is None:
            self._transport.resume_reading()
