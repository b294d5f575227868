"""Received messages on their way to who consumes them: in order, and no more than allowed.

Source: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, §3.1.2.11.3, §4.6 and §4.9.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Literal, Protocol

from wirekit._errors import AddressError, BusyError, ReadTimeout, SocketClosed

from ._errors import connection_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from wirekit.protocols.mqtt import Properties, Publish

__all__ = ["Callback", "Consumer", "Messages", "Overflow"]

Overflow = Literal["drop-oldest", "drop-newest", "error", "wait"]

_OVERFLOWS = ("drop-oldest", "drop-newest", "error", "wait")
_MAX_KEPT = 65535  # the largest Receive Maximum, §3.1.2.11.3
_STREAK = 16  # messages taken without suspending until the clock is looked at
_BREATH = 0.005  # seconds after which a consumer that never waits lets others run
_OVERFULL = 4  # times the limits
_PAIR = 160  # bytes that a user property takes beside the characters of its two strings
_NUMBER = 40  # bytes that a Subscription Identifier takes
_NEVER = float("inf")


class Consumer(Protocol):
    """Who gets messages; for each of QoS 1 or 2 it calls its ``on_taken``, once."""

    def put(self, messages: list[Publish]) -> None:
        """Take over messages that arrived together, in order."""

    def discard(self) -> None:
        """End, because nobody wants the messages: untaken ones count as taken."""

    def end(self, error: Exception | None) -> None:
        """End, because the connection ended; untaken messages are not acknowledged."""


class Callback:
    """A consumer that is a function; a message counts as taken when the function has returned.

    What the function raises goes to the event loop's exception handler, and counts as returning.
    """

    def __init__(
        self,
        function: Callable[[Publish], object],
        on_taken: Callable[[Publish], None] | None = None,
    ) -> None:
        """Make it; clients do.

        Raises:
            AddressError: the function is a coroutine function.
        """
        if inspect.iscoroutinefunction(function):
            raise AddressError("a callback is a plain function; iterate to await things")
        self._function = function
        self._on_taken = on_taken
        self._discarded = self._ended = False

    def put(self, messages: list[Publish]) -> None:
        """Call the function with each message."""
        for message in messages:
            if self._ended:  # perhaps just now, by the function
                return
            if not self._discarded:
                self._call(message)
            if message.qos and self._on_taken is not None:
                self._on_taken(message)

    def _call(self, message: Publish) -> None:
        try:
            self._function(message)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a callback for MQTT messages failed", "exception": error}
            )

    def discard(self) -> None:
        """Call the function no more, but let messages count as taken."""
        self._discarded = True

    def end(self, error: Exception | None) -> None:
        """Call the function no more."""
        self._ended = True


class Messages:
    """The messages for one consumer, in the order of their arrival; several tasks may share it.

    ``async for`` ends when the subscription or the client is closed; when the connection is lost
    for good it raises why. A message counts as taken, and is acknowledged, when it is handed over;
    no cancellation comes between, so none is lost.

    Messages of QoS 0 that nobody takes are kept up to ``queue_size`` and ``queue_bytes`` (topic,
    payload and properties). Beyond these ``overflow`` rules: the oldest are dropped, the newest is
    dropped, the consumer gets `BusyError` behind what was kept, or reading from the connection
    waits until half is taken. ``dropped`` counts.

    A message whose Message Expiry Interval passes while it waits here is not handed out: its
    publisher gave it no longer life (§3.3.2.3.3). It counts as taken; ``expired`` counts.

    Other messages of QoS 1 and 2 are never dropped. The server may send no more of them than the
    Receive Maximum before they are taken. If they have more than ``queue_bytes``, or are too many
    because one connection after the other brought some, reading waits as well.

    While reading waits, acknowledgements are not read either. So a call that awaits one, of a
    consumer perhaps, lets reading go on up to four times these limits; beyond them it may come to
    its timeout.
    """

    def __init__(
        self,
        *,
        queue_size: int = 65536,
        queue_bytes: int = 64 << 20,
        overflow: Overflow = "drop-oldest",
        on_taken: Callable[[Publish], None] | None = None,
        on_expired: Callable[[Publish], None] | None = None,
        on_full: Callable[[bool], None] | None = None,
    ) -> None:
        """Make a queue; clients do.

        Args:
            queue_size: of QoS 0.
            queue_bytes: of QoS 0, and as many of QoS 1 and 2.
            overflow: what happens beyond.
            on_taken: told of each message of QoS 1 or 2 when the consumer gets it.
            on_expired: told of each message of QoS 1 or 2 that it does not get.
            on_full: told True when reading is to wait, then False when it may go on.

        Raises:
            AddressError: an option is wrong.
        """
        if overflow not in _OVERFLOWS:
            raise AddressError(f"overflow must be one of {', '.join(_OVERFLOWS)}")
        for name, limit in (("queue_size", queue_size), ("queue_bytes", queue_bytes)):
            if type(limit) is not int or limit < 1:
                raise AddressError(f"{name} must be a whole number of at least 1")
        self.dropped = self.expired = 0
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._overflow = overflow
        self._on_taken = on_taken
        self._on_expired = on_expired
        self._on_full = on_full
        self._full = False
        # QoS 0, which may be dropped at either end, apart from the others. Each of these knows how
        # many messages of QoS 0 go before it, counted from the first ever: that keeps the order.
        # Beside each message is its size, and when it expires.
        self._droppable: deque[tuple[Publish, int, float]] = deque()
        self._droppable_bytes = 0
        self._passed = 0  # messages of QoS 0 that are taken or dropped
        self._kept: deque[tuple[Publish, int, float, int]] = deque()
        self._kept_bytes = 0
        self._expiring = False  # whether one of them may expire
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._interruption: Exception | None = None
        self._ended = False
        self._discarded = False
        self._error: Exception | None = None
        self._streak = 0
        self._breathed = 0.0

    def __repr__(self) -> str:
        ended = ", ended" if self._ended else ""
        return f"<{type(self).__name__}: {len(self)} waiting, {self.dropped} dropped{ended}>"

    def __len__(self) -> int:
        """Return how many messages can be taken at once."""
        return len(self._droppable) + len(self._kept)

    # The consumer's side.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publish:
        if self._expiring:
            self._drop_expired()
        self._streak += 1
        if self._streak >= _STREAK or not (self._droppable or self._kept):
            self._streak = 0
            if not await self._ready():
                raise StopAsyncIteration
        return self._take()

    async def get(self, timeout: float | None = None) -> Publish:
        """Return the next message.

        Args:
            timeout: seconds to wait for it; None waits as long as one may come.

        Raises:
            ReadTimeout: none came in time.
            SocketClosed: the subscription or the client was closed.
            BusyError: messages were dropped, with ``overflow="error"``.
            Error: what ended the connection.
        """
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                if not await self._ready():
                    closed = SocketClosed("the subscription or the client was closed")
                    raise connection_error(closed)
        except TimeoutError:
            if not deadline.expired():
                raise  # what ended the connection may be a timeout as well
            if not (self._droppable or self._kept):
                late = ReadTimeout(f"no message within {timeout} seconds")
                raise connection_error(late) from None
        return self._take()

    async def _ready(self) -> bool:
        """Wait until a message can be taken; return False at the end."""
        if self._expiring:
            self._drop_expired()
        if (self._droppable or self._kept) and monotonic() - self._breathed > _BREATH:
            await asyncio.sleep(0)
            self._breathed = monotonic()
        while not (self._droppable or self._kept):
            if self._interruption is not None:
                error, self._interruption = self._interruption, None
                raise connection_error(error)
            if self._error is not None:
                raise connection_error(self._error)
            if self._ended:
                return False
            await self._arrival()
            self._breathed = monotonic()
        return True

    async def _arrival(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                if waiter in self._waiters:  # else it was passed over already
                    self._waiters.remove(waiter)
            else:  # woken for a message that another may take now
                self._wake(1)
            raise

    def _take(self) -> Publish:
        return self._pop(self._on_taken)

    def _pop(self, told: Callable[[Publish], None] | None) -> Publish:
        if self._kept and self._kept[0][3] <= self._passed:
            message, size, _, _ = self._kept.popleft()
            self._kept_bytes -= size
            if told is not None:
                told(message)
        else:
            message, size, _ = self._droppable.popleft()
            self._droppable_bytes -= size
            self._passed += 1
        if self._full:
            self._check_half()
        return message

    def _drop_expired(self) -> None:
        """Drop messages that have expired from before the next one."""
        now = monotonic()
        while self._droppable or self._kept:
            kept_is_next = self._kept and self._kept[0][3] <= self._passed
            if (self._kept[0] if kept_is_next else self._droppable[0])[2] > now:
                return
            self._pop(self._on_expired)
            self.expired += 1
        self._expiring = False

    # The client's side.

    def put(self, messages: list[Publish]) -> None:
        """Take over messages that arrived together, in order."""
        if self._ended:
            if self._discarded:
                self._count_as_taken(messages)
            return
        for message in messages:
            size, expires_at = len(message.topic) + len(message.payload), _NEVER
            if properties := message.properties:
                size += _size(properties)
                if "message_expiry_interval" in properties:
                    # Of one that came in its last second, that second is left.
                    expires_at = monotonic() + max(properties["message_expiry_interval"], 1)
                    self._expiring = True
            if message.qos:
                before = self._passed + len(self._droppable)
                self._kept.append((message, size, expires_at, before))
                self._kept_bytes += size
            elif (
                len(self._droppable) < self._queue_size
                and self._droppable_bytes + size <= self._queue_bytes
            ) or self._make_room(size):
                self._droppable.append((message, size, expires_at))
                self._droppable_bytes += size
        self._check_limits()
        self._wake(len(messages))

    def claim(self, is_claimed: Callable[[Publish], bool]) -> list[Publish]:
        """Give up those of QoS 1 and 2 that another consumer is to have; return them in order."""
        claimed = [message for message, *_ in self._kept if is_claimed(message)]
        if claimed:
            left = [entry for entry in self._kept if not is_claimed(entry[0])]
            self._kept = deque(left)
            self._kept_bytes = sum(size for _, size, *_ in left)
            if self._full:
                self._check_half()
        return claimed

    def _make_room(self, size: int) -> bool:
        """Say whether a message of QoS 0 is added although there is no room."""
        if self._overflow == "wait" or not self._droppable:
            return True  # what one read brought is kept, and a message larger than the limit
        if self._overflow != "drop-oldest":
            if self._overflow == "error":
                self._interruption = BusyError("messages came faster than they were taken")
            self.dropped += 1
            return False
        while self._droppable and (
            len(self._droppable) >= self._queue_size
            or self._droppable_bytes + size > self._queue_bytes
        ):
            self._droppable_bytes -= self._droppable.popleft()[1]
            self._passed += 1
            self.dropped += 1
        return True

    def _check_limits(self) -> None:
        if self._full:
            return
        self._full = (
            self._kept_bytes > self._queue_bytes
            or len(self._kept) > _MAX_KEPT
            or (
                self._overflow == "wait"
                and (
                    len(self._droppable) >= self._queue_size
                    or self._droppable_bytes >= self._queue_bytes
                )
            )
        )
        if self._full and self._on_full is not None:
            self._on_full(True)

    @property
    def overfull(self) -> bool:
        """Whether so much waits that nothing more is read, even for who awaits an answer."""
        return (
            max(self._kept_bytes, self._droppable_bytes) > _OVERFULL * self._queue_bytes
            or len(self._kept) > _OVERFULL * _MAX_KEPT
            or len(self._droppable) > max(_OVERFULL * self._queue_size, _MAX_KEPT)
        )

    def _check_half(self) -> None:
        self._full = (
            self._kept_bytes > self._queue_bytes // 2
            or len(self._kept) > _MAX_KEPT // 2
            or self._droppable_bytes > self._queue_bytes // 2
            or len(self._droppable) > self._queue_size // 2
        )
        if not self._full and self._on_full is not None:
            self._on_full(False)

    def _wake(self, count: int) -> None:
        while count and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _count_as_taken(self, messages: Iterable[Publish]) -> None:
        if self._on_taken is not None:
            for message in messages:
                if message.qos:
                    self._on_taken(message)

    def discard(self) -> None:
        """End, because nobody wants the messages: untaken ones count as taken."""
        left = [message for message, *_ in self._kept]
        self._discarded = True
        self._droppable.clear()
        self._droppable_bytes = 0
        self.end(None)
        self._count_as_taken(left)

    def interrupt(self, error: Exception) -> None:
        """Raise an error behind the messages that are there, once; more may come after it."""
        self._interruption = error
        self._wake(1)

    def end(self, error: Exception | None) -> None:
        """End, because the connection ended; untaken messages are not acknowledged.

        Args:
            error: raised behind the messages that are there. None: messages of QoS 0 are still
                handed out; those of QoS 1 and 2 stay with the session, which delivers them again.
        """
        self._ended = True
        self._error = error
        if error is None:
            self._kept.clear()
            self._kept_bytes = 0
        if self._full:
            self._full = False
            if self._on_full is not None:
                self._on_full(False)
        self._wake(len(self._waiters))


def _size(properties: Properties) -> int:
    """Return the bytes that properties count: of those that have no small limit."""
    size = len(properties.get("content_type", ""))
    size += len(properties.get("response_topic", ""))
    size += len(properties.get("correlation_data", b""))
    size += _NUMBER * len(properties.get("subscription_identifier", ()))
    for name, value in properties.get("user_property", ()):
        size += _PAIR + len(name) + len(value)
    return size
