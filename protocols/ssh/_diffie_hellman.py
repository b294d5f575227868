"""Diffie-Hellman in the groups 14, 16 and 18 (RFC 4253 §8, RFC 8268).

Powers are Python's own, because `cryptography` has deprecated its finite fields. They take from
3 ms to 60 ms, in a time that depends on the exponent, which is made for one exchange only.
"""

from __future__ import annotations

import functools
from typing import ClassVar

from ._key_agreement import KeyAgreement, refused
from ._primitives import Reader, encode_mpint, encode_string

__all__ = ["Group14SHA256", "Group16SHA512", "Group18SHA512"]

_GENERATOR = 2


class _DiffieHellman(KeyAgreement):
    bits: ClassVar[int]
    constant: ClassVar[int]  # of RFC 3526's formula
    exponent_bits: ClassVar[int]  # more than twice the group's strength (RFC 3526 §8)

    def begin(self) -> bytes:
        drawn = int.from_bytes(self._random(self.exponent_bits // 8), "big")
        self._exponent = drawn | 1 << self.exponent_bits - 1
        return encode_mpint(pow(_GENERATOR, self._exponent, self._prime()))[4:]

    def finish(self, server_public: bytes) -> bytes:
        prime = self._prime()
        public = Reader(encode_string(server_public)).mpint()
        # 1 and p-1 would give a secret that everybody knows (RFC 8268 §4).
        if not 1 < public < prime - 1:
            raise refused()
        return encode_mpint(pow(public, self._exponent, prime))

    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        public = self.begin()
        return public, self.finish(client_public)

    def _prime(self) -> int:
        return _modp_prime(self.bits, self.constant)


class Group14SHA256(_DiffieHellman):
    """``diffie-hellman-group14-sha256``."""

    hash_name = "sha256"
    bits, constant, exponent_bits = 2048, 124476, 320


class Group16SHA512(_DiffieHellman):
    """``diffie-hellman-group16-sha512``."""

    hash_name = "sha512"
    bits, constant, exponent_bits = 4096, 240904, 480


class Group18SHA512(_DiffieHellman):
    """``diffie-hellman-group18-sha512``."""

    hash_name = "sha512"
    bits, constant, exponent_bits = 8192, 4743158, 624


@functools.cache
def _modp_prime(bits: int, constant: int) -> int:
    """Return RFC 3526's 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + constant)."""
    return (1 << bits) - (1 << bits - 64) - 1 + (_pi(bits - 130) + constant << 64)


def _pi(bits: int) -> int:
    """Return [2^bits pi], by Machin's 16 arctan(1/5) - 4 arctan(1/239)."""
    unit = 1 << bits + 64
    return (16 * _arctan_of_inverse(5, unit) - 4 * _arctan_of_inverse(239, unit)) >> 64


def _arctan_of_inverse(divisor: int, unit: int) -> int:
    total = power = unit // divisor
    odd = 1
    while power:
        power //= -divisor * divisor
        odd += 2
        total += power // odd
    return total
