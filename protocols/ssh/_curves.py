"""Key exchange on elliptic curves: curve25519-sha256 (RFC 8731), ecdh-sha2-* (RFC 5656 §4)."""

from __future__ import annotations

from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ._key_agreement import KeyAgreement, refused
from ._primitives import encode_mpint

__all__ = [
    "Curve25519",
    "ECDHNistP256",
    "ECDHNistP384",
    "ECDHNistP521",
    "exchange_x25519",
]

_UNCOMPRESSED = 4  # the first byte of a point; OpenSSH takes no others either


class Curve25519(KeyAgreement):
    """``curve25519-sha256``, and ``curve25519-sha256@libssh.org``, which is the same."""

    hash_name = "sha256"

    def begin(self) -> bytes:
        self._private = x25519.X25519PrivateKey.generate()
        return self._private.public_key().public_bytes_raw()

    def finish(self, server_public: bytes) -> bytes:
        secret = exchange_x25519(self._private, server_public)
        return encode_mpint(int.from_bytes(secret, "big"))

    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        public = self.begin()
        return public, self.finish(client_public)


def exchange_x25519(private: x25519.X25519PrivateKey, public: bytes) -> bytes:
    """Return X25519's 32 bytes.

    Raises:
        SSHProtocolError: the value is not 32 bytes, or the secret is all zeros (RFC 8731 §3).
    """
    try:
        return private.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise refused() from None


class _ECDH(KeyAgreement):
    curve: ClassVar[ec.EllipticCurve]

    def begin(self) -> bytes:
        self._private = ec.generate_private_key(self.curve)
        return self._private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    def finish(self, server_public: bytes) -> bytes:
        if server_public[:1] != bytes((_UNCOMPRESSED,)):
            raise refused()
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, server_public)
        except ValueError:
            raise refused() from None
        secret = self._private.exchange(ec.ECDH(), public)
        return encode_mpint(int.from_bytes(secret, "big"))

    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        public = self.begin()
        return public, self.finish(client_public)


class ECDHNistP256(_ECDH):
    """``ecdh-sha2-nistp256``."""

    hash_name = "sha256"
    curve = ec.SECP256R1()


class ECDHNistP384(_ECDH):
    """``ecdh-sha2-nistp384``."""

    hash_name = "sha384"
    curve = ec.SECP384R1()


class ECDHNistP521(_ECDH):
    """``ecdh-sha2-nistp521``."""

    hash_name = "sha512"
    curve = ec.SECP521R1()
