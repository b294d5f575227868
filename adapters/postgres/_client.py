"""The client: asyncpg's connection on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wirekit._errors import AddressError
from wirekit.protocols.postgres import Record, TransactionStatus
from wirekit.sockets import as_socket

from ._cancel import cancel
from ._columns import ColumnQueries
from ._copy import Copying
from ._pipeline import Pipelining
from ._queries import Queries
from ._reset import Resetting
from ._settings import Opened, Settings, open_connection
from ._transactions import Transactions
from ._type_codecs import TypeCodecs
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.postgres import BackendKeyData, TypeInfo
    from wirekit.sockets import AddressLike, Connector, Socket, SocketLike

    from ._authentication import ChannelBinding, PasswordSource
    from ._oauth import TokenSource
    from .types import ServerVersion

__all__ = ["Dialler", "Postgres"]


@dataclass(frozen=True)
class Dialler:
    """Makes sockets to one server, the first one and those to cancel by.

    Attributes:
        dial: makes one.
        plain_is_accepted: go on in clear if the server does not know TLS.
        known_types: what introspection found, for all connections made by it.
    """

    dial: Callable[[], Awaitable[Socket]]
    plain_is_accepted: bool = False
    known_types: dict[int, TypeInfo] = field(default_factory=dict[int, "TypeInfo"])

    async def __call__(self, address: AddressLike, /) -> Socket:
        """Make a socket; which server's is settled."""
        return await self.dial()


class Postgres(Copying, Transactions, Pipelining, Resetting, TypeCodecs, ColumnQueries, Queries):
    """A PostgreSQL client on a socket; has the methods of asyncpg's ``Connection``.

    Any number of tasks may use it at once: their queries go out together on the one connection,
    each with its own Sync, so that an error or a cancellation of one disturbs no other. A
    transaction or COPY has the connection for itself while it lasts, and other tasks wait.

    A ``"starttls"`` socket is upgraded to TLS before anything else is sent.

    With a ``connector`` and the ``address``, a query whose caller is cancelled is cancelled at the
    server too, by a second socket to it; with only a ``socket`` its rows are received and dropped.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        user: name of the role.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        database: its name, by default the user's.
        password: the password, or a callable or coroutine function that gives it.
        server_settings: run-time settings, such as ``application_name``.
        channel_binding: ``"require"`` accepts no login but SCRAM-SHA-256-PLUS over TLS.
        require_auth: allowed methods of authentication, such as ``{"scram-sha-256"}``.
        oauth_token: a callable or coroutine function that gives a token.
        min_scram_iterations: fewer are refused; lower it for a server that is set to fewer.
        protocol_version: the newest that is asked for, ``(3, 0)`` or ``(3, 2)``.
        min_protocol_version: the oldest that is accepted.
        timeout: seconds for opening.
        command_timeout: seconds for a call that is given no timeout of its own.
        statement_cache_size: how many prepared statements are kept; 0 behind a pooler.
        max_cached_statement_lifetime: seconds after which one is prepared anew; 0 for never.
        max_cacheable_statement_size: characters of the longest query kept; 0 for no limit.
        record_class: what rows are made: `Record` or a subclass.
        max_message_length: bytes of the largest row accepted.

    Raises:
        AddressError: an option is wrong, or two do not go together.
        RuntimeError: no event loop runs.
    """

    def __init__(
        self,
        socket: SocketLike | None = None,
        *,
        user: str,
        connector: Connector | None = None,
        address: AddressLike | None = None,
        database: str | None = None,
        password: PasswordSource = None,
        server_settings: Mapping[str, str] | None = None,
        channel_binding: ChannelBinding = "prefer",
        require_auth: frozenset[str] | None = None,
        oauth_token: TokenSource | None = None,
        min_scram_iterations: int = 4096,
        protocol_version: tuple[int, int] = (3, 0),
        min_protocol_version: tuple[int, int] = (3, 0),
        timeout: float | None = 60.0,
        command_timeout: float | None = None,
        statement_cache_size: int = 100,
        max_cached_statement_lifetime: float = 300.0,
        max_cacheable_statement_size: int = 15360,
        record_class: type[Record] = Record,
        max_message_length: int = 0x3FFFFFFF,
    ) -> None:
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        self._settings = Settings(
            user=user,
            database=database,
            password=password,
            server_settings=server_settings or {},
            channel_binding=channel_binding,
            require_auth=None if require_auth is None else frozenset(require_auth),
            oauth_token=oauth_token,
            min_iterations=min_scram_iterations,
            protocol_version=protocol_version,
            min_protocol_version=min_protocol_version,
            timeout=timeout,
            max_message_length=max_message_length,
        )
        self._socket = None if socket is None else as_socket(socket)
        self._dialler = None if connector is None else _dialler(connector, address)
        super().__init__(
            record_class=record_class,
            command_timeout=command_timeout,
            statement_cache_size=statement_cache_size,
            max_cached_statement_lifetime=max_cached_statement_lifetime,
            max_cacheable_statement_size=max_cacheable_statement_size,
            known_types=None if self._dialler is None else self._dialler.known_types,
        )

    # Opening and closing

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _open(self) -> None:
        if self._connection is not None:
            raise InterfaceError("the connection was opened before")
        socket, dialler = self._socket, self._dialler
        if socket is None:
            assert dialler is not None
            socket = await dialler.dial()
        plain_is_accepted = dialler is not None and dialler.plain_is_accepted
        opened = await open_connection(socket, self._settings, plain_is_accepted=plain_is_accepted)
        self._use(opened)

    def _use(self, opened: Opened) -> None:
        super()._use(opened)
        key, dialler = opened.key, self._dialler
        if key is not None and dialler is not None:
            opened.connection.canceller = lambda: _cancel(dialler, key)

    async def close(self, *, timeout: float | None = None) -> None:
        """Say goodbye and close; a second time does nothing.

        Raises:
            TimeoutError: the server does not take it in time; the connection is then aborted.
        """
        connection = self._connection
        if connection is None:
            if self._socket is not None:
                await self._socket.close()
            return
        try:
            async with asyncio.timeout(timeout):
                await connection.aclose()
        except (TimeoutError, asyncio.CancelledError):
            self.terminate()
            raise

    async def aclose(self) -> None:
        """Close, as `close`."""
        await self.close()

    def terminate(self) -> None:
        """Close at once, without waiting for anything."""
        if self._connection is not None:
            self._connection.terminate()

    def is_closed(self) -> bool:
        """Return whether the connection is closed, or lost."""
        return self._connection is None or self._connection.error is not None

    def is_in_transaction(self) -> bool:
        """Return whether a transaction is open, as of the last answer."""
        return self._open_connection.status is not TransactionStatus.IDLE

    # About the server

    def get_server_pid(self) -> int:
        """Return the process ID of the server's side of this connection."""
        self._check_open()
        return self._server_pid

    def get_server_version(self) -> ServerVersion:
        """Return the version of the server."""
        return self._server_version

    def get_settings(self) -> Any:
        """Return the settings that the server reports, as attributes."""
        return SettingsView(self._open_connection.settings)

    @property
    def reported_settings(self) -> Mapping[str, str]:
        """The settings that the server reports, by name."""
        return self._open_connection.settings

    @property
    def protocol_version(self) -> tuple[int, int]:
        """The version of the protocol that is spoken."""
        return self._protocol_version

    def __repr__(self) -> str:
        state = "not open" if self._connection is None else "closed"
        if not self.is_closed() and self._connection is not None:
            state = self._connection.peer
        return f"<{type(self).__name__} {state}>"


class SettingsView:
    """Settings of the server by name, as asyncpg's ``ConnectionSettings`` has them."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> str:
        try:
            return self._settings[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings!r}>"


def _dialler(connector: Connector, address: AddressLike | None) -> Dialler:
    if isinstance(connector, Dialler):
        return connector
    assert address is not None

    async def dial() -> Socket:
        return as_socket(await connector(address))

    return Dialler(dial)


async def _cancel(dialler: Dialler, key: BackendKeyData) -> None:
    await cancel(dialler.dial, key, plain_is_accepted=dialler.plain_is_accepted)
