"""Dovecot: LMTP into mailboxes, and the passwords that Postfix asks for."""

from __future__ import annotations

import base64
import contextlib
import grp
import hmac
import json
import os
import pwd
import signal
import time
from collections.abc import Generator
from pathlib import Path

from ._mail import DOMAIN, MAILBOXES, USERS, MailServer, greets, read_maildirs
from ._programs import find_program
from ._running import LOOPBACK, Launch, free_port, run_server

MECHANISMS = "plain login cram-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer"
KEY = b"a key that only this host knows"

CONFIGURATION = """
protocols = lmtp
listen = {LOOPBACK}
ssl = no
log_path = /dev/stderr
base_dir = {directory}/run
state_dir = {directory}/state
{users}
first_valid_uid = 1
mail_location = maildir:%h
mail_plugins = quota
recipient_delimiter = +
# So that each mail is where its recipient can be told from, also where there are several.
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
auth_mechanisms = {MECHANISMS}
auth_username_chars =
auth_failure_delay = 0
plugin {{
  quota = maildir:all
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = scheme=PLAIN {directory}/passwords
}}
userdb {{
  driver = passwd-file
  args = {directory}/mailboxes
}}
service auth {{
  unix_listener {directory}/auth {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
  # No penalty for wrong passwords.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
  unix_listener {directory}/lmtp {{
    mode = 0666
  }}
}}
"""
# Of whom all its processes are where it is not root.
ONE_USER = """
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
"""
OAUTH2 = """
introspection_mode = local
username_attribute = sub
username_format = %u
local_validation_key_dict = fs:posix:prefix={directory}/keys/
"""


@contextlib.contextmanager
def dovecot_server() -> Generator[MailServer]:
    """Run a Dovecot until the block ends: LMTP on `MailServer.port` and on a Unix socket.

    Without TLS and AUTH; it offers PIPELINING, CHUNKING, 8BITMIME, ENHANCEDSTATUSCODES and XCLIENT.
    An unknown recipient is refused (550); ``full`` (552) and ``broken`` (451) are accepted and then
    refused behind the final dot, each by its own reply.
    """
    found = find_program("dovecot")
    is_root = os.geteuid() == 0
    owner = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())

    def prepare(directory: Path) -> Launch:
        port = free_port()
        directory.chmod(0o755)  # its processes, and Postfix, are of several users
        (directory / "mail").mkdir(exist_ok=True)
        os.chown(directory / "mail", owner.pw_uid, owner.pw_gid)
        group = grp.getgrgid(owner.pw_gid).gr_name
        text = CONFIGURATION.format(
            LOOPBACK=LOOPBACK,
            MECHANISMS=MECHANISMS,
            directory=directory,
            users="" if is_root else ONE_USER.format(user=owner.pw_name, group=group),
            port=port,
        )
        (directory / "dovecot.conf").write_text(text)
        (directory / "oauth2.conf").write_text(OAUTH2.format(directory=directory))
        key = directory / "keys/default/HS256/default"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(base64.b64encode(KEY).decode())
        lines = [f"{name}:{password}" for name, password in USERS.items()]
        (directory / "passwords").write_text("\n".join(lines) + "\n")
        (directory / "mailboxes").write_text("\n".join(_mailboxes(directory, owner)) + "\n")
        unix_path = directory / "lmtp"
        return Launch(
            command=(str(found.path), "-F", "-c", str(directory / "dovecot.conf")),
            is_ready=lambda: greets(port, unix_path=unix_path),
            port=port,
            unix_path=unix_path,
            stop_signal=signal.SIGKILL,  # it takes a second to end by itself
        )

    with run_server(found, prepare) as server:
        yield MailServer(
            port=server.port,
            tokens={name: _token(name) for name in USERS},
            running=server,
            read=lambda: list(read_maildirs(server.directory / "mail")),
            queued=lambda: 0,
        )


def _token(user: str) -> str:
    """Return a JSON Web Token (RFC 7519) that is good for a day."""
    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {"sub": user, "iat": now - 60, "exp": now + 86400, "aud": DOMAIN, "scope": "mail"}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_base64url(hmac.digest(KEY, signed.encode(), 'sha256'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _mailboxes(directory: Path, owner: pwd.struct_passwd) -> list[str]:
    lines: list[str] = []
    homes = {name: f"{directory}/mail/{name}@{DOMAIN}" for name in (*MAILBOXES, "full")}
    homes["broken"] = "/dev/null/broken"
    for name, home in homes.items():
        quota = "userdb_quota_rule=*:bytes=1" if name == "full" else ""
        account = f"{name}@{DOMAIN}::{owner.pw_uid}:{owner.pw_gid}"
        lines.append(f"{account}::{home}::{quota}")
    return lines
