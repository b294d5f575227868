"""Postfix: a whole mail system, from the submission port to the mailbox; and its sink."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from ._certificates import CertificateAuthority
from ._mail import DOMAIN, IDN_DOMAIN, MAILBOXES, MailServer, greets, read_maildirs
from ._programs import ServerUnavailable, find_program
from ._running import LOOPBACK, Launch, RunningServer, free_port, run_server

# The services of master.cf that such a system needs, and what stands behind their names.
SERVICES = {
    "cleanup": "unix n - n - 0 cleanup",
    "qmgr": "unix n - n 300 1 qmgr",
    "tlsmgr": "unix - - n 1000? 1 tlsmgr",
    "rewrite": "unix - - n - - trivial-rewrite",
    "bounce": "unix - - n - 0 bounce",
    "defer": "unix - - n - 0 bounce",
    "trace": "unix - - n - 0 bounce",
    "verify": "unix - - n - 1 verify",
    "proxymap": "unix - - n - - proxymap",
    "error": "unix - - n - - error",
    "retry": "unix - - n - - error",
    "virtual": "unix - n n - - virtual",
    "anvil": "unix - - n - 1 anvil",
    "postlog": "unix-dgram n - n - 1 postlogd",
}
QUEUES = ("incoming", "active", "deferred", "maildrop", "hold", "corrupt")
FOLDERS = (*QUEUES, "bounce", "defer", "trace", "flush", "saved", "private", "public", "pid")

# Behind the final dot, X-Refuse has a message refused, and X-Refuse: later for a while only.
HEADER_CHECKS = """
/^X-Refuse: later/ REJECT 4.7.1 not now
/^X-Refuse:/ REJECT 5.7.1 not such a thing
"""


@contextlib.contextmanager
def postfix_server(
    *,
    dovecot: MailServer | None = None,
    tls: CertificateAuthority | None = None,
    config: Mapping[str, str] | None = None,
) -> Generator[MailServer]:
    """Run a Postfix until the block ends, as root, which it demands.

    It offers PIPELINING, CHUNKING, SIZE (10 MiB), VRFY, 8BITMIME, SMTPUTF8, DSN and
    ENHANCEDSTATUSCODES. Of recipients, ``later`` is refused for a while only (450), unknown ones
    (550) and foreign domains (554) for good; a header field ``X-Refuse`` has a message refused
    behind its final dot (550, with ``later`` as its value 450).

    Args:
        dovecot: Who checks its users' passwords, by PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 and -256,
            XOAUTH2 and OAUTHBEARER; without one there is no AUTH.
        tls: Also listen on `MailServer.tls_port` and `MailServer.submission_port`, with this
            authority's certificate.
        config: Further parameters of main.cf, which win over those set here.
    """
    found = find_program("postfix")
    if os.geteuid() != 0:
        raise ServerUnavailable("Postfix runs as root only")
    nobody = pwd.getpwnam("nobody")

    def prepare(directory: Path) -> Launch:
        directory.chmod(0o755)  # its processes are of several users
        (directory / "mail").mkdir(exist_ok=True)
        os.chown(directory / "mail", nobody.pw_uid, nobody.pw_gid)
        _make_queue(directory)
        port = free_port()
        submission_port, tls_port = (free_port(), free_port()) if tls else (None, None)
        _write_tables(directory)
        settings = _settings(directory, nobody)
        if dovecot is not None:
            assert dovecot.running.unix_path is not None
            settings["smtpd_sasl_auth_enable"] = "yes"
            settings["smtpd_sasl_type"] = "dovecot"
            settings["smtpd_sasl_path"] = str(dovecot.running.directory / "auth")
        if tls is not None:
            settings["smtpd_tls_chain_files"] = f"{directory}/server.key {directory}/server.pem"
        settings.update(config or {})
        lines = [f"{name} = {value}" for name, value in settings.items()]
        _write(directory / "main.cf", lines)
        services = [f"{LOOPBACK}:{port} inet n - n - - smtpd"]
        authenticated = "-o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
        if submission_port is not None:
            services.append(
                f"{LOOPBACK}:{submission_port} inet n - n - - smtpd"
                f" -o smtpd_tls_security_level=encrypt {authenticated}"
            )
        if tls_port is not None:
            services.append(
                f"{LOOPBACK}:{tls_port} inet n - n - - smtpd"
                f" -o smtpd_tls_wrappermode=yes {authenticated}"
            )
        services += [f"{name} {rest}" for name, rest in SERVICES.items()]
        _write(directory / "master.cf", services)
        daemons = _parameter(found.path, "daemon_directory")
        return Launch(
            command=(f"{daemons}/master", "-c", str(directory), "-d"),
            is_ready=lambda: greets(port),
            port=port,
            tls_port=tls_port,
            submission_port=submission_port,
        )

    with run_server(found, prepare, certificates=tls) as server:
        yield MailServer(
            port=server.port,
            submission_port=server.submission_port,
            tls_port=server.tls_port,
            users=dovecot.users if dovecot is not None else {},
            tokens=dovecot.tokens if dovecot is not None else {},
            running=server,
            read=lambda: list(read_maildirs(server.directory / "mail")),
            queued=lambda: _count_queued(server.directory / "queue"),
        )


@contextlib.contextmanager
def smtp_sink_server(*options: str) -> Generator[RunningServer]:
    """Run Postfix's smtp-sink until the block ends: it takes all mail and throws it away.

    It offers PIPELINING, 8BITMIME, AUTH (which any password passes), ENHANCEDSTATUSCODES, and not
    CHUNKING.

    Args:
        options: Of smtp-sink(1), such as ``"-p"``, which offers no PIPELINING.
    """
    found = find_program("postfix")
    command = str(Path(_parameter(found.path, "command_directory"), "smtp-sink"))
    user = ("-u", "nobody") if os.geteuid() == 0 else ()

    def prepare(_directory: Path) -> Launch:
        port = free_port()
        return Launch(
            command=(command, *user, *options, f"{LOOPBACK}:{port}", "1000"),
            is_ready=lambda: greets(port),
            port=port,
        )

    with run_server(found, prepare) as server:
        yield server


def _make_queue(directory: Path) -> None:
    owner = pwd.getpwnam("postfix")
    for folder in (directory / "data", *(directory / "queue" / name for name in FOLDERS)):
        folder.mkdir(parents=True, exist_ok=True)
        if folder.name != "pid":
            os.chown(folder, owner.pw_uid, -1)


def _settings(directory: Path, nobody: pwd.struct_passwd) -> dict[str, str]:
    return {
        "compatibility_level": "3.6",
        "queue_directory": f"{directory}/queue",
        "data_directory": f"{directory}/data",
        "maillog_file": f"{directory}/log",
        "maillog_file_prefixes": str(directory),
        "inet_protocols": "ipv4",
        "inet_interfaces": LOOPBACK,
        "myhostname": f"mail.{DOMAIN}",
        "mydestination": "",
        "alias_maps": "",
        "alias_database": "",
        "virtual_mailbox_domains": f"{DOMAIN} {IDN_DOMAIN} {_ascii(IDN_DOMAIN)}",
        "virtual_mailbox_base": f"{directory}/mail",
        "virtual_mailbox_maps": f"texthash:{directory}/mailboxes",
        "virtual_mailbox_limit": "0",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{nobody.pw_uid}",
        "virtual_gid_maps": f"static:{nobody.pw_gid}",
        "recipient_delimiter": "+",
        "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
        "smtpd_recipient_restrictions": f"check_recipient_access texthash:{directory}/recipients",
        "header_checks": f"regexp:{directory}/header_checks",
        # Nothing leaves this host, nothing is added to a message, nor is Bcc taken out.
        "default_transport": "error:no mail leaves this host",
        "relay_transport": "error:no mail leaves this host",
        "message_drop_headers": "",
        "local_header_rewrite_clients": "",
        "message_size_limit": str(10 * 1024 * 1024),
        "smtpd_peername_lookup": "no",
        # Errors are what tests make.
        "smtpd_error_sleep_time": "0",
        "smtpd_soft_error_limit": "10000",
        "smtpd_hard_error_limit": "10000",
        "smtpd_junk_command_limit": "10000",
    }


def _write_tables(directory: Path) -> None:
    domains = (DOMAIN, IDN_DOMAIN, _ascii(IDN_DOMAIN))
    # Known, or it would be refused as unknown.
    boxes = {**{name: f"{number}/" for number, name in enumerate(MAILBOXES)}, "later": "later/"}
    for name, lines in {
        "mailboxes": [
            f"{name}@{domain} {box}" for name, box in boxes.items() for domain in domains
        ],
        "recipients": [f"later@{domain} 450 4.7.1 not now" for domain in domains],
        "header_checks": [HEADER_CHECKS.strip()],
    }.items():
        _write(directory / name, lines)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n")
    # Each program of Postfix waits until a file is a second old, in case it is still written to.
    os.utime(path, (0, 0))


def _ascii(domain: str) -> str:
    return domain.encode("idna").decode()


def _count_queued(queue: Path) -> int:
    return sum(path.is_file() for name in QUEUES for path in (queue / name).rglob("*"))


def _parameter(postconf: Path, name: str) -> str:
    """Return a parameter's default: where this installation has its programs."""
    return subprocess.run(
        [postconf, "-d", "-h", name], check=True, capture_output=True, text=True
    ).stdout.strip()
