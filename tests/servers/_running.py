"""Running a server in the background, and never leaving it behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from ._certificates import CertificateAuthority, CertificateFiles
from ._programs import Program

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
_MUCH = 4 << 30  # bytes free in memory from which data directories are kept there
# What the log says, in small letters, where somebody else was quicker to take a port.
PORT_TAKEN = ("already in use", "unable to create websockets listener")


class ServerFailed(RuntimeError):
    """The server did not start, or ended by itself; the message holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How one server is started, found ready, and stopped."""

    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    port: int
    tls_port: int | None = None
    websocket_port: int | None = None
    websocket_tls_port: int | None = None
    submission_port: int | None = None
    unix_path: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None  # for programs that refuse to run as root
    clean_up: str = ":"  # for the shell: removes what it may have left outside its directory


running_servers: list[RunningServer] = []
"""The servers of this process that have not been stopped."""


@dataclass(eq=False, kw_only=True)
class RunningServer:
    """A server that answers; `kill`, `stop`, `start` and `restart` are for reconnect tests.

    It keeps its ports and its data directory over a restart.
    """

    name: str
    version: str
    host: str
    port: int
    tls_port: int | None
    unix_path: Path | None
    certificates: CertificateFiles | None
    directory: Path
    launch: Launch = field(repr=False)
    websocket_port: int | None = None
    websocket_tls_port: int | None = None
    submission_port: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _lifeline: int = field(default=-1, init=False, repr=False)

    @property
    def log_path(self) -> Path:
        """The file with everything the server wrote, over all its restarts."""
        return self.directory / "log"

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def log(self, *, since: int = 0, lines: int = 50) -> str:
        """Return the last lines of the log, from the byte ``since`` on."""
        with self.log_path.open("rb") as file:
            file.seek(since)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerFailed: It ended, or does not answer within `START_TIMEOUT`.
        """
        if self.is_running:
            raise RuntimeError(f"{self.name} is running already")
        user = self.launch.user
        # Only the server and its children hold the other end, so this end sees the last one go.
        self._lifeline, held_by_server = os.pipe()
        with self.log_path.open("ab") as log, os.fdopen(held_by_server, "wb"):
            self._process = subprocess.Popen(
                self.launch.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[held_by_server],
                user=user,
                extra_groups=[] if user is not None and os.geteuid() == 0 else None,
            )
        self._guard = _start_guard(self._process.pid, self.directory, self.launch)
        running_servers.append(self)
        deadline = time.monotonic() + START_TIMEOUT
        while not self.launch.is_ready():
            if not self.is_running or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                raise ServerFailed(self._failure("did not start"))
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask the server to end, and make it if it does not; does nothing if it was stopped.

        Raises:
            ServerFailed: It had ended by itself.
        """
        if self._process is None:
            return
        ended_by_itself = not self.is_running
        self._end(self.launch.stop_signal)
        if ended_by_itself:
            raise ServerFailed(self._failure("ended by itself"))

    def kill(self) -> None:
        """End the server as a crash would: with SIGKILL, without a word to its clients."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server if it runs, and start it at the same addresses."""
        self.stop()
        self.start()

    def _failure(self, what: str) -> str:
        return f"{self.name} {self.version} {what}; {self.log_path} says:\n{self.log()}"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if how is not signal.SIGKILL:
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        if self.is_running:
            _kill_with_children(self._process.pid)
            self._process.wait()
        with contextlib.suppress(ProcessLookupError):  # its own children, which it may have left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        running_servers.remove(self)
        self._wait_for_children()
        subprocess.run(["/bin/sh", "-c", self.launch.clean_up], cwd=self.directory, check=True)

    def _wait_for_children(self) -> None:
        poll = select.poll()
        poll.register(self._lifeline, select.POLLHUP)
        all_gone = poll.poll(STOP_TIMEOUT * 1000)
        os.close(self._lifeline)
        if not all_gone:
            raise ServerFailed(self._failure("left a process behind"))


@atexit.register
def _stop_all() -> None:
    for server in running_servers[:]:
        server.kill()


def _kill_with_children(pid: int) -> None:
    """Kill a process and its children, be they in process groups of their own, as Postgres' are."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it neither makes more of them nor sees them go
    for child in _children(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text().split()]
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(child) for child in found.stdout.split()]


GUARD = """
while read -r line; do :; done
kill -s STOP "$1"
children=$(cat "/proc/$1/task/$1/children" || pgrep -P "$1")
kill -s KILL -- $children "-$1"
cd "$2" && eval "$3"
cd / && rm -rf -- "$2"
"""


def _start_guard(pid: int, directory: Path, launch: Launch) -> subprocess.Popen[bytes]:
    """Start what ends the server when this process is gone, be it by SIGKILL.

    The guard waits for the end of its standard input, whose other end only this process holds.
    (Linux's PDEATHSIG would follow the thread that started the server, not the process.)
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", str(pid), str(directory), launch.clean_up],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextlib.contextmanager
def run_server(
    program: Program,
    prepare: Callable[[Path], Launch],
    *,
    certificates: CertificateAuthority | None = None,
    user: str | None = None,
) -> Generator[RunningServer]:
    """Run a program in a temporary directory of its own, until the block ends.

    ``prepare`` writes what the program needs into that directory and takes free ports; it is asked
    again if somebody else was quicker to take one. What goes wrong within the block gets the end
    of the log as a note, and the log is kept.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"wirekit-{program.name}-", dir=_in_memory()))
    keep_log = False
    try:
        give(directory, user)
        files = certificates.write(directory) if certificates is not None else None
        server = _start_on_free_ports(program, prepare, directory, files, user)
        try:
            yield server
        except BaseException as exc:
            if isinstance(exc, Exception):
                keep_log = True
                exc.add_note(f"{server.log_path}:\n{server.log(lines=20)}")
            server.kill()
            raise
        server.stop()
    except ServerFailed:
        keep_log = True
        raise
    finally:
        _clear(directory, keep_log=keep_log)


def _start_on_free_ports(
    program: Program,
    prepare: Callable[[Path], Launch],
    directory: Path,
    certificates: CertificateFiles | None,
    user: str | None,
) -> RunningServer:
    for attempts_left in reversed(range(5)):
        launch = prepare(directory)
        give(directory, user)
        server = RunningServer(
            name=program.name,
            version=program.version,
            host=LOOPBACK,
            port=launch.port,
            tls_port=launch.tls_port,
            websocket_port=launch.websocket_port,
            websocket_tls_port=launch.websocket_tls_port,
            submission_port=launch.submission_port,
            unix_path=launch.unix_path,
            certificates=certificates,
            directory=directory,
            launch=launch,
        )
        try:
            server.start()
        except ServerFailed as exc:
            said = any(words in str(exc).lower() for words in PORT_TAKEN)
            if not attempts_left or not (said or _is_taken(launch.port)):
                raise
            server.log_path.unlink()
        else:
            return server
    raise AssertionError("unreachable: the last attempt raises")


def _in_memory() -> str | None:
    """Return where files are in memory, if it is large: servers that sync are quicker there."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _MUCH:
        return None
    return str(memory)


def give(directory: Path, user: str | None) -> None:
    """Make the user the owner of a directory and all within, where we may."""
    if user is not None and os.geteuid() == 0:
        for path in (directory, *directory.rglob("*")):
            shutil.chown(path, user)


def _clear(directory: Path, *, keep_log: bool) -> None:
    if not keep_log or not (directory / "log").exists():
        shutil.rmtree(directory)
        return
    for path in directory.iterdir():
        if path.name == "log":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_taken(port: int) -> bool:
    """Tell whether somebody listens there: not every server says so in its log."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """Return a free TCP port below the range that outgoing connections are given theirs from.

    So a stopped server's port stays free until it is started again.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
