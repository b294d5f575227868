"""What an SSH participant does: protect packets, and carry connections of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks._model import Participant
from benchmarks.ssh._data import LOOPBACK, server_at
from wirekit.adapters import postgres
from wirekit.adapters.redis import Redis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.ssh._data import Suite
    from wirekit.sockets import AddressLike, Socket

__all__ = ["POSTGRES", "Buffer", "Framing", "SSHParticipant"]

Buffer: TypeAlias = "bytes | bytearray | memoryview"

POSTGRES = "postgres"  # user and database


class Framing(ABC):
    """A packet layer with keys in both directions, and no socket."""

    @abstractmethod
    def seal(self, payload: bytes, count: int) -> Sequence[Buffer]:
        """Make ``count`` packets; return what would be written, in the pieces it comes in."""

    def packets(self, payload: bytes, count: int, sealed: Sequence[Buffer]) -> bytes:
        """Return ``count`` packets to be opened: by default what `seal` made."""
        del payload, count
        return b"".join(sealed)

    @abstractmethod
    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Take packets as they would be received, and return their payloads."""


class SSHParticipant(Participant):
    """The work of the SSH rows.

    All carry the same clients, which are wirekit's, so that nothing but the tunnels differs.
    """

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self._redis: Redis | None = None
        self._postgres: Any = None

    async def connect(self, address: Address) -> None:
        """Look who is there; SSH itself begins with the first `tunnel`."""
        self.server = server_at(address)

    async def close(self) -> None:
        await self.stack.aclose()

    @abstractmethod
    async def framing(self, suite: Suite) -> Framing:
        """Return the library's packet layer."""

    @abstractmethod
    async def tunnel(self, port: int) -> Socket:
        """Return a socket to that port of `LOOPBACK`, as the server sees it, through SSH."""

    async def redis(self) -> Redis:
        """Return a client of Redis behind the tunnel, always the same."""
        if self._redis is None:
            socket = await self.tunnel(self.server.ports["redis"])
            self._redis = await self.stack.enter_async_context(Redis(socket))
        return self._redis

    async def postgres(self) -> Any:
        """Return a connection to Postgres behind the tunnel, always the same."""
        if self._postgres is None:
            port = self.server.ports["postgres"]

            async def connector(_address: AddressLike) -> Socket:
                return await self.tunnel(port)

            self._postgres = await postgres.connect(
                host=LOOPBACK, port=port, user=POSTGRES, database=POSTGRES, connector=connector
            )
            self.stack.push_async_callback(self._postgres.close)
        return self._postgres
