# cython: annotation_typing=False
"""The sending half of a `Codec`: packets into bytes, as far as both ends agreed on them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError

from ._agreement import CHANGING, NAMES, Agreement, other
from ._aliases import Aliases
from ._control_packets import Connect
from ._encoding import ENCODERS, encode, encode_acknowledgement
from ._faults import Violation, as_local
from ._packets import Acknowledgement, PubAck, PubComp, Publish, PubRec, PubRel
from ._properties import write_properties
from ._reason_codes import ReasonCode
from ._received import Unacknowledged
from ._writer import integer_size, publish_length, write_acknowledgement, write_publish

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._control_packets import Packet
    from ._reason_codes import Role

__all__ = ["Sender", "State"]

_ALONE = 16384
_SMALLEST = 4  # bytes of a plain acknowledgement
_PUBLISH = 3
_PUBACK = 4
_PUBREC = 5
_PUBREL = 6
_PUBCOMP = 7
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
        "_largest",
        "_maximum_packet_size",
        "_may_receive",
        "_may_send",
        "_own",
        "_peer",
        "_peer_role",
        "_state",
        "_unacknowledged",
        "_version",
        "role",
    )

    def __init__(
        self,
        role: Role,
        version: int | None,
        maximum_packet_size: int,
        automatic_topic_aliases: bool,
    ) -> None:
        self.role: Role = role
        self._peer_role: Role = other(role)
        self._maximum_packet_size = maximum_packet_size
        self._version = version or 0
        self._automatic_topic_aliases = bool(automatic_topic_aliases)
        self._agreement = Agreement(version)
        self._failed = False  # the peer broke a rule
        self._state = _CONNECTING
        self._unacknowledged = Unacknowledged()
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

    def send(self, *packets: Packet) -> bytes:
        """Return packets in bytes.

        Raises:
            LocalProtocolError: one of them cannot be sent to this peer, or not now. Then none
                counts as sent.
        """
        if len(packets) == 1 and type(packets[0]) is Publish:
            return self._write_publish(packets[0], True)
        pieces = self._pack(packets, False)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send_buffers(self, *packets: Packet) -> list[Buffer]:
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
        self._version = agreement.version or 0
        self._own = agreement.accepts[self.role]
        self._peer = agreement.accepts[self._peer_role]
        self._may_receive = agreement.may_send[self._peer_role]
        self._may_send = agreement.may_send[self.role]
        self._largest = min(self._maximum_packet_size, self._own.maximum_packet_size)
        if self.role == "client" and not agreement.connected:
            self._may_send &= _CONNECTING_KINDS  # before the server has told its limits
        if self._failed:
            self._may_send &= _LAST_KINDS
        elif agreement.ended_by:
            self._state = _CLOSED
        elif agreement.connected:
            self._state = _CONNECTED
        else:
            self._state = _CONNECTING
        if self._automatic_topic_aliases and not self._given_aliases:
            self._aliases.most = self._peer.topic_alias_maximum

    def _end_output(self) -> None:
        """Send nothing more but what ends the connection, after a fault of the peer."""
        self._failed = True
        self._state = _ERROR
        self._may_send &= _LAST_KINDS

    def _refuse_output(self, kind: int) -> LocalProtocolError:
        if self._failed or (self._state is _CLOSED and not self._agreement.ended_by):
            return LocalProtocolError(f"{NAMES[kind]} cannot be sent in state {self._state.name}")
        return as_local(self._agreement.out_of_place(kind, self.role), self._version)

    # PUBLISH

    def _write_publish(self, packet: Publish, whole: bool) -> bytes:
        """Return a PUBLISH, with its payload or without."""
        if not self._may_send >> _PUBLISH & 1:
            raise self._refuse_output(_PUBLISH)
        packet_id = self._check_publish(packet)
        block = b""
        given = 0  # a Topic Alias by the caller
        alias = 0  # one by ourselves
        properties = packet._properties  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if properties:
            block = self._write_publish_properties(packet, properties)
            given = properties.get("topic_alias", 0)
        elif not packet.topic:
            raise LocalProtocolError("a topic name without a character [MQTT-4.7.3-1]")
        if given == 0 and self._aliases.most:
            alias = self._aliases.find(packet.topic)
        length = publish_length(packet, self._version, alias, block)
        size = 1 + integer_size(length) + length
        if size > self._peer.maximum_packet_size:
            raise self._too_large(size)
        if given:
            # Who gives one alias gives all of them.
            self._given_aliases.add(given)
            self._aliases.forget()
            self._aliases.most = 0
        elif alias < 0:
            self._aliases.give(packet.topic, -alias)
        return write_publish(packet, self._version, alias, block, packet_id, length, whole)

    def _check_publish(self, packet: Publish) -> int:
        """Check what is no property, and return the packet identifier, 0 with QoS 0."""
        qos = packet.qos
        if qos > self._peer.maximum_qos:
            raise LocalProtocolError(f"the server takes no QoS {qos} [MQTT-3.2.2-11]")
        if packet.retain and not self._peer.retain_available:
            raise LocalProtocolError("the server retains no messages [MQTT-3.2.2-14]")
        packet_id = packet.packet_id
        if qos == 0:
            if packet_id is not None:
                raise LocalProtocolError("QoS 0 has no packet identifier [MQTT-2.2.1-2]")
            if packet.duplicate:
                raise LocalProtocolError("QoS 0 is never a duplicate [MQTT-3.3.1-2]")
            return 0
        if type(packet_id) is not int or not 1 <= packet_id <= 65535:
            text = f"QoS {qos} needs a packet identifier from 1 to 65535 [MQTT-2.2.1-3]"
            raise LocalProtocolError(text)
        return packet_id

    def _write_publish_properties(self, packet: Publish, properties: Any) -> bytes:
        if self._version == 4:
            raise LocalProtocolError("3.1.1 does not know properties")
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
        elif type(packet) is PubComp:
            kind = _PUBCOMP
        else:
            raise LocalProtocolError(f"{type(packet).__name__} is no packet")
        if not self._may_send >> kind & 1:
            raise self._refuse_output(kind)
        code = packet.reason_code
        properties = packet._properties  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if not properties and (code is _SUCCESS or code == 0):
            if self._peer.maximum_packet_size < _SMALLEST:
                raise self._too_large(_SMALLEST)
            first = kind << 4 | (0x02 if kind == _PUBREL else 0)
            return write_acknowledgement(first, packet.packet_id)
        data = encode_acknowledgement(kind, packet, self._version)
        self._agreement.check_explanation(packet.properties, self.role)
        if len(data) > self._peer.maximum_packet_size:
            raise self._too_large(len(data))
        return data

    def _acknowledge(self, packet: Acknowledgement) -> None:
        """Count a PUBLISH of the peer as acknowledged, if this does it (§4.9)."""
        kind = type(packet)
        if kind is PubAck or kind is PubComp or (kind is PubRec and packet.reason_code >= 0x80):
            self._unacknowledged.remove(packet.packet_id)

    def _write_control(self, packet: Any) -> bytes:
        entry = ENCODERS.get(packet.__class__)
        if entry is None:
            raise LocalProtocolError(f"{type(packet).__name__} is no packet")
        if not self._may_send >> entry[0] & 1:
            raise self._refuse_output(entry[0])
        if type(packet) is Connect and packet.version != self._version:
            raise LocalProtocolError(f"a CONNECT of version {packet.version} on {self._version}")
        data = encode(packet, self._version)
        self._agreement.check(packet, self.role)
        if len(data) > self._peer.maximum_packet_size:
            raise self._too_large(len(data))
        self._take(packet, self.role)
        return data

    def _take(self, packet: Any, sender: Role) -> None:
        """Go on after a packet that may change what is agreed."""
        if type(packet) in CHANGING:
            self._agreement.take(packet, sender)
            self._refresh()
