"""What stands between a transport and an attached protocol: nothing, but for the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["replay", "tap"]


def tap(
    protocol: asyncio.BaseProtocol, on_lost: Callable[[Exception | None], None]
) -> asyncio.BaseProtocol:
    """Return a receiver that is ``protocol`` in all but the end, which ``on_lost`` sees too."""
    if isinstance(protocol, asyncio.BufferedProtocol):
        return _BufferedTap(protocol, on_lost)
    return _Tap(cast("asyncio.Protocol", protocol), on_lost)


def replay(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """Hand over bytes that were received before the protocol was there."""
    if not isinstance(protocol, asyncio.BufferedProtocol):
        if data:
            cast("asyncio.Protocol", protocol).data_received(data)
        return
    while data:
        # asyncio's annotation of get_buffer names a Buffer; it has to be writable.
        room = memoryview(cast("bytearray", protocol.get_buffer(len(data))))
        count = min(len(room), len(data))
        room[:count] = data[:count]
        data = data[count:]
        protocol.buffer_updated(count)


class _Tap(asyncio.Protocol):
    # The protocol's own bound methods stand in the instance, so that the event loop calls them
    # and nothing of ours runs for a received chunk.

    def __init__(
        self, protocol: asyncio.Protocol, on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._protocol = protocol
        self._on_lost = on_lost
        vars(self).update(
            data_received=protocol.data_received,
            eof_received=protocol.eof_received,
            pause_writing=protocol.pause_writing,
            resume_writing=protocol.resume_writing,
        )

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._on_lost(exc)


class _BufferedTap(asyncio.BufferedProtocol):
    def __init__(
        self, protocol: asyncio.BufferedProtocol, on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._protocol = protocol
        self._on_lost = on_lost
        vars(self).update(
            get_buffer=protocol.get_buffer,
            buffer_updated=protocol.buffer_updated,
            eof_received=protocol.eof_received,
            pause_writing=protocol.pause_writing,
            resume_writing=protocol.resume_writing,
        )

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            self._on_lost(exc)
