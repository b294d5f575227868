from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.protocols.ssh._oracles import generate_key
from tests.protocols.ssh._pair import host_key
from wirekit import AddressError
from wirekit.adapters.ssh._errors import HostKeyError
from wirekit.adapters.ssh._host_keys import (
    HostKeyVerification,
    host_and_port,
    in_openssh_order,
)
from wirekit.protocols.ssh import Algorithms, HostKey

ED25519 = HostKey(host_key("ssh-ed25519").blob)
ECDSA = HostKey(host_key("ecdsa-sha2-nistp256").blob)
RSA = HostKey(host_key("ssh-rsa").blob)
HOST = "example.com"


def written(key: HostKey) -> str:
    return f"{key.key_type} {base64.b64encode(key.key_blob).decode()}"


def line(names: str, key: HostKey = ED25519, marker: str = "") -> bytes:
    return f"{marker}{names} {written(key)}\n".encode()


def hashed(name: str) -> str:
    salt = bytes(20)
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def accepts(verification: HostKeyVerification, key: HostKey = ED25519, port: int = 22) -> bool:
    refusal: HostKeyError | None = None
    try:
        verification.verify(HOST, port, key)
    except HostKeyError as error:
        refusal = error
    assert refusal is None or (refusal.key is key and key.fingerprint in str(refusal))
    return refusal is None


AUTHORITY = generate_key("ssh-ed25519")
SUBJECT = generate_key("ssh-ed25519")


def certified(**options: Any) -> HostKey:
    """Return a host key in a certificate of `AUTHORITY`."""
    settings: dict[str, Any] = {"principals": [HOST], **options}
    signer = settings.pop("signer", AUTHORITY)
    make = settings.pop("make", signer.generate_host_certificate)
    certificate = make(SUBJECT, "id", **settings)
    return HostKey(certificate.public_data)


def public(key: asyncssh.SSHKey) -> HostKey:
    return HostKey(key.convert_to_public().public_data)


@pytest.mark.parametrize(
    ("known_hosts", "port", "accepted"),
    [
        (line(HOST), 22, True),
        (line("other.example"), 22, False),
        (line(HOST, ECDSA), 22, False),
        (line(HOST, ECDSA) + line(HOST), 22, True),
        (line(hashed(HOST)), 22, True),
        (line(hashed("other.example")), 22, False),
        (line(f"[{HOST}]:2222"), 2222, True),
        (line(hashed(f"[{HOST}]:2222")), 2222, True),
        (line(f"[{HOST}]:2222"), 22, False),
        (line(HOST), 2222, True),
        (line(f"[{HOST}]:2222", ECDSA) + line(HOST), 2222, False),
        (line("*.com"), 22, True),
        (line(f"*,!{HOST}"), 22, False),
        (line(HOST) + line(HOST, marker="@revoked "), 22, False),
        (line(HOST) + line("*", marker="@revoked "), 22, False),
        (line(HOST) + line(f"[{HOST}]:2222", marker="@revoked "), 2222, False),
        (line(f"[{HOST}]:2222") + line(HOST, marker="@revoked "), 2222, False),
        (line(HOST, marker="@cert-authority "), 22, False),
        (b"", 22, False),
        (b"# nothing\n", 22, False),
    ],
)
def test_known_hosts(known_hosts: bytes, port: int, *, accepted: bool) -> None:
    assert accepts(HostKeyVerification(known_hosts=known_hosts), port=port) is accepted


def test_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(line("other.example"))
    two.write_bytes(line(HOST))
    assert accepts(HostKeyVerification(known_hosts=two))
    assert accepts(HostKeyVerification(known_hosts=str(two)))
    assert not accepts(HostKeyVerification(known_hosts=one))
    assert accepts(HostKeyVerification(known_hosts=[one, str(two)]))
    assert accepts(HostKeyVerification(known_hosts=asyncssh.read_known_hosts(str(two))))
    verification = HostKeyVerification(known_hosts=one)
    one.write_bytes(line(HOST))
    assert accepts(verification)


def test_openssh_files_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ".ssh/known_hosts"
    monkeypatch.setattr(
        f"{HostKeyVerification.__module__}.DEFAULT_KNOWN_HOSTS", ("~/.ssh/known_hosts", "/nowhere")
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not accepts(HostKeyVerification())
    home.parent.mkdir()
    home.write_bytes(line(HOST))
    assert accepts(HostKeyVerification())
    # What is said instead of them counts instead of them.
    assert not accepts(HostKeyVerification(fingerprints=ECDSA.fingerprint))
    assert not accepts(HostKeyVerification(known_hosts=b""))


@pytest.mark.parametrize(
    "known_hosts", ["/nowhere/known_hosts", ["/nowhere/known_hosts"], b"one-word", b"@odd a b c"]
)
def test_known_hosts_that_cannot_be_read(known_hosts: Any) -> None:
    with pytest.raises(AddressError, match="cannot be read"):
        HostKeyVerification(known_hosts=known_hosts).verify(HOST, 22, ED25519)


def test_no_check_has_another_name() -> None:
    with pytest.raises(AddressError, match="dangerously_accept_any_host_key"):
        HostKeyVerification(known_hosts=None)
    verification = HostKeyVerification(dangerously_accept_any_host_key=True)
    assert accepts(verification)
    assert "any key" in repr(verification)
    with pytest.raises(AddressError, match="nothing to be verified"):
        HostKeyVerification(known_hosts=b"", dangerously_accept_any_host_key=True)


def test_fingerprints() -> None:
    verification = HostKeyVerification(fingerprints=[ECDSA.fingerprint, f"{RSA.fingerprint}="])
    assert accepts(verification, ECDSA)
    assert accepts(verification, RSA)
    assert not accepts(verification, ED25519)
    assert accepts(HostKeyVerification(fingerprints=ED25519.fingerprint))
    revoked = line("*", marker="@revoked ")
    assert not accepts(HostKeyVerification(fingerprints=ED25519.fingerprint, known_hosts=revoked))


@pytest.mark.parametrize("fingerprint", ["", "SHA256:", "SHA256:short", "MD5:00:11", "a" * 43])
def test_what_is_no_fingerprint(fingerprint: str) -> None:
    with pytest.raises(AddressError, match="ssh-keygen -l"):
        HostKeyVerification(fingerprints=[fingerprint])


def test_callable() -> None:
    asked: list[object] = []

    def verify(host: str, port: int, key: HostKey) -> bool:
        asked.append((host, port, key))
        return key is ECDSA

    verification = HostKeyVerification(verify_host_key=verify)
    assert accepts(verification, ECDSA, 2222)
    assert not accepts(verification, RSA)
    assert asked == [(HOST, 2222, ECDSA), (HOST, 22, RSA)]


@pytest.mark.parametrize(
    "authority",
    [
        AUTHORITY.convert_to_public(),
        public(AUTHORITY),
        written(public(AUTHORITY)),
        written(public(AUTHORITY)).encode(),
    ],
    ids=["asyncssh", "ours", "str", "bytes"],
)
def test_certificate_authorities(authority: Any) -> None:
    verification = HostKeyVerification(certificate_authorities=authority)
    assert accepts(verification, certified())
    assert accepts(HostKeyVerification(certificate_authorities=[authority]), certified())
    assert not accepts(verification, public(SUBJECT))


def test_a_certificate_authority_in_known_hosts() -> None:
    known_hosts = line("*.com", public(AUTHORITY), "@cert-authority ")
    assert accepts(HostKeyVerification(known_hosts=known_hosts), certified())
    elsewhere = line("*.org", public(AUTHORITY), "@cert-authority ")
    assert not accepts(HostKeyVerification(known_hosts=elsewhere), certified())


@pytest.mark.parametrize(
    "options",
    [
        {"principals": ["other.example"]},
        {"valid_before": int(time.time()) - 10},
        {"signer": generate_key("ssh-ed25519")},
        {"make": AUTHORITY.generate_user_certificate},
    ],
    ids=["host", "time", "authority", "type"],
)
def test_certificates_that_do_not_count(options: dict[str, Any]) -> None:
    options = {"valid_after": 0, **options} if "valid_before" in options else options
    key = certified(**options)
    assert not accepts(HostKeyVerification(certificate_authorities=public(AUTHORITY)), key)
    # The key itself may be known all the same.
    assert accepts(HostKeyVerification(known_hosts=line(HOST, public(SUBJECT))), key)


@pytest.mark.parametrize("revoked", [AUTHORITY, SUBJECT], ids=["authority", "key"])
def test_revoked_certificates(revoked: asyncssh.SSHKey) -> None:
    verification = HostKeyVerification(
        known_hosts=line("*", public(revoked), "@revoked "),
        certificate_authorities=public(AUTHORITY),
        fingerprints=public(SUBJECT).fingerprint,
    )
    assert not accepts(verification, certified())


def test_what_is_no_authority() -> None:
    with pytest.raises(AddressError, match="public keys"):
        HostKeyVerification(certificate_authorities="nonsense")


def refusal(known_hosts: bytes, host: str = HOST) -> str:
    with pytest.raises(HostKeyError) as caught:
        HostKeyVerification(known_hosts=known_hosts).verify(host, 22, ED25519)
    return str(caught.value)


def test_what_is_said_of_a_key_that_is_not_trusted() -> None:
    other = generate_key("ssh-ed25519")
    assert "is not known: compare" in refusal(b"")
    assert "is not known: compare" in refusal(line(HOST, ECDSA))
    assert "somebody is between" in refusal(line(HOST, public(other)))
    assert public(other).fingerprint in refusal(line(HOST, public(other)))
    assert "is revoked" in refusal(line(HOST, marker="@revoked "))
    assert "say by host=" in refusal(line(HOST), host="")


def test_order_of_algorithms() -> None:
    offered = Algorithms().server_host_key_algorithms
    plain = [name for name in offered if "-cert-" not in name]
    assert HostKeyVerification(known_hosts=b"").order(offered, HOST, 22) == tuple(plain)
    known = HostKeyVerification(known_hosts=line(HOST, RSA) + line(HOST, ECDSA))
    order = known.order(offered, HOST, 22)
    assert order[:3] == ("ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    assert sorted(order) == sorted(plain)
    certifying = HostKeyVerification(certificate_authorities=public(AUTHORITY))
    assert sorted(certifying.order(offered, HOST, 22)) == sorted(offered)
    assert "-cert-" in certifying.order(offered, HOST, 22)[0]
    any_key = HostKeyVerification(dangerously_accept_any_host_key=True)
    assert any_key.order(offered, HOST, 22) == offered
    with pytest.raises(AddressError, match="no authority is known"):
        known.order(["ssh-ed25519-cert-v01@openssh.com"], HOST, 22)


def test_openssh_order() -> None:
    offered = list(Algorithms().server_host_key_algorithms)
    others = ["ssh-ed448", "sk-ssh-ed25519@openssh.com"]
    sha1 = ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com"]
    assert in_openssh_order([*others, *sha1, *reversed(offered)]) == [*offered, *others]


@pytest.mark.parametrize(
    ("remote_address", "host", "port", "expected"),
    [
        ("example.com:2222", None, None, ("example.com", 2222)),
        ("example.com.:22", None, None, ("example.com", 22)),
        ("[::1]:2222", None, None, ("::1", 2222)),
        ("10.0.0.1:2222", "Example.com", None, ("example.com", 2222)),
        ("10.0.0.1:2222", "example.com", 22, ("example.com", 22)),
        ("10.0.0.1:2222", None, 22, ("10.0.0.1", 22)),
        ("unix:/run/ssh", None, None, ("", 22)),
        ("unix:/run/ssh", "example.com", None, ("example.com", 22)),
        ("an unnamed peer", None, None, ("", 22)),
    ],
)
def test_whose_key_it_should_be(
    remote_address: str, host: str | None, port: int | None, expected: tuple[str, int]
) -> None:
    assert host_and_port(remote_address, host, port) == expected
