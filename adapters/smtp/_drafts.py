"""What people give to be sent, made ready for the server it goes to."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage, Message
from typing import TYPE_CHECKING, TypeAlias

from ._bodies import Body, make_body
from ._envelope import DEFAULT_OPTIONS, Envelope, Mail, Options, make_envelope
from ._errors import SMTPArgumentError
from ._messages import prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._queue import Queue
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
    """

    __slots__ = ("_body", "_message", "_options", "_recipients", "_sender", "transaction")

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
        self._message = message
        self._sender = sender
        self._recipients = [recipients] if isinstance(recipients, str) else recipients
        self._options = options
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
        message = self._message
        options = message.options if isinstance(message, Mail) else self._options
        return options.all_recipients

    def renew(self, recipients: list[str] | None) -> None:
        """Be as if never submitted; from now on for these recipients, if they are given."""
        self.transaction = None
        if recipients is not None:
            self._recipients = recipients

    @property
    def size(self) -> int:
        """Bytes of content that it holds in memory."""
        if isinstance(self._message, Mail) and isinstance(self._message.body, bytes):
            return len(self._message.body)
        return 0 if self._body is None or self._body.data is None else len(self._body.data)

    async def ready(self, queue: Queue) -> tuple[Envelope, Body]:
        """Return the envelope and the content for a server.

        Raises:
            SMTPArgumentError: the mail cannot be sent like this.
            SMTPNotSupported: the server lacks an extension that it needs.
            OSError: a file cannot be read.
        """
        connection = queue.connection
        capabilities = connection.capabilities
        mail = self._message
        if isinstance(mail, Message):
            prepared = prepare(
                mail,
                sender=self._sender,
                recipients=self._recipients,
                capabilities=capabilities
                if self._options.dkim is None
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
            body = self._body = _signed(mail, Body(prepared.body))
        else:
            if self._body is None:
                self._body = _signed(mail, await make_body(mail.body, size=mail.size))
            body = self._body
            if self._recipients is not None:
                mail = replace(mail, recipients=self._recipients)
        return make_envelope(mail, body, capabilities, secure=connection.secure), body


def _signed(mail: Mail, body: Body) -> Body:
    """Return the content with its signature, if it is to have one."""
    if mail.options.dkim is None:
        return body
    if body.data is None or mail.body_type == "BINARYMIME":
        raise SMTPArgumentError("DKIM signs what is in memory, and not BINARYMIME")
    return Body(mail.options.dkim.sign(body.data))
