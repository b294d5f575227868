"""What a connection is told when it opens: who we are, which database, which protocol."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from redis.credentials import CredentialProvider

import wirekit
from wirekit._errors import ConnectError, ConnectTimeout, RemoteProtocolError, TransportError
from wirekit.protocols.resp import Codec, ErrorReply

from ._connection import Connection
from ._errors import ResponseError, connection_error, error_from_reply

if TYPE_CHECKING:
    from wirekit.protocols.resp import Argument, Reply
    from wirekit.sockets import Socket

__all__ = ["CredentialSource", "Settings", "open_connection"]

Credentials = tuple[str | None, str]
CredentialSource = CredentialProvider | Callable[[], Credentials | Awaitable[Credentials]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every connection of a client is told when it opens.

    Attributes:
        username: ACL user; None is the server's ``default``.
        password: never shown.
        credentials: asked anew for each connection, in place of the two above: a callable that
            gives ``(username, password)``, or an awaitable of it, or redis-py's provider.
        db: number of the database.
        protocol: 3 or 2; None prefers 3 and takes 2 from a server older than Redis 6.
        client_name: shown by CLIENT LIST.
        tracking: whether the server is to tell which keys change (CLIENT TRACKING).
        timeout: seconds without a byte while a reply is due; also the limit for opening.
        max_bulk_length: bytes of the largest string that is accepted.
        max_reply_length: bytes of one reply that are accepted.
        max_elements: number of elements of all aggregates of one reply that are accepted.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials: CredentialSource | None = field(default=None, repr=False)
    db: int = 0
    protocol: Literal[2, 3] | None = None
    client_name: str | None = None
    tracking: bool = False
    timeout: float | None = 30.0
    max_bulk_length: int = 512 * 1024 * 1024
    max_elements: int = 2**24
    max_reply_length: int = 2**30


async def open_connection(
    socket: Socket, settings: Settings, *, tracking: bool = False
) -> Connection:
    """Open the conversation on a socket; on any failure the socket is aborted.

    Raises:
        ResponseError: the server refuses, for example the password.
        ConnectError: there is no connection.
    """
    limit = asyncio.timeout(settings.timeout)
    try:
        async with limit:
            await socket.opened
            codec = Codec(
                max_bulk_length=settings.max_bulk_length,
                max_elements=settings.max_elements,
                max_reply_length=settings.max_reply_length,
                max_line_length=max(settings.max_bulk_length, 32),  # MONITOR shows all of a value
            )
            connection = Connection(socket, codec, timeout=settings.timeout)
            await _introduce(connection, settings, await _credentials(settings), tracking)
    except BaseException as error:
        socket.abort(error)
        if isinstance(error, TimeoutError) and limit.expired():
            text = f"{socket.remote_address} did not open within {settings.timeout} s"
            raise connection_error(ConnectTimeout(text), sent=False) from None
        if isinstance(error, TransportError) and not isinstance(error, ConnectError):
            text = f"no conversation with {socket.remote_address} came about: {error}"
            raise connection_error(ConnectError(text), sent=False) from error
        if isinstance(error, ConnectError | RemoteProtocolError):
            raise connection_error(error, sent=False) from error.__cause__
        raise
    return connection


async def _introduce(
    connection: Connection, settings: Settings, credentials: Credentials | None, tracking: bool
) -> None:
    commands: list[list[Argument]] = []
    optional: list[list[Argument]] = []
    if settings.protocol == 2 or not await _hello(connection, settings, credentials):
        if credentials is not None:
            username, password = credentials
            user = [] if username is None else [username]
            await _send_secret(connection, ["AUTH", *user, password], password)
        if settings.client_name is not None:
            commands.append(["CLIENT", "SETNAME", settings.client_name])
        optional.append(["CLIENT", "ID"])
    if settings.db:
        commands.append(["SELECT", settings.db])
    if tracking:
        commands.append(["CLIENT", "TRACKING", "ON"])
    # Redis before 7.2 does not know SETINFO, and a user may be forbidden CLIENT: no reason to fail.
    optional.append(["CLIENT", "SETINFO", "LIB-NAME", "wirekit"])
    optional.append(["CLIENT", "SETINFO", "LIB-VER", wirekit.__version__])
    optional.append(["PING"])
    replies = await connection.send_batch([*commands, *optional])
    for reply in replies[: len(commands)]:
        if isinstance(reply, ErrorReply):
            raise error_from_reply(reply)
    # HELLO is answered while the server loads its data; what follows it would not be.
    if isinstance(replies[-1], ErrorReply) and replies[-1].code == "LOADING":
        raise error_from_reply(replies[-1])
    if connection.client_id is None and isinstance(replies[len(commands)], int):
        connection.client_id = cast("int", replies[len(commands)])


async def _hello(
    connection: Connection, settings: Settings, credentials: Credentials | None
) -> bool:
    """Switch to RESP3; return False if the server does not know how and that is acceptable."""
    hello: list[Argument] = ["HELLO", "3"]
    secret = ""
    if credentials is not None:
        username, password = credentials
        hello += ["AUTH", username or "default", password]
        secret = password
    if settings.client_name is not None:
        hello += ["SETNAME", settings.client_name]
    try:
        reply = await _send_secret(connection, hello, secret)
    except ResponseError as error:
        if error.code != "NOPROTO" and "unknown command" not in str(error).lower():
            raise
        if settings.protocol is None and not settings.tracking:
            return False
        unknown = ErrorReply(b"NOPROTO the server does not speak RESP3")
        raise error_from_reply(unknown) from None
    if not isinstance(reply, dict):
        raise RemoteProtocolError("the answer to HELLO is not a map")
    connection.protocol = 3
    number = reply.get(b"id")
    connection.client_id = number if isinstance(number, int) else None
    return True


async def _send_secret(connection: Connection, command: list[Argument], secret: str) -> Reply:
    """Send a command; an error that repeats the secret in it, as Redis' own may, loses it."""
    try:
        return await connection.send(command)
    except ResponseError as error:
        if secret:
            error.args = tuple(str(text).replace(secret, "***") for text in error.args)
            error.code = error.code.replace(secret, "***")
        raise


async def _credentials(settings: Settings) -> Credentials | None:
    source = settings.credentials
    if source is None:
        if settings.username is None and settings.password is None:
            return None
        return settings.username, settings.password or ""
    found: Any
    if isinstance(source, CredentialProvider):
        found = await source.get_credentials_async()
    else:
        found = source()
        if inspect.isawaitable(found):
            found = await found
    *username, password = cast("tuple[str, ...]", tuple(found))
    return (username[0] if username else None), password
