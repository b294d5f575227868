"""What a server answered, and what became of a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wirekit.protocols.smtp import Reply

from ._errors import SMTPRecipientRefused, SMTPRecipientsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wirekit.protocols.smtp import EnhancedStatus

__all__ = ["SMTPResponse", "SendResult", "refused_recipients", "replies_of"]


class _CodeAndMessage(NamedTuple):
    code: int
    message: str


class SMTPResponse(_CodeAndMessage):
    r"""A reply; unpacks to ``(code, message)``, as aiosmtplib's does.

    Attributes:
        code: the reply code.
        message: the text as it came, lines joined by ``\\n``.
    """

    @classmethod
    def of(cls, reply: Reply) -> SMTPResponse:
        """Return what is shown of a codec's reply."""
        lines = reply.lines
        return cls(reply.code, lines[0] if len(lines) == 1 else "\n".join(lines))

    @property
    def enhanced_status(self) -> EnhancedStatus | None:
        """The enhanced status code (RFC 3463), if there is one."""
        return self._reply.enhanced

    @property
    def text(self) -> str:
        """The message without it."""
        return self._reply.text

    @property
    def _reply(self) -> Reply:
        return Reply(self.code, tuple(self.message.split("\n")))

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class _ErrorsAndMessage(NamedTuple):
    errors: dict[str, SMTPResponse]
    message: str


class SendResult(_ErrorsAndMessage):
    """A mail was accepted, for one recipient at least.

    Unpacks to ``(errors, message)``, as what aiosmtplib's ``sendmail`` returns.

    Attributes:
        errors: what was answered for each recipient that was refused.
        message: the reply to the message.
        recipients: what was answered for every recipient: to RCPT, and with LMTP to the message if
            it got so far.
        response: the reply to the message; with LMTP the first that accepts it.
    """

    recipients: Mapping[str, SMTPResponse]
    response: SMTPResponse

    @classmethod
    def of(cls, recipients: Mapping[str, SMTPResponse], response: SMTPResponse) -> SendResult:
        """Return the result that these replies make."""
        errors = {name: reply for name, reply in recipients.items() if reply.code >= 300}
        result = cls(errors, response.message)
        result.recipients = recipients
        result.response = response
        return result


def replies_of(error: SMTPRecipientsRefused) -> dict[str, SMTPResponse]:
    """Return what was answered for each recipient that was refused."""
    return {
        refused.recipient: SMTPResponse(refused.code, refused.message)
        for refused in error.recipients
    }


def refused_recipients(told: Mapping[str, SMTPResponse]) -> SMTPRecipientsRefused:
    """Return the error for recipients that were all refused."""
    return SMTPRecipientsRefused(
        [SMTPRecipientRefused(reply.code, reply.message, name) for name, reply in told.items()]
    )
