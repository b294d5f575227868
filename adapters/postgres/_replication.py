"""Logical replication: slots, and what changes in a database, as it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wirekit._errors import RemoteProtocolError

from ._connect import connect
from ._replication_commands import (
    CreatedSlot,
    ReplicationSlot,
    SystemIdentity,
    create_slot_command,
    drop_slot_command,
    newest_proto_version,
    publication_names,
    show_command,
    slot_query,
    start_command,
)
from ._replication_readers import BytesReader, PgOutputReader
from ._replication_stream import ReplicationStream
from ._walsender import Walsender

if TYPE_CHECKING:
    import os
    import ssl as stdlib_ssl
    from collections.abc import Mapping, Sequence
    from types import EllipsisType, TracebackType
    from typing import Self

    from wirekit.protocols.postgres.replication import PgOutputMessage
    from wirekit.sockets import AddressLike, Connector, Policy, SocketLike

    from ._authentication import ChannelBinding, PasswordSource
    from ._hosts import LoadBalanceHosts, SessionAttribute
    from ._oauth import TokenSource
    from ._replication_commands import Snapshot
    from ._tls import SSLMode
    from .types import ServerVersion

__all__ = ["Replication", "connect_replication"]

_MAX_BUFFERED = 8 * 1024 * 1024


class Replication:
    """A replication connection to a database, on a socket.

    One stream at a time goes over it; commands and SQL have to wait until that is closed.

    With a ``connector`` and the ``address``, types that are not built in are asked about on a
    second connection, and cancelled commands are cancelled at the server.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        user: name of a role that may replicate.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        database: its name, by default the user's.
        password: the password, or a callable or coroutine function that gives it.
        server_settings: run-time settings, such as ``application_name``.
        channel_binding: ``"require"`` accepts no login but SCRAM-SHA-256-PLUS over TLS.
        require_auth: allowed methods of authentication, such as ``{"scram-sha-256"}``.
        oauth_token: a callable or coroutine function that gives a token.
        protocol_version: the newest that is asked for, ``(3, 0)`` or ``(3, 2)``.
        timeout: seconds for opening.
        command_timeout: seconds for a command.
        max_message_length: bytes of the largest message accepted.

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
        protocol_version: tuple[int, int] = (3, 0),
        timeout: float | None = 60.0,
        command_timeout: float | None = None,
        max_message_length: int = 0x3FFFFFFF,
    ) -> None:
        self._walsender = Walsender(
            socket,
            user=user,
            connector=connector,
            address=address,
            database=database,
            password=password,
            server_settings=server_settings,
            channel_binding=channel_binding,
            require_auth=require_auth,
            oauth_token=oauth_token,
            protocol_version=protocol_version,
            timeout=timeout,
            command_timeout=command_timeout,
            max_message_length=max_message_length,
        )
        self._opened = False

    @classmethod
    async def connect(
        cls,
        dsn: str | None = None,
        *,
        host: str | Sequence[str] | None = None,
        port: int | str | Sequence[int] | None = None,
        user: str | None = None,
        password: PasswordSource = None,
        passfile: str | os.PathLike[str] | None = None,
        service: str | None = None,
        servicefile: str | os.PathLike[str] | None = None,
        database: str | None = None,
        timeout: float | EllipsisType | None = ...,
        command_timeout: float | None = None,
        ssl: bool | SSLMode | stdlib_ssl.SSLContext | None = None,
        direct_tls: bool | None = None,
        server_settings: Mapping[str, str] | None = None,
        target_session_attrs: SessionAttribute | str | None = None,
        load_balance_hosts: LoadBalanceHosts | None = None,
        channel_binding: ChannelBinding | None = None,
        require_auth: str | None = None,
        oauth_token: TokenSource | None = None,
        connector: Connector | None = None,
        policy: Policy | None = None,
    ) -> Self:
        """Return an open one, described as for `connect`, which tells of the parameters.

        Raises:
            Error: as `connect`.
        """
        walsender: Walsender = await connect(
            dsn,
            connection_class=Walsender,
            host=host,
            port=port,
            user=user,
            password=password,
            passfile=passfile,
            service=service,
            servicefile=servicefile,
            database=database,
            timeout=timeout,
            command_timeout=command_timeout,
            ssl=ssl,
            direct_tls=direct_tls,
            server_settings=server_settings,
            target_session_attrs=target_session_attrs,
            load_balance_hosts=load_balance_hosts,
            channel_binding=channel_binding,
            require_auth=require_auth,
            oauth_token=oauth_token,
            connector=connector,
            policy=policy,
        )
        replication = cls.__new__(cls)
        replication._walsender = walsender  # noqa: SLF001 - made in place of __init__
        replication._opened = True  # noqa: SLF001
        return replication

    # Opening and closing

    async def __aenter__(self) -> Self:
        if not self._opened:
            self._opened = True
            await self._walsender.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End a stream that is under way, say goodbye and close; a second time does nothing."""
        await self._walsender.aclose()

    def terminate(self) -> None:
        """Close at once, without waiting for anything."""
        self._walsender.terminate()

    def is_closed(self) -> bool:
        """Return whether the connection is closed, or lost."""
        return self._walsender.is_closed()

    def get_server_pid(self) -> int:
        """Return the process ID of the walsender."""
        return self._walsender.get_server_pid()

    def get_server_version(self) -> ServerVersion:
        """Return the version of the server."""
        return self._walsender.get_server_version()

    # Commands

    async def identify_system(self) -> SystemIdentity:
        """Ask which server it is, and how far its WAL is."""
        return SystemIdentity.of(await self._row("IDENTIFY_SYSTEM"))

    async def show(self, name: str) -> str | None:
        """Return the value of a setting."""
        return (await self._row(show_command(name)))[0]

    async def query(self, query: str) -> list[tuple[str | None, ...]]:
        """Run SQL without arguments, and return the rows with their values as text."""
        return await self._walsender.rows(query)

    async def create_slot(
        self,
        name: str,
        plugin: str = "pgoutput",
        *,
        temporary: bool = False,
        two_phase: bool = False,
        snapshot: Snapshot = "nothing",
    ) -> CreatedSlot:
        """Create a slot for logical decoding.

        Args:
            name: of lower-case letters, digits and underscores.
            plugin: makes the messages.
            temporary: it is dropped with the connection.
            two_phase: prepared transactions are decoded when they are prepared.
            snapshot: ``"export"`` a snapshot of where the slot begins, for ``SET TRANSACTION
                SNAPSHOT`` on other connections, or ``"use"`` it for the transaction that this
                connection has begun.
        """
        command = create_slot_command(
            self.get_server_version(),
            name,
            plugin,
            temporary=temporary,
            two_phase=two_phase,
            snapshot=snapshot,
        )
        return CreatedSlot.of(await self._row(command))

    async def read_slot(self, name: str) -> ReplicationSlot | None:
        """Return the state of a slot of any kind, None if there is none."""
        rows = await self._walsender.rows(slot_query(name))
        return ReplicationSlot.of(rows[0]) if rows else None

    async def drop_slot(self, name: str, *, wait: bool = False) -> None:
        """Drop a slot; with ``wait``, after whoever uses it has left it."""
        await self._walsender.rows(drop_slot_command(name, wait=wait))

    async def _row(self, command: str) -> tuple[str | None, ...]:
        rows = await self._walsender.rows(command)
        if not rows or not rows[0]:
            raise RemoteProtocolError("an empty answer to a replication command")
        return rows[0]

    # Streams

    def start(
        self,
        slot: str,
        publications: Sequence[str],
        *,
        start_lsn: int | str = 0,
        proto_version: int | None = None,
        binary: bool = True,
        messages: bool = False,
        streaming: Literal["off", "on", "parallel"] = "off",
        two_phase: bool = False,
        origin: Literal["any", "none"] | None = None,
        status_interval: float = 10.0,
        max_buffered: int = _MAX_BUFFERED,
    ) -> ReplicationStream[PgOutputMessage]:
        """Return a stream of pgoutput's messages; it starts with ``async with``.

        The messages are those of `wirekit.protocols.postgres.replication`.

        Args:
            slot: made with the plugin ``"pgoutput"``.
            publications: whose changes are sent.
            start_lsn: begin there if that is behind what was confirmed on the slot.
            proto_version: of pgoutput; by default the newest that the server has.
            binary: values come as queries give them; otherwise as text.
            messages: send those of ``pg_logical_emit_message``.
            streaming: ``"on"`` or ``"parallel"`` sends large transactions before they are
                committed.
            two_phase: send prepared transactions when they are prepared.
            origin: ``"none"`` leaves out what the server has itself by replication.
            status_interval: seconds after which the server is told how far we are.
            max_buffered: bytes received ahead of what is iterated over.

        Raises:
            ValueError: an option is wrong.
            InterfaceError, ConnectionDoesNotExistError: the connection is not open.
        """
        version = proto_version or newest_proto_version(self.get_server_version())
        options: dict[str, str | None] = {
            "proto_version": str(version),
            "publication_names": publication_names(publications),
        }
        if binary:
            options["binary"] = "true"
        if messages:
            options["messages"] = "true"
        if streaming != "off":
            options["streaming"] = streaming
        if two_phase:
            options["two_phase"] = "true"
        if origin is not None:
            options["origin"] = origin
        return ReplicationStream(
            self._walsender,
            start_command(slot, start_lsn, options),
            PgOutputReader(self._walsender, version),
            status_interval=status_interval,
            max_buffered=max_buffered,
        )

    def start_raw(
        self,
        slot: str,
        options: Mapping[str, str | None] | None = None,
        *,
        start_lsn: int | str = 0,
        status_interval: float = 10.0,
        max_buffered: int = _MAX_BUFFERED,
    ) -> ReplicationStream[bytes]:
        """Return a stream of any plugin's messages, as bytes; otherwise as `start`.

        Args:
            slot: made with that plugin.
            options: the plugin's; None for a value that is left out.
            start_lsn: see `start`; so are the next two.
            status_interval: seconds.
            max_buffered: bytes.
        """
        return ReplicationStream(
            self._walsender,
            start_command(slot, start_lsn, options or {}),
            BytesReader(),
            status_interval=status_interval,
            max_buffered=max_buffered,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {repr(self._walsender).split(' ', 1)[1]}"


connect_replication = Replication.connect
"""`Replication.connect`, beside `connect`."""
