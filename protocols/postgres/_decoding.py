"""Backend messages from their bytes; not those that come with every query, which codec.py reads."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING

from wirekit._errors import RemoteProtocolError

from ._backend import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    BackendKeyData,
    Column,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    CopyResponse,
    ErrorResponse,
    FunctionCallResponse,
    NegotiateProtocolVersion,
    NoticeResponse,
    NotificationResponse,
    ParameterDescription,
    ParameterStatus,
    RowDescription,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._backend import Event

__all__ = ["decode_message"]

_INT16 = Struct("!h")
_UINT16 = Struct("!H")
_INT32 = Struct("!i")
_UINT32 = Struct("!I")
_COLUMN = Struct("!IhIhih")


class _Body:
    """The body of a message, read from its beginning to its end."""

    def __init__(self, kind: str, data: bytes) -> None:
        self.kind = kind
        self.data = data
        self.position = 0

    def number(self, form: Struct) -> int:
        try:
            number: int = form.unpack_from(self.data, self.position)[0]
        except StructError:
            raise self.fault("too short") from None
        self.position += form.size
        return number

    def take(self, length: int) -> bytes:
        if not 0 <= length <= len(self.data) - self.position:
            raise self.fault("with a length that lies")
        self.position += length
        return self.data[self.position - length : self.position]

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)

    def string(self) -> str:
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise self.fault("with a string that does not end")
        text = self.data[self.position : end]
        self.position = end + 1
        # Before a session has its encoding, and in a SQL_ASCII database, it can be any.
        return text.decode(errors="replace")

    def ends(self) -> None:
        if self.position != len(self.data):
            raise self.fault("longer than what it holds")

    def fault(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"a message of type {self.kind!r} {what}")


def decode_message(kind: int, data: bytes) -> Event:
    """Return the event of a message of this type byte.

    Raises:
        RemoteProtocolError: there is no such type, or the body is malformed.
    """
    decode = _DECODERS.get(kind)
    if decode is None:
        raise RemoteProtocolError(f"a message of the unknown type 0x{kind:02x}")
    body = _Body(chr(kind), data)
    event = decode(body)
    body.ends()
    return event


def _authentication(body: _Body) -> Event:
    code = body.number(_INT32)
    simple = _AUTHENTICATION.get(code)
    if simple is not None:
        return simple()
    if code == 5:
        return AuthenticationMD5Password(body.take(4))
    if code == 8:
        return AuthenticationGSSContinue(body.rest())
    if code == 10:
        mechanisms: list[str] = []
        while mechanism := body.string():
            mechanisms.append(mechanism)
        return AuthenticationSASL(tuple(mechanisms))
    if code == 11:
        return AuthenticationSASLContinue(body.rest())
    if code == 12:
        return AuthenticationSASLFinal(body.rest())
    raise RemoteProtocolError(f"the unknown authentication request {code}")


_AUTHENTICATION: dict[int, type[Event]] = {
    0: AuthenticationOk,
    2: AuthenticationKerberosV5,
    3: AuthenticationCleartextPassword,
    7: AuthenticationGSS,
    9: AuthenticationSSPI,
}


def _backend_key_data(body: _Body) -> Event:
    process_id = body.number(_UINT32)
    secret_key = body.rest()
    if not 4 <= len(secret_key) <= 256:
        raise body.fault(f"with a secret key of {len(secret_key)} bytes")
    return BackendKeyData(process_id, secret_key)


def _negotiate_protocol_version(body: _Body) -> Event:
    # Servers send the whole version, not the minor one alone, whatever the documentation says.
    version = body.number(_UINT32)
    count = body.number(_INT32)
    if not 0 <= count <= len(body.data):
        raise body.fault("with a count that lies")
    options = tuple([body.string() for _ in range(count)])
    return NegotiateProtocolVersion((version >> 16 or 3, version & 0xFFFF), options)


def _fields(body: _Body) -> dict[str, str]:
    fields: dict[str, str] = {}
    while code := body.take(1)[0]:
        fields.setdefault(chr(code), body.string())
    return fields


def _error_response(body: _Body) -> Event:
    return ErrorResponse(_fields(body))


def _notice_response(body: _Body) -> Event:
    return NoticeResponse(_fields(body))


def _notification_response(body: _Body) -> Event:
    return NotificationResponse(body.number(_UINT32), body.string(), body.string())


def _parameter_status(body: _Body) -> Event:
    return ParameterStatus(body.string(), body.string())


def _parameter_description(body: _Body) -> Event:
    count = body.number(_UINT16)
    if 4 * count != len(body.data) - body.position:
        raise body.fault("with a count that lies")
    return ParameterDescription(tuple([body.number(_UINT32) for _ in range(count)]))


def _row_description(body: _Body) -> Event:
    count = body.number(_UINT16)
    columns: list[Column] = []
    for _ in range(count):
        name = body.string()
        fields = _COLUMN.unpack(body.take(_COLUMN.size))
        if fields[5] not in (0, 1):
            raise body.fault("with an unknown format")
        columns.append(Column(name, *fields))
    return RowDescription(tuple(columns), body.data)


def _copy_response(kind: type[CopyResponse]) -> Callable[[_Body], Event]:
    def decode(body: _Body) -> Event:
        whole = body.take(1)[0]
        count = body.number(_UINT16)
        if 2 * count != len(body.data) - body.position:
            raise body.fault("with a count that lies")
        formats = tuple([body.number(_INT16) for _ in range(count)])
        if not {whole, *formats} <= {0, 1}:
            raise body.fault("with an unknown format")
        return kind(whole, formats)

    return decode


def _function_call_response(body: _Body) -> Event:
    length = body.number(_INT32)
    return FunctionCallResponse(None if length == -1 else body.take(length))


_DECODERS: dict[int, Callable[[_Body], Event]] = {
    ord("R"): _authentication,
    ord("K"): _backend_key_data,
    ord("v"): _negotiate_protocol_version,
    ord("E"): _error_response,
    ord("N"): _notice_response,
    ord("A"): _notification_response,
    ord("S"): _parameter_status,
    ord("t"): _parameter_description,
    ord("T"): _row_description,
    ord("G"): _copy_response(CopyInResponse),
    ord("H"): _copy_response(CopyOutResponse),
    ord("W"): _copy_response(CopyBothResponse),
    ord("V"): _function_call_response,
}
