"""Publish and subscribe: messages as they come, up to a limit, in the shapes of redis-py.

Source: https://redis.io/docs/latest/develop/pubsub/
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import BusyError, Error, SocketClosed

from ._errors import DataError, connection_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self

    from ._connection import Connection
    from ._connections import Connections

__all__ = ["Overflow", "PubSub"]

Overflow = Literal["drop-oldest", "drop-newest", "error"]
Handler = "Callable[[dict[str, Any]], Any] | None"

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

    It has a connection for itself from the first subscription to ``aclose``. Messages that nobody
    fetches are kept up to the limits of count and bytes; beyond them ``overflow`` rules: the oldest
    is dropped, the newest is dropped, or the consumer gets `BusyError`; ``dropped`` counts.
    When the connection is lost, and the client has a connector, it is made again with the same
    subscriptions; what was published meanwhile is gone, as Redis keeps nothing.
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
        self._error: Exception | None = None
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

    async def ping(self) -> None:
        """Ask the server for a sign of life."""
        connection = await self._opened()
        if connection.protocol == 2:
            raise DataError("PING in a RESP2 subscription has no reply of its own; use protocol 3")
        await connection.send(["PING"])

    async def _subscribe(
        self, group: str, names: tuple[Any, ...], handlers: dict[str, Any]
    ) -> None:
        flat: list[Any] = []
        for name in names:
            flat += name if isinstance(name, list | tuple) else [name]
        wanted: dict[bytes, Any] = {_name(name): None for name in flat}
        wanted.update({_name(name): handler for name, handler in handlers.items()})
        if not wanted:
            raise DataError("name at least one channel")
        connection = await self._opened()
        before = dict(self._groups[group])
        self._groups[group].update(wanted)
        try:
            await connection.send_subscribe([_SUBSCRIBE[group], *wanted], len(wanted))
        except Error:
            self._groups[group] = before
            raise

    async def _unsubscribe(self, group: str, names: tuple[Any, ...]) -> None:
        subscribed = self._groups[group]
        gone = [_name(name) for name in names] or list(subscribed)
        for name in gone:
            subscribed.pop(name, None)
        if gone and self._connection is not None:
            await self._connection.send_subscribe([_UNSUBSCRIBE[group], *gone], len(gone))

    async def _opened(self) -> Connection:
        if self._closed:
            raise connection_error(SocketClosed("the subscriber was closed"), sent=False)
        if self._renewing is not None:
            await asyncio.shield(self._renewing)
        async with self._opening:
            if self._connection is None:
                self._adopt(await self._connections.acquire())
        assert self._connection is not None
        return self._connection

    def _adopt(self, connection: Connection) -> None:
        connection.pubsub_mode = connection.protocol == 2
        connection.on_push = self._pushed
        connection.on_lost = self._lost
        self._connection = connection

    # The connection's end.

    def _lost(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None or self._closed:
            return
        self._connections.release(connection, reusable=False)
        if self._connections.renewable and self.subscribed:
            self._renewing = asyncio.create_task(self._renew(), name="wirekit redis resubscribe")
        else:
            self._fail(connection_error(connection.error or SocketClosed("the connection ended")))

    async def _renew(self) -> None:
        try:
            # The shared connection's attempts and pauses serve here, too.
            await self._connections.ready()
            connection = await self._connections.acquire()
            self._adopt(connection)
            for group, names in self._groups.items():
                if names:
                    await connection.send_subscribe([_SUBSCRIBE[group], *names], len(names))
        except Error as error:
            self._fail(error)
        finally:
            self._renewing = None

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._arrived.set()

    async def aclose(self) -> None:
        """End all subscriptions and give the connection back; may be called again."""
        self._closed = True
        if self._renewing is not None:
            self._renewing.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.on_lost = None
            reusable = False
            try:
                for group, names in self._groups.items():
                    if names and connection.error is None:
                        command = [_UNSUBSCRIBE[group], *names]
                        await connection.send_subscribe(command, len(names))
                reusable = connection.idle
            finally:
                connection.on_push = None
                connection.pubsub_mode = False
                self._connections.release(connection, reusable=reusable)
        for names in self._groups.values():
            names.clear()
        self._fail(connection_error(SocketClosed("the subscriber was closed"), sent=False))

    async def reset(self) -> None:
        """Same as ``aclose``."""
        await self.aclose()

    # Messages.

    def _pushed(self, push: list[Any]) -> None:
        kind, rest = push[0], push[1:]
        if kind == b"pmessage" and len(rest) == 3:
            pattern, channel, data = rest
        elif len(rest) == 2:
            pattern, (channel, data) = None, rest
        else:
            return  # no message: for example the server's note about its own maintenance
        message = {"type": kind.decode(), "pattern": pattern, "channel": channel, "data": data}
        size = len(data) if isinstance(data, bytes) else 0
        full = len(self._queue) >= self._max_messages or (
            self._queue_bytes + size > self._max_bytes and self._queue
        )
        if full:
            self.dropped += 1
            if self._overflow == "drop-newest":
                return
            if self._overflow == "error":
                self._fail(BusyError(f"more than {len(self._queue)} messages were not fetched"))
                return
            self._taken(self._queue.popleft())
        self._queue.append(message)
        self._queue_bytes += size
        self._arrived.set()

    def _taken(self, message: dict[str, Any]) -> dict[str, Any]:
        data = message["data"]
        self._queue_bytes -= len(data) if isinstance(data, bytes) else 0
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
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._connection is None and self._renewing is None:
                raise DataError("subscribe to something first")
            self._arrived.clear()
            await self._arrived.wait()
        return self._taken(self._queue.popleft())

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


def _name(name: Any) -> bytes:
    if isinstance(name, str):
        return name.encode()
    if isinstance(name, bytes | bytearray | memoryview):
        return bytes(name)
    if isinstance(name, int | float) and not isinstance(name, bool):
        return repr(name).encode()
    raise DataError(f"a channel is str or bytes, not {type(name).__name__}")
