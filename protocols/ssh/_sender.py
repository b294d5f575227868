"""The sending half of a codec: what may be sent when, and what has to wait for new keys."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError

from ._compression import Compressor
from ._faults import SSHProtocolError
from ._messages import Message
from ._packets import MAX_PACKETS, PacketWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer

    from ._ciphers import PacketCipher
    from ._identification import Role

__all__ = ["USERAUTH_SUCCESS", "Sender", "State"]

USERAUTH_SUCCESS = 52
"""The message (RFC 4252 §6) behind which zlib@openssh.com begins."""

_DISCONNECT = 1
_CHANGING = frozenset({_DISCONNECT, USERAUTH_SUCCESS})  # behind which not all is as before
_LAST_GENERIC = 7  # of those that a user of the codec may send: SSH_MSG_EXT_INFO
_FIRST_OF_SERVICES = 50
# So that a packet has no more than 256 KiB, beyond which OpenSSH disconnects.
_MAX_PAYLOAD = 256 * 1024 - 512


class State(Enum):
    """What a `Codec` is ready for; ``ERROR`` and ``CLOSED`` are for good.

    ``KEY_EXCHANGE`` comes again whenever keys change; what is sent then waits for its end.
    """

    IDENTIFICATION = "identification"
    KEY_EXCHANGE = "key exchange"
    OPEN = "open"
    CLOSED = "closed"
    ERROR = "error"


class Sender:
    """Seals what is to be sent, in order."""

    __slots__ = (
        "_authenticated",
        "_compresses",
        "_holds",
        "_maximum_queue_size",
        "_may_disconnect",
        "_output",
        "_queue",
        "_queued",
        "_stage",
        "_state",
        "_writer",
        "role",
    )

    role: Role

    def __init__(self, role: Role, random: Callable[[int], bytes], maximum_queue_size: int) -> None:
        self.role = role
        self._state = State.IDENTIFICATION
        self._stage = State.IDENTIFICATION  # the state, but while bytes are being parsed
        self._writer = PacketWriter(random)
        self._maximum_queue_size = maximum_queue_size
        self._output: list[bytes] = []  # sealed, for data_to_send()
        self._queue: list[bytes] = []  # payloads that wait for our SSH_MSG_NEWKEYS
        self._queued = 0  # bytes of them
        self._holds = True  # they wait
        self._may_disconnect = True
        self._compresses = False  # once the user is authenticated
        self._authenticated = False

    @property
    def state(self) -> State:
        """What the connection is ready for."""
        return self._state

    def send(self, *messages: Message | Buffer) -> bytes:
        """Return what is to be written, in this order, to the peer.

        Messages are objects, or payloads with their number in front. Until keys have been
        exchanged they wait, and come out of a later call or of `data_to_send`; `Disconnect` never
        waits, and closes. Whatever else the codec has to send is there too.

        Raises:
            LocalProtocolError: one of them cannot be sent, or none in this state, or too much
                would wait; nothing is sent then.
        """
        self._put(messages)
        return self.data_to_send()

    def send_buffers(self, *messages: Message | Buffer) -> list[Buffer]:
        """Return the same as `send` in pieces."""
        self._put(messages)
        output: list[Buffer] = [*self._output]
        self._output.clear()
        return output

    def data_to_send(self) -> bytes:
        """Return what the codec itself has to say: call this whenever bytes were received."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def _put(self, messages: tuple[Message | Buffer, ...]) -> None:
        """Seal messages, or keep them until there are new keys."""
        payloads = [
            message.encode() if isinstance(message, Message) else message for message in messages
        ]
        self._check(payloads)
        writer, output = self._writer, self._output
        for payload in payloads:
            number = payload[0]
            if self._holds and number != _DISCONNECT:
                self._queue.append(bytes(payload))
                self._queued += len(payload)
                continue
            writer.seal(payload, output)
            if number in _CHANGING:
                self._go_on_from(number)

    def _check(self, payloads: list[bytes | Buffer]) -> None:
        """Make sure that all of them can be sent now, or can wait."""
        state = self._state
        may_disconnect = self._may_disconnect  # which is the last that may be sent
        may_send = state is not State.CLOSED and state is not State.ERROR
        waiting = self._queued
        for payload in payloads:
            number = payload[0] if payload else 0
            waiting += len(payload)
            if number == _DISCONNECT and may_disconnect:
                may_send = may_disconnect = False
            elif not may_send:
                raise LocalProtocolError(f"nothing can be sent in state {state.name}")
            elif not number or _LAST_GENERIC < number < _FIRST_OF_SERVICES:
                raise LocalProtocolError(f"a message of number {number} is not yours to send")
            if len(payload) > _MAX_PAYLOAD:
                raise LocalProtocolError(f"a payload of more than {_MAX_PAYLOAD} bytes")
        if self._holds and waiting > self._maximum_queue_size:
            raise LocalProtocolError("too much waits for the end of the key exchange")
        if self._writer.packets + len(payloads) > MAX_PACKETS:
            raise LocalProtocolError("nothing more can be sent without a key exchange")

    def _go_on_from(self, number: int) -> None:
        """Do what follows from a message that was sent."""
        if number == _DISCONNECT:
            self._close()
        elif self.role == "server":
            self._user_is_authenticated()

    # For the codec itself

    def _write(self, message: Message) -> None:
        """Send a message of the key exchange."""
        if self._writer.packets >= MAX_PACKETS:
            raise SSHProtocolError("too many packets without a key exchange")
        self._writer.seal(message.encode(), self._output)

    def _answer(self, message: Message) -> None:
        """Send what a message of the peer asks for."""
        if not self._holds:
            self._write(message)
            return
        payload = message.encode()
        if self._queued + len(payload) > self._maximum_queue_size:
            raise SSHProtocolError("too much to answer during the key exchange")
        self._queue.append(payload)
        self._queued += len(payload)

    def _change_writer(self, cipher: PacketCipher, *, compresses: bool, reset: bool) -> None:
        """Use new keys from here on."""
        self._writer.change_cipher(cipher, reset_sequence=reset)
        self._compresses = compresses
        self._writer.compressor = Compressor() if compresses and self._authenticated else None
        self._holds = False

    def _release(self) -> None:
        """Send what has waited."""
        waiting, self._queue = self._queue, []
        self._queued = 0
        for payload in waiting:
            self._writer.seal(payload, self._output)
            if payload[0] == USERAUTH_SUCCESS:
                self._go_on_from(USERAUTH_SUCCESS)

    def _user_is_authenticated(self) -> None:
        self._authenticated = True
        if self._compresses:
            self._writer.compressor = Compressor()

    def _close(self) -> None:
        """Send nothing more."""
        self._may_disconnect = False
        self._queue.clear()
        self._queued = 0
        self._stage = State.CLOSED
        if self._state is not State.ERROR:
            self._state = State.CLOSED
