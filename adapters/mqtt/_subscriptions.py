"""Subscriptions: asking for them, knowing them, asking again when the server forgot them.

Source: MQTT 5.0, sections 3.8 to 3.11 and 4.8.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from wirekit._errors import BusyError, Error, LocalProtocolError
from wirekit.protocols.mqtt import (
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Violation,
)

from ._errors import MqttCodeError, connection_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from wirekit.protocols.mqtt import Packet, Properties, Subscription

    from ._packet_ids import PacketIds
    from ._store import SessionStore

__all__ = ["Answer", "Subscriptions"]

_LARGEST_IDENTIFIER = 268_435_455
_BATCH = 100  # filters in one SUBSCRIBE when they are all sent again

_STATEMENTS: dict[type, str] = {Subscribe: "MQTT-3.8.4-6", Unsubscribe: ""}

Answer: TypeAlias = SubAck | UnsubAck


class Changed(Protocol):
    """Is told of a subscription."""

    def __call__(
        self, topic_filter: str, identifier: int | None, *, there: bool = True
    ) -> None: ...


_Item = TypeVar("_Item")


class _Request:
    """A SUBSCRIBE or UNSUBSCRIBE that is not answered yet."""

    __slots__ = ("future", "kept", "packet")

    def __init__(
        self, packet: Subscribe | Unsubscribe, future: asyncio.Future[Answer] | None, *, kept: bool
    ) -> None:
        self.packet = packet
        self.future = future
        self.kept = kept

    @property
    def abandoned(self) -> bool:
        """Whether its caller has left."""
        return self.future is not None and self.future.done()


class Subscriptions:
    """What the server is to send, as part of the session state; does no I/O.

    A request is noted when it is answered, whoever still waits for that; a SUBSCRIBE whose caller
    has left is taken back then.

    Args:
        ids: the client's packet identifiers.
        send: sends a packet on the present connection.
        refused: told of a subscription that the server does not want to renew, and why.
        store: keeps the same on disk, or wherever.
        changed: told of each subscription that is known, with its identifier, or no more.
    """

    def __init__(
        self,
        ids: PacketIds,
        send: Callable[[Packet], None],
        refused: Callable[[str, Exception], None],
        store: SessionStore | None = None,
        *,
        changed: Changed | None = None,
    ) -> None:
        self._ids = ids
        self._changed = changed
        self._send = send
        self._refused = refused
        self._store = store
        self._known: dict[str, tuple[Subscription, int | None]] = {}
        self._pending: dict[int, _Request] = {}
        self._stray: set[str] = set()  # which the server may have and nobody wants
        self._leaving: list[Callable[[], None]] = []  # told when it has none of these any more
        self._kept: set[str] = set()
        self._restored: set[str] = set()  # of the kept: until somebody says what they are for
        self._holders: Counter[str] = Counter()
        self._identifiers: dict[str, int] = {}  # of those that are held
        self._last_identifier = _LARGEST_IDENTIFIER

    def __contains__(self, topic_filter: str) -> bool:
        return topic_filter in self._known

    def restore(self, kept: Iterable[tuple[Subscription, int | None]]) -> None:
        """Go on with what the store has kept."""
        for subscription, identifier in kept:
            self._know(subscription, identifier)
            self._kept.add(subscription.topic_filter)
            self._restored.add(subscription.topic_filter)

    def inherit(self, older: Subscriptions) -> None:
        """Go on with those of an earlier life; the server is told of what was some block's own."""
        kept, known = older._kept, older._known
        self.restore(entry for name, entry in known.items() if name in kept)
        self._restored &= older._restored
        self._stray |= older._stray
        self._stray |= known.keys() - kept
        self._last_identifier = older._last_identifier

    @property
    def stray(self) -> Collection[str]:
        """Those that the server may have and nobody wants."""
        return self._stray

    # Who wants them.

    def hold(self, topic_filters: Iterable[str]) -> None:
        """Note that somebody wants these until `let_go`: him alone, if an earlier process did."""
        for topic_filter in topic_filters:
            self._holders[topic_filter] += 1
            if topic_filter in self._restored:
                self._restored.discard(topic_filter)
                self._kept.discard(topic_filter)

    def let_go(self, topic_filters: Iterable[str]) -> list[str]:
        """Take back one `hold`; return what nobody wants any more."""
        unwanted: list[str] = []
        for topic_filter in topic_filters:
            self._holders[topic_filter] -= 1
            if not self._holders[topic_filter]:
                del self._holders[topic_filter]
                self._identifiers.pop(topic_filter, None)
                if topic_filter not in self._kept:
                    unwanted.append(topic_filter)
        return unwanted

    def identifier_for(self, topic_filter: str) -> int:
        """Return the Subscription Identifier of a filter; a new one if it has none yet.

        New ones come from the upper end, so that they do not meet those that users choose.
        """
        _, known = self._known.get(topic_filter, (None, None))
        identifier = known or self._identifiers.get(topic_filter)
        if identifier is None:
            used = {number for _, number in self._known.values()}.union(self._identifiers.values())
            identifier = self._last_identifier
            while identifier in used:
                identifier = identifier - 1 if identifier > 1 else _LARGEST_IDENTIFIER
            self._last_identifier = identifier - 1 or _LARGEST_IDENTIFIER
        self._identifiers[topic_filter] = identifier
        return identifier

    # Requests.

    def subscribe(
        self, subscriptions: Sequence[Subscription], properties: Properties, *, kept: bool = True
    ) -> asyncio.Future[Answer]:
        """Send SUBSCRIBE; the future gets the answer.

        Args:
            subscriptions: at least one.
            properties: of SUBSCRIBE.
            kept: whether they are wanted until they are unsubscribed from, not until `let_go`.

        Raises:
            LocalProtocolError: it is not allowed, or not by this server.
            BusyError: too many requests are under way.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        packet = Subscribe(self._id(), tuple(subscriptions), properties)
        self._request(packet, future, kept=kept)
        self._stray.difference_update(entry.topic_filter for entry in subscriptions)
        return future

    def unsubscribe(
        self, topic_filters: Sequence[str], properties: Properties
    ) -> asyncio.Future[Answer]:
        """Send UNSUBSCRIBE; the future gets the answer.

        Raises:
            LocalProtocolError: it is not allowed.
            BusyError: too many requests are under way.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._request(Unsubscribe(self._id(), tuple(topic_filters), properties), future)
        self._kept.difference_update(topic_filters)
        return future

    def drop(self, topic_filters: Sequence[str], gone: Callable[[], None]) -> None:
        """Unsubscribe, now or on the next connection; ``gone`` is called when nothing comes."""
        self.when_gone(gone)
        try:
            answer = self.unsubscribe(topic_filters, {})
        except Error:
            self._stray.update(topic_filters)
            for topic_filter in topic_filters:
                self._forget(topic_filter)
        else:
            self._tell_when_answered([answer], [gone])

    def when_gone(self, gone: Callable[[], None]) -> None:
        """Call this as soon as the server has none of the stray ones any more."""
        self._leaving.append(gone)

    def _tell_when_answered(
        self, answers: Iterable[asyncio.Future[Answer]], gone: Sequence[Callable[[], None]]
    ) -> None:
        waiting = set(answers)

        def answered(answer: asyncio.Future[Answer]) -> None:
            if answer.cancelled() or answer.exception() is not None:
                return  # it is a stray one now, and the next connection tells
            waiting.discard(answer)
            if not waiting:
                self._tell(gone)

        for answer in list(waiting):
            answer.add_done_callback(answered)

    def _tell(self, gone: Iterable[Callable[[], None]]) -> None:
        for tell in gone:
            if tell in self._leaving:
                self._leaving.remove(tell)
                tell()

    def _id(self) -> int:
        packet_id = self._ids.take()
        if packet_id is None:
            raise BusyError("all packet identifiers are in use: the server answers nothing")
        return packet_id

    def _request(
        self,
        packet: Subscribe | Unsubscribe,
        future: asyncio.Future[Answer] | None,
        *,
        kept: bool = False,
    ) -> None:
        try:
            self._send(packet)
        except BaseException:
            self._ids.release(packet.packet_id)
            raise
        self._pending[packet.packet_id] = _Request(packet, future, kept=kept)

    # Answers.

    def answered(self, packet: Answer) -> None:
        """Take a SUBACK or UNSUBACK.

        Raises:
            Violation: it does not fit what it answers.
        """
        request = self._pending.get(packet.packet_id)
        kind = Subscribe if isinstance(packet, SubAck) else Unsubscribe
        if request is None or type(request.packet) is not kind:
            name = type(packet).__name__.upper()
            raise Violation(f"{name} for nothing under way", ReasonCode.PROTOCOL_ERROR)
        codes = packet.reason_codes
        if isinstance(request.packet, Unsubscribe) and not codes:
            codes = (ReasonCode.SUCCESS,) * len(request.packet.topic_filters)  # 3.1.1 has none
            packet = UnsubAck(packet.packet_id, codes)
        if len(codes) != _count(request.packet):
            text = f"{len(codes)} reason codes for {_count(request.packet)} topic filters"
            raise Violation(text, ReasonCode.PROTOCOL_ERROR, _STATEMENTS[kind])
        del self._pending[packet.packet_id]
        self._ids.release(packet.packet_id)
        if isinstance(request.packet, Subscribe):
            self._subscribed(request, request.packet, codes)
        else:
            for topic_filter, code in zip(request.packet.topic_filters, codes, strict=True):
                if code < 0x80:
                    self._forget(topic_filter)
        if request.future is not None and not request.future.done():
            request.future.set_result(packet)

    def _subscribed(
        self, request: _Request, packet: Subscribe, codes: tuple[ReasonCode, ...]
    ) -> None:
        (identifier,) = packet.properties.get("subscription_identifier", [None])
        unwanted: list[str] = []
        for subscription, code in zip(packet.subscriptions, codes, strict=True):
            topic_filter = subscription.topic_filter
            if code >= 0x80:
                if request.future is None:
                    step = "the server did not renew a subscription"
                    self._give_up(topic_filter, MqttCodeError(step, code))
            elif request.abandoned and not self._is_wanted(topic_filter):
                unwanted.append(topic_filter)
            else:
                self._know(subscription, identifier)
                if request.kept:
                    self._kept.add(topic_filter)
                    self._restored.discard(topic_filter)
                if self._store is not None:
                    self._store.put_subscription(subscription, identifier)
        if unwanted:
            self._request(Unsubscribe(self._id(), tuple(unwanted)), None)

    def _is_wanted(self, topic_filter: str) -> bool:
        """Whether it was there before, or somebody else is asking for it."""
        return topic_filter in self._known or any(
            topic_filter == subscription.topic_filter
            for request in self._pending.values()
            if isinstance(request.packet, Subscribe) and not request.abandoned
            for subscription in request.packet.subscriptions
        )

    def _know(self, subscription: Subscription, identifier: int | None) -> None:
        self._known[subscription.topic_filter] = (subscription, identifier)
        if self._changed is not None:
            self._changed(subscription.topic_filter, identifier)

    def _forget(self, topic_filter: str) -> None:
        if self._known.pop(topic_filter, None) is None:
            return
        if self._changed is not None:
            self._changed(topic_filter, None, there=False)
        if self._store is not None:
            self._store.remove_subscription(topic_filter)

    def _give_up(self, topic_filter: str, error: Exception) -> None:
        self._forget(topic_filter)
        self._refused(topic_filter, error)

    # The connection.

    def opened(self, *, session_present: bool, identifiers: bool) -> None:
        """Begin on a new connection: put the server's session into our order.

        Args:
            session_present: whether the server has kept it; else it is told all subscriptions.
            identifiers: whether it takes Subscription Identifiers.
        """
        stray, self._stray = sorted(self._stray), set()
        leaving = list(self._leaving)
        if session_present and stray:
            answers = [self.unsubscribe(names, {}) for names in _batches(stray)]
            self._tell_when_answered(answers, leaving)
            return
        self._tell(leaving)
        if session_present:
            return
        entries = sorted(self._known.values(), key=lambda entry: entry[1] or 0)
        for identifier, group in groupby(entries, key=lambda entry: entry[1]):
            properties: Properties = {}
            if identifier is not None and identifiers:
                properties = {"subscription_identifier": [identifier]}
            for batch in _batches([subscription for subscription, _ in group]):
                self._renew(batch, properties)

    def _renew(self, batch: Sequence[Subscription], properties: Properties) -> None:
        try:
            self._request(Subscribe(self._id(), tuple(batch), properties), None)
        except LocalProtocolError as error:
            if len(batch) == 1:
                self._give_up(batch[0].topic_filter, connection_error(error))
            else:  # one of them is not allowed by this server, or all together are too large
                middle = len(batch) // 2
                self._renew(batch[:middle], properties)
                self._renew(batch[middle:], properties)

    def lost(self, error: Exception) -> None:
        """Note that the connection is over; callers who wait get the error."""
        pending, self._pending = self._pending, {}
        for packet_id, request in pending.items():
            self._ids.release(packet_id)
            if isinstance(request.packet, Subscribe):
                names = [entry.topic_filter for entry in request.packet.subscriptions]
                self._stray.update(name for name in names if name not in self._known)
            else:
                self._stray.update(request.packet.topic_filters)
                for topic_filter in request.packet.topic_filters:
                    self._forget(topic_filter)
            if request.future is not None and not request.future.done():
                request.future.set_exception(connection_error(error, sent=True))


def _count(packet: Subscribe | Unsubscribe) -> int:
    return len(packet.subscriptions if isinstance(packet, Subscribe) else packet.topic_filters)


def _batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
