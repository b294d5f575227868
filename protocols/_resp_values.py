"""RESP's values: the types that Python has not, how each is read from its bytes, and how spelled.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/, cited by section name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any, Self, cast

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError

if TYPE_CHECKING:
    from ._buffer import Buffer

__all__ = [
    "Argument",
    "Attributed",
    "BulkError",
    "Command",
    "ErrorReply",
    "Push",
    "Reply",
    "SimpleError",
    "SimpleString",
    "VerbatimString",
    "encode",
]

_INTEGER = re.compile(rb"[+-]?[0-9]+")
# Double, in the RESP3 specification: "Redis prior to version 7.2 may return any representation of
# NaN produced by libc".
_NAN = re.compile(rb"-?nan(\([0-9a-z_]*\))?", re.IGNORECASE)
_WORD_END = re.compile(rb"[ \r\n]")  # Simple errors: "up to the first space or newline"

_INT64 = range(-(2**63), 2**63)
_MAX_BIG_NUMBER_DIGITS = 4300  # what int() takes by default


class SimpleString(bytes):
    """Text to be encoded as a simple string; received ones are plain ``bytes``."""

    __slots__ = ()


class VerbatimString(bytes):
    """The text of a verbatim string, with its three-letter ``format`` (``"txt"`` or ``"mkd"``)."""

    format: str

    def __new__(cls, text: bytes = b"", text_format: str = "txt") -> Self:
        self = super().__new__(cls, text)
        self.format = text_format
        return self

    def __repr__(self) -> str:
        return f"VerbatimString({bytes(self)!r}, {self.format!r})"


class Push(list[Any]):
    """Out-of-band data (Pushes); the first item is its kind, as ``bytes``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Push({super().__repr__()})"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error where a reply could be: a value, not an exception; ``raw`` is all of its text."""

    raw: bytes

    @property
    def code(self) -> str:
        """The first word, for example ``"WRONGTYPE"``."""
        return _WORD_END.split(self.raw, 1)[0].decode("utf-8", "replace")

    @property
    def message(self) -> str:
        """What follows the first word; may be empty."""
        return b"".join(_WORD_END.split(self.raw, 1)[1:]).decode("utf-8", "replace")

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "replace")


class SimpleError(ErrorReply):
    """An error of one line (Simple errors)."""

    __slots__ = ()


class BulkError(ErrorReply):
    """An error of any bytes (Bulk errors)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Attributed:
    """A value and the attributes that stood before it; made only with ``keep_attributes``."""

    value: Any
    attributes: dict[Any, Any]

    def __hash__(self) -> int:
        return hash(self.value)


# Aggregates hold replies in turn; map keys and set members are made hashable.
Reply = bytes | int | float | None | list[Any] | dict[Any, Any] | set[Any] | ErrorReply | Attributed
Argument = str | bytes | bytearray | memoryview | int | float
Command = Sequence[Argument]

Nested = Reply | str | tuple[Any, ...] | frozenset[Any]  # what can stand inside a reply


# Reading the types that are one line or one bulk. The codec adds to faults where they are.


def _read_integer(line: bytes) -> int:
    if _INTEGER.fullmatch(line) is None:
        raise RemoteProtocolError("an integer that is not an optional sign and digits")
    digits = line.lstrip(b"+-").lstrip(b"0")
    if len(digits) < 20:  # as long as those of 64 bits
        value = int(digits or b"0")
        if line.startswith(b"-"):
            value = -value
        if value in _INT64:
            return value
    raise RemoteProtocolError("an integer of more than 64 bits")


def _read_null(line: bytes) -> None:
    if line:
        raise RemoteProtocolError("a null with text in it")


def _read_boolean(line: bytes) -> bool:
    if line not in (b"t", b"f"):
        raise RemoteProtocolError("a boolean that is neither t nor f")
    return line == b"t"


def _read_special_double(line: bytes) -> float:
    """Read a double that is not a finite one; the codec has read those."""
    if line in (b"inf", b"-inf"):
        return float(line)
    if _NAN.fullmatch(line) is not None:
        return nan
    raise RemoteProtocolError("a double that does not follow the grammar")


def _read_big_number(line: bytes) -> int:
    if _INTEGER.fullmatch(line) is None:
        raise RemoteProtocolError("a big number that is not an optional sign and digits")
    if len(line.lstrip(b"+-")) > _MAX_BIG_NUMBER_DIGITS:
        raise MessageTooLarge(f"a big number of more than {_MAX_BIG_NUMBER_DIGITS} digits")
    try:
        return int(line)
    except ValueError:
        limit = "a big number of more digits than sys.get_int_max_str_digits()"
        raise MessageTooLarge(limit) from None


SCALARS: dict[int, Callable[[bytes], Any]] = {
    ord("+"): bytes,
    ord("-"): SimpleError,
    ord(":"): _read_integer,
    ord("_"): _read_null,
    ord("#"): _read_boolean,
    ord(","): _read_special_double,
    ord("("): _read_big_number,
}


def _read_verbatim_string(body: bytes) -> VerbatimString:
    if body[3:4] != b":":
        raise RemoteProtocolError("a verbatim string without a colon after its format")
    return VerbatimString(body[4:], body[:3].decode("latin-1"))


BULKS: dict[int, Callable[[bytes], Any]] = {
    ord("!"): BulkError,
    ord("="): _read_verbatim_string,
}


# Writing


def pack_argument(argument: object) -> Buffer:
    """Return the bytes of a command's argument; the codec names it in errors."""
    if isinstance(argument, (bytes, bytearray)):
        return argument
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, memoryview):
        return _pack_view(cast("Any", argument))
    if isinstance(argument, bool):
        raise LocalProtocolError("a bool: pass 1 or 0, or a string")
    if isinstance(argument, int):
        try:
            return b"%d" % argument
        except ValueError:  # sys.get_int_max_str_digits()
            raise LocalProtocolError("an int of too many digits") from None
    if isinstance(argument, float):
        return float.__repr__(argument).encode()
    if argument is None:
        raise LocalProtocolError("None: pass an empty string, or leave it out")
    raise LocalProtocolError(f"of type {type(argument).__name__}: pass a string or a number")


def _pack_view(view: memoryview[Any]) -> Buffer:
    """Return a view whose length is its number of bytes, or a copy where there is none."""
    if view.ndim == 1 and view.itemsize == 1 and view.c_contiguous:
        return view
    try:
        return view.cast("B")
    except TypeError:  # not contiguous, or of a format that cast() does not know
        return view.tobytes()


def encode(reply: Reply | str, protocol: int = 3) -> bytes:
    """Return the bytes of a reply, spelled as RESP3, or with ``protocol=2`` as Redis does RESP2.

    In RESP2 maps are arrays of keys and values, sets and pushes arrays, doubles, big numbers and
    verbatim strings bulk strings, booleans integers, bulk errors simple ones; attributes are left
    out.

    Raises:
        LocalProtocolError: it is not a reply.
    """
    if protocol not in (2, 3):
        raise ValueError("protocol must be 2 or 3")
    pieces: list[bytes] = []
    try:
        _encode(reply, protocol == 3, pieces, nested=False)
    except ValueError:  # surrogates, or more digits than Python writes
        raise LocalProtocolError("a text or number that cannot be encoded") from None
    return b"".join(pieces)


def _encode(reply: Nested, resp3: bool, pieces: list[bytes], *, nested: bool = True) -> None:
    if isinstance(reply, Attributed):
        if resp3:
            _encode_items(b"|", len(reply.attributes), _flat(reply.attributes), resp3, pieces)
        _encode(reply.value, resp3, pieces, nested=nested)
    elif isinstance(reply, dict):
        sign, count = (b"%", len(reply)) if resp3 else (b"*", 2 * len(reply))
        _encode_items(sign, count, _flat(reply), resp3, pieces)
    elif isinstance(reply, (set, frozenset)):
        _encode_items(b"~" if resp3 else b"*", len(reply), list(reply), resp3, pieces)
    elif isinstance(reply, Push):
        if nested or not reply or not isinstance(reply[0], bytes):
            raise LocalProtocolError("a push inside another reply, or not begun with a string")
        _encode_items(b">" if resp3 else b"*", len(reply), reply, resp3, pieces)
    elif isinstance(reply, (list, tuple)):
        _encode_items(b"*", len(reply), list(reply), resp3, pieces)
    else:
        pieces.append(_encode_leaf(reply, resp3))


def _encode_items(
    sign: bytes, count: int, items: list[Any], resp3: bool, pieces: list[bytes]
) -> None:
    pieces.append(b"%b%d\r\n" % (sign, count))
    for item in items:
        _encode(item, resp3, pieces)


def _flat(pairs: dict[Any, Any]) -> list[Any]:
    return [item for pair in pairs.items() for item in pair]


def _encode_leaf(reply: object, resp3: bool) -> bytes:
    if isinstance(reply, str):
        return _bulk(b"$", reply.encode())
    if isinstance(reply, bytes):
        return _encode_string(reply, resp3)
    if isinstance(reply, ErrorReply):
        return _encode_error(reply, resp3)
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


def _encode_string(reply: bytes, resp3: bool) -> bytes:
    if isinstance(reply, SimpleString):
        return _line(b"+", reply)
    if isinstance(reply, VerbatimString) and resp3:
        if len(reply.format) != 3:
            raise LocalProtocolError("a verbatim string whose format is not three letters")
        return _bulk(b"=", b"%b:%b" % (reply.format.encode("latin-1"), reply))
    return _bulk(b"$", reply)


def _encode_error(reply: ErrorReply, resp3: bool) -> bytes:
    if isinstance(reply, BulkError):
        if resp3:
            return _bulk(b"!", reply.raw)
        return _line(b"-", reply.raw.replace(b"\r", b" ").replace(b"\n", b" "))
    return _line(b"-", reply.raw)


def _line(sign: bytes, text: bytes) -> bytes:
    if b"\r" in text or b"\n" in text:
        raise LocalProtocolError("a simple string or error with CR or LF in it")
    return b"%b%b\r\n" % (sign, text)


def _bulk(sign: bytes, body: bytes) -> bytes:
    return b"%b%d\r\n%b\r\n" % (sign, len(body), body)
