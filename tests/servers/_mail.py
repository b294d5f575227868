"""What all mail servers have in common: who may send, who receives, and the mail that came."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from ._running import LOOPBACK, RunningServer

__all__ = [
    "DOMAIN",
    "IDN_DOMAIN",
    "MAILBOXES",
    "USERS",
    "DeliveredMail",
    "MailServer",
    "greets",
    "read_maildirs",
]

DOMAIN = "wirekit.example"
IDN_DOMAIN = "bücher.example"
USERS = {"alice": "wonder land", "bob": "builder"}
"""Who may log in, and the password."""

MAILBOXES = ("alice", "bob", "δοκιμή")
"""Who receives mail: each at both domains, also with ``+anything`` behind the name."""

# RFC 5321 §4.4, and what the servers add for us. Received is what ends these.
_TRACE = re.compile(
    rb"(Return-Path|X-Original-To|Delivered-To|Envelope-To|Received):([^\n]*\n(?:[ \t][^\n]*\n)*)",
    re.IGNORECASE,
)
_RECIPIENT = (b"x-original-to", b"envelope-to", b"delivered-to")  # the earlier the better


@dataclass(frozen=True)
class DeliveredMail:
    """A message as one recipient got it.

    Attributes:
        sender: of the envelope; empty for a bounce.
        recipient: of the envelope.
        trace: the header fields that the server put before the content.
        content: what the client sent, with CRLF as line ends.
    """

    sender: str
    recipient: str
    trace: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """A mail server that keeps what it gets, for `MAILBOXES` at `DOMAIN` and `IDN_DOMAIN`.

    Attributes:
        domain: whose mailboxes it has.
        idn_domain: the same, with a letter that is not ASCII.
        host: where it listens.
        port: without TLS; takes mail for its own mailboxes from anyone, and offers AUTH.
        submission_port: TLS by STARTTLS and AUTH are obligatory.
        tls_port: the same with TLS from the first byte.
        users: who may log in, name to password.
        tokens: the same for OAuth, name to token; empty where there is no OAuth.
        running: the process, for `RunningServer.kill` and the like.
    """

    domain: ClassVar[str] = DOMAIN
    idn_domain: ClassVar[str] = IDN_DOMAIN
    host: str = LOOPBACK
    port: int
    submission_port: int | None = None
    tls_port: int | None = None
    users: Mapping[str, str] = field(default_factory=lambda: USERS)
    tokens: Mapping[str, str] = field(default_factory=dict[str, str])
    running: RunningServer
    read: Callable[[], list[DeliveredMail]] = field(repr=False)
    queued: Callable[[], int] = field(repr=False)

    @property
    def name(self) -> str:
        """What kind of server this is, such as ``"postfix"``."""
        return self.running.name

    def delivered(self, recipient: str | None = None) -> list[DeliveredMail]:
        """Return the mail that has been delivered so far, all of it or one recipient's.

        In the order of delivery, which need not be that of acceptance.
        """
        return [mail for mail in self.read() if recipient in (None, mail.recipient)]

    @property
    def is_idle(self) -> bool:
        """Whether all that was accepted has been delivered, or given up."""
        return self.queued() == 0


def read_maildirs(directory: Path) -> Iterator[DeliveredMail]:
    """Read all messages of all Maildirs within a directory, the oldest first.

    Only ``new`` is looked into, where each message appears as a whole. Where the message does not
    say its recipient, the Maildir's name has to: ``user@domain``, or ``user@domain/.detail``.
    """
    paths = [path for pattern in ("*/new/*", "*/.*/new/*") for path in directory.glob(pattern)]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns):
        mailbox, _, detail = str(path.parent.parent.relative_to(directory)).partition("/.")
        if detail:
            mailbox = mailbox.replace("@", f"+{detail}@", 1)
        yield _read(path, mailbox)


@cache
def _read(path: Path, mailbox: str) -> DeliveredMail:
    # A message in a Maildir never changes, and tests look again and again.
    return _parsed(path.read_bytes(), mailbox)


def _parsed(stored: bytes, mailbox: str) -> DeliveredMail:
    position = 0
    fields: dict[bytes, bytes] = {}
    while (found := _TRACE.match(stored, position)) is not None:
        fields[found[1].lower()] = found[2].strip()
        position = found.end()
        if found[1].lower() == b"received":
            break
    recipient = next((fields[name] for name in _RECIPIENT if name in fields), mailbox.encode())
    return DeliveredMail(
        sender=fields[b"return-path"].decode().strip("<>"),
        recipient=recipient.decode().strip("<>"),
        trace=stored[:position].decode(),
        content=stored[position:].replace(b"\n", b"\r\n"),
    )


def greets(port: int, *, unix_path: Path | None = None) -> bool:
    """Tell whether an SMTP or LMTP server says that it is ready."""
    family, address = (
        (socket.AF_INET, (LOOPBACK, port)) if unix_path is None else (socket.AF_UNIX, unix_path)
    )
    with socket.socket(family) as client:
        client.settimeout(1)
        try:
            client.connect(address if isinstance(address, tuple) else str(address))
            return client.recv(4).startswith(b"220")
        except OSError:
            return False
