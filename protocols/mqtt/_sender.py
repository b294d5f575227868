# cython: annotation_typing=False
"""The sending half of a `Codec`: packets into bytes, as far as both ends agreed on them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError
from wirekit.protocols.mqtt import _primitives

from ._agreement import CHANGING, NAMES, Agreement, other
from ._aliases import Aliases
from ._encoding import ENCODERS, acknowledgement, encode
from ._faults import Violation, as_local
from ._packets import Acknowledgement, PubAck, PubComp, Publish, PubRec, PubRel
from ._properties import write_properties
from ._reason_codes import ReasonCode

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._reason_codes import Role

__all__ = ["Sender", "State"]

_ALONE = 16384
_PUBLISH = 3
_PUBACK = 4
_PUBREC = 5
_PUBREL = 6
_PUBCOMP = 7
_TOPIC_ALIAS = 0x23  # §3.3.2.3.4
_ALIAS_SIZE = 3
_CONNECTING_KINDS = 1 << 1 | 1 << 14 | 1 << 15
_LAST_KINDS = 1 << 2 | 1 << 14  # what may follow a fault of the peer: a refusal, or DISCONNECT

_SUCCESS = ReasonCode.SUCCESS


class State(Enum):
    """How far a connection is; ``ERROR`` is for good."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    ERROR = "error"


_CONNECTING = State.CONNECTING
_CONNECTED = State.CONNECTED
_CLOSED = State.CLOSED
_ERROR = State.ERROR


class Sender:
    """Sends what the peer accepts; `Codec` is the whole."""

    __slots__ = (
        "_agreement",
        "_aliases",
        "_automatic_topic_aliases",
        "_failed",
        "_given_aliases",
        "_may_receive",
        "_may_send",
        "_own",
        "_peer",
        "_stage",
        "_state",
        "_unacknowledged",
        "_unacknowledged_count",
        "_version",
        "role",
    )

    def __init__(self, role: Role, version: int | None, automatic_topic_aliases: bool) -> None:
        self.role = role
        self._version = version or 0
        self._automatic_topic_aliases = bool(automatic_topic_aliases)
        self._agreement = Agreement(version)
        self._failed = False  # the peer broke a rule
        self._state = _CONNECTING
        self._stage = _CONNECTING  # what _state is when no fault is known
        # Packet Identifiers of what was received and not acknowledged, with a bit for each.
        self._unacknowledged = bytearray()
        self._unacknowledged_count = 0
        self._aliases = Aliases()
        self._given_aliases: set[int] = set()  # those that the caller gave
        self._refresh()

    @property
    def state(self) -> State:
        """How far the connection is: see `State`."""
        return self._state

    @property
    def version(self) -> int | None:
        """5, or 4 for 3.1.1; None until a CONNECT tells."""
        return self._version or None

    @property
    def peer_receive_maximum(self) -> int:
        """How many PUBLISH packets of QoS 1 and 2 the peer accepts unacknowledged."""
        return self._peer.receive_maximum

    @property
    def peer_maximum_packet_size(self) -> int:
        """How many bytes a packet to the peer may have."""
        return self._peer.maximum_packet_size

    @property
    def peer_topic_alias_maximum(self) -> int:
        """The highest Topic Alias that the peer accepts; 0 if none."""
        return self._peer.topic_alias_maximum

    @property
    def peer_maximum_qos(self) -> int:
        """The highest QoS that the peer accepts."""
        return self._peer.maximum_qos

    @property
    def peer_retain_available(self) -> bool:
        """Whether the peer keeps messages."""
        return self._peer.retain_available

    @property
    def peer_wildcard_subscription_available(self) -> bool:
        """Whether the peer takes Topic Filters with wildcards."""
        return self._peer.wildcard_subscription_available

    @property
    def peer_subscription_identifier_available(self) -> bool:
        """Whether the peer takes Subscription Identifiers."""
        return self._peer.subscription_identifier_available

    @property
    def peer_shared_subscription_available(self) -> bool:
        """Whether the peer takes shared subscriptions."""
        return self._peer.shared_subscription_available

    def send(self, *packets: Any) -> bytes:
        """Return packets in bytes.

        Raises:
            LocalProtocolError: one of them cannot be sent to this peer, or not now. Then none
                counts as sent.
        """
        if len(packets) == 1 and type(packets[0]) is Publish:
            return self._write_publish(packets[0], True)
        pieces = self._pack(packets, False)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send_buffers(self, *packets: Any) -> list[Buffer]:
        """Return the same as `send` in pieces; payloads of 16 KiB and more stand alone, uncopied.

        Raises:
            LocalProtocolError: as `send`.
        """
        buffers: list[Buffer] = []
        small: list[Any] = []
        for piece in self._pack(packets, True):
            if len(piece) >= _ALONE:
                if small:
                    buffers.append(b"".join(small))
                    small = []
                buffers.append(piece)
            else:
                small.append(piece)
        if small or not buffers:
            buffers.append(b"".join(small))
        return buffers

    def _pack(self, packets: tuple[Any, ...], apart: bool) -> list[Any]:
        pieces: list[Any] = []
        agreement: Agreement | None = None
        try:
            for packet in packets:
                if type(packet) is Publish:
                    alone = apart and len(packet.payload) >= _ALONE
                    pieces.append(self._write_publish(packet, not alone))
                    if alone:
                        pieces.append(packet.payload)
                elif isinstance(packet, Acknowledgement):
                    pieces.append(self._write_acknowledgement(packet))
                else:
                    if agreement is None:
                        agreement = self._agreement.copy()
                    pieces.append(self._write_control(packet))
        except BaseException as exc:
            self._take_back(agreement)
            if isinstance(exc, Violation):
                raise as_local(exc, self._version) from None
            raise
        for packet in packets:
            if isinstance(packet, Acknowledgement):
                self._acknowledge(packet)
        return pieces

    def _take_back(self, agreement: Agreement | None) -> None:
        """Be as before: nothing of this call is sent."""
        # The peer does not know the aliases given in it, so that all are given anew.
        self._aliases.forget()
        self._given_aliases.clear()
        if agreement is not None:
            self._agreement = agreement
            self._refresh()

    def _refresh(self) -> None:
        """Take over what has changed in the agreement."""
        agreement = self._agreement
        peer = other(self.role)
        self._version = agreement.version or 0
        self._own = agreement.accepts[self.role]
        self._peer = agreement.accepts[peer]
        self._may_receive = agreement.may_send[peer]
        self._may_send = agreement.may_send[self.role]
        if self.role == "client" and not agreement.connected:
            self._may_send &= _CONNECTING_KINDS  # before the server has told its limits
        if self._failed:
            self._may_send &= _LAST_KINDS
        if agreement.ended_by:
            self._stage = _CLOSED
        elif agreement.connected:
            self._stage = _CONNECTED
        else:
            self._stage = _CONNECTING
        if not self._failed:
            self._state = self._stage
        if self._automatic_topic_aliases and not self._given_aliases:
            self._aliases.most = self._peer.topic_alias_maximum

    def _refuse_output(self, kind: int) -> LocalProtocolError:
        if self._failed:
            return LocalProtocolError(f"{NAMES[kind]} cannot be sent in state ERROR")
        return as_local(self._agreement.out_of_place(kind, self.role), self._version)

    # PUBLISH

    def _write_publish(self, packet: Publish, whole: bool) -> bytes:
        """Return a PUBLISH, with its payload or without."""
        if not self._may_send >> _PUBLISH & 1:
            raise self._refuse_output(_PUBLISH)
        self._check_publish(packet)
        topic = packet.topic
        payload = packet.payload
        qos = packet.qos
        topic_size = _primitives.text_size(topic)
        remaining = 2 + topic_size + (2 if qos else 0) + len(payload)
        alias = 0
        block = b""
        length = 0  # of the properties
        if self._version == 5:
            if packet._properties:
                block = self._write_publish_properties(packet)
            elif topic_size == 0:
                raise LocalProtocolError("a topic name without a character [MQTT-4.7.3-1]")
            if topic_size > _ALIAS_SIZE and self._aliases.most:
                alias = self._aliases.find(topic)
                if alias > 0:
                    remaining -= topic_size
                    topic_size = 0
            length = len(block) + (_ALIAS_SIZE if alias else 0)
            remaining += length + _integer_size(length)
        elif packet._properties:
            raise LocalProtocolError("3.1.1 does not know properties")
        elif topic_size == 0:
            raise LocalProtocolError("a topic name without a character [MQTT-4.7.3-1]")
        size = 1 + _integer_size(remaining) + remaining
        if size > self._peer.maximum_packet_size:
            raise self._too_large(size)
        if alias < 0:
            alias = -alias
            self._aliases.give(topic, alias)
        if not whole:
            size -= len(payload)
        room = _primitives.new_bytes(size)
        place = _primitives.place_of(room)
        place[0] = (
            _PUBLISH << 4 | (8 if packet._duplicate else 0) | qos << 1 | (1 if packet.retain else 0)
        )
        position = _put_integer(place, 1, remaining)
        position = _put_uint16(place, position, topic_size)
        if topic_size:
            position = _primitives.put_text(place, position, topic)
        if qos:
            position = _put_uint16(place, position, packet._packet_id)
        if self._version == 5:
            position = _put_integer(place, position, length)
            if alias:
                place[position] = _TOPIC_ALIAS
                position = _put_uint16(place, position + 1, alias)
            position = _primitives.put_bytes(place, position, block)
        if whole:
            _primitives.put_bytes(place, position, payload)
        return _primitives.to_bytes(room)

    def _check_publish(self, packet: Publish) -> None:
        qos = packet.qos
        if qos > self._peer.maximum_qos:
            raise LocalProtocolError(f"the server takes no QoS {qos} [MQTT-3.2.2-11]")
        if packet.retain and not self._peer.retain_available:
            raise LocalProtocolError("the server retains no messages [MQTT-3.2.2-14]")
        if qos == 0:
            if packet._packet_id:
                raise LocalProtocolError("QoS 0 has no packet identifier [MQTT-2.2.1-2]")
            if packet._duplicate:
                raise LocalProtocolError("QoS 0 is never a duplicate [MQTT-3.3.1-2]")
        elif packet._packet_id == 0:
            raise LocalProtocolError(f"QoS {qos} needs a packet identifier [MQTT-2.2.1-3]")

    def _write_publish_properties(self, packet: Publish) -> bytes:
        properties = packet._properties
        try:
            block = write_properties(properties, _PUBLISH)
        except Violation as exc:
            raise as_local(exc, 5) from None
        if self.role == "client" and "subscription_identifier" in properties:
            raise LocalProtocolError("a client gives no subscription identifier [MQTT-3.3.4-6]")
        alias = properties.get("topic_alias", 0)
        if alias > self._peer.topic_alias_maximum:
            statement = "MQTT-3.2.2-17" if self.role == "client" else "MQTT-3.1.2-26"
            raise LocalProtocolError(f"the peer takes no topic alias {alias} [{statement}]")
        if not packet.topic and alias not in self._given_aliases:
            raise LocalProtocolError("a topic name without a character [MQTT-4.7.3-1]")
        if alias:
            # Who gives one alias gives all of them.
            self._given_aliases.add(alias)
            self._aliases.forget()
            self._aliases.most = 0
        return block

    def _too_large(self, size: int) -> LocalProtocolError:
        statement = "MQTT-3.2.2-15" if self.role == "client" else "MQTT-3.1.2-24"
        limit = self._peer.maximum_packet_size
        return LocalProtocolError(f"a packet of {size} bytes, and {limit} are taken [{statement}]")

    # The rest

    def _write_acknowledgement(self, packet: Acknowledgement) -> bytes:
        if type(packet) is PubAck:
            kind = _PUBACK
        elif type(packet) is PubRec:
            kind = _PUBREC
        elif type(packet) is PubRel:
            kind = _PUBREL
        else:
            kind = _PUBCOMP
        if not self._may_send >> kind & 1:
            raise self._refuse_output(kind)
        if packet.reason_code != _SUCCESS or packet._properties:
            self._agreement.check_explanation(packet.properties, self.role)
            data = acknowledgement(kind, packet, self._version)
            if len(data) > self._peer.maximum_packet_size:
                raise self._too_large(len(data))
            return data
        room = _primitives.new_bytes(4)
        place = _primitives.place_of(room)
        place[0] = kind << 4 | (2 if kind == _PUBREL else 0)
        place[1] = 2
        _put_uint16(place, 2, packet.packet_id)
        return _primitives.to_bytes(room)

    def _acknowledge(self, packet: Acknowledgement) -> None:
        """Count a PUBLISH of the peer as acknowledged, if this does it (§4.9)."""
        kind = type(packet)
        if kind is PubRel or (kind is PubRec and packet.reason_code < 0x80):
            return
        place = packet.packet_id >> 3
        bit = 1 << (packet.packet_id & 7)
        if self._unacknowledged and self._unacknowledged[place] & bit:
            self._unacknowledged[place] ^= bit
            self._unacknowledged_count -= 1

    def _write_control(self, packet: Any) -> bytes:
        entry = ENCODERS.get(type(packet))
        if entry is None:
            raise LocalProtocolError(f"{type(packet).__name__} is no packet")
        if not self._may_send >> entry[0] & 1:
            raise self._refuse_output(entry[0])
        self._agreement.check(packet, self.role)
        data = encode(packet, packet.version if entry[0] == 1 else self._version)
        if len(data) > self._peer.maximum_packet_size:
            raise self._too_large(len(data))
        self._take(packet, self.role)
        return data

    def _take(self, packet: Any, sender: Role) -> None:
        """Go on after a packet that may change what is agreed."""
        if type(packet) in CHANGING:
            self._agreement.take(packet, sender)
            self._refresh()


def _integer_size(number: int) -> int:
    """Return how many bytes a Variable Byte Integer has (§1.5.5)."""
    if number < 0x80:
        return 1
    if number < 0x4000:
        return 2
    return 3 if number < 0x200000 else 4


def _put_integer(place: Any, position: int, number: int) -> int:
    """Put a Variable Byte Integer; return where it ends."""
    while number >= 0x80:
        place[position] = number & 0x7F | 0x80
        number >>= 7
        position += 1
    place[position] = number
    return position + 1


def _put_uint16(place: Any, position: int, number: int) -> int:
    """Put a Two Byte Integer (§1.5.2); return where it ends."""
    place[position] = number >> 8
    place[position + 1] = number & 0xFF
    return position + 2
