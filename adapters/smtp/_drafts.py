"""What people give to be sent, made ready for the server it goes to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email.message import EmailMessage, Message
from typing import TYPE_CHECKING, TypeAlias

from ._addresses import domain_of, parse_address
from ._bodies import Body, make_body
from ._envelope import DEFAULT_OPTIONS, Envelope, Mail, Options, make_envelope, recipients_of
from ._errors import SMTPArgumentError, SMTPNotSupported
from ._messages import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wirekit.protocols.smtp import Limits

    from ._queue import Queue
    from ._results import SMTPResponse
    from ._transaction import Transaction

__all__ = ["Draft", "Sendable"]

Sendable: TypeAlias = "Mail | EmailMessage | Message | tuple[str, str | Sequence[str], bytes | str]"


class Draft:
    """A mail before it is known what the server can do.

    Args:
        message: a `Mail`; an `EmailMessage`; or ``(sender, recipients, message)``.
        sender: in place of what an `EmailMessage` says.
        recipients: in place of what the message says.
        options: how an `EmailMessage` is to be delivered.

    Attributes:
        transaction: what it was submitted as last; None if it was not.
        recipients: to whom it goes, in place of what the message says.
        left: those for whom there has to be another transaction.
        told: what was answered for recipients in earlier transactions.
        accepted: the reply to the message of the first one that was accepted.
    """

    __slots__ = (
        "_body",
        "_message",
        "_options",
        "_sender",
        "accepted",
        "left",
        "recipients",
        "told",
        "transaction",
    )

    def __init__(
        self,
        message: Sendable,
        *,
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        options: Options = DEFAULT_OPTIONS,
    ) -> None:
        if isinstance(message, tuple):
            message = Mail(*message, options=options)
        elif not isinstance(message, Mail | Message):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
            text = f"a mail is a Mail, an EmailMessage or a tuple, not {type(message).__name__}"
            raise SMTPArgumentError(text)
        self.transaction: Transaction | None = None
        self.recipients = [recipients] if isinstance(recipients, str) else recipients
        self.left: list[str] = []
        self.told: dict[str, SMTPResponse] = {}
        self.accepted: SMTPResponse | None = None
        self._message = message
        self._sender = sender
        self._options = message.options if isinstance(message, Mail) else options
        self._body: Body | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be sent again."""
        if self.transaction is None or not self.transaction.content_begun:
            return True
        return self._body is not None and self._body.replayable

    @property
    def all_recipients(self) -> bool:
        """Whether it is for all its recipients or for none."""
        return self._options.all_recipients

    def renew(self, recipients: list[str] | None) -> None:
        """Be as if never submitted; from now on for these recipients, if they are given."""
        self.transaction = None
        self.left = []
        if recipients is not None:
            self.recipients = recipients

    @property
    def size(self) -> int:
        """Bytes of content that it holds in memory."""
        if isinstance(self._message, Mail) and isinstance(self._message.body, bytes):
            return len(self._message.body)
        return 0 if self._body is None or self._body.data is None else len(self._body.data)

    async def ready(self, queue: Queue) -> tuple[Envelope, Body]:
        """Return the envelope and the content for a server.

        It is for as many recipients as the server takes at a time; the others are in ``left``.

        Raises:
            SMTPArgumentError: the mail cannot be sent like this.
            SMTPNotSupported: the server lacks an extension that it needs, or takes fewer
                recipients than have to get it in one transaction.
            OSError: a file cannot be read.
        """
        capabilities = queue.capabilities
        mail = self._message
        if isinstance(mail, Message):
            dkim = self._options.dkim
            prepared = prepare(
                mail,
                sender=self._sender,
                recipients=self.recipients,
                capabilities=capabilities
                if dkim is None
                else replace(capabilities, binarymime=False),
            )
            mail = Mail(
                prepared.sender,
                prepared.recipients,
                prepared.body,
                prepared.body_type,
                prepared.smtputf8,
                options=self._options,
            )
            body = self._body = await _signed(mail, Body(prepared.body))
        else:
            if self._body is None:
                self._body = await _signed(mail, await make_body(mail.body, size=mail.size))
            body = self._body
            if self.recipients is not None:
                mail = replace(mail, recipients=self.recipients)
        if capabilities.limits is not None:
            mail = self._within(capabilities.limits, mail, body)
        secure = queue.connection.secure
        return make_envelope(mail, body, capabilities, secure=secure), body

    def _within(self, limits: Limits, mail: Mail, body: Body) -> Mail:
        """Return the mail for as many recipients as fit into a transaction (RFC 9422 §4)."""
        given = recipients_of(mail.recipients)
        now, self.left = _divided(given, limits)
        if not self.left:
            return mail
        if self.all_recipients or not body.replayable:
            why = "all or none of them" if self.all_recipients else "a content that is read once"
            text = f"the server takes {len(now)} of {len(given)} recipients at a time, not {why}"
            raise SMTPNotSupported(text)
        return replace(mail, recipients=now)


def _divided(recipients: list[str], limits: Limits) -> tuple[list[str], list[str]]:
    """Return the recipients of one transaction, and those that are left."""
    most = len(recipients) if limits.rcptmax is None else limits.rcptmax
    now: list[str] = []
    left: list[str] = []
    domains: set[str] = set()
    for recipient in recipients:
        address = parse_address(recipient)
        domain = domain_of(address.ascii or address.text)
        full = limits.rcptdomainmax is not None and len(domains) == limits.rcptdomainmax
        if len(now) == most or (full and domain not in domains):
            left.append(recipient)
        else:
            now.append(recipient)
            domains.add(domain)
    return now, left


async def _signed(mail: Mail, body: Body) -> Body:
    """Return the content with its signature, if it is to have one."""
    signer = mail.options.dkim
    if signer is None:
        return body
    if body.data is None or mail.body_type == "BINARYMIME":
        raise SMTPArgumentError("DKIM signs what is in memory, and not BINARYMIME")
    return Body(await asyncio.to_thread(signer.sign, body.data))
