"""mlkem768x25519-sha256, against asyncssh and paramiko's way of putting it together."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from tests.protocols.ssh._pair import randomness
from wirekit.protocols.ssh import SSHProtocolError
from wirekit.protocols.ssh._mlkem import MLKEM768X25519, is_supported


def test_an_openssl_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UnsupportedAlgorithm("no ML-KEM")

    assert is_supported()  # by the wheels
    monkeypatch.setattr(mlkem.MLKEM768PrivateKey, "generate", refuse)
    assert not is_supported()


def test_the_draft() -> None:
    """§2.3 and §2.4: C_INIT is C_PK2 || C_PK1, S_REPLY is S_CT2 || S_PK1, K is a string."""
    client = MLKEM768X25519(randomness())
    public = client.begin()
    assert len(public) == 1184 + 32
    key = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184])
    post_quantum, ciphertext = key.encapsulate()
    private = x25519.X25519PrivateKey.generate()
    classical = private.exchange(x25519.X25519PublicKey.from_public_bytes(public[1184:]))
    secret = client.finish(ciphertext + private.public_key().public_bytes_raw())
    assert secret == b"\0\0\0\x20" + hashlib.sha256(post_quantum + classical).digest()


def test_values_that_are_none_are_refused() -> None:
    client = MLKEM768X25519(randomness())
    public = client.begin()
    reply, _ = MLKEM768X25519(randomness()).respond(public)
    assert len(reply) == 1088 + 32
    with pytest.raises(SSHProtocolError):
        client.finish(reply[:1088] + bytes(32))  # an all-zero secret
    for wrong in (b"\xff" * 1184 + public[1184:], public[:1184] + bytes(32), public[:1184]):
        with pytest.raises(SSHProtocolError):
            MLKEM768X25519(randomness()).respond(wrong)


def test_a_changed_ciphertext_gives_another_secret() -> None:
    """FIPS 203 §6.3: implicit rejection; the exchange hash and so the signature will differ."""
    client = MLKEM768X25519(randomness())
    reply, secret = MLKEM768X25519(randomness()).respond(client.begin())
    assert client.finish(bytes((reply[0] ^ 1,)) + reply[1:]) != secret
