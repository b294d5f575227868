"""One key exchange: from both SSH_MSG_KEXINIT to the keys of both directions (RFC 4253 §7, §8)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ._algorithms import make_cipher
from ._host_keys import HostKey, PrivateHostKey
from ._kex_algorithms import KEX_ALGORITHMS
from ._messages import KexECDHInit, KexECDHReply, KexInit
from ._negotiation import NegotiatedAlgorithms, guessed_wrong, negotiate
from ._primitives import encode_string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._ciphers import PacketCipher
    from ._identification import Role
    from ._key_agreement import KeyAgreement

__all__ = ["KeyExchange"]


class KeyExchange:
    """What one key exchange needs to know until it is over; it holds secrets.

    Args:
        role: which end we are.
        identifications: the client's and the server's, without CR LF.
        own: our SSH_MSG_KEXINIT.
        random: returns that many random bytes.
    """

    __slots__ = (
        "_agreement",
        "_client_public",
        "_hash",
        "_identifications",
        "_kexinits",
        "_random",
        "_role",
        "_secret",
        "algorithms",
        "exchange_hash",
        "is_guess_wrong",
        "own",
    )

    algorithms: NegotiatedAlgorithms

    def __init__(
        self,
        role: Role,
        identifications: tuple[bytes, bytes],
        own: KexInit,
        random: Callable[[int], bytes],
    ) -> None:
        self._role = role
        self._identifications = identifications
        self._random = random
        self._agreement: KeyAgreement
        self._kexinits: tuple[bytes, bytes]
        self._secret = b""
        self._hash = ""
        self.own = own
        self.exchange_hash = b""
        self.is_guess_wrong = False  # the peer sent a packet that is to be dropped

    def negotiate(self, peer: KexInit, payload: bytes) -> None:
        """Take the peer's SSH_MSG_KEXINIT, with its payload as it came.

        Raises:
            SSHProtocolError: there is no algorithm that both sides have.
        """
        own_payload = self.own.encode()
        if self._role == "client":
            client, server = self.own, peer
            self._kexinits = own_payload, payload
        else:
            client, server = peer, self.own
            self._kexinits = payload, own_payload
        self.algorithms = negotiate(client, server)
        self.is_guess_wrong = peer.first_kex_packet_follows and guessed_wrong(client, server)
        method = KEX_ALGORITHMS[self.algorithms.kex]
        self._hash = method.hash_name
        self._agreement = method(self._random)

    def begin(self) -> KexECDHInit:
        """Return the client's message."""
        self._client_public = self._agreement.begin()
        return KexECDHInit(self._client_public)

    def finish(self, reply: KexECDHReply) -> HostKey:
        """Take the server's message, and return the key with which it was signed.

        Raises:
            SSHProtocolError: it does not show that the server has that key.
        """
        host_key = HostKey(reply.host_key)
        self._secret = self._agreement.finish(reply.public)
        self._set_hash(host_key.blob, self._client_public, reply.public)
        host_key.verify(self.algorithms.server_host_key, reply.signature, self.exchange_hash)
        return host_key

    def respond(self, init: KexECDHInit, host_keys: Sequence[PrivateHostKey]) -> KexECDHReply:
        """Take the client's message, and return the server's.

        Raises:
            SSHProtocolError: the client's public value is none.
        """
        algorithm = self.algorithms.server_host_key
        host_key = next(key for key in host_keys if algorithm in key.algorithms)
        public, self._secret = self._agreement.respond(init.public)
        self._set_hash(host_key.blob, init.public, public)
        return KexECDHReply(host_key.blob, public, host_key.sign(algorithm, self.exchange_hash))

    def _set_hash(self, host_key: bytes, client_public: bytes, server_public: bytes) -> None:
        strings = (*self._identifications, *self._kexinits, host_key, client_public, server_public)
        self.exchange_hash = exchange_hash(self._hash, strings, self._secret)

    def compression(self, role: Role) -> str:
        """Return the compression algorithm of what that end sends."""
        chosen = self.algorithms
        if role == "client":
            return chosen.compression_client_to_server
        return chosen.compression_server_to_client

    def make_ciphers(self, session_id: bytes) -> tuple[PacketCipher, PacketCipher]:
        """Return the ciphers from client to server and from server to client."""

        def derive(letter: str, size: int) -> bytes:
            return derive_key(
                self._hash, self._secret, self.exchange_hash, letter, session_id, size
            )

        chosen = self.algorithms
        return (
            make_cipher(
                chosen.encryption_client_to_server, chosen.mac_client_to_server, derive, "ACE"
            ),
            make_cipher(
                chosen.encryption_server_to_client, chosen.mac_server_to_client, derive, "BDF"
            ),
        )


def exchange_hash(hash_name: str, strings: tuple[bytes, ...], secret: bytes) -> bytes:
    """Return the hash of strings, each behind its length, and the encoded shared secret (§8)."""
    data = b"".join(map(encode_string, strings)) + secret
    return hashlib.new(hash_name, data).digest()


def derive_key(
    hash_name: str, secret: bytes, digest: bytes, letter: str, session_id: bytes, size: int
) -> bytes:
    """Return key material (§7.2).

    Args:
        hash_name: the hash of the key exchange method.
        secret: the shared secret as it is encoded.
        digest: the exchange hash.
        letter: "A" to "F", for what it is.
        session_id: the exchange hash of the connection's first key exchange.
        size: bytes of it.
    """
    start = secret + digest
    key = hashlib.new(hash_name, start + letter.encode() + session_id).digest()
    while len(key) < size:
        key += hashlib.new(hash_name, start + key).digest()
    return key[:size]
