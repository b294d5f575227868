"""Sending a mail, over a new connection if the old one was lost before anything depended on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ._drafts import Draft, Sendable
from ._errors import SMTPException, SMTPServerDisconnected, SMTPServiceClosed
from ._transaction import Transaction

if TYPE_CHECKING:
    from ._results import SendResult
    from ._sessions import Sessions

__all__ = ["Submission", "deliver"]


async def submit(sessions: Sessions, draft: Draft) -> None:
    """Put a mail at the end of those that are to be sent.

    Raises:
        SMTPException: it cannot be sent like this, or there is no connection.
        OSError: a file cannot be read.
    """
    queue = await sessions.ready()
    envelope, body = await draft.ready(queue)
    transaction = Transaction(queue, envelope, body)
    queue.submit(transaction)
    draft.transaction = transaction


async def deliver(sessions: Sessions, draft: Draft) -> SendResult:
    """Return the result of a mail, submitted already or not.

    If there is a connector, a mail of which nothing was sent when the connection was lost is sent
    on another one. A mail of whose content nothing was sent is given a second chance: the server
    may have closed an idle connection just then.

    Raises:
        SMTPException: the mail was not accepted.
        Uncertain: it may have been.
    """
    chances = 2
    while True:
        if draft.transaction is None:
            await submit(sessions, draft)
        transaction = cast("Transaction", draft.transaction)
        try:
            return await transaction.result()
        except SMTPException as error:
            if not sessions.is_renewable:
                raise
            if transaction.begun:
                chances -= 1
                if not chances or transaction.content_begun or not _is_lost(error):
                    raise
        draft.transaction = None


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
