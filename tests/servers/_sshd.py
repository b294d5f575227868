"""OpenSSH's server, and Dropbear."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path

from ._programs import find_library, find_program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server

HOST_KEY_TYPES = ("ed25519", "ecdsa", "rsa")
# Where root's sshd locks its processes in; Debian makes it when the service starts.
PRIVILEGE_SEPARATION = Path("/run/sshd")
USER, PASSWORD = "wirekit", "wonder land"
# of the password, by SHA-512
_SHADOW = (
    "$6$wirekit$Y.9nL8jYmJuwAbmoFVaALtpPdTDCfE2PLphgA"
    "UfccsgI.mp8YsYzH6.K/JVD83K6RiJLtD6xIyHkNCJkYJTid0"
)
PER_SOURCE_PENALTIES = 9.8  # the version from which clients that fail are made to wait


@contextlib.contextmanager
def sshd_server(
    *, config: Mapping[str, str] | None = None, certified: bool = False
) -> Generator[RunningServer]:
    """Run an OpenSSH server until the block ends.

    `USER` can log in with `PASSWORD`, and like the user who runs the server with the key
    ``user_ed25519`` in its directory. There too are ``host_ed25519.pub``, ``host_ecdsa.pub`` and
    ``host_rsa.pub``, its host keys; ``known_hosts``, which names the first of them; and
    ``authority.pub``, which signed the host keys' certificates for ``localhost``,
    ``*.wirekit.example`` and 127.0.0.1, and signs those of users.

    Args:
        config: Further directives of sshd_config, which win over those set here.
        certified: Show the host keys' certificates as well.
    """
    found = find_program("sshd")
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)

    def prepare(directory: Path) -> Launch:
        port = free_port()
        if not (directory / "authority").exists():
            _make_keys(directory)
        known = f"[{LOOPBACK}]:{port} {(directory / 'host_ed25519.pub').read_text()}"
        (directory / "known_hosts").write_text(known)
        directives = {
            "ListenAddress": LOOPBACK,
            "Port": str(port),
            "PidFile": "none",
            "LogLevel": "VERBOSE",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "AuthorizedKeysFile": str(directory / "user_ed25519.pub"),
            "TrustedUserCAKeys": str(directory / "authority.pub"),
            "Subsystem": "sftp internal-sftp",
            "MaxStartups": "1000",
            "MaxSessions": "1000",
            "LoginGraceTime": "60",
        }
        if float(found.version) >= PER_SOURCE_PENALTIES:
            directives["PerSourcePenalties"] = "no"
        # The first value of a directive counts.
        lines = [f"{key} {value}" for key, value in {**directives, **(config or {})}.items()]
        for key_type in HOST_KEY_TYPES:
            lines.append(f"HostKey {directory}/host_{key_type}")
            if certified:
                lines.append(f"HostCertificate {directory}/host_{key_type}-cert.pub")
        config_path = directory / "sshd_config"
        config_path.write_text("\n".join(lines) + "\n")
        return Launch(
            command=(*_with_user(directory), str(found.path), "-D", "-e", "-f", str(config_path)),
            is_ready=lambda: _identifies(port, b"SSH-2.0-OpenSSH"),
            port=port,
        )

    with run_server(found, prepare) as server:
        yield server


@contextlib.contextmanager
def dropbear_server() -> Generator[RunningServer]:
    """Run a Dropbear server, with host keys of three types, until the block ends.

    `USER` can log in with `PASSWORD`, and with the key ``user_ed25519`` in its directory.
    """
    found = find_program("dropbear")

    def prepare(directory: Path) -> Launch:
        port = free_port()
        options = ["-F", "-E", "-p", f"{LOOPBACK}:{port}", "-P", str(directory / "pid")]
        for key_type in HOST_KEY_TYPES:
            path = directory / f"host_{key_type}"
            if not path.exists():
                _run("dropbearkey", "-t", key_type, "-f", str(path))
            options += ["-r", str(path)]
        key = directory / "user_ed25519"
        if not key.exists():
            _keygen("-t", "ed25519", "-f", str(key))
        return Launch(
            command=(*_with_user(directory), str(found.path), *options),
            is_ready=lambda: _identifies(port, b"SSH-2.0-dropbear"),
            port=port,
        )

    with run_server(found, prepare) as server:
        yield server


def _with_user(directory: Path) -> tuple[str, ...]:
    """Return what makes a command believe that `USER` is a user of this machine.

    It has the number of the user who runs it, and a home in ``directory``.
    """
    key_path = directory / "home" / ".ssh" / "authorized_keys"
    key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_path.write_text((directory / "user_ed25519.pub").read_text())
    key_path.chmod(0o600)
    user, group = os.geteuid(), os.getegid()
    passwd = f"{USER}:x:{user}:{group}::{directory}/home:/bin/sh\n"
    files = {
        "passwd": Path("/etc/passwd").read_text() + passwd,
        "group": Path("/etc/group").read_text() + f"{USER}:x:{group}:\n",
        "shadow": f"{USER}:{_SHADOW}:20000:0:99999:7:::\n",
    }
    for name, content in files.items():
        Path(directory, name).write_text(content)
        Path(directory, name).chmod(0o600)
    library = find_library("libnss_wrapper.so", "libnss-wrapper")
    settings = (f"NSS_WRAPPER_{name.upper()}={directory / name}" for name in files)
    return ("/usr/bin/env", f"LD_PRELOAD={library}", *settings)


def _make_keys(directory: Path) -> None:
    for name, key_type in (("authority", "ed25519"), ("user_ed25519", "ed25519")):
        _keygen("-t", key_type, "-f", str(directory / name))
    principals = f"localhost,*.wirekit.example,{LOOPBACK}"
    for key_type in HOST_KEY_TYPES:
        path = directory / f"host_{key_type}"
        _keygen("-t", key_type, "-f", str(path))
        certify = ("-s", str(directory / "authority"), "-I", key_type, "-h", "-n", principals)
        _run("ssh-keygen", "-q", *certify, f"{path}.pub")


def _keygen(*options: str) -> None:
    _run("ssh-keygen", "-q", "-N", "", "-C", "wirekit", *options)


def _run(*command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)


def _identifies(port: int, identification: bytes) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        try:
            client.connect((LOOPBACK, port))
            return client.recv(64).startswith(identification)
        except OSError:
            return False
