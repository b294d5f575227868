"""What is sent to the server, and which replies are due for it."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError

from ._body import LineEndings, Transparency
from ._commands import (
    AuthCancel,
    AuthResponse,
    Bdat,
    Command,
    Data,
    EndOfMailData,
    Mail,
    MailData,
)

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._capabilities import Capabilities

__all__ = ["CANCELLED", "GREETING", "HELLOS", "LAST_CHUNK", "MAIL_DATA", "Requests", "State"]

# What is due is named by the verb of what it answers, and by these.
GREETING = "the greeting"
MAIL_DATA = EndOfMailData.verb
LAST_CHUNK = "the last BDAT"
CANCELLED = AuthCancel.verb

HELLOS = frozenset({"EHLO", "LHLO", "HELO"})
# All others may only end a group: RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4.
_MAY_BE_FOLLOWED = frozenset({"MAIL", "RCPT", "RSET", "BDAT", LAST_CHUNK, MAIL_DATA})

_ALONE = 16384


class State(Enum):
    """What a `Codec` is ready for; ``ERROR`` is for good."""

    GREETING = "greeting"
    OPEN = "open"
    AUTH = "auth"  # after a 334: AuthResponse or AuthCancel
    MAIL_DATA = "mail data"  # after a 354: MailData and EndOfMailData
    TLS = "tls"  # after the 220 to STARTTLS: the handshake, then tls_started()
    CLOSED = "closed"  # after receive_eof(), the reply to QUIT, 421, or a refusal in the mail data
    ERROR = "error"


_OPEN = State.OPEN

_SENT_IN: dict[type[Command], State] = {
    AuthResponse: State.AUTH,
    AuthCancel: State.AUTH,
    MailData: State.MAIL_DATA,
    EndOfMailData: State.MAIL_DATA,
}

_BODIES = frozenset({MailData, EndOfMailData, Bdat})

# Where among the other pieces mail data stands; the data; its encoder, None if it is sent as it
# is; whether it ends there; and whether it is a chunk.
_Body = tuple[int, "Buffer", LineEndings | None, bool, bool]


class Requests:
    """The sending half of `codec.Codec`; the other half takes from what is due."""

    __slots__ = (
        "_accepted",
        "_capabilities",
        "_chunks",
        "_due",
        "_encoder",
        "_lmtp",
        "_pipelining",
        "_smtputf8",
        "_state",
        "_verbatim",
    )

    def __init__(self, *, lmtp: bool) -> None:
        self._lmtp = lmtp
        self._state = State.GREETING
        self._due: deque[str] = deque([GREETING])
        self._capabilities: Capabilities | None = None
        self._pipelining = False  # one of them
        self._accepted = 0  # recipients of the transaction whose replies are being read
        self._smtputf8 = False  # the last MAIL sent says so
        self._verbatim: bool = False  # the last MAIL sent says BODY=BINARYMIME
        self._encoder = Transparency()  # of DATA
        self._chunks: LineEndings | None = None  # of BDAT, in this transaction

    @property
    def state(self) -> State:
        """See `State`."""
        return self._state

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers, by its reply to the last EHLO or HELO; None before it."""
        return self._capabilities

    def send(self, *commands: Command) -> bytes:
        """Return commands and mail data as they stand on the wire.

        Raises:
            LocalProtocolError: one of them cannot be sent, or not now; then none of them is.
        """
        return b"".join(self._pack(commands))

    def send_buffers(self, *commands: Command) -> list[Buffer]:
        """Return the same as `send` in pieces; 16 KiB and more of mail data stand alone, uncopied.

        A ``bytearray`` or ``memoryview`` in a `Bdat` must not change until it is written.

        Raises:
            LocalProtocolError: one of them cannot be sent, or not now; then none of them is.
        """
        return _join_small(self._pack(commands))

    def _pack(self, commands: tuple[Command, ...]) -> list[Buffer]:
        pieces: list[Buffer] = []
        bodies: list[_Body] = []
        before = (self._state, self._smtputf8, self._verbatim, self._chunks)
        due = len(self._due)
        try:
            for command in commands:
                self._add(command, pieces, bodies)
        except BaseException:
            self._state, self._smtputf8, self._verbatim, self._chunks = before
            while len(self._due) > due:
                self._due.pop()
            raise
        if not bodies:
            return pieces
        # Only now, because it changes the encoders.
        encoded: list[Buffer] = []
        start = 0
        for place, data, encoder, ends, chunk in bodies:
            encoded += pieces[start:place]
            encoded += _encode_body(data, encoder, ends=ends, chunk=chunk)
            start = place
        encoded += pieces[start:]
        return encoded

    def _add(self, command: Command, pieces: list[Buffer], bodies: list[_Body]) -> None:
        verb = command.verb
        kind = type(command)
        if self._state is not _SENT_IN.get(kind, _OPEN):
            raise LocalProtocolError(f"{verb} cannot be sent in state {self._state.name}")
        if self._due and not (self._pipelining and self._due[-1] in _MAY_BE_FOLLOWED):
            reason = "" if self._pipelining else " without PIPELINING"
            raise LocalProtocolError(f"{verb} before the reply to {self._due[-1]}{reason}")
        if kind in _BODIES:
            verb = self._add_body(command, len(pieces), bodies)
            if kind is MailData:
                return
        else:
            if isinstance(command, Mail):
                self._begin_transaction(command)
            elif kind is Data and self._verbatim:
                raise LocalProtocolError("DATA after BODY=BINARYMIME, which needs BDAT")
            elif verb in HELLOS and (verb == "LHLO") is not self._lmtp:
                raise LocalProtocolError(f"{verb} is not for this protocol")
            pieces.append(command.encode(smtputf8=self._smtputf8))
        self._state = _OPEN
        self._due.append(verb)

    def _add_body(self, command: Command, place: int, bodies: list[_Body]) -> str:
        """Remember mail data to be encoded, and return what is due for it."""
        if isinstance(command, Bdat):
            if command.last and self._lmtp:
                self._check_last_chunk()
            if self._chunks is None and not self._verbatim:
                self._chunks = LineEndings()
            data = _buffer(command.data) if self._verbatim else _text(command.data)
            bodies.append((place, data, self._chunks, command.last, True))
            return LAST_CHUNK if command.last else command.verb
        if isinstance(command, MailData):
            bodies.append((place, _text(command.data), self._encoder, False, False))
        else:
            bodies.append((place, b"", self._encoder, True, False))
        return MAIL_DATA

    def _check_last_chunk(self) -> None:
        """Check that LMTP's replies to the last chunk can be counted (RFC 2033 §4.3).

        There is none if no recipient was accepted, so that must be known.
        """
        if not self._accepted or any(verb != "BDAT" for verb in self._due):
            raise LocalProtocolError("the last BDAT before the replies to RCPT accept a recipient")

    def _begin_transaction(self, mail: Mail) -> None:
        if self._capabilities is None:  # RFC 5321 §4.1.4
            raise LocalProtocolError("MAIL before EHLO or HELO")
        self._smtputf8 = mail.has("SMTPUTF8")
        self._verbatim = mail.has("BODY", "BINARYMIME")
        self._chunks = None


def _buffer(data: Buffer) -> Buffer:
    """Return what has a length in bytes."""
    return data if type(data) is bytes else memoryview(data).cast("B")


def _text(data: Buffer) -> bytes:
    """Return what is sent as text.

    NUL is forbidden in it (RFC 2045 §2.7, §2.8), and a server that drops it sees other lines.
    """
    text = data if type(data) is bytes else bytes(memoryview(data))
    if b"\0" in text:
        raise LocalProtocolError(
            "a null character in the mail data, which only BINARYMIME may hold"
        )
    return text


def _encode_body(
    data: Buffer, encoder: LineEndings | None, *, ends: bool, chunk: bool
) -> list[Buffer]:
    """Return mail data as on the wire, behind BDAT if it is a chunk."""
    pieces = [data if encoder is None else encoder.feed(data)]
    if ends and encoder is not None:
        pieces.append(encoder.end())
    if chunk:
        last = b" LAST" if ends else b""
        pieces.insert(0, b"BDAT %d%b\r\n" % (sum(map(len, pieces)), last))
    return pieces


def _join_small(pieces: list[Buffer]) -> list[Buffer]:
    """Join pieces up to, and between, those that are large enough to stand alone."""
    buffers: list[Buffer] = []
    start = 0
    for number, piece in enumerate(pieces):
        if len(piece) >= _ALONE:
            buffers += [b"".join(pieces[start:number]), piece]
            start = number + 1
    buffers.append(b"".join(pieces[start:]))
    return [buffer for buffer in buffers if buffer]
