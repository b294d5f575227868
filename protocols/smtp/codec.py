"""The codec of one connection to an SMTP, submission or LMTP server, on the client's side.

It knows which reply is due to each command sent, so whatever the server says out of turn is a
fault, and what may not be pipelined (RFC 2920) cannot be sent.
"""

from __future__ import annotations

import re
import sys
from operator import index
from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError

from ._capabilities import read_capabilities
from ._replies import Reply, decode_challenge
from ._requests import (
    CANCELLED,
    GREETING,
    HELLOS,
    LAST_CHUNK,
    MAIL_DATA,
    Requests,
    State,
)

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["Codec"]

# The second digit is not held to 0-5 (RFC 5321 §4.2), because servers refuse mail with 571.
# Text is printable ASCII and HT; bytes beyond ASCII are let in for servers that speak their
# owner's language.
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([\t -~\x80-\xff]*))?\r\n")
_LENIENT_LINE = re.compile(_LINE.pattern.replace(rb"\r\n", rb"\r?\n"))
_BEGINNING = re.compile(rb"[2-5][0-9][0-9](?:[ -]|\Z)")

_MAX_LINES = 1024  # of a reply

_OPEN = State.OPEN
_TLS = State.TLS
_CLOSED = State.CLOSED
_ERROR = State.ERROR

_FINAL = frozenset({MAIL_DATA, LAST_CHUNK})


class Codec(Requests):
    r"""The codec of one connection, on the client's side.

    Replies are ASCII, and UTF-8 where the server offers SMTPUTF8 (RFC 6531 §3.7.4). Other bytes,
    and characters that do not print, are shown as ``\xe4``.

    Args:
        lmtp: speak LMTP (RFC 2033), where each accepted recipient has a reply to the mail data.
        allow_bare_lf: take lines that end in LF without CR.
        max_line_length: bytes in one line of a reply, with CRLF (a challenge may have many).
        max_reply_length: bytes in one reply, not less than those in a line. It may have 1024 lines.
    """

    __slots__ = (
        "_closing",
        "_code",
        "_data",
        "_ended",
        "_fault",
        "_length",
        "_line",
        "_lines",
        "_mark",
        "_max_line_length",
        "_max_reply_length",
        "_offset",
        "_remaining",
        "_unasked",
        "_waiting",
    )

    def __init__(
        self,
        *,
        lmtp: bool = False,
        allow_bare_lf: bool = False,
        max_line_length: int = 12288,
        max_reply_length: int = 65536,
    ) -> None:
        self._line = _LENIENT_LINE if allow_bare_lf else _LINE
        self._max_line_length = _limit("max_line_length", max_line_length, 16)
        self._max_reply_length = _limit("max_reply_length", max_reply_length, max_line_length)
        super().__init__(lmtp=bool(lmtp))
        self._ended = False  # receive_eof() was called
        self._fault = RemoteProtocolError("an earlier receive_data() was interrupted")
        self._offset = 0  # where in the stream the input not parsed yet begins
        self._mark = 0  # where in the stream what is being parsed begins; faults name it
        self._closing = False  # the reply being read is the last one
        self._remaining = 0  # replies to come for the first that is due, if it has several
        self._forget()

    @property
    def trailing_data(self) -> bytes:
        """What came of a line that is not complete; empty after an error."""
        return b"".join(self._data)

    def tls_started(self) -> None:
        """Begin anew inside TLS, and forget what the server said before (RFC 3207 §4.2).

        Raises:
            LocalProtocolError: no 220 to STARTTLS came last.
        """
        if self._state is not _TLS:
            raise LocalProtocolError(f"TLS cannot start in state {self._state.name}")
        self._capabilities = None
        self._pipelining = False
        self._accepted = 0
        self._state = _OPEN

    # Input

    def receive_data(self, data: Buffer) -> list[Reply]:
        """Take bytes from the server and return the replies that they complete.

        A 421 is given wherever it comes, and so is a 4yz or 5yz in the middle of the mail data;
        that is the end, and what follows is dropped.

        Raises:
            RemoteProtocolError: the server broke the protocol; ``events`` holds the replies that
                were complete before. Every later call raises it again, without events.
            MessageTooLarge: the same, because of a limit.
            LocalProtocolError: called after `receive_eof`.
        """
        state = self._state
        if state is _ERROR or self._ended:
            raise self._refuse_input()
        replies: list[Reply] = []
        input_bytes = data if type(data) is bytes else bytes(memoryview(data))
        self._state = _ERROR  # until all is parsed: an interrupted parse cannot go on
        try:
            self._state = self._receive(input_bytes, state, replies)
        except RemoteProtocolError as exc:
            self._fail(exc, replies)
            raise
        return replies

    def receive_eof(self) -> list[Reply]:
        """Take the end of the server's bytes; it completes no reply, so the list is empty.

        Raises:
            RemoteProtocolError: the end came inside a reply or the mail data, or where a reply
                other than that to QUIT was due, or after an earlier fault.
        """
        if self._state is _ERROR:
            raise self._refuse_input()
        if self._state is not _CLOSED:
            place = self._unfinished()
            if place is not None:
                self._mark = self._offset + self._waiting
                fault = RemoteProtocolError(f"end of input {place}")
                self._fail(fault, [])
                raise fault
        self._state = _CLOSED
        self._ended = True
        self._forget()
        return []

    def _unfinished(self) -> str | None:
        if self._waiting or self._lines:
            return "inside a reply"
        if self._due:
            return None if self._due[0] == "QUIT" else f"where the reply to {self._due[0]} is due"
        return "inside the mail data" if self._state is State.MAIL_DATA else None

    def _fail(self, fault: RemoteProtocolError, replies: list[Reply]) -> None:
        fault.args = (f"{fault} at offset {self._mark}",)
        fault.events = [*replies]
        self._fault = type(fault)(*fault.args)
        self._state = _ERROR
        self._forget()

    def _refuse_input(self) -> Exception:
        if self._state is _CLOSED:
            return LocalProtocolError("data received after receive_eof()")
        return type(self._fault)(*self._fault.args)

    def _forget(self) -> None:
        """Be between two replies, with no input waiting."""
        self._data: list[bytes] = []  # an unfinished line in pieces
        self._waiting = 0  # bytes in _data
        self._lines: list[str] = []  # of an unfinished reply
        self._code = b""  # of it
        self._length = 0  # bytes of it
        self._unasked: State | None = None  # where the unfinished line began, if none was due

    # Parsing

    def _receive(self, data: bytes, state: State, replies: list[Reply]) -> State:
        """Join ``data`` to the input that waits, read replies, and return the new state."""
        if state is _CLOSED or not data:
            return state
        if self._waiting:
            self._data.append(data)
            self._waiting += len(data)
            # An unfinished line is not joined and searched again before its end is there.
            if b"\n" not in data and self._waiting < self._max_line_length:
                return state
            data = b"".join(self._data)
            self._data.clear()
            self._waiting = 0
        match = self._line.match
        size = len(data)
        position = 0
        while position < size:
            self._mark = self._offset + position
            if state is _TLS:
                # In clear, it may be injected to be taken for what TLS protects (CVE-2011-0411).
                raise RemoteProtocolError("data behind the 220 to STARTTLS")
            found = match(data, position)
            if found is None or found.end() - position > self._max_line_length:
                self._check_unfinished(data, position)
                break
            end = found.end()
            code, separator, text = found.groups(b"")
            line = text.decode("ascii") if text.isascii() else self._decode(text)
            if not self._lines and (self._unasked is not None or not self._due):
                self._check_unasked(code, state)
            if self._lines or separator == b"-":
                self._add_line(code, line, end - position)
            position = end
            if separator == b"-":
                continue
            reply = Reply(int(code), self._take_lines() if self._lines else (line,))
            state = self._take(reply, state)
            replies.append(reply)
            if state is _CLOSED:
                position = size
        self._offset += position
        self._waiting = size - position
        if self._waiting:
            self._unasked = None if self._due or self._lines else state
            self._data.append(data[position:])
        return state

    def _check_unfinished(self, data: bytes, position: int) -> None:
        """Raise unless more bytes may make a line of what is at ``position``."""
        end = data.find(b"\n", position, position + self._max_line_length)
        if end >= 0:
            line = data[position : end + 1]
            raise _malformed(line, allow_bare_lf=self._line is _LENIENT_LINE)
        if len(data) - position >= self._max_line_length:
            raise MessageTooLarge("a line longer than max_line_length")

    def _decode(self, text: bytes) -> str:
        """Return text that is not ASCII."""
        if self._capabilities is None or not self._capabilities.smtputf8:
            return text.decode("ascii", "backslashreplace")
        return _printable(text.decode("utf-8", "backslashreplace"))

    def _check_unasked(self, code: bytes, state: State) -> None:
        """Look at the first line of a reply that began when none was due."""
        began = state if self._unasked is None else self._unasked
        # Not every server waits for the end of mail data that it refuses.
        if code != b"421" and not (began is State.MAIL_DATA and code >= b"400"):
            raise RemoteProtocolError(f"a reply {code.decode()} that nobody waits for")
        self._unasked = None
        self._closing = True

    def _add_line(self, code: bytes, line: str, length: int) -> None:
        """Keep a line of a reply of several."""
        if not self._lines:
            self._code = code
        elif code != self._code:
            raise RemoteProtocolError("a reply whose lines have different codes")
        self._lines.append(line)
        self._length += length
        if self._length > self._max_reply_length or len(self._lines) > _MAX_LINES:
            raise MessageTooLarge("a reply longer than max_reply_length, or of too many lines")

    def _take_lines(self) -> tuple[str, ...]:
        lines = tuple(self._lines)
        self._lines.clear()
        self._length = 0
        return lines

    # Replies

    def _take(self, reply: Reply, state: State) -> State:
        """Take the reply to what is due first, and return the new state."""
        code = reply.code
        if code == 421 or self._closing:  # RFC 5321 §3.8
            self._due.clear()
            return _CLOSED
        verb = self._due[0]
        if 300 <= code < 400:
            return self._go_on(verb, reply)
        if verb == "RCPT":
            self._accepted += code < 300
        elif verb == "MAIL" and code < 300:
            self._accepted = 0
        elif verb in _FINAL:
            return self._take_final(state)
        elif verb == "QUIT":
            state = _CLOSED
        elif verb == GREETING:
            state = _OPEN
        elif code < 300:
            state = self._succeed(verb, reply, state)
        elif verb == "BDAT":  # "the message should be considered failed" (RFC 3030 §2)
            self._accepted = 0
        self._due.popleft()
        return state

    def _go_on(self, verb: str, reply: Reply) -> State:
        """Take a 3yz."""
        if reply.code == 354 and verb == "DATA":
            state = State.MAIL_DATA
        elif reply.code == 334 and verb == "AUTH":
            decode_challenge(reply.lines)
            state = State.AUTH
        else:
            raise _wrong(reply.code, verb)
        self._due.popleft()
        return state

    def _take_final(self, state: State) -> State:
        """Take a reply to the mail data; in LMTP one per accepted recipient (RFC 2033 §4.2)."""
        if self._lmtp and self._remaining == 0:
            self._remaining = max(self._accepted, 1)
        if self._remaining > 1:
            self._remaining -= 1
        else:
            self._remaining = 0
            self._accepted = 0
            self._due.popleft()
        return state

    def _succeed(self, verb: str, reply: Reply, state: State) -> State:
        """Take a 2yz that changes what comes next."""
        if verb == "RSET":
            self._accepted = 0
        elif verb in HELLOS:
            self._accepted = 0
            # The text of HELO's reply is free (RFC 5321 §4.1.1.1).
            told = Reply(reply.code, reply.lines[:1]) if verb == "HELO" else reply
            self._capabilities = read_capabilities(told)
            self._pipelining = self._capabilities.pipelining
        elif verb == "STARTTLS":
            if reply.code != 220:
                raise _wrong(reply.code, verb)
            return _TLS
        elif verb == "DATA" or verb == CANCELLED:
            raise _wrong(reply.code, verb)
        return state


def _printable(text: str) -> str:
    """Return text with escapes for what a terminal does not show."""
    if text.replace("\t", "").isprintable():
        return text
    return "".join(
        char if char == "\t" or char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def _malformed(line: bytes, *, allow_bare_lf: bool) -> RemoteProtocolError:
    """Return the error for a whole line that is none of a reply's."""
    text = line[:-1].removesuffix(b"\r")
    if b"\r" in text or not (allow_bare_lf or line.endswith(b"\r\n")):
        return RemoteProtocolError("a line with a bare CR or LF")
    if _BEGINNING.match(text) is None:
        return RemoteProtocolError("a line that does not begin with a reply code")
    return RemoteProtocolError("a line with a control character")


def _wrong(code: int, verb: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"a {code} in reply to {verb}")


def _limit(name: str, value: int, lowest: int) -> int:
    number = index(value)
    if not lowest <= number <= sys.maxsize // 4:
        raise ValueError(f"{name} must be from {lowest} to {sys.maxsize // 4}")
    return number
