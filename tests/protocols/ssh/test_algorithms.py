"""What is offered, and the ciphers that come of it."""

from __future__ import annotations

import pytest

from tests.protocols.ssh._pair import SUITES, fixed_cipher
from wirekit.protocols.ssh import Algorithms
from wirekit.protocols.ssh._algorithms import is_aead
from wirekit.protocols.ssh._chacha import ChaChaCipher
from wirekit.protocols.ssh._ctr import CTRCipher, EncryptThenMACCipher
from wirekit.protocols.ssh._gcm import GCMCipher


def test_defaults() -> None:
    offered = Algorithms()
    assert offered.kex_algorithms[:2] == ("mlkem768x25519-sha256", "curve25519-sha256")
    assert offered.server_host_key_algorithms[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert "rsa-sha2-256" in offered.server_host_key_algorithms
    assert not [name for name in offered.server_host_key_algorithms if name.startswith("ssh-rsa")]
    assert offered.encryption_algorithms[0] == "aes128-gcm@openssh.com"
    assert [name.endswith("-etm@openssh.com") for name in offered.mac_algorithms] == [
        *(True, True, False, False)
    ]
    assert offered.compression_algorithms == ("none", "zlib@openssh.com")


def test_sha1_only_if_asked_for() -> None:
    assert Algorithms(server_host_key_algorithms=("ssh-rsa",))


@pytest.mark.parametrize("names", [(), ("none",), ("aes128-ctr", "aes128-ctr"), ("3des-cbc",)])
def test_others_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="encryption_algorithms are some of aes128-gcm"):
        Algorithms(encryption_algorithms=names)


def test_is_aead() -> None:
    assert is_aead("aes128-gcm@openssh.com")
    assert is_aead("chacha20-poly1305@openssh.com")
    assert not is_aead("aes128-ctr")
    assert not is_aead("of some other library")


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
def test_ciphers(encryption: str, mac: str) -> None:
    cipher = fixed_cipher(encryption, mac)
    if "gcm" in encryption:
        kind: type = GCMCipher
    elif "chacha" in encryption:
        kind = ChaChaCipher
    else:
        kind = EncryptThenMACCipher if "-etm" in mac else CTRCipher
        assert cipher.tag_size == (32 if "256" in mac else 64)
    assert type(cipher) is kind
