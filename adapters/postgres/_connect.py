"""``connect``, as asyncpg has it: finds the server, makes the socket, opens the client on it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import wirekit.sockets
from wirekit._errors import ConnectError, ConnectTimeout, TLSError
from wirekit.protocols.postgres import Record

from ._client import Dialler, Postgres
from ._hosts import SessionAttribute, is_suitable, session_passes, session_query
from ._parameters import ConnectParameters, connect_parameters
from .exceptions import (
    CannotConnectNowError,
    ConnectionDoesNotExistError,
    InterfaceError,
    InvalidAuthorizationSpecificationError,
    TargetServerAttributeNotMatched,
)

if TYPE_CHECKING:
    import os
    import ssl as stdlib_ssl
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import EllipsisType

    from wirekit.protocols.postgres import TypeInfo
    from wirekit.sockets import Connector, Policy, Socket

    from ._authentication import ChannelBinding, PasswordSource
    from ._hosts import Attempt, LoadBalanceHosts
    from ._oauth import TokenSource
    from ._tls import SSLMode, TLSStep

__all__ = ["connect"]

Client = TypeVar("Client", bound=Postgres)

# After these, another server, or the same one with or without TLS, may do.
_NEXT = (ConnectError, OSError, CannotConnectNowError, ConnectionDoesNotExistError)


async def connect(
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
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float | EllipsisType | None = ...,
    statement_cache_size: int = 100,
    max_cached_statement_lifetime: float = 300,
    max_cacheable_statement_size: int = 1024 * 15,
    command_timeout: float | None = None,
    ssl: bool | SSLMode | stdlib_ssl.SSLContext | None = None,
    direct_tls: bool | None = None,
    connection_class: type[Any] = Postgres,
    record_class: type[Record] = Record,
    server_settings: Mapping[str, str] | None = None,
    target_session_attrs: SessionAttribute | str | None = None,
    load_balance_hosts: LoadBalanceHosts | None = None,
    channel_binding: ChannelBinding | None = None,
    require_auth: str | None = None,
    oauth_token: TokenSource | None = None,
    min_scram_iterations: int = 4096,
    krbsrvname: None = None,
    gsslib: None = None,
    connector: Connector | None = None,
    policy: Policy | None = None,
) -> Any:
    """Return an open `Postgres` (or ``connection_class``), described as asyncpg and libpq do.

    What is not given comes from the DSN, the service file, the environment (``PGHOST`` and so on)
    and, for the password, the password file, in this order.

    Args:
        dsn: ``postgresql://user:password@host:port/database?option=value``, with any number of
            hosts, or libpq's ``keyword=value`` string.
        host: name, address or directory of a Unix socket; several are tried in turn.
        port: of all hosts, or of each.
        user: name of the role.
        password: the password, or a callable or coroutine function that gives it.
        passfile: the password file, by default ``~/.pgpass``.
        service: section of the service file.
        servicefile: the service file.
        database: its name, by default the user's.
        loop: must be the running one, if it is given at all.
        timeout: seconds for everything; 60 by default, None for no limit.
        statement_cache_size: see `Postgres`.
        max_cached_statement_lifetime: see `Postgres`.
        max_cacheable_statement_size: see `Postgres`.
        command_timeout: see `Postgres`.
        ssl: libpq's sslmode, True for ``verify-full`` with the system's authorities, False, or an
            ``ssl.SSLContext``; by default ``prefer``, which does not verify who is there.
        direct_tls: begin with TLS at once (``sslnegotiation=direct``).
        connection_class: `Postgres` or a subclass.
        record_class: `Record` or a subclass.
        server_settings: run-time settings.
        target_session_attrs: what the server has to be, such as ``"read-write"``.
        load_balance_hosts: ``"random"`` tries hosts in random order.
        channel_binding: ``"require"`` accepts SCRAM-SHA-256-PLUS only.
        require_auth: libpq's list of allowed methods, such as ``"scram-sha-256"``.
        oauth_token: gives a token for OAUTHBEARER.
        min_scram_iterations: see `Postgres`.
        krbsrvname: for GSSAPI, which there is not.
        gsslib: for GSSAPI, which there is not.
        connector: makes the connections, for example through a tunnel.
        policy: which addresses may be connected to.

    Raises:
        ClientConfigurationError: a parameter is wrong.
        ConnectError: no server could be reached.
        TargetServerAttributeNotMatched: none of them is what it has to be.
        PostgresError: the server refuses.
    """
    if loop is not None and loop is not asyncio.get_running_loop():
        raise InterfaceError("loop has to be the running event loop; leave it out")
    if not (isinstance(connection_class, type) and issubclass(connection_class, Postgres)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise InterfaceError("connection_class is expected to be a subclass of Connection")
    parameters = connect_parameters(
        dsn,
        host=host,
        port=port,
        user=user,
        password=password,
        passfile=passfile,
        service=service,
        servicefile=servicefile,
        database=database,
        timeout=timeout,
        ssl=ssl,
        direct_tls=direct_tls,
        server_settings=server_settings,
        target_session_attrs=target_session_attrs,
        load_balance_hosts=load_balance_hosts,
        channel_binding=channel_binding,
        require_auth=require_auth,
        krbsrvname=krbsrvname,
        gsslib=gsslib,
    )
    options = {
        "command_timeout": command_timeout,
        "min_scram_iterations": min_scram_iterations,
        "statement_cache_size": statement_cache_size,
        "max_cached_statement_lifetime": max_cached_statement_lifetime,
        "max_cacheable_statement_size": max_cacheable_statement_size,
        "record_class": record_class,
        "oauth_token": oauth_token,
    }
    return await open_client(connection_class, parameters, Dialling(connector, policy), options)


class Dialling:
    """How sockets are made: directly or by a connector, held to a policy.

    Attributes:
        known_types: what introspection found, for all connections made by it.
    """

    def __init__(self, connector: Connector | None = None, policy: Policy | None = None) -> None:
        self._connector = connector
        self._policy = policy
        self.known_types: dict[int, TypeInfo] = {}

    def to(self, parameters: ConnectParameters, attempt: Attempt, step: TLSStep) -> Dialler:
        """Return what makes sockets to a server."""
        options = parameters.tls.socket_options(step, attempt)
        options["connect_timeout"] = parameters.connect_timeout
        if self._connector is not None:
            options["connector"] = self._connector
        if self._policy is not None:
            options["policy"] = self._policy

        async def dial() -> Socket:
            socket = wirekit.sockets.connect(attempt.address, **options)
            try:
                info = await socket.opened
                if step == "tls" and parameters.tls.negotiation == "direct":
                    parameters.tls.check_alpn(info.alpn)
            except BaseException as error:
                socket.abort(error)
                raise
            return socket

        plain_is_accepted = step == "tls" and parameters.tls.refusal_is_accepted
        return Dialler(dial, plain_is_accepted, self.known_types)


async def open_client(
    connection_class: type[Client],
    parameters: ConnectParameters,
    dialling: Dialling,
    options: Mapping[str, Any],
) -> Client:
    """Return a client of the first server that can be reached and is what it has to be."""
    limit = asyncio.timeout(parameters.timeout)
    try:
        async with limit:
            return await _first_suitable(connection_class, parameters, dialling, options)
    except TimeoutError:
        if limit.expired():
            raise ConnectTimeout(f"no connection within {parameters.timeout} s") from None
        raise


async def _first_suitable(
    connection_class: type[Client],
    parameters: ConnectParameters,
    dialling: Dialling,
    options: Mapping[str, Any],
) -> Client:
    failure: Exception | None = None
    others: dict[str, None] = {}  # what was wrong with those before, each once
    for attribute in session_passes(parameters.target_session_attrs):
        for attempt in parameters.order():
            try:
                client = await _open(connection_class, parameters, dialling, options, attempt)
            except _NEXT as error:
                if failure is not None:
                    others[f"before that: {failure}"] = None
                failure = error
                continue
            try:
                if await _suits(client, attribute):
                    return client
            except BaseException:
                client.terminate()
                raise
            await client.close()
            others[f"{attempt} can be reached, and is not {attribute.value}"] = None
    if failure is not None:
        for note in others:
            failure.add_note(note)
        raise failure
    wanted = parameters.target_session_attrs.value
    raise TargetServerAttributeNotMatched(
        f"none of the hosts match the target attribute {wanted!r}"
    )


async def _open(
    connection_class: type[Client],
    parameters: ConnectParameters,
    dialling: Dialling,
    options: Mapping[str, Any],
    attempt: Attempt,
) -> Client:
    """Open a client to one server, with TLS or without, in the order that the sslmode says."""
    plan = parameters.tls
    steps = plan.steps(attempt)
    for number, step in enumerate(steps):
        client = connection_class(
            user=parameters.user,
            database=parameters.database,
            password=parameters.password_for(attempt),
            server_settings=parameters.server_settings,
            channel_binding=parameters.channel_binding,
            require_auth=parameters.require_auth,
            protocol_version=parameters.max_protocol_version,
            min_protocol_version=parameters.min_protocol_version,
            timeout=None,
            connector=dialling.to(parameters, attempt, step),
            address=attempt.address,
            **options,
        )
        try:
            async with _limit(parameters.connect_timeout, attempt):
                await client.__aenter__()
        except (TLSError, InvalidAuthorizationSpecificationError):
            if number + 1 == len(steps):
                raise
        else:
            return client
    raise AssertionError("there is at least one step")


@asynccontextmanager
async def _limit(timeout: float | None, attempt: Attempt) -> AsyncGenerator[None]:
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise ConnectTimeout(f"{attempt} did not open within {timeout} s") from None
        raise


async def _suits(client: Postgres, attribute: SessionAttribute) -> bool:
    status = client.reported_settings
    query = session_query(attribute, status)
    answer = None if query is None else await client.fetchval(query)
    return is_suitable(attribute, status, answer)
