"""Who comes in, by what, and to which servers."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

import wirekit
from tests.interop.ssh.sessions import Target, running
from tests.servers import SSH_PASSWORD, SSH_USER, RunningServer
from wirekit.adapters.ssh import SSH, HostKeyError, PermissionDenied, connect
from wirekit.sockets import Policy
from wirekit.sockets import connect as open_socket

PASSPHRASE = "open sesame"


def keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def new_key(tmp_path: Path) -> Path:
    """A key that no server knows."""
    keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    return tmp_path / "key"


@pytest.fixture
def openssh(sshd: RunningServer) -> Target:
    return running("openssh", sshd)


@pytest.fixture
def agent(tmp_path: Path, sshd: RunningServer) -> Iterator[str]:
    """An agent that holds the user's key; its path."""
    path = str(tmp_path / "agent")
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as program:
        try:
            while not os.path.exists(path):
                assert program.poll() is None
            environment = {**os.environ, "SSH_AUTH_SOCK": path}
            key = str(sshd.directory / "user_ed25519")
            subprocess.run(["ssh-add", "-q", key], check=True, env=environment)
            yield path
        finally:
            program.kill()


async def check(ssh: SSH) -> None:
    async with ssh:
        assert (await ssh.run("echo in")).stdout == "in\n"


async def test_password(target: Target) -> None:
    async with SSH(open_socket(("127.0.0.1", target.port)), **target.password) as ssh:
        assert (await ssh.run("echo in")).stdout == "in\n"


async def test_a_password_that_is_asked_for(target: Target) -> None:
    async def ask() -> str:
        await asyncio.sleep(0)
        return SSH_PASSWORD

    await check(target.client(client_keys=None, password=ask))


async def test_a_wrong_password(target: Target) -> None:
    with pytest.raises(PermissionDenied, match="Permission denied for user wirekit") as denied:
        await check(target.client(client_keys=None, password="guess"))
    assert isinstance(denied.value, asyncssh.PermissionDenied | wirekit.ServerError)
    assert "guess" not in str(denied.value)


async def test_an_unknown_key(target: Target, new_key: Path) -> None:
    with pytest.raises(PermissionDenied):
        await check(target.client(client_keys=str(new_key)))


async def test_an_encrypted_key(openssh: Target, tmp_path: Path) -> None:
    path = tmp_path / "encrypted"
    shutil.copy(str(openssh.user_key), path)
    path.chmod(0o600)
    keygen("-p", "-f", str(path), "-N", PASSPHRASE)
    await check(openssh.client(client_keys=str(path), passphrase=PASSPHRASE))
    for wrong in ("open barley", None):
        with pytest.raises(wirekit.AddressError) as refused:
            await check(openssh.client(client_keys=str(path), passphrase=wrong))
        assert "barley" not in str(refused.value)


async def test_a_key_that_is_not_there(openssh: Target) -> None:
    with pytest.raises(wirekit.AddressError, match="No such file"):
        await check(openssh.client(client_keys="/no/such/key"))


async def test_agent(openssh: Target, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/no/such/home")
    await check(openssh.client(client_keys=(), agent_path=agent))
    with pytest.raises(PermissionDenied):
        await check(openssh.client(client_keys=None, agent_path=agent))
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    await check(SSH(open_socket(("127.0.0.1", openssh.port)), **openssh.trust))
    with pytest.raises(PermissionDenied):
        await check(openssh.client(client_keys=(), agent_path=None))


async def test_a_certificate(openssh: Target, sshd: RunningServer, new_key: Path) -> None:
    authority = str(sshd.directory / "authority")
    keygen("-s", authority, "-I", "test", "-n", SSH_USER, f"{new_key}.pub")
    pair = (str(new_key), f"{new_key}-cert.pub")
    await check(openssh.client(client_keys=[pair]))
    keygen("-s", authority, "-I", "test", "-n", "somebody-else", f"{new_key}.pub")
    with pytest.raises(PermissionDenied):
        await check(openssh.client(client_keys=[pair]))


async def test_a_config_is_read_where_asked_for_but_leads_nowhere(
    openssh: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    config = tmp_path / ".ssh" / "config"
    config.write_text(
        f"User {SSH_USER}\nIdentityFile {openssh.user_key}\n"
        "HostName elsewhere.invalid\nPort 1\nProxyJump nobody@nowhere.invalid\n"
        "ProxyCommand false\nUserKnownHostsFile none\nHostKeyAlias other\n"
        "CanonicalizeHostname always\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    address = ("127.0.0.1", openssh.port)
    options: dict[str, Any] = {"known_hosts": openssh.known_hosts, "agent_path": None}
    for given in ((), str(config)):
        async with SSH(open_socket(address), **options, config=given) as ssh:
            assert ssh.connection.get_extra_info("username") == SSH_USER
    with pytest.raises(HostKeyError):  # and whose key it is, is ours to say
        await check(SSH(open_socket(address), known_hosts=b"", config=str(config)))
    with pytest.raises(PermissionDenied):
        await check(SSH(open_socket(address), **options, username=SSH_USER))


async def test_a_url(openssh: Target) -> None:
    options: dict[str, Any] = {"client_keys": None, "known_hosts": openssh.known_hosts}
    url = f"ssh://{SSH_USER}:{SSH_PASSWORD.replace(' ', '%20')}@127.0.0.1:{openssh.port}"
    ssh = await connect(url, **options)
    assert (await ssh.run("echo in")).stdout == "in\n"
    await ssh.aclose()
    blocked = Policy(public_only=True)
    with pytest.raises(wirekit.BlockedError):
        await connect(url, policy=blocked, **options)


# Host keys: what test_host_keys.py checks in detail, on the wire.


async def test_a_server_that_is_not_known(target: Target) -> None:
    with pytest.raises(HostKeyError, match="is not known") as unknown:
        await check(target.client(known_hosts=b""))
    assert isinstance(unknown.value, asyncssh.HostKeyNotVerifiable)
    assert unknown.value.key is not None
    await check(target.client(known_hosts=(), fingerprints=unknown.value.key.fingerprint))


async def test_a_server_that_is_another_one(target: Target, new_key: Path) -> None:
    other = new_key.with_suffix(".pub").read_bytes()
    with pytest.raises(HostKeyError, match="somebody is between"):
        await check(target.client(known_hosts=b"[127.0.0.1]:%d %s" % (target.port, other)))


async def test_hashed_names(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(target.known_hosts)
    keygen("-H", "-f", str(path))
    assert b"|1|" in path.read_bytes()
    await check(target.client(known_hosts=str(path)))
    with pytest.raises(HostKeyError):
        await check(target.client(known_hosts=str(path), host="other.example"))


async def test_an_authority(openssh: Target, sshd: RunningServer) -> None:
    key = (sshd.directory / "authority.pub").read_bytes()
    line = b"@cert-authority *.wirekit.example " + key
    await check(openssh.client(known_hosts=line, host="ssh.wirekit.example"))
    await check(openssh.client(known_hosts=(), certificate_authorities=key, host="localhost"))
    with pytest.raises(HostKeyError):
        await check(openssh.client(known_hosts=b"@cert-authority * " + key, host="other.example"))


async def test_a_revoked_key(openssh: Target) -> None:
    revoked = b"@revoked * " + openssh.known_hosts.split(b" ", 1)[1]
    with pytest.raises(HostKeyError, match="is revoked"):
        await check(openssh.client(known_hosts=openssh.known_hosts + revoked))


async def test_any_key_in_so_many_words(openssh: Target) -> None:
    options: dict[str, Any] = {**openssh.login, "dangerously_accept_any_host_key": True}
    del options["known_hosts"]
    await check(SSH(open_socket(("127.0.0.1", openssh.port)), **options))
    with pytest.raises(wirekit.AddressError, match="dangerously_accept_any_host_key"):
        openssh.client(known_hosts=None)


async def test_the_kind_of_key_that_is_known_is_asked_for(
    openssh: Target, sshd: RunningServer
) -> None:
    for kind in ("rsa", "ecdsa"):
        key = (sshd.directory / f"host_{kind}.pub").read_bytes()
        await check(openssh.client(known_hosts=b"[127.0.0.1]:%d %s" % (openssh.port, key)))


@pytest.fixture
def talkative(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that asyncssh logs when it is told to log all."""
    asyncssh.set_debug_level(3)
    with caplog.at_level(logging.DEBUG, "asyncssh"):
        yield caplog
    asyncssh.set_debug_level(1)


async def test_no_password_in_any_log(openssh: Target, talkative: pytest.LogCaptureFixture) -> None:
    ssh = SSH(open_socket(("127.0.0.1", openssh.port)), **openssh.password)
    await check(ssh)
    assert SSH_PASSWORD not in f"{ssh!r} {vars(ssh)}"
    texts = talkative.messages
    assert any("USERAUTH_REQUEST" in text and "not shown" in text for text in texts)
    hexadecimal = SSH_PASSWORD.encode()[:4].hex(" ")
    assert not any(SSH_PASSWORD[:4] in text or hexadecimal in text for text in texts)
    talkative.clear()
