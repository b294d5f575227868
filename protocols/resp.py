# cython: annotation_typing=False
"""RESP2 and RESP3, the protocol of Redis and Valkey: replies in, commands out, no I/O.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ and, for what is streamed,
https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md; both are cited by the
names of their sections.

Replies are plain values: strings are ``bytes``, integers and big numbers ``int``, doubles
``float``, booleans ``bool``, all nulls ``None``, arrays ``list``, maps ``dict``, sets ``set``;
pushes, verbatim strings and errors have the small types exported here. What stands in a map key
or a set member is hashable: a ``tuple``, a ``tuple`` of pairs, a ``frozenset``. Python finds ``1``,
``1.0`` and ``True`` equal, so there they are one.

Input is read strictly: lines end in CRLF and hold no other CR or LF; numbers follow the
specification's grammar, so ``:+5``, ``:-0`` and leading zeros are read, ``:1_0`` and ``: 1`` not.
"""

# With annotation_typing off, only resp.pxd gives C types, and both forms take the same arguments.

from __future__ import annotations

import sys
from enum import Enum
from io import BytesIO
from operator import index
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError

from . import _resp_values
from ._resp_values import BULKS, SCALARS, pack_argument
from ._resp_values import Argument as Argument
from ._resp_values import Attributed as Attributed
from ._resp_values import BulkError as BulkError
from ._resp_values import Command as Command
from ._resp_values import ErrorReply as ErrorReply
from ._resp_values import Push as Push
from ._resp_values import Reply as Reply
from ._resp_values import SimpleError as SimpleError
from ._resp_values import SimpleString as SimpleString
from ._resp_values import VerbatimString as VerbatimString
from ._resp_values import encode as encode

if TYPE_CHECKING:
    from ._buffer import Buffer
    from ._resp_values import Nested

__all__ = ["Codec", "State", "decode_text"]
__all__ += _resp_values.__all__

_CR = ord("\r")
_LF = ord("\n")
_ZERO = ord("0")

# The first bytes of the types that need telling apart here; SCALARS and BULKS have the rest.
_SIMPLE_STRING = ord("+")
_INTEGER = ord(":")
_NULL = ord("_")
_DOUBLE = ord(",")
_BULK_STRING = ord("$")
_VERBATIM_STRING = ord("=")
_ARRAY = ord("*")
_MAP = ord("%")
_SET = ord("~")
_PUSH = ord(">")
_ATTRIBUTE = ord("|")
_CHUNK = ord(";")  # Streamed strings
_END = ord(".")  # Streamed aggregated data types

_TYPES = frozenset(b"+-:_#,($!=*%~>|.")

_MAX_LIMIT = sys.maxsize // 4  # leaves room to add and to double
_MAX_DEPTH = 256  # decode_text() and the hash of a nested key recurse as deep
_ALONE = 16384
_MAX_NUMBER_KEYS = 4096
_MAX_AGGREGATE_KEYS = 64


class State(Enum):
    """What a `Codec` is ready for; ``ERROR`` is for good."""

    OPEN = "open"
    CLOSED = "closed"
    ERROR = "error"


_OPEN = State.OPEN
_CLOSED = State.CLOSED
_ERROR = State.ERROR


class _Aggregate:
    """An aggregate that has begun and not ended."""

    __slots__ = ("attributes", "hashable", "items", "kind", "parent", "remaining")

    kind: int
    items: list[Any]
    remaining: int  # elements to come; -1 when streamed
    hashable: bool  # stands in a map key or a set member
    attributes: dict[Any, Any] | None  # those that stood before it
    parent: _Aggregate | None


class Codec:
    """The RESP codec of one connection, on the client's side.

    Args:
        max_bulk_length: bytes in one bulk or streamed string.
        max_elements: elements of all aggregates of one reply together; a map pair counts two.
        max_reply_length: bytes in one reply, up to the beginning of its last element.
        max_line_length: bytes in one line, with its first byte and CRLF; at least 32.
        max_depth: aggregates inside each other; at most 256.
        keep_attributes: give `Attributed` where attributes stood before a value; else drop them.
    """

    __slots__ = (
        "_attributes",
        "_body",
        "_bulk",
        "_data",
        "_depth",
        "_elements",
        "_fault",
        "_keep_attributes",
        "_mark",
        "_max_bulk_length",
        "_max_depth",
        "_max_elements",
        "_max_line_length",
        "_max_reply_length",
        "_missing",
        "_offset",
        "_started",
        "_state",
        "_streaming",
        "_top",
        "_total",
        "_waiting",
    )

    def __init__(
        self,
        *,
        max_bulk_length: int = 512 * 1024 * 1024,
        max_elements: int = 2**24,
        max_reply_length: int = 2**30,
        max_line_length: int = 65536,
        max_depth: int = 64,
        keep_attributes: bool = False,
    ) -> None:
        self._max_bulk_length = _limit("max_bulk_length", max_bulk_length, 1, _MAX_LIMIT)
        self._max_elements = _limit("max_elements", max_elements, 1, _MAX_LIMIT)
        self._max_reply_length = _limit("max_reply_length", max_reply_length, 1, _MAX_LIMIT)
        # _parse() takes lines of up to 32 bytes without asking.
        self._max_line_length = _limit("max_line_length", max_line_length, 32, _MAX_LIMIT)
        self._max_depth = _limit("max_depth", max_depth, 1, _MAX_DEPTH)
        self._keep_attributes = bool(keep_attributes)
        self._state = _OPEN
        self._fault = RemoteProtocolError("an earlier receive_data() was interrupted")
        self._offset = 0  # where in the stream the input not parsed yet begins
        self._started = 0  # where in the stream the open aggregates begin
        self._mark = 0  # where in the stream what is being parsed begins; faults name it
        self._forget()

    @property
    def state(self) -> State:
        """``OPEN``; ``CLOSED`` after `receive_eof`; ``ERROR`` after a fault of the peer."""
        return self._state

    @property
    def trailing_data(self) -> bytes:
        """What came of a bulk or line that is not complete; empty after an error."""
        body = b"" if self._body is None else self._body.getvalue()
        return body + b"".join(self._data)

    def receive_data(self, data: Buffer) -> list[Reply]:
        """Take bytes from the peer and return the replies that they complete.

        Raises:
            RemoteProtocolError: the peer broke the protocol; ``events`` holds the replies that
                were complete before. Every later call raises it again, without events.
            MessageTooLarge: the same, because of a limit.
            LocalProtocolError: called after `receive_eof`.
        """
        if self._state is not _OPEN:
            raise self._refuse_input()
        replies: list[Any] = []
        input_bytes = data if type(data) is bytes else bytes(memoryview(data))
        self._state = _ERROR  # until all is parsed: an interrupted parse cannot go on
        try:
            self._receive(input_bytes, replies)
        except RemoteProtocolError as exc:
            self._fail(exc, replies)
            raise
        self._state = _OPEN
        return replies

    def receive_eof(self) -> list[Reply]:
        """Take the end of the peer's bytes; it completes no reply, so the list is empty.

        Raises:
            RemoteProtocolError: the end came inside a reply, or after an earlier fault.
        """
        if self._state is _ERROR:
            raise self._refuse_input()
        inside_value = self._waiting > 0 or self._bulk != 0 or self._streaming
        if inside_value or self._top is not None or self._attributes is not None:
            self._mark = self._offset + self._waiting
            fault = RemoteProtocolError("end of input inside a reply")
            self._fail(fault, [])
            raise fault
        self._state = _CLOSED
        return []

    def send(self, *messages: Command) -> bytes:
        """Return commands as arrays of bulk strings (Sending commands to a Redis server).

        Raises:
            LocalProtocolError: one of them cannot be sent, or none in this state.
        """
        return b"".join(self._pack(messages))

    def send_buffers(self, *messages: Command) -> list[Buffer]:
        """Return the same as `send` in pieces; arguments of 16 KiB and more stand alone, uncopied.

        A ``bytearray`` or ``memoryview`` among them must not change until it is written.

        Raises:
            LocalProtocolError: one of them cannot be sent, or none in this state.
        """
        return _join_small(self._pack(messages))

    def _pack(self, messages: tuple[Command, ...]) -> list[Buffer]:
        if self._state is not _OPEN:
            raise LocalProtocolError(f"nothing can be sent in state {self._state.name}")
        pieces: list[Buffer] = []
        for message in messages:
            _pack_command(message, pieces)
        return pieces

    # Faults. Whatever finds one raises it without its place, which _fail() adds from _mark.

    def _fail(self, fault: RemoteProtocolError, replies: list[Any]) -> None:
        fault.args = (f"{fault} at offset {self._mark}",)
        fault.events = replies
        self._fault = type(fault)(*fault.args)
        self._state = _ERROR
        self._forget()

    def _refuse_input(self) -> Exception:
        if self._state is _CLOSED:
            return LocalProtocolError("data received after receive_eof()")
        return type(self._fault)(*self._fault.args)

    def _forget(self) -> None:
        """Be between two replies, with no input waiting."""
        self._data: list[bytes] = []  # an unfinished line, or CRLF after a bulk, in pieces
        self._waiting = 0  # bytes in _data
        self._bulk = 0  # the type of a bulk whose header is read
        self._missing = 0  # bytes of it still to come
        self._body: BytesIO | None = None  # what came of it, or of a streamed string
        self._streaming = False  # inside a streamed string
        self._total = 0  # bytes of it
        self._top: _Aggregate | None = None  # the innermost open aggregate
        self._depth = 0
        self._elements = 0  # announced in this reply
        self._attributes: dict[Any, Any] | None = None  # those of the next value

    # Parsing

    def _receive(self, data: bytes, replies: list[Any]) -> None:
        """Join ``data`` to the input that waits, and parse."""
        if self._waiting:
            self._data.append(data)
            self._waiting += len(data)
            # An unfinished line is not joined and searched again before its end is there.
            if not self._bulk and b"\n" not in data and self._waiting < self._max_line_length:
                return
            data = b"".join(self._data)
            self._data.clear()
            self._waiting = 0
        position = self._read_body(data, 0, replies) if self._bulk else 0
        if position >= 0:
            self._parse(data, position, replies)
        # Measured by where its elements begin, so that it is the same however the bytes are cut.
        begun = self._mark if self._bulk else self._offset
        if self._top is not None and begun - self._started > self._max_reply_length:
            raise self._too_long()

    def _too_long(self) -> MessageTooLarge:
        self._mark = self._started
        return MessageTooLarge("a reply longer than max_reply_length")

    def _parse(self, data: bytes, position: int, replies: list[Any]) -> None:  # noqa: C901, PLR0915
        """Read replies from ``position`` on, and keep what is unfinished.

        One long loop, because all items pass here. It reads in place what is short, whole and
        common; the rest, faults included, is for _find_end() and _take_line().
        """
        pointer = data
        size = len(data)
        top = self._top
        while position < size:
            kind = pointer[position]
            start = position + 1
            cursor = start
            number = 0
            limit = min(start + 9, size)  # nine digits fit any C integer
            while cursor < limit and _ZERO <= pointer[cursor] <= _ZERO + 9:
                number = number * 10 + pointer[cursor] - _ZERO
                cursor += 1
            digits_end = cursor
            limit = min(start + 29, size)
            while cursor < limit and pointer[cursor] > _CR:
                cursor += 1
            after = cursor + 2
            end = 0  # of the value, once that is read
            value: Any = None
            whole = (
                after <= size
                and pointer[cursor] == _CR
                and pointer[cursor + 1] == _LF
                and not self._streaming
            )
            if not whole:
                pass
            elif kind == _SIMPLE_STRING:
                value = pointer[start:cursor]
                end = after
            elif cursor == start:
                if kind == _NULL:
                    end = after
            elif cursor == digits_end:
                if kind == _BULK_STRING:
                    if (
                        number <= self._max_bulk_length
                        and number <= size - after - 2
                        and pointer[after + number] == _CR
                        and pointer[after + number + 1] == _LF
                    ):
                        value = pointer[after : after + number]
                        end = after + number + 2
                elif kind == _INTEGER:
                    value = number
                    end = after
                elif kind == _DOUBLE:
                    value = float(number)
                    end = after
                elif kind in (_ARRAY, _MAP, _SET, _PUSH):
                    self._mark = self._offset + position
                    self._open(kind, number, replies)
                    top = self._top
                    position = after
                    continue
            if end == 0:
                self._mark = self._offset + position
                self._expect(kind)
                if not whole:
                    cursor = self._find_end(data, position)
                    if cursor < 0:
                        return
                position = self._take_line(kind, data[start:cursor], data, cursor + 2, replies)
                if position < 0:
                    return
                top = self._top
                continue
            if self._attributes is not None or (top is not None and top.remaining <= 1):
                self._mark = self._offset + position
                self._deliver(value, replies)
                top = self._top
            elif top is None:
                replies.append(value)
            else:
                top.items.append(value)
                top.remaining -= 1
            position = end
        self._wait(data, size)

    def _wait(self, data: bytes, position: int) -> None:
        """Keep what is not parsed of ``data``."""
        self._offset += position
        self._waiting = len(data) - position
        if self._waiting:
            self._data.append(data[position:])

    def _expect(self, kind: int) -> None:
        if self._streaming:
            if kind != _CHUNK:
                raise RemoteProtocolError(f"0x{kind:02x} is not the start of a chunk")
        elif kind not in _TYPES:
            raise RemoteProtocolError(f"0x{kind:02x} is not the start of a reply")

    def _find_end(self, data: bytes, position: int) -> int:
        """Return where the line at ``position`` has its CRLF, or -1 to wait."""
        end = data.find(b"\n", position, position + self._max_line_length)
        if end < 0:
            if len(data) - position >= self._max_line_length:
                raise MessageTooLarge("a line longer than max_line_length")
            self._wait(data, position)
            return -1
        if data.find(b"\r", position, end) != end - 1:
            raise RemoteProtocolError("a line with a bare CR or LF")
        return end - 1

    def _take_line(
        self, kind: int, line: bytes, data: bytes, position: int, replies: list[Any]
    ) -> int:
        """Take a whole line; return where it, or the bulk it heads, ends, or -1 to wait."""
        if kind in (_ARRAY, _MAP, _SET, _PUSH, _ATTRIBUTE):
            self._open_line(kind, line, replies)
        elif kind == _END:
            self._end_streamed(line, replies)
        elif kind == _DOUBLE and _is_decimal(line):
            self._deliver(float(line), replies)
        elif kind in SCALARS:
            self._deliver(SCALARS[kind](line), replies)
        elif self._open_bulk(kind, line, replies):
            return self._read_body(data, position, replies)
        return position

    # Bulks: bulk strings, bulk errors, verbatim strings, and the chunks of streamed strings

    def _open_bulk(self, kind: int, line: bytes, replies: list[Any]) -> bool:
        """Take a bulk's header; return whether a body follows."""
        if kind == _BULK_STRING:
            if line == b"-1":  # Null bulk strings
                self._deliver(None, replies)
                return False
            if line == b"?":
                self._streaming = True
                return False
        length = _length(line)
        if length > self._max_bulk_length - self._total:
            raise MessageTooLarge("a string longer than max_bulk_length")
        if kind == _VERBATIM_STRING and length < 4:
            raise RemoteProtocolError("a verbatim string too short for its format")
        if kind == _CHUNK:
            if length == 0:
                self._streaming = False
                self._total = 0
                self._deliver(self._take_body(), replies)
                return False
            self._total += length
        self._bulk = kind
        self._missing = length
        return True

    def _read_body(self, data: bytes, position: int, replies: list[Any]) -> int:
        """Read on in a bulk; return where it ends, or -1 to wait."""
        if self._missing:
            piece = data[position : position + self._missing]
            position += len(piece)
            self._missing -= len(piece)
            if self._body is None:
                self._body = BytesIO()
            self._body.write(piece)
        if self._missing or len(data) - position < 2:
            self._wait(data, position)
            return -1
        if data[position] != _CR or data[position + 1] != _LF:
            self._mark = self._offset + position
            raise RemoteProtocolError("a bulk that does not end in CRLF")
        kind = self._bulk
        self._bulk = 0
        if kind == _BULK_STRING:
            self._deliver(self._take_body(), replies)
        elif kind != _CHUNK:
            self._deliver(BULKS[kind](self._take_body()), replies)
        return position + 2

    def _take_body(self) -> bytes:
        body = self._body
        self._body = None
        # BytesIO gives its own buffer away, so a large string never exists twice.
        return b"" if body is None else body.getvalue()

    # Aggregates

    def _open_line(self, kind: int, line: bytes, replies: list[Any]) -> None:
        """Take the header of an aggregate."""
        if kind == _ARRAY and line == b"-1":  # Null arrays
            self._deliver(None, replies)
        elif line == b"?" and kind not in (_PUSH, _ATTRIBUTE):
            self._open(kind, -1, replies)
        else:
            self._open(kind, _length(line), replies)

    def _open(self, kind: int, count: int, replies: list[Any]) -> None:
        """Begin an aggregate of ``count`` elements or pairs, -1 if streamed."""
        in_pairs = kind in (_MAP, _ATTRIBUTE)
        if self._depth >= self._max_depth:
            raise MessageTooLarge("aggregates nested deeper than max_depth")
        if count > 0:
            if in_pairs:
                count *= 2
            self._count(count)
        parent = self._top
        if parent is None and self._attributes is None:
            self._started = self._mark
        if parent is not None and kind == _PUSH:
            raise RemoteProtocolError("a push inside another reply")
        top = _Aggregate()
        top.kind = kind
        top.items = []
        top.remaining = count
        top.hashable = kind != _ATTRIBUTE and parent is not None and _in_key(parent)
        top.attributes = self._attributes
        top.parent = parent
        self._attributes = None
        self._top = top
        self._depth += 1
        if count == 0:
            self._end(top, replies)

    def _count(self, elements: int) -> None:
        if elements > self._max_elements - self._elements:
            raise MessageTooLarge("a reply of more than max_elements")
        self._elements += elements

    def _end_streamed(self, line: bytes, replies: list[Any]) -> None:
        top = self._top
        if line or top is None or top.remaining >= 0 or self._attributes is not None:
            raise RemoteProtocolError("an end of a streamed aggregate out of place")
        if top.kind == _MAP and len(top.items) % 2:
            raise RemoteProtocolError("a streamed map that ends after a key")
        self._end(top, replies)

    def _end(self, top: _Aggregate, replies: list[Any]) -> None:
        value = self._close(top)
        if top.kind != _ATTRIBUTE:
            self._deliver(value, replies)

    def _deliver(self, value: Any, replies: list[Any]) -> None:
        """Put a value in its place, and end the aggregates that it completes."""
        while True:
            if self._attributes is not None:
                if self._keep_attributes:
                    value = Attributed(value, self._attributes)
                self._attributes = None
            top = self._top
            if top is None:
                replies.append(value)
                self._elements = 0
                return
            if top.remaining < 0:
                self._count(1)
                top.items.append(value)
                return
            top.items.append(value)
            top.remaining -= 1
            if top.remaining:
                return
            value = self._close(top)
            if top.kind == _ATTRIBUTE:
                return

    def _close(self, top: _Aggregate) -> Any:
        """Take the innermost aggregate away and return its value; attributes wait for theirs."""
        if top.parent is None and self._mark - self._started > self._max_reply_length:
            raise self._too_long()
        self._top = top.parent
        self._depth -= 1
        self._attributes = top.attributes
        items = top.items
        if top.kind == _ARRAY:
            return tuple(items) if top.hashable else items
        if top.kind == _SET:
            _check_keys(items)
            return frozenset(items) if top.hashable else set(items)
        if top.kind == _PUSH:
            return _push(items)
        if top.kind == _ATTRIBUTE and not self._keep_attributes:
            self._attributes = {}  # that there were some is all that counts
            return None
        _check_keys(items[::2])
        pairs: dict[Any, Any] = {}
        for number in range(0, len(items), 2):
            pairs[items[number]] = items[number + 1]
        if top.kind == _MAP:
            return tuple(pairs.items()) if top.hashable else pairs
        if top.attributes is None:
            self._attributes = pairs
        else:
            if len(top.attributes) + len(pairs) > _MAX_NUMBER_KEYS:
                raise MessageTooLarge("too many attributes of one value")
            top.attributes.update(pairs)
            self._attributes = top.attributes
        return None


def _check_keys(items: list[Any]) -> None:
    """Refuse many keys whose hashes a server can choose: they would make a dict quadratic.

    The hashes of strings are salted; those of numbers are not, and aggregates take long to compare.
    """
    if len(items) <= _MAX_AGGREGATE_KEYS:
        return
    numbers = 0
    aggregates = 0
    for item in items:
        kind = type(item)  # pyright: ignore[reportUnknownVariableType]
        if kind is int or kind is float:
            numbers += 1
        elif kind is tuple or kind is frozenset or kind is Attributed:
            aggregates += 1
    if numbers > _MAX_NUMBER_KEYS or aggregates > _MAX_AGGREGATE_KEYS:
        raise MessageTooLarge("a map or set with too many keys that are numbers or aggregates")


def _limit(name: str, value: int, lowest: int, highest: int) -> int:
    number = index(value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name} must be from {lowest} to {highest}")
    return number


def _length(line: bytes) -> int:
    """Return a length or count; one that is out of all limits as more than any allows."""
    if not line.isdigit():
        raise RemoteProtocolError("a length that is not decimal digits")
    digits = line.lstrip(b"0")
    return min(int(digits or b"0"), _MAX_LIMIT + 1) if len(digits) < 20 else _MAX_LIMIT + 1


def _is_decimal(text: bytes) -> bool:
    """Return whether ``text`` is a finite double (Doubles); float() would take more than those."""
    pointer = text
    size = len(text)
    cursor = _after_digits(text, 0, True)
    if 0 < cursor < size and pointer[cursor] in b".":
        cursor = _after_digits(text, cursor + 1, False)
    if 0 < cursor < size and pointer[cursor] in b"eE":
        cursor = _after_digits(text, cursor + 1, True)
    return cursor == size


def _after_digits(text: bytes, cursor: int, signed: bool) -> int:
    """Return where the digits at ``cursor`` end, or -1 if there are none."""
    pointer = text
    size = len(text)
    if signed and cursor < size and pointer[cursor] in b"+-":
        cursor += 1
    start = cursor
    while cursor < size and _ZERO <= pointer[cursor] <= _ZERO + 9:
        cursor += 1
    return cursor if cursor > start else -1


def _in_key(parent: _Aggregate) -> bool:
    """Return whether the next item of ``parent`` stands in a map key or a set member."""
    if parent.hashable or parent.kind == _SET:
        return True
    in_pairs = parent.kind in (_MAP, _ATTRIBUTE)
    return in_pairs and len(parent.items) % 2 == 0


def _push(items: list[Any]) -> Push:
    # Pushes: "the first element of the array is always a String item".
    kind = items[0] if items else None
    if not isinstance(kind.value if isinstance(kind, Attributed) else kind, bytes):
        raise RemoteProtocolError("a push that does not begin with a string")
    return Push(items)


# Commands

_COUNTS = tuple(b"*%d" % count for count in range(64))
_LENGTHS = tuple(b"\r\n$%d\r\n" % length for length in range(1024))


def _pack_command(message: Command, pieces: list[Buffer]) -> None:
    """Add a command: its count, then a length and a body for each argument."""
    if isinstance(message, (str, bytes, bytearray, memoryview)):
        raise LocalProtocolError("a command is a sequence of arguments, not one string")
    count = len(message)
    if count == 0:
        raise LocalProtocolError("a command without arguments")
    pieces.append(_COUNTS[count] if count < 64 else b"*%d" % count)
    number = -1  # the command's name is its argument 0
    try:
        for argument in message:
            number += 1
            body: Buffer
            if type(argument) is bytes:
                body = argument
            elif type(argument) is str:
                body = argument.encode()
            else:
                body = pack_argument(argument)
            length = len(body)
            pieces.append(_LENGTHS[length] if length < 1024 else b"\r\n$%d\r\n" % length)
            pieces.append(body)
    except UnicodeEncodeError:  # its message would show the argument
        raise LocalProtocolError(f"argument {number} is not valid Unicode") from None
    except LocalProtocolError as exc:
        raise LocalProtocolError(f"argument {number} is {exc}") from None
    pieces.append(b"\r\n")


def _join_small(pieces: list[Buffer]) -> list[Buffer]:
    """Join pieces up to, and between, those that are large enough to stand alone."""
    buffers: list[Buffer] = []
    start = 0
    for number in range(len(pieces)):
        piece = pieces[number]
        if len(piece) >= _ALONE:
            buffers.append(b"".join(pieces[start:number]))
            buffers.append(piece)
            start = number + 1
    buffers.append(b"".join(pieces[start:] if start else pieces))
    return buffers


# Text


def decode_text(reply: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """Return a reply with its ``bytes`` decoded; lists are changed in place, errors left alone.

    Raises:
        UnicodeDecodeError: bytes are not text; lists may then be decoded in part.
    """
    value: Nested = reply
    if isinstance(value, list):
        if type(value) is list:
            return _decode_list(value, encoding, errors)
        value[:] = _decode_list([*value], encoding, errors)  # a push
    elif isinstance(value, bytes):
        return value.decode(encoding, errors)
    elif isinstance(value, dict):
        keys = _decode_list([*value], encoding, errors)
        texts = _decode_list([*value.values()], encoding, errors)
        return dict(zip(keys, texts, strict=True))
    elif isinstance(value, (tuple, set, frozenset)):
        return type(value)(_decode_list([*value], encoding, errors))
    elif isinstance(value, Attributed):
        text = decode_text(value.value, encoding, errors)
        return Attributed(text, decode_text(value.attributes, encoding, errors))
    return value


def _decode_list(items: list[Any], encoding: str, errors: str) -> list[Any]:
    default = encoding == "utf-8" and errors == "strict"
    for number in range(len(items)):
        item = items[number]
        if type(item) is not bytes:
            items[number] = decode_text(item, encoding, errors)
        elif default:
            text = item
            items[number] = text.decode("utf-8")
        else:
            items[number] = item.decode(encoding, errors)
    return items
