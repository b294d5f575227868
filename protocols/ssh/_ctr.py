"""AES in counter mode (RFC 4344 §4) with HMAC-SHA-2 (RFC 6668), before or after encryption."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ._ciphers import mac_error

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["CTRCipher", "EncryptThenMACCipher"]

_HASHES = {"hmac-sha2-256": hashes.SHA256, "hmac-sha2-512": hashes.SHA512}


class _KeyedCipher:
    """What both orders share: the key stream, and the MAC of a packet."""

    __slots__ = ("_mac", "_stream", "tag_size")

    block_size = 16

    def __init__(self, key: bytes, iv: bytes, mac: str, mac_key: bytes) -> None:
        """Take keys; ``mac`` is the algorithm's name without ``-etm@openssh.com``."""
        # Counter mode does the same either way.
        self._stream = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
        algorithm = _HASHES[mac]()
        self._mac = hmac.HMAC(mac_key, algorithm)
        self.tag_size = algorithm.digest_size

    def _tag(self, sequence: int, *pieces: Buffer) -> bytes:
        mac = self._mac.copy()
        mac.update(sequence.to_bytes(4, "big"))
        for piece in pieces:
            mac.update(piece)
        return mac.finalize()


class CTRCipher(_KeyedCipher):
    """RFC 4253's order: the MAC is of the clear packet, and the length is encrypted too."""

    __slots__ = ("_first_block",)

    unaligned = 0
    header_size = 16

    def __init__(self, key: bytes, iv: bytes, mac: str, mac_key: bytes) -> None:
        super().__init__(key, iv, mac, mac_key)
        self._first_block = b""

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the encrypted length, the encrypted body, and the MAC of the clear ones."""
        tag = self._tag(sequence, length, body)
        output += self._stream.update(length), self._stream.update(body), tag

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Decrypt the first block, and return the packet_length in it."""
        self._first_block = self._stream.update(header)
        return int.from_bytes(self._first_block[:4], "big")

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body, if the MAC is right."""
        end = len(packet) - self.tag_size
        rest = self._stream.update(packet[16:end])
        if not compare_digest(self._tag(sequence, self._first_block, rest), packet[end:]):
            raise mac_error()
        return self._first_block[4:] + rest


class EncryptThenMACCipher(_KeyedCipher):
    """OpenSSH PROTOCOL §1.5: the MAC is of the encrypted packet, whose length is in the clear."""

    __slots__ = ()

    unaligned = 4
    header_size = 4

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the length, the encrypted body, and their MAC."""
        sealed = self._stream.update(body)
        output += length, sealed, self._tag(sequence, length, sealed)

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length."""
        return int.from_bytes(header, "big")

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body, if the MAC is right."""
        end = len(packet) - self.tag_size
        if not compare_digest(self._tag(sequence, packet[:end]), packet[end:]):
            raise mac_error()
        return self._stream.update(packet[4:end])
