"""Redis, and Valkey, which is configured alike."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Mapping
from pathlib import Path

from ._certificates import CertificateAuthority
from ._programs import find_program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server


@contextlib.contextmanager
def redis_server(
    *,
    password: str | None = None,
    users: Mapping[str, str] | None = None,
    tls: CertificateAuthority | None = None,
    config: Mapping[str, str] | None = None,
    program: str = "redis",
    user: str | None = None,
) -> Generator[RunningServer]:
    """Run a Redis server until the block ends.

    Args:
        password: What the default user must authenticate with.
        users: Further users, name to ACL rules, such as ``"on >secret ~* &* +@all"``.
        tls: Also listen on `RunningServer.tls_port`, with this authority's certificate; a client
            certificate is verified if one comes.
        config: Further directives of redis.conf, which win over those set here.
        program: ``"redis"`` or ``"valkey"``.
        user: The system user to run it as.
    """
    directives = {
        "bind": LOOPBACK,
        "daemonize": "no",
        "save": '""',
        "appendonly": "no",
        "enable-debug-command": "local",
    }
    if password is not None:
        directives["requirepass"] = _quoted(password)

    def prepare(directory: Path) -> Launch:
        # Always there: what answers at this path is our server and no other.
        unix_path = directory / "socket"
        port = free_port()
        directives.update(port=str(port), dir=_quoted(str(directory)))
        directives.update(unixsocket=_quoted(str(unix_path)), unixsocketperm="700")
        tls_port = None
        if tls is not None:
            tls_port = free_port()
            directives.update(
                {
                    "tls-port": str(tls_port),
                    "tls-cert-file": _quoted(str(directory / "server.pem")),
                    "tls-key-file": _quoted(str(directory / "server.key")),
                    "tls-ca-cert-file": _quoted(str(directory / "authority.pem")),
                    "tls-auth-clients": "optional",
                }
            )
        lines = [f"{key} {value}" for key, value in {**directives, **(config or {})}.items()]
        lines += [f"user {name} {rules}" for name, rules in (users or {}).items()]
        # A file, not arguments, so that no password stands in the process list.
        config_path = directory / "redis.conf"
        config_path.touch(mode=0o600)
        config_path.write_text("\n".join(lines) + "\n")
        return Launch(
            command=(str(found.path), str(config_path)),
            is_ready=lambda: _answers_ping(unix_path),
            port=port,
            tls_port=tls_port,
            unix_path=unix_path,
            user=user,
        )

    found = find_program(program)
    with run_server(found, prepare, certificates=tls, user=user) as server:
        yield server


@contextlib.contextmanager
def valkey_server(
    *,
    password: str | None = None,
    users: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Generator[RunningServer]:
    """Run a Valkey server until the block ends; like `redis_server`, but never with TLS."""
    with redis_server(
        password=password, users=users, config=config, program="valkey", user=user
    ) as server:
        yield server


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _answers_ping(unix_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(unix_path))
            client.sendall(b"PING\r\n")
            reply = client.recv(64)
        except OSError:
            return False
    return reply.startswith((b"+PONG", b"-NOAUTH"))
