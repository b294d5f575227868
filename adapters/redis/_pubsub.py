"""Publish and subscribe: messages as they come, up to a limit, in the shapes of redis-py.

Source: https://redis.io/docs/latest/develop/pubsub/
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, cast

from redis.commands.helpers import parse_pubsub_subscriptions

from wirekit._errors import (
    BusyError,
    ConnectionLost,
    Error,
    ReadTimeout,
    RemoteProtocolError,
    SocketClosed,
)

from ._connection import PUBSUB_KINDS, Guest
from ._errors import DataError, connection_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self

    from ._connection import Connection
    from ._connections import Connections

__all__ = ["Overflow", "PubSub"]

Overflow = Literal["drop-oldest", "drop-newest", "error"]

_SUBSCRIBE = {"channels": "SUBSCRIBE", "patterns": "PSUBSCRIBE", "shard_channels": "SSUBSCRIBE"}
_UNSUBSCRIBE = {
    "channels": "UNSUBSCRIBE",
    "patterns": "PUNSUBSCRIBE",
    "shard_channels": "SUNSUBSCRIBE",
}
_GROUP_OF = {
    b"message": "channels",
    b"pmessage": "patterns",
    b"smessage": "shard_channels",
}


class PubSub:
    """A subscriber; made by ``client.pubsub()``.

    It has a connection for itself from the first subscription to ``aclose``; on a client without
    connector that is the client's only one, and other callers wait. Messages that nobody fetches
    are kept up to the limits of count and bytes; beyond them ``overflow`` rules: the oldest are
    dropped, the newest is dropped, or the consumer gets `BusyError` behind what was kept;
    ``dropped`` counts. When the connection is lost, and the client has a connector, it is made
    again with the same subscriptions; what was published meanwhile is gone, as Redis keeps nothing.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        decode: Callable[[Any], Any] | None,
        ignore_subscribe_messages: bool,
        max_messages: int,
        max_bytes: int,
        overflow: Overflow,
    ) -> None:
        if overflow not in ("drop-oldest", "drop-newest", "error"):
            raise DataError(f"overflow must be drop-oldest, drop-newest or error, not {overflow!r}")
        if max_messages < 1 or max_bytes < 1:
            raise DataError("max_messages and max_bytes must be at least 1")
        self.ignore_subscribe_messages = ignore_subscribe_messages
        self.dropped = 0
        self._connections = connections
        self._decode = decode
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._groups: dict[str, dict[bytes, Any]] = {name: {} for name in _SUBSCRIBE}
        self._queue: deque[dict[str, Any]] = deque()
        self._queue_bytes = 0
        self._error: Error | None = None
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def subscribed(self) -> bool:
        """Whether there is any subscription."""
        return any(self._groups.values())

    @property
    def channels(self) -> dict[Any, Any]:
        """The subscribed channels and their handlers."""
        return self._shown("channels")

    @property
    def patterns(self) -> dict[Any, Any]:
        """The subscribed patterns and their handlers."""
        return self._shown("patterns")

    @property
    def shard_channels(self) -> dict[Any, Any]:
        """The subscribed shard channels and their handlers."""
        return self._shown("shard_channels")

    # Subscribing.

    async def subscribe(self, *channels: Any, **handlers: Any) -> None:
        """Subscribe to channels; returns when the server has confirmed.

        With ``channel=handler`` its messages go to the handler, a function or coroutine function.
        """
        await self._subscribe("channels", channels, handlers)

    async def psubscribe(self, *patterns: Any, **handlers: Any) -> None:
        """Subscribe to patterns, like ``subscribe``."""
        await self._subscribe("patterns", patterns, handlers)

    async def ssubscribe(self, *channels: Any, **handlers: Any) -> None:
        """Subscribe to shard channels, like ``subscribe``."""
        await self._subscribe("shard_channels", channels, handlers)

    async def unsubscribe(self, *channels: Any) -> None:
        """End the subscription to channels, or to all."""
        await self._unsubscribe("channels", channels)

    async def punsubscribe(self, *patterns: Any) -> None:
        """End the subscription to patterns, or to all."""
        await self._unsubscribe("patterns", patterns)

    async def sunsubscribe(self, *channels: Any) -> None:
        """End the subscription to shard channels, or to all."""
        await self._unsubscribe("shard_channels", channels)

    async def ping(self, message: Any = None) -> bool:
        """Ask the server for a sign of life; True when it came."""
        connection = await self._opened()
        await connection.send(["PING"] if message is None else ["PING", message])
        return True

    async def _subscribe(
        self, group: str, names: tuple[Any, ...], handlers: dict[str, Any]
    ) -> None:
        subscriptions = parse_pubsub_subscriptions(names, handlers)
        wanted = {_name(name): handler for name, handler in subscriptions.items()}
        if not wanted:
            raise DataError("name at least one channel")
        connection = await self._opened()
        subscribed = self._groups[group]
        new = [name for name in wanted if name not in subscribed]
        subscribed.update(wanted)
        try:
            await connection.send_subscribe([_SUBSCRIBE[group], *wanted], len(wanted))
        except Error:
            for name in new:
                subscribed.pop(name, None)
            raise

    async def _unsubscribe(self, group: str, names: tuple[Any, ...]) -> None:
        subscribed = self._groups[group]
        gone = [_name(name) for name in parse_pubsub_subscriptions(names, {})] or [*subscribed]
        for name in gone:
            subscribed.pop(name, None)
        if gone and self._connection is not None:
            await self._connection.send_subscribe([_UNSUBSCRIBE[group], *gone], len(gone))

    async def _opened(self) -> Connection:
        """Return the connection, opened and subscribed anew if need be."""
        async with self._opening:
            if self._closed:
                raise self._closed_error()
            if self._connection is None:
                connection = await self._connections.acquire()
                if self._closed:
                    self._connections.release(connection)
                    raise self._closed_error()
                self._connection = connection
                connection.receive_guest(
                    Guest(
                        pushed=self._pushed,
                        lost=self._lost,
                        resp2_pushes=connection.protocol == 2,
                    )
                )
                try:
                    await self._resubscribe(connection)
                except BaseException:
                    self._connection = None
                    self._connections.release(connection, reusable=False)
                    raise
                return connection
            return self._connection

    async def _resubscribe(self, connection: Connection) -> None:
        for group, names in self._groups.items():
            if names:
                await connection.send_subscribe([_SUBSCRIBE[group], *names], len(names))

    # The connection's end.

    def _lost(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._connections.release(connection, reusable=False)
        if self._connections.renewable:
            self._renew()
        else:
            self._fail(connection_error(connection.error or SocketClosed("the connection ended")))

    def _renew(self) -> None:
        if self.subscribed and self._renewing is None:
            self._renewing = asyncio.create_task(self._renewed(), name="wirekit redis resubscribe")

    async def _renewed(self) -> None:
        try:
            for pause in self._connections.pauses():
                with contextlib.suppress(ConnectionLost, ReadTimeout):  # before it was subscribed
                    await self._opened()
                    break
                await asyncio.sleep(pause)
            else:
                await self._opened()
        except Error as error:
            self._fail(error)
        finally:
            self._renewing = None
        if self._connection is None and self._error is None:
            self._renew()  # it was lost at the very moment

    def _fail(self, error: Error) -> None:
        """Give the consumer an error, once it has fetched all messages."""
        self._error = error
        self._arrived.set()

    def _closed_error(self) -> Error:
        return connection_error(SocketClosed("the subscriber was closed"), sent=False)

    async def aclose(self) -> None:
        """End all subscriptions and give the connection back; may be called again."""
        self._closed = True
        self._arrived.set()
        if self._renewing is not None:
            self._renewing.cancel()
        connection, self._connection = self._connection, None
        groups = {group: [*names] for group, names in self._groups.items() if names}
        for names in self._groups.values():
            names.clear()
        self._queue.clear()
        self._queue_bytes = 0
        if connection is None:
            return
        reusable = False
        try:
            for group, gone in groups.items():
                await connection.send_subscribe([_UNSUBSCRIBE[group], *gone], len(gone))
            reusable = True
        except Error:
            pass  # it is over anyway
        finally:
            self._connections.release(connection, reusable=reusable)

    async def reset(self) -> None:
        """Same as ``aclose``."""
        await self.aclose()

    # Messages.

    def _pushed(self, push: list[Any]) -> None:
        if self._closed or push[0] not in PUBSUB_KINDS:
            return
        parts: list[Any] = push if len(push) > 1 else [*push, None]
        kind, *names, data = parts
        channel = names[-1] if names else None
        pattern = names[0] if len(names) == 2 else None
        # Who ends all subscriptions and has none is told so with a null for the channel.
        if (
            len(names) != 1 + (kind == b"pmessage")
            or not all(isinstance(name, bytes | None) for name in names)
            or not isinstance(data, bytes | int)
        ):
            if self._connection is not None:
                self._connection.fail(RemoteProtocolError("a malformed pub/sub message"))
            return
        message = {"type": kind.decode(), "pattern": pattern, "channel": channel, "data": data}
        size = _size(message)
        while len(self._queue) >= self._max_messages or (
            self._queue and self._queue_bytes + size > self._max_bytes
        ):
            self.dropped += 1
            if self._overflow == "drop-newest":
                return
            if self._overflow == "error":
                text = f"{len(self._queue)} messages were not fetched, and others were dropped"
                self._fail(connection_error(BusyError(text)))
                return
            self._taken()
        self._queue.append(message)
        self._queue_bytes += size
        self._arrived.set()

    def _taken(self) -> dict[str, Any]:
        message = self._queue.popleft()
        self._queue_bytes -= _size(message)
        return message

    async def get_message(
        self, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0
    ) -> dict[str, Any] | None:
        """Return the next message, waiting up to ``timeout`` seconds (None: for ever), or None.

        None is returned as well for a message that went to its handler.
        """
        try:
            async with asyncio.timeout(timeout):
                message = await self._next()
        except TimeoutError as error:
            if isinstance(error, Error):
                raise
            return None
        return await self._handled(message, ignore_subscribe_messages)

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Yield messages as they come, as long as there is any subscription."""
        while self.subscribed or self._queue:
            message = await self.get_message(timeout=None)
            if message is not None:
                yield message

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self.listen()

    async def _next(self) -> dict[str, Any]:
        while not self._queue:
            if self._closed:
                raise self._closed_error()
            if self._error is not None:
                error = self._error
                if self._connection is not None or self._connections.renewable:
                    self._error = None  # the next call tries again
                raise error
            if not self.subscribed and self._connection is None:
                raise DataError("subscribe to something first")
            if self._connection is None:
                self._renew()
            self._arrived.clear()
            await self._arrived.wait()
        return self._taken()

    async def _handled(
        self, message: dict[str, Any], ignore_subscribe_messages: bool
    ) -> dict[str, Any] | None:
        kind = message["type"]
        group = _GROUP_OF.get(kind.encode())
        if group is None:
            if ignore_subscribe_messages or self.ignore_subscribe_messages:
                return None
        else:
            handler = self._groups[group].get(message["pattern"] or message["channel"])
            if handler is not None:
                result = handler(self._decoded(message))
                if inspect.isawaitable(result):
                    await result
                return None
        return self._decoded(message)

    def _decoded(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._decode is None:
            return message
        return {name: self._decode(value) for name, value in message.items()}

    def _shown(self, group: str) -> dict[Any, Any]:
        names = self._groups[group]
        if self._decode is None:
            return dict(names)
        return {self._decode(name): handler for name, handler in names.items()}


def _size(message: dict[str, Any]) -> int:
    return sum(len(value) for value in message.values() if isinstance(value, bytes))


def _name(name: Any) -> bytes:
    if isinstance(name, str):
        return name.encode()
    if isinstance(name, bytes | bytearray):
        return bytes(name)
    if isinstance(name, memoryview):
        return bytes(cast("Any", name))
    if isinstance(name, int | float) and not isinstance(name, bool):
        return repr(name).encode()
    raise DataError(f"a channel is str or bytes, not {type(name).__name__}")
