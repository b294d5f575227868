"""What stands between a transport and its receiver: nothing, but for the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from ._transport import offered_buffer

if TYPE_CHECKING:
    from collections.abc import Callable

    OnLost = Callable[[Exception | None], None]

__all__ = ["Receiver", "hand_over", "replay"]

_CALLS = (
    "connection_made",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "eof_received",
    "pause_writing",
    "resume_writing",
)


def hand_over(
    transport: asyncio.Transport, protocol: asyncio.BaseProtocol, *on_lost: OnLost
) -> None:
    """Make ``protocol`` the receiver of all but the end, which ``on_lost`` sees too.

    Whoever watched for the end through an earlier call goes on watching: a socket that carries
    another one learns when the connection is over, whatever was put on top of it since.
    """
    present = transport.get_protocol()
    watchers = (*present.watchers, *on_lost) if isinstance(present, _Tap) else on_lost
    if watchers:
        buffered = isinstance(protocol, asyncio.BufferedProtocol)
        protocol = (_BufferedTap if buffered else _StreamTap)(protocol, watchers)
    transport.set_protocol(protocol)


def replay(protocol: asyncio.BaseProtocol, data: bytes) -> None:
    """Hand over bytes that were received before the protocol was there."""
    if not isinstance(protocol, asyncio.BufferedProtocol):
        if data:
            cast("asyncio.Protocol", protocol).data_received(data)
        return
    while data:
        room = offered_buffer(protocol, len(data))
        count = min(len(room), len(data))
        room[:count] = data[:count]
        data = data[count:]
        protocol.buffer_updated(count)


class Receiver(asyncio.Protocol):
    """A protocol made of the functions given under the names of its methods."""

    def __init__(self, **calls: Callable[..., Any]) -> None:
        vars(self).update(calls)


class _Tap:
    # The protocol's own bound methods stand in the instance, so that the event loop calls them
    # and nothing of ours runs for a received chunk.

    def __init__(self, protocol: asyncio.BaseProtocol, watchers: tuple[OnLost, ...]) -> None:
        self.watchers = watchers
        self._protocol = protocol
        vars(self).update(
            {name: getattr(protocol, name) for name in _CALLS if hasattr(protocol, name)}
        )

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._protocol.connection_lost(exc)
        finally:
            for watcher in self.watchers:
                watcher(exc)


class _StreamTap(_Tap, asyncio.Protocol):
    pass


class _BufferedTap(_Tap, asyncio.BufferedProtocol):
    pass
