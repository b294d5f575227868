"""One of a pool's places: a connection, or room for one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ._pool_proxy import PoolConnectionProxy
from .exceptions import ConnectionDoesNotExistError, InterfaceError

if TYPE_CHECKING:
    from ._client import Postgres
    from ._pool_core import PoolCore

__all__ = ["PoolConnectionHolder"]


class PoolConnectionHolder:
    """One of a pool's places: a connection, or room for one.

    It is in one hand at a time. It lies in the pool (``is_free``), or its connection is lent out
    (there is a ``proxy``), or else some code is at work on it and gives it back afterwards,
    whatever happens.

    Attributes:
        core: the pool's inner part.
        is_free: whether it lies in the pool.
        proxy: by which the connection is lent out.
        timeout: that it was acquired with, in seconds.
        idle_since: when it was given back, by the event loop's clock.
    """

    __slots__ = ("_connection", "_generation", "core", "idle_since", "is_free", "proxy", "timeout")

    def __init__(self, core: PoolCore) -> None:
        self.core = core
        self.is_free = False
        self.proxy: PoolConnectionProxy | None = None
        self.timeout: float | None = None
        self.idle_since = 0.0
        self._connection: Postgres | None = None
        self._generation = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that stands."""
        return self._connection is not None and not self._connection.is_closed()

    async def connect(self) -> Postgres:
        """Make a connection.

        Raises:
            InterfaceError: the pool was closed meanwhile.
        """
        core = self.core
        generation = core.generation
        connection = await core.new_connection()
        if core.is_closing:
            connection.terminate()
            raise InterfaceError("pool is closing")
        if connection.is_closed():
            text = "connection was closed during pool initialization"
            raise ConnectionDoesNotExistError(text)
        self._connection = connection
        self._generation = generation
        connection.join_pool(core.known_types, self._lost, core.forget_schema)
        return connection

    async def lend(self, timeout: float | None) -> PoolConnectionProxy:
        """Lend the connection out; it is made anew if it is lost or has expired."""
        connection = self._connection
        if connection is not None and (
            connection.is_closed() or self._generation != self.core.generation
        ):
            self.terminate()
            connection = None
        if connection is None:
            connection = await self.connect()
        proxy = PoolConnectionProxy(self, connection)
        connection.lend(proxy)
        setup = self.core.options.setup
        if setup is not None:
            try:
                await setup(proxy)
                if connection.is_closed():
                    text = "connection was closed during its setup"
                    raise ConnectionDoesNotExistError(text)
            except BaseException:
                self.terminate()  # nobody knows what state it is in
                raise
        self.proxy = proxy
        self.timeout = timeout
        return proxy

    async def take_back(self, connection: Postgres, timeout: float | None) -> None:
        """Reset a connection that was lent out; afterwards the place goes back to the pool."""
        core = self.core
        if connection.is_closed():
            return
        worn = connection.request_count >= core.options.max_queries
        if worn or self._generation != core.generation:
            self.terminate()
            return
        async with asyncio.timeout(timeout):
            await connection.take_back()
            if core.options.reset is None:
                await connection.reset()
            else:
                await connection.clean_up()
                await core.options.reset(connection)

    def _lost(self) -> None:
        """Take note that the connection is over, whoever closed it."""
        self._connection = None
        if self.proxy is not None:
            # It keeps the dead connection, whose errors say what happened.
            self.proxy = None
            self.core.give_back(self)
        elif self.is_free:
            self.core.give_back(self)

    async def close(self, timeout: float) -> None:
        """Close the connection with a goodbye."""
        connection = self._connection
        if connection is not None:
            await connection.close(timeout=timeout)

    def terminate(self) -> None:
        """Close the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def forget_schema(self) -> None:
        """Forget what is known of types and statements, as they may have changed."""
        if self._connection is not None:
            self._connection.forget_schema()
