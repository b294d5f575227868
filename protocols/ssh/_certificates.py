"""OpenSSH's certificates (PROTOCOL.certkeys): read, and checked for being a host's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._faults import DisconnectReason, SSHProtocolError
from ._primitives import Reader, encode_text
from ._public_keys import PublicKey, read_public_key, verify_signature

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CERTIFICATE_SUFFIX", "Certificate", "check_host_certificate", "read_certificate"]

CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
"""What follows the key's type in the type of its certificate."""

_HOST = 2  # SSH_CERT_TYPE_HOST
_MAX_PRINCIPALS = 256
_SHA1 = "ssh-rsa"  # the signature algorithm that is not accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What an authority says of a key; `check_host_certificate` tells whether that holds.

    Attributes:
        serial: the authority's number for it, or 0.
        type: 1 of a user, 2 of a host.
        key_id: the authority's name for it.
        principals: host names or user names; an empty tuple stands for all of them.
        valid_after: seconds since 1970 when it begins to be valid.
        valid_before: seconds since 1970 when it is no longer valid.
        critical_options: those that have to be understood.
        extensions: those that need not.
        signature_key: the authority's public key, as a blob.
        signed_data: what the authority signed.
        signature: its signature, as a blob.
    """

    serial: int
    type: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: dict[str, bytes]
    extensions: dict[str, bytes]
    signature_key: bytes = field(repr=False)
    signed_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read_certificate(blob: bytes) -> tuple[bytes, PublicKey, Certificate]:
    """Read a certificate; return its key's blob, the key, and the certificate.

    Raises:
        SSHProtocolError: it is none.
    """
    reader = Reader(blob)
    key_type = reader.name().removesuffix(CERTIFICATE_SUFFIX)
    reader.string()  # a nonce
    start = reader.position
    key = read_public_key(key_type, reader)
    key_blob = encode_text(key_type) + blob[start : reader.position]
    serial, kind, key_id = reader.uint64(), reader.uint32(), reader.text()
    principals = _read_principals(reader.string())
    valid_after, valid_before = reader.uint64(), reader.uint64()
    critical_options = _read_options(reader.string())
    extensions = _read_options(reader.string())
    reader.string()  # reserved
    signature_key = reader.string()
    signed_data = blob[: reader.position]
    signature = reader.string()
    reader.end()
    return (
        key_blob,
        key,
        Certificate(
            serial=serial,
            type=kind,
            key_id=key_id,
            principals=principals,
            valid_after=valid_after,
            valid_before=valid_before,
            critical_options=critical_options,
            extensions=extensions,
            signature_key=signature_key,
            signed_data=signed_data,
            signature=signature,
        ),
    )


def _read_principals(data: bytes) -> tuple[str, ...]:
    reader = Reader(data)
    principals: list[str] = []
    while not reader.at_end():
        principals.append(reader.text())
        if len(principals) > _MAX_PRINCIPALS:
            raise SSHProtocolError("a certificate with more than 256 principals")
    return tuple(principals)


def _read_options(data: bytes) -> dict[str, bytes]:
    """Read names, in order and each only once, with their data."""
    reader = Reader(data)
    options: dict[str, bytes] = {}
    last = ""
    while not reader.at_end():
        name = reader.text()
        if options and name <= last:
            raise SSHProtocolError("a certificate whose options are not in order")
        options[name] = reader.string()
        last = name
    return options


def check_host_certificate(
    certificate: Certificate, host: str, *, authorities: Collection[bytes], time: float
) -> None:
    """Make sure that an authority that is trusted says that the key is the host's.

    Args:
        certificate: the one that came with the host key.
        host: the name by which the host was addressed.
        authorities: public keys that are trusted, as blobs.
        time: now, in seconds since 1970.

    Raises:
        SSHProtocolError: that does not hold; the reason is HOST_KEY_NOT_VERIFIABLE.
    """
    if certificate.signature_key not in authorities:
        raise _not_verifiable("is not from an authority that is trusted")
    _check_signature(certificate)  # before anything of it is made use of
    if certificate.type != _HOST:
        raise _not_verifiable("is not of a host")
    if not certificate.valid_after <= time < certificate.valid_before:
        raise _not_verifiable("is not valid now")
    if certificate.critical_options:  # none are defined for hosts
        raise _not_verifiable("has an option that is not known")
    if certificate.principals and not _is_named(host, certificate.principals):
        raise _not_verifiable("is of another host")


def _is_named(host: str, principals: tuple[str, ...]) -> bool:
    """Whether one of the principals, in which ``*`` and ``?`` may stand, is the host."""
    for principal in principals:
        pattern = re.escape(principal.lower()).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(pattern, host.lower()):
            return True
    return False


def _check_signature(certificate: Certificate) -> None:
    try:
        reader = Reader(certificate.signature_key)
        # A certificate is no such type, so there are no chains of them.
        key = read_public_key(reader.name(), reader)
        reader.end()
        algorithm = Reader(certificate.signature).name()
        if algorithm == _SHA1:
            raise _not_verifiable("is signed with SHA-1")
        verify_signature(key, algorithm, certificate.signature, certificate.signed_data)
    except SSHProtocolError as exc:
        raise _not_verifiable(f"has {exc}") from None


def _not_verifiable(why: str) -> SSHProtocolError:
    reason = DisconnectReason.HOST_KEY_NOT_VERIFIABLE
    return SSHProtocolError(f"a host certificate that {why}", reason)
