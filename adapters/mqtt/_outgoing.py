"""Outgoing messages of QoS 1 and 2, from ``publish`` to the last acknowledgement.

Source: MQTT 5.0, sections 3.4 to 3.7, 4.3, 4.4, 4.6 and 4.9.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Literal, cast

from wirekit.protocols.mqtt import Publish, PubRel, ReasonCode, Violation

from ._errors import MessageExpired, MqttCodeError, SessionLost, connection_error
from ._expiry import shortened
from ._store import OutgoingEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wirekit.protocols.mqtt import PubAck, PubComp, PubRec

    from ._packet_ids import PacketIds
    from ._store import SessionStore

__all__ = ["Flow", "Outgoing"]

_SPARE = 1024  # packet identifiers that are left to SUBSCRIBE and UNSUBSCRIBE


class Flow:
    """One message on its way: it waits to be sent, is published (PUBLISH), or released (PUBREL).

    Attributes:
        order: of the calls of ``publish``; the store's key too.
        publish: the packet; its identifier is None as long as it waits.
        future: gets the reason code, or the error; None if nobody waits for it.
        expires_at: seconds since the epoch; None: never.
        counted: whether it takes a place of the server's Receive Maximum.
        resent: whether its PUBREL was sent on an earlier connection already.
        reason_code: what PUBREC said.
    """

    __slots__ = (
        "counted", "expires_at", "future", "order", "publish", "reason_code", "resent",
    )  # fmt: skip

    def __init__(
        self,
        order: int,
        publish: Publish,
        future: asyncio.Future[ReasonCode] | None,
        expires_at: float | None,
    ) -> None:
        self.order = order
        self.publish = publish
        self.future = future
        self.expires_at = expires_at
        self.counted = False
        self.resent = False
        self.reason_code = ReasonCode.SUCCESS

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for its end."""
        return self.future is not None and not self.future.done()


class Outgoing:
    """The sender's part of the session state; does no I/O.

    Whoever has it sends what `add` and `next` tell, and hands over each acknowledgement. A message
    that was sent goes on to its end even if nobody waits for it any more, for its packet
    identifier is in use until then.

    Args:
        ids: the client's packet identifiers.
        store: keeps the same on disk, or wherever; None: the state ends with this object.
        now: the time in seconds since the epoch.
    """

    def __init__(
        self,
        ids: PacketIds,
        store: SessionStore | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ids = ids
        self._store = store
        self._now = now
        self._order = 0
        self._waiting: OrderedDict[int, Flow] = OrderedDict()
        # By packet identifier, in the order of their PUBLISH and of their PUBREC, in which they
        # are sent again [MQTT-4.6.0-1, MQTT-4.6.0-4].
        self._published: dict[int, Flow] = {}
        self._released: dict[int, Flow] = {}
        self._resending: deque[Flow] = deque()
        self._unknown: set[int] = set()  # PUBRELs that answered a PUBREC for nothing we know
        self._quota = 0  # what the server's Receive Maximum leaves (§4.9)

    def __len__(self) -> int:
        """Return how many messages are not at their end."""
        return len(self._waiting) + len(self._published) + len(self._released)

    def restore(self, entries: Iterable[OutgoingEntry]) -> None:
        """Go on with what the store has kept, in order."""
        for entry in entries:
            # Of a released one the message itself is of no use any more.
            publish = entry.publish or Publish("-", b"", 2, packet_id=entry.packet_id)
            flow = Flow(entry.order, publish, None, entry.expires_at)
            self._order = max(self._order, entry.order)
            if entry.packet_id is None:
                self._waiting[entry.order] = flow
                continue
            publish.packet_id = entry.packet_id
            self._ids.use(entry.packet_id)
            stage = self._released if entry.stage == "pubrel" else self._published
            stage[entry.packet_id] = flow

    def kept(self) -> list[OutgoingEntry]:
        """Return the same as it would be restored; nobody waits for it any more."""
        found = [_entry(flow, "publish") for flow in self._waiting.values()]
        found += [_entry(flow, "publish") for flow in self._published.values()]
        found += [_entry(flow, "pubrel") for flow in self._released.values()]
        return sorted(found, key=lambda entry: entry.order)

    # The connection.

    def opened(self, receive_maximum: int, *, session_present: bool) -> list[PubRel]:
        """Begin on a new connection; return what to send before all that `next` returns.

        Without a session at the server, what had been sent is given up with `SessionLost`; but at
        QoS 1 what nobody waits for is sent as a new message, since it may arrive twice.
        """
        self._quota = receive_maximum
        if not session_present:
            self._give_up()
            return []
        self._resending.extend(self._published.values())
        for flow in self._released.values():
            flow.resent = True
        return [PubRel(packet_id) for packet_id in self._released]

    def _give_up(self) -> None:
        lost = [*self._published.items(), *self._released.items()]
        self._published.clear()
        self._released.clear()
        again: list[Flow] = []
        for packet_id, flow in lost:
            self._release(flow, packet_id)
            if flow.publish.qos == 1 and not flow.awaited:
                again.append(flow)
                continue
            text = "the server forgot the session before it had acknowledged the message"
            self._end(flow, SessionLost(text))
        for flow in reversed(again):
            flow.publish.packet_id = None
            flow.publish.duplicate = False
            self._put(flow, "publish")
            self._waiting[flow.order] = flow
            self._waiting.move_to_end(flow.order, last=False)

    def lost(self) -> None:
        """Note that the connection is over: send nothing until the next one."""
        self._quota = 0
        self._resending.clear()
        for flow in (*self._published.values(), *self._released.values()):
            flow.counted = False
        for packet_id in self._unknown:
            self._ids.release(packet_id)
        self._unknown.clear()

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that there will be no other connection.

        What was sent stays in the session, and what nobody waits for.
        """
        for flow in [flow for flow in self._waiting.values() if flow.future is not None]:
            del self._waiting[flow.order]
            # Whose caller has an outcome, it is about to be withdrawn.
            self._end(flow, connection_error(error, sent=False) if flow.awaited else None)
        for flow in (*self._published.values(), *self._released.values()):
            if flow.future is not None and not flow.future.done():
                flow.future.set_exception(connection_error(error, sent=True))

    # Sending.

    def add(
        self,
        publish: Publish,
        future: asyncio.Future[ReasonCode] | None,
        *,
        lifetime: float | None = None,
        at_once: bool,
    ) -> Flow:
        """Take over a message of QoS 1 or 2.

        With ``at_once``, and if it is its turn and the server wants one more, it gets its packet
        identifier and is to be sent now.

        Args:
            publish: without a packet identifier.
            future: gets the reason code, or the error; None if nobody waits for it.
            lifetime: its Message Expiry Interval, if it has one.
            at_once: whether it can be sent now.

        Raises:
            Error: the store does not take it; nothing has changed.
        """
        self._order += 1
        expires_at = None if lifetime is None else self._now() + lifetime
        flow = Flow(self._order, publish, future, expires_at)
        if at_once and self._quota and not self._waiting and not self._resending:
            packet_id = self._ids.take(spare=_SPARE)
            if packet_id is not None:
                self._begin(flow, packet_id)
                return flow
        self._put(flow, "publish")
        self._waiting[flow.order] = flow
        return flow

    def next(self) -> Publish | None:
        """Return the next PUBLISH to send; None: there is none, or the server wants no more."""
        while self._quota:
            if self._resending:
                flow = self._resending.popleft()
                if self._published.get(cast("int", flow.publish.packet_id)) is not flow:
                    continue  # the server acknowledged it unasked
                return self._again(flow)
            if not self._waiting:
                return None
            flow = next(iter(self._waiting.values()))
            if flow.expires_at is not None:
                try:
                    flow.publish = shortened(flow.publish, flow.expires_at - self._now())
                except MessageExpired as error:
                    del self._waiting[flow.order]
                    self._end(flow, error)
                    continue
            packet_id = self._ids.take(spare=_SPARE)
            if packet_id is None:
                return None
            del self._waiting[flow.order]
            self._begin(flow, packet_id)
            return flow.publish
        return None

    def _begin(self, flow: Flow, packet_id: int) -> None:
        flow.publish.packet_id = packet_id
        if self._store is not None:
            try:
                self._put(flow, "publish")
            except Exception:
                self._ids.release(packet_id)
                raise
        self._published[packet_id] = flow
        flow.counted = True
        self._quota -= 1

    def _again(self, flow: Flow) -> Publish:
        if flow.expires_at is not None:
            left = flow.expires_at - self._now()
            flow.publish = shortened(flow.publish, left, sent=True)
        flow.publish.duplicate = True  # [MQTT-3.3.1-1]
        flow.counted = True
        self._quota -= 1
        return flow.publish

    def refuse(self, publish: Publish, error: Exception) -> None:
        """Give up what `add` or `next` returned: it cannot be sent on this connection."""
        packet_id = cast("int", publish.packet_id)
        if publish.duplicate and publish.qos == 2:
            # The server may hold the identifier; the next connection may take the message.
            flow = self._published[packet_id]
            if flow.counted:
                flow.counted = False
                self._quota += 1
            _tell(flow, error)
            flow.future = None
            return
        flow = self._published.pop(packet_id)
        self._release(flow, packet_id)
        self._end(flow, error)

    def expire(self, flow: Flow) -> None:
        """Note that a message's time is over; give it up with `MessageExpired` if it waits."""
        if self._waiting.pop(flow.order, None) is not None:
            self._end(flow, MessageExpired("the message expired before it was sent"))

    def withdraw(self, flow: Flow) -> None:
        """Note that the caller has left; forget the message unless it was sent."""
        flow.future = None
        if self._waiting.pop(flow.order, None) is not None:
            self._end(flow, None)

    # Acknowledgements; for one that answers nothing of ours the connection has to end.

    def acknowledged(self, packet: PubAck) -> None:
        """Take a PUBACK, the end of a message of QoS 1."""
        packet_id = packet.packet_id
        flow = self._published.get(packet_id)
        if flow is None or flow.publish.qos != 1:
            raise Violation("PUBACK for no PUBLISH of QoS 1", ReasonCode.PROTOCOL_ERROR)
        del self._published[packet_id]
        self._ids.release(packet_id)
        if flow.counted:
            self._quota += 1
        code = flow.reason_code = packet.reason_code
        self._end(flow, None if code < 0x80 else _refusal(packet))

    def received(self, packet: PubRec) -> PubRel | None:
        """Take a PUBREC; return the answer, if it gets one."""
        packet_id = packet.packet_id
        flow = self._published.get(packet_id)
        if flow is None:
            return self._received_again(packet)
        if flow.publish.qos != 2:
            raise Violation("PUBREC for a PUBLISH of QoS 1", ReasonCode.PROTOCOL_ERROR)
        del self._published[packet_id]
        refusal = _refusal(packet)
        if refusal is not None:
            self._release(flow, packet_id)
            self._end(flow, refusal)
            return None
        flow.reason_code = packet.reason_code
        flow.publish = Publish("-", b"", 2, packet_id=packet_id)  # the payload may go
        self._released[packet_id] = flow
        self._put(flow, "pubrel")
        return PubRel(packet_id)

    def _received_again(self, packet: PubRec) -> PubRel | None:
        packet_id = packet.packet_id
        if packet_id in self._released:
            return PubRel(packet_id)  # [MQTT-4.3.3-4]
        if packet_id in self._ids and packet_id not in self._unknown:
            raise Violation("PUBREC for what is no PUBLISH", ReasonCode.PROTOCOL_ERROR)
        if packet.reason_code >= 0x80:
            return None
        # The server's session holds what ours does not; this lets it end the matter (§3.6.2.1).
        self._unknown.add(packet_id)
        self._ids.use(packet_id)
        return PubRel(packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)

    def completed(self, packet: PubComp) -> None:
        """Take a PUBCOMP, the end of a message of QoS 2."""
        flow = self._released.pop(packet.packet_id, None)
        if flow is not None:
            self._release(flow, packet.packet_id)
            # Where our PUBREL went out twice, the server has completed it at the first.
            self._end(flow, None if flow.resent else _refusal(packet))
        elif packet.packet_id in self._unknown:
            self._unknown.discard(packet.packet_id)
            self._ids.release(packet.packet_id)
        else:
            raise Violation("PUBCOMP for no PUBREL", ReasonCode.PROTOCOL_ERROR)

    # Common to all of these.

    def _release(self, flow: Flow, packet_id: int) -> None:
        """Make room for another one."""
        self._ids.release(packet_id)
        if flow.counted:
            self._quota += 1

    def _end(self, flow: Flow, error: Exception | None) -> None:
        if self._store is not None:
            self._store.remove_outgoing(flow.order)
        if error is not None:
            _tell(flow, error)
        elif flow.future is not None and not flow.future.done():
            flow.future.set_result(flow.reason_code)

    def _put(self, flow: Flow, stage: Literal["publish", "pubrel"]) -> None:
        if self._store is not None:
            self._store.put_outgoing(_entry(flow, stage))


def _entry(flow: Flow, stage: Literal["publish", "pubrel"]) -> OutgoingEntry:
    publish = flow.publish
    kept = publish if stage == "publish" else None
    return OutgoingEntry(flow.order, publish.packet_id, stage, kept, flow.expires_at)


def _tell(flow: Flow, error: Exception) -> None:
    """Tell whoever waits for the message, or else the event loop's exception handler."""
    if flow.awaited:
        cast("asyncio.Future[ReasonCode]", flow.future).set_exception(error)
    elif not isinstance(error, MessageExpired):  # that is as it was wanted
        asyncio.get_running_loop().call_exception_handler(
            {"message": "an MQTT message that nobody waits for was given up", "exception": error}
        )


def _refusal(packet: PubAck | PubRec | PubComp) -> MqttCodeError | None:
    if packet.reason_code < 0x80:
        return None
    return MqttCodeError("the server refused the message", packet.reason_code, packet.properties)
