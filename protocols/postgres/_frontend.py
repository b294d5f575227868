"""What the client sends, by the names of the protocol's "Message Formats".

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from wirekit._errors import LocalProtocolError

from ._backend import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wirekit.protocols._buffer import Buffer

    from ._rows import RowSink

__all__ = [
    "Bind",
    "CancelRequest",
    "Close",
    "CopyData",
    "CopyDone",
    "CopyFail",
    "Describe",
    "Execute",
    "Flush",
    "FunctionCall",
    "GSSENCRequest",
    "GSSResponse",
    "Message",
    "Parse",
    "PasswordMessage",
    "Query",
    "SASLInitialResponse",
    "SASLResponse",
    "SSLRequest",
    "StartupMessage",
    "Sync",
    "Terminate",
]

_MAX_LENGTH = 0x3FFFFFFF  # MaxAllocSize: the server takes no longer message
_MAX_STARTUP_LENGTH = 10000  # MAX_STARTUP_PACKET_LENGTH: of a longer one it says nothing
_MAX_COUNT = 65535


class Message:
    """Root of all that `Codec.send` takes."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Return the message as it stands on the wire.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        raise NotImplementedError


def _string(text: str, what: str) -> bytes:
    """Return a String: null-terminated, so it holds no null itself."""
    try:
        data = text.encode()
    except UnicodeEncodeError:  # its message would show the text
        raise LocalProtocolError(f"{what} is not valid Unicode") from None
    if b"\0" in data:
        raise LocalProtocolError(f"{what} holds a null character")
    return data + b"\0"


def _pack(layout: str, *numbers: int) -> bytes:
    try:
        return struct.pack(layout, *numbers)
    except struct.error:
        raise LocalProtocolError("a number is out of the range of its field") from None


def _message(kind: bytes, body: bytes) -> bytes:
    if len(body) + 4 > _MAX_LENGTH:
        raise LocalProtocolError(f"a message of {len(body)} bytes; the server takes 1 GiB at most")
    return kind + _pack("!I", len(body) + 4) + body


def _formats(formats: Sequence[int], what: str) -> bytes:
    _check_count(len(formats), what)
    return _pack(f"!H{len(formats)}H", len(formats), *formats)


def _check_count(count: int, what: str) -> None:
    if count > _MAX_COUNT:
        raise LocalProtocolError(f"{count} {what}; the protocol's limit is {_MAX_COUNT}")


class _Bare(Message):
    """A message without a body."""

    __slots__ = ()
    _ENCODED: ClassVar[bytes]

    def encode(self) -> bytes:
        return self._ENCODED


# Opening and closing


@dataclass(frozen=True, slots=True)
class SSLRequest(_Bare):
    """Asks for TLS."""

    _ENCODED = _pack("!II", 8, 80877103)


@dataclass(frozen=True, slots=True)
class GSSENCRequest(_Bare):
    """Asks for GSSAPI encryption."""

    _ENCODED = _pack("!II", 8, 80877104)


@dataclass(frozen=True, slots=True)
class CancelRequest(Message):
    """Asks, on a connection of its own, to cancel what another one runs."""

    process_id: int
    secret_key: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _pack("!III", 12 + len(self.secret_key), 80877102, self.process_id) + self.secret_key


@dataclass(frozen=True, slots=True)
class StartupMessage(Message):
    """Begins; ``parameters`` has at least ``user``."""

    parameters: Mapping[str, str]
    version: tuple[int, int] = (3, 0)

    def encode(self) -> bytes:
        pieces = [_pack("!HH", *self.version)]
        for name, value in self.parameters.items():
            if not name:
                raise LocalProtocolError("a startup parameter without a name")
            pieces.append(_string(name, "a startup parameter's name"))
            pieces.append(_string(value, f"the startup parameter {name}"))
        body = b"".join([*pieces, b"\0"])
        if len(body) + 4 > _MAX_STARTUP_LENGTH:
            raise LocalProtocolError(f"startup parameters of more than {_MAX_STARTUP_LENGTH} bytes")
        return _pack("!I", len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class PasswordMessage(Message):
    """A password, in clear or hashed, without its final null."""

    password: bytes = field(repr=False)

    def encode(self) -> bytes:
        if b"\0" in self.password:
            raise LocalProtocolError("the password holds a null character")
        return _message(b"p", self.password + b"\0")


@dataclass(frozen=True, slots=True)
class SASLInitialResponse(Message):
    """Chooses a SASL mechanism, with its initial response if it has one."""

    mechanism: str
    data: bytes | None = field(repr=False)

    def encode(self) -> bytes:
        name = _string(self.mechanism, "the mechanism")
        if self.data is None:
            return _message(b"p", name + _pack("!i", -1))
        return _message(b"p", name + _pack("!i", len(self.data)) + self.data)


@dataclass(frozen=True, slots=True)
class SASLResponse(Message):
    """Answers a SASL challenge."""

    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _message(b"p", self.data)


@dataclass(frozen=True, slots=True)
class GSSResponse(Message):
    """Answers in a GSSAPI or SSPI exchange."""

    data: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _message(b"p", self.data)


@dataclass(frozen=True, slots=True)
class Terminate(_Bare):
    """Says goodbye."""

    _ENCODED = b"X\0\0\0\x04"


# Queries


@dataclass(frozen=True, slots=True)
class Query(Message):
    """Runs commands by the simple protocol; ``reader`` takes their rows, None drops them."""

    query: str = field(repr=False)
    reader: RowSink | None = None

    def encode(self) -> bytes:
        return _message(b"Q", _string(self.query, "the query"))


@dataclass(frozen=True, slots=True)
class Parse(Message):
    """Makes a statement; the type 0 leaves a parameter's type to the server."""

    statement: str
    query: str = field(repr=False)
    types: Sequence[int] = ()

    def encode(self) -> bytes:
        _check_count(len(self.types), "parameters")
        types = _pack(f"!H{len(self.types)}I", len(self.types), *self.types)
        name = _string(self.statement, "the statement's name")
        return _message(b"P", name + _string(self.query, "the query") + types)


@dataclass(slots=True)
class Bind(Message):
    """Makes a portal of a statement.

    Attributes:
        portal: its name.
        statement: whose name.
        formats: of the parameters; none: all are text, one: it is that of all.
        count: how many parameters there are.
        parameters: all of them, each as an int32 length, -1 for null, and that many bytes.
        result_formats: of the columns, as ``formats``.
    """

    portal: str
    statement: str
    formats: Sequence[int] = ()
    count: int = 0
    parameters: Buffer = field(default=b"", repr=False)
    result_formats: Sequence[int] = (1,)

    def encode(self) -> bytes:
        _check_count(self.count, "parameters")
        body = [
            _string(self.portal, "the portal's name"),
            _string(self.statement, "the statement's name"),
            _formats(self.formats, "parameter formats"),
            _pack("!H", self.count),
            self.parameters,
            _formats(self.result_formats, "result formats"),
        ]
        return _message(b"B", b"".join(body))


@dataclass(frozen=True, slots=True)
class Describe(Message):
    """Asks for the description of a statement ('S') or portal ('P')."""

    kind: Literal["S", "P"]
    name: str

    def encode(self) -> bytes:
        return _message(b"D", self.kind.encode() + _string(self.name, "the name"))


@dataclass(frozen=True, slots=True)
class Execute(Message):
    """Runs a portal for ``max_rows``, 0 for all; ``reader`` takes the rows, None drops them."""

    portal: str
    max_rows: int = 0
    reader: RowSink | None = None

    def encode(self) -> bytes:
        if not 0 <= self.max_rows < 2**31:
            raise LocalProtocolError(f"a row limit of {self.max_rows}; from 0 to 2147483647 goes")
        return _message(b"E", _string(self.portal, "the portal") + _pack("!I", self.max_rows))


@dataclass(frozen=True, slots=True)
class Close(Message):
    """Drops a statement ('S') or portal ('P')."""

    kind: Literal["S", "P"]
    name: str

    def encode(self) -> bytes:
        return _message(b"C", self.kind.encode() + _string(self.name, "the name"))


@dataclass(frozen=True, slots=True)
class Flush(_Bare):
    """Asks for the answers so far."""

    _ENCODED = b"H\0\0\0\x04"


@dataclass(frozen=True, slots=True)
class Sync(_Bare):
    """Ends an extended query: the server commits, or goes on after an error, and is ready."""

    _ENCODED = b"S\0\0\0\x04"


@dataclass(frozen=True, slots=True)
class FunctionCall(Message):
    """Calls a function by its OID, in binary format (a legacy of the protocol)."""

    function: int
    arguments: Sequence[bytes | None] = field(repr=False)

    def encode(self) -> bytes:
        _check_count(len(self.arguments), "arguments")
        pieces = [_pack("!IHHH", self.function, 1, 1, len(self.arguments))]
        for argument in self.arguments:
            pieces.append(_pack("!i", -1 if argument is None else len(argument)))
            pieces.append(argument or b"")
        return _message(b"F", b"".join([*pieces, _pack("!H", 1)]))


# COPY


@dataclass(frozen=True, slots=True)
class CopyData(Message, Event):
    """Data of a COPY, either way: to the server cut anywhere, from it one row each."""

    data: Buffer = field(repr=False)

    def encode(self) -> bytes:
        return b"".join([self.header(), self.data])

    def header(self) -> bytes:
        """Return what stands before the data.

        Raises:
            LocalProtocolError: the data is too long, or no contiguous sequence.
        """
        view = memoryview(self.data)
        if view.ndim == 0 or not view.c_contiguous:
            raise LocalProtocolError("CopyData of a buffer that is no contiguous sequence")
        length = view.nbytes + 4
        if length > _MAX_LENGTH:
            raise LocalProtocolError("CopyData of more than 1 GiB; send it in pieces")
        return b"d" + _pack("!I", length)


@dataclass(frozen=True, slots=True)
class CopyDone(_Bare, Event):
    """The data of a COPY is complete, either way."""

    _ENCODED = b"c\0\0\0\x04"


@dataclass(frozen=True, slots=True)
class CopyFail(Message):
    """Ends a COPY to the server with an error of ours."""

    message: str

    def encode(self) -> bytes:
        return _message(b"f", _string(self.message, "the reason"))
