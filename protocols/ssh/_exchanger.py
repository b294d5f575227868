"""The key exchanging half of a codec: which message of a key exchange is due (RFC 4253 §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError

from ._compression import Decompressor
from ._events import KeyExchanged
from ._faults import DisconnectReason, SSHProtocolError
from ._host_keys import HostKey
from ._identification import check_identification
from ._key_exchange import KeyExchange
from ._messages import ExtInfo, KexECDHInit, KexECDHReply, KexInit, NewKeys, Unimplemented
from ._negotiation import EXT_INFO, STRICT_KEX
from ._packets import PacketReader
from ._sender import Sender, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._algorithms import Algorithms
    from ._ciphers import PacketCipher
    from ._events import Event
    from ._host_keys import PrivateHostKey
    from ._identification import Role

__all__ = ["Exchanger"]

_ZLIB = "zlib@openssh.com"


class Exchanger(Sender):
    """Exchanges keys, first of all and again, and gives them to the reader and the writer."""

    __slots__ = (
        "_accepted",
        "_algorithms",
        "_decompresses",
        "_exchange",
        "_expected",
        "_extensions",
        "_held",
        "_host_keys",
        "_identification",
        "_incoming",
        "_initial",
        "_maximum_packet_size",
        "_own",
        "_own_sequence",
        "_peer_identification",
        "_peer_in_exchange",
        "_peer_role",
        "_peer_takes_ext_info",
        "_random",
        "_reader",
        "_session_id",
        "_skips_guess",
        "_strict",
    )

    def __init__(
        self,
        role: Role,
        random: Callable[[int], bytes],
        algorithms: Algorithms,
        identification: str,
        host_keys: Sequence[PrivateHostKey],
        extensions: Mapping[str, bytes],
        maximum_packet_size: int,
        maximum_queue_size: int,
    ) -> None:
        super().__init__(role, random, maximum_queue_size)
        self._peer_role: Role = "server" if role == "client" else "client"
        self._random = random
        self._algorithms = algorithms
        self._identification = check_identification(identification)
        self._peer_identification = b""
        self._host_keys = tuple(host_keys)
        self._extensions = dict(extensions)
        self._maximum_packet_size = maximum_packet_size
        self._reader = PacketReader(maximum_packet_size)
        self._decompresses = False  # once the user is authenticated
        self._initial = True  # the first key exchange is not over
        self._strict = False  # both sides know strict key exchange
        self._peer_takes_ext_info = False
        self._peer_in_exchange = True  # between its SSH_MSG_KEXINIT and its SSH_MSG_NEWKEYS
        self._own: KexInit | None = None  # ours, until our SSH_MSG_NEWKEYS
        self._own_sequence = 0  # of its packet
        self._exchange: KeyExchange | None = None  # once both sides' SSH_MSG_KEXINIT are there
        self._expected = 0  # the number of the exchange's next message from the peer
        self._skips_guess = False  # the next message of the method is to be dropped
        self._incoming: PacketCipher | None = None
        # The key that waits for accept_host_key(), and what then follows.
        self._held: tuple[HostKey, KeyExchange, PacketCipher] | None = None
        self._accepted: HostKey | None = None
        self._session_id = b""
        self._output.append(self._identification + b"\r\n")
        self._send_kexinit()

    @property
    def session_id(self) -> bytes:
        """What names the connection (RFC 4253 §7.2); empty before the first `KeyExchanged`."""
        return self._session_id

    def rekey(self, algorithms: Algorithms | None = None) -> None:
        """Begin a key exchange; its first message is in `data_to_send`.

        Args:
            algorithms: what to offer from now on, by default the same as before.

        Raises:
            LocalProtocolError: one is going on, or the connection is not open.
        """
        if self._state is not State.OPEN:
            raise LocalProtocolError(f"no key exchange can begin in state {self._state.name}")
        if algorithms is not None:
            self._algorithms = algorithms
        self._send_kexinit()
        self._state = self._stage = State.KEY_EXCHANGE

    def accept_host_key(self) -> None:
        """Go on with the host key of the last `KeyExchanged`, and send what has waited for that.

        Does nothing if that key was accepted before.

        Raises:
            LocalProtocolError: there is no such key, or the connection is at its end.
        """
        ended = self._state is State.ERROR or self._state is State.CLOSED
        if ended or (self._held is None and self._accepted is None):
            raise LocalProtocolError("there is no host key to accept")
        if self._held is not None:
            self._accepted, exchange, cipher = self._held
            self._held = None
            self._send_newkeys(exchange, cipher)
            self._state = self._stage

    def _send_kexinit(self) -> KexInit:
        offered = self._algorithms
        kex_algorithms = offered.kex_algorithms
        if self._initial:
            kex_algorithms += (EXT_INFO[self.role], STRICT_KEX[self.role])
        host_key_algorithms = offered.server_host_key_algorithms
        if self.role == "server":
            ours = {name for key in self._host_keys for name in key.algorithms}
            host_key_algorithms = tuple(name for name in host_key_algorithms if name in ours)
        message = self._own = KexInit(
            self._random(16),
            kex_algorithms,
            host_key_algorithms,
            offered.encryption_algorithms,
            offered.encryption_algorithms,
            offered.mac_algorithms,
            offered.mac_algorithms,
            offered.compression_algorithms,
            offered.compression_algorithms,
        )
        self._own_sequence = self._writer.sequence
        self._write(message)
        self._holds = True
        return message

    def _take_kexinit(
        self, peer: KexInit, payload: bytes, sequence: int, events: list[Event]
    ) -> None:
        if self._exchange is not None:
            raise SSHProtocolError("a second SSH_MSG_KEXINIT before SSH_MSG_NEWKEYS")
        events.append(peer)
        if self._initial:  # later ones say nothing of these
            self._strict = STRICT_KEX[self._peer_role] in peer.kex_algorithms
            self._peer_takes_ext_info = EXT_INFO[self._peer_role] in peer.kex_algorithms
            if self._strict and sequence != 0:
                raise SSHProtocolError("a packet before the first SSH_MSG_KEXINIT")
        self._peer_in_exchange = True
        own = self._own or self._send_kexinit()
        self._stage = State.KEY_EXCHANGE
        ours, theirs = self._identification, self._peer_identification
        lines = (ours, theirs) if self.role == "client" else (theirs, ours)
        exchange = KeyExchange(self.role, lines, own, self._random)
        exchange.negotiate(peer, payload)
        self._exchange = exchange
        self._skips_guess = exchange.is_guess_wrong
        self._expected = KexECDHInit.number
        if self.role == "client":
            self._expected = KexECDHReply.number
            self._write(exchange.begin())

    def _take_unimplemented(self, message: Unimplemented) -> None:
        """Notice a peer that does not exchange keys now; OpenSSH's does not before the login."""
        waits = self._own is not None and self._exchange is None
        if waits and not self._initial and message.sequence == self._own_sequence:
            reason = DisconnectReason.KEY_EXCHANGE_FAILED
            raise SSHProtocolError("the peer does not implement another key exchange now", reason)

    def _take_exchange(self, exchange: KeyExchange, payload: bytes, events: list[Event]) -> None:
        """Take the message of the key exchange that is due."""
        if self._incoming is not None:
            NewKeys.decode(payload)
            self._take_newkeys(exchange, self._incoming)
            return
        if self.role == "client":
            host_key = exchange.finish(KexECDHReply.decode(payload))
        else:
            reply = exchange.respond(KexECDHInit.decode(payload), self._host_keys)
            self._write(reply)
            host_key = self._accepted = HostKey(reply.host_key)
        self._session_id = self._session_id or exchange.exchange_hash
        to_server, to_client = exchange.make_ciphers(self._session_id)
        outgoing, self._incoming = to_client, to_server
        if self.role == "client":
            outgoing, self._incoming = to_server, to_client
        self._expected = NewKeys.number
        algorithms = exchange.algorithms
        events.append(KeyExchanged(host_key, algorithms, self._session_id, self._initial))
        if host_key == self._accepted:
            self._send_newkeys(exchange, outgoing)
        else:
            self._held = (host_key, exchange, outgoing)

    def _send_newkeys(self, exchange: KeyExchange, cipher: PacketCipher) -> None:
        self._write(NewKeys())
        compresses = exchange.compression(self.role) == _ZLIB
        self._change_writer(cipher, compresses=compresses, reset=self._strict)
        self._own = None
        if self._initial and self._peer_takes_ext_info and self._extensions:
            self._write(ExtInfo(self._extensions))
        self._release()
        self._end_exchange()

    def _take_newkeys(self, exchange: KeyExchange, cipher: PacketCipher) -> None:
        self._reader.change_cipher(cipher, reset_sequence=self._strict)
        self._decompresses = exchange.compression(self._peer_role) == _ZLIB
        self._set_decompressor()
        self._incoming = None
        self._expected = 0
        self._peer_in_exchange = False
        self._end_exchange()

    def _user_is_authenticated(self) -> None:
        super()._user_is_authenticated()
        if not self._peer_in_exchange:  # else with its SSH_MSG_NEWKEYS
            self._set_decompressor()

    def _set_decompressor(self) -> None:
        begins = self._decompresses and self._authenticated
        limit = self._maximum_packet_size
        self._reader.decompressor = Decompressor(limit) if begins else None

    def _end_exchange(self) -> None:
        """Open the connection if both sides have new keys."""
        if self._own is None and not self._peer_in_exchange:
            self._forget_exchange()
            self._initial = False
            self._stage = State.OPEN

    def _forget_exchange(self) -> None:
        self._exchange = None
        self._expected = 0
        self._incoming = self._held = None
