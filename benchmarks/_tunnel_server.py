"""An SSH server, and behind it what connections through it lead to, as local processes.

It is what ``containers/sshd`` is in a container; see its ``start.sh``.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import RunningServer, postgres_server, redis_server, sshd_server

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["tunnel_server"]

LOOPBACK = "127.0.0.1"
STREAM = Path(__file__).parent / "containers" / "sshd" / "stream.py"


@contextmanager
def tunnel_server() -> Generator[RunningServer]:
    """Run an OpenSSH server, Redis, Postgres and a server of bytes, until the block ends.

    The SSH server tells their ports in its identification. It lets in whoever has a key, as the
    user who runs it; who may do nothing but connect to these three.
    """
    user = pwd.getpwuid(os.geteuid()).pw_name
    with redis_server() as redis, postgres_server() as postgres, _stream_server() as stream:
        ports = {"redis": redis.port, "postgres": postgres.port, "stream": stream}
        config = {
            "PasswordAuthentication": "no",
            "AuthorizedKeysFile": "none",
            "AuthorizedKeysCommand": "/usr/bin/echo %t %k",
            "AuthorizedKeysCommandUser": user if os.geteuid() else "nobody",
            "ForceCommand": "/usr/bin/false",
            "PermitTTY": "no",
            "PermitUserRC": "no",
            "AllowAgentForwarding": "no",
            "AllowStreamLocalForwarding": "no",
            "AllowTcpForwarding": "local",
            "PermitOpen": " ".join(f"{LOOPBACK}:{port}" for port in ports.values()),
            "Ciphers": "aes128-gcm@openssh.com",
            "VersionAddendum": " ".join(
                [f"user={user}", *[f"{name}={port}" for name, port in ports.items()]]
            ),
        }
        with sshd_server(config=config) as server:
            yield server


@contextmanager
def _stream_server() -> Generator[int]:
    """Run the server of bytes, which ends when its input does, and yield its port."""
    command = [sys.executable, str(STREAM), LOOPBACK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
