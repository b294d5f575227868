"""Public keys and signatures, against asyncssh and paramiko."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.protocols.ssh._oracles import generate_key
from tests.protocols.ssh._pair import host_key
from wirekit.protocols.ssh import DisconnectReason, Reader, SSHProtocolError
from wirekit.protocols.ssh._primitives import encode_mpint, encode_string, encode_text
from wirekit.protocols.ssh._public_keys import (
    CURVES,
    PublicKey,
    read_public_key,
    verify_signature,
)

TYPES = ["ssh-ed25519", *CURVES, "ssh-rsa"]
# The key's type and the signature algorithm.
PAIRS = [
    *((name, name) for name in ("ssh-ed25519", *CURVES)),
    *(("ssh-rsa", name) for name in ("rsa-sha2-256", "rsa-sha2-512", "ssh-rsa")),
]


def read(blob: bytes) -> PublicKey:
    reader = Reader(blob)
    key = read_public_key(reader.name(), reader)
    reader.end()
    return key


@pytest.mark.parametrize(("key_type", "algorithm"), PAIRS)
def test_asyncssh_signs(key_type: str, algorithm: str) -> None:
    theirs = generate_key(key_type)
    key = read(theirs.public_data)
    signature = theirs.sign(b"data", algorithm.encode())
    verify_signature(key, algorithm, signature, b"data")
    with pytest.raises(SSHProtocolError, match="a wrong signature") as caught:
        verify_signature(key, algorithm, signature, b"date")
    assert caught.value.reason_code is DisconnectReason.KEY_EXCHANGE_FAILED


@pytest.mark.parametrize(("key_type", "algorithm"), PAIRS)
def test_every_change_of_a_signature_is_found(key_type: str, algorithm: str) -> None:
    ours = host_key(key_type)
    key = read(ours.blob)
    signature = ours.sign(algorithm, b"data")
    verify_signature(key, algorithm, signature, b"data")
    for position in range(len(signature)):
        changed = bytearray(signature)
        changed[position] ^= 1 << position % 8
        with pytest.raises(SSHProtocolError):
            verify_signature(key, algorithm, bytes(changed), b"data")
    for wrong in (b"", signature[:-1], signature + b"\0"):
        with pytest.raises(SSHProtocolError):
            verify_signature(key, algorithm, wrong, b"data")


@pytest.mark.parametrize("key_type", TYPES)
def test_a_key_signs_only_with_its_own_algorithms(key_type: str) -> None:
    key = read(host_key(key_type).blob)
    for other, algorithm in PAIRS:
        if other != key_type:
            signature = host_key(other).sign(algorithm, b"data")
            with pytest.raises(SSHProtocolError, match="a wrong signature"):
                verify_signature(key, algorithm, signature, b"data")
    signature = host_key("ssh-rsa").sign("rsa-sha2-256", b"data")
    with pytest.raises(SSHProtocolError, match="a wrong signature"):
        verify_signature(read(host_key("ssh-rsa").blob), "rsa-sha2-512", signature, b"data")


@pytest.mark.parametrize("key_type", TYPES)
def test_every_truncation_of_a_key(key_type: str) -> None:
    blob = host_key(key_type).blob
    for size in range(len(blob)):
        with pytest.raises(SSHProtocolError):
            read(blob[:size])
    with pytest.raises(SSHProtocolError):
        read(blob + b"\0")


P256 = encode_text("ecdsa-sha2-nistp256") + encode_text("nistp256")


@pytest.mark.parametrize(
    "blob",
    [
        encode_text("ssh-dss") + bytes(100),
        encode_text("ssh-ed25519") + encode_string(bytes(31)),
        encode_text("ecdsa-sha2-nistp256") + encode_text("nistp384") + encode_string(b"\4"),
        P256 + encode_string(b""),
        P256 + encode_string(b"\0"),
        P256 + encode_string(b"\2" + bytes(32)),
        P256 + encode_string(b"\4" + bytes(64)),
        encode_text("ssh-rsa") + encode_mpint(65537) + encode_mpint(2**1000 + 1),
        encode_text("ssh-rsa") + encode_mpint(65537) + encode_mpint(2**16384 + 1),
        encode_text("ssh-rsa") + encode_mpint(65537) + encode_mpint(-(2**2047) - 1),
        encode_text("ssh-rsa") + encode_mpint(2**65 + 1) + encode_mpint(2**2047 + 1),
        encode_text("ssh-rsa") + encode_mpint(2) + encode_mpint(2**2047 + 1),
        encode_text("ssh-rsa") + encode_mpint(-3) + encode_mpint(2**2047 + 1),
    ],
)
def test_keys_that_are_none(blob: bytes) -> None:
    with pytest.raises(SSHProtocolError):
        read(blob)


def test_rsa_signatures_without_leading_zeros() -> None:
    """An integer may have lost its zeros on the way (RFC 8332 §3 notes that some strip them)."""
    private = rsa.generate_private_key(65537, 1024)
    numbers = private.public_key().public_numbers()
    blob = encode_text("ssh-rsa") + encode_mpint(numbers.e) + encode_mpint(numbers.n)
    data = signature = b""
    while not signature.startswith(b"\0"):
        data += b"x"
        signature = private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    stripped = encode_text("rsa-sha2-256") + encode_string(signature.lstrip(b"\0"))
    verify_signature(read(blob), "rsa-sha2-256", stripped, data)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (-1, 1), (1, 2**256), (2**600, 1)])
def test_ecdsa_signatures_that_are_none(r: int, s: int) -> None:
    key = read(host_key("ecdsa-sha2-nistp256").blob)
    value = encode_string(encode_mpint(r) + encode_mpint(s))
    with pytest.raises(SSHProtocolError, match="a wrong signature"):
        verify_signature(
            key, "ecdsa-sha2-nistp256", encode_text("ecdsa-sha2-nistp256") + value, b"data"
        )
