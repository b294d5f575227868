"""What a connection is told when it opens: who we are, which database, which settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping  # noqa: TC003 - the dataclass has a default of it
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    AddressError,
    ConnectError,
    ConnectTimeout,
    RemoteProtocolError,
    TLSError,
    TransportError,
)
from wirekit.protocols.postgres import (
    Authentication as AuthenticationRequest,
)
from wirekit.protocols.postgres import (
    BackendKeyData,
    Codec,
    EncryptionResponse,
    ErrorResponse,
    NegotiateProtocolVersion,
    SSLRequest,
    StartupMessage,
)

from ._authentication import Authentication, ChannelBinding, PasswordSource
from ._connection import Connection
from .exceptions import (
    ClientConfigurationError,
    ConnectionDoesNotExistError,
    UnsupportedServerFeatureError,
    connection_error,
    error_from_fields,
)

if TYPE_CHECKING:
    from wirekit.protocols.postgres import Event
    from wirekit.sockets import Socket

    from ._oauth import TokenSource

__all__ = ["Opened", "Settings", "open_connection", "request_tls"]

_MOST_EVENTS = 1000  # of a server that has not let us in, or is only about to


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every connection is told when it opens.

    Attributes:
        user: name of the role.
        database: its name; None is the server's default, the user's name.
        password: the password, or a callable or coroutine function that gives it.
        server_settings: run-time settings, such as ``application_name``.
        channel_binding: see `Authentication`; so are the next four.
        require_auth: allowed methods; None allows all.
        oauth_token: gives a token.
        min_iterations: of SCRAM.
        max_iterations: of SCRAM.
        protocol_version: the newest that is asked for, ``(3, 0)`` or ``(3, 2)``.
        min_protocol_version: the oldest that is accepted.
        replication: ``"database"`` or ``"true"`` for a replication connection.
        timeout: seconds for opening; None for no limit.
        max_message_length: bytes of the largest row accepted.
    """

    user: str
    database: str | None = None
    password: PasswordSource = field(default=None, repr=False)
    server_settings: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    channel_binding: ChannelBinding = "prefer"
    require_auth: frozenset[str] | None = None
    oauth_token: TokenSource | None = field(default=None, repr=False)
    min_iterations: int = 4096
    max_iterations: int = 1_000_000
    protocol_version: tuple[int, int] = (3, 0)
    min_protocol_version: tuple[int, int] = (3, 0)
    replication: str | None = None
    timeout: float | None = 60.0
    max_message_length: int = 0x3FFFFFFF


@dataclass(frozen=True)
class Opened:
    """An open connection, and what it takes to cancel its queries."""

    connection: Connection
    key: BackendKeyData | None
    version: tuple[int, int]


async def open_connection(
    socket: Socket, settings: Settings, *, plain_is_accepted: bool = False
) -> Opened:
    """Open the conversation on a socket; on any failure the socket is aborted.

    A ``"starttls"`` socket is upgraded first.

    Args:
        socket: an open socket, or one that is about to be.
        settings: see there.
        plain_is_accepted: go on in clear if the server does not know TLS.

    Raises:
        PostgresError: the server refuses, for example the password.
        InterfaceError: we refuse what the server wants.
        ConnectError: there is no connection.
    """
    limit = asyncio.timeout(settings.timeout)
    try:
        async with limit:
            await socket.opened
            codec = Codec(max_message_length=settings.max_message_length)
            if socket.secure_transport == "starttls":
                socket = await request_tls(socket, codec, plain_is_accepted=plain_is_accepted)
            return await _start(Connection(socket, codec), settings)
    except BaseException as error:
        while socket.successor is not None:
            socket = socket.successor
        socket.abort(error)
        if isinstance(error, TimeoutError) and limit.expired():
            text = f"{socket.remote_address} did not open within {settings.timeout} s"
            raise ConnectTimeout(text) from None
        if isinstance(error, TransportError | ConnectionDoesNotExistError):
            if isinstance(error, ConnectError | RemoteProtocolError | AddressError):
                raise
            text = f"no conversation with {socket.remote_address} came about: {error}"
            raise ConnectError(text) from error
        if isinstance(error, RemoteProtocolError):
            raise connection_error(error) from error.__cause__
        raise


async def request_tls(socket: Socket, codec: Codec, *, plain_is_accepted: bool = False) -> Socket:
    """Ask the server for TLS and return the upgraded socket (SSL Session Encryption).

    Raises:
        TLSError: the server does not know TLS, or the handshake fails.
        RemoteProtocolError: the answer is none.
    """
    await socket.write(codec.send(SSLRequest()))
    data = await socket.read()
    if not data:
        raise TLSError(f"{socket.remote_address} closed the connection when asked for TLS")
    response = cast("EncryptionResponse", codec.receive_data(data)[0])
    if response.accepted:
        secure = socket.start_tls(trailing_data=codec.trailing_data)
        info = await secure.opened
        if info.alpn not in (None, "postgresql"):  # a server of another protocol (ALPACA)
            raise TLSError(f"{socket.remote_address} agreed on ALPN {info.alpn!r}, not postgresql")
        return secure
    if plain_is_accepted:
        return socket
    raise TLSError(f"{socket.remote_address} does not speak TLS; nothing was sent in clear")


async def _start(connection: Connection, settings: Settings) -> Opened:
    """Say who we are, answer what the server wants to know, and wait until it is ready."""
    socket = connection.socket
    authentication = Authentication(
        settings.user,
        settings.password,
        channel_binding=settings.channel_binding,
        require_auth=settings.require_auth,
        tls=socket.secure_transport == "on",
        channel_binding_data=socket.info.channel_binding("tls-server-end-point"),
        oauth_token=settings.oauth_token,
        min_iterations=settings.min_iterations,
        max_iterations=settings.max_iterations,
        remote_address=socket.remote_address,
    )
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    count = 0

    def take(event: Event) -> None:
        nonlocal count
        count += 1
        if count > _MOST_EVENTS:
            connection.fail(RemoteProtocolError("the server says too much before it is ready"))
        events.put_nowait(event)

    message = StartupMessage(_parameters(settings), settings.protocol_version)
    request = connection.request(message, on_event=take)
    request.future.add_done_callback(lambda _: events.put_nowait(None))
    key: BackendKeyData | None = None
    version = settings.protocol_version
    while (event := await events.get()) is not None:
        if isinstance(event, AuthenticationRequest):
            answer = await authentication.receive(event)
            if answer is not None:
                connection.send(answer)
        elif isinstance(event, BackendKeyData):
            key = event
        elif isinstance(event, NegotiateProtocolVersion):
            version = _negotiated(event, settings)
        elif isinstance(event, ErrorResponse):
            raise error_from_fields(event.fields) from authentication.oauth_rejection
    await request.future
    return Opened(connection, key, version)


def _parameters(settings: Settings) -> dict[str, str]:
    parameters = {"user": settings.user, "client_encoding": "UTF8"}
    if settings.database is not None:
        parameters["database"] = settings.database
    if settings.replication is not None:
        parameters["replication"] = settings.replication
    for name, value in settings.server_settings.items():
        if name == "client_encoding":
            if value.strip("'\"").upper() not in ("UTF8", "UTF-8", "UNICODE", "AUTO"):
                raise ClientConfigurationError("client_encoding must be UTF8; no other is spoken")
            continue
        if name in ("user", "database", "replication") or name.startswith("_pq_."):
            raise ClientConfigurationError(f"{name} is not to be set by server_settings")
        parameters[name] = value
    return parameters


def _negotiated(event: NegotiateProtocolVersion, settings: Settings) -> tuple[int, int]:
    if event.version > settings.protocol_version or event.version[0] != 3:
        raise RemoteProtocolError("the server wants a protocol version that was not offered")
    if event.version < settings.min_protocol_version:
        text = "the server speaks protocol {}.{}, and at least {}.{} is wanted"
        raise UnsupportedServerFeatureError(
            text.format(*event.version, *settings.min_protocol_version)
        )
    if event.unrecognized:
        raise RemoteProtocolError("the server does not know an option that was not sent")
    return event.version
