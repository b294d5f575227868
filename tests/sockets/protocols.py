"""Receivers that record what they are told."""

from __future__ import annotations

import asyncio
from typing import cast


class Recording(asyncio.BaseProtocol):
    """What `Streamed` and `Buffered` have in common.

    Args:
        paused: pause reading as soon as the connection is made.
        half_open: keep our direction open after the peer's end.
    """

    def __init__(self, *, paused: bool = False, half_open: bool = False) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.error: Exception | None = None
        self.ended = asyncio.Event()
        self.lost = asyncio.Event()
        self.write_paused = False
        self.transport: asyncio.Transport | None = None
        self._paused = paused
        self._half_open = half_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = cast("asyncio.Transport", transport)
        if self._paused:
            self.transport.pause_reading()

    def received(self, data: bytes | memoryview) -> None:
        if not self.calls or self.calls[-1] != "data_received":
            self.calls.append("data_received")
        self.data += data

    def eof_received(self) -> bool:
        self.calls.append("eof_received")
        self.ended.set()
        return self._half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.error = exc
        self.ended.set()
        self.lost.set()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False


class Streamed(Recording, asyncio.Protocol):
    """Takes bytes."""

    def data_received(self, data: bytes) -> None:
        self.received(data)


class Buffered(Recording, asyncio.BufferedProtocol):
    """Takes bytes in a buffer of its own, and a small one."""

    def __init__(self, *, paused: bool = False, half_open: bool = False) -> None:
        super().__init__(paused=paused, half_open=half_open)
        self._room = memoryview(bytearray(1000))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self.received(self._room[:nbytes])
