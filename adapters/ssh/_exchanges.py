"""When keys are exchanged, how long that may take, and how often a peer may begin it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Exchanges"]

_MAX_IDLE = 8  # that a peer begins one after the other
_IDLE_TIME = 60.0  # seconds from one to the next in which those count


class Exchanges:
    """The key exchanges of a connection, of which the first is due from the start.

    Args:
        loop: has the time.
        timeout: seconds for each.
        interval: seconds behind one when the next is due; None for never.
        on_late: called when one takes longer.
        on_due: called when the next is due.

    Attributes:
        count: how many have ended.
        is_ours: we have begun the present one.
    """

    __slots__ = (
        "_deadline",
        "_idle",
        "_interval",
        "_last",
        "_loop",
        "_next",
        "_on_due",
        "_on_late",
        "_timeout",
        "count",
        "is_ours",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeout: float,
        interval: float | None,
        *,
        on_late: Callable[[], None],
        on_due: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._timeout = timeout
        self._interval = interval
        self._on_late = on_late
        self._on_due = on_due
        self._deadline: asyncio.TimerHandle | None = None
        self._next: asyncio.TimerHandle | None = None
        self._idle = 0
        self._last = -_IDLE_TIME
        self.count = 0
        self.is_ours = True

    def going_on(self) -> None:
        """Note that one is going on."""
        if self._deadline is None:
            self._deadline = self._loop.call_later(self._timeout, self._on_late)

    def ended(self) -> bool:
        """Note that none is going on; return whether one was."""
        if self._deadline is None:
            return False
        self.close()
        self._deadline = self._next = None
        self.count += 1
        self.is_ours = False
        if self._interval is not None:
            self._next = self._loop.call_later(self._interval, self._on_due)
        return True

    def peer_takes_part(self) -> bool:
        """Note the peer's SSH_MSG_KEXINIT; return whether it begins too many.

        It does if there is nothing between them, and little time.
        """
        if self.is_ours:
            return False
        now = self._loop.time()
        self._idle = self._idle + 1 if now - self._last < _IDLE_TIME else 0
        self._last = now
        return self._idle > _MAX_IDLE

    def has_data(self) -> None:
        """Note that there was something to exchange keys for."""
        self._idle = 0

    def close(self) -> None:
        """Call nobody any more."""
        for timer in (self._deadline, self._next):
            if timer is not None:
                timer.cancel()
