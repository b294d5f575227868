"""The binary packet protocol (RFC 4253 §6): payloads in packets, and out of them.

A reader and a writer are told from outside when keys and compression change; sequence numbers go
on over that, unless they are reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError

from ._ciphers import ClearCipher
from ._faults import PacketTooLarge, SSHProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer

    from ._ciphers import PacketCipher
    from ._compression import Compressor, Decompressor

__all__ = ["MAX_PACKETS", "PacketReader", "PacketWriter"]

MAX_PACKETS = 2**32
"""Packets under the same keys, so that no sequence number comes again; keys change earlier."""

_SEQUENCE_MASK = 0xFFFFFFFF
_MIN_PACKET_LENGTH = 5  # padding_length and the least padding
_MIN_PADDING = 4
_LEAST = 12  # with its length, a packet has at least 16 bytes
_BYTES = tuple(bytes((byte,)) for byte in range(256))
_POOL = 4096  # random bytes drawn at once


class PacketWriter:
    """Makes packets of payloads.

    Args:
        random: returns that many random bytes, for padding.
    """

    __slots__ = (
        "_cipher",
        "_pool",
        "_pool_position",
        "_random",
        "bytes_sealed",
        "compressor",
        "packets",
        "sequence",
    )

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._pool = b""
        self._pool_position = 0
        self.sequence = 0  # of the next packet
        self.compressor: Compressor | None = None
        self._begin(ClearCipher())

    def _begin(self, cipher: PacketCipher) -> None:
        self._cipher = cipher
        self.packets = 0
        self.bytes_sealed = 0

    def change_cipher(self, cipher: PacketCipher, *, reset_sequence: bool) -> None:
        """Seal what follows with other keys."""
        self._begin(cipher)
        if reset_sequence:
            self.sequence = 0

    def seal(self, payload: Buffer, output: list[bytes]) -> None:
        """Add the pieces of a packet on the wire to ``output``.

        Raises:
            LocalProtocolError: a sequence number would come again under the same keys.
        """
        if self.packets >= MAX_PACKETS:
            raise LocalProtocolError("no more packets can be sent without a key exchange")
        cipher = self._cipher
        if self.compressor is not None:
            payload = self.compressor.compress(payload)
        block = cipher.block_size
        length = len(payload) + 1
        padding = block - (length + 4 - cipher.unaligned) % block
        while padding < _MIN_PADDING or length + padding < _LEAST:
            padding += block
        length += padding
        body = b"".join((_BYTES[padding], payload, self._padding(padding)))
        cipher.seal(self.sequence, length.to_bytes(4, "big"), body, output)
        self.sequence = self.sequence + 1 & _SEQUENCE_MASK
        self.packets += 1
        self.bytes_sealed += length

    def _padding(self, size: int) -> bytes:
        start = self._pool_position
        if start + size > len(self._pool):
            self._pool = self._random(_POOL)
            start = 0
        self._pool_position = start + size
        return self._pool[start : start + size]


class PacketReader:
    """Takes bytes as they come, and gives payloads.

    Args:
        maximum_packet_size: the largest packet_length to accept, and the largest payload.
    """

    __slots__ = (
        "_cipher",
        "_input",
        "_maximum",
        "_pending",
        "_position",
        "_total",
        "bytes_opened",
        "decompressor",
        "packets",
        "sequence",
    )

    def __init__(self, maximum_packet_size: int) -> None:
        self._maximum = maximum_packet_size
        self._input = memoryview(b"")
        self._position = 0  # in it
        self._pending = bytearray()  # a packet that begins in earlier input
        self.sequence = 0  # of the next packet
        self.decompressor: Decompressor | None = None
        self._begin(ClearCipher())

    def _begin(self, cipher: PacketCipher) -> None:
        self._cipher = cipher
        self._total = 0  # bytes of the packet that is read, once that is known
        self.packets = 0
        self.bytes_opened = 0

    def change_cipher(self, cipher: PacketCipher, *, reset_sequence: bool) -> None:
        """Open what follows with other keys."""
        self._begin(cipher)
        if reset_sequence:
            self.sequence = 0

    @property
    def trailing_data(self) -> bytes:
        """What came of a packet that is not complete."""
        return bytes(self._pending)

    def receive(self, data: Buffer) -> None:
        """Take bytes; `next_payload` has to be called until it gives None before ``data`` changes.

        What is there of a packet is joined only when all of it is, so that cost grows with the
        bytes and not with the pieces.
        """
        self._input = memoryview(data)
        self._position = 0

    def next_payload(self) -> bytes | None:
        """Return the payload of the next packet, or None until more bytes come.

        Raises:
            SSHProtocolError: a packet breaks a rule; the reader is of no further use.
        """
        if self._pending:
            return self._next_pending()
        start = self._position
        available = len(self._input) - start
        size = self._cipher.header_size
        if available >= size:
            size = self._total = self._read_length(self._input[start : start + size])
        if available < size:
            self._fill(size)
            return None
        self._total = 0
        self._position = start + size
        return self._open(self._input[start : start + size])

    def _next_pending(self) -> bytes | None:
        """Do the same for a packet that began in earlier input."""
        if not self._total:
            if not self._fill(self._cipher.header_size):
                return None
            self._total = self._read_length(memoryview(bytes(self._pending)))
        if not self._fill(self._total):
            return None
        packet, self._pending = self._pending, bytearray()
        self._total = 0
        return self._open(memoryview(packet))

    def _fill(self, size: int) -> bool:
        """Keep input until so many bytes of a packet are there; return whether they are."""
        end = self._position + size - len(self._pending)
        self._pending += self._input[self._position : end]
        self._position = min(end, len(self._input))
        return len(self._pending) == size

    def _read_length(self, header: memoryview) -> int:
        """Return how many bytes the packet has that begins so."""
        if self.packets >= MAX_PACKETS:
            raise SSHProtocolError("more packets than sequence numbers without a key exchange")
        cipher = self._cipher
        length = cipher.open_length(self.sequence, header)
        if length < _MIN_PACKET_LENGTH:
            raise SSHProtocolError("a packet_length below 5")
        if length > self._maximum:
            raise PacketTooLarge("a packet_length above maximum_packet_size")
        if (length + 4 - cipher.unaligned) % cipher.block_size:
            raise SSHProtocolError("a packet_length that is no multiple of the block size")
        return 4 + length + cipher.tag_size

    def _open(self, packet: memoryview) -> bytes:
        opened = self._cipher.open(self.sequence, packet)
        size = len(opened)
        padding = opened[0]
        if padding < _MIN_PADDING:
            raise SSHProtocolError("a padding_length below 4")
        if padding + 1 > size:
            raise SSHProtocolError("a padding_length beyond the packet")
        payload = bytes(opened[1 : size - padding])
        if self.decompressor is not None and payload:
            payload = self.decompressor.decompress(payload)
        if not payload:
            raise SSHProtocolError("a packet without a payload")
        self.sequence = self.sequence + 1 & _SEQUENCE_MASK
        self.packets += 1
        self.bytes_opened += size
        return payload
