"""PgBouncer in front of a PostgreSQL server."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path

from ._certificates import CertificateAuthority
from ._postgres import LOGINS, ask_postgres
from ._programs import find_program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server


@contextlib.contextmanager
def pgbouncer_server(
    postgres: RunningServer,
    *,
    pool_mode: str = "transaction",
    auth_type: str = "trust",
    tls: CertificateAuthority | None = None,
    config: Mapping[str, str] | None = None,
) -> Generator[RunningServer]:
    """Run a PgBouncer until the block ends, for all databases and logins of ``postgres``.

    Args:
        postgres: The server behind it.
        pool_mode: ``"session"``, ``"transaction"`` or ``"statement"``.
        auth_type: What it asks of clients: ``"trust"``, ``"scram-sha-256"``, ``"md5"`` or
            ``"password"``. Its console is open to ``postgres`` on the Unix socket in any case.
        tls: Serve TLS on the same port, with this authority's certificate.
        config: Further settings of the section ``pgbouncer``, which win over those set here.
    """
    found = find_program("pgbouncer")
    # Not root, who may not run it.
    user = postgres.launch.user

    def prepare(directory: Path) -> Launch:
        port = free_port()
        settings = {
            "listen_addr": LOOPBACK,
            "listen_port": str(port),
            "unix_socket_dir": str(directory),
            "auth_type": "hba",
            "auth_hba_file": str(directory / "hba.conf"),
            "auth_file": str(directory / "userlist.txt"),
            "admin_users": "postgres",
            "pool_mode": pool_mode,
            "max_client_conn": "200",
        }
        if tls is not None:
            settings.update(
                client_tls_sslmode="allow",
                client_tls_cert_file=str(directory / "server.pem"),
                client_tls_key_file=str(directory / "server.key"),
                client_tls_ca_file=str(directory / "authority.pem"),
            )
        settings.update(config or {})
        lines = ["[databases]", f"* = host={postgres.host} port={postgres.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        rules = ["local pgbouncer postgres trust", f"local all all {auth_type}"]
        rules.append(f"host all all {LOOPBACK}/32 {auth_type}")
        (directory / "hba.conf").write_text("\n".join(rules) + "\n")
        passwords = {"postgres": "", **{name: word or "" for name, _, word, _ in LOGINS}}
        users = [f'"{name}" "{password}"' for name, password in passwords.items()]
        (directory / "userlist.txt").write_text("\n".join(users) + "\n")
        unix_path = directory / f".s.PGSQL.{port}"
        return Launch(
            command=(str(found.path), str(directory / "pgbouncer.ini")),
            is_ready=lambda: ask_postgres(unix_path, "pgbouncer", "SHOW VERSION") is not None,
            port=port,
            tls_port=port if tls is not None else None,
            unix_path=unix_path,
            user=user,
        )

    with run_server(found, prepare, certificates=tls, user=user) as server:
        yield server
