"""Incoming messages of QoS 1 and 2: each QoS 2 only once, acknowledgements in order of receipt.

Source: MQTT 5.0, sections 4.3, 4.4 and 4.6.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from wirekit.protocols.mqtt import PubAck, PubComp, Publish, PubRec, ReasonCode, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wirekit.protocols.mqtt import PubRel

    from ._store import SessionStore

__all__ = ["Incoming"]


class _Receipt:
    """One message of the server's and how far we are with it.

    Attributes:
        packet_id: the server's.
        message: None once it is acknowledged.
        digest: of its topic and payload, in place of the message.
        qos: 1 or 2.
        consumers: how many have yet to take it.
        here: whether its PUBLISH came on the present connection, so that it is to be answered.
        due: whether its acknowledgement is to be sent, once or once more.
        recorded: whether PUBREC was sent, ever.
    """

    __slots__ = ("consumers", "digest", "due", "here", "message", "packet_id", "qos", "recorded")

    def __init__(self, packet_id: int, message: Publish | None, qos: int) -> None:
        self.packet_id = packet_id
        self.message = message
        self.qos = qos
        self.consumers = 1
        self.digest = 0
        self.here = self.due = True
        self.recorded = False

    def is_of(self, message: Publish) -> bool:
        """Whether this is a receipt for the same message, sent again."""
        if self.message is None:
            return self.digest == _digest(message)
        return self.message.topic == message.topic and self.message.payload == message.payload


class Incoming:
    """The receiver's part of the session state; does no I/O.

    A message is acknowledged (PUBACK, PUBREC) when the application has taken it, and not before
    those of the same QoS that came earlier [MQTT-4.6.0-2, MQTT-4.6.0-3]. One that was not, and is
    sent again on the next connection, is not delivered again.

    Args:
        send: sends an acknowledgement on the present connection.
        store: keeps QoS 2's part; None: the state ends with this object.

    Attributes:
        unacknowledged: how many messages came on this connection and are not acknowledged.
    """

    def __init__(
        self, send: Callable[[PubAck | PubRec | PubComp], None], store: SessionStore | None = None
    ) -> None:
        self._send = send
        self._store = store
        self._receipts: dict[int, _Receipt] = {}
        # What came on this connection and is not acknowledged, in order; by QoS.
        self._due: tuple[deque[_Receipt], deque[_Receipt]] = (deque(), deque())

    @property
    def unacknowledged(self) -> int:
        """How many messages came on this connection and are not acknowledged."""
        return len(self._due[0]) + len(self._due[1])

    def restore(self, kept: Mapping[int, Publish | None]) -> list[Publish]:
        """Go on with what the store has kept of QoS 2; return what is yet to be delivered."""
        for packet_id, message in kept.items():
            receipt = self._receipts[packet_id] = _Receipt(packet_id, message, 2)
            receipt.here = receipt.due = False
            receipt.recorded = message is None
        return [message for message in kept.values() if message is not None]

    def kept(self) -> dict[int, Publish | None]:
        """Return the same of QoS 2 as it would be restored; of QoS 1 the server sends all again."""
        receipts = self._receipts.values()
        return {receipt.packet_id: receipt.message for receipt in receipts if receipt.qos == 2}

    # The connection.

    def opened(self, *, session_present: bool) -> None:
        """Begin on a new connection; without a session at the server all is forgotten."""
        if not session_present:
            if self._store is not None:
                for receipt in self._receipts.values():
                    if receipt.qos == 2:
                        self._store.remove_incoming(receipt.packet_id)
            self._receipts.clear()

    def lost(self) -> None:
        """Note that the connection is over: what is acknowledged now has to wait."""
        for queue in self._due:
            for receipt in queue:
                receipt.here = receipt.due = False
            queue.clear()

    # What the server sends.

    def received(self, message: Publish) -> bool:
        """Take a PUBLISH of QoS 1 or 2; return whether it is new, and so to be delivered."""
        packet_id = message.packet_id or 0
        receipt = self._receipts.get(packet_id)
        if receipt is not None and self._is_known(receipt, message):
            return False
        receipt = self._receipts[packet_id] = _Receipt(packet_id, message, message.qos)
        self._due[message.qos - 1].append(receipt)
        if message.qos == 2 and self._store is not None:
            self._store.put_incoming(packet_id, message)
        return True

    def _is_known(self, receipt: _Receipt, message: Publish) -> bool:
        """Take a PUBLISH with an identifier that is in use; False: it is a new message."""
        if receipt.qos != message.qos:
            if receipt.here or receipt.qos == 2:
                text = "a message with the identifier of another that is under way"
                raise Violation(text, ReasonCode.PROTOCOL_ERROR)
            return False
        if receipt.here and not receipt.recorded:
            # 3.1.1 lets a server send again what is not acknowledged yet; one answer is enough.
            if message.duplicate and (receipt.qos == 2 or receipt.is_of(message)):
                return True
            text = "a message with the identifier of another that is not acknowledged"
            raise Violation(text, ReasonCode.PROTOCOL_ERROR)
        # QoS 2 is known by its identifier alone [MQTT-4.3.3-10]. At QoS 1 the server may have given
        # up the old message, and sent a new one that was lost on its first way.
        if receipt.qos == 1 and not (message.duplicate and receipt.is_of(message)):
            return False
        receipt.here = True
        if not receipt.due:
            receipt.due = True
            self._due[receipt.qos - 1].append(receipt)
            self._acknowledge(receipt.qos)
        return True

    def released(self, packet: PubRel) -> None:
        """Take a PUBREL: what comes with this identifier from now on is a new message."""
        receipt = self._receipts.get(packet.packet_id)
        if receipt is None or receipt.qos != 2:
            # Where an earlier PUBCOMP was lost this is in order, and the server has to know.
            self._send(PubComp(packet.packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND))
            return
        if not receipt.recorded:
            raise Violation("PUBREL before its PUBREC", ReasonCode.PROTOCOL_ERROR)
        del self._receipts[packet.packet_id]
        if self._store is not None:
            self._store.remove_incoming(packet.packet_id)
        self._send(PubComp(packet.packet_id))

    # What the application does.

    def share(self, message: Publish, consumers: int) -> None:
        """Note how many consumers have to take a message that was just received."""
        self._receipts[message.packet_id or 0].consumers = consumers

    def taken(self, message: Publish) -> None:
        """Note that one of its consumers has a message; the last one acknowledges it."""
        receipt = self._receipts.get(message.packet_id or 0)
        # Else it is of a session that the server has forgotten.
        if receipt is not None and receipt.message is message:
            receipt.consumers -= 1
            if receipt.consumers == 0:
                self._done(receipt)

    def acknowledge(self, message: Publish) -> bool:
        """Acknowledge for all consumers; return whether that was still to be done."""
        receipt = self._receipts.get(message.packet_id or 0)
        if receipt is None or receipt.message is not message:
            return False
        self._done(receipt)
        return True

    def _done(self, receipt: _Receipt) -> None:
        due = self._due[0]
        if receipt.qos == 1 and receipt.message is not None and not (due and due[0] is receipt):
            receipt.digest = _digest(receipt.message)  # for it is kept for a while
        receipt.message = None
        if receipt.qos == 2 and self._store is not None:
            self._store.put_incoming(receipt.packet_id, None)
        self._acknowledge(receipt.qos)

    def _acknowledge(self, qos: int) -> None:
        """Send the acknowledgements whose turn it is."""
        due = self._due[qos - 1]
        while due and due[0].message is None:
            receipt = due.popleft()
            receipt.due = False
            if qos == 1:
                del self._receipts[receipt.packet_id]
                self._send(PubAck(receipt.packet_id))
            elif self._receipts.get(receipt.packet_id) is receipt:  # not released meanwhile
                receipt.recorded = True
                self._send(PubRec(receipt.packet_id))


def _digest(message: Publish) -> int:
    return hash((str(message.topic), message.payload))
