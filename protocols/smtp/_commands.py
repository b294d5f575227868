"""What the client sends: the commands of RFC 5321 §4.1 and its extensions, and mail data."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from wirekit._errors import LocalProtocolError

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = [
    "Auth",
    "AuthCancel",
    "AuthResponse",
    "Bdat",
    "Command",
    "Data",
    "Ehlo",
    "EndOfMailData",
    "Expn",
    "ExtensionCommand",
    "Helo",
    "Help",
    "Lhlo",
    "Mail",
    "MailData",
    "Noop",
    "Parameters",
    "Quit",
    "Rcpt",
    "Rset",
    "StartTLS",
    "Vrfy",
]

Parameters = tuple[tuple[str, str | None], ...]
"""ESMTP parameters: keywords, and values or None."""

_MAX_LINE = 512  # RFC 5321 §4.5.3.1.4, with CRLF
_MAX_AUTH_LINE = 12288  # RFC 4954 §4, with CRLF

# By how much a parameter lengthens the line that it may stand on.
_ADDED = {
    "AUTH": 500,  # RFC 4954 §3
    "BODY": 17,  # RFC 6152 §2
    "BY": 17,  # RFC 2852 §3
    "ENVID": 107,  # RFC 3461 §5.4: 100 characters
    "HOLDFOR": 34,  # RFC 4865 §3
    "HOLDUNTIL": 34,
    "MT-PRIORITY": 15,  # RFC 6710 §3
    "NOTIFY": 28,  # RFC 3461 §5
    "ORCPT": 501,
    "REQUIRETLS": 11,  # RFC 8689 §2
    "RET": 9,
    "SIZE": 26,  # RFC 1870 §3
    "SMTPUTF8": 10,  # RFC 6531 §3.1
}

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOMAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|\[[A-Za-z0-9.:_-]+\]")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 §3.1
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
# A source route, a quoted string up to the at sign, and nothing that would end the path (RFC 5321
# §4.1.2). Whether it is a valid address is not looked at here.
_PATH = re.compile(
    r"(?:@[A-Za-z0-9@,._\xa0-\U0010ffff-]*:)?"
    r'(?:"(?:[ !#-\[\]-~\xa0-\U0010ffff]|\\[ -~])*"(?=@|\Z))?'
    r"[!#-;=?-\[\]-~\xa0-\U0010ffff]*"
)
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[!-<>-~\xa0-\U0010ffff]+")


class Command:
    """Root of all that `Codec.send` takes; ``verb`` is its name in messages."""

    __slots__ = ()
    verb: ClassVar[str]

    def encode(self, *, smtputf8: bool = False) -> bytes:
        """Return the command as it stands on the wire.

        Args:
            smtputf8: whether UTF-8 may stand in it, because the transaction says SMTPUTF8.

        Raises:
            LocalProtocolError: it cannot be sent; the message names the argument, not its value.
        """
        raise NotImplementedError


def _line(text: str, what: str, limit: int, *, smtputf8: bool) -> bytes:
    """Return a whole line."""
    try:
        line = text.encode("utf-8" if smtputf8 else "ascii")
    except UnicodeEncodeError:  # its message would show the text
        reason = "not valid Unicode" if smtputf8 else "not ASCII, and SMTPUTF8 is not asked for"
        raise LocalProtocolError(f"{what} is {reason}") from None
    if len(line) > limit - 2:
        raise LocalProtocolError(f"{what} makes a line of more than {limit} bytes")
    return line + b"\r\n"


def _check(text: str, what: str, grammar: re.Pattern[str]) -> None:
    if grammar.fullmatch(text) is None:
        raise _malformed(text, what)


def _malformed(text: str, what: str) -> LocalProtocolError:
    if _CONTROLS.search(text) is not None:
        return LocalProtocolError(f"{what} has a control character in it")
    return LocalProtocolError(f"{what} does not follow the grammar")


class _Bare(Command):
    """A command without arguments."""

    __slots__ = ()

    def encode(self, *, smtputf8: bool = False) -> bytes:
        return b"%b\r\n" % self.verb.encode()


class _WithText(Command):
    """A command whose argument, ``text``, is free and may be left out."""

    __slots__ = ()
    text: str

    def encode(self, *, smtputf8: bool = False) -> bytes:
        what = f"the argument of {self.verb}"
        if _CONTROLS.search(self.text) is not None:
            raise LocalProtocolError(f"{what} has a control character in it")
        line = f"{self.verb} {self.text}" if self.text else self.verb
        return _line(line, what, _MAX_LINE, smtputf8=False)


# Opening and closing


class _Hello(Command):
    """A command that tells who we are: a domain, or an address in brackets."""

    __slots__ = ()
    domain: str

    def encode(self, *, smtputf8: bool = False) -> bytes:
        what = f"the domain of {self.verb}"
        _check(self.domain, what, _DOMAIN)
        return _line(f"{self.verb} {self.domain}", what, _MAX_LINE, smtputf8=False)


@dataclass(frozen=True, slots=True)
class Ehlo(_Hello):
    """Begins a session and asks for the extensions (RFC 5321 §4.1.1.1)."""

    domain: str
    verb: ClassVar[str] = "EHLO"


@dataclass(frozen=True, slots=True)
class Lhlo(_Hello):
    """The EHLO of LMTP (RFC 2033 §4.1)."""

    domain: str
    verb: ClassVar[str] = "LHLO"


@dataclass(frozen=True, slots=True)
class Helo(_Hello):
    """Begins a session without extensions (RFC 5321 §4.1.1.1)."""

    domain: str
    verb: ClassVar[str] = "HELO"


@dataclass(frozen=True, slots=True)
class StartTLS(_Bare):
    """Asks for TLS (RFC 3207)."""

    verb: ClassVar[str] = "STARTTLS"


@dataclass(frozen=True, slots=True)
class Quit(_Bare):
    """Ends the session (RFC 5321 §4.1.1.10)."""

    verb: ClassVar[str] = "QUIT"


# Authentication (RFC 4954)


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """Begins a SASL exchange; ``mechanism`` is in upper case.

    An empty ``initial_response`` is sent as such, None not at all.
    """

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)
    verb: ClassVar[str] = "AUTH"

    @property
    def fits(self) -> bool:
        """Whether the initial response may ride on AUTH's line: "the client MUST NOT" else."""
        return len(self._text()) <= _MAX_LINE - 2

    def encode(self, *, smtputf8: bool = False) -> bytes:
        _check(self.mechanism, "the mechanism of AUTH", _MECHANISM)
        return _line(self._text(), "the initial response of AUTH", _MAX_LINE, smtputf8=False)

    def _text(self) -> str:
        if self.initial_response is None:
            return f"AUTH {self.mechanism}"
        return f"AUTH {self.mechanism} {_base64(self.initial_response) or '='}"


@dataclass(frozen=True, slots=True)
class AuthResponse(Command):
    """The answer to a 334."""

    data: bytes = field(repr=False)
    verb: ClassVar[str] = "AUTH"

    def encode(self, *, smtputf8: bool = False) -> bytes:
        return _line(
            _base64(self.data), "the response to a challenge", _MAX_AUTH_LINE, smtputf8=False
        )


@dataclass(frozen=True, slots=True)
class AuthCancel(Command):
    """Gives up the exchange in answer to a 334; the server answers 501."""

    verb: ClassVar[str] = "the cancelled AUTH"

    def encode(self, *, smtputf8: bool = False) -> bytes:
        return b"*\r\n"


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


# Mail transactions


class _WithPath(Command):
    """MAIL and RCPT."""

    __slots__ = ()
    path: str
    parameters: Parameters
    _begin: ClassVar[str]

    def encode(self, *, smtputf8: bool = False) -> bytes:
        verb = self.verb
        if _PATH.fullmatch(self.path) is None:
            raise _malformed(self.path, f"the path of {verb}")
        line = f"{self._begin}{self.path}>"
        limit = _MAX_LINE
        for keyword, value in self.parameters:
            if _KEYWORD.fullmatch(keyword) is None:
                raise _malformed(keyword, f"the keyword of a parameter of {verb}")
            limit += _ADDED.get(keyword.upper(), 0)
            if value is None:
                line = f"{line} {keyword}"
            elif _VALUE.fullmatch(value) is None:
                raise _malformed(value, f"the parameter {keyword} of {verb}")
            else:
                line = f"{line} {keyword}={value}"
        return _line(line, f"the path or a parameter of {verb}", limit, smtputf8=smtputf8)


@dataclass(frozen=True, slots=True)
class Mail(_WithPath):
    """Begins a mail transaction (RFC 5321 §4.1.1.2).

    Args:
        path: the reverse-path without its angle brackets; empty for the null reverse-path.
        parameters: see `Parameters`; UTF-8 may stand in path and parameters if SMTPUTF8 is there.
    """

    path: str
    parameters: Parameters = ()
    verb: ClassVar[str] = "MAIL"
    _begin: ClassVar[str] = "MAIL FROM:<"

    def encode(self, *, smtputf8: bool = False) -> bytes:
        return _WithPath.encode(self, smtputf8=self.has("SMTPUTF8"))

    def has(self, keyword: str, value: str | None = None) -> bool:
        """Whether the parameter is there, with this value; both are given in upper case."""
        for name, given in self.parameters:
            if name.upper() == keyword:
                return value is None or (given is not None and given.upper() == value)
        return False


@dataclass(frozen=True, slots=True)
class Rcpt(_WithPath):
    """Names one recipient (RFC 5321 §4.1.1.3).

    Args:
        path: the forward-path without its angle brackets.
        parameters: see `Parameters`.
    """

    path: str
    parameters: Parameters = ()
    verb: ClassVar[str] = "RCPT"
    _begin: ClassVar[str] = "RCPT TO:<"

    def encode(self, *, smtputf8: bool = False) -> bytes:
        if not self.path:
            raise LocalProtocolError("the path of RCPT is empty")
        return _WithPath.encode(self, smtputf8=smtputf8)


@dataclass(frozen=True, slots=True)
class Data(_Bare):
    """Asks to send mail data, which may begin after the 354 (RFC 5321 §4.1.1.4)."""

    verb: ClassVar[str] = "DATA"


@dataclass(frozen=True, slots=True)
class MailData(Command):
    """Some of the mail data after a 354, cut anywhere; the codec encodes it."""

    data: Buffer = field(repr=False)
    verb: ClassVar[str] = "the mail data"


@dataclass(frozen=True, slots=True)
class EndOfMailData(Command):
    """The end of the mail data; the final reply is due for it, in LMTP one per recipient."""

    verb: ClassVar[str] = "the mail data"


@dataclass(frozen=True, slots=True)
class Bdat(Command):
    """One chunk of the mail data, cut anywhere (RFC 3030 §2).

    The codec turns its line endings into CRLF, unless MAIL said BODY=BINARYMIME, and counts its
    bytes after that.
    """

    data: Buffer = field(repr=False)
    last: bool = False
    verb: ClassVar[str] = "BDAT"


@dataclass(frozen=True, slots=True)
class Rset(_Bare):
    """Aborts the mail transaction (RFC 5321 §4.1.1.5)."""

    verb: ClassVar[str] = "RSET"


# The rest


@dataclass(frozen=True, slots=True)
class Noop(_WithText):
    """Does nothing (RFC 5321 §4.1.1.9)."""

    text: str = ""
    verb: ClassVar[str] = "NOOP"


@dataclass(frozen=True, slots=True)
class Help(_WithText):
    """Asks for help (RFC 5321 §4.1.1.8)."""

    text: str = ""
    verb: ClassVar[str] = "HELP"


class _WithString(Command):
    """VRFY and EXPN (RFC 5321 §4.1.1.6, RFC 6531 §3.7.4.2)."""

    __slots__ = ()
    string: str
    smtputf8: bool

    def encode(self, *, smtputf8: bool = False) -> bytes:
        what = f"the string of {self.verb}"
        if not self.string or _CONTROLS.search(self.string) is not None:
            raise LocalProtocolError(f"{what} is empty or has a control character in it")
        line = f"{self.verb} {self.string}"
        if self.smtputf8:
            line = f"{line} SMTPUTF8"
        limit = _MAX_LINE + _ADDED["SMTPUTF8"] * self.smtputf8
        return _line(line, what, limit, smtputf8=self.smtputf8)


@dataclass(frozen=True, slots=True)
class Vrfy(_WithString):
    """Asks whether a mailbox exists."""

    string: str
    smtputf8: bool = False
    verb: ClassVar[str] = "VRFY"


@dataclass(frozen=True, slots=True)
class Expn(_WithString):
    """Asks who is on a mailing list."""

    string: str
    smtputf8: bool = False
    verb: ClassVar[str] = "EXPN"


@dataclass(frozen=True, slots=True)
class ExtensionCommand(Command):
    """A command that is not one of the others here, answered once by 2yz, 4yz or 5yz."""

    name: str
    text: str = ""
    verb: ClassVar[str] = "an extension's command"

    def encode(self, *, smtputf8: bool = False) -> bytes:
        _check(self.name, "the name of a command", _VERB)
        if self.name.upper() in _KNOWN:
            raise LocalProtocolError("the name of a command that has a class of its own")
        what = "the argument of an extension's command"
        if _CONTROLS.search(self.text) is not None:
            raise LocalProtocolError(f"{what} has a control character in it")
        line = f"{self.name} {self.text}" if self.text else self.name
        return _line(line, what, _MAX_LINE, smtputf8=False)


_KNOWN: Final = frozenset(
    "EHLO LHLO HELO STARTTLS QUIT AUTH MAIL RCPT DATA BDAT RSET NOOP HELP VRFY EXPN".split()
)
