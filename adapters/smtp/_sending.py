"""Sending a mail, over a new connection if the old one was lost before anything depended on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ._drafts import Draft, Sendable
from ._errors import (
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPServiceClosed,
    SMTPTimeoutError,
    Uncertain,
)
from ._queue import Outdated
from ._results import SendResult, SMTPResponse, refused_recipients, replies_of
from ._transaction import Transaction

if TYPE_CHECKING:
    from ._sessions import Sessions

__all__ = ["Submission", "deliver", "timed_out"]

_CHANCES = 2  # connections that may be lost before anything depended on them


async def submit(sessions: Sessions, draft: Draft) -> None:
    """Put a mail at the end of those that are to be sent.

    Raises:
        SMTPException: it cannot be sent like this, or there is no connection.
        OSError: a file cannot be read.
    """
    queue = await sessions.ready()
    envelope, body = await draft.ready(queue)
    if queue.connection.error is not None and sessions.is_renewable:
        # It was lost while the content was made ready.
        queue = await sessions.ready()
        envelope, body = await draft.ready(queue)
    transaction = Transaction(queue, envelope, body)
    queue.submit(transaction)
    draft.transaction = transaction


async def deliver(sessions: Sessions, draft: Draft) -> SendResult:
    """Return the result of a mail, submitted already or not.

    To more recipients than the server takes at a time (LIMITS, RFC 9422) it is sent in several
    transactions, one after another.

    Raises:
        SMTPException: the mail was not accepted.
        Uncertain: it may have been, or was for some recipients before something went wrong.
    """
    everybody = draft.recipients
    draft.told, draft.accepted = {}, None
    try:
        while True:
            result = await _transact(sessions, draft, partly=bool(draft.told))
            if result is not None:
                return result
            draft.renew(draft.left)
    finally:
        draft.recipients = everybody


async def _transact(sessions: Sessions, draft: Draft, *, partly: bool) -> SendResult | None:
    """Return the result of a mail; None if some recipients are left.

    Args:
        sessions: where it is sent.
        draft: the mail.
        partly: whether there was a transaction for other recipients before.
    """
    try:
        result = await _attempt(sessions, draft)
    except SMTPRecipientsRefused as error:
        if not partly and not draft.left:
            raise
        draft.told.update(replies_of(error))
    except Exception as error:
        if draft.accepted is None:
            raise
        if not isinstance(error, SMTPResponseException):
            text = f"the message was accepted for some of its recipients; for others: {error}"
            raise Uncertain(text, draft.told) from error
        reply = SMTPResponse(error.code, error.message)
        these = [name for name in draft.recipients or () if name not in draft.left]
        draft.told.update(dict.fromkeys(these, reply))
    else:
        if not partly and not draft.left:
            return result
        draft.told.update(result.recipients)
        draft.accepted = draft.accepted or result.response
    if draft.left:
        return None
    if draft.accepted is None:
        raise refused_recipients(draft.told)
    return SendResult.of(draft.told, draft.accepted)


async def _attempt(sessions: Sessions, draft: Draft) -> SendResult:
    """Return the result of one transaction.

    If there is a connector, a mail of which nothing was sent when the connection was lost is sent
    on another one. A mail of whose content nothing was sent is given a second chance: the server
    may have closed an idle connection just then.
    """
    chances = _CHANCES
    while True:
        if draft.transaction is None:
            await submit(sessions, draft)
        transaction = cast("Transaction", draft.transaction)
        try:
            return await transaction.result()
        except Outdated:
            pass
        except SMTPException as error:
            if not sessions.is_renewable:
                raise
            if transaction.begun:
                chances -= 1
                if not chances or transaction.content_begun or not _is_lost(error):
                    raise
        draft.transaction = None


def timed_out(draft: Draft, text: str) -> SendResult | SMTPException:
    """Return what is known of a mail when time runs out."""
    transaction = draft.transaction
    outcome = None if transaction is None else transaction.outcome
    if isinstance(outcome, SendResult):  # in the very last moment
        if not draft.told and not draft.left:
            return outcome
        return Uncertain(f"{text} for all", {**draft.told, **outcome.recipients})
    if draft.accepted is not None:
        return Uncertain(f"{text} for all", draft.told)
    if isinstance(outcome, SMTPException) and not isinstance(outcome, Outdated):
        return outcome
    if transaction is not None and transaction.may_be_accepted:
        return Uncertain(f"{text}; the server may accept it yet")
    return SMTPTimeoutError(text)


class Submission:
    """A mail that was submitted, or why it could not be.

    Args:
        sessions: where it is sent.
        draft: the mail, or the error.
    """

    __slots__ = ("_draft", "_sessions")

    def __init__(self, sessions: Sessions, draft: Draft | Exception) -> None:
        self._sessions = sessions
        self._draft = draft

    @classmethod
    async def start(cls, sessions: Sessions, message: Sendable) -> Submission:
        """Submit a mail.

        Raises:
            SMTPException: there is no connection.
        """
        await sessions.ready()
        try:
            draft = Draft(message)
            await submit(sessions, draft)
        except Exception as error:
            return cls(sessions, error)
        return cls(sessions, draft)

    @property
    def size(self) -> int:
        """Bytes of content that it holds in memory."""
        return self._draft.size if isinstance(self._draft, Draft) else 0

    async def result(self) -> SendResult:
        """Wait for the result; see `deliver`."""
        if not isinstance(self._draft, Draft):
            raise self._draft
        return await deliver(self._sessions, self._draft)

    def abandon(self) -> None:
        """Give it up, unless it is done."""
        if isinstance(self._draft, Draft) and self._draft.transaction is not None:
            self._draft.transaction.abandon()


def _is_lost(error: SMTPException) -> bool:
    return isinstance(error, SMTPServerDisconnected) and not isinstance(error, SMTPServiceClosed)
