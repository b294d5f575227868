"""A connector of ours, as a user's may be."""

from __future__ import annotations

import asyncio
import contextlib

import wirekit
from wirekit.sockets import AddressLike, Socket, connect, memory_pair


class Tunnel:
    """A connector through memory: our end is joined to a TCP connection that it makes.

    Attributes:
        count: how many sockets it has made.
    """

    def __init__(self, target: AddressLike, *, fragment: int | None = None) -> None:
        self.count = 0
        self._target = target
        self._fragment = fragment
        self._relays: set[asyncio.Task[None]] = set()

    async def __call__(self, address: AddressLike) -> Socket:
        self.count += 1
        ours, theirs = memory_pair(fragment=self._fragment)
        outer = connect(self._target)
        await outer.opened
        for source, target in ((theirs, outer), (outer, theirs)):
            self._relays.add(asyncio.create_task(self._carry(source, target)))
        return ours

    async def _carry(self, source: Socket, target: Socket) -> None:
        with contextlib.suppress(wirekit.TransportError):
            while data := await source.read():
                await target.write(data)
        await target.close()

    async def ended(self) -> None:
        await asyncio.gather(*self._relays)
