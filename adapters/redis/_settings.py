"""What a connection is told when it opens: who we are, which database, which protocol."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from redis.credentials import CredentialProvider

import wirekit
from wirekit._errors import ConnectTimeout
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


async def open_connection(
    socket: Socket, settings: Settings, *, tracking: bool = False
) -> Connection:
    """Open the conversation on a socket; on any failure the socket is aborted.

    Raises:
        ResponseError: the server refuses, for example the password.
        ConnectError: there is no connection.
    """
    try:
        async with asyncio.timeout(settings.timeout):
            await socket.opened
            codec = Codec(
                max_bulk_length=settings.max_bulk_length, max_elements=settings.max_elements
            )
            connection = Connection(socket, codec, timeout=settings.timeout)
            await _introduce(connection, settings, await _credentials(settings), tracking)
    except BaseException as error:
        socket.abort(error)
        if isinstance(error, TimeoutError) and not isinstance(error, wirekit.Error):
            text = f"{socket.remote_address} did not open within {settings.timeout} s"
            raise connection_error(ConnectTimeout(text)) from None
        if isinstance(error, wirekit.Error) and not isinstance(error, ResponseError):
            raise connection_error(error) from error.__cause__
        raise
    return connection


async def _introduce(
    connection: Connection, settings: Settings, credentials: Credentials | None, tracking: bool
) -> None:
    if settings.protocol == 2 or not await _hello(connection, settings, credentials):
        if credentials is not None:
            username, password = credentials
            user = [] if username is None else [username]
            await connection.send(["AUTH", *user, password])
        if settings.client_name is not None:
            await connection.send(["CLIENT", "SETNAME", settings.client_name])
        connection.client_id = cast("int", await connection.send(["CLIENT", "ID"]))
    commands: list[list[Argument]] = []
    if settings.db:
        commands.append(["SELECT", settings.db])
    if tracking:
        commands.append(["CLIENT", "TRACKING", "ON"])
    required = len(commands)
    # Redis before 7.2 does not know SETINFO; that is no reason to fail.
    commands.append(["CLIENT", "SETINFO", "LIB-NAME", "wirekit"])
    commands.append(["CLIENT", "SETINFO", "LIB-VER", wirekit.__version__])
    replies = await connection.send_batch(commands)
    for reply in replies[:required]:
        if isinstance(reply, ErrorReply):
            raise error_from_reply(reply)


async def _hello(
    connection: Connection, settings: Settings, credentials: Credentials | None
) -> bool:
    """Switch to RESP3; return False if the server does not know how and that is acceptable."""
    hello: list[Argument] = ["HELLO", "3"]
    if credentials is not None:
        username, password = credentials
        hello += ["AUTH", username or "default", password]
    if settings.client_name is not None:
        hello += ["SETNAME", settings.client_name]
    try:
        reply: Reply = await connection.send(hello)
    except ResponseError as error:
        unknown = error.code == "NOPROTO" or "unknown command" in str(error).lower()
        if unknown and settings.protocol is None and not settings.tracking:
            return False
        raise
    about = cast("dict[bytes, Any]", reply)
    connection.protocol = 3
    connection.client_id = about.get(b"id")
    return True


async def _credentials(settings: Settings) -> Credentials | None:
    source = settings.credentials
    if source is None:
        if settings.password is None:
            return None
        return settings.username, settings.password
    found: Any
    if isinstance(source, CredentialProvider):
        found = await source.get_credentials_async()
    else:
        found = source()
        if inspect.isawaitable(found):
            found = await found
    pair = cast("tuple[str | None, ...]", tuple(found))
    return (pair[0], cast("str", pair[1])) if len(pair) == 2 else (None, cast("str", pair[0]))
