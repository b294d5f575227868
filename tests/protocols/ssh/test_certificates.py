"""OpenSSH host certificates, made by asyncssh: read, and checked."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import asyncssh
import pytest

from tests.protocols.ssh._oracles import generate_key
from wirekit.protocols.ssh import (
    Certificate,
    DisconnectReason,
    HostKey,
    SSHProtocolError,
    check_host_certificate,
)
from wirekit.protocols.ssh._certificates import CERTIFICATE_SUFFIX, read_certificate
from wirekit.protocols.ssh._primitives import encode_string, encode_text, encode_uint32

NOW = 1_700_000_000.0
TYPES = [
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "ssh-rsa",
]


@functools.cache
def key(key_type: str, number: int = 0) -> asyncssh.SSHKey:
    return generate_key(key_type)


def certify(
    authority: asyncssh.SSHKey, subject: asyncssh.SSHKey, *, user: bool = False, **settings: Any
) -> bytes:
    """Return the blob of a certificate for ``db.example``."""
    make: Any = authority.generate_user_certificate if user else authority.generate_host_certificate
    fields: dict[str, Any] = {
        "principals": ["db.example"],
        "valid_after": int(NOW),
        "valid_before": int(NOW) + 9,
    }
    data: bytes = make(subject, "a key", **{**fields, **settings}).public_data
    return data


def check(blob: bytes, authority: asyncssh.SSHKey, host: str = "db.example", **more: Any) -> None:
    certificate = HostKey(blob).certificate
    assert certificate is not None
    settings: dict[str, Any] = {"authorities": [authority.public_data], "time": NOW, **more}
    check_host_certificate(certificate, host, **settings)


@pytest.mark.parametrize("key_type", TYPES)
def test_fields(key_type: str) -> None:
    blob = certify(key("ssh-ed25519", 1), key(key_type), serial=7)
    key_blob, _, certificate = read_certificate(blob)
    assert key_blob == key(key_type).public_data
    assert certificate.serial == 7
    assert certificate.type == 2
    assert certificate.key_id == "a key"
    assert certificate.principals == ("db.example",)
    assert (certificate.valid_after, certificate.valid_before) == (int(NOW), int(NOW) + 9)
    assert certificate.critical_options == certificate.extensions == {}
    assert certificate.signature_key == key("ssh-ed25519", 1).public_data
    assert blob.startswith(certificate.signed_data)
    assert "signature" not in repr(certificate)


@pytest.mark.parametrize("subject", TYPES)
@pytest.mark.parametrize("authority", TYPES)
def test_every_kind_of_authority(subject: str, authority: str) -> None:
    signer = key(authority, 1)
    check(certify(signer, key(subject)), signer)


ED25519 = key("ssh-ed25519")
AUTHORITY = key("ssh-ed25519", 1)


@pytest.mark.parametrize(
    ("settings", "host", "message"),
    [
        ({}, "other.example", "is of another host"),
        ({"principals": ["d?", "*.other"]}, "db.example", "is of another host"),
        ({"valid_after": int(NOW) + 1}, "db.example", "is not valid now"),
        ({"valid_after": 1, "valid_before": int(NOW)}, "db.example", "is not valid now"),
        ({"user": True}, "db.example", "is not of a host"),
    ],
)
def test_what_does_not_hold(settings: dict[str, Any], host: str, message: str) -> None:
    with pytest.raises(SSHProtocolError, match=message) as caught:
        check(certify(AUTHORITY, ED25519, **settings), AUTHORITY, host)
    assert caught.value.reason_code is DisconnectReason.HOST_KEY_NOT_VERIFIABLE


@pytest.mark.parametrize(
    ("principals", "host"),
    [
        ([], "any.example"),
        (["a", "db.example"], "db.example"),
        (["*.example"], "db.example"),
        (["d?.example"], "db.example"),
        (["DB.example"], "db.EXAMPLE"),
    ],
)
def test_principals_that_match(principals: list[str], host: str) -> None:
    check(certify(AUTHORITY, ED25519, principals=principals), AUTHORITY, host)


def test_principals_are_patterns_of_two_characters_only() -> None:
    blob = certify(AUTHORITY, ED25519, principals=["[d]b.example", "db.examp(le|ld)", "dbXexample"])
    with pytest.raises(SSHProtocolError, match="is of another host"):
        check(blob, AUTHORITY)


def test_an_authority_that_is_not_trusted() -> None:
    blob = certify(AUTHORITY, ED25519)
    with pytest.raises(SSHProtocolError, match="is not from an authority"):
        check(blob, AUTHORITY, authorities=[])
    with pytest.raises(SSHProtocolError, match="is not from an authority"):
        check(blob, AUTHORITY, authorities=[ED25519.public_data])


def test_every_change_is_found() -> None:
    blob = certify(AUTHORITY, ED25519)
    for position in range(len(blob)):
        changed = bytearray(blob)
        changed[position] ^= 1 << position % 8
        with pytest.raises(SSHProtocolError):
            check(bytes(changed), AUTHORITY)


def test_every_truncation() -> None:
    blob = certify(AUTHORITY, ED25519)
    for size in range(len(blob)):
        with pytest.raises(SSHProtocolError):
            HostKey(blob[:size])
    with pytest.raises(SSHProtocolError):
        HostKey(blob + b"\0")


def with_fields(**fields: bytes) -> bytes:
    """Return an Ed25519 certificate, not signed, with other fields."""
    parts = {
        "nonce": encode_string(bytes(32)),
        "key": encode_string(ED25519.public_data[-32:]),
        "serial": bytes(8),
        "type": encode_uint32(2),
        "key_id": encode_text("a key"),
        "principals": encode_string(b""),
        "valid_after": bytes(8),
        "valid_before": b"\xff" * 8,
        "critical_options": encode_string(b""),
        "extensions": encode_string(b""),
        "reserved": encode_string(b""),
        "signature_key": encode_string(AUTHORITY.public_data),
    }
    assert parts.keys() >= fields.keys()
    signed = encode_text(f"ssh-ed25519{CERTIFICATE_SUFFIX}") + b"".join(
        {**parts, **fields}.values()
    )
    return signed + encode_string(AUTHORITY.sign(signed, b"ssh-ed25519"))


def options(*names: str) -> bytes:
    return encode_string(b"".join(encode_text(name) + encode_text("value") for name in names))


def test_a_certificate_for_ever() -> None:
    check(with_fields(), AUTHORITY, time=2.0**62)


def test_critical_options_are_not_known() -> None:
    blob = with_fields(critical_options=options("force-command"))
    with pytest.raises(SSHProtocolError, match="has an option that is not known"):
        check(blob, AUTHORITY)
    check(with_fields(extensions=options("a", "b")), AUTHORITY)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a")])
def test_options_are_in_order(names: tuple[str, ...]) -> None:
    with pytest.raises(SSHProtocolError, match="not in order"):
        HostKey(with_fields(extensions=options(*names)))


def test_principals_are_bounded() -> None:
    many = encode_string(encode_text("a") * 257)
    with pytest.raises(SSHProtocolError, match="more than 256 principals"):
        HostKey(with_fields(principals=many))


def test_patterns_are_looked_at_only_if_an_authority_signed_them() -> None:
    """One could be made that takes for ever."""
    blob = with_fields(principals=encode_string(encode_text("*a" * 100 + "b")))
    certificate = HostKey(blob).certificate
    assert certificate is not None
    forged = replace(certificate, signature=bytes(83))
    with pytest.raises(SSHProtocolError, match="has a"):
        check_host_certificate(forged, "a" * 255, authorities=[AUTHORITY.public_data], time=NOW)


def test_chains_are_not_followed() -> None:
    chained = certify(AUTHORITY, key("ssh-ed25519", 2))
    certificate: Certificate | None = HostKey(with_fields()).certificate
    assert certificate is not None
    blob = with_fields(signature_key=encode_string(chained))
    with pytest.raises(SSHProtocolError, match="has a public key that is none"):
        check(blob, AUTHORITY, authorities=[chained])


def test_sha1_is_not_accepted() -> None:
    signer = key("ssh-rsa", 1)
    fields = with_fields(signature_key=encode_string(signer.public_data))
    certificate = HostKey(fields).certificate
    assert certificate is not None
    blob = certificate.signed_data + encode_string(signer.sign(certificate.signed_data, b"ssh-rsa"))
    with pytest.raises(SSHProtocolError, match="is signed with SHA-1"):
        check(blob, signer)
