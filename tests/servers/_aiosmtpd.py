"""aiosmtpd, an SMTP server in Python, in a process of its own; it needs no system's package."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sys
from collections.abc import Generator
from pathlib import Path

from ._certificates import CertificateAuthority
from ._mail import DOMAIN, IDN_DOMAIN, MAILBOXES, USERS, DeliveredMail, MailServer, greets
from ._programs import Program
from ._running import LOOPBACK, Launch, free_port, run_server

TOKENS = {user: f"token-of-{user}" for user in USERS}


@contextlib.contextmanager
def aiosmtpd_server(*, tls: CertificateAuthority | None = None) -> Generator[MailServer]:
    """Run an aiosmtpd until the block ends.

    It offers SIZE (10 MiB), 8BITMIME, SMTPUTF8, and neither PIPELINING nor CHUNKING; AUTH with
    PLAIN, LOGIN, CRAM-MD5, XOAUTH2, OAUTHBEARER, SCRAM-SHA-1 and -256, behind TLS also their -PLUS.
    Of recipients, ``later`` is refused for a while only (450), unknown ones (550) and foreign
    domains (554) for good; a header field ``X-Refuse`` has a message refused behind its final dot
    (550, with ``later`` as its value 451).

    Args:
        tls: Also listen on `MailServer.tls_port` and `MailServer.submission_port`, with this
            authority's certificate.
    """
    found = Program("aiosmtpd", Path(sys.executable), importlib.metadata.version("aiosmtpd"))

    def prepare(directory: Path) -> Launch:
        (directory / "mail").mkdir(exist_ok=True)
        port = free_port()
        submission_port, tls_port = (free_port(), free_port()) if tls else (None, None)
        settings = {
            "directory": str(directory),
            "domains": [DOMAIN, IDN_DOMAIN, IDN_DOMAIN.encode("idna").decode()],
            "mailboxes": MAILBOXES,
            "users": USERS,
            "tokens": TOKENS,
            "host": LOOPBACK,
            "port": port,
            "submission_port": submission_port,
            "tls_port": tls_port,
            "certificate": str(directory / "server.pem") if tls else None,
            "key": str(directory / "server.key") if tls else None,
        }
        settings_path = directory / "settings.json"
        settings_path.write_text(json.dumps(settings))
        process = Path(__file__).with_name("_aiosmtpd_process.py")
        return Launch(
            command=(sys.executable, str(process), str(settings_path)),
            is_ready=lambda: greets(port),
            port=port,
            submission_port=submission_port,
            tls_port=tls_port,
        )

    with run_server(found, prepare, certificates=tls) as server:
        yield MailServer(
            port=server.port,
            submission_port=server.submission_port,
            tls_port=server.tls_port,
            tokens=TOKENS,
            running=server,
            read=lambda: [_read(path) for path in sorted((server.directory / "mail").iterdir())],
            queued=lambda: 0,
        )


def _read(path: Path) -> DeliveredMail:
    envelope, _, content = path.read_bytes().partition(b"\n")
    return DeliveredMail(**json.loads(envelope), trace="", content=content)
