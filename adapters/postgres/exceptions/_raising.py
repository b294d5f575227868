"""What the adapter raises: wirekit's errors, and at the same time those that asyncpg's users catch.

Where a class has to be of both libraries and of no fixed pair, it is made when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import (
    AddressError,
    BusyError,
    ConnectError,
    ConnectionLost,
    Error,
    RemoteProtocolError,
    SocketClosed,
    TransportError,
)

from ._base import (
    FIELD_NAMES,
    ClientConfigurationError,
    InterfaceError,
    PostgresError,
    PostgresLogMessage,
    PostgresMessage,
    ProtocolError,
    UnknownPostgresError,
    class_for_sqlstate,
)
from ._base import DataError as ClientDataError
from ._sqlstates import (
    ConnectionDoesNotExistError,
    DataError,
    DuplicatePreparedStatementError,
    FeatureNotSupportedError,
    InvalidCachedStatementError,
    InvalidSQLStatementNameError,
    PostgresWarning,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ClosedError",
    "QueryArgumentError",
    "connection_error",
    "error_from_fields",
    "log_message_from_fields",
]

_STALE_PLAN = "a cached statement is no longer valid: the schema or a setting has changed"
_POOLER_HINT = (
    "If a pooler such as pgbouncer may change the server connection between two transactions, "
    "either it has to keep track of prepared statements (pgbouncer: max_prepared_statements), or "
    "connect with statement_cache_size=0."
)


class ClosedError(InterfaceError, SocketClosed):
    """Used after it was closed on this side."""


class QueryArgumentError(DataError, ClientDataError):
    """A query's argument cannot be sent; nothing was.

    It is asyncpg's ``DataError``, which is the class of the server's errors 22000, because that
    is what asyncpg raises here.
    """


def connection_error(error: TransportError | RemoteProtocolError | OSError) -> Error:
    """Return a copy of ``error`` that asyncpg's users catch as well, with the same cause.

    - A connection that came to its end, by whatever `TransportError`, is also SQLSTATE 08003,
      `ConnectionDoesNotExistError`; so is a `RemoteProtocolError`, which is a `ProtocolError` too.
    - A `BusyError` is also an `InterfaceError`, an `AddressError` a `ClientConfigurationError`.
    - A `ConnectError` is an `OSError`, which is what asyncpg has there: it is returned as it is.
    - Any other `OSError` becomes a `ConnectionLost` with that cause.
    """
    if isinstance(error, ConnectError):
        return error
    if not isinstance(error, Error):
        lost = ConnectionLost(str(error))
        lost.__cause__ = error
        error = lost
    theirs: tuple[type[Error], ...]
    if isinstance(error, AddressError):
        theirs = (ClientConfigurationError,)
    elif isinstance(error, BusyError):
        theirs = (InterfaceError,)
    elif isinstance(error, RemoteProtocolError):
        theirs = (ConnectionDoesNotExistError, ProtocolError)
    else:
        theirs = (ConnectionDoesNotExistError,)
    joined: Error = _joined(*theirs, type(error))(str(error))
    joined.__cause__ = error.__cause__
    vars(joined).update(vars(error))
    return joined


def error_from_fields(fields: Mapping[str, str], query: str | None = None) -> PostgresError:
    """Return the exception for an ErrorResponse, whose fields are given by their one-letter codes.

    Its class is that of the SQLSTATE. A SQLSTATE that has none makes an `UnknownPostgresError`,
    and with it whatever the code's first two characters stand for: 23999 is also an
    `IntegrityConstraintViolationError`. Every result is a `PostgresError`, even with the SQLSTATE
    of a warning.
    """
    sqlstate = fields.get("C", "")
    kind: type[Any] | None = class_for_sqlstate(sqlstate)
    if kind is None:
        family = class_for_sqlstate(f"{sqlstate[:2]}000")
        kind = UnknownPostgresError if family is None else _joined(UnknownPostgresError, family)
    elif not issubclass(kind, PostgresError):
        kind = _joined(PostgresError, kind)
    values = _attributes(fields, query)
    message = values.get("message") or ""
    # Not by the message, which is translated.
    if kind is FeatureNotSupportedError and fields.get("R") == "RevalidateCachedQuery":
        kind, message = InvalidCachedStatementError, _STALE_PLAN
    elif kind in (DuplicatePreparedStatementError, InvalidSQLStatementNameError):
        hint = values.get("hint")
        values["hint"] = f"{hint}\n{_POOLER_HINT}" if hint else _POOLER_HINT
    error: PostgresError = kind(message)
    vars(error).update(values)
    return error


def log_message_from_fields(fields: Mapping[str, str], query: str | None = None) -> PostgresMessage:
    """Return the object for a NoticeResponse, whose fields are given by their one-letter codes.

    As in asyncpg its class is that of the SQLSTATE, even where this is an error's: the notice that
    a table exists already is a `DuplicateTableError`. It is a `PostgresWarning` or
    `PostgresLogMessage`, according to its severity, where the SQLSTATE has no class.
    """
    kind = class_for_sqlstate(fields.get("C", ""))
    if kind is None:
        is_warning = (fields.get("V") or fields.get("S", "")).upper() == "WARNING"
        kind = PostgresWarning if is_warning else PostgresLogMessage
    message = kind(fields.get("M", "")) if issubclass(kind, Exception) else kind()
    vars(message).update(_attributes(fields, query))
    return message


def _attributes(fields: Mapping[str, str], query: str | None) -> dict[str, str | None]:
    """Return the fields by attribute name, without those that the protocol may yet come to have."""
    known = {FIELD_NAMES[code]: value for code, value in fields.items() if code in FIELD_NAMES}
    return {**known, "query": query}


_made: dict[tuple[type[Any], ...], type[Any]] = {}


def _joined(*classes: type[Any]) -> type[Any]:
    """Return the class that is all of these, known by the name of the last that is not implied."""
    bases = tuple(
        one
        for one in dict.fromkeys(classes)
        if not any(other is not one and issubclass(other, one) for other in classes)
    )
    if len(bases) == 1:
        return bases[0]
    if bases not in _made:
        last = bases[-1]
        namespace = {
            "__doc__": last.__doc__,
            "__module__": last.__module__,
            "__reduce__": _reduced,
        }
        _made[bases] = type(last.__name__, bases, namespace)
    return _made[bases]


def _reduced(error: Exception) -> tuple[object, ...]:
    """Let a made class be pickled and copied; by its name it would not be found."""
    return _restored, (type(error).__bases__, error.args, vars(error))


def _restored(
    bases: tuple[type[Any], ...], args: tuple[Any, ...], state: dict[str, Any]
) -> Exception:
    error: Exception = _joined(*bases)(*args)
    vars(error).update(state)
    return error
