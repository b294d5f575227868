"""PostgreSQL: a primary with a login for every way to authenticate, and standbys of it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from ._certificates import CertificateAuthority
from ._programs import Program, find_program
from ._running import (
    LOOPBACK,
    Launch,
    RunningServer,
    ServerFailed,
    free_port,
    give,
    run_server,
)

# The user, how pg_hba.conf lets it in, the password, and how that is stored.
LOGINS = (
    ("trust_user", "trust", None, None),
    ("scram_user", "scram-sha-256", "scram secret", "scram-sha-256"),
    ("md5_user", "md5", "md5 secret", "md5"),
    ("password_user", "password", "password secret", "scram-sha-256"),
)

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    # Nothing waits for the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # In the data directory, not in /dev/shm, where a killed server would leave it.
    "dynamic_shared_memory_type": "mmap",
}

OAUTH_TOKEN = "oauth.secret"
# A server takes OAuth tokens by a library of its owner's. What this one takes is any user's token.
# The headers that it leaves out are not there, and nothing here depends on them.
OAUTH_VALIDATOR = f"""
#include "postgres.h"
#include "fmgr.h"
#undef ENABLE_GSS
#undef USE_OPENSSL
#include "libpq/oauth.h"

PG_MODULE_MAGIC;

static bool validate(const ValidatorModuleState *state, const char *token, const char *role,
                     ValidatorModuleResult *result)
{{
    result->authorized = strcmp(token, "{OAUTH_TOKEN}") == 0;
    result->authn_id = pstrdup(role);
    return true;
}}

static const OAuthValidatorCallbacks callbacks = {{
    .magic = PG_OAUTH_VALIDATOR_MAGIC,
    .validate_cb = validate,
}};

const OAuthValidatorCallbacks *_PG_oauth_validator_module_init(void)
{{
    return &callbacks;
}}
"""

OAUTH_RULES = (
    f'hostssl all oauth_user {LOOPBACK}/32 oauth issuer="https://issuer.example" scope="wirekit"',
)

# A killed server leaves the System V shared memory by which it guards its data directory; the
# seventh line of the lock file ends with its number.
CLEAN_UP = """
if test -e data/postmaster.pid; then
    ipcrm -m "$(sed -n '7s/.* //p' data/postmaster.pid)" || :
fi
"""


@contextlib.contextmanager
def postgres_server(
    *,
    major: int = 15,
    tls: CertificateAuthority | None = None,
    config: Mapping[str, str] | None = None,
    hba: Sequence[str] = (),
    users: Mapping[str, str] | None = None,
    oauth: bool = False,
    user: str | None = None,
) -> Generator[RunningServer]:
    """Run a PostgreSQL server until the block ends.

    There is a database ``wirekit``, owned by ``trust_user``, and these log in over TCP and the
    Unix socket: the superuser ``postgres`` and ``trust_user`` without a password; ``scram_user``,
    ``md5_user`` and ``password_user``, whose passwords are ``"scram secret"`` and so on, each by
    its own method; with ``tls``, ``cert_user`` with the authority's client certificate. Everybody
    else needs a password.

    Nothing waits for the disk: after `RunningServer.kill` the last commits may be gone, unless
    ``config`` has ``synchronous_commit`` on.

    Args:
        major: The version, 15 or 18; where the one is without TLS, another 18 serves that.
        tls: Serve TLS on the same port, with this authority's certificate.
        config: Further settings of postgresql.conf, which win over those set here.
        hba: Lines of pg_hba.conf, which come before those set here.
        users: Further users, name to the options of CREATE ROLE, such as ``"PASSWORD 'secret'"``.
        oauth: With ``oauth_user``, who logs in by `OAUTH_TOKEN`, over TLS; from 18 on.
        user: The system user to run it as; not root.
    """
    found = find_program("postgres18-tls" if major == 18 and tls else f"postgres{major}")
    system_user = user or unprivileged_user()

    def prepare(directory: Path) -> Launch:
        data = directory / "data"
        programs = _usable_programs(found, directory, system_user)
        if not data.exists():
            _create_cluster(programs, data, users or {}, system_user)
            if oauth:
                _compile_validator(programs, directory)
        port = free_port()
        settings = {**SETTINGS, "port": str(port), "unix_socket_directories": str(directory)}
        if tls is not None:
            settings.update(
                ssl="on",
                ssl_cert_file=str(directory / "server.pem"),
                ssl_key_file=str(directory / "server.key"),
                ssl_ca_file=str(directory / "authority.pem"),
            )
        if oauth:
            settings["oauth_validator_libraries"] = str(directory / "validator.so")
        (data / "postgresql.conf").write_text(_lines({**settings, **(config or {})}))
        rules = [*hba, *(OAUTH_RULES if oauth else ()), *_rules(with_tls=tls is not None)]
        (data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        return _launch(programs, directory, port, tls=tls is not None, user=system_user)

    with run_server(found, prepare, certificates=tls, user=system_user) as server:
        yield server


@contextlib.contextmanager
def postgres_replica(primary: RunningServer) -> Generator[RunningServer]:
    """Run a hot standby that follows ``primary`` by streaming replication, until the block ends.

    It has the primary's settings, logins and certificates, and is read-only.
    """
    found = find_program(primary.name)
    user = primary.launch.user

    def prepare(directory: Path) -> Launch:
        data = directory / "data"
        programs = _usable_programs(found, directory, user)
        if not data.exists():
            source = f"host={primary.directory} port={primary.port} user=postgres"
            options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
            where = ["--pgdata", str(data), "--dbname", source]
            _run(programs / "pg_basebackup", [*where, *options], directory, user)
        port = free_port()
        with (data / "postgresql.conf").open("a") as file:
            file.write(_lines({"port": str(port), "unix_socket_directories": str(directory)}))
        tls = primary.tls_port is not None
        return _launch(programs, directory, port, tls=tls, user=user, standby=True)

    with run_server(found, prepare, user=user) as server:
        yield server


def unprivileged_user() -> str | None:
    """Return whom to run as what refuses to be root, or None if we are not root anyway."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def ask_postgres(unix_path: Path, database: str, query: str) -> bytes | None:
    """Ask as user ``postgres`` and return the first field of the first row.

    None stands for a server that does not answer, or not with AuthenticationOk, a row and
    ReadyForQuery.
    """
    parameters = f"user\0postgres\0database\0{database}\0\0".encode()
    startup = struct.pack("!ii", 8 + len(parameters), 196608) + parameters
    text = query.encode() + b"\0"
    asked = startup + struct.pack("!ci", b"Q", 4 + len(text)) + text + struct.pack("!ci", b"X", 4)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(unix_path))
            client.sendall(asked)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        except OSError:
            return None
    messages: dict[bytes, bytes] = {}
    while len(answer) >= 5:
        kind, length = struct.unpack_from("!ci", answer)
        messages.setdefault(kind, answer[5 : 1 + length])
        answer = answer[1 + length :]
    row = messages.get(b"D")
    if messages.get(b"R") != bytes(4) or b"Z" not in messages or row is None:
        return None
    (size,) = struct.unpack_from("!i", row, 2)
    return row[6 : 6 + size]


def _launch(
    programs: Path,
    directory: Path,
    port: int,
    *,
    tls: bool,
    user: str | None,
    standby: bool = False,
) -> Launch:
    unix_path = directory / f".s.PGSQL.{port}"
    ready = b"t" if standby else b"f"
    return Launch(
        command=(str(programs / "postgres"), "-D", str(directory / "data")),
        is_ready=lambda: ask_postgres(unix_path, "postgres", "SELECT pg_is_in_recovery()") == ready,
        port=port,
        tls_port=port if tls else None,
        unix_path=unix_path,
        stop_signal=signal.SIGINT,  # "fast": does not wait for the clients
        user=user,
        clean_up=CLEAN_UP,
    )


def _create_cluster(programs: Path, data: Path, users: Mapping[str, str], user: str | None) -> None:
    options = "--username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync"
    _run(programs / "initdb", ["--pgdata", str(data), *options.split()], data.parent, user)
    statements: list[str] = []
    for name, _, password, stored_as in LOGINS:
        if password is None:
            statements.append(f"CREATE ROLE {name} LOGIN")
        else:
            statements.append(f"SET password_encryption = '{stored_as}'")
            statements.append(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    statements += ["CREATE ROLE cert_user LOGIN", "CREATE ROLE oauth_user LOGIN"]
    statements.append("CREATE DATABASE wirekit OWNER trust_user")
    statements += [f'CREATE ROLE "{name}" LOGIN {options}' for name, options in users.items()]
    single = ["--single", "-D", str(data), "-c", "fsync=off", "-c", "exit_on_error=on", "postgres"]
    # In this mode the end of a line is the end of a statement.
    _run(programs / "postgres", single, data.parent, user, "\n".join(statements) + "\n")


def _compile_validator(programs: Path, directory: Path) -> None:
    (directory / "validator.c").write_text(OAUTH_VALIDATOR)
    headers = programs.parent / "include" / "server"
    options = ["-shared", "-fPIC", "-I", str(headers), "-o", "validator.so", "validator.c"]
    _run(find_program("cc").path, options, directory, None)


def _rules(*, with_tls: bool) -> list[str]:
    rules: list[str] = []
    for where, address in (("local", ""), ("host", f"{LOOPBACK}/32")):
        rules += [
            f"{where} all,replication postgres {address} trust",
            *(f"{where} all {name} {address} {method}" for name, method, _, _ in LOGINS),
        ]
        if where == "host" and with_tls:
            rules.append(f"hostssl all cert_user {address} cert")
        rules.append(f"{where} all all {address} scram-sha-256")
    return rules


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _usable_programs(found: Program, directory: Path, user: str | None) -> Path:
    """Return the folder of the programs, if need be a copy that the user can get at.

    A wheel may be in a virtual environment within somebody's home.
    """
    programs = found.path.resolve().parent
    try:
        _run(programs / "postgres", ["--version"], directory, user)
    except PermissionError:
        installation = programs.parent
        package = installation.parent
        copy = directory / "programs"
        for source in (installation, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, copy / source.relative_to(package.parent), dirs_exist_ok=True)
        give(copy, user)
        return copy / programs.relative_to(package.parent)
    return programs


def _run(
    program: Path, options: Sequence[str], directory: Path, user: str | None, text: str = ""
) -> None:
    result = subprocess.run(
        [program, *options],
        cwd=directory,
        input=text,
        capture_output=True,
        text=True,
        user=user,
        extra_groups=[] if user is not None and os.geteuid() == 0 else None,
        # Nobody's PGPORT, PGSSLMODE and so on shall have a say.
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
    )
    if result.returncode != 0:
        raise ServerFailed(f"{program.name} failed:\n{result.stdout}{result.stderr}")
