"""Public keys and their signatures: ssh-ed25519 (RFC 8709), ecdsa-sha2-* (RFC 5656 §3), ssh-rsa.

RSA signs with SHA-2 (RFC 8332), and with SHA-1 (RFC 4253 §6.6) only for whom asks for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ._faults import DisconnectReason, SSHProtocolError
from ._primitives import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CURVES",
    "RSA_HASHES",
    "PublicKey",
    "bad_key",
    "read_public_key",
    "verify_signature",
]

CURVES: dict[str, tuple[str, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "ecdsa-sha2-nistp256": ("nistp256", ec.SECP256R1(), hashes.SHA256()),
    "ecdsa-sha2-nistp384": ("nistp384", ec.SECP384R1(), hashes.SHA384()),
    "ecdsa-sha2-nistp521": ("nistp521", ec.SECP521R1(), hashes.SHA512()),
}
"""The curve's identifier, the curve, and the hash that goes with it, by the key's type."""

RSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "rsa-sha2-512": hashes.SHA512(),
    "rsa-sha2-256": hashes.SHA256(),
    "ssh-rsa": hashes.SHA1(),
}
"""By the name of the signature algorithm."""

# OpenSSH's limits. What is larger takes long to verify.
_MIN_RSA_BITS = 1024
_MAX_RSA_BITS = 16384
_MAX_EXPONENT = 2**64


class PublicKey(ABC):
    """A public key, with the names of the signature algorithms that it may be used with."""

    algorithms: frozenset[str]

    @abstractmethod
    def verify(self, algorithm: str, signature: Reader, data: bytes) -> None:
        """Verify a signature that the reader is to read to its end.

        Raises:
            InvalidSignature: it is not that of ``data``.
            SSHProtocolError: it has not the algorithm's form.
        """


class _Ed25519Key(PublicKey):
    algorithms = frozenset(["ssh-ed25519"])

    def __init__(self, reader: Reader, _: str) -> None:
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(reader.string())

    def verify(self, algorithm: str, signature: Reader, data: bytes) -> None:
        self._key.verify(signature.rest(), data)


class _ECDSAKey(PublicKey):
    def __init__(self, reader: Reader, key_type: str) -> None:
        self.algorithms = frozenset([key_type])
        identifier, curve, self._hash = CURVES[key_type]
        if reader.string() != identifier.encode():
            raise bad_key()
        point = reader.string()
        if point[:1] != b"\4":  # compressed, or the point at infinity
            raise bad_key()
        self._key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)

    def verify(self, algorithm: str, signature: Reader, data: bytes) -> None:
        r, s = signature.mpint(), signature.mpint()
        signature.end()
        if r < 1 or s < 1:
            raise _bad_signature()
        self._key.verify(encode_dss_signature(r, s), data, ec.ECDSA(self._hash))


class _RSAKey(PublicKey):
    algorithms = frozenset(RSA_HASHES)

    def __init__(self, reader: Reader, _: str) -> None:
        exponent, modulus = reader.mpint(), reader.mpint()
        is_allowed = _MIN_RSA_BITS <= modulus.bit_length() <= _MAX_RSA_BITS
        if modulus < 0 or not is_allowed or not 3 <= exponent <= _MAX_EXPONENT:
            raise bad_key()
        self._key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        self._size = (modulus.bit_length() + 7) // 8

    def verify(self, algorithm: str, signature: Reader, data: bytes) -> None:
        # An integer, from which some implementations strip leading zeros.
        value = signature.rest().rjust(self._size, b"\0")
        self._key.verify(value, data, padding.PKCS1v15(), RSA_HASHES[algorithm])


_KEY_TYPES: dict[str, Callable[[Reader, str], PublicKey]] = {
    "ssh-ed25519": _Ed25519Key,
    **dict.fromkeys(CURVES, _ECDSAKey),
    "ssh-rsa": _RSAKey,
}


def read_public_key(key_type: str, reader: Reader) -> PublicKey:
    """Read what follows the type in a key's blob, or type and nonce in a certificate's.

    Raises:
        SSHProtocolError: it is no such key, or its type is not implemented.
    """
    if key_type not in _KEY_TYPES:
        raise bad_key()
    try:
        return _KEY_TYPES[key_type](reader, key_type)
    except (ValueError, UnsupportedAlgorithm):
        raise bad_key() from None


def verify_signature(key: PublicKey, algorithm: str, signature: bytes, data: bytes) -> None:
    """Verify a signature's blob, which has to be of that algorithm.

    Raises:
        SSHProtocolError: it is not that of ``data`` by this key.
    """
    reader = Reader(signature)
    if reader.string() != algorithm.encode() or algorithm not in key.algorithms:
        raise _bad_signature()
    value = reader.string()
    reader.end()
    try:
        key.verify(algorithm, Reader(value), data)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        raise _bad_signature() from None


def bad_key() -> SSHProtocolError:
    """Return the error for a key that cannot be used."""
    return SSHProtocolError("a public key that is none", DisconnectReason.KEY_EXCHANGE_FAILED)


def _bad_signature() -> SSHProtocolError:
    """Return the error for a signature that is not right."""
    return SSHProtocolError("a wrong signature", DisconnectReason.KEY_EXCHANGE_FAILED)
