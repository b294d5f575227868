"""A subscription whose messages go to a consumer of its own, as long as a block lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from wirekit.protocols.mqtt import Subscription

    from ._messages import Consumer
    from ._session import Session

__all__ = ["OwnSubscription"]

_Consumer = TypeVar("_Consumer", bound="Consumer")


class OwnSubscription(Generic[_Consumer]):
    """Subscribes at the beginning of ``async with``, and unsubscribes at its end.

    At the end, however it comes, what the consumer has not taken counts as taken.
    """

    def __init__(
        self,
        session: Session,
        subscriptions: Sequence[Subscription],
        consumer: _Consumer,
        subscribe: Callable[[Sequence[Subscription]], Awaitable[object]],
        unsubscribe: Callable[[Sequence[str]], Awaitable[object]],
    ) -> None:
        self._session = session
        self._subscriptions = subscriptions
        self._consumer = consumer
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
