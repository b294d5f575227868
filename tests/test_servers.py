"""The servers of tests/servers.py: started privately, stopped always."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, RunningServer


def ask(sock: socket.socket, *commands: str) -> list[str]:
    """Send inline commands whose replies are one line each, and return those lines."""
    sock.settimeout(5)
    with sock.makefile("rwb") as file:
        file.write("".join(f"{command}\r\n" for command in commands).encode())
        file.flush()
        return [file.readline().decode().strip() for _ in commands]


def ask_port(port: int, *commands: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        return ask(sock, *commands)


def wait_until_gone(directory: Path) -> None:
    while directory.exists():  # the guard removes it after it has ended the server
        time.sleep(0.01)


def wait_until_refused(port: int) -> None:
    while True:
        try:
            assert ask_port(port, "PING") == [""]  # of a process on its way out
        except ConnectionRefusedError:
            return
        except ConnectionError:
            time.sleep(0.01)


def test_session_servers_answer_and_say_who_they_are(server: RunningServer) -> None:
    assert server.host == "127.0.0.1"
    assert ask_port(server.port, "PING") == ["+PONG"]
    assert server.version in server.log()
    assert server.is_running


def test_unix_socket(server: RunningServer) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(server.unix_path))
        assert ask(sock, "PING") == ["+PONG"]


def test_tls_with_and_without_client_certificate(
    redis_server: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    assert redis_server.tls_port is not None
    for with_certificate in (False, True):
        context = certificate_authority.client_context(with_certificate=with_certificate)
        for name in ("localhost", "127.0.0.1"):
            with (
                socket.create_connection(("127.0.0.1", redis_server.tls_port)) as plain,
                context.wrap_socket(plain, server_hostname=name) as sock,
            ):
                assert ask(sock, "PING") == ["+PONG"]


def test_client_certificate_can_be_demanded(certificate_authority: CertificateAuthority) -> None:
    demanding = {"tls-auth-clients": "yes"}
    with servers.redis_server(tls=certificate_authority, config=demanding) as server:
        assert server.tls_port is not None
        context = certificate_authority.client_context()
        with (
            socket.create_connection(("127.0.0.1", server.tls_port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            ask(sock, "PING")


def test_contexts_of_the_authority_speak_to_each_other(
    certificate_authority: CertificateAuthority,
) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificate_authority.client_context(with_certificate=True).wrap_bio(
        to_client, to_server, server_hostname="localhost"
    )
    server = certificate_authority.server_context(require_client_certificate=True).wrap_bio(
        to_server, to_client, server_side=True
    )
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    server.do_handshake()
    assert server.getpeercert()


def test_password_and_users() -> None:
    users = {"alice": "on >wonder ~* &* +@all"}
    with servers.valkey_server(password='se"cr et', users=users) as server:
        assert ask_port(server.port, "PING")[0].startswith("-NOAUTH")
        assert ask_port(server.port, r'AUTH "se\"cr et"', "PING") == ["+OK", "+PONG"]
        assert ask_port(server.port, "AUTH alice wonder", "ACL WHOAMI") == ["+OK", "$5"]
        assert 'se"cr et' not in repr(server)
        assert not any("cr et" in argument for argument in server.launch.command)


def test_several_at_once_share_nothing() -> None:
    with ExitStack() as stack:
        running = [
            stack.enter_context(start())
            for start in (servers.redis_server, servers.redis_server, servers.valkey_server)
        ]
        assert len({server.port for server in running}) == 3
        for number, server in enumerate(running):
            assert ask_port(server.port, "DBSIZE", f"SET k {number}") == [":0", "+OK"]
        assert set(running) <= set(servers.running_servers)
    assert not set(running) & set(servers.running_servers)
    assert not any(server.directory.exists() for server in running)


def test_kill_then_start_keeps_addresses() -> None:
    with servers.redis_server() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            assert ask(sock, "SET k v") == ["+OK"]
            server.kill()
            sock.settimeout(5)
            assert sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            ask_port(server.port, "PING")
        server.start()
        assert ask_port(server.port, "DBSIZE") == [":0"]


def test_restart_and_stop() -> None:
    with servers.redis_server() as server:
        server.restart()
        assert ask_port(server.port, "PING") == ["+PONG"]
        with pytest.raises(RuntimeError, match="running already"):
            server.start()
        server.stop()
        server.stop()
        assert not server.is_running
        server.restart()
        assert ask_port(server.port, "PING") == ["+PONG"]


def shut_down(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(5)
        sock.sendall(b"SHUTDOWN NOSAVE\r\n")
        assert sock.recv(64) == b""
    while server.is_running:
        time.sleep(0.01)


def test_a_server_that_ended_by_itself_is_reported_with_its_log() -> None:
    with (
        pytest.raises(servers.ServerFailed, match=r"(?s)ended by itself.*User requested shut"),
        servers.redis_server() as server,
    ):
        shut_down(server)
    assert [path.name for path in server.directory.iterdir()] == ["log"]
    shutil.rmtree(server.directory)


def test_a_server_that_does_not_start_is_reported_with_its_log() -> None:
    with (
        pytest.raises(
            servers.ServerFailed, match=r"(?s)did not start.*no-such-directive"
        ) as caught,
        servers.redis_server(config={"no-such-directive": "1"}),
    ):
        raise AssertionError("it started")
    log = re.search(r"\S+/log", str(caught.value))
    assert log is not None
    shutil.rmtree(Path(log[0]).parent)


def test_a_failing_block_gets_the_log_as_a_note() -> None:
    with pytest.raises(KeyError) as caught, servers.redis_server() as server:
        raise KeyError("boom")
    assert "Ready to accept connections" in "\n".join(caught.value.__notes__)
    assert server.log_path.exists()
    assert not server.is_running
    shutil.rmtree(server.directory)


def test_a_taken_port_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    free_port = servers.free_port
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        offered = iter([occupied.getsockname()[1], free_port()])
        monkeypatch.setattr("tests.servers._redis.free_port", lambda: next(offered))
        with servers.redis_server() as server:
            assert server.port != occupied.getsockname()[1]
            assert ask_port(server.port, "PING") == ["+PONG"]


def test_another_user_where_we_may_choose() -> None:
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with servers.redis_server(user=user) as server:
        assert server.unix_path is not None
        assert server.unix_path.owner() == user


END = {
    "return": "",
    "os._exit": "os._exit(1)",
    "SIGINT": "signal.raise_signal(signal.SIGINT)",
    "SIGTERM": "signal.raise_signal(signal.SIGTERM)",
    "SIGKILL": "signal.raise_signal(signal.SIGKILL)",
}


@pytest.mark.parametrize("end", END)
def test_nothing_is_left_behind_however_the_parent_ends(end: str) -> None:
    script = textwrap.dedent(
        f"""
        import os, signal
        from tests import servers
        block = servers.redis_server()
        server = block.__enter__()
        print(server.port, server.directory, flush=True)
        {END[end]}
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    port, directory = result.stdout.split()
    wait_until_gone(Path(directory))
    wait_until_refused(int(port))


def test_the_thread_that_started_a_server_may_end() -> None:
    # Linux's PDEATHSIG would take the server along with the thread.
    with ExitStack() as stack:
        started: list[RunningServer] = []
        thread = Thread(target=lambda: started.append(stack.enter_context(servers.redis_server())))
        thread.start()
        thread.join()
        assert ask_port(started[0].port, "PING") == ["+PONG"]


def test_unavailable_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    source = servers.Source("no-such-server", "no-such-package")
    monkeypatch.setitem(servers.PROGRAMS, "nothing", source)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(servers.ServerUnavailable, match="no-such-package"):
        servers.find_program("nothing")
