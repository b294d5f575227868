"""Time that passes when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Clock:
    """As much of an event loop as asks for the time, and that is told how it passes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._waiting: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    def call_later(self, delay: float, callback: Any, *args: Any) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        handle = asyncio.TimerHandle(self.now + delay, callback, args, loop)
        self._waiting.append(handle)
        return handle

    def pass_on(self, seconds: float = 30.0) -> None:
        """Let time pass, and call who waited for it."""
        self.now += seconds
        due = [handle for handle in self._waiting if handle.when() <= self.now]
        self._waiting = [handle for handle in self._waiting if handle not in due]
        for handle in due:
            if not handle.cancelled():
                handle._run()
