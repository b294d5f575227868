"""The classes under which every error and message of the adapter stands; named as asyncpg's.

PostgresMessage                          anything that the server says beside its answers
├─ PostgresLogMessage                    a notice; PostgresWarning is also a `Warning`
└─ PostgresError                         (wirekit.ServerError) one class for each SQLSTATE below it
   └─ FatalPostgresError
      └─ UnknownPostgresError            its SQLSTATE has no class
InterfaceMessage
├─ InterfaceError                        (wirekit.Error) used in a wrong way
│  ├─ ClientConfigurationError           (wirekit.AddressError)
│  ├─ DataError                          (wirekit.LocalProtocolError)
│  ├─ UnsupportedClientFeatureError
│  └─ UnsupportedServerFeatureError
└─ InterfaceWarning                      (UserWarning)
InternalClientError                      (wirekit.Error)
├─ OutdatedSchemaCacheError
├─ ProtocolError                         (wirekit.RemoteProtocolError)
└─ TargetServerAttributeNotMatched       (wirekit.ConnectError)
"""

from __future__ import annotations

from typing import Any

from wirekit._errors import (
    AddressError,
    ConnectError,
    Error,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
)

__all__ = [
    "FIELD_NAMES",
    "ClientConfigurationError",
    "DataError",
    "FatalPostgresError",
    "InterfaceError",
    "InterfaceMessage",
    "InterfaceWarning",
    "InternalClientError",
    "OutdatedSchemaCacheError",
    "PostgresError",
    "PostgresLogMessage",
    "PostgresMessage",
    "ProtocolError",
    "TargetServerAttributeNotMatched",
    "UnknownPostgresError",
    "UnsupportedClientFeatureError",
    "UnsupportedServerFeatureError",
    "class_for_sqlstate",
]

# PostgreSQL, Frontend/Backend Protocol, "Error and Notice Message Fields": the code of a field on
# the wire, and the attribute that holds it.
FIELD_NAMES = {
    "S": "severity",
    "V": "severity_en",
    "C": "sqlstate",
    "M": "message",
    "D": "detail",
    "H": "hint",
    "P": "position",
    "p": "internal_position",
    "q": "internal_query",
    "W": "context",
    "s": "schema_name",
    "t": "table_name",
    "c": "column_name",
    "d": "data_type_name",
    "n": "constraint_name",
    "F": "server_source_filename",
    "L": "server_source_line",
    "R": "server_source_function",
}

_classes: dict[str, type[PostgresMessage]] = {}


def class_for_sqlstate(sqlstate: str) -> type[PostgresMessage] | None:
    """Return the class that names this SQLSTATE as its own, or None."""
    return _classes.get(sqlstate)


def _with_detail(args: tuple[Any, ...], detail: str | None, hint: str | None) -> str:
    """Return the text as psql shows it: the message, then a line each for detail and hint."""
    text = str(args[0]) if args else ""
    if detail:
        text += f"\nDETAIL:  {detail}"
    if hint:
        text += f"\nHINT:  {hint}"
    return text


class PostgresMessage:
    """What the server reports: an error, a warning or a notice.

    A subclass that sets ``sqlstate`` is from then on the class of the messages with that code; a
    code that has its class already is a `TypeError`.

    Attributes:
        severity: ``ERROR``, ``FATAL``, ``WARNING``, …, in the language of the server.
        severity_en: The same, never translated.
        sqlstate: Five characters; PostgreSQL's documentation, Appendix A.
        message: The first line, as the server sent it.
        detail: A second, longer text.
        hint: What to do about it.
        position: Where in the query, in characters from 1, as text.
        internal_position: The same within ``internal_query``.
        internal_query: The query that the server itself made, as a function does.
        context: The call stack, innermost first, one a line.
        schema_name: The schema of what the message is about.
        table_name: The table.
        column_name: The column.
        data_type_name: The data type.
        constraint_name: The constraint; an index counts as one.
        server_source_filename: Where in the server's source, for its developers.
        server_source_line: The line there.
        server_source_function: The function there.
        query: The query that was running.
    """

    severity: str | None = None
    severity_en: str | None = None
    sqlstate: str | None = None
    message: str | None = None
    detail: str | None = None
    hint: str | None = None
    position: str | None = None
    internal_position: str | None = None
    internal_query: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    data_type_name: str | None = None
    constraint_name: str | None = None
    server_source_filename: str | None = None
    server_source_line: str | None = None
    server_source_function: str | None = None
    query: str | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        sqlstate = cls.__dict__.get("sqlstate")
        if sqlstate is not None and _classes.setdefault(sqlstate, cls) is not cls:
            raise TypeError(f"SQLSTATE {sqlstate} is {_classes[sqlstate].__name__}'s already")

    def as_dict(self) -> dict[str, str]:
        """Return the fields that the server sent, by attribute name; ``query`` is not one."""
        values = ((name, getattr(self, name)) for name in FIELD_NAMES.values())
        return {name: value for name, value in values if value is not None}


class PostgresError(PostgresMessage, ServerError):
    """The server answered with an error; ``sqlstate`` says which."""

    def __str__(self) -> str:
        return _with_detail(self.args, self.detail, self.hint)

    def __setattr__(self, name: str, value: object) -> None:
        # An error with the SQLSTATE of a warning is a PostgresLogMessage too, and yet takes a
        # traceback and notes like any exception.
        Exception.__setattr__(self, name, value)


class FatalPostgresError(PostgresError):
    """An error after which the connection is of no use."""


class UnknownPostgresError(FatalPostgresError):
    """An error whose SQLSTATE has no class, such as one that a function made up."""


class PostgresLogMessage(PostgresMessage):
    """A notice, a warning or another message that is no error; it cannot be changed."""

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.message}"

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(f"a {type(self).__name__} cannot be changed")

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        vars(self).update(state or {})


class InterfaceMessage:
    """An error or a warning that comes from the client, with ``detail`` and ``hint`` if it has."""

    args: tuple[Any, ...]

    def __init__(self, *, detail: str | None = None, hint: str | None = None) -> None:
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return _with_detail(self.args, self.detail, self.hint)


class InterfaceError(InterfaceMessage, Error):
    """The client was used in a way that it does not allow, or not in this state."""

    def __init__(self, msg: str, *, detail: str | None = None, hint: str | None = None) -> None:
        InterfaceMessage.__init__(self, detail=detail, hint=hint)
        Exception.__init__(self, msg)


class ClientConfigurationError(InterfaceError, AddressError):
    """A connection string, an option or a file of settings is wrong."""


class DataError(InterfaceError, LocalProtocolError, ValueError):
    """A query's argument cannot be sent.

    What people know as ``asyncpg.DataError`` is the server's, SQLSTATE 22000; wirekit raises
    `QueryArgumentError`, which is both.
    """


class UnsupportedClientFeatureError(InterfaceError):
    """The client has no such feature."""


class UnsupportedServerFeatureError(InterfaceError):
    """The server has no such feature."""


class InterfaceWarning(InterfaceMessage, UserWarning):
    """The client was used in a way that is probably not meant."""

    def __init__(self, msg: str, *, detail: str | None = None, hint: str | None = None) -> None:
        InterfaceMessage.__init__(self, detail=detail, hint=hint)
        UserWarning.__init__(self, msg)


class InternalClientError(Error):
    """Something that should not have come about on this side."""


class ProtocolError(InternalClientError, RemoteProtocolError):
    """The server sent what the protocol does not allow."""


class TargetServerAttributeNotMatched(InternalClientError, ConnectError):
    """No host is of the wanted kind, such as a primary or a standby."""


class OutdatedSchemaCacheError(InternalClientError):
    """A value could not be decoded because its type was changed since the client learnt it.

    ``schema_name``, ``data_type_name`` and ``position`` (the attribute's index within a composite
    type) say which.
    """

    def __init__(
        self,
        msg: str,
        *,
        schema: str | None = None,
        data_type: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(msg)
        self.schema_name = schema
        self.data_type_name = data_type
        self.position = position
