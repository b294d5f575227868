"""mlkem768x25519-sha256: ML-KEM and X25519 at once (draft-ietf-sshm-mlkem-hybrid-kex)."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from ._curves import exchange_x25519
from ._key_agreement import KeyAgreement, refused
from ._primitives import encode_string

__all__ = ["MLKEM768X25519", "is_supported"]

_PUBLIC_KEY = 1184  # bytes of ML-KEM-768's encapsulation key
_CIPHERTEXT = 1088


def is_supported() -> bool:
    """Whether the OpenSSL under `cryptography` has ML-KEM."""
    try:
        mlkem.MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        return False
    return True


class MLKEM768X25519(KeyAgreement):
    """Whoever breaks one of the two has not broken the exchange."""

    hash_name = "sha256"

    def begin(self) -> bytes:
        self._decapsulation_key = mlkem.MLKEM768PrivateKey.generate()
        self._private = x25519.X25519PrivateKey.generate()
        encapsulation_key = self._decapsulation_key.public_key().public_bytes_raw()
        return encapsulation_key + self._private.public_key().public_bytes_raw()

    def finish(self, server_public: bytes) -> bytes:
        ciphertext, public = server_public[:_CIPHERTEXT], server_public[_CIPHERTEXT:]
        try:
            secret = self._decapsulation_key.decapsulate(ciphertext)
        except ValueError:
            raise refused() from None
        return _combine(secret, exchange_x25519(self._private, public))

    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        key, public = client_public[:_PUBLIC_KEY], client_public[_PUBLIC_KEY:]
        try:
            encapsulation_key = mlkem.MLKEM768PublicKey.from_public_bytes(key)
        except ValueError:
            raise refused() from None
        secret, ciphertext = encapsulation_key.encapsulate()
        private = x25519.X25519PrivateKey.generate()
        combined = _combine(secret, exchange_x25519(private, public))
        return ciphertext + private.public_key().public_bytes_raw(), combined


def _combine(post_quantum: bytes, classical: bytes) -> bytes:
    """Return the shared secret of both; unlike others it is a string, not an mpint (§2.4)."""
    return encode_string(hashlib.sha256(post_quantum + classical).digest())
