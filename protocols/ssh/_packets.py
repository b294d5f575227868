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
        "_aligned",
        "_block",
        "_pool",
        "_pool_position",
        "_random",
        "_seal",
        "bytes_sealed",
        "compressor",
        "packets",
        "sequence",
    )

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._pool = b""
        self._pool_position = _POOL
        self.sequence = 0  # of the next packet
        self.compressor: Compressor | None = None
        self._begin(ClearCipher())

    def _begin(self, cipher: PacketCipher) -> None:
        self._seal = cipher.seal
        self._block = cipher.block_size
        self._aligned = 4 - cipher.unaligned
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
        if self.compressor is not None:
            payload = self.compressor.compress(payload)
        length = len(payload) + 1
        padding = self._block - (length + self._aligned) % self._block
        if padding < _MIN_PADDING or length + padding < _LEAST:
            padding += self._block
        length += padding
        start = self._pool_position
        end = self._pool_position = start + padding
        if end > _POOL:
            self._pool = self._random(_POOL)
            start, end = 0, padding
            self._pool_position = padding
        body = b"".join((_BYTES[padding], payload, self._pool[start:end]))
        self._seal(self.sequence, length.to_bytes(4, "big"), body, output)
        self.sequence = self.sequence + 1 & _SEQUENCE_MASK
        self.packets += 1
        self.bytes_sealed += length


class PacketReader:
    """Takes bytes as they come, and gives payloads.

    Args:
        maximum_packet_size: the largest packet_length to accept, and the largest payload.
    """

    __slots__ = (
        "_aligned",
        "_block",
        "_cipher",
        "_header_size",
        "_input",
        "_maximum",
        "_overhead",
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
        self._block = cipher.block_size
        self._aligned = 4 - cipher.unaligned
        self._header_size = cipher.header_size
        self._overhead = 4 + cipher.tag_size
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
        packet: memoryview | None = None
        if self._pending:
            packet = self._find_pending()
        else:
            start = self._position
            available = len(self._input) - start
            size = self._header_size
            if available >= size:
                size = self._total = self._read_length(self._input[start : start + size])
            if available >= size:
                self._position = start + size
                packet = self._input[start : start + size]
            else:
                self._fill(size)
        if packet is None:
            return None
        self._total = 0
        opened = self._cipher.open(self.sequence, packet)
        size = len(opened)
        padding = opened[0]
        if padding < _MIN_PADDING:
            raise SSHProtocolError("a padding_length below 4")
        if padding >= size:
            raise SSHProtocolError("a padding_length beyond the packet")
        payload = opened[1 : size - padding]
        if self.decompressor is not None and payload:
            payload = self.decompressor.decompress(payload)
        if not payload:
            raise SSHProtocolError("a packet without a payload")
        self.sequence = self.sequence + 1 & _SEQUENCE_MASK
        self.packets += 1
        self.bytes_opened += size
        return payload

    def _find_pending(self) -> memoryview | None:
        """Return the packet that began in earlier input, if it is complete now."""
        if not self._total:
            if not self._fill(self._header_size):
                return None
            self._total = self._read_length(memoryview(bytes(self._pending)))
        if not self._fill(self._total):
            return None
        packet, self._pending = self._pending, bytearray()
        return memoryview(packet)

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
        length = self._cipher.open_length(self.sequence, header)
        if length < _MIN_PACKET_LENGTH:
            raise SSHProtocolError("a packet_length below 5")
        if length > self._maximum:
            raise PacketTooLarge("a packet_length above maximum_packet_size")
        if (length + self._aligned) % self._block:
            raise SSHProtocolError("a packet_length that is no multiple of the block size")
        return length + self._overhead
