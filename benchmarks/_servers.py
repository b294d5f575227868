"""Servers to measure against: containers where a Docker engine answers, else local processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks._tunnel_server import tunnel_server
from tests import servers as local_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks._model import Address
    from tests.servers import RunningServer

__all__ = ["LOCAL", "Engine", "Mode", "Server", "ServerError", "ask", "engine", "serve"]

Mode = Literal["auto", "containers", "local"]

LOOPBACK = "127.0.0.1"
HERE = Path(__file__).parent
ENGINE_TIMEOUT = 5.0  # seconds in which an engine must answer to be used
START_TIMEOUT = 60.0  # seconds from a started container to an accepted connection
BUILD_TIMEOUT = 600.0


# What serves where no engine does, by the service's name in compose.yaml.
LOCAL: dict[str, Callable[[], AbstractContextManager[RunningServer]]] = {
    "redis": local_servers.redis_server,
    "postgres": local_servers.postgres_server,
    "mosquitto": partial(
        local_servers.mosquitto_server, websocket=False, config=local_servers.MOSQUITTO_UNLIMITED
    ),
    "smtp_sink": local_servers.smtp_sink_server,
    "sshd": tunnel_server,
}


class ServerError(Exception):
    """No server could be started; the text says which step failed and how."""


@dataclass(frozen=True)
class Server:
    """A running server; ``place`` says where it runs, for the report."""

    address: Address
    place: str


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers: its version, its compose command, and if it has a bridge."""

    version: str
    compose: tuple[str, ...]
    bridge: bool

    @property
    def file(self) -> Path:
        """The compose file for this engine."""
        return HERE / ("compose.yaml" if self.bridge else "compose.host.yaml")

    def __str__(self) -> str:
        network = "bridge network" if self.bridge else "host network"
        return f"container (engine {self.version}, {network})"


def engine() -> Engine | None:
    """Return the Docker engine, None if none answers at once or compose is not there."""
    version = ask("docker", "info", "--format", "{{.ServerVersion}}")
    if not version:
        return None
    composers = (("docker", "compose"), ("docker-compose",))
    compose = next((words for words in composers if ask(*words, "version", "--short")), None)
    if compose is None:
        return None
    bridges = ask("docker", "network", "ls", "--quiet", "--filter", "driver=bridge")
    return Engine(version, compose, bridge=bool(bridges))


def ask(*command: str) -> str:
    """Return what ``command`` prints; empty if it is not there, fails, or takes too long."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=ENGINE_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


@contextmanager
def serve(service: str, mode: Mode) -> Generator[Server]:
    """Run the server called ``service`` until the block ends, however it ends.

    ``"auto"`` takes a container where an engine answers and can start it; else, as with
    ``"local"``, a local process serves, and `Server.place` says so.

    Raises:
        ServerError: ``"containers"`` was asked for and there is no engine, or it failed.
    """
    found = None if mode == "local" else engine()
    if mode == "containers" and found is None:
        raise ServerError("no Docker engine with compose answers")
    with ExitStack() as stack:
        place = "local process"
        if found is not None:
            try:
                server = stack.enter_context(_container(service, found))
            except ServerError as error:
                if mode == "containers":
                    raise
                place = f"local process, as no container started ({_last_line(error)})"
            else:
                yield server
                return
        running = stack.enter_context(LOCAL[service]())
        yield Server((running.host, running.port), place)


def _last_line(error: ServerError) -> str:
    return str(error).strip().splitlines()[-1]


@contextmanager
def _container(service: str, found: Engine) -> Generator[Server]:
    port = _free_port()
    command = [*found.compose, "--project-name", f"wirekit-bench-{os.getpid()}"]
    command += ["--file", str(found.file)]
    environment = {**os.environ, f"{service.upper()}_PORT": str(port)}
    try:
        _run([*command, "up", "--detach", "--build", service], environment, BUILD_TIMEOUT)
        _wait_for_listener(service, port, command, environment)
        yield Server((LOOPBACK, port), str(found))
    finally:
        # Not the image: the next run shall not build it anew.
        down = [*command, "down", "--volumes", "--remove-orphans", "--timeout", "5"]
        _run(down, environment, START_TIMEOUT)


def _run(command: Sequence[str], environment: dict[str, str], timeout: float) -> None:
    try:
        outcome = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{' '.join(command)}: not done after {timeout:g} s") from error
    if outcome.returncode != 0:
        raise ServerError(f"{' '.join(command)} failed:\n{outcome.stdout}{outcome.stderr}")


def _wait_for_listener(
    service: str, port: int, command: Sequence[str], environment: dict[str, str]
) -> None:
    """Wait until somebody accepts a connection and does not close it at once.

    A published port accepts before the server in the container listens, and then closes.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
                connection.settimeout(0.2)
                if connection.recv(1):
                    return  # it greets
        except TimeoutError:
            return  # it waits for us to speak
        except OSError:
            pass  # not yet
        time.sleep(0.1)
    logs = subprocess.run(
        [*command, "logs", service], env=environment, capture_output=True, text=True, check=False
    )
    raise ServerError(f"nothing listens on port {port}:\n{logs.stdout[-2000:]}")


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
