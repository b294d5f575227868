"""From whom, to whom and how: what MAIL and RCPT say, held to what the server offers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast, get_args

from wirekit.protocols import smtp

from ._addresses import parse_address
from ._errors import SMTPArgumentError, SMTPMessageTooLarge, SMTPNotSupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from wirekit.protocols.smtp import Capabilities

    from ._bodies import Body, Source
    from ._dkim import DKIM

__all__ = [
    "DEFAULT_OPTIONS",
    "By",
    "Envelope",
    "Mail",
    "Options",
    "make_envelope",
    "recipients_of",
]

BodyType = Literal["7BIT", "8BITMIME", "BINARYMIME"]
_Parameter = tuple[str, str | None]

_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")  # RFC 3461 §4
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")  # RFC 6533 §3


@dataclass(frozen=True, slots=True)
class By:
    """When a mail is to be delivered (RFC 2852).

    Attributes:
        seconds: from now; negative only with ``"N"``.
        mode: ``"R"``: return it when the time has passed; ``"N"``: tell the sender, and go on.
        trace: whether relays that do not know DELIVERBY are to be reported.
    """

    seconds: int
    mode: Literal["R", "N"] = "R"
    trace: bool = False

    def __str__(self) -> str:
        return f"{self.seconds};{self.mode}{'T' if self.trace else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a mail is to be delivered; each needs an extension, and the mail is not sent without it.

    Attributes:
        all_recipients: send to nobody if a recipient is refused (RCPT; not what LMTP says after
            the message).
        requiretls: send on by verified TLS only (RFC 8689).
        ret: what a notification of failure returns (DSN, RFC 3461).
        envid: identifies the mail in notifications (DSN).
        notify: ``"NEVER"`` alone, or of ``"SUCCESS"``, ``"FAILURE"`` and ``"DELAY"`` (DSN).
        orcpt: for whom a recipient was meant at first, by the recipient (DSN).
        holdfor: seconds to wait before delivery (FUTURERELEASE, RFC 4865).
        holduntil: the same as a time, with its timezone.
        by: the time for delivery (DELIVERBY, RFC 2852).
        mt_priority: -9 to 9 (MT-PRIORITY, RFC 6710).
        mail_options: further parameters of MAIL, ``"KEYWORD"`` or ``"KEYWORD=value"``.
        rcpt_options: the same for RCPT.
        dkim: signs the message, which has to be in memory and is not sent as BINARYMIME.
    """

    all_recipients: bool = False
    requiretls: bool = False
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    notify: Collection[Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]] = ()
    orcpt: Mapping[str, str] = field(default_factory=dict[str, str])
    holdfor: int | None = None
    holduntil: datetime | None = None
    by: By | None = None
    mt_priority: int | None = None
    mail_options: Iterable[str] = ()
    rcpt_options: Iterable[str] = ()
    dkim: DKIM | None = None


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail object: the envelope and the content (RFC 5321 §2.3.1).

    Attributes:
        sender: the reverse-path; empty for a notification, which must not be answered by one.
        recipients: where it goes; doubles are left out.
        body: header and content; see `make_body` for what it may be.
        body_type: what is in it; by default as much as the server takes.
        smtputf8: whether UTF-8 stands in the header; addresses that need it say so themselves.
        size: bytes of a body that is a stream, if known.
        options: how it is to be delivered.
    """

    sender: str
    recipients: str | Sequence[str]
    body: Source = field(repr=False)
    body_type: BodyType | None = None
    smtputf8: bool = False
    size: int | None = None
    options: Options = DEFAULT_OPTIONS


class Envelope:
    """What MAIL and RCPT say.

    Attributes:
        sender: the reverse-path as given.
        recipients: the forward-paths as given, in the order of ``rcpts``.
        mail: the MAIL command.
        rcpts: a RCPT command for each recipient.
        capabilities: what the server offered when it was made.
        all_recipients: whether it is to go to all of them or to none.
        ascii_only: whether the content must be ASCII.
    """

    __slots__ = (
        "all_recipients",
        "ascii_only",
        "capabilities",
        "mail",
        "rcpts",
        "recipients",
        "sender",
    )

    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        mail: smtp.Mail,
        rcpts: Sequence[smtp.Rcpt],
        capabilities: Capabilities,
        *,
        all_recipients: bool = False,
        ascii_only: bool = False,
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.mail = mail
        self.rcpts = rcpts
        self.capabilities = capabilities
        self.all_recipients = all_recipients
        self.ascii_only = ascii_only


def make_envelope(
    mail: Mail, body: Body, capabilities: Capabilities, *, secure: bool = True
) -> Envelope:
    """Return the envelope of a mail for a server with these capabilities.

    Args:
        mail: what is asked for.
        body: the content.
        capabilities: of the server.
        secure: whether the connection is TLS.

    Raises:
        SMTPArgumentError: an address or an option is wrong in itself.
        SMTPNotSupported: the server lacks an extension that the mail needs.
        SMTPMessageTooLarge: the server does not take messages as large as this.
    """
    options = mail.options
    recipients = recipients_of(mail.recipients)
    sender = parse_address(mail.sender)
    parsed = [parse_address(recipient) for recipient in recipients]
    if any(not address.text for address in parsed):
        raise SMTPArgumentError("an empty address is no recipient")
    mail_parameters: list[_Parameter] = []
    rcpt_parameters: list[_Parameter] = []
    if options is not DEFAULT_OPTIONS:
        mail_parameters = _mail_parameters(options, capabilities, secure=secure)
        rcpt_parameters = _rcpt_parameters(options, capabilities)
    given = dict(mail_parameters)
    body_type = mail.body_type
    if "BODY" in given:
        # Held to the content like one that is not given as text.
        mail_parameters = [found for found in mail_parameters if found[0] != "BODY"]
        body_type = _body_type(given["BODY"])
    if capabilities.size is not None and "SIZE" not in given:
        mail_parameters += _size(mail, body, body_type, capabilities.size)
    body_parameter, ascii_only = _body(body_type, body, capabilities)
    mail_parameters += body_parameter
    if "SMTPUTF8" not in given and (
        mail.smtputf8 or sender.ascii is None or any(address.ascii is None for address in parsed)
    ):
        _need(capabilities.smtputf8, "SMTPUTF8")
        mail_parameters.append(("SMTPUTF8", None))
    command = smtp.Mail(_path(sender.ascii, sender.text), tuple(mail_parameters))
    if body.data is not None and b"\0" in body.data and not command.has("BODY", "BINARYMIME"):
        # As the codec would, but before anything is sent.
        raise SMTPArgumentError("the message holds a null character, and is not for BINARYMIME")
    return Envelope(
        mail.sender,
        recipients,
        command,
        [
            smtp.Rcpt(
                _path(address.ascii, address.text),
                (*rcpt_parameters, *_orcpt(options, recipient, capabilities)),
            )
            for recipient, address in zip(recipients, parsed, strict=True)
        ],
        capabilities,
        all_recipients=options.all_recipients,
        ascii_only=ascii_only,
    )


def _path(ascii_form: str | None, text: str) -> str:
    return text if ascii_form is None else ascii_form


def recipients_of(given: str | Sequence[str]) -> list[str]:
    """Return recipients without the doubles.

    Raises:
        SMTPArgumentError: there is none.
    """
    recipients = [given] if isinstance(given, str) else list(dict.fromkeys(given))
    if not recipients:
        raise SMTPArgumentError("a mail needs a recipient")
    return recipients


def _need(offered: object, extension: str) -> None:
    if not offered:
        raise SMTPNotSupported(f"the server does not offer {extension}")


# Content


def _size(mail: Mail, body: Body, body_type: BodyType | None, limit: int) -> list[_Parameter]:
    """SIZE: the bytes of the message without what transparency adds (RFC 1870 §5)."""
    size = body.size if mail.size is None else mail.size
    if size is None:
        return []
    data = body.data
    if data is not None and body_type != "BINARYMIME":
        size += data.count(b"\n") - data.count(b"\r\n")
    if 0 < limit < size:
        raise SMTPMessageTooLarge(f"the message has {size} bytes, and the server takes {limit}")
    return [("SIZE", str(size))]


def _body_type(value: str | None) -> BodyType:
    found = "" if value is None else value.upper()
    if found not in get_args(BodyType):
        raise SMTPArgumentError(f"BODY is one of {', '.join(get_args(BodyType))}")
    return cast("BodyType", found)


def _body(
    body_type: BodyType | None, body: Body, capabilities: Capabilities
) -> tuple[list[_Parameter], bool]:
    """BODY, and whether the content must be ASCII."""
    if body_type == "BINARYMIME":
        _need(capabilities.binarymime and capabilities.chunking, "BINARYMIME with CHUNKING")
        return [("BODY", body_type)], False
    if body_type is None and body.data is not None:
        body_type = "7BIT" if body.data.isascii() else "8BITMIME"
    if body_type == "8BITMIME":
        _need(capabilities.eightbitmime, "8BITMIME, and the message is not ASCII")
    if body_type != "7BIT" and capabilities.eightbitmime:
        return [("BODY", "8BITMIME")], False
    if body.data is not None and not body.data.isascii():
        raise SMTPArgumentError("a message that is not ASCII is not 7BIT")
    return [], True


# Options


def _mail_parameters(
    options: Options, capabilities: Capabilities, *, secure: bool
) -> list[_Parameter]:
    found = _raw(options.mail_options, capabilities)
    if options.requiretls:
        _need(secure and capabilities.requiretls, "REQUIRETLS on this connection")
        found.append(("REQUIRETLS", None))
    if options.ret is not None:
        _need(capabilities.dsn, "DSN, which ret needs")
        if options.ret not in ("FULL", "HDRS"):
            raise SMTPArgumentError("ret is FULL or HDRS")
        found.append(("RET", options.ret))
    if options.envid is not None:
        _need(capabilities.dsn, "DSN, which envid needs")
        found.append(("ENVID", _xtext(options.envid, "envid")))
    found += _release(options, capabilities)
    if options.by is not None:
        found.append(("BY", _deliver_by(options.by, capabilities.deliverby)))
    if options.mt_priority is not None:
        _need("MT-PRIORITY" in capabilities.keywords, "MT-PRIORITY")
        if not -9 <= options.mt_priority <= 9:
            raise SMTPArgumentError("mt_priority is from -9 to 9")
        found.append(("MT-PRIORITY", str(options.mt_priority)))
    return found


def _rcpt_parameters(options: Options, capabilities: Capabilities) -> list[_Parameter]:
    found = _raw(options.rcpt_options, capabilities)
    if options.notify:
        _need(capabilities.dsn, "DSN, which notify needs")
        notify = list(dict.fromkeys(options.notify))
        if not {"NEVER", "SUCCESS", "FAILURE", "DELAY"}.issuperset(notify) or (
            "NEVER" in notify and len(notify) > 1
        ):
            raise SMTPArgumentError("notify is NEVER alone, or of SUCCESS, FAILURE and DELAY")
        found.append(("NOTIFY", ",".join(notify)))
    return found


def _orcpt(options: Options, recipient: str, capabilities: Capabilities) -> list[_Parameter]:
    original = options.orcpt.get(recipient)
    if original is None:
        return []
    _need(capabilities.dsn, "DSN, which orcpt needs")
    if original.isascii():
        return [("ORCPT", f"rfc822;{_xtext(original, 'orcpt')}")]
    _check_printable(original, "orcpt")
    embedded = _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):X}}}", original)
    return [("ORCPT", f"utf-8;{embedded}")]


def _release(options: Options, capabilities: Capabilities) -> list[_Parameter]:
    if options.holdfor is None and options.holduntil is None:
        return []
    if options.holdfor is not None and options.holduntil is not None:
        raise SMTPArgumentError("holdfor and holduntil do not go together")
    offered = capabilities.futurerelease
    if offered is None:
        raise SMTPNotSupported("the server does not offer FUTURERELEASE")
    if options.holdfor is not None:
        if not 0 < options.holdfor <= 999_999_999:
            raise SMTPArgumentError("holdfor is a number of seconds, of nine digits at most")
        if offered.max_seconds is not None and options.holdfor > offered.max_seconds:
            raise SMTPNotSupported(f"the server holds a mail for {offered.max_seconds} s at most")
        return [("HOLDFOR", str(options.holdfor))]
    until = options.holduntil
    if until is None or until.tzinfo is None:
        raise SMTPArgumentError("holduntil needs a timezone")
    if offered.max_date is not None and until > offered.max_date:
        raise SMTPNotSupported(f"the server holds a mail until {offered.max_date} at most")
    text = until.astimezone(UTC).isoformat(timespec="seconds")
    return [("HOLDUNTIL", text.replace("+00:00", "Z"))]


def _deliver_by(by: By, least: int | None) -> str:
    if least is None:
        raise SMTPNotSupported("the server does not offer DELIVERBY")
    if by.mode not in ("R", "N"):
        raise SMTPArgumentError("the mode of by is R or N")
    if abs(by.seconds) > 999_999_999 or (by.mode == "R" and by.seconds <= 0):
        raise SMTPArgumentError("by is of nine digits at most, and more than 0 if it is to return")
    if by.mode == "R" and by.seconds < least:
        raise SMTPNotSupported(f"the server takes no less than {least} s for DELIVERBY")
    return str(by)


_EXTENSION_OF = {
    "RET": "DSN",
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
    "HOLDFOR": "FUTURERELEASE",
    "HOLDUNTIL": "FUTURERELEASE",
    "BY": "DELIVERBY",
}


def _raw(options: Iterable[str], capabilities: Capabilities) -> list[_Parameter]:
    """Return parameters given as text; the extension of each must be offered."""
    found: list[_Parameter] = []
    for option in options:
        keyword, separator, value = option.partition("=")
        keyword = keyword.upper()
        extension = _EXTENSION_OF.get(keyword, keyword)
        if keyword != "BODY":  # which is looked at with the content
            _need(extension in capabilities.keywords, extension)
        found.append((keyword, value if separator else None))
    return found


def _xtext(text: str, what: str) -> str:
    if not text.isascii():
        raise SMTPArgumentError(f"{what} has to be ASCII")
    _check_printable(text, what)
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _check_printable(text: str, what: str) -> None:
    """RFC 3461 §4.4: what is decoded again stands in a header field of a notification."""
    if not text or not text.isprintable():
        raise SMTPArgumentError(f"{what} is empty or has a control character in it")
