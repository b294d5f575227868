"""chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.poly1305 import Poly1305

from ._ciphers import mac_error

__all__ = ["ChaChaCipher"]

_BLOCK = bytes(64)  # the first of the key stream begins with the key of Poly1305
_COUNTER = bytes(8)  # of blocks; the nonce behind it is the sequence number


class ChaChaCipher:
    """The length is encrypted under a key of its own, so that no oracle touches the payload's.

    Nonces are sequence numbers, so the keys have to change before these come again.
    """

    __slots__ = ("_length_stream", "_nonce", "_stream")

    block_size = 8
    unaligned = 4
    header_size = 4
    tag_size = 16

    def __init__(self, key: bytes, _iv: bytes = b"") -> None:
        self._nonce = bytes(16)  # of the packet that is being opened
        self._stream = Cipher(algorithms.ChaCha20(key[:32], bytes(16)), None).encryptor()
        self._length_stream = Cipher(algorithms.ChaCha20(key[32:], bytes(16)), None).encryptor()

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the encrypted length, the encrypted body, and their tag."""
        nonce = _COUNTER + sequence.to_bytes(8, "big")
        self._length_stream.reset_nonce(nonce)
        self._stream.reset_nonce(nonce)
        key = self._stream.update(_BLOCK)[:32]
        sealed = self._length_stream.update(length) + self._stream.update(body)
        output += sealed, Poly1305.generate_tag(key, sealed)

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length."""
        self._nonce = _COUNTER + sequence.to_bytes(8, "big")
        self._length_stream.reset_nonce(self._nonce)
        return int.from_bytes(self._length_stream.update(header), "big")

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body, if the tag is right."""
        self._stream.reset_nonce(self._nonce)
        key = self._stream.update(_BLOCK)[:32]
        try:
            Poly1305.verify_tag(key, packet[:-16], bytes(packet[-16:]))
        except InvalidSignature:
            raise mac_error() from None
        return self._stream.update(packet[4:-16])
