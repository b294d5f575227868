"""The client: redis-py's commands on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import redis.exceptions
from redis._parsers.encoders import Encoder
from redis.asyncio.lock import Lock
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.commands import AsyncCoreCommands, AsyncRedisModuleCommands

from wirekit._errors import AddressError, TransportError
from wirekit.protocols.resp import decode_text
from wirekit.sockets import Backoff, as_socket

from ._blocking import Blocking, blocking
from ._cache import CACHEABLE, Cache
from ._connections import Connections
from ._errors import ResponseError
from ._monitor import Monitor
from ._pipeline import Pipeline
from ._pubsub import Overflow, PubSub
from ._responses import Kind, Plan, Plans, refuse
from ._salvage import Salvage
from ._settings import CredentialSource, Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.resp import Argument, Reply
    from wirekit.sockets import AddressLike, Connector, Socket, SocketLike

__all__ = ["Redis"]

T = TypeVar("T")
_SLICE = 1.0  # seconds for which a blocking command may keep the only connection


class Redis(AsyncRedisModuleCommands, AsyncCoreCommands):
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
        credentials: a callable that gives ``(username, password)``, asked for each connection.
        db: number of the database.
        protocol: 2 or 3 for RESP2 or RESP3, with redis-py's result shapes for each; None speaks
            RESP3 where the server can, with the shapes of RESP2.
        legacy_responses: redis-py's switch between its older and its unified result shapes.
        decode_responses: whether strings are returned as str.
        encoding: of text arguments and decoded replies; only ``"utf-8"`` for arguments.
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
    """

    _is_async_client: Literal[True] = True

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
    ) -> None:
        if protocol not in (None, 2, 3):
            raise AddressError(f"protocol must be 2, 3 or None, not {protocol!r}")
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        if cache is not None and protocol == 2:
            raise AddressError("the cache needs RESP3: leave protocol out, or make it 3")
        if max_dedicated < 1 or reconnect_attempts < 1:
            raise AddressError("max_dedicated and reconnect_attempts must be at least 1")
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
        )
        self._plans = Plans(protocol, legacy_responses=legacy_responses)
        self._decode = decode_responses
        self._encoder = Encoder(encoding, encoding_errors, decode_responses)
        self._cache = cache
        self._replay = False
        self._attempts = reconnect_attempts
        self._connections = Connections(
            self._settings,
            socket=None if socket is None else as_socket(socket),
            dial=None if connector is None else _dialler(connector, address),
            max_dedicated=max_dedicated,
            attempts=reconnect_attempts,
            backoff=backoff or Backoff(maximum=1.0),
            on_push=self._pushed,
            on_renewed=self._renewed,
        )
        self._salvage = Salvage(self._connections)

    async def open(self) -> Self:
        """Open the connection; ``async with`` does this.

        Raises:
            ConnectError: there is no connection.
            ResponseError: the server refuses us.
        """
        await self._connections.open()
        return self

    async def aclose(self) -> None:
        """Close every connection; may be called again."""
        await self._salvage.aclose()
        await self._connections.aclose()

    async def __aenter__(self) -> Self:
        try:
            return await self.open()
        except BaseException:
            await self.aclose()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        shared = self._connections.shared
        if shared is None:
            return "<Redis not open>"
        state = "open" if shared.error is None else f"lost: {shared.error}"
        return f"<Redis {shared.peer} db={self._settings.db} {state}>"

    # Commands.

    async def execute(self, *command: Argument) -> Reply:
        """Send any command and return the raw reply, for example ``execute("GET", "key")``.

        Strings come as bytes, maps as dict, sets as set; nothing is decoded or reshaped.

        Raises:
            ResponseError: the server answered with an error.
            DataError: the command cannot be sent, or not here.
            TransportError: there is no connection, or it was lost; ``sent`` tells whether the
                command may have run.
        """
        if not command:
            command = ("",)
        plan = self._plans.of(command[0])
        command = (*plan.words, *command[1:]) if plan.words else command
        try:
            return await self._send(plan, command)
        except TransportError as error:
            if not self._may_repeat(error):
                raise
        return await self._repeat(plan, command)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command as redis-py's methods do, and return what they return."""
        plan = self._plans.of(args[0])
        command = (*plan.words, *args[1:]) if plan.words else args
        keys = options.pop("keys", None)
        try:
            if self._cache is None:
                reply = await self._send(plan, command)
            else:
                reply = await self._send_cached(self._cache, plan, command, keys)
        except ResponseError:
            if EMPTY_RESPONSE not in options:
                raise
            return options[EMPTY_RESPONSE]
        except TransportError as error:
            if not self._may_repeat(error):
                raise
            reply = await self._repeat(plan, command)
        options.pop(EMPTY_RESPONSE, None)
        return self.shape(plan, reply, options)

    def shape(self, plan: Plan, reply: Any, options: dict[str, Any]) -> Any:
        """Return a raw reply as redis-py would: decoded and given to the command's callback."""
        if self._decode and options.pop(NEVER_DECODE, None) is None:
            reply = decode_text(reply, self._encoder.encoding, self._encoder.encoding_errors)
        options.pop(NEVER_DECODE, None)
        if plan.callback is None:
            return reply
        return plan.callback(reply, **options)

    def _send(self, plan: Plan, command: tuple[Any, ...]) -> Awaitable[Reply]:
        connection = self._connections.current
        if connection is not None and plan.kind is Kind.PLAIN and not connection.congested:
            return connection.send(command)
        return self._send_slowly(plan, command)

    async def _send_slowly(self, plan: Plan, command: tuple[Any, ...]) -> Reply:
        if plan.kind is Kind.BLOCKING:
            how = blocking(command)
            if how is not None:
                return await self._send_blocking(command, how)
        elif plan.kind is Kind.REFUSED:
            refuse(plan, command)
        connection = await self._connections.ready()
        return await connection.send(command)

    def _may_repeat(self, error: TransportError) -> bool:
        """A command that was never written, or that does no harm twice, may be sent again."""
        return self._connections.renewable and (self._replay or not getattr(error, "sent", True))

    async def _repeat(self, plan: Plan, command: tuple[Any, ...]) -> Reply:
        for _ in range(self._attempts - 1):
            try:
                return await self._send_slowly(plan, command)
            except TransportError as error:
                if not self._may_repeat(error):
                    raise
        return await self._send_slowly(plan, command)

    async def _send_cached(
        self, cache: Cache, plan: Plan, command: tuple[Any, ...], keys: Any
    ) -> Reply:
        if not keys or plan.kind is not Kind.PLAIN or command[0] not in CACHEABLE:
            cache.forget_arguments(command)
            return await self._send(plan, command)
        found, reply = cache.look_up(command)
        if found:
            return reply
        place = cache.reserve(command, keys)
        try:
            reply = await self._send(plan, command)
        except BaseException:
            cache.drop(place)
            raise
        return cache.fill(place, reply)

    # Blocking commands.

    async def _send_blocking(self, command: tuple[Any, ...], how: Blocking) -> Reply:
        left = how.seconds(command)
        if self._connections.renewable or not how.sliceable:
            return await self._salvage.wait(command, how, left)
        # On the only connection: in slices, between which others get their turn.
        while left > _SLICE:
            reply = await self._salvage.wait(how.limited(command, _SLICE), how, _SLICE)
            if reply is not None:
                return reply
            left -= _SLICE
            await asyncio.sleep(0)
        return await self._salvage.wait(how.limited(command, left), how, left)

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
                    if asyncio.iscoroutine(result):
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
            decode=self._decoded if self._decode else None,
            ignore_subscribe_messages=ignore_subscribe_messages,
            max_messages=max_messages,
            max_bytes=max_bytes,
            overflow=overflow,
        )

    def monitor(self, *, max_commands: int = 10_000) -> Monitor:
        """Return a stream of every command that the server runs."""
        return Monitor(self._connections, max_commands=max_commands)

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

    # What redis-py's command classes ask of a client.

    def get_encoder(self) -> Encoder:
        """Return the encoder of arguments and replies."""
        return self._encoder

    def get_connection_kwargs(self) -> dict[str, Any]:
        """Return what redis-py's commands may ask about the connection."""
        return {"db": self._settings.db, "protocol": self._settings.protocol}

    def set_response_callback(self, command: str, callback: Callable[..., Any]) -> None:
        """Shape the replies to a command by another function."""
        self._plans.set_callback(command, callback)

    def _decoded(self, reply: Reply) -> Any:
        return decode_text(reply, self._encoder.encoding, self._encoder.encoding_errors)

    def _pushed(self, push: list[Any]) -> None:
        if self._cache is not None and push and push[0] == b"invalidate":
            self._cache.invalidate(push[1] if len(push) > 1 else None)

    def _renewed(self) -> None:
        if self._cache is not None:
            self._cache.clear()


def _dialler(connector: Connector, address: AddressLike | None) -> Callable[[], Awaitable[Socket]]:
    async def dial() -> Socket:
        return await connector(cast("AddressLike", address))

    return dial
