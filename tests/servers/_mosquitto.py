"""Mosquitto, the MQTT broker, on TCP and WebSocket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import socket
from collections.abc import Generator, Mapping
from pathlib import Path

from ._certificates import CertificateAuthority
from ._programs import find_program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server

# MQTT 3.1.1, sections 3.1 and 3.2: CONNECT of the client "ready", and how every CONNACK begins.
CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05ready"
CONNACK = b"\x20\x02"

MOSQUITTO_UNLIMITED = {
    "max_inflight_messages": "0",
    "max_queued_messages": "0",
    "set_tcp_nodelay": "true",
}
"""Directives of a broker that holds back and drops nothing."""


@contextlib.contextmanager
def mosquitto_server(
    *,
    users: Mapping[str, str] | None = None,
    allow_anonymous: bool = True,
    tls: CertificateAuthority | None = None,
    websocket: bool = True,
    persistence: bool = False,
    config: Mapping[str, str] | None = None,
    listener_config: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Generator[RunningServer]:
    """Run a Mosquitto broker until the block ends, on TCP, a Unix socket and WebSocket.

    Args:
        users: Who may log in, name to password; others that give a name are refused.
        allow_anonymous: Whether clients that give no name may come in.
        tls: Also listen on `RunningServer.tls_port` and `RunningServer.websocket_tls_port`, with
            this authority's certificate.
        websocket: Also listen for WebSockets, which takes time from all the others.
        persistence: Keep sessions, queued and retained messages over a restart: all of them over
            `RunningServer.stop`; over `RunningServer.kill` what was there before the last turn of
            the broker's loop, which may have acknowledged more. Each turn writes all to the disk.
        config: Further directives of mosquitto.conf, such as ``max_inflight_messages``, which win
            over those set here.
        listener_config: Directives of every listener, such as ``max_topic_alias``.
        user: The system user to run it as.
    """
    found = find_program("mosquitto")

    def prepare(directory: Path) -> Launch:
        # Always there: what answers at this path is our server and no other.
        unix_path = directory / "socket"
        port = free_port()
        tls_port = free_port() if tls else None
        websocket_port = free_port() if websocket else None
        websocket_tls_port = free_port() if websocket and tls else None
        directives = {
            "allow_anonymous": str(allow_anonymous).lower(),
            "persistence": str(persistence).lower(),
            "persistence_location": f"{directory}/",
            "autosave_on_changes": "true",
            "autosave_interval": "1",
            "set_tcp_nodelay": "true",  # else many an answer waits 40 ms
        }
        if users is not None:
            directives["password_file"] = str(_password_file(directory, users))
        if user is None and os.geteuid() == 0:
            directives["user"] = "root"  # else it becomes a user who may not read its files
        lines = _lines({**directives, **(config or {})})
        lines += _lines({"listener": f"0 {unix_path}", **(listener_config or {})})
        for number, protocol, with_tls in (
            (port, "mqtt", False),
            (tls_port, "mqtt", True),
            (websocket_port, "websockets", False),
            (websocket_tls_port, "websockets", True),
        ):
            if number is None:
                continue
            where = f"{number} {LOOPBACK}"
            listener = {"listener": where, "protocol": protocol, **(listener_config or {})}
            if with_tls:
                listener["certfile"] = str(directory / "server.pem")
                listener["keyfile"] = str(directory / "server.key")
            lines += _lines(listener)
        (directory / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        return Launch(
            command=(str(found.path), "-c", str(directory / "mosquitto.conf")),
            is_ready=lambda: _is_ready(unix_path),
            port=port,
            tls_port=tls_port,
            websocket_port=websocket_port,
            websocket_tls_port=websocket_tls_port,
            unix_path=unix_path,
            user=user,
        )

    with run_server(found, prepare, certificates=tls, user=user) as server:
        yield server


def _lines(directives: Mapping[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in directives.items()]


def _password_file(directory: Path, users: Mapping[str, str]) -> Path:
    """Write what ``mosquitto_passwd`` would: PBKDF2 with SHA-512, its iterations and the salt."""
    path = directory / "passwords"
    path.touch(mode=0o600)
    iterations = 101
    lines: list[str] = []
    for name, password in users.items():
        salt = secrets.token_bytes(12)
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
        stored = [base64.b64encode(part).decode() for part in (salt, key)]
        lines.append(f"{name}:$7${iterations}${stored[0]}${stored[1]}\n")
    path.write_text("".join(lines))
    return path


def _is_ready(unix_path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        with contextlib.suppress(OSError):
            client.connect(str(unix_path))
            return answers_connect(client)
    return False


def answers_connect(client: socket.socket) -> bool:
    """Tell whether a broker is there, be it one that refuses anonymous clients."""
    client.sendall(CONNECT)
    return client.recv(4).startswith(CONNACK)
