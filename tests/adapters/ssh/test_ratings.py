from __future__ import annotations

import asyncssh
import pytest

from tests.protocols.ssh._oracles import generate_key
from tests.protocols.ssh._pair import host_key
from wirekit.adapters.ssh._ratings import (
    GOOD,
    KEX_MARKERS,
    TABLES,
    Level,
    Rating,
    exposed_to_terrapin,
    rate_host_key,
    rate_lists,
    rating_of,
)
from wirekit.protocols.ssh import Algorithms, HostKey

CHACHA, GCM = "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"
STRICT = "kex-strict-s-v00@openssh.com"


def lists(
    kex: tuple[str, ...] = (),
    encryption: tuple[str, ...] = (CHACHA, GCM, "aes128-cbc"),
    mac: tuple[str, ...] = ("hmac-sha2-256",),
) -> dict[str, tuple[str, ...]]:
    return {
        "kex_algorithms": kex,
        "server_host_key_algorithms": ("ssh-ed25519",),
        "encryption_algorithms_client_to_server": encryption,
        "encryption_algorithms_server_to_client": (GCM,),
        "mac_algorithms_client_to_server": mac,
        "mac_algorithms_server_to_client": mac,
        "compression_algorithms_client_to_server": ("none",),
        "compression_algorithms_server_to_client": ("zlib",),
    }


def test_adding_up() -> None:
    bad, odd = Rating(Level.FAIL, ("bad",)), Rating(Level.WARN, ("odd",))
    assert GOOD + GOOD == GOOD
    assert odd + bad == Rating(Level.FAIL, ("odd", "bad"))
    assert bad + odd + GOOD == Rating(Level.FAIL, ("bad", "odd"))
    assert [str(level) for level in Level] == ["good", "warn", "fail"]


@pytest.mark.parametrize(
    ("field", "name", "level"),
    [
        ("kex_algorithms", "mlkem768x25519-sha256", Level.GOOD),
        ("kex_algorithms", "curve25519-sha256", Level.WARN),
        ("kex_algorithms", "ecdh-sha2-nistp256", Level.FAIL),
        ("kex_algorithms", "diffie-hellman-group14-sha1", Level.FAIL),
        ("kex_algorithms", "diffie-hellman-group1-sha1", Level.FAIL),
        ("kex_algorithms", "diffie-hellman-group14-sha256", Level.WARN),
        ("kex_algorithms", "diffie-hellman-group15-sha384@ssh.com", Level.WARN),
        ("kex_algorithms", "diffie-hellman-group16-sha512", Level.WARN),
        ("kex_algorithms", "diffie-hellman-group-exchange-sha256", Level.WARN),
        ("kex_algorithms", "diffie-hellman-group-exchange-sha1", Level.FAIL),
        ("kex_algorithms", "diffie-hellman-group2-sha1", Level.WARN),
        ("kex_algorithms", STRICT, Level.GOOD),
        ("kex_algorithms", "gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==", Level.WARN),
        ("kex_algorithms", "gss-gex-sha1-toWM5Slw5Ew8Mqkay+al2g==", Level.FAIL),
        ("kex_algorithms", "gss-nistp256-sha256-toWM5Slw5Ew8Mqkay+al2g==", Level.FAIL),
        ("kex_algorithms", "gss-curve25519-sha256-toWM5Slw5Ew8Mqkay+al2g==", Level.WARN),
        ("kex_algorithms", "gss-odd", Level.WARN),
        ("kex_algorithms", "of-tomorrow", Level.WARN),
        ("server_host_key_algorithms", "ssh-ed25519", Level.GOOD),
        ("server_host_key_algorithms", "ssh-ed25519-cert-v01@openssh.com", Level.GOOD),
        ("server_host_key_algorithms", "sk-ssh-ed25519-cert-v01@openssh.com", Level.GOOD),
        ("server_host_key_algorithms", "rsa-sha2-512", Level.GOOD),
        ("server_host_key_algorithms", "ssh-rsa", Level.FAIL),
        ("server_host_key_algorithms", "ssh-rsa-cert-v01@openssh.com", Level.FAIL),
        ("server_host_key_algorithms", "ssh-dss", Level.FAIL),
        ("encryption_algorithms_client_to_server", CHACHA, Level.GOOD),
        ("encryption_algorithms_server_to_client", "aes256-cbc", Level.WARN),
        ("encryption_algorithms_server_to_client", "3des-cbc", Level.FAIL),
        ("encryption_algorithms_server_to_client", "arcfour", Level.FAIL),
        ("encryption_algorithms_server_to_client", "none", Level.FAIL),
        ("mac_algorithms_client_to_server", "hmac-sha2-256-etm@openssh.com", Level.GOOD),
        ("mac_algorithms_client_to_server", "hmac-sha2-256", Level.WARN),
        ("mac_algorithms_server_to_client", "hmac-sha1", Level.FAIL),
        ("mac_algorithms_server_to_client", "umac-64@openssh.com", Level.WARN),
        ("compression_algorithms_client_to_server", "zlib@openssh.com", Level.GOOD),
        ("compression_algorithms_client_to_server", "zlib", Level.WARN),
    ],
)
def test_algorithms(field: str, name: str, level: Level) -> None:
    rating = rating_of(field, name)
    assert rating.level is level
    assert bool(rating.reasons) is bool(level)


def test_all_that_we_offer_is_known() -> None:
    ours = Algorithms()
    offered = {
        "kex_algorithms": (*ours.kex_algorithms, *KEX_MARKERS),
        "server_host_key_algorithms": ours.server_host_key_algorithms,
        "encryption_algorithms_client_to_server": ours.encryption_algorithms,
        "mac_algorithms_client_to_server": ours.mac_algorithms,
        "compression_algorithms_client_to_server": ours.compression_algorithms,
    }
    unknown = rating_of("kex_algorithms", "of-tomorrow")
    for field, names in offered.items():
        assert [name for name in names if rating_of(field, name) == unknown] == []


def test_every_rating_has_reasons_of_its_own() -> None:
    for table in TABLES.values():
        for rating in table.values():
            assert len(set(rating.reasons)) == len(rating.reasons)


def test_terrapin() -> None:
    etm = ("hmac-sha2-256-etm@openssh.com",)
    assert exposed_to_terrapin((GCM, "aes128-ctr", "aes128-cbc"), ("hmac-sha2-256",)) == []
    assert exposed_to_terrapin((CHACHA, "aes128-cbc"), etm) == [CHACHA, "aes128-cbc"]
    field = "encryption_algorithms_client_to_server"
    weak = dict(rate_lists(lists(mac=etm))[field])
    assert weak[CHACHA].level is weak["aes128-cbc"].level is Level.WARN
    assert "Terrapin" in weak["aes128-cbc"].reasons[-1]
    assert weak[GCM] == GOOD
    strict = dict(rate_lists(lists(kex=(STRICT,), mac=etm))[field])
    assert strict[CHACHA] == GOOD


def public(key: asyncssh.SSHKey) -> HostKey:
    return HostKey(key.convert_to_public().public_data)


@pytest.mark.parametrize(
    ("bits", "level"), [(1024, Level.FAIL), (2048, Level.WARN), (3072, Level.GOOD)]
)
def test_rsa_keys(bits: int, level: Level) -> None:
    key = generate_key("ssh-rsa", bits)
    rating, found = rate_host_key(public(key))
    assert (rating.level, found) == (level, bits)
    subject = generate_key("ssh-ed25519")
    certificate = key.generate_host_certificate(subject, "id")
    rating, found = rate_host_key(HostKey(certificate.public_data))
    assert found is None
    assert rating.level is (Level.WARN if level else Level.GOOD)


def test_keys_on_curves() -> None:
    assert rate_host_key(HostKey(host_key("ssh-ed25519").blob)) == (GOOD, None)
    rating, _ = rate_host_key(HostKey(host_key("ecdsa-sha2-nistp256").blob))
    assert rating.level is Level.FAIL


def test_an_authority_of_another_type() -> None:
    certificate = generate_key("ssh-dss").generate_host_certificate(
        generate_key("ssh-ed25519"), "id"
    )
    rating, _ = rate_host_key(HostKey(certificate.public_data))
    assert rating.level is Level.WARN
