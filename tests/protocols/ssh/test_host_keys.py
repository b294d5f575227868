"""Host keys: every algorithm, fingerprints, certificates, and the server's own key."""

from __future__ import annotations

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.protocols.ssh._oracles import generate_key
from tests.protocols.ssh._pair import host_key, inside
from wirekit.protocols.ssh import HostKey, PrivateHostKey, SSHProtocolError
from wirekit.protocols.ssh._host_keys import HOST_KEY_ALGORITHMS

KEY_TYPES = {
    algorithm: "ssh-rsa"
    if algorithm.startswith(("rsa-", "ssh-rsa"))
    else algorithm.split("-cert")[0]
    for algorithm in HOST_KEY_ALGORITHMS
}


def private_key(algorithm: str) -> PrivateHostKey:
    """Return a key for the algorithm; a certificate's is asyncssh's work."""
    plain = host_key(KEY_TYPES[algorithm])
    if "-cert-" not in algorithm:
        return plain
    authority = generate_key("ssh-ed25519")
    subject = asyncssh.import_private_key(asyncssh_key(plain))
    certificate = authority.generate_host_certificate(subject, "a key")
    return PrivateHostKey(inside(plain)._private, certificate.public_data)


def asyncssh_key(key: PrivateHostKey) -> bytes:
    """Return a key as asyncssh reads it."""
    data: bytes = inside(key)._private.private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    return data


@pytest.mark.parametrize("algorithm", HOST_KEY_ALGORITHMS)
def test_sign_and_verify(algorithm: str) -> None:
    private = private_key(algorithm)
    assert algorithm in private.algorithms
    key = HostKey(private.blob)
    signature = private.sign(algorithm, b"data")
    key.verify(algorithm, signature, b"data")
    with pytest.raises(SSHProtocolError, match="wrong signature"):
        key.verify(algorithm, signature, b"date")
    assert key.key_type == KEY_TYPES[algorithm]
    assert (key.certificate is not None) is ("-cert-" in algorithm)
    assert key.key_blob == host_key(KEY_TYPES[algorithm]).blob


@pytest.mark.parametrize("algorithm", HOST_KEY_ALGORITHMS)
def test_a_key_is_of_the_algorithm_that_was_negotiated(algorithm: str) -> None:
    private = private_key(algorithm)
    key = HostKey(private.blob)
    for other in HOST_KEY_ALGORITHMS:
        if other not in private.algorithms:
            with pytest.raises(SSHProtocolError, match="a public key that is none"):
                key.verify(other, private.sign(algorithm, b"data"), b"data")


@pytest.mark.parametrize("key_type", sorted(set(KEY_TYPES.values())))
def test_fingerprints_are_asyncsshs(key_type: str) -> None:
    blob = host_key(key_type).blob
    theirs = asyncssh.import_private_key(asyncssh_key(host_key(key_type)))
    assert theirs.public_data == blob
    assert HostKey(blob).fingerprint == theirs.get_fingerprint()


def test_a_certificate_has_the_fingerprint_of_its_key() -> None:
    private = private_key("ssh-ed25519-cert-v01@openssh.com")
    assert HostKey(private.blob).fingerprint == HostKey(host_key().blob).fingerprint
    assert HostKey(private.blob) != HostKey(host_key().blob)


def test_keys_are_equal_by_their_blobs() -> None:
    one, same = HostKey(host_key().blob), HostKey(host_key().blob)
    assert one == same
    assert hash(one) == hash(same)
    assert one != HostKey(host_key("ssh-rsa").blob)
    assert one != host_key().blob
    assert repr(one) == f"<HostKey ssh-ed25519 {one.fingerprint}>"
    assert repr(host_key()) == "<PrivateHostKey ssh-ed25519>"


def test_a_certificate_for_another_key() -> None:
    private = private_key("ssh-ed25519-cert-v01@openssh.com")
    with pytest.raises(ValueError, match="for another key"):
        PrivateHostKey(ed25519.Ed25519PrivateKey.generate(), private.blob)


def test_a_curve_that_ssh_does_not_use() -> None:
    with pytest.raises(ValueError, match="curve that SSH does not use"):
        PrivateHostKey(ec.generate_private_key(ec.SECP256K1()))
