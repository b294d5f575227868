"""The flow control that asyncssh's channels lack, and the limit that its decompression does."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.compression import Decompressor

if TYPE_CHECKING:
    from asyncssh.packet import SSHPacket

__all__ = ["Channel", "Inflater", "with_flow_control"]

_Text = TypeVar("_Text", bytes, str)

_JOINED = 4096  # bytes; smaller pieces that nobody reads yet are joined up to so many


class _Connection(Protocol):
    @property
    def may_send(self) -> bool: ...
    def hold(self, channel: Channel[Any]) -> None: ...


class Channel(SSHChannel[_Text]):
    """What is added to each of asyncssh's channels."""

    abandoned = False

    def go_on(self) -> None:
        """Send what was held back."""
        if self._conn is not None:
            self._flush_send_buf()

    def abandon(self) -> None:
        """Close a channel that whoever opened it did not get."""
        if self._conn is None:
            return  # it is over
        if self._session is None:
            self._session = cast("asyncssh.SSHTCPSession[_Text]", asyncssh.SSHTCPSession())
        if self._send_chan is None:
            self.abandoned = True  # asked for and not answered yet
        else:
            self.abort()

    def process_open_confirmation(
        self, send_chan: int, send_window: int, send_pktsize: int, packet: SSHPacket
    ) -> None:
        """Note that the server has opened it."""
        super().process_open_confirmation(send_chan, send_window, send_pktsize, packet)
        if self.abandoned:
            self.abort()

    def _flush_send_buf(self) -> None:
        """Send a packet at a time, as long as the transport takes them."""
        connection = cast("_Connection", self._conn)
        while self._send_buf and self._send_window and connection.may_send:
            beyond = max(self._send_window - self._send_pktsize, 0)
            self._send_window -= beyond
            super()._flush_send_buf()
            self._send_window += beyond
        if not self._send_buf:
            super()._flush_send_buf()  # the end, or the close, that stands behind the data
            return
        if self._send_window:
            connection.hold(cast("Channel[Any]", self))
        self._pause_resume_writing()

    def _close_send(self) -> None:
        super()._close_send()
        if self._send_paused and self._session is not None:
            # Else whoever waits to write learns of the peer's close after all is read, if ever.
            self._send_paused = False
            self._session.resume_writing()

    def _accept_data(self, data: bytes, datatype: int | None = None) -> None:
        super()._accept_data(data, datatype)
        waiting = self._recv_buf
        if len(waiting) > 1:
            (first, kind), (second, other) = waiting[-2:]
            if kind == other and len(first) + len(second) <= _JOINED:
                waiting[-2:] = [(first + second, kind)]


_kinds: dict[type[SSHChannel[Any]], type[SSHChannel[Any]]] = {}


def with_flow_control(theirs: type[SSHChannel[Any]]) -> type[SSHChannel[Any]]:
    """Return asyncssh's kind of channel with what we add."""
    if theirs not in _kinds:
        _kinds[theirs] = type(theirs.__name__, (Channel, theirs), {"__module__": __name__})
    return _kinds[theirs]


class Inflater(Decompressor):
    """zlib, but no packet becomes larger than one may be."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflater = zlib.decompressobj()

    def decompress(self, data: bytes) -> bytes | None:
        """Return the packet, or None if it is none."""
        try:
            inflated = self._inflater.decompress(data, self._limit + 1)
        except zlib.error:
            return None
        return None if len(inflated) > self._limit else inflated
