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

# RFC 7748 §5.2: a scalar, a coordinate, and what comes of them.
SCALAR = "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"
COORDINATE = "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
OUTPUT = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
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
    private = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(SCALAR))
    assert exchange_x25519(private, bytes.fromhex(COORDINATE)).hex() == OUTPUT


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
    compressed = (
        ec.generate_private_key(method.curve)
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
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
