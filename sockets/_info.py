"""What is known of an open connection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import ssl

__all__ = ["SocketInfo", "describe"]

# The hash of each certificate signature algorithm, by the DER of its object identifier
# (RFC 8017 appendix A.2, RFC 5758 §3.2). RFC 5929 §4.1: MD5 and SHA-1 become SHA-256.
_SIGNATURE_HASHES = {
    bytes.fromhex("2a864886f70d010104"): "sha256",  # md5WithRSAEncryption
    bytes.fromhex("2a864886f70d010105"): "sha256",  # sha1WithRSAEncryption
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a864886f70d01010e"): "sha224",
    bytes.fromhex("2a8648ce3d0401"): "sha256",  # ecdsa-with-SHA1
    bytes.fromhex("2a8648ce3d040301"): "sha224",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}

_RSASSA_PSS = bytes.fromhex("2a864886f70d01010a")
# What RSASSA-PSS parameters name (RFC 4055 §2.1).
_PSS_HASHES = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
    bytes.fromhex("608648016503040204"): "sha224",
}


@dataclass(frozen=True, slots=True)
class SocketInfo:
    """What is known of an open connection.

    Attributes:
        remote_address: the address as asked for.
        peer_address: the real address of the peer as the operating system names it, if it does.
        local_address: ours.
        tls_version: for example ``"TLSv1.3"``; None without TLS.
        cipher: name of the cipher suite.
        alpn: the protocol agreed on by ALPN.
        peer_certificate: the peer's certificate, DER.
    """

    remote_address: str
    peer_address: Any = None
    local_address: Any = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    peer_certificate: bytes | None = field(default=None, repr=False)
    tls_unique: bytes | None = field(default=None, repr=False)

    def channel_binding(self, binding_type: str) -> bytes | None:
        """Return channel binding data (RFC 5929), or None where there is none.

        ``binding_type`` is ``"tls-server-end-point"`` or ``"tls-unique"``; the latter is None on
        TLS 1.3, where it is not defined (RFC 8446 appendix C.5).
        """
        if binding_type == "tls-unique":
            return self.tls_unique
        if binding_type == "tls-server-end-point":
            return _end_point_hash(self.peer_certificate) if self.peer_certificate else None
        raise ValueError(f"unknown channel binding type {binding_type!r}")


def describe(remote_address: str, transport: asyncio.BaseTransport) -> SocketInfo:
    """Return what the transport knows."""
    peer = transport.get_extra_info("peername")
    local = transport.get_extra_info("sockname")
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return SocketInfo(remote_address, peer, local)
    cipher = tls.cipher()
    version = tls.version()
    return SocketInfo(
        remote_address,
        peer,
        local,
        tls_version=version,
        cipher=cipher[0] if cipher else None,
        alpn=tls.selected_alpn_protocol(),
        peer_certificate=tls.getpeercert(binary_form=True),
        tls_unique=None if version == "TLSv1.3" else tls.get_channel_binding("tls-unique"),
    )


def _end_point_hash(certificate: bytes) -> bytes | None:
    """RFC 5929 §4.1: the certificate's hash by its own signature's hash function."""
    # RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
    body, _ = _der_value(certificate, 0)
    _, after_tbs = _der_value(certificate, body)
    algorithm, _ = _der_value(certificate, after_tbs)
    oid, parameters = _der_value(certificate, algorithm)
    if certificate[oid:parameters] == _RSASSA_PSS:
        name = _pss_hash(certificate, parameters)
    else:
        name = _SIGNATURE_HASHES.get(certificate[oid:parameters])
    return hashlib.new(name, certificate).digest() if name else None


def _pss_hash(certificate: bytes, parameters: int) -> str | None:
    # RFC 4055 §3.1: SEQUENCE { [0] HashAlgorithm DEFAULT sha1, ... }
    first, _ = _der_value(certificate, parameters)
    if certificate[first] != 0xA0:
        return "sha256"
    algorithm, _ = _der_value(certificate, first)
    oid, _ = _der_value(certificate, algorithm)
    start, end = _der_value(certificate, oid)
    return _PSS_HASHES.get(certificate[start:end])


def _der_value(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the value of the DER element at ``offset`` starts and ends (X.690 §8.1)."""
    length = data[offset + 1]
    start = offset + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    return start, start + length
