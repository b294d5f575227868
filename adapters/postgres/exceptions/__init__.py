"""Every exception, warning and notice of the Postgres adapter, under asyncpg's names.

What is raised is always a `wirekit.Error` and, where asyncpg has a class for it, of that class too:

- an error of the server is a `PostgresError` (and a `wirekit.ServerError`) of the class that its
  SQLSTATE has, such as `UniqueViolationError`;
- a connection that was lost, or closed underneath, keeps its wirekit class (`ConnectionLost`,
  `SocketClosed`, `ReadTimeout`, …) and is also a `ConnectionDoesNotExistError`. So it counts as a
  `wirekit.ServerError`: catch `wirekit.TransportError` first where the two are told apart;
- a connection that did not come about is a `wirekit.ConnectError`, which is an `OSError`;
- wrong use is an `InterfaceError`; after closing a `ClosedError`, which is a `SocketClosed`.
"""

from __future__ import annotations

from . import _sqlstates
from ._base import (
    ClientConfigurationError,
    FatalPostgresError,
    InterfaceError,
    InterfaceMessage,
    InterfaceWarning,
    InternalClientError,
    OutdatedSchemaCacheError,
    PostgresError,
    PostgresLogMessage,
    PostgresMessage,
    ProtocolError,
    TargetServerAttributeNotMatched,
    UnknownPostgresError,
    UnsupportedClientFeatureError,
    UnsupportedServerFeatureError,
)
from ._raising import (
    ClosedError,
    QueryArgumentError,
    connection_error,
    error_from_fields,
    log_message_from_fields,
)
from ._sqlstates import *  # noqa: F403

__all__ = [
    "ClientConfigurationError",
    "ClosedError",
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
    "QueryArgumentError",
    "TargetServerAttributeNotMatched",
    "UnknownPostgresError",
    "UnsupportedClientFeatureError",
    "UnsupportedServerFeatureError",
    "connection_error",
    "error_from_fields",
    "log_message_from_fields",
]
__all__ += _sqlstates.__all__
