# cython: annotation_typing=False
"""RESP2 and RESP3, the protocol of Redis and Valkey: replies in, commands out, no I/O.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ and, for what streams,
https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md; both are cited by the
names of their sections.

Replies are plain values: strings are ``bytes``, integers and big numbers ``int``, doubles
``float``, booleans ``bool``, all nulls ``None``, arrays ``list``, maps ``dict``, sets ``set``;
pushes, verbatim strings and errors have the small types exported here. Python finds ``1``, ``1.0``
and ``True`` equal, so as map keys or set members they are one.

Read strictly: lines end in CRLF and hold no other CR or LF; numbers follow the grammar of the
specification, so ``:+5``, ``:-0`` and leading zeros are read, spaces and underscores are not.
"""

# With annotation_typing off, only resp.pxd gives C types, and both forms take the same arguments.

from __future__ import annotations

import sys
from enum import Enum
from operator import index
from typing import Any

from .._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from . import _resp_values
from ._buffer import Buffer
from ._resp_values import (
    SCALARS,
    Argument,
    Attributed,
    BulkError,
    Command,
    ErrorReply,
    Push,
    Reply,
    SimpleError,
    SimpleString,
    VerbatimString,
    encode,
)

__all__ = ["Codec", "State", "decode_text"]
__all__ += _resp_values.__all__

_CR = ord("\r")
_LF = ord("\n")
_ZERO = ord("0")

# The first bytes of the types (RESP protocol description, and Streamed strings and aggregates).
_SIMPLE_STRING = ord("+")
_SIMPLE_ERROR = ord("-")
_INTEGER = ord(":")
_NULL = ord("_")
_BOOLEAN = ord("#")
_DOUBLE = ord(",")
_BIG_NUMBER = ord("(")
_BULK_STRING = ord("$")
_BULK_ERROR = ord("!")
_VERBATIM_STRING = ord("=")
_ARRAY = ord("*")
_MAP = ord("%")
_SET = ord("~")
_PUSH = ord(">")
_ATTRIBUTE = ord("|")
_CHUNK = ord(";")
_END = ord(".")

_TYPES = frozenset(b"+-:_#,($!=;*%~>|.")

_MAX_LIMIT = sys.maxsize // 4  # leaves room to add and to double
_MAX_DEPTH = 256  # decode_text() and the hash of a nested key recurse as deep
_SMALL_PIECE = 4096
_ALONE = 16384


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
        max_line_length: bytes in one line, with its first byte and CRLF; at least 32.
        max_depth: aggregates inside each other; at most 256.
        keep_attributes: give `Attributed` where attributes stood before a value; else drop them.
    """

    __slots__ = (
        "_attributes",
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
        "_missing",
        "_offset",
        "_pieces",
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
        max_line_length: int = 65536,
        max_depth: int = 64,
        keep_attributes: bool = False,
    ) -> None:
        self._max_bulk_length = _limit("max_bulk_length", max_bulk_length, 1, _MAX_LIMIT)
        self._max_elements = _limit("max_elements", max_elements, 1, _MAX_LIMIT)
        # The short cuts in _parse() take lines of up to 32 bytes without asking.
        self._max_line_length = _limit("max_line_length", max_line_length, 32, _MAX_LIMIT)
        self._max_depth = _limit("max_depth", max_depth, 1, _MAX_DEPTH)
        self._keep_attributes = bool(keep_attributes)
        self._state = _OPEN
        self._fault: RemoteProtocolError | None = None
        self._offset = 0  # where in the stream unparsed input begins
        self._mark = 0  # where in the stream the line in hand begins, for errors
        self._forget()

    @property
    def state(self) -> State:
        """``OPEN``; ``CLOSED`` after `receive_eof`; ``ERROR`` after a fault of the peer."""
        return self._state

    @property
    def trailing_data(self) -> bytes:
        """What came of a bulk or line that is not complete; empty after an error."""
        return b"".join(self._pieces + self._data)

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
        self._state = _ERROR  # until all of it is parsed: an interrupted parse cannot go on
        try:
            self._receive(data if type(data) is bytes else bytes(memoryview(data)), replies)
        except RemoteProtocolError as exc:
            exc.events = replies
            self._fail(exc)
            raise
        self._state = _OPEN
        return replies

    def receive_eof(self) -> list[Reply]:
        """Take the end of the peer's bytes; nothing is left to return.

        Raises:
            RemoteProtocolError: the end came inside a reply, or after an earlier fault.
        """
        if self._state is _ERROR:
            raise self._refuse_input()
        if (
            self._data
            or self._bulk
            or self._streaming
            or self._top is not None
            or self._attributes is not None
        ):
            self._mark = self._offset + self._waiting
            fault = self._malformed("end of input inside a reply")
            self._fail(fault)
            raise fault
        self._state = _CLOSED
        return []

    def send(self, message: Command) -> bytes:
        """Return one command as an array of bulk strings (Sending commands to a Redis server).

        Raises:
            LocalProtocolError: it cannot be sent, or not in this state.
        """
        return b"".join(self._pack(message))

    def send_buffers(self, message: Command) -> list[Buffer]:
        """Return the same as `send` in pieces; arguments of 16 KiB and more stand alone, uncopied.

        A ``bytearray`` or ``memoryview`` among them must not change until it is written.

        Raises:
            LocalProtocolError: it cannot be sent, or not in this state.
        """
        buffers: list[Buffer] = []
        small: list[Buffer] = []
        for piece in self._pack(message):
            if len(piece) < _ALONE:
                small.append(piece)
            else:
                buffers.append(b"".join(small))
                buffers.append(piece)
                small.clear()
        buffers.append(b"".join(small))
        return buffers

    def _pack(self, message: Command) -> list[Buffer]:
        if self._state is not _OPEN:
            raise LocalProtocolError(f"nothing can be sent in state {self._state.name}")
        return _pack_command(message)

    # Errors

    def _malformed(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{what} at offset {self._mark}")

    def _too_large(self, what: str) -> RemoteProtocolError:
        return MessageTooLarge(f"{what} at offset {self._mark}")

    def _fail(self, fault: RemoteProtocolError) -> None:
        self._state = _ERROR
        self._fault = type(fault)(*fault.args)
        self._forget()

    def _forget(self) -> None:
        """Be between two replies, with no input waiting."""
        self._data: list[bytes] = []  # an unfinished line, or CRLF after a bulk, in pieces
        self._waiting = 0  # bytes in _data
        self._bulk = 0  # the type of a bulk whose header is read
        self._missing = 0  # bytes of it still to come
        self._pieces: list[bytes] = []  # what came of it, and of a streamed string
        self._streaming = False  # inside a streamed string
        self._total = 0  # bytes of it
        self._top: _Aggregate | None = None  # the innermost open aggregate
        self._depth = 0
        self._elements = 0  # announced in this reply
        self._attributes: dict[Any, Any] | None = None  # those of the next value

    def _refuse_input(self) -> Exception:
        if self._state is _CLOSED:
            return LocalProtocolError("data received after receive_eof()")
        if self._fault is None:
            return RemoteProtocolError("an earlier receive_data() was interrupted")
        return type(self._fault)(*self._fault.args)

    # Parsing

    def _receive(self, data: bytes, replies: list[Any]) -> None:
        """Join ``data`` to the input that waits, and parse."""
        if self._data:
            self._data.append(data)
            self._waiting += len(data)
            # An unfinished line is not joined and searched again until its end is there.
            if not self._bulk and b"\n" not in data and self._waiting < self._max_line_length:
                return
            data = b"".join(self._data)
            self._data = []
            self._waiting = 0
        position = self._read_body(data, 0, replies) if self._bulk else 0
        if position >= 0:
            self._parse(data, position, replies)

    def _parse(self, data: bytes, position: int, replies: list[Any]) -> None:
        """Read replies from ``position`` on, and keep what is unfinished.

        One long loop, because everything passes here: it reads whole strings and integers and the
        counts of aggregates in place, and leaves all else, faults included, to _read_line().
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
            if kind == _SIMPLE_STRING:
                limit = min(start + 29, size)
                while cursor < limit and pointer[cursor] > _CR:
                    cursor += 1
            after = cursor + 2
            end = 0  # of the value, once it is read
            value: Any = None
            if (
                after <= size
                and pointer[cursor] == _CR
                and pointer[cursor + 1] == _LF
                and not self._streaming
            ):
                if kind == _SIMPLE_STRING:
                    value = pointer[start:cursor]
                    end = after
                elif cursor == start:
                    pass
                elif kind == _BULK_STRING:
                    if (
                        number <= size - after - 2
                        and number <= self._max_bulk_length
                        and pointer[after + number] == _CR
                        and pointer[after + number + 1] == _LF
                    ):
                        value = pointer[after : after + number]
                        end = after + number + 2
                elif kind == _INTEGER:
                    value = number
                    end = after
                elif kind == _ARRAY or kind == _MAP or kind == _SET or kind == _PUSH:
                    self._mark = self._offset + position
                    self._open(kind, number, replies)
                    top = self._top
                    position = after
                    continue
            if end == 0:
                position = self._read_line(data, position, replies)
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

    def _read_line(self, data: bytes, position: int, replies: list[Any]) -> int:
        """Read one line of any type; return where it, or its bulk, ends, or -1 to wait."""
        kind = data[position]
        self._mark = self._offset + position
        if self._streaming != (kind == _CHUNK) or not (self._streaming or kind in _TYPES):
            expected = "a chunk of a streamed string" if self._streaming else "the start of a type"
            raise self._malformed(f"0x{kind:02x} is not {expected}")
        end = data.find(b"\n", position, position + self._max_line_length)
        if end < 0:
            if len(data) - position >= self._max_line_length:
                raise self._too_large("a line longer than max_line_length")
            self._wait(data, position)
            return -1
        if data.find(b"\r", position, end) != end - 1:
            raise self._malformed("a line with a bare CR or LF")
        line = data[position + 1 : end - 1]
        position = end + 1
        if kind in _BULKS:
            if self._open_bulk(kind, line, replies):
                return self._read_body(data, position, replies)
        elif kind in _AGGREGATES:
            self._read_count(kind, line, replies)
        elif kind == _END:
            self._end_streamed(line, replies)
        else:
            self._deliver(self._read_scalar(kind, line), replies)
        return position

    def _read_scalar(self, kind: int, line: bytes) -> Any:
        """Return the value of a type that is one line."""
        if kind == _SIMPLE_STRING:
            return line
        if kind == _SIMPLE_ERROR:
            return SimpleError(line)
        if kind == _INTEGER:
            return self._read_integer(line)
        if kind == _NULL:
            if not line:
                return None
            raise self._malformed("a null with text in it")
        if kind == _BOOLEAN:
            if line in (b"t", b"f"):
                return line == b"t"
            raise self._malformed("a boolean that is neither t nor f")
        if kind == _DOUBLE:
            return self._read_double(line)
        return self._read_big_number(line)

    def _read_integer(self, line: bytes) -> int:
        if _INTEGER_TEXT.fullmatch(line) is None:
            raise self._malformed("an integer that is not an optional sign and digits")
        digits = line.lstrip(b"+-").lstrip(b"0")
        value = int(digits or b"0") if len(digits) < 20 else 2**64
        if line.startswith(b"-"):
            value = -value
        if value not in _INT64:
            raise self._malformed("an integer outside of 64 bits")
        return value

    def _read_double(self, line: bytes) -> float:
        if _DOUBLE_TEXT.fullmatch(line) is not None:
            return float(line)
        if _NAN_TEXT.fullmatch(line) is not None:
            return nan
        raise self._malformed("a double that does not follow the grammar")

    def _read_big_number(self, line: bytes) -> int:
        if _INTEGER_TEXT.fullmatch(line) is None:
            raise self._malformed("a big number that is not an optional sign and digits")
        if len(line.lstrip(b"+-")) > _MAX_BIG_NUMBER_DIGITS:
            raise self._too_large(f"a big number of more than {_MAX_BIG_NUMBER_DIGITS} digits")
        try:
            return int(line)
        except ValueError:
            limit = "a big number of more digits than sys.get_int_max_str_digits()"
            raise self._too_large(limit) from None

    def _read_length(self, line: bytes) -> int:
        """Return a length or count, as one no limit allows where it is more than that."""
        if not line.isdigit():
            raise self._malformed("a length that is not decimal digits")
        digits = line.lstrip(b"0")
        return min(int(digits or b"0"), _MAX_LIMIT + 1) if len(digits) < 20 else _MAX_LIMIT + 1

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
        length = self._read_length(line)
        if length > self._max_bulk_length - self._total:
            raise self._too_large("a bulk longer than max_bulk_length")
        if kind == _VERBATIM_STRING and length < 4:
            raise self._malformed("a verbatim string too short for its format")
        if kind == _CHUNK and length == 0:
            self._streaming = False
            self._total = 0
            self._deliver(self._take_pieces(), replies)
            return False
        if kind == _CHUNK:
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
            # Many tiny pieces would take far more memory than their bytes.
            if self._pieces and len(self._pieces[-1]) < _SMALL_PIECE:
                self._pieces[-1] += piece
            elif piece:
                self._pieces.append(piece)
        if self._missing or len(data) - position < 2:
            self._wait(data, position)
            return -1
        if data[position] != _CR or data[position + 1] != _LF:
            self._mark = self._offset + position
            raise self._malformed("a bulk that does not end in CRLF")
        kind = self._bulk
        self._bulk = 0
        if kind != _CHUNK:
            self._deliver(self._bulk_value(kind, self._take_pieces()), replies)
        return position + 2

    def _bulk_value(self, kind: int, body: bytes) -> Any:
        if kind == _BULK_STRING:
            return body
        if kind == _BULK_ERROR:
            return BulkError(body)
        if body[3:4] != b":":
            raise self._malformed("a verbatim string without a colon after its format")
        return VerbatimString(body[4:], body[:3].decode("latin-1"))

    def _take_pieces(self) -> bytes:
        body = b"".join(self._pieces)
        self._pieces = []
        return body

    # Aggregates

    def _read_count(self, kind: int, line: bytes, replies: list[Any]) -> None:
        """Take an aggregate's header."""
        if line == b"-1" and kind == _ARRAY:  # Null arrays
            self._deliver(None, replies)
        elif line == b"?" and kind in (_ARRAY, _MAP, _SET):  # Streamed aggregated data types
            self._open(kind, -1, replies)
        else:
            self._open(kind, self._read_length(line), replies)

    def _open(self, kind: int, count: int, replies: list[Any]) -> None:
        """Begin an aggregate of ``count`` elements or pairs, -1 if streamed."""
        parent = self._top
        hashable = False
        if parent is not None:
            if kind == _PUSH:
                raise self._malformed("a push inside another reply")
            in_pairs = parent.kind == _MAP or parent.kind == _ATTRIBUTE
            is_key = parent.kind == _SET or (in_pairs and len(parent.items) % 2 == 0)
            hashable = (is_key or parent.hashable) and kind != _ATTRIBUTE
        if self._depth >= self._max_depth:
            raise self._too_large("aggregates nested deeper than max_depth")
        if count > 0:
            if kind == _MAP or kind == _ATTRIBUTE:
                count *= 2
            self._count(count)
        top = _Aggregate(kind, count, hashable, parent)
        top.attributes = self._attributes
        self._attributes = None
        self._top = top
        self._depth += 1
        if count == 0:
            self._end(top, replies)

    def _count(self, elements: int) -> None:
        if elements > self._max_elements - self._elements:
            raise self._too_large("a reply of more than max_elements")
        self._elements += elements

    def _end_streamed(self, line: bytes, replies: list[Any]) -> None:
        top = self._top
        if line or top is None or top.remaining >= 0 or self._attributes is not None:
            raise self._malformed("an end of a streamed aggregate out of place")
        if top.kind == _MAP and len(top.items) % 2:
            raise self._malformed("a streamed map that ends after a key")
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
        """Take the innermost aggregate away and return its value, None for attributes."""
        self._top = top.parent
        self._depth -= 1
        self._attributes = top.attributes
        items = top.items
        if top.kind == _ARRAY:
            return tuple(items) if top.hashable else items
        if top.kind == _SET:
            return frozenset(items) if top.hashable else set(items)
        if top.kind == _PUSH:
            return self._push(items)
        pairs = dict(zip(items[::2], items[1::2], strict=True))
        if top.kind == _MAP:
            return tuple(pairs.items()) if top.hashable else pairs
        self._attributes = pairs if top.attributes is None else top.attributes | pairs
        return None

    def _push(self, items: list[Any]) -> Push:
        kind = items[0] if items else None
        if not isinstance(kind.value if isinstance(kind, Attributed) else kind, bytes):
            raise self._malformed("a push that does not begin with a string")
        return Push(items)


def _limit(name: str, value: int, lowest: int, highest: int) -> int:
    number = index(value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name} must be from {lowest} to {highest}")
    return number


# Commands

_HEADERS = tuple(b"\r\n$%d\r\n" % size for size in range(1024))


def _pack_command(message: Command) -> list[Buffer]:
    """Return the pieces of a command; arguments are every second one."""
    if isinstance(message, str | bytes | bytearray | memoryview):
        raise LocalProtocolError("a command is a sequence of arguments, not one string")
    if not message:
        raise LocalProtocolError("a command without arguments")
    pieces: list[Buffer] = [b"*%d" % len(message)]
    try:
        for argument in message:
            body: Buffer
            if type(argument) is bytes:
                body = argument
            elif type(argument) is str:
                body = argument.encode()
            else:
                body = _pack_argument(argument)
            size = len(body)
            pieces.append(_HEADERS[size] if size < 1024 else b"\r\n$%d\r\n" % size)
            pieces.append(body)
    except LocalProtocolError as exc:
        raise LocalProtocolError(f"argument {len(pieces) // 2}: {exc}") from None
    except UnicodeEncodeError:
        raise LocalProtocolError(f"argument {len(pieces) // 2}: not valid Unicode") from None
    pieces.append(b"\r\n")
    return pieces


def _pack_argument(argument: Argument) -> Buffer:
    if isinstance(argument, bytes | bytearray):
        return argument
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, memoryview):
        return _pack_view(argument)
    if isinstance(argument, bool):
        raise LocalProtocolError("a bool; pass 1 or 0, or a string")
    if isinstance(argument, int):
        try:
            return b"%d" % argument
        except ValueError:
            raise LocalProtocolError("an int of too many digits") from None
    if isinstance(argument, float):
        return float.__repr__(argument).encode()
    if argument is None:
        raise LocalProtocolError("None; pass an empty string, or leave the argument out")
    raise LocalProtocolError(f"a {type(argument).__name__}; pass a string or a number")


def _pack_view(view: memoryview) -> Buffer:
    """Return a view whose length is its number of bytes; a copy only where there is none."""
    if view.ndim == 1 and view.itemsize == 1 and view.c_contiguous:
        return view
    try:
        return view.cast("B")
    except TypeError:  # not contiguous, or of a format that cast() does not know
        return view.tobytes()


# The other direction, and text


def encode(reply: Reply | str, protocol: int = 3) -> bytes:
    """Return the bytes of a reply, spelled as RESP3 or, with ``protocol=2``, as Redis does in RESP2.

    In RESP2 maps are arrays of keys and values, sets and pushes arrays, doubles and big numbers
    bulk strings, booleans integers, bulk errors simple ones; attributes are left out.

    Raises:
        LocalProtocolError: it is not a reply.
    """
    if protocol not in (2, 3):
        raise ValueError("protocol must be 2 or 3")
    pieces: list[bytes] = []
    _encode(reply, protocol == 3, pieces)
    return b"".join(pieces)


def _encode(reply: Any, resp3: bool, pieces: list[bytes]) -> None:
    if isinstance(reply, Attributed):
        if resp3:
            _encode_items(b"|", len(reply.attributes), _flat(reply.attributes), resp3, pieces)
        _encode(reply.value, resp3, pieces)
    elif isinstance(reply, dict):
        sign, count = (b"%", len(reply)) if resp3 else (b"*", 2 * len(reply))
        _encode_items(sign, count, _flat(reply), resp3, pieces)
    elif isinstance(reply, set | frozenset):
        _encode_items(b"~" if resp3 else b"*", len(reply), list(reply), resp3, pieces)
    elif isinstance(reply, Push):
        if pieces and not pieces[0].startswith(b"|"):
            raise LocalProtocolError("a push inside another reply")
        _encode_items(b">" if resp3 else b"*", len(reply), reply, resp3, pieces)
    elif isinstance(reply, list | tuple):
        _encode_items(b"*", len(reply), list(reply), resp3, pieces)
    elif isinstance(reply, ErrorReply):
        pieces.append(_encode_error(reply, resp3))
    elif isinstance(reply, bytes | str):
        pieces.append(_encode_string(reply, resp3))
    else:
        pieces.append(_encode_scalar(reply, resp3))


def _encode_items(
    sign: bytes, count: int, items: list[Any], resp3: bool, pieces: list[bytes]
) -> None:
    pieces.append(b"%b%d\r\n" % (sign, count))
    for item in items:
        _encode(item, resp3, pieces)


def _flat(pairs: dict[Any, Any]) -> list[Any]:
    return [item for pair in pairs.items() for item in pair]


def _encode_scalar(reply: Any, resp3: bool) -> bytes:
    if reply is None:
        return b"_\r\n" if resp3 else b"$-1\r\n"
    if isinstance(reply, bool):
        return (b"#t\r\n" if reply else b"#f\r\n") if resp3 else b":%d\r\n" % reply
    if isinstance(reply, int):
        if reply in _INT64:
            return b":%d\r\n" % reply
        return b"(%d\r\n" % reply if resp3 else _bulk(b"$", b"%d" % reply)
    if isinstance(reply, float):
        text = float.__repr__(reply).encode()
        return b",%b\r\n" % text if resp3 else _bulk(b"$", text)
    raise LocalProtocolError(f"a {type(reply).__name__} is not a reply")


def _encode_string(reply: bytes | str, resp3: bool) -> bytes:
    if isinstance(reply, str):
        return _bulk(b"$", reply.encode())
    if isinstance(reply, SimpleString):
        return _line(b"+", reply)
    if isinstance(reply, VerbatimString) and resp3:
        return _bulk(b"=", b"%b:%b" % (reply.format.encode("latin-1"), reply))
    return _bulk(b"$", reply)


def _encode_error(reply: ErrorReply, resp3: bool) -> bytes:
    if isinstance(reply, SimpleError):
        return _line(b"-", reply.raw)
    if resp3:
        return _bulk(b"!", reply.raw)
    return _line(b"-", reply.raw.replace(b"\r", b" ").replace(b"\n", b" "))


def _line(sign: bytes, text: bytes) -> bytes:
    if b"\r" in text or b"\n" in text:
        raise LocalProtocolError("a simple string or error with CR or LF in it")
    return b"%b%b\r\n" % (sign, text)


def _bulk(sign: bytes, body: bytes) -> bytes:
    return b"%b%d\r\n%b\r\n" % (sign, len(body), body)


def decode_text(reply: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """Return a reply with its ``bytes`` decoded; lists are changed in place, errors left alone.

    Raises:
        UnicodeDecodeError: bytes are not text; lists may then be decoded in part.
    """
    if isinstance(reply, list):
        items: list[Any] = reply
        for number in range(len(items)):
            item = items[number]
            if type(item) is bytes:
                items[number] = item.decode(encoding, errors)
            else:
                items[number] = decode_text(item, encoding, errors)
        return items
    if isinstance(reply, bytes):
        return reply.decode(encoding, errors)
    if isinstance(reply, dict):
        keys = decode_text([*reply], encoding, errors)
        return dict(zip(keys, decode_text([*reply.values()], encoding, errors), strict=True))
    if isinstance(reply, tuple | set | frozenset):
        return type(reply)(decode_text([*reply], encoding, errors))
    if isinstance(reply, Attributed):
        value = decode_text(reply.value, encoding, errors)
        return Attributed(value, decode_text(reply.attributes, encoding, errors))
    return reply
