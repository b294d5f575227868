"""Bit strings.

Source: PostgreSQL documentation, section 8.10, "Bit String Types"; in the binary format the number
of bits, and the bits from the first byte's highest on.
"""

from __future__ import annotations

from typing import Any

from ._functions import INT32, TypeFunctions, binary, malformed
from ._values import BitString

__all__ = ["TYPES"]

_MAX_LENGTH = 2**31 - 1


def decode_bits(data: bytes, name: str = "varbit") -> BitString:
    """Read a bit string."""
    length = INT32.unpack_from(data)[0] if len(data) >= INT32.size else -1
    bits = data[INT32.size :]
    if length < 0 or (length + 7) // 8 != len(bits):
        raise malformed(name, "the number of bits is not that of the bytes")
    return BitString.frombytes(bits, length)


def decode_bit(data: bytes) -> BitString:
    """Read a bit string of the type bit."""
    return decode_bits(data, "bit")


def encode_bits(value: Any) -> bytes:
    """Write a ``BitString``, or all bits of a bytes-like object."""
    if isinstance(value, BitString):
        length, bits = len(value), value.bytes
    else:
        bits = memoryview(value).tobytes()
        length = len(bits) * 8
    if length > _MAX_LENGTH:
        raise ValueError("bit value too long")
    return INT32.pack(length) + bits


TYPES: dict[str, TypeFunctions] = {
    "bit": binary(1560, decode_bit, encode_bits),
    "varbit": binary(1562, decode_bits, encode_bits),
}
