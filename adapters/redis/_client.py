"""The client: redis-py's commands on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
import codecs
import inspect
from typing import TYPE_CHECKING, Any, Literal, cast

import redis.exceptions
from redis.asyncio.lock import Lock

from wirekit._errors import AddressError, SocketClosed
from wirekit.adapters._client import Client
from wirekit.sockets import Backoff, as_socket

from ._commands import Commands
from ._connections import Connections
from ._monitor import Monitor
from ._pipeline import Pipeline, Script
from ._pubsub import Overflow, PubSub
from ._responses import Plans
from ._salvage import Salvage
from ._settings import CredentialSource, Settings
from ._url import client_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from redis.typing import ScriptTextT

    from wirekit.sockets import AddressLike, Connector, Policy, Socket, SocketLike, TLSOptions

    from ._cache import Cache

__all__ = ["Redis", "connect"]


class Redis(Client, Commands):  # type: ignore[misc]  # as Commands
    """A Redis or Valkey client on a socket; has redis-py's asyncio commands.

    Any number of tasks may use it at once: their commands go out together on one connection, and
    cancelling one disturbs no other. ``async with`` opens and closes it.

    With a ``connector``, the connection is made anew when it is lost, and blocking commands,
    WATCH, pub/sub and MONITOR get connections of their own (up to ``max_dedicated``). With only a
    ``socket`` these take it for themselves while they last, and other callers wait.

    A command that was cancelled after it was written may have run. It is never sent twice, unless
    it goes through ``idempotent``.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        username: ACL user.
        password: of the user.
        credentials: in place of these, a callable that gives ``(username, password)``, or an
            awaitable of them, or redis-py's provider; asked for each connection.
        db: number of the database.
        protocol: 2 or 3 for RESP2 or RESP3, with redis-py's result shapes for each; None speaks
            RESP3 where the server can, with the shapes of RESP2.
        legacy_responses: redis-py's switch between its older and its unified result shapes.
        decode_responses: whether strings are returned as str.
        encoding: ``"utf-8"``, as redis-py calls what text is sent and decoded in.
        encoding_errors: how decoding meets what is not valid.
        client_name: shown by CLIENT LIST.
        cache: keep replies in memory until the server says that a key changed; needs RESP3.
        timeout: seconds without a byte while a reply is due, after which the connection is given
            up, and the limit for opening; blocking commands get their own time on top.
        max_dedicated: how many connections may be open beside the shared one.
        reconnect_attempts: how often to try before the callers who wait get the error.
        backoff: how long to wait between attempts.
        max_bulk_length: bytes of the largest string accepted.
        max_elements: number of elements accepted in one reply.
        max_reply_length: bytes accepted in one reply.

    Raises:
        AddressError: an option is wrong, or two do not go together.
        RuntimeError: no event loop runs, and the socket needs one.
    """

    def __init__(
        self,
        socket: SocketLike | None = None,
        *,
        connector: Connector | None = None,
        address: AddressLike | None = None,
        username: str | None = None,
        password: str | None = None,
        credentials: CredentialSource | None = None,
        db: int = 0,
        protocol: Literal[2, 3] | None = None,
        legacy_responses: bool = True,
        decode_responses: bool = False,
        encoding: str = "utf-8",
        encoding_errors: str = "strict",
        client_name: str | None = None,
        cache: Cache | None = None,
        timeout: float | None = 30.0,
        max_dedicated: int = 16,
        reconnect_attempts: int = 8,
        backoff: Backoff | None = None,
        max_bulk_length: int = 512 * 1024 * 1024,
        max_elements: int = 2**24,
        max_reply_length: int = 2**30,
    ) -> None:
        if protocol not in (None, 2, 3):
            raise AddressError(f"protocol must be 2, 3 or None, not {protocol!r}")
        if credentials is not None and not (username is None and password is None):
            raise AddressError("credentials come in place of username and password")
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        if cache is not None and protocol == 2:
            raise AddressError("the cache needs RESP3: leave protocol out, or make it 3")
        if max_dedicated < 1 or reconnect_attempts < 1:
            raise AddressError("max_dedicated and reconnect_attempts must be at least 1")
        _check_encoding(encoding, encoding_errors)
        self._settings = Settings(
            username=username,
            password=password,
            credentials=credentials,
            db=db,
            protocol=protocol,
            client_name=client_name,
            tracking=cache is not None,
            timeout=timeout,
            max_bulk_length=max_bulk_length,
            max_elements=max_elements,
            max_reply_length=max_reply_length,
        )
        self._plans = Plans(protocol, legacy_responses=legacy_responses)
        self.decodes = decode_responses
        self._encoding, self._encoding_errors = encoding, encoding_errors
        self._cache = cache
        self._replay = False
        self._attempts = reconnect_attempts
        self._connections = Connections(
            self._settings,
            socket=None if socket is None else _adopted(socket),
            dial=None if connector is None else _dialler(connector, address),
            max_dedicated=max_dedicated,
            attempts=reconnect_attempts,
            backoff=backoff or Backoff(maximum=1.0),
            on_push=self._pushed,
            on_renewed=self._renewed,
        )
        self._salvage = Salvage(self._connections)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        connector: Connector | None = None,
        policy: Policy | None = None,
        connect_timeout: float | None = 10.0,
        tls: TLSOptions | None = None,
        **settings: Any,
    ) -> Self:
        """Return a client for a URL, not open yet: use ``async with``, or ``await client.open()``.

        It reconnects by itself. Needs no running event loop.

        Args:
            url: see `parse_url`; ``host:port`` and the path of a Unix socket serve as well.
            connector: makes the connections, for example through a tunnel; directly by default.
            policy: which addresses may be connected to; any by default.
            connect_timeout: seconds for each connection.
            tls: options for ``rediss://``.
            **settings: see `Redis`; they go before those in the URL.

        Raises:
            AddressError: the URL or an option is wrong.
        """
        found = client_settings(
            url, connector=connector, policy=policy, connect_timeout=connect_timeout, tls=tls
        )
        return cls(**{**found, **settings})

    async def open(self) -> Self:
        """Open the connection; ``async with`` does this.

        Raises:
            ConnectError: there is no connection.
            ResponseError: the server refuses us.
        """
        await self._connections.open()
        return self

    async def aclose(self) -> None:
        """Close every connection; may be called again.

        Whoever still waits for a reply gets `SocketClosed`.
        """
        try:
            await self._salvage.aclose()
        finally:
            await self._connections.aclose()

    async def close(self) -> None:
        """Same as ``aclose``."""
        await self.aclose()

    def __repr__(self) -> str:
        shared = self._connections.shared
        if shared is None:
            return "<Redis not open>"
        state = "open" if shared.error is None else f"lost: {shared.error}"
        if isinstance(shared.error, SocketClosed):
            state = "closed"
        return f"<Redis {shared.peer} db={self._settings.db} {state}>"

    # Sessions.

    @property
    def idempotent(self) -> Redis:
        """This client, but commands that may have run when the connection was lost run again."""
        view = object.__new__(type(self))
        vars(view).update(vars(self), _replay=True)
        return view

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Return a pipeline: commands gathered here and sent at once by ``execute``.

        With ``transaction`` they run as one, in MULTI and EXEC.
        """
        return Pipeline(self, self._connections, self._plans, transaction=transaction)

    async def transaction(
        self,
        func: Callable[[Pipeline], Any],
        *watches: Any,
        value_from_callable: bool = False,
        watch_delay: float | None = None,
        shard_hint: str | None = None,
    ) -> Any:
        """Run ``func(pipeline)`` as a transaction, again as long as a watched key changes."""
        async with self.pipeline() as pipe:
            while True:
                try:
                    if watches:
                        await pipe.watch(*watches)
                    result = func(pipe)
                    if inspect.isawaitable(result) and result is not pipe:
                        result = await result
                    replies = await pipe.execute()
                except redis.exceptions.WatchError:
                    await asyncio.sleep(watch_delay or 0)
                else:
                    return result if value_from_callable else replies

    def pubsub(
        self,
        *,
        ignore_subscribe_messages: bool = False,
        max_messages: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        overflow: Overflow = "drop-oldest",
    ) -> PubSub:
        """Return a subscriber; messages that nobody fetches are kept up to the two limits."""
        return PubSub(
            self._connections,
            decode=self._decoded if self.decodes else None,
            ignore_subscribe_messages=ignore_subscribe_messages,
            max_messages=max_messages,
            max_bytes=max_bytes,
            overflow=overflow,
        )

    def monitor(self, *, max_commands: int = 10_000, max_bytes: int = 64 * 1024 * 1024) -> Monitor:
        """Return a stream of every command that the server runs; kept up to the two limits."""
        return Monitor(self._connections, max_commands=max_commands, max_bytes=max_bytes)

    def register_script(self, script: ScriptTextT) -> Script:  # type: ignore[override]  # mixin: self is redis-py's client
        """Return a Lua script that can be called: ``await script(keys, args)``."""
        return Script(cast("Any", self), script)

    def lock(
        self,
        name: str | bytes | memoryview,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        lock_class: type[Lock] | None = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
    ) -> Lock:
        """Return redis-py's distributed lock on this client."""
        return (lock_class or Lock)(
            cast("Any", self),
            name,
            timeout=timeout,
            sleep=sleep,
            blocking=blocking,
            blocking_timeout=blocking_timeout,
            thread_local=thread_local,
            raise_on_release_error=raise_on_release_error,
        )

    def _pushed(self, push: list[Any]) -> None:
        if self._cache is not None and push and push[0] == b"invalidate":
            self._cache.invalidate(push[1] if len(push) > 1 else None)

    def _renewed(self) -> None:
        if self._cache is not None:
            self._cache.clear()


async def connect(url: str = "redis://localhost:6379", **settings: Any) -> Redis:
    """Return an open client for a URL; takes the arguments of `Redis.from_url`.

    Raises:
        AddressError: the URL or an option is wrong.
        ConnectError: there is no connection.
        ResponseError: the server refuses us.
    """
    return await Redis.from_url(url, **settings).__aenter__()


def _adopted(socket: SocketLike) -> Socket:
    try:
        return as_socket(socket)
    except RuntimeError:
        text = "make the client within a coroutine: to take over a socket needs a running loop"
        raise RuntimeError(text) from None


def _check_encoding(encoding: str, encoding_errors: str) -> None:
    try:
        name = codecs.lookup(encoding).name
        codecs.lookup_error(encoding_errors)
    except LookupError as error:
        raise AddressError(str(error)) from None
    if name != "utf-8":
        raise AddressError("encoding must be utf-8; for another, decode the replies yourself")


def _dialler(connector: Connector, address: AddressLike | None) -> Callable[[], Awaitable[Socket]]:
    async def dial() -> Socket:
        return await connector(cast("AddressLike", address))

    return dial
