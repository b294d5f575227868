"""The Postgres and PgBouncer servers of tests/servers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, RunningServer

PASSWORDS = {
    "postgres": "",
    "trust_user": "",
    "scram_user": "scram secret",
    "md5_user": "md5 secret",
    "password_user": "password secret",
}
# A backend that runs this would not notice that the server is gone.
ENDLESS = "DO $$ BEGIN LOOP END LOOP; END $$"
ENDLESS_ONES = f"SELECT count(*) FROM pg_stat_activity WHERE query = '{ENDLESS}'"


class PsqlFailed(Exception):
    pass


def start_psql(
    server: RunningServer, query: str, password: str = "", **parameters: str
) -> subprocess.Popen[str]:
    program = servers.find_program("postgres15").path.resolve().with_name("psql")
    source = {
        "host": server.host,
        "port": str(server.port),
        "user": "trust_user",
        "dbname": "wirekit",
        "sslmode": "disable",
        **parameters,
    }
    return subprocess.Popen(
        [program, "-XAtw", "-c", query, " ".join(f"{k}='{v}'" for k, v in source.items())],
        env={"PGPASSWORD": password, "HOME": str(server.directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def psql(server: RunningServer, query: str, password: str = "", **parameters: str) -> str:
    """Return the answer to a query, fields separated by bars."""
    with start_psql(server, query, password, **parameters) as process:
        answer, error = process.communicate(timeout=20)
    if process.returncode != 0:
        raise PsqlFailed(error)
    return answer.strip()


def wait_for(answer: str, server: RunningServer, query: str, **parameters: str) -> None:
    while psql(server, query, **parameters) != answer:
        time.sleep(0.01)


def shared_memory(directory: Path) -> str:
    """Return the number of the System V shared memory that a Postgres server holds."""
    return (directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]


def all_shared_memory() -> set[str]:
    listed = subprocess.run(["ipcs", "-m"], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^(?:m|0x\w+) +(\d+)", listed, re.MULTILINE))


def test_answers_and_says_who_it_is(postgres: RunningServer) -> None:
    assert postgres.name == f"postgres{postgres.version.split('.')[0]}"
    assert psql(postgres, "SHOW server_version").split()[0] == postgres.version
    facts = "pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype"
    database = f"SELECT {facts} FROM pg_database WHERE datname = 'wirekit'"
    assert psql(postgres, database) == "trust_user|UTF8|C.UTF-8|C.UTF-8"
    assert psql(postgres, "SHOW timezone") == "UTC"


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("user", PASSWORDS)
def test_logins(postgres: RunningServer, user: str, unix: bool) -> None:
    host = str(postgres.directory) if unix else postgres.host
    password = PASSWORDS[user]
    assert psql(postgres, "SELECT session_user", password, user=user, host=host) == user
    if password:
        with pytest.raises(PsqlFailed, match="password authentication failed"):
            psql(postgres, "SELECT 1", "wrong", user=user, host=host)


def test_asks_for_passwords_by_the_methods_promised(postgres: RunningServer) -> None:
    rules = "SELECT user_name[1], auth_method FROM pg_hba_file_rules WHERE type = 'host'"
    assert dict(line.split("|") for line in psql(postgres, rules, user="postgres").split()) == {
        "postgres": "trust",
        "trust_user": "trust",
        "scram_user": "scram-sha-256",
        "md5_user": "md5",
        "password_user": "password",
        "all": "scram-sha-256",
    }
    stored = "SELECT rolpassword LIKE 'md5%' FROM pg_authid WHERE rolname = 'md5_user'"
    assert psql(postgres, stored, user="postgres") == "t"


def test_certificates(postgres15: RunningServer) -> None:
    assert postgres15.tls_port == postgres15.port
    files = postgres15.certificates
    assert files is not None
    verified = {"sslmode": "verify-full", "sslrootcert": str(files.authority)}
    own = {"sslcert": str(files.client_certificate), "sslkey": str(files.client_key)}
    secured = "SELECT session_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert psql(postgres15, secured, user="cert_user", **verified, **own) == "cert_user|t"
    assert psql(postgres15, secured, **verified) == "trust_user|t"
    assert psql(postgres15, secured) == "trust_user|f"
    with pytest.raises(PsqlFailed, match="requires a valid client certificate"):
        psql(postgres15, secured, user="cert_user", **verified)


def test_config_rules_and_users() -> None:
    with servers.postgres_server(
        config={"work_mem": "5MB", "cluster_name": "it's \\me"},
        hba=["host all trust_user 127.0.0.1/32 reject"],
        users={"alice": "CREATEDB PASSWORD 'wonder'"},
    ) as server:
        assert psql(server, "SHOW work_mem", "wonder", user="alice") == "5MB"
        assert psql(server, "SHOW cluster_name", "wonder", user="alice") == "it's \\me"
        with pytest.raises(PsqlFailed, match="rejects"):
            psql(server, "SELECT 1")


def test_a_server_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # tmp_path is closed to the server's user
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with (
            pytest.raises(servers.ServerFailed, match=r"(?s)postgres failed.*NONSENSE"),
            servers.postgres_server(users={"alice": "NONSENSE"}),
        ):
            raise AssertionError("it started")
        assert list(Path(folder).iterdir()) == []


def test_programs_that_the_user_cannot_get_at_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = servers.find_program("postgres18")
    package = found.path.parents[2]
    for source in (found.path.parents[1], package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, tmp_path / source.relative_to(package.parent))
    tmp_path.chmod(0o700)
    hidden = replace(found, path=tmp_path / found.path.relative_to(package.parent))
    monkeypatch.setattr("tests.servers._postgres.find_program", {"postgres18": hidden}.get)
    with servers.postgres_server(major=18) as server:
        used = Path(server.launch.command[0])
        assert used.is_relative_to(server.directory if os.geteuid() == 0 else tmp_path)
        assert psql(server, "SHOW server_version") == found.version


def test_a_taken_port_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    free_port = servers.free_port
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        offered = iter([occupied.getsockname()[1], free_port()])
        monkeypatch.setattr("tests.servers._postgres.free_port", lambda: next(offered))
        with servers.postgres_server() as server:
            assert psql(server, "SHOW port") == str(server.port)


@pytest.mark.parametrize("major", [15, 18])
def test_kill_with_a_busy_client_then_start(major: int) -> None:
    config = {"synchronous_commit": "on"}
    with servers.postgres_server(major=major, config=config) as server:
        psql(server, "CREATE TABLE kept ()")
        with start_psql(server, ENDLESS) as busy:
            wait_for("1", server, ENDLESS_ONES)
            memory = shared_memory(server.directory)
            assert memory in all_shared_memory()
            server.kill()
            assert memory not in all_shared_memory()
            error = busy.communicate(timeout=20)[1]
        assert "closed the connection unexpectedly" in error
        assert "FATAL" not in error
        with pytest.raises(PsqlFailed, match="refused"):
            psql(server, "SELECT 1")
        server.start()
        assert psql(server, "SELECT 'kept'::regclass") == "kept"
        server.restart()
        assert psql(server, "SELECT 'kept'::regclass") == "kept"


@pytest.mark.parametrize(
    "end", ["", "signal.raise_signal(signal.SIGKILL)"], ids=["return", "SIGKILL"]
)
def test_nothing_is_left_behind_however_the_parent_ends(
    postgres15: RunningServer, end: str
) -> None:
    script = textwrap.dedent(
        f"""
        import signal
        from tests import servers
        block = servers.postgres_server()
        server = block.__enter__()
        print(server.directory, server.port, flush=True)
        input()
        {end}
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        directory, port = parent.stdout.readline().split()
        memory = shared_memory(Path(directory))
        with start_psql(postgres15, ENDLESS, port=port) as busy:
            wait_for("1", postgres15, ENDLESS_ONES, port=port)
            parent.communicate("\n")
            assert "closed the connection unexpectedly" in busy.communicate(timeout=20)[1]
    while Path(directory).exists() or memory in all_shared_memory():
        time.sleep(0.01)


@pytest.mark.parametrize("replication", ["true", "database"])
def test_replication_connections(postgres: RunningServer, replication: str) -> None:
    slot = "CREATE_REPLICATION_SLOT slot TEMPORARY " + (
        "PHYSICAL" if replication == "true" else "LOGICAL pgoutput"
    )
    answer = psql(postgres, slot, user="postgres", replication=replication)
    assert answer.startswith("slot|")


def test_replica_follows(postgres: RunningServer) -> None:
    described = "shobj_description(oid, 'pg_database')"
    comment = f"SELECT {described} FROM pg_database WHERE datname = 'wirekit'"
    with servers.postgres_replica(postgres) as replica:
        assert psql(replica, "SELECT pg_is_in_recovery()") == "t"
        for number in ("1", "2"):
            psql(postgres, f"COMMENT ON DATABASE wirekit IS '{number}'")
            wait_for(number, replica, comment)
            replica.restart()
        with pytest.raises(PsqlFailed, match="read-only"):
            psql(replica, "COMMENT ON DATABASE wirekit IS NULL")
    psql(postgres, "COMMENT ON DATABASE wirekit IS NULL")


@pytest.mark.parametrize("auth_type", ["trust", "scram-sha-256", "md5", "password"])
def test_pgbouncer_forwards(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, auth_type: str
) -> None:
    with servers.pgbouncer_server(
        postgres15, auth_type=auth_type, tls=certificate_authority
    ) as bouncer:
        assert bouncer.certificates is not None
        verified = {"sslmode": "verify-full", "sslrootcert": str(bouncer.certificates.authority)}
        for parameters in ({}, verified):
            for user in ("scram_user", "password_user"):
                facts = "SELECT session_user, current_setting('port')"
                answer = psql(bouncer, facts, PASSWORDS[user], user=user, **parameters)
                assert answer == f"{user}|{postgres15.port}"
        if auth_type != "trust":
            with pytest.raises(PsqlFailed, match="authentication failed"):
                psql(bouncer, "SELECT 1", "wrong", user="scram_user")


def test_pgbouncer_pools_and_restarts(postgres: RunningServer) -> None:
    backend = "SELECT pg_backend_pid()"
    with servers.pgbouncer_server(postgres, pool_mode="session") as bouncer:
        settings = psql(bouncer, "SHOW CONFIG", dbname="pgbouncer", user="postgres")
        assert "\npool_mode|session|" in settings
        first = psql(bouncer, backend)
        assert psql(bouncer, backend, host=str(bouncer.directory)) == first
        bouncer.kill()
        with pytest.raises(PsqlFailed, match="refused"):
            psql(bouncer, backend)
        bouncer.start()
        assert psql(bouncer, backend) != first
