"""What a carrier must know of asyncssh's channels and they do not tell."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, cast

import asyncssh
from asyncssh.channel import SSHChannel

__all__ = ["Channel", "watch"]

Channel: TypeAlias = SSHChannel[bytes]


class _Session(Protocol):
    def channel_closed(self) -> None: ...


def watch(channel: Channel) -> None:
    """Let a channel tell its session two things more.

    - ``channel_closed()`` is called at once when the peer closes the channel. asyncssh itself tells
      it behind the last byte received, which may be long after if reading is paused.
    - ``connection_lost`` always gets an error if it is the SSH connection that has ended.
    """
    kind = type(channel)
    if kind not in _watched:
        _watched[kind] = type(kind.__name__, (_Watched, kind), {"__module__": __name__})
    channel.__class__ = _watched[kind]


_watched: dict[type[Any], type[Any]] = {}


class _Watched(SSHChannel[bytes]):
    # Like _bridge, this overrides what begins with an underscore.

    def process_connection_close(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        lost = exc or asyncssh.ConnectionLost("the connection was closed on this side")
        super().process_connection_close(lost)

    def _close_send(self) -> None:
        by_peer = self._send_state not in ("closed", "close_pending")
        if by_peer and self._session is not None:
            cast("_Session", self._session).channel_closed()
        super()._close_send()
