"""SMTP errors: wirekit's tree, under the names that users of smtplib and aiosmtplib catch.

SMTPException                      (wirekit.Error)
├─ SMTPArgumentError               (LocalProtocolError, ValueError) it cannot be sent like this
├─ SMTPNotSupported                (LocalProtocolError) the server does not offer what it needs
│  └─ SMTPMessageTooLarge          it is larger than the server says it takes
├─ SMTPConnectError                (ConnectError)
│  └─ SMTPConnectTimeoutError      (SMTPTimeoutError, ConnectTimeout)
├─ SMTPServerDisconnected          (ConnectionLost)
├─ SMTPTimeoutError                (TimeoutError)
│  └─ SMTPReadTimeoutError         (ReadTimeout)
├─ SMTPResponseException           (ServerError) the server refused, with a reply code
│  ├─ SMTPConnectResponseError     (SMTPConnectError) the connection itself
│  ├─ SMTPHeloError                EHLO, LHLO or HELO
│  ├─ SMTPAuthenticationError      AUTH
│  ├─ SMTPSenderRefused            MAIL
│  ├─ SMTPRecipientRefused         RCPT, or for LMTP what came after the message
│  ├─ SMTPDataError                the message
│  └─ SMTPServiceClosed            (SMTPServerDisconnected) 421: it closes the connection
├─ SMTPRecipientsRefused           (ServerError) every recipient, or one and all were wanted
├─ Uncertain                       the connection was lost after the final dot, or when the mail was
│                                  accepted for some of its recipients (LIMITS)
└─ and each of wirekit's own errors, such as TLSError, as a class that is both

Whatever else a call that sends a mail raises, the mail was not accepted; only `Uncertain` says that
it may have been, and so may a call that was cancelled.
"""

from __future__ import annotations

from types import MappingProxyType, new_class
from typing import TYPE_CHECKING, TypeVar, cast

from wirekit._errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    Error,
    LocalProtocolError,
    ReadTimeout,
    ServerError,
    SocketClosed,
)
from wirekit.protocols.smtp import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wirekit.protocols.smtp import EnhancedStatus

    from ._results import SMTPResponse

__all__ = [
    "SMTPArgumentError",
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPConnectResponseError",
    "SMTPConnectTimeoutError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPMessageTooLarge",
    "SMTPNotSupported",
    "SMTPReadTimeoutError",
    "SMTPRecipientRefused",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "SMTPServiceClosed",
    "SMTPTimeoutError",
    "Uncertain",
    "connection_error",
    "refusal",
]


_NOBODY: Mapping[str, SMTPResponse] = MappingProxyType({})


class SMTPException(Error):
    """Anything that went wrong with SMTP; ``message`` is the text."""

    def __init__(self, message: str = "", /) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class SMTPArgumentError(SMTPException, LocalProtocolError, ValueError):
    """An argument cannot be sent like this; nothing was."""


class SMTPNotSupported(SMTPException, LocalProtocolError):
    """The server does not offer an extension that the mail or the command needs; not sent."""


class SMTPMessageTooLarge(SMTPNotSupported):
    """The message is larger than what the server says it takes (RFC 1870); nothing was sent."""


class SMTPConnectError(SMTPException, ConnectError):
    """No connection came about."""

    def __init__(self, message: str = "", /, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class SMTPServerDisconnected(SMTPException, ConnectionLost):
    """The connection was lost, or there is none."""


class SMTPTimeoutError(SMTPException, TimeoutError):
    """The server did not answer in time."""


class SMTPConnectTimeoutError(SMTPTimeoutError, SMTPConnectError, ConnectTimeout):
    """No connection, greeting and login in time."""


class SMTPReadTimeoutError(SMTPTimeoutError, ReadTimeout):
    """A reply did not come in time; the connection was closed."""


class SMTPResponseException(SMTPException, ServerError):
    r"""The server refused.

    Attributes:
        code: the reply code, such as 550.
        message: the reply's text, lines joined by ``\\n``, enhanced status codes included.
    """

    def __init__(self, code: int, message: str, /) -> None:
        super().__init__(message)
        self.args = (code, message)
        self.code = code

    @property
    def reply_code(self) -> int:
        """Same as ``code``."""
        return self.code

    @property
    def enhanced_status(self) -> EnhancedStatus | None:
        """The enhanced status code (RFC 3463), if there is one."""
        return Reply(self.code, tuple(self.message.split("\n"))).enhanced

    @property
    def text(self) -> str:
        """The message without enhanced status codes."""
        return Reply(self.code, tuple(self.message.split("\n"))).text

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class SMTPConnectResponseError(SMTPResponseException, SMTPConnectError):
    """The server greeted with a refusal, or closed while the connection was opened."""


class SMTPHeloError(SMTPResponseException):
    """EHLO, LHLO or HELO was refused."""


class SMTPAuthenticationError(SMTPResponseException):
    """AUTH was refused."""


class SMTPDataError(SMTPResponseException):
    """The message was refused."""


class SMTPServiceClosed(SMTPResponseException, SMTPServerDisconnected):
    """421: the server closes the connection; what it had not answered was not done."""


class SMTPSenderRefused(SMTPResponseException):
    """The sender was refused; ``sender`` is the address."""

    def __init__(self, code: int, message: str, sender: str, /) -> None:
        super().__init__(code, message)
        self.args = (code, message, sender)
        self.sender = sender

    def __str__(self) -> str:
        return f"{super().__str__()} (sender {self.sender})"


class SMTPRecipientRefused(SMTPResponseException):
    """A recipient was refused; ``recipient`` is the address."""

    def __init__(self, code: int, message: str, recipient: str, /) -> None:
        super().__init__(code, message)
        self.args = (code, message, recipient)
        self.recipient = recipient

    def __str__(self) -> str:
        return f"{super().__str__()} (recipient {self.recipient})"


class SMTPRecipientsRefused(SMTPException, ServerError):
    """Recipients were refused, and the mail went to nobody.

    Attributes:
        recipients: an `SMTPRecipientRefused` for each that was refused.
    """

    def __init__(self, recipients: Sequence[SMTPRecipientRefused], /) -> None:
        super().__init__("; ".join(map(str, recipients)))
        self.recipients = list(recipients)
        self.args = (self.recipients,)


class Uncertain(SMTPException):
    """The connection was lost, or time ran out, after the whole message had been sent.

    The server may have accepted it: sending it again may deliver it twice. ``__cause__`` says what
    happened to the connection.

    Attributes:
        recipients: what was answered for recipients of whom more is known: those of the first
            transactions, where the server takes only some at a time (LIMITS, RFC 9422).
    """

    def __init__(self, message: str = "", recipients: Mapping[str, SMTPResponse] = _NOBODY) -> None:
        super().__init__(message)
        self.recipients = dict(recipients)


Refusal = TypeVar("Refusal", bound=SMTPResponseException)


def refusal(kind: type[Refusal], reply: Reply, *details: str) -> Refusal:
    """Return the exception for a reply; ``details`` is the address where the class has one."""
    return kind(reply.code, "\n".join(reply.lines), *details)


def connection_error(error: Exception, *, sent: bool = True) -> SMTPException:
    """Return ``error``, or a copy of it, as one that is an `SMTPException` as well.

    Its attribute ``sent`` tells whether anything of what it is raised for was sent.
    """
    if not isinstance(error, Error):
        lost = ConnectionLost(str(error))
        lost.__cause__ = error
        error = lost
    kind = _joined(type(error))
    copy = kind.__new__(kind)  # without __init__, which may want other arguments
    copy.args = error.args
    copy.__cause__ = error.__cause__
    vars(copy).update({"message": str(error), **vars(error), "sent": sent})
    if isinstance(error, OSError) and isinstance(copy, OSError):
        copy.errno = error.errno
    return copy


# The first that fits; a class that has no better name here stays known by its own.
_THEIRS: tuple[tuple[type[Exception], type[SMTPException]], ...] = (
    (ConnectTimeout, SMTPConnectTimeoutError),
    (ConnectError, SMTPConnectError),
    (ReadTimeout, SMTPReadTimeoutError),
    (TimeoutError, SMTPTimeoutError),
    (ConnectionLost, SMTPServerDisconnected),
    (SocketClosed, SMTPServerDisconnected),
    (Error, SMTPException),
)
_made: dict[type[Error], type[SMTPException]] = {}


def _joined(ours: type[Error]) -> type[SMTPException]:
    """Return a class that is both; known by wirekit's name, unless ours is the more exact one."""
    if issubclass(ours, SMTPException):
        return ours
    if ours not in _made:
        theirs = next(theirs for known, theirs in _THEIRS if issubclass(ours, known))
        if issubclass(theirs, ours):
            _made[ours] = theirs
        else:
            namespace = {"__doc__": ours.__doc__, "__module__": __name__}
            made = new_class(
                ours.__name__, (ours, theirs), exec_body=lambda ns: ns.update(namespace)
            )
            _made[ours] = cast("type[SMTPException]", made)
    return _made[ours]
