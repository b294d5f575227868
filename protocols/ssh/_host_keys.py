"""Host keys: the server's public key or certificate, its signature, and the key to sign with."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ._certificates import CERTIFICATE_SUFFIX, Certificate, read_certificate
from ._primitives import Reader, encode_mpint, encode_string, encode_text
from ._public_keys import (
    CURVES,
    RSA_HASHES,
    bad_key,
    read_public_key,
    verify_signature,
)

__all__ = ["HOST_KEY_ALGORITHMS", "HostKey", "PrivateHostKey"]


class _HostKeyAlgorithm(NamedTuple):
    key_type: str  # with which the key's blob begins
    signature: str  # with which the signature's blob begins


_PLAIN = {
    "ssh-ed25519": _HostKeyAlgorithm("ssh-ed25519", "ssh-ed25519"),
    **{name: _HostKeyAlgorithm(name, name) for name in CURVES},
    **{name: _HostKeyAlgorithm("ssh-rsa", name) for name in RSA_HASHES},
}
HOST_KEY_ALGORITHMS = {
    **{
        f"{name}{CERTIFICATE_SUFFIX}": _HostKeyAlgorithm(
            f"{algorithm.key_type}{CERTIFICATE_SUFFIX}", algorithm.signature
        )
        for name, algorithm in _PLAIN.items()
    },
    **_PLAIN,
}
"""What server_host_key_algorithms may name, in OpenSSH's order."""


class HostKey:
    """A server's public key.

    Args:
        blob: the key or certificate as it is in the key exchange, and base64 in known_hosts.

    Attributes:
        blob: the same.
        key_blob: the key alone, where ``blob`` is a certificate.
        key_type: such as ``ssh-ed25519``; of a certificate, that of its key.
        certificate: what an authority says of the key, if it came in a certificate. Nothing of
            it has been checked.

    Raises:
        SSHProtocolError: it is none.
    """

    __slots__ = ("_key", "blob", "certificate", "key_blob", "key_type")

    certificate: Certificate | None

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        reader = Reader(blob)
        blob_type = reader.name()
        if blob_type.endswith(CERTIFICATE_SUFFIX):
            self.key_blob, self._key, self.certificate = read_certificate(blob)
        else:
            self.key_blob, self.certificate = blob, None
            self._key = read_public_key(blob_type, reader)
            reader.end()
        self.key_type = blob_type.removesuffix(CERTIFICATE_SUFFIX)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of `key_blob`, as ``ssh-keygen -l`` writes it."""
        digest = base64.b64encode(hashlib.sha256(self.key_blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    def verify(self, algorithm: str, signature: bytes, data: bytes) -> None:
        """Verify a signature of a host key algorithm.

        Raises:
            SSHProtocolError: it is wrong, or the key is not of that algorithm.
        """
        expected = HOST_KEY_ALGORITHMS[algorithm]
        suffix = "" if self.certificate is None else CERTIFICATE_SUFFIX
        if f"{self.key_type}{suffix}" != expected.key_type:
            raise bad_key()
        verify_signature(self._key, expected.signature, signature, data)

    def __eq__(self, other: object) -> bool:
        return self.blob == other.blob if isinstance(other, HostKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.blob)

    def __repr__(self) -> str:
        return f"<HostKey {self.key_type} {self.fingerprint}>"


class PrivateHostKey:
    """A server's key pair.

    Args:
        private: as ``cryptography``'s ``load_ssh_private_key`` and others return it: Ed25519, RSA,
            or ECDSA on a NIST curve.
        certificate: the blob of a certificate for it, to show instead of the key.

    Raises:
        ValueError: it is another kind of key, or the certificate is for another.
    """

    __slots__ = ("_private", "algorithms", "blob")

    def __init__(
        self,
        private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
        certificate: bytes | None = None,
    ) -> None:
        self._private = private
        key_blob = _encode_public_key(private)
        self.blob = key_blob if certificate is None else certificate
        if HostKey(self.blob).key_blob != key_blob:
            raise ValueError("the certificate is for another key")
        key_type = Reader(self.blob).name()
        self.algorithms = [
            name
            for name, algorithm in HOST_KEY_ALGORITHMS.items()
            if algorithm.key_type == key_type
        ]

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """Return the signature's blob for a host key algorithm."""
        name = HOST_KEY_ALGORITHMS[algorithm].signature
        private = self._private
        if isinstance(private, ed25519.Ed25519PrivateKey):
            signature = private.sign(data)
        elif isinstance(private, rsa.RSAPrivateKey):
            signature = private.sign(data, padding.PKCS1v15(), RSA_HASHES[name])
        else:
            r, s = decode_dss_signature(private.sign(data, ec.ECDSA(CURVES[name][2])))
            signature = encode_mpint(r) + encode_mpint(s)
        return encode_text(name) + encode_string(signature)

    def __repr__(self) -> str:
        return f"<PrivateHostKey {Reader(self.blob).name()}>"


def _encode_public_key(
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> bytes:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return encode_text("ssh-ed25519") + encode_string(private.public_key().public_bytes_raw())
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return encode_text("ssh-rsa") + encode_mpint(numbers.e) + encode_mpint(numbers.n)
    for name, (identifier, curve, _) in CURVES.items():
        if curve.name == private.curve.name:
            point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return encode_text(name) + encode_text(identifier) + encode_string(point)
    raise ValueError("a host key on a curve that SSH does not use")
