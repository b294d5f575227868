"""amqtt, an MQTT 3.1.1 broker in Python, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import socket
import sys
from collections.abc import Generator
from pathlib import Path

from ._certificates import CertificateAuthority
from ._mosquitto import answers_connect
from ._programs import Program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server


@contextlib.contextmanager
def amqtt_server(*, tls: CertificateAuthority | None = None) -> Generator[RunningServer]:
    """Run an amqtt broker until the block ends, on TCP and WebSocket, for anonymous clients.

    It speaks MQTT 3.1.1 only and forgets everything when it ends.

    Args:
        tls: Also listen on `RunningServer.tls_port` and `RunningServer.websocket_tls_port`, with
            this authority's certificate.
    """
    found = Program("amqtt", Path(sys.executable), importlib.metadata.version("amqtt"))

    def prepare(directory: Path) -> Launch:
        port, websocket_port = free_port(), free_port()
        listeners: dict[str, dict[str, object]] = {}
        listeners["websocket"] = {"type": "ws", "bind": f"{LOOPBACK}:{websocket_port}"}
        tls_port, websocket_tls_port = None, None
        if tls is not None:
            tls_port, websocket_tls_port = free_port(), free_port()
            certificate = {
                "ssl": True,
                "certfile": str(directory / "server.pem"),
                "keyfile": str(directory / "server.key"),
            }
            listeners["tls"] = {"bind": f"{LOOPBACK}:{tls_port}", **certificate}
            listeners["websocket-tls"] = {
                "type": "ws",
                "bind": f"{LOOPBACK}:{websocket_tls_port}",
                **certificate,
            }
        # They are opened in this order; when the last one answers, all do.
        listeners["default"] = {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        # JSON is YAML.
        config_path = directory / "amqtt.yaml"
        config_path.write_text(json.dumps({"listeners": listeners, "plugins": plugins}))
        return Launch(
            command=(sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config_path)),
            is_ready=lambda: _is_ready(port),
            port=port,
            tls_port=tls_port,
            websocket_port=websocket_port,
            websocket_tls_port=websocket_tls_port,
        )

    with run_server(found, prepare, certificates=tls) as server:
        yield server


def _is_ready(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((LOOPBACK, port), timeout=1) as client,
    ):
        return answers_connect(client)
    return False
