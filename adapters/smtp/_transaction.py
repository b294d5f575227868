"""One mail on its way: MAIL, RCPT, then DATA or BDAT, and what became of it for each recipient.

What goes together in one write (RFC 2920, RFC 3030):

- with PIPELINING, MAIL, RCPT and DATA; the content behind the 354;
- with CHUNKING as well, MAIL, RCPT and BDAT with all of the content, unless that is large, streamed
  or to be sent to all recipients or to none, or the server speaks LMTP: then BDAT comes behind the
  replies to the envelope;
- without PIPELINING, nothing: each command waits for the reply to the one before.

A mail that breaks off is never completed. After DATA that takes closing the connection; BDAT is
taken back by RSET.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from enum import Enum
from typing import TYPE_CHECKING

from wirekit._errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from wirekit.protocols import smtp

from ._errors import (
    SMTPArgumentError,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServiceClosed,
    Uncertain,
    connection_error,
    refusal,
)
from ._results import SendResult, SMTPResponse

if TYPE_CHECKING:
    from wirekit.protocols.smtp import Reply

    from ._bodies import Body
    from ._envelope import Envelope
    from ._queue import Queue

__all__ = ["Stage", "Transaction"]

_LARGE = 1048576  # bytes of content that are sent bit by bit, even if they are in memory
_RIDES = 65536  # bytes of content that go with the envelope, before that is accepted
_SLICE = 262144  # bytes of a streamed content that are looked at together
_CHUNK = 65536  # bytes of it from which they are sent together
_CHUNKS_DUE = 4  # chunks that may be sent before the first of them is answered


class Stage(Enum):
    """How far a mail is."""

    WAITING = 0  # nothing is sent
    ENVELOPE = 1
    CONTENT = 2  # some of it is sent
    SENT = 3  # all of it
    DONE = 4


class Transaction:
    """One mail, begun by the queue when it is its turn, and driven by the replies.

    Args:
        queue: the order of mails on the connection.
        envelope: from whom and to whom.
        body: the content; it is sent bit by bit, if it is streamed, by `result`.

    Attributes:
        future: gets the result or the error.
        outcome: the same if it came before anybody gave the mail up, also if they are about to.
        stage: how far it is.
        begun: whether something of it was sent.
        content_begun: whether something of its content was.
        chunked: whether the content goes by BDAT.
    """

    __slots__ = (
        "_abandoned",
        "_body",
        "_chunk_refusal",
        "_chunks_due",
        "_commands",
        "_connection",
        "_data_rides",
        "_envelope",
        "_mark",
        "_queue",
        "_rcpt_replies",
        "_refusal",
        "_replies",
        "_reset",
        "_waker",
        "begun",
        "chunked",
        "content_begun",
        "future",
        "outcome",
        "stage",
    )

    def __init__(self, queue: Queue, envelope: Envelope, body: Body) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[SendResult] = loop.create_future()
        self.outcome: SendResult | Exception | None = None
        self.stage = Stage.WAITING
        self.begun = self.content_begun = False
        self.chunked = False
        self._queue = queue
        self._connection = queue.connection
        self._envelope = envelope
        self._body = body
        self._reset = False
        self._data_rides = False
        self._commands: list[smtp.Command] = []
        self._replies: list[Reply] = []
        self._rcpt_replies: list[Reply] = []
        self._refusal: SMTPException | None = None  # of the envelope
        self._chunks_due = 0
        self._chunk_refusal: SMTPDataError | None = None
        self._mark = 0
        self._waker: asyncio.Future[None] | None = None
        self._abandoned = False

    @property
    def is_streamed(self) -> bool:
        """Whether the content is sent bit by bit."""
        data = self._body.data
        return data is None or len(data) > _LARGE

    @property
    def may_be_accepted(self) -> bool:
        """Whether the server may have got the whole mail."""
        if self.stage is not Stage.SENT or self._refusal is not None:
            return False
        return self._connection.has_written(self._mark)

    # The envelope

    def begin(self, *, reset: bool) -> None:
        """Send what can be sent at once.

        Args:
            reset: whether something may be left of the transaction before.
        """
        envelope = self._envelope
        self.stage = Stage.ENVELOPE
        self.begun = True
        self.chunked = self._queue.chunking
        self._reset = reset
        self._commands = [envelope.mail, *envelope.rcpts]
        if reset:
            self._commands.insert(0, smtp.Rset())
        if not self._queue.pipelining:
            self._check_commands()
            self._connection.request(self._step, self._commands[0])
            return
        if self.chunked or envelope.all_recipients:
            self._connection.request(self._enveloped, *self._commands)
            if self._body_rides():
                self._end_content(self._body.data or b"")
        else:
            self._data_rides = True
            self._connection.request(self._enveloped, *self._commands, smtp.Data())

    def _body_rides(self) -> bool:
        data = self._body.data
        return (
            data is not None
            and len(data) <= _RIDES
            and not self._envelope.all_recipients
            and not self._queue.lmtp
        )

    def _check_commands(self) -> None:
        """Find out now that one cannot be sent, not when those before it have been."""
        smtputf8 = self._envelope.mail.has("SMTPUTF8")
        for command in self._commands:
            try:
                command.encode(smtputf8=smtputf8)
            except LocalProtocolError as error:
                raise SMTPArgumentError(str(error)) from None

    def _step(self, replies: list[Reply]) -> None:
        """Take the reply to one command of the envelope, and send the next."""
        self._replies += replies
        count = len(self._replies)
        mail_refused = count <= 1 + self._reset and not replies[0].is_positive
        if count == len(self._commands) or mail_refused or self._abandoned:
            self._enveloped(self._replies)
        else:
            self._connection.request(self._step, self._commands[count])

    def _enveloped(self, replies: list[Reply]) -> None:
        """Take the replies to the envelope, and to DATA if it went with it."""
        data = replies.pop() if self._data_rides else None
        if self._reset:
            reset, *replies = replies
            if not reset.is_positive:
                self._connection.fail(refusal(SMTPResponseException, reset))
                return
            if not replies:  # abandoned in time
                self._finish(None)
                return
        mail, self._rcpt_replies = replies[0], replies[1:]
        self._refusal = self._refused(mail)
        if self.stage is Stage.SENT:
            return  # the content went with it
        if data is not None:
            self._data_answered([data])
        elif self._refusal is not None or self._abandoned:
            self._finish(self._refusal, reset=mail.is_positive)
        elif not self.chunked:
            self._connection.request(self._data_answered, smtp.Data())
        else:
            self._begin_content()

    def _refused(self, mail: Reply) -> SMTPException | None:
        """Return why the mail is not to be sent, if so."""
        if not mail.is_positive:
            return refusal(SMTPSenderRefused, mail, self._envelope.sender)
        refused = sum(not reply.is_positive for reply in self._rcpt_replies)
        if refused and (refused == len(self._rcpt_replies) or self._envelope.all_recipients):
            return self._recipients_refused(self._rcpt_replies)
        return None

    def _recipients_refused(self, replies: list[Reply]) -> SMTPRecipientsRefused:
        return SMTPRecipientsRefused(
            [
                refusal(SMTPRecipientRefused, reply, recipient)
                for recipient, reply in zip(self._envelope.recipients, replies, strict=False)
                if not reply.is_positive
            ]
        )

    # The content

    def _data_answered(self, replies: list[Reply]) -> None:
        reply = replies[0]
        if reply.code != 354:
            error = self._refusal or refusal(SMTPDataError, reply)
            self._finish(error, reset=not isinstance(error, SMTPSenderRefused))
        elif self._refusal is not None:
            # RFC 2920 §3.1: a server that takes mail for nobody is given a single dot.
            self._connection.request(self._emptied, smtp.EndOfMailData())
        elif self._abandoned:
            self._connection.fail(_broken_off())
        else:
            self._begin_content()

    def _emptied(self, replies: list[Reply]) -> None:
        self._finish(self._refusal, reset=True)

    def _begin_content(self) -> None:
        if self.is_streamed:
            self.content_begun = True
            self.stage = Stage.CONTENT
            self._wake()
        else:
            self._end_content(self._body.data or b"")

    def _end_content(self, data: bytes) -> None:
        self.content_begun = True
        if self.chunked:
            self._send_rest(smtp.Bdat(data, last=True))
        else:
            self._send_rest(smtp.MailData(data), smtp.EndOfMailData())

    def _send_rest(self, *commands: smtp.Command) -> None:
        """Send the end of the content; the next mail may follow."""
        count = 1
        if self._queue.lmtp:
            count = max(1, sum(reply.is_positive for reply in self._rcpt_replies))
        self._connection.request(
            self._answered, *commands, count=count, timeout=self._queue.data_timeout
        )
        self._mark = self._connection.mark()
        self.stage = Stage.SENT
        self._queue.advance()

    def _answered(self, replies: list[Reply]) -> None:
        """Take the final reply; in LMTP there is one for each accepted recipient."""
        positive = any(reply.is_positive for reply in replies)
        if positive and self._chunk_refusal is not None:
            text = "the server accepted a message of which it refused a part"
            self._connection.fail(RemoteProtocolError(text))
            return
        if positive and self._refusal is None and self._connection.has_written(self._mark):
            self._finish(self._result(replies))
            return
        if self._refusal is None and not positive:
            self._refusal = self._chunk_refusal or self._content_refused(replies)
        if self._connection.has_written(self._mark):
            self._finish(self._refusal, reset=self.chunked)
        elif positive:
            text = "the server accepted a message before its end"
            self._connection.fail(RemoteProtocolError(text))
        else:
            # It would take for commands what is still to be written.
            text = "the connection was closed because a message was refused before its end"
            self._connection.fail(ConnectionLost(text))

    def _content_refused(self, replies: list[Reply]) -> SMTPException:
        if self._queue.lmtp:
            return self._recipients_refused(self._all_replies(replies))
        return refusal(SMTPDataError, replies[0])

    def _all_replies(self, final: list[Reply]) -> list[Reply]:
        """Return the last reply for each recipient (RFC 2033 §4.2)."""
        replies = iter(final)
        return [next(replies) if reply.is_positive else reply for reply in self._rcpt_replies]

    def _result(self, replies: list[Reply]) -> SendResult:
        told = self._all_replies(replies) if self._queue.lmtp else self._rcpt_replies
        final = next(reply for reply in replies if reply.is_positive)
        return SendResult.of(
            {
                recipient: SMTPResponse.of(reply)
                for recipient, reply in zip(self._envelope.recipients, told, strict=True)
            },
            SMTPResponse.of(final),
        )

    # A content that is streamed

    async def _stream(self) -> None:
        """Send the content as soon as the server wants it, if it does; in the caller's task.

        Raises:
            SMTPNotSupported: the content is not ASCII and has to be.
            Exception: what the source of the content raised.
        """
        while self.stage in (Stage.WAITING, Stage.ENVELOPE):
            await self._woken()
        if self.stage is not Stage.CONTENT:
            return
        kept = bytearray()
        async with aclosing(self._body.pieces()) as pieces:
            async for piece in pieces:
                view = memoryview(piece).cast("B")
                for start in range(0, len(view), _SLICE):
                    data = bytes(view[start : start + _SLICE])
                    if self._envelope.ascii_only and not data.isascii():
                        text = "the server does not offer 8BITMIME, and the message is not ASCII"
                        raise SMTPNotSupported(text)
                    kept += data
                    if len(kept) >= _CHUNK:
                        await self._send_some(bytes(kept))
                        kept.clear()
                    if self.stage is not Stage.CONTENT:
                        return
        if self.stage is Stage.CONTENT:
            self._end_content(bytes(kept))

    async def _send_some(self, data: bytes) -> None:
        """Send some of the content, and wait until there is room for more."""
        if self.stage is not Stage.CONTENT:
            return
        if self.chunked:
            self._chunks_due += 1
            self._connection.request(self._chunk_answered, smtp.Bdat(data))
        else:
            self._connection.write(smtp.MailData(data))
        await self._connection.drained()
        most = _CHUNKS_DUE if self._queue.pipelining else 1
        while self.stage is Stage.CONTENT and self._chunks_due >= most:
            await self._woken()

    def _chunk_answered(self, replies: list[Reply]) -> None:
        self._chunks_due -= 1
        if not replies[0].is_positive and self._chunk_refusal is None:
            self._chunk_refusal = refusal(SMTPDataError, replies[0])
        if self._chunk_refusal is not None and self.stage is Stage.CONTENT:
            # RFC 3030 §2: no further chunk. What is on its way is answered before RSET is.
            self._finish(self._chunk_refusal, reset=True)
        self._wake()

    async def _woken(self) -> None:
        self._waker = asyncio.get_running_loop().create_future()
        await self._waker

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    # Ending

    async def result(self) -> SendResult:
        """Send the content if it is streamed, and wait for the result.

        Whoever is cancelled here, or whose content cannot be had, gives the mail up.

        Raises:
            SMTPException: the mail was not accepted.
            Uncertain: it may have been.
        """
        try:
            if self.is_streamed:
                await self._stream()
            return await self.future
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Give it up, unless it is done."""
        self._abandoned = True
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()  # marks it as asked for
        if self.stage is Stage.WAITING:
            self.stage = Stage.DONE
            self._queue.withdraw(self)
        elif self.stage is Stage.CONTENT and self.chunked:
            self._finish(None, reset=True)
        elif self.stage is Stage.CONTENT or (
            self.stage is Stage.SENT and not self._connection.has_written(self._mark)
        ):
            self._connection.fail(_broken_off())

    def lost(self, error: Exception) -> None:
        """Take note that the connection is over."""
        if self._refusal is not None:
            self._finish(self._refusal)
        elif isinstance(error, SMTPServiceClosed) or not self.may_be_accepted:
            self._finish(connection_error(error))
        else:
            uncertain = Uncertain(f"{error}; the server may have accepted the message")
            uncertain.__cause__ = error
            self._finish(uncertain)

    def fail(self, error: Exception) -> None:
        """Take note that it cannot be sent."""
        self._finish(error)

    def _finish(self, outcome: SendResult | Exception | None, *, reset: bool = False) -> None:
        if self.stage is Stage.DONE:
            return
        self.stage = Stage.DONE
        if not self._abandoned:
            self.outcome = outcome
        self._wake()
        if not self.future.done():
            if isinstance(outcome, SendResult):
                self.future.set_result(outcome)
            elif outcome is None:
                self.future.cancel()
            else:
                self.future.set_exception(outcome)
        self._queue.finished(self, reset=reset)


def _broken_off() -> ConnectionLost:
    return ConnectionLost("the connection was closed because a mail was broken off in the middle")
