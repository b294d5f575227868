"""``create_pool``, as asyncpg has it: connections that are lent out one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from wirekit.protocols.postgres import Record

from ._client import Postgres
from ._connect import connect as connect_to_server
from ._pool_core import PoolCore, PoolOptions
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from ._pool_proxy import PoolConnectionProxy

    Hook = Callable[[Any], Awaitable[object]]

__all__ = ["Pool", "PoolAcquireContext", "create_pool"]


class Pool:
    """A pool of connections, made by `create_pool`.

    Any number of tasks may use it. Each connection is lent to one of them at a time, and is reset
    when it comes back; only prepared statements outlast that.
    """

    def __init__(
        self,
        *connect_args: Any,
        init_size: int | None = None,
        min_size: int,
        max_size: int,
        max_queries: int,
        max_inactive_connection_lifetime: float,
        connect: Callable[..., Awaitable[Any]] | None = None,
        setup: Hook | None = None,
        init: Hook | None = None,
        reset: Hook | None = None,
        loop: asyncio.AbstractEventLoop | None,
        connection_class: type[Any],
        record_class: type[Record],
        **connect_kwargs: Any,
    ) -> None:
        if not issubclass(connection_class, Postgres):
            text = f"a subclass of Connection, got {connection_class!r}"
            raise TypeError(f"connection_class is expected to be {text}")
        if not issubclass(cast("type[Any]", record_class), Record):
            text = f"a subclass of Record, got {record_class!r}"
            raise TypeError(f"record_class is expected to be {text}")
        options = PoolOptions(
            init_size=min_size if init_size is None else init_size,
            min_size=min_size,
            max_size=max_size,
            max_queries=max_queries,
            max_inactive_connection_lifetime=max_inactive_connection_lifetime,
            setup=setup,
            reset=reset,
        )
        self._options = options
        self._core = PoolCore(options, self._new_connection)
        self._loop = loop
        self._connect = connect
        self._init = init
        self._connection_class = connection_class
        self._record_class = record_class
        self._connect_args: Sequence[Any] = ()
        self._connect_kwargs: dict[str, Any] = {}
        self._set_connect_args(connect_args, connect_kwargs)

    # Opening and closing

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        return await self._open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _open(self) -> Self:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise InterfaceError("loop has to be the running event loop; leave it out")
        await self._core.open()
        return self

    async def close(self) -> None:
        """Wait until all connections are released, and close them.

        If it fails or is cancelled, the pool is terminated; ``asyncio.timeout`` limits the wait.
        Who still waits for a connection gets an error.
        """
        await self._core.close()

    def terminate(self) -> None:
        """Close all connections at once, without waiting for anything."""
        self._core.terminate()

    async def expire_connections(self) -> None:
        """Have all connections replaced, each when it is next acquired or released."""
        self._core.generation += 1

    def set_connect_args(self, dsn: str | None = None, **connect_kwargs: Any) -> None:
        """Set what connections are made with from now on; see `expire_connections`."""
        self._set_connect_args([dsn], connect_kwargs)

    def _set_connect_args(self, args: Sequence[Any], options: dict[str, Any]) -> None:
        self._connect_args = args
        self._connect_kwargs = options
        # It may be another database, with other types. Where the user's own function connects to,
        # nobody knows.
        self._core.known_types = {} if self._connect is None else None

    async def _new_connection(self) -> Postgres:
        """Return a new connection that the user's ``init`` has seen."""
        connect = self._connect or connect_to_server
        connection: Any = await connect(
            *self._connect_args,
            loop=asyncio.get_running_loop(),
            connection_class=self._connection_class,
            record_class=self._record_class,
            **self._connect_kwargs,
        )
        if not isinstance(connection, self._connection_class):
            good, bad = _name(self._connection_class), _name(connection.__class__)
            raise InterfaceError(
                f"expected pool connect callback to return an instance of {good!r}, got {bad!r}"
            )
        made: Postgres = connection
        if self._init is not None:
            try:
                await self._init(made)
            except BaseException:
                made.terminate()  # nobody knows what state it is in
                raise
        return made

    # About the pool

    def is_closing(self) -> bool:
        """Return whether the pool is about to be closed, or is."""
        return self._core.is_closing

    def get_size(self) -> int:
        """Return how many connections there are."""
        return self._core.size

    def get_idle_size(self) -> int:
        """Return how many connections are not in use."""
        return self._core.idle_size

    def get_init_size(self) -> int:
        """Return how many connections the pool begins with."""
        return self._options.init_size

    def get_min_size(self) -> int:
        """Return how many connections are kept at least."""
        return self._options.min_size

    def get_max_size(self) -> int:
        """Return how many connections there may be."""
        return self._options.max_size

    def __repr__(self) -> str:
        state = "closed" if self._core.is_closed else f"{self.get_size()} of {self.get_max_size()}"
        return f"<{type(self).__name__} {state}>"

    # Connections

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        """Return what gives a connection, by ``await`` or ``async with``.

        What was awaited has to be given back by `release`.

        Args:
            timeout: seconds to wait for one, and for its release.
        """
        return PoolAcquireContext(self._core, timeout)

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        """Give a connection back, which is then reset; a second time does nothing.

        Args:
            connection: what `acquire` gave.
            timeout: seconds for the reset, by default what it was acquired with.

        Raises:
            InterfaceError: it is no connection of this pool.
        """
        await self._core.release(connection, timeout)

    # Queries

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """As `Postgres.execute`, on one of the connections."""
        async with self.acquire() as connection:
            return await connection.execute(query, *args, timeout=timeout)

    async def executemany(
        self, command: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None:
        """As `Postgres.executemany`, on one of the connections."""
        async with self.acquire() as connection:
            await connection.executemany(command, args, timeout=timeout)

    async def fetch(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> list[Any]:
        """As `Postgres.fetch`, on one of the connections."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *args, timeout=timeout, record_class=record_class)

    async def fetchrow(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> Any:
        """As `Postgres.fetchrow`, on one of the connections."""
        async with self.acquire() as connection:
            return await connection.fetchrow(
                query, *args, timeout=timeout, record_class=record_class
            )

    async def fetchval(
        self, query: str, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        """As `Postgres.fetchval`, on one of the connections."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *args, column=column, timeout=timeout)

    async def fetchmany(
        self,
        query: str,
        args: Iterable[Sequence[Any]],
        *,
        timeout: float | None = None,
        record_class: type[Record] | None = None,
    ) -> list[Any]:
        """As `Postgres.fetchmany`, on one of the connections."""
        async with self.acquire() as connection:
            return await connection.fetchmany(
                query, args, timeout=timeout, record_class=record_class
            )

    # COPY

    async def copy_from_table(self, table_name: str, *, output: Any, **options: Any) -> str:
        """As `Postgres.copy_from_table`, on one of the connections."""
        return await self._copy("copy_from_table", table_name, output=output, **options)

    async def copy_from_query(self, query: str, *args: Any, output: Any, **options: Any) -> str:
        """As `Postgres.copy_from_query`, on one of the connections."""
        return await self._copy("copy_from_query", query, *args, output=output, **options)

    async def copy_to_table(self, table_name: str, *, source: Any, **options: Any) -> str:
        """As `Postgres.copy_to_table`, on one of the connections."""
        return await self._copy("copy_to_table", table_name, source=source, **options)

    async def copy_records_to_table(self, table_name: str, *, records: Any, **options: Any) -> str:
        """As `Postgres.copy_records_to_table`, on one of the connections."""
        return await self._copy("copy_records_to_table", table_name, records=records, **options)

    async def _copy(self, method: str, /, *args: Any, **options: Any) -> str:
        async with self.acquire() as connection:
            tag: str = await getattr(connection, method)(*args, **options)
            return tag


class PoolAcquireContext:
    """What `Pool.acquire` returns; good for one use."""

    __slots__ = ("_core", "connection", "done", "timeout")

    def __init__(self, core: PoolCore, timeout: float | None) -> None:
        self._core = core
        self.timeout = timeout
        self.connection: PoolConnectionProxy | None = None
        self.done = False

    async def __aenter__(self) -> PoolConnectionProxy:
        if self.connection is not None or self.done:
            raise InterfaceError("a connection is already acquired")
        connection = await self._core.acquire(self.timeout)
        self.connection = connection
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.done = True
        connection, self.connection = self.connection, None
        await self._core.release(connection, None)

    def __await__(self) -> Generator[Any, None, PoolConnectionProxy]:
        self.done = True
        return self._core.acquire(self.timeout).__await__()


def create_pool(
    dsn: str | None = None,
    *,
    init_size: int | None = None,
    min_size: int = 10,
    max_size: int = 10,
    max_queries: int = 50000,
    max_inactive_connection_lifetime: float = 300.0,
    connect: Callable[..., Awaitable[Any]] | None = None,
    setup: Hook | None = None,
    init: Hook | None = None,
    reset: Hook | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    connection_class: type[Any] = Postgres,
    record_class: type[Record] = Record,
    **connect_kwargs: Any,
) -> Pool:
    """Return a pool, to be opened by ``async with`` or ``await``.

    Args:
        dsn: see `connect`.
        init_size: how many connections are made when it opens, by default ``min_size``.
        min_size: how many are kept at least; lost ones are replaced.
        max_size: how many there may be.
        max_queries: after how many requests a connection is replaced.
        max_inactive_connection_lifetime: seconds after which a connection that nobody used is
            closed, unless that leaves fewer than ``min_size``; 0 for never.
        connect: called in place of `connect`, with its arguments.
        setup: called with a connection each time before it is acquired.
        init: called with each new connection, for example to set type codecs.
        reset: called with a connection that is released, in place of `Postgres.reset`; listeners
            are removed and a transaction rolled back before.
        loop: must be the running one, if it is given at all.
        connection_class: `Postgres` or a subclass.
        record_class: `Record` or a subclass.
        connect_kwargs: see `connect`; ``connector`` and ``policy`` among them.

    Raises:
        ValueError: the numbers do not go together.
    """
    return Pool(
        dsn,
        init_size=init_size,
        min_size=min_size,
        max_size=max_size,
        max_queries=max_queries,
        max_inactive_connection_lifetime=max_inactive_connection_lifetime,
        connect=connect,
        setup=setup,
        init=init,
        reset=reset,
        loop=loop,
        connection_class=connection_class,
        record_class=record_class,
        **connect_kwargs,
    )


def _name(kind: type[Any]) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
