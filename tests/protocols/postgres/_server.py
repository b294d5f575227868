"""Backend messages as the server sends them: functions by the names of the protocol, to bytes."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INT4 = 23
TEXT = 25


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + pack("!I", len(body) + 4) + body


def _strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


# Opening -----------------------------------------------------------------------------------------


def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", pack("!I", code) + data)


AUTHENTICATION_OK = authentication(0)
AUTHENTICATION_CLEARTEXT_PASSWORD = authentication(3)


def authentication_md5_password(salt: bytes = b"salt") -> bytes:
    return authentication(5, salt)


def authentication_sasl(*mechanisms: str) -> bytes:
    return authentication(10, _strings(*mechanisms) + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    return authentication(11, data)


def authentication_sasl_final(data: bytes) -> bytes:
    return authentication(12, data)


def backend_key_data(process_id: int = 7, secret_key: bytes = b"\0\0\0\x09") -> bytes:
    return message(b"K", pack("!I", process_id) + secret_key)


def negotiate_protocol_version(version: int = 0x30000, *unrecognized: str) -> bytes:
    return message(b"v", pack("!II", version, len(unrecognized)) + _strings(*unrecognized))


# At any moment -----------------------------------------------------------------------------------


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", _strings(name, value))


def _fields(fields: dict[str, str]) -> bytes:
    return b"".join(code.encode() + _strings(text) for code, text in fields.items()) + b"\0"


def error_response(
    text: str = "it failed", *, code: str = "XX000", severity: str = "ERROR", **fields: str
) -> bytes:
    everything = {"S": severity, "V": severity, "C": code, "M": text, **fields}
    return message(b"E", _fields(everything))


def notice_response(text: str = "by the way") -> bytes:
    return message(b"N", _fields({"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": text}))


def notification_response(channel: str = "c", payload: str = "p", process_id: int = 7) -> bytes:
    return message(b"A", pack("!I", process_id) + _strings(channel, payload))


def ready_for_query(status: str = "I") -> bytes:
    return message(b"Z", status.encode())


# Answers -----------------------------------------------------------------------------------------

PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
EMPTY_QUERY_RESPONSE = message(b"I")
PORTAL_SUSPENDED = message(b"s")


def parameter_description(*types: int) -> bytes:
    return message(b"t", pack(f"!H{len(types)}I", len(types), *types))


def column(name: str, type_oid: int = INT4, *, size: int = 4, format: int = 1) -> bytes:  # noqa: A002 - the protocol's word
    return _strings(name) + pack("!IhIhih", 0, 0, type_oid, size, -1, format)


def row_description(*columns: bytes) -> bytes:
    return message(b"T", pack("!H", len(columns)) + b"".join(columns))


def data_row(*values: bytes | int | None) -> bytes:
    """Return a row; integers stand for int4 in binary."""
    body = pack("!H", len(values))
    for value in values:
        data = pack("!i", value) if isinstance(value, int) else value
        body += pack("!i", -1) if data is None else pack("!i", len(data)) + data
    return message(b"D", body)


def command_complete(tag: str = "SELECT 1") -> bytes:
    return message(b"C", _strings(tag))


def function_call_response(value: bytes | None) -> bytes:
    return message(b"V", pack("!i", -1) if value is None else pack("!i", len(value)) + value)


# COPY --------------------------------------------------------------------------------------------


def _copy_response(kind: bytes, format: int, columns: Sequence[int]) -> bytes:  # noqa: A002
    return message(kind, pack(f"!bH{len(columns)}h", format, len(columns), *columns))


def copy_in_response(format: int = 0, columns: Sequence[int] = (0,)) -> bytes:  # noqa: A002
    return _copy_response(b"G", format, columns)


def copy_out_response(format: int = 0, columns: Sequence[int] = (0,)) -> bytes:  # noqa: A002
    return _copy_response(b"H", format, columns)


def copy_both_response(format: int = 0, columns: Sequence[int] = ()) -> bytes:  # noqa: A002
    return _copy_response(b"W", format, columns)


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


COPY_DONE = message(b"c")


# Conversations -----------------------------------------------------------------------------------

LET_IN = AUTHENTICATION_OK + backend_key_data() + ready_for_query()


def extended_answer(*rows: bytes, tag: str | None = None) -> bytes:
    """Return the answer to Bind, Execute and Sync."""
    end = command_complete(f"SELECT {len(rows)}" if tag is None else tag)
    return BIND_COMPLETE + b"".join(rows) + end + ready_for_query()


def statement_answer(parameters: Iterable[int] = (), columns: Sequence[bytes] = ()) -> bytes:
    """Return the answer to Parse, Describe of the statement, and Sync."""
    described = row_description(*columns) if columns else NO_DATA
    return PARSE_COMPLETE + parameter_description(*parameters) + described + ready_for_query()
