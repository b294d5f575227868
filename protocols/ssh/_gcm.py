"""AES-GCM as OpenSSH negotiates it: RFC 5647, and OpenSSH PROTOCOL §1.6."""

from __future__ import annotations

from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ._ciphers import mac_error

__all__ = ["GCMCipher"]

_INVOCATION_COUNTER = Struct(">Q")
_pack_counter = _INVOCATION_COUNTER.pack_into
_COUNTER_MASK = 0xFFFFFFFFFFFFFFFF


class GCMCipher:
    """The length stands in the clear and is authenticated as associated data.

    The nonce is RFC 5647's: 4 fixed bytes and a counter of packets. The codec changes keys long
    before the counter can come back to where it began.
    """

    __slots__ = ("_counter", "_decrypt", "_encrypt", "_nonce")

    block_size = 16
    unaligned = 4
    header_size = 4
    tag_size = 16

    def __init__(self, key: bytes, iv: bytes) -> None:
        aead = AESGCM(key)
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._nonce = bytearray(iv)
        (self._counter,) = _INVOCATION_COUNTER.unpack_from(iv, 4)

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the length, and the encrypted body with its tag."""
        output += length, self._encrypt(self._nonce, body, length)
        self._counter = self._counter + 1 & _COUNTER_MASK
        _pack_counter(self._nonce, 4, self._counter)

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length."""
        return int.from_bytes(header, "big")

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body, if its tag is right."""
        try:
            opened = self._decrypt(self._nonce, packet[4:], packet[:4])
        except InvalidTag:
            raise mac_error() from None
        self._counter = self._counter + 1 & _COUNTER_MASK
        _pack_counter(self._nonce, 4, self._counter)
        return opened
