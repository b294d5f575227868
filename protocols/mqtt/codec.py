# cython: annotation_typing=False
"""The codec of one connection, for a client or a server, of MQTT 5.0 or 3.1.1.

It knows what CONNECT and CONNACK say, so that whatever the peer sends beyond it is a fault, and
whatever we would send beyond it is refused. Of sessions, retransmission and time it knows nothing.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.mqtt import _primitives

from ._agreement import NAMES
from ._decoding import DECODERS, reason_code
from ._faults import PacketTooLarge, Violation, malformed, protocol_error
from ._packets import received_acknowledgement, received_publish
from ._properties import LARGEST_PACKET, read_properties
from ._reader import Reader
from ._reason_codes import PUBREL_CODES, RECEIVED_PUBACK_CODES, ReasonCode
from ._received import GivenAliases, KnownTopics
from ._sender import Sender, State

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._control_packets import Packet, Version
    from ._packets import Acknowledgement, Publish
    from ._reason_codes import Role

__all__ = ["Codec"]

_PUBLISH = 3
_PUBACK = 4
_PUBREC = 5
_PUBCOMP = 7

_FLAGS = (0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0)  # by type (§2.1.3)
_FLAG_STATEMENTS = {
    6: "MQTT-3.6.1-1",
    8: "MQTT-3.8.1-1",
    10: "MQTT-3.10.1-1",
    14: "MQTT-3.14.1-1",
    15: "MQTT-3.15.1-1",
}

_CLOSED = State.CLOSED
_ERROR = State.ERROR


class Codec(Sender):
    """The codec of one connection.

    Args:
        role: which end we are.
        version: 5, or 4 for 3.1.1; a server may leave it to CONNECT by None.
        maximum_packet_size: bytes of a packet that we accept; less if CONNECT or CONNACK tells
            less to the peer.
        receive_maximum: how many PUBLISH packets of QoS 1 and 2 we accept unacknowledged; None for
            as many as CONNECT or CONNACK tells the peer. There are servers that do not keep to it.
        automatic_topic_aliases: give Topic Aliases to topics that come again, as far as the peer
            accepts them.
    """

    __slots__ = (
        "_aliases_given",
        "_block",
        "_closed",
        "_fault",
        "_filled",
        "_known_topics",
        "_length",
        "_mark",
        "_needed",
        "_offset",
        "_origin",
        "_packet_id",
        "_payload",
        "_pending",
        "_publish",
        "_reader",
        "_receive_maximum",
        "_room",
        "_topic_end",
    )

    def __init__(
        self,
        role: Role = "client",
        *,
        version: Version | None = 5,
        maximum_packet_size: int = 16 * 1024 * 1024,
        receive_maximum: int | None = None,
        automatic_topic_aliases: bool = True,
    ) -> None:
        if role not in ("client", "server"):
            raise ValueError("role must be 'client' or 'server'")
        if version not in (5, 4) and (version is not None or role == "client"):
            raise ValueError("version must be 5 or 4")
        limit = index(maximum_packet_size)
        if not 16 <= limit <= LARGEST_PACKET:
            raise ValueError(f"maximum_packet_size must be from 16 to {LARGEST_PACKET}")
        most = 0 if receive_maximum is None else index(receive_maximum)
        if receive_maximum is not None and not 1 <= most <= 65535:
            raise ValueError("receive_maximum must be from 1 to 65535")
        super().__init__(role, version, limit, automatic_topic_aliases)
        self._receive_maximum = most  # 0 for what the peer was told
        self._fault: Any = RemoteProtocolError("an earlier receive_data() was interrupted")
        self._closed = False  # the end of input came
        self._offset = 0  # where in the stream the input of this call begins
        self._origin = 0  # where in the stream what is being parsed begins
        self._mark = 0  # where in it the packet begins
        self._reader = Reader()
        self._known_topics = KnownTopics()
        self._aliases_given = GivenAliases()
        self._pending = bytearray()  # a packet that is not complete, up to its payload
        self._needed = 0  # bytes that it must have to be looked at again
        self._publish: Publish | None = None  # one whose payload is not complete
        self._topic_end = 0  # where a PUBLISH has its parts
        self._packet_id = 0
        self._block = 0
        self._payload = 0
        self._length = 0  # of a payload that is not complete
        self._filled = 0  # bytes of it that are there
        self._room: Any = None  # for the payload

    @property
    def trailing_data(self) -> bytes:
        """What came of a packet that is not complete; empty after an error."""
        if self._publish is None:
            return bytes(self._pending)
        return bytes(self._pending) + _primitives.to_bytes(self._room)[: self._filled]

    def receive_data(self, data: Buffer) -> list[Packet]:
        """Take bytes from the peer and return the packets that they complete.

        A `Publish` has its payload as ``bytes`` of its own, and its Topic Alias resolved.

        Raises:
            Violation: the peer broke a rule of the standard; ``events`` holds what was complete
                before. Every later call raises it again, without events. DISCONNECT can still be
                sent, or a CONNACK that refuses.
            LocalProtocolError: called after `receive_eof`.
        """
        if self._state is _ERROR or self._closed:
            raise self._refuse_input()
        events: list[Any] = []
        buffer = _primitives.open_buffer(data)
        try:
            self._receive(_primitives.buffer_data(buffer), _primitives.buffer_size(buffer), events)
        except BaseException as exc:  # an interrupted parse cannot go on either
            self._fail(exc, events)
            raise
        finally:
            _primitives.close_buffer(buffer)
        return events

    def receive_eof(self) -> list[Packet]:
        """Take the end of the peer's bytes; it completes nothing, so the list is empty.

        Raises:
            Violation: the end came inside a packet, or after an earlier fault.
        """
        if self._state is _ERROR:
            raise self._refuse_input()
        if self._pending:
            self._mark = 0
            self._origin = self._offset - len(self._pending) - self._filled
            fault = malformed("end of input inside a packet")
            self._fail(fault, [])
            raise fault
        self._closed = True
        self._state = _CLOSED
        self._may_send = 0
        return []

    def _fail(self, fault: BaseException, events: list[Any]) -> None:
        if isinstance(fault, Violation):
            fault.place(self._origin + self._mark, self._version)
            fault.events = events
            self._fault = fault.again()
        self._end_output()
        self._pending.clear()
        self._forget_payload()

    def _refuse_input(self) -> Exception:
        if self._state is not _ERROR:
            return LocalProtocolError("data received after receive_eof()")
        if isinstance(self._fault, Violation):
            return self._fault.again()
        return RemoteProtocolError(*self._fault.args)

    # Input

    def _receive(self, data: bytes, size: int, events: list[Any]) -> None:
        self._origin = self._offset
        position = 0
        while position < size:
            if self._publish is not None:
                position = self._take_payload(data, position, size, events)
            elif self._pending:
                position = self._take_pending(data, position, size, events)
            else:
                position = self._parse(data, position, size, events)
                if position < size:
                    self._pending += _primitives.read_bytes(data, position, size)
                    break
        self._offset += size

    def _take_pending(self, data: bytes, position: int, size: int, events: list[Any]) -> int:
        """Complete what is needed to go on with a packet; return where the rest begins."""
        end = min(position + self._needed - len(self._pending), size)
        self._pending += _primitives.read_bytes(data, position, end)
        if len(self._pending) < self._needed:
            return end
        begun = bytes(self._pending)
        self._pending.clear()
        self._origin = self._offset + end - len(begun)
        if self._parse(begun, 0, len(begun), events) == 0:
            self._pending += begun
        self._origin = self._offset
        return end

    def _take_payload(self, data: bytes, position: int, size: int, events: list[Any]) -> int:
        """Take what comes of a PUBLISH's payload; return where the rest begins."""
        packet = self._publish
        end = min(position + self._length - self._filled, size)
        place = _primitives.place_of(self._room)
        self._filled = _primitives.put_span(place, self._filled, data, position, end)
        if self._filled == self._length and packet is not None:
            packet.payload = _primitives.to_bytes(self._room)
            events.append(packet)
            self._pending.clear()
            self._forget_payload()
        return end

    def _forget_payload(self) -> None:
        self._publish = None
        self._room = None
        self._filled = 0

    def _parse(  # noqa: C901
        self, data: bytes, position: int, size: int, events: list[Any]
    ) -> int:
        """Read packets from ``position`` on; return where one begins that is not complete.

        The payload of a PUBLISH may be all that misses; then this is ``size``. One long loop,
        because all packets pass here.
        """
        while position < size:
            self._mark = position
            first = data[position]
            kind = first >> 4
            if not self._may_receive >> kind & 1:
                raise self._agreement.out_of_place(kind, self._peer_role)
            if kind == _PUBLISH:
                if first & 0x06 == 0x06:
                    raise malformed("a PUBLISH of QoS 3", "MQTT-3.3.1-4")
                if first & 0x0E == 0x08:
                    raise malformed("a duplicate PUBLISH of QoS 0", "MQTT-3.3.1-2")
            elif first & 0x0F != _FLAGS[kind]:
                statement = _FLAG_STATEMENTS.get(kind, "MQTT-2.1.3-1")
                raise malformed(f"{NAMES[kind]} with wrong flags", statement)
            # The Remaining Length is a Variable Byte Integer (§1.5.5).
            start = position + 1
            length = 0
            shift = 0
            byte = 0x80
            while byte >= 0x80:
                if shift > 21:
                    raise malformed("a remaining length in more than four bytes", "MQTT-1.5.5-1")
                if start == size:
                    self._needed = size - position + 1
                    return position
                byte = data[start]
                length |= (byte & 0x7F) << shift
                shift += 7
                start += 1
            if byte == 0 and shift > 7:
                raise malformed("a remaining length in more bytes than it needs", "MQTT-1.5.5-1")
            end = start + length
            if end - position > self._largest:
                raise self._too_large_for_us(end - position)
            if kind == _PUBLISH:
                publish = self._read_publish(data, first, start, end, min(end, size))
                if publish is None:
                    self._needed -= position
                    return position
                if end > size:
                    self._begin_payload(publish, data, position, end, size)
                    return size
                publish.payload = _primitives.read_bytes(data, self._payload, end)
                events.append(publish)
            elif end > size:
                self._needed = end - position
                return position
            elif _PUBACK <= kind <= _PUBCOMP:
                events.append(self._read_acknowledgement(data, kind, start, end))
            else:
                events.append(self._read_control(data, kind, start, end))
            position = end
        return position

    def _too_large_for_us(self, size: int) -> PacketTooLarge:
        text = f"a packet of {size} bytes, and the limit is {self._largest}"
        statement = "MQTT-3.1.2-24" if self.role == "client" else "MQTT-3.2.2-15"
        return PacketTooLarge(text, ReasonCode.PACKET_TOO_LARGE, statement)

    # PUBLISH

    def _read_publish(
        self, data: bytes, first: int, start: int, end: int, size: int
    ) -> Publish | None:
        """Read a PUBLISH up to its payload, or return None if that needs more than there is.

        Args:
            data: holds it.
            first: its first byte.
            start: where its Variable Header begins.
            end: where it ends.
            size: where what is there of it ends.
        """
        qos = first >> 1 & 3
        if not self._find_parts(data, qos, start, end, size):
            return None
        packet_id = self._packet_id
        if qos and packet_id == 0:
            statement = "MQTT-2.2.1-4" if self.role == "client" else "MQTT-2.2.1-3"
            raise protocol_error("a packet identifier of 0", statement)
        topic = self._known_topics.find(data, start + 2, self._topic_end)
        if self._block < self._payload:
            self._reader.begin(data, self._block, self._payload)
            properties: Any = read_properties(self._reader, _PUBLISH)
            most = self._own.topic_alias_maximum
            topic = self._aliases_given.resolve(topic, properties, most, self._peer_role)
        else:
            properties = None
            if not topic:
                raise protocol_error("a topic name without a character", "MQTT-4.7.3-1")
        self._check_accepted(qos, first & 0x01, properties)
        if qos:
            most = self._receive_maximum or self._own.receive_maximum
            if not self._unacknowledged.add(packet_id, most):
                raise self._too_many(most)
        return received_publish(topic, first, packet_id, properties)

    def _find_parts(self, data: bytes, qos: int, start: int, end: int, size: int) -> bool:
        """Find where the parts of a PUBLISH begin; return whether all but its payload is there."""
        position = start + 2
        if position > size:
            return self._wait(position, end, "a topic name")
        position += _primitives.read_uint16(data, start)
        self._topic_end = position
        if qos:
            position += 2
        if position > size:
            return self._wait(position, end, "a topic name")
        self._packet_id = _primitives.read_uint16(data, position - 2) if qos else 0
        length = 0  # of the properties
        if self._version == 5:
            shift = 0
            byte = 0x80
            while byte >= 0x80:
                if shift > 21:
                    raise malformed("a property length in more than four bytes", "MQTT-1.5.5-1")
                if position >= size:
                    return self._wait(position + 1, end, "a property length")
                byte = data[position]
                length |= (byte & 0x7F) << shift
                shift += 7
                position += 1
            if byte == 0 and shift > 7:
                raise malformed("a property length in more bytes than it needs", "MQTT-1.5.5-1")
        self._block = position
        position += length
        if position > size:
            return self._wait(position, end, "properties")
        self._payload = position
        return True

    def _wait(self, needed: int, end: int, name: str) -> bool:
        """Remember how much of a PUBLISH is needed, as a place in what is being parsed."""
        if needed > end:
            raise malformed(f"{name} that does not fit its packet")
        self._needed = needed
        return False

    def _check_accepted(self, qos: int, retain: int, properties: Any) -> None:
        """Check a PUBLISH against what we told of what we accept."""
        own = self._own
        if qos > own.maximum_qos:
            text = f"QoS {qos}, and the maximum is {own.maximum_qos}"
            raise Violation(text, ReasonCode.QOS_NOT_SUPPORTED, "MQTT-3.2.2-11")
        if retain and not own.retain_available:
            text = "a message to retain where none is"
            raise Violation(text, ReasonCode.RETAIN_NOT_SUPPORTED, "MQTT-3.2.2-14")
        if properties and self.role == "server" and "subscription_identifier" in properties:
            raise protocol_error("a subscription identifier of a client", "MQTT-3.3.4-6")

    def _too_many(self, most: int) -> Violation:
        statement = "MQTT-3.3.4-9" if self.role == "client" else "MQTT-3.3.4-7"
        text = f"more than {most} PUBLISH packets at once"
        return Violation(text, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, statement)

    def _begin_payload(
        self, packet: Publish, data: bytes, position: int, end: int, size: int
    ) -> None:
        """Keep a PUBLISH, and what is there of its payload."""
        start = self._payload
        self._publish = packet
        self._pending += _primitives.read_bytes(data, position, start)
        self._length = end - start
        self._room = _primitives.new_bytes(self._length)
        place = _primitives.place_of(self._room)
        self._filled = _primitives.put_span(place, 0, data, start, size)

    # The rest

    def _read_acknowledgement(
        self, data: bytes, kind: int, start: int, end: int
    ) -> Acknowledgement:
        if end - start < 2:
            raise malformed(f"{NAMES[kind]} without a packet identifier")
        packet_id = _primitives.read_uint16(data, start)
        if packet_id == 0:
            raise protocol_error("a packet identifier of 0", "MQTT-2.2.1-5")
        packet = received_acknowledgement(kind, packet_id)
        if end - start > 2:
            self._reader.begin(data, start + 2, end)
            self._read_outcome(packet, kind)
        return packet

    def _read_outcome(self, packet: Acknowledgement, kind: int) -> None:
        """Read what stands behind the packet identifier of an acknowledgement."""
        reader = self._reader
        if self._version == 5:
            allowed = RECEIVED_PUBACK_CODES if kind in (_PUBACK, _PUBREC) else PUBREL_CODES
            code = reader.byte("the reason code")
            packet.reason_code = reason_code(code, allowed, NAMES[kind], f"MQTT-3.{kind}.2-1")
            if reader.remaining():
                length = reader.variable_byte_integer("the property length")
                properties = read_properties(reader.part(length, "properties"), kind)
                self._agreement.check_explanation(properties, self._peer_role)
                packet._properties = properties  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        reader.end(NAMES[kind])

    def _read_control(self, data: bytes, kind: int, start: int, end: int) -> Any:
        self._reader.begin(data, start, end)
        packet = DECODERS[kind](self._reader, self._version)
        self._reader.end(NAMES[kind])
        sender = self._peer_role
        self._agreement.check(packet, sender)
        self._take(packet, sender)
        return packet
