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
from enum import Enum
from typing import TYPE_CHECKING, cast

from wirekit._errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from wirekit.protocols import smtp

from ._addresses import domain_of
from ._errors import (
    SMTPArgumentError,
    SMTPDataError,
    SMTPException,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServiceClosed,
    Uncertain,
    connection_error,
    refusal,
)
from ._results import SendResult
from ._upload import Upload
from ._verdicts import Verdict

if TYPE_CHECKING:
    from wirekit.protocols.smtp import Capabilities, Reply

    from ._bodies import Body
    from ._envelope import Envelope
    from ._queue import Queue

__all__ = ["Stage", "Transaction"]

_LARGE = 1048576  # bytes of content that are sent bit by bit, even if they are in memory
_RIDES = 65536  # bytes of content that go with the envelope, before that is accepted
_CHUNKS = 4  # of a content sent bit by bit, before the first of them is answered


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
        "_commands",
        "_connection",
        "_data_rides",
        "_envelope",
        "_mark",
        "_queue",
        "_refusal",
        "_replies",
        "_reset",
        "_upload",
        "_verdict",
        "_wanted",
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
        self._verdict: Verdict | None = None  # of the envelope
        self._refusal: SMTPException | None = None  # of the envelope
        self._upload: Upload | None = None  # of a content that is sent bit by bit
        self._wanted: asyncio.Future[None] | None = None  # when the content is, or never will be
        self._mark = 0
        self._abandoned = False

    @property
    def is_streamed(self) -> bool:
        """Whether the content is sent bit by bit."""
        data = self._body.data
        return data is None or len(data) > _LARGE

    @property
    def capabilities(self) -> Capabilities:
        """What the server offered when the mail was made for it."""
        return self._envelope.capabilities

    @property
    def domains(self) -> set[str]:
        """Those of the recipients."""
        return {domain_of(rcpt.path) for rcpt in self._envelope.rcpts}

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
        mail, *rcpts = replies
        self._verdict = Verdict(self._envelope, mail, rcpts)
        self._refusal = self._verdict.envelope_refused()
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

    # The content

    def _data_answered(self, replies: list[Reply]) -> None:
        reply = replies[0]
        if reply.code != 354:
            error = self._refusal or refusal(SMTPDataError, reply)
            self._finish(error, reset=not isinstance(error, SMTPSenderRefused))
        elif self._refusal is not None and not cast("Verdict", self._verdict).accepted:
            # RFC 2920 §3.1: a server that takes mail for nobody is given a single dot.
            self._connection.request(self._emptied, smtp.EndOfMailData())
        elif self._refusal is not None or self._abandoned:
            # It would deliver what is empty to those that it accepts without a sender.
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
        if self._queue.lmtp and self._verdict is not None:
            count = self._verdict.accepted
        self._connection.request(self._answered, *commands, count=count, final=True)
        self._mark = self._connection.mark()
        self.stage = Stage.SENT
        self._queue.advance()

    def _answered(self, replies: list[Reply]) -> None:
        """Take the final reply; in LMTP there is one for each accepted recipient."""
        verdict = cast("Verdict", self._verdict)  # the envelope was answered before
        lmtp = self._queue.lmtp
        positive = any(reply.is_positive for reply in replies)
        refused = None if self._upload is None else self._upload.refusal
        if positive and refused is not None:
            text = "the server accepted a message of which it refused a part"
            self._connection.fail(RemoteProtocolError(text))
            return
        if positive and self._refusal is None and self._connection.has_written(self._mark):
            self._finish(verdict.result(replies, lmtp=lmtp))
            return
        if self._refusal is None and not positive:
            self._refusal = refused or verdict.content_refused(replies, lmtp=lmtp)
        if self._connection.has_written(self._mark):
            self._finish(self._refusal, reset=self.chunked)
        elif positive:
            text = "the server accepted a message before its end"
            self._connection.fail(RemoteProtocolError(text))
        else:
            # It would take for commands what is still to be written.
            text = "the connection was closed because a message was refused before its end"
            self._connection.fail(ConnectionLost(text))

    # A content that is sent bit by bit

    async def _stream(self) -> None:
        """Send the content as soon as the server wants it, if it does; in the caller's task.

        Raises:
            SMTPNotSupported: the content is not ASCII and has to be.
            Exception: what the source of the content raised.
        """
        while self.stage in (Stage.WAITING, Stage.ENVELOPE):
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        if self.stage is not Stage.CONTENT:
            return
        self._upload = Upload(
            self._connection,
            self._body,
            ascii_only=self._envelope.ascii_only,
            chunks=(_CHUNKS if self._queue.pipelining else 1) if self.chunked else 0,
            on_refused=self._chunk_refused,
        )
        rest = await self._upload.send()
        if rest is not None and self.stage is Stage.CONTENT:
            self._end_content(rest)

    def _chunk_refused(self) -> None:
        """RFC 3030 §2: no further chunk. What is on its way is answered before RSET is."""
        if self._upload is None:
            return
        if self.stage is Stage.CONTENT:
            self._finish(self._upload.refusal, reset=True)
        elif self.stage is Stage.SENT and self._queue.lmtp:
            # Whether the last chunk is answered once, or for each recipient, nobody can know.
            self._refusal = self._upload.refusal
            text = "the connection was closed because a part of a message was refused"
            self._connection.fail(ConnectionLost(text))

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

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
        if self._upload is not None:
            self._upload.stop()
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
