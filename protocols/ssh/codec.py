"""The codec of one connection's transport layer, for a client or a server.

It identifies itself, exchanges keys and protects packets (RFC 4253). Of users and channels it only
carries the messages; of time it knows nothing.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError

from ._algorithms import Algorithms
from ._events import Identified
from ._exchanger import Exchanger
from ._faults import DisconnectReason, SSHProtocolError
from ._identification import IdentificationReader
from ._messages import (
    Debug,
    Disconnect,
    ExtInfo,
    Ignore,
    KexInit,
    NewKeys,
    Packet,
    Ping,
    Pong,
    ServiceAccept,
    ServiceRequest,
    Unimplemented,
)
from ._sender import USERAUTH_SUCCESS, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wirekit.protocols._buffer import Buffer

    from ._events import Event
    from ._host_keys import PrivateHostKey
    from ._identification import Role

__all__ = ["Codec"]

_FIRST_OF_METHOD = 30  # messages of the key exchange method
_LAST_OF_METHOD = 49

_GENERIC = {
    kind.number: kind
    for kind in (Unimplemented, Debug, ServiceRequest, ServiceAccept, ExtInfo, Pong)
}
_ALLOWED_IN_EXCHANGE = frozenset({Ignore.number, Unimplemented.number, Debug.number})


class Codec(Exchanger):
    """The codec of one connection.

    What it has to say of itself, the identification and SSH_MSG_KEXINIT first of all, is in
    `data_to_send`.

    Args:
        role: which end we are.
        random: returns that many random bytes, as ``os.urandom`` does.
        algorithms: what to offer.
        identification: ``SSH-2.0-softwareversion``, and comments behind a space.
        host_keys: those of a server.
        extensions: what to tell in SSH_MSG_EXT_INFO behind the first key exchange, if the peer
            takes it (RFC 8308).
        maximum_packet_size: the largest packet_length and, when decompressed, payload that we
            take; at least 35000 (RFC 4253 §6.1).
        maximum_queue_size: bytes of payloads that may wait for the end of a key exchange.
        rekey_bytes: after so many in one direction `needs_rekey` is true.
        rekey_packets: after so many in one direction it is, too.
    """

    __slots__ = ("_closed", "_fault", "_identifier", "_rekey_bytes", "_rekey_packets")

    def __init__(
        self,
        role: Role = "client",
        *,
        random: Callable[[int], bytes],
        algorithms: Algorithms | None = None,
        identification: str = "SSH-2.0-wirekit",
        host_keys: Sequence[PrivateHostKey] = (),
        extensions: Mapping[str, bytes] | None = None,
        maximum_packet_size: int = 256 * 1024,
        maximum_queue_size: int = 16 * 1024 * 1024,
        rekey_bytes: int = 2**30,
        rekey_packets: int = 2**31,
    ) -> None:
        if role not in ("client", "server"):
            raise ValueError("role must be 'client' or 'server'")
        if (role == "server") != bool(host_keys):
            raise ValueError("host_keys are what a server has to have, and a client has not")
        if index(maximum_packet_size) < 35000:
            raise ValueError("maximum_packet_size must be at least 35000")
        if min(index(rekey_bytes), index(rekey_packets)) < 1:
            raise ValueError("rekey_bytes and rekey_packets must be at least 1")
        super().__init__(
            role,
            random,
            Algorithms() if algorithms is None else algorithms,
            identification,
            host_keys,
            {} if extensions is None else extensions,
            index(maximum_packet_size),
            index(maximum_queue_size),
        )
        self._rekey_bytes = index(rekey_bytes)
        self._rekey_packets = index(rekey_packets)
        self._identifier = IdentificationReader(role)
        self._fault = SSHProtocolError("receive_data() was interrupted")
        self._closed = False  # the end of input came

    @property
    def needs_rekey(self) -> bool:
        """Whether so much went under the same keys that `rekey` is due."""
        if self._state is not State.OPEN:
            return False
        reader, writer = self._reader, self._writer
        return (
            reader.packets >= self._rekey_packets
            or writer.packets >= self._rekey_packets
            or reader.bytes_opened >= self._rekey_bytes
            or writer.bytes_sealed >= self._rekey_bytes
        )

    @property
    def trailing_data(self) -> bytes:
        """What came of a line or packet that is not complete; empty after the end."""
        if self._state is State.IDENTIFICATION:
            return self._identifier.trailing_data
        ended = self._state is State.ERROR or self._stage is State.CLOSED
        return b"" if ended else self._reader.trailing_data

    # Input

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take bytes from the peer and return what they complete.

        Raises:
            SSHProtocolError: the peer broke the protocol; ``events`` holds what was complete
                before. Every later call raises it again, without events. `Disconnect` can still
                be sent.
            LocalProtocolError: called after `receive_eof`.
        """
        if self._state is State.ERROR or self._closed:
            raise self._refuse_input()
        events: list[Event] = []
        self._state = State.ERROR  # until all is parsed: an interrupted parse cannot go on
        try:
            self._receive(data, events)
        except SSHProtocolError as exc:
            self._fail(exc, events)
            raise
        finally:
            self._reader.receive(b"")  # nothing of what was passed in is kept
        self._state = self._stage
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the peer's bytes; it completes nothing, so the list is empty.

        Raises:
            SSHProtocolError: the end came inside a packet, or before keys were exchanged, or
                after an earlier fault.
        """
        if self._state is State.ERROR:
            raise self._refuse_input()
        if self._stage is not State.CLOSED and (
            self.trailing_data or self._stage is not State.OPEN
        ):
            where = "a packet" if self._stage is State.OPEN else f"the {self._stage.value}"
            reason = DisconnectReason.CONNECTION_LOST
            fault = SSHProtocolError(f"end of input inside {where}", reason)
            self._fail(fault, [])
            raise fault
        self._closed = True
        self._close()
        return []

    def _fail(self, fault: SSHProtocolError, events: list[Event]) -> None:
        fault.events = [*events]
        self._fault = fault.again()
        self._state = State.ERROR
        self._forget_exchange()
        self._queue.clear()
        self._queued = 0

    def _refuse_input(self) -> Exception:
        if self._state is not State.ERROR:
            return LocalProtocolError("data received after receive_eof()")
        return self._fault.again()

    def _receive(self, data: Buffer, events: list[Event]) -> None:
        if self._stage is State.CLOSED:
            return
        if self._stage is State.IDENTIFICATION:
            position = self._identifier.receive(data)
            identification = self._identifier.identification
            if identification is None:
                return
            events.append(Identified(identification, tuple(self._identifier.lines)))
            self._peer_identification = identification.line
            self._stage = State.KEY_EXCHANGE
            data = memoryview(data)[position:]
        reader = self._reader
        reader.receive(data)
        while True:
            sequence = reader.sequence
            payload = reader.next_payload()
            if payload is None:
                break
            number = payload[0]
            if USERAUTH_SUCCESS < number < Ping.number and not self._peer_in_exchange:
                events.append(Packet(number, payload, sequence))
            elif number == Disconnect.number:
                events.append(Disconnect.decode(payload))
                self._close()
                break
            else:
                self._take(number, payload, sequence, events)

    # Messages

    def _take(self, number: int, payload: bytes, sequence: int, events: list[Event]) -> None:
        if self._skips_guess and _FIRST_OF_METHOD <= number <= _LAST_OF_METHOD:
            self._skips_guess = False
        elif number == KexInit.number:
            self._take_kexinit(KexInit.decode(payload), payload, sequence, events)
        elif self._exchange is not None and number == self._expected:
            self._take_exchange(self._exchange, payload, events)
        elif self._peer_in_exchange and (
            number not in _ALLOWED_IN_EXCHANGE or (self._initial and self._strict)
        ):
            raise SSHProtocolError(f"message {number} in a key exchange")
        else:
            self._take_other(number, payload, sequence, events)

    def _take_other(self, number: int, payload: bytes, sequence: int, events: list[Event]) -> None:
        """Take what has nothing to do with key exchange."""
        if number == Ignore.number:
            return  # some send it without its field, so it is not even decoded
        if number == Ping.number:
            self._answer(Pong(Ping.decode(payload).data))
        elif number in _GENERIC:
            message = _GENERIC[number].decode(payload)
            events.append(message)
            if isinstance(message, Unimplemented):
                self._take_unimplemented(message)
        elif number == NewKeys.number or _FIRST_OF_METHOD <= number <= _LAST_OF_METHOD:
            raise SSHProtocolError(f"message {number} outside a key exchange")
        elif number == 0:
            raise SSHProtocolError("message 0, which there is not")
        elif number < _FIRST_OF_METHOD:
            self._answer(Unimplemented(sequence))
        else:
            if number == USERAUTH_SUCCESS and self.role == "client":
                self._user_is_authenticated()
            events.append(Packet(number, payload, sequence))
