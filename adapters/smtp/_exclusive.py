"""A connection for one caller alone, command by command, as aiosmtplib lets people speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit._errors import ConnectionLost, RemoteProtocolError, SocketClosed
from wirekit.protocols import smtp

from ._addresses import parse_address
from ._bodies import make_body
from ._errors import (
    SMTPArgumentError,
    SMTPDataError,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    Uncertain,
    connection_error,
    refusal,
)
from ._results import SMTPResponse
from ._upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wirekit.protocols.smtp import Capabilities, Reply

    from ._bodies import Source
    from ._connection import Connection

__all__ = ["Session"]

_MAIL_DATA = smtp.State.MAIL_DATA
_BROKEN_OFF = "the connection was closed because a message was broken off in the middle"


class Session:
    """The connection, while nobody else uses it; `SMTP.session` gives it.

    Each method sends one command and waits for its reply. Whoever is cancelled in the middle of a
    message ends the connection; a mail that was begun and not sent is reset at the end.

    Args:
        connection: it belongs to the session until `end`.
        lmtp: whether it speaks LMTP.

    Attributes:
        unfinished: whether a mail was begun, and may still be there.
    """

    __slots__ = ("_connection", "_lmtp", "_open", "_smtputf8", "unfinished")

    def __init__(self, connection: Connection, *, lmtp: bool) -> None:
        self.unfinished = False
        self._connection = connection
        self._lmtp = lmtp
        self._open = True
        self._smtputf8 = False

    def __repr__(self) -> str:
        return f"<Session {self._connection.peer} {'open' if self._open else 'over'}>"

    def end(self) -> None:
        """Be over: whatever is called now fails."""
        self._open = False

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers."""
        return self._connection.capabilities

    async def mail(self, sender: str, options: Iterable[str] = ()) -> SMTPResponse:
        """Begin a mail with MAIL.

        SMTPUTF8 is added where the address needs it; for a recipient that does, pass it here.

        Args:
            sender: the reverse-path; may be empty.
            options: parameters, such as ``"SIZE=500"``.

        Raises:
            SMTPSenderRefused: the server refuses.
            SMTPNotSupported: the address needs SMTPUTF8, which it does not offer.
            SMTPArgumentError: the address or a parameter cannot be sent.
        """
        address = parse_address(sender)
        parameters = _parameters(options)
        self._smtputf8 = any(name.upper() == "SMTPUTF8" for name, _ in parameters)
        if address.ascii is None and not self._smtputf8:
            if not self.capabilities.smtputf8:
                raise SMTPNotSupported("the server does not offer SMTPUTF8")
            parameters.append(("SMTPUTF8", None))
            self._smtputf8 = True
        path = address.text if address.ascii is None else address.ascii
        command = smtp.Mail(path, tuple(parameters))
        if command.has("BODY", "BINARYMIME"):
            raise SMTPNotSupported("a session sends by DATA, which is not for BINARYMIME")
        begun_before = self.unfinished
        self.unfinished = True
        reply = await self._ask(command)
        if not reply.is_positive:
            self.unfinished = begun_before
            raise refusal(SMTPSenderRefused, reply, sender)
        return SMTPResponse.of(reply)

    async def rcpt(self, recipient: str, options: Iterable[str] = ()) -> SMTPResponse:
        """Name a recipient with RCPT.

        Args:
            recipient: the forward-path.
            options: parameters, such as ``"NOTIFY=NEVER"``.

        Raises:
            SMTPRecipientRefused: the server refuses.
            SMTPArgumentError: the address or a parameter cannot be sent.
        """
        address = parse_address(recipient)
        if address.ascii is None and not self._smtputf8:
            raise SMTPArgumentError("this recipient needs SMTPUTF8 among the options of mail()")
        path = address.text if address.ascii is None else address.ascii
        reply = await self._ask(smtp.Rcpt(path, tuple(_parameters(options))))
        if not reply.is_positive:
            raise refusal(SMTPRecipientRefused, reply, recipient)
        return SMTPResponse.of(reply)

    async def data(self, message: Source) -> SMTPResponse:
        """Send a message with DATA; its lines and dots are taken care of.

        Args:
            message: header and content; see `SMTP.sendmail`.

        Raises:
            SMTPDataError: the server refuses DATA or the message.
            SMTPNotSupported: the connection speaks LMTP, which answers for each recipient.
            SMTPArgumentError: the message cannot be sent.
            SMTPServerDisconnected: the connection was lost; the message was not accepted.
            Uncertain: the connection was lost after the message was sent; it may be accepted.
        """
        if self._lmtp:
            raise SMTPNotSupported("LMTP answers for each recipient: use sendmail()")
        body = await make_body(message)
        if body.data is not None and b"\0" in body.data:
            raise SMTPArgumentError("the message holds a null character")
        if body.data is not None and not (body.data.isascii() or self.capabilities.eightbitmime):
            raise SMTPNotSupported("the server does not offer 8BITMIME")
        connection = self._connection
        mark: int | None = None  # where the message ends
        try:
            reply = await self._ask(smtp.Data())
            if reply.code != 354:
                raise refusal(SMTPDataError, reply)
            ascii_only = not self.capabilities.eightbitmime
            rest = await Upload(connection, body, ascii_only=ascii_only).send()
            asked = connection.ask(smtp.MailData(rest or b""), smtp.EndOfMailData(), final=True)
            mark = connection.mark()
            (reply,) = await asked
        except SMTPResponseException:
            raise  # a 421 among them: it was not accepted
        except BaseException as error:
            complete = mark is not None and connection.has_written(mark)
            if complete and isinstance(error, Exception):
                text = f"{error}; the server may have accepted the message"
                raise Uncertain(text) from error
            if not complete and (not connection.idle or connection.codec.state is _MAIL_DATA):
                # Neither a dot, which would complete it, nor a command may follow.
                connection.fail(ConnectionLost(_BROKEN_OFF))
            raise
        if not connection.has_written(mark):
            fault = RemoteProtocolError("the server answered a message before its end")
            connection.fail(fault)
            raise connection_error(fault)
        self.unfinished = False
        if not reply.is_positive:
            raise refusal(SMTPDataError, reply)
        return SMTPResponse.of(reply)

    async def noop(self) -> SMTPResponse:
        """See whether the server is there.

        Raises:
            SMTPResponseException: it refuses.
        """
        reply = await self._ask(smtp.Noop())
        if not reply.is_positive:
            raise refusal(SMTPResponseException, reply)
        return SMTPResponse.of(reply)

    async def rset(self) -> SMTPResponse:
        """Have the server forget the mail.

        Raises:
            SMTPResponseException: it refuses.
        """
        reply = await self._ask(smtp.Rset())
        if not reply.is_positive:
            raise refusal(SMTPResponseException, reply)
        self.unfinished = False
        return SMTPResponse.of(reply)

    async def execute_command(self, *words: str | bytes) -> SMTPResponse:
        """Send a command that has no method, such as ``"XCLIENT", "NAME=spike.example"``.

        Args:
            *words: joined by spaces; the first is the command.

        Returns:
            The reply, positive or not.

        Raises:
            SMTPArgumentError: it cannot be sent, or is one that changes what the client knows.
            RemoteProtocolError: the reply is a 3yz; the connection is closed.
        """
        try:
            name, *rest = [
                word if isinstance(word, str) else word.decode("ascii") for word in words
            ]
        except ValueError:
            raise SMTPArgumentError("a command is one word and more, of ASCII") from None
        kind = _WITH_TEXT.get(name.upper())
        text = " ".join(rest)
        return SMTPResponse.of(
            await self._ask(smtp.ExtensionCommand(name, text) if kind is None else kind(text))
        )

    async def _ask(self, command: smtp.Command) -> Reply:
        if not self._open:
            raise connection_error(SocketClosed("the session is over"), sent=False)
        (reply,) = await self._connection.ask(command)
        return reply


_WITH_TEXT: dict[str, Callable[[str], smtp.Command]] = {
    "EXPN": smtp.Expn,
    "HELP": smtp.Help,
    "NOOP": smtp.Noop,
    "VRFY": smtp.Vrfy,
}


def _parameters(options: Iterable[str]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for option in [options] if isinstance(options, str) else options:
        keyword, separator, value = option.partition("=")
        found.append((keyword, value if separator else None))
    return found
