"""Conversations for the codec: what is sent, by name, what the server says, and what that gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.smtp import (
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
    Codec,
    Command,
    Data,
    Ehlo,
    EndOfMailData,
    Expn,
    ExtensionCommand,
    Helo,
    Help,
    Lhlo,
    Mail,
    MailData,
    Noop,
    Quit,
    Rcpt,
    Reply,
    Rset,
    StartTLS,
    State,
    Vrfy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GREETING = b"220 mx.example ESMTP\r\n"
KEYWORDS = (
    *(b"PIPELINING", b"SIZE 10240000", b"8BITMIME", b"SMTPUTF8", b"CHUNKING", b"BINARYMIME"),
    *(b"STARTTLS", b"AUTH PLAIN LOGIN SCRAM-SHA-256", b"ENHANCEDSTATUSCODES", b"DSN"),
)
OK = b"250 2.0.0 Ok\r\n"
GO_ON = b"354 End data with <CR><LF>.<CR><LF>\r\n"


def ehlo_reply(*keywords: bytes) -> bytes:
    """Return the reply to EHLO with these keywords, or with all."""
    lines = [b"mx.example", *(keywords or KEYWORDS)]
    return b"".join(b"250-%b\r\n" % line for line in lines[:-1]) + b"250 %b\r\n" % lines[-1]


def opened(*keywords: bytes, **settings: Any) -> Codec:
    """Return a codec behind the greeting and EHLO, or LHLO with ``lmtp=True``."""
    codec = Codec(**settings)
    codec.receive_data(GREETING)
    codec.send(Lhlo("me.example") if settings.get("lmtp") else Ehlo("me.example"))
    codec.receive_data(ehlo_reply(*keywords))
    return codec


def state_of(codec: Codec) -> State:
    """Return the state, which mypy takes for what it was before."""
    return codec.state


# What is sent, by name.
SENT: dict[str, Sequence[Command]] = {
    "ehlo": [Ehlo("me.example")],
    "lhlo": [Lhlo("me.example")],
    "helo": [Helo("[192.0.2.1]")],
    "starttls": [StartTLS()],
    "auth": [Auth("SCRAM-SHA-256", b"n,,n=,r=a")],
    "bare auth": [Auth("LOGIN")],
    "response": [AuthResponse(b"secret")],
    "cancel": [AuthCancel()],
    "mail": [Mail("from@example.com", (("SIZE", "1000"), ("BODY", "8BITMIME")))],
    "utf8 mail": [Mail("früm@example.com", (("SMTPUTF8", None),))],
    "binary mail": [Mail("", (("BODY", "BINARYMIME"),))],
    "rcpt": [Rcpt("to@example.com")],
    "utf8 rcpt": [Rcpt("tü@example.com")],
    "data": [Data()],
    "end": [EndOfMailData()],
    "rset": [Rset()],
    "noop": [Noop()],
    "help": [Help("MAIL")],
    "vrfy": [Vrfy("someone")],
    "expn": [Expn("some-list", smtputf8=True)],
    "etrn": [ExtensionCommand("ETRN", "example.com")],
    "quit": [Quit()],
    "transaction": [Mail("a@example.com"), Rcpt("b@example.com"), Rcpt("c@example.com"), Data()],
    "nothing": [],
}

Step = str | bytes | Sequence[Command]


@dataclass
class Result:
    """What a conversation gave; two that differ only in how the bytes were cut are equal."""

    events: list[Reply] = field(default_factory=list[Reply])
    sent: list[tuple[Sequence[Command], bytes]] = field(
        default_factory=list[tuple[Sequence[Command], bytes]]
    )
    refused: list[str] = field(default_factory=list[str])
    fault: str | None = None
    state: State = State.GREETING
    trailing_data: bytes = b""
    end: str | None = None


def whole(data: bytes) -> list[bytes]:
    """Do not cut."""
    return [data]


def converse(
    codec: Codec, steps: Iterable[Step], cut: Callable[[bytes], Iterable[bytes]] = whole
) -> Result:
    """Play both sides, up to a fault; any exception but the two expected ones is let out.

    Bytes come from the server, "tls" is the handshake, all else is sent.
    """
    result = Result()
    for step in steps:
        if isinstance(step, bytes):
            if not _receive(codec, cut(step), result):
                break
        else:
            _send(codec, step, result)
    result.state = codec.state
    result.trailing_data = codec.trailing_data
    try:
        result.events += codec.receive_eof()
    except RemoteProtocolError as exc:
        result.end = f"{type(exc).__name__}: {exc}"
    return result


def _receive(codec: Codec, pieces: Iterable[bytes], result: Result) -> bool:
    for piece in pieces:
        try:
            result.events += codec.receive_data(piece)
        except RemoteProtocolError as exc:
            result.events += exc.events  # type: ignore[arg-type]
            result.fault = f"{type(exc).__name__}: {exc}"
            return False
    return True


def _send(codec: Codec, step: str | Sequence[Command], result: Result) -> None:
    try:
        if step == "tls":
            codec.tls_started()
        else:
            commands = SENT[step] if isinstance(step, str) else step
            result.sent.append((commands, codec.send(*commands)))
    except LocalProtocolError as exc:
        result.refused.append(str(exc))


def is_one_line_each(commands: Sequence[Command], wire: bytes) -> bool:
    """Return whether a server sees these commands and nothing that was injected through them."""
    *lines, rest = wire.split(b"\r\n")
    injected = any(byte in line for line in lines for byte in (b"\r", b"\n", b"\0"))
    return len(lines) == len(commands) and rest == b"" and not injected


# What a strict server makes of mail data (RFC 5321 §2.3.8, §4.5.2)


def split_lines(data: bytes) -> list[bytes]:
    """Return the lines of text: CRLF, a lone CR and a lone LF each end one; the last may be cut."""
    lines: list[bytes] = []
    line = bytearray()
    position = 0
    while position < len(data):
        if data[position] in b"\r\n":
            lines.append(bytes(line))
            line.clear()
            position += 2 if data[position : position + 2] == b"\r\n" else 1
        else:
            line.append(data[position])
            position += 1
    return [*lines, bytes(line)] if line else lines


def naive_transparency(data: bytes) -> bytes:
    """Return what DATA sends, line by line."""
    stuffed = [b"." + line if line[:1] == b"." else line for line in split_lines(data)]
    return b"".join(line + b"\r\n" for line in [*stuffed, b"."])


def naive_line_endings(data: bytes) -> bytes:
    """Return what BDAT sends, line by line."""
    return b"".join(line + b"\r\n" for line in split_lines(data))


def read_mail_data(wire: bytes) -> tuple[bytes, bytes]:
    """Return the mail data without transparency, and what is behind its end."""
    received: list[bytes] = []
    position = 0
    while True:
        end = wire.index(b"\r\n", position)
        line = wire[position:end]
        if b"\r" in line or b"\n" in line:
            raise ValueError("a lone CR or LF")
        position = end + 2
        if line == b".":
            return b"".join(received), wire[position:]
        received.append(line.removeprefix(b".") + b"\r\n")


def read_chunks(wire: bytes) -> tuple[bytes, bool]:
    """Return the mail data of BDAT commands, and whether the last of them says so."""
    received = b""
    last = False
    while wire:
        line, _, wire = wire.partition(b"\r\n")
        words = line.split(b" ")
        if words[0] != b"BDAT" or last:
            raise ValueError("no chunk where one is due")
        last = words[2:] == [b"LAST"]
        size = int(words[1])
        received += wire[:size]
        wire = wire[size:]
    return received, last


def chunks(data: bytes, size: int) -> list[Command]:
    """Return mail data as BDAT commands of so many bytes."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    return [Bdat(piece, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)]


def mail_data(data: bytes, size: int) -> list[Command]:
    """Return mail data in pieces of so many bytes, with its end."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [*map(MailData, pieces), EndOfMailData()]
