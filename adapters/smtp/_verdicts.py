"""What the replies to one mail mean for each of its recipients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    refusal,
)
from ._results import SendResult, SMTPResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wirekit.protocols.smtp import Reply

    from ._envelope import Envelope

__all__ = ["Verdict"]


class Verdict:
    """The replies to the envelope, and what follows from them.

    Args:
        envelope: the mail's.
        mail: the reply to MAIL.
        rcpts: the replies to RCPT; fewer if the sender was refused.

    Attributes:
        accepted: how many recipients are.
    """

    __slots__ = ("_envelope", "_mail", "_rcpts", "accepted")

    def __init__(self, envelope: Envelope, mail: Reply, rcpts: Sequence[Reply]) -> None:
        self._envelope = envelope
        self._mail = mail
        self._rcpts = rcpts
        self.accepted = sum(reply.is_positive for reply in rcpts)

    def envelope_refused(self) -> SMTPException | None:
        """Return why the mail is not to be sent, if so."""
        if not self._mail.is_positive:
            return refusal(SMTPSenderRefused, self._mail, self._envelope.sender)
        refused = len(self._rcpts) - self.accepted
        if refused and (self.accepted == 0 or self._envelope.all_recipients):
            return self._recipients_refused(self._rcpts)
        return None

    def content_refused(self, final: Sequence[Reply], *, lmtp: bool) -> SMTPException:
        """Return the error for replies to the message of which none is positive."""
        if lmtp:
            return self._recipients_refused(self._last_replies(final))
        return refusal(SMTPDataError, final[0])

    def result(self, final: Sequence[Reply], *, lmtp: bool) -> SendResult:
        """Return the result for replies to the message of which one is positive."""
        told = self._last_replies(final) if lmtp else self._rcpts
        response = next(reply for reply in final if reply.is_positive)
        return SendResult.of(
            {
                recipient: SMTPResponse.of(reply)
                for recipient, reply in zip(self._envelope.recipients, told, strict=True)
            },
            SMTPResponse.of(response),
        )

    def _last_replies(self, final: Sequence[Reply]) -> list[Reply]:
        """Return the last reply for each recipient; LMTP has one for each that was accepted.

        RFC 2033 §4.2
        """
        replies = iter(final)
        return [next(replies) if reply.is_positive else reply for reply in self._rcpts]

    def _recipients_refused(self, replies: Sequence[Reply]) -> SMTPRecipientsRefused:
        return SMTPRecipientsRefused(
            [
                refusal(SMTPRecipientRefused, reply, recipient)
                for recipient, reply in zip(self._envelope.recipients, replies, strict=False)
                if not reply.is_positive
            ]
        )
