"""The event loops that a run can use."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOOPS", "loop_factory", "loop_version", "running_loop"]

LOOPS = ("asyncio", "uvloop")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop of the named kind.

    Raises:
        ImportError: uvloop is not installed.
    """
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop  # only where it is asked for: not every platform has it

    return uvloop.new_event_loop


def loop_version(name: str) -> str:
    """Return the version of the named loop; asyncio's is Python's."""
    return platform.python_version() if name == "asyncio" else importlib.metadata.version(name)


def running_loop() -> str:
    """Name the kind of the running loop."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
