"""A subscription with a consumer of its own, for as long as a block lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from wirekit._errors import BusyError

from ._errors import MqttCodeError, connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from wirekit.protocols.mqtt import Publish, ReasonCode, Subscription

    from ._messages import Consumer
    from ._session import Session

__all__ = ["OwnSubscription"]

_Consumer = TypeVar("_Consumer", bound="Consumer")


class OwnSubscription(Generic[_Consumer]):
    """Subscribes at the beginning of ``async with``, and unsubscribes at its end.

    The end does not wait for the server. What the consumer has not taken by then counts as taken.

    Args:
        session: the client's.
        subscriptions: what to subscribe to.
        make_consumer: makes the consumer; is given whom to tell what it has taken.
        subscribe: subscribes to each on its own, and returns the server's codes.
        manual: whether the application acknowledges messages, not the consumer.
    """

    def __init__(
        self,
        session: Session,
        subscriptions: Sequence[Subscription],
        make_consumer: Callable[[Callable[[Publish], None]], _Consumer],
        subscribe: Callable[[Sequence[Subscription]], Awaitable[Sequence[ReasonCode]]],
        *,
        manual: bool,
    ) -> None:
        self._session = session
        self._subscriptions = subscriptions
        self._subscribe = subscribe
        self._manual = manual
        self._begun = self._left = False
        self._consumer = make_consumer(self._taken)

    async def __aenter__(self) -> _Consumer:
        if self._begun:
            raise connection_error(BusyError("a subscription can be entered only once"))
        self._begun = True
        self._session.hold(self._consumer, self._subscriptions)
        try:
            codes = await self._subscribe(self._subscriptions)
            for subscription, code in zip(self._subscriptions, codes, strict=True):
                if code >= 0x80:
                    step = f"the server refused to subscribe to {subscription.topic_filter!r}"
                    raise MqttCodeError(step, code)
        except BaseException:
            self._leave()
            raise
        return self._consumer

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._left = True
        self._consumer.discard()
        self._session.let_go(self._consumer, self._subscriptions)

    def _taken(self, message: Publish) -> None:
        if not self._manual:
            self._session.taken(message)
        elif self._left:
            self._session.acknowledge(message)
