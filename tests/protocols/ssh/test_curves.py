"""Curve25519 (RFC 8731) and ECDH (RFC 5656 §4)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.protocols.ssh._pair import randomness
from wirekit.protocols.ssh import SSHProtocolError
from wirekit.protocols.ssh._curves import (
    Curve25519,
    ECDHNistP256,
    ECDHNistP384,
    ECDHNistP521,
    exchange_x25519,
)

# RFC 7748 §6.1: Alice's private key, Bob's public key, and their secret.
ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f92ebc2e0a4a6c9f0d0b9b2c92a"
BOB = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
SECRET = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
CURVES = [ECDHNistP256, ECDHNistP384, ECDHNistP521]
# RFC 7748 §5.1: points of small order, whose secret is all zeros.
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
]


def test_rfc_7748() -> None:
    private = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(ALICE))
    assert exchange_x25519(private, bytes.fromhex(BOB)).hex() == SECRET


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_all_zero_secrets_are_refused(public: str) -> None:
    method = Curve25519(randomness())
    method.begin()
    with pytest.raises(SSHProtocolError, match="cannot use"):
        method.finish(bytes.fromhex(public))
    with pytest.raises(SSHProtocolError, match="cannot use"):
        Curve25519(randomness()).respond(bytes.fromhex(public))


def test_the_secret_is_an_mpint() -> None:
    """RFC 8731 §3.1: the 32 octets are an unsigned integer in network byte order."""
    first_bytes = set[int]()
    for _ in range(40):
        client = Curve25519(randomness())
        _, secret = Curve25519(randomness()).respond(client.begin())
        assert secret[4] < 0x80
        first_bytes.add(secret[3])
    assert first_bytes <= {31, 32, 33}
    assert 33 in first_bytes


@pytest.mark.parametrize("method", CURVES)
def test_points_that_are_none_are_refused(method: type[ECDHNistP256]) -> None:
    client = method(randomness())
    public = client.begin()
    compressed = ec.generate_private_key(method.curve).public_key().public_bytes(
        Encoding.X962, PublicFormat.CompressedPoint
    )
    off_the_curve = public[:-1] + bytes((public[-1] ^ 1,))
    other = ECDHNistP521 if method is ECDHNistP256 else ECDHNistP256
    wrong = [b"", b"\0", b"\4", compressed, off_the_curve, other(randomness()).begin()]
    wrong += [b"\4" + bytes(len(public) - 1), b"\4" + b"\xff" * (len(public) - 1)]
    for value in wrong:
        with pytest.raises(SSHProtocolError, match="cannot use"):
            client.finish(value)
        with pytest.raises(SSHProtocolError, match="cannot use"):
            method(randomness()).respond(value)
