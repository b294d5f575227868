from __future__ import annotations

import contextlib
import copy
import importlib
import pickle
from collections.abc import Generator
from typing import Any

import pytest

import wirekit
from wirekit.adapters.postgres import exceptions
from wirekit.adapters.postgres.exceptions import (
    ClientConfigurationError,
    ClosedError,
    ConnectionDoesNotExistError,
    DuplicateTableError,
    IntegrityConstraintViolationError,
    InterfaceError,
    InvalidCachedStatementError,
    NoData,
    PLPGSQLError,
    PostgresError,
    PostgresLogMessage,
    PostgresWarning,
    ProtocolError,
    QueryArgumentError,
    UniqueViolationError,
    UnknownPostgresError,
    connection_error,
    error_from_fields,
    log_message_from_fields,
)

# asyncpg has no types.
ASYNCPG: Any = importlib.import_module("asyncpg.exceptions")

UNIQUE = {
    "S": "FEHLER",
    "V": "ERROR",
    "C": "23505",
    "M": "duplicate key value violates unique constraint",
    "D": "Key (a)=(1) already exists.",
    "s": "public",
    "t": "items",
    "n": "items_pkey",
    "F": "nbtinsert.c",
    "L": "666",
    "R": "_bt_check_unique",
    "?": "of a later protocol",
}


# Errors of the server


def test_error_from_fields() -> None:
    error = error_from_fields(UNIQUE, "INSERT INTO items VALUES (1)")
    theirs = ASYNCPG.PostgresError.new(UNIQUE, "INSERT INTO items VALUES (1)")
    assert type(error) is UniqueViolationError
    assert isinstance(error, wirekit.ServerError)
    assert error.as_dict() == theirs.as_dict()
    assert vars(error) == vars(theirs)
    assert str(error) == str(theirs)
    assert error.query == "INSERT INTO items VALUES (1)"


def test_fields_that_are_missing() -> None:
    error = error_from_fields({})
    assert type(error) is UnknownPostgresError
    assert (str(error), error.sqlstate, error.message, error.query) == ("", None, None, None)


@pytest.mark.parametrize(
    ("sqlstate", "family"),
    [("23999", IntegrityConstraintViolationError), ("P0999", PLPGSQLError)],
)
def test_an_unknown_sqlstate_is_of_its_family(sqlstate: str, family: type[Exception]) -> None:
    error = error_from_fields({"C": sqlstate, "M": "no"})
    assert isinstance(error, UnknownPostgresError)
    assert isinstance(error, family)
    assert (type(error).__name__, error.sqlstate, str(error)) == (family.__name__, sqlstate, "no")
    assert type(error) is type(error_from_fields({"C": sqlstate}))


@pytest.mark.parametrize("sqlstate", ["00000", "WK001", "?"])
def test_an_unknown_sqlstate_of_no_family(sqlstate: str) -> None:
    error = error_from_fields({"C": sqlstate, "M": "no"})
    assert type(error) is UnknownPostgresError
    assert error.sqlstate == sqlstate


@pytest.mark.parametrize(("sqlstate", "kind"), [("02000", NoData), ("01999", PostgresWarning)])
def test_an_error_with_the_sqlstate_of_a_warning(sqlstate: str, kind: type[Exception]) -> None:
    # RAISE EXCEPTION USING ERRCODE = 'no_data'
    @contextlib.contextmanager
    def transaction() -> Generator[None]:
        yield

    error = error_from_fields({"C": sqlstate, "M": "none", "H": "look"})
    assert isinstance(error, PostgresError)
    assert isinstance(error, kind)
    assert (type(error).__name__, str(error)) == (kind.__name__, "none\nHINT:  look")
    # contextlib sets __traceback__, pytest and anyio add notes.
    with pytest.raises(PostgresError), transaction():
        raise error
    error.add_note("noted")
    assert error.__notes__ == ["noted"]


def test_a_stale_plan_is_known_by_the_servers_function() -> None:
    fields = {"C": "0A000", "M": "der Ergebnistyp darf sich nicht ändern"}
    assert type(error_from_fields(fields)) is exceptions.FeatureNotSupportedError
    error = error_from_fields({**fields, "R": "RevalidateCachedQuery"})
    assert type(error) is InvalidCachedStatementError
    assert error.message == fields["M"]
    assert "no longer valid" in str(error)


@pytest.mark.parametrize("sqlstate", ["42P05", "26000"])
def test_a_lost_prepared_statement_hints_at_poolers(sqlstate: str) -> None:
    fields = {"C": sqlstate, "M": 'prepared statement "s1" …'}
    assert (
        type(error_from_fields(fields)).__name__ == type(ASYNCPG.PostgresError.new(fields)).__name__
    )
    hint = error_from_fields(fields).hint
    assert hint is not None
    assert "statement_cache_size=0" in hint
    assert error_from_fields({**fields, "H": "Look."}).hint == f"Look.\n{hint}"


def test_what_was_secret_is_not_shown() -> None:
    query = "ALTER ROLE app PASSWORD 'swordfish'"
    error = error_from_fields({"C": "42501", "M": "permission denied", "q": query}, query)
    assert error.query == error.internal_query == query
    assert "swordfish" not in f"{error} {error!r}"


# Notices


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"V": "NOTICE", "C": "00000", "M": "hello"}, PostgresLogMessage),
        ({"V": "WARNING", "C": "01000", "M": "hello"}, PostgresWarning),
        ({"S": "WARNUNG", "V": "WARNING", "C": "WK001", "M": "hello"}, PostgresWarning),
        ({"S": "WARNING", "C": "WK001", "M": "hello"}, PostgresWarning),
        ({"V": "NOTICE", "C": "42P07", "M": "hello"}, DuplicateTableError),
        ({"V": "NOTICE", "C": "23999", "M": "hello"}, PostgresLogMessage),
        ({}, PostgresLogMessage),
    ],
)
def test_log_message_from_fields(fields: dict[str, str], kind: type) -> None:
    message = log_message_from_fields(fields, "DO ''")
    theirs = ASYNCPG.PostgresLogMessage.new(fields, "DO ''")
    assert type(message) is kind
    assert kind.__name__ == type(theirs).__name__
    assert message.as_dict() == theirs.as_dict()
    assert str(message) == str(theirs)
    assert message.query == "DO ''"
    assert pickle.loads(pickle.dumps(message)).as_dict() == message.as_dict()


# Errors of the connection


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (wirekit.ConnectionLost("gone"), (ConnectionDoesNotExistError, ConnectionError)),
        (wirekit.SocketClosed("closed"), (ConnectionDoesNotExistError,)),
        (wirekit.ReadTimeout("late"), (ConnectionDoesNotExistError, TimeoutError)),
        (wirekit.WriteTimeout("late"), (ConnectionDoesNotExistError, TimeoutError)),
        (wirekit.RemoteProtocolError("bad"), (ConnectionDoesNotExistError, ProtocolError)),
        (wirekit.MessageTooLarge("big"), (ConnectionDoesNotExistError, ProtocolError)),
        (wirekit.BusyError("busy"), (InterfaceError,)),
        (ClosedError("closed"), (ConnectionDoesNotExistError, InterfaceError)),
        (wirekit.AddressError("bad"), (ClientConfigurationError, ValueError)),
    ],
)
def test_connection_errors_are_of_both_libraries(
    error: wirekit.TransportError | wirekit.RemoteProtocolError, kinds: tuple[type, ...]
) -> None:
    cause = error.__cause__ = OSError("why")
    error.add_note("noted")
    joined = connection_error(error)
    assert all(isinstance(joined, kind) for kind in (type(error), *kinds))
    assert joined is not error
    assert str(joined) == str(error)
    assert joined.__cause__ is cause
    assert joined.__notes__ == ["noted"]
    if isinstance(joined, ConnectionDoesNotExistError):
        assert joined.as_dict() == {"sqlstate": "08003"}
    # A second caller gets its own, of the same class; once more keeps it as it is.
    assert type(connection_error(error)) is type(joined)
    assert isinstance(joined, wirekit.TransportError | wirekit.RemoteProtocolError)
    assert type(connection_error(joined)) is type(joined)
    for copied in (copy.copy(joined), pickle.loads(pickle.dumps(joined))):
        assert type(copied) is type(joined)
        assert (str(copied), vars(copied)) == (str(joined), vars(joined))


def test_what_came_before_a_fault_is_kept() -> None:
    joined = connection_error(wirekit.RemoteProtocolError("bad", events=[1, 2]))
    assert isinstance(joined, wirekit.RemoteProtocolError)
    assert joined.events == [1, 2]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (wirekit.ConnectionLost("gone"), "ConnectionLost"),
        (wirekit.RemoteProtocolError("bad"), "ProtocolError"),
        (wirekit.BusyError("busy"), "BusyError"),
    ],
)
def test_they_are_known_by_wirekits_names(
    error: wirekit.TransportError | wirekit.RemoteProtocolError, name: str
) -> None:
    assert type(connection_error(error)).__name__ == name


@pytest.mark.parametrize(
    "error",
    [
        wirekit.ConnectError("no"),
        wirekit.ConnectRefused("no", errno=111),
        wirekit.ConnectTimeout("late"),
        wirekit.TLSError("no"),
        exceptions.TargetServerAttributeNotMatched("no"),
    ],
)
def test_a_connection_that_did_not_come_about_stays_an_oserror(error: wirekit.ConnectError) -> None:
    assert connection_error(error) is error
    assert isinstance(error, OSError)


def test_any_other_oserror_is_a_lost_connection() -> None:
    error = BrokenPipeError(32, "broken")
    joined = connection_error(error)
    assert isinstance(joined, wirekit.ConnectionLost)
    assert isinstance(joined, ConnectionDoesNotExistError)
    assert joined.__cause__ is error
    assert str(joined) == str(error)


def test_closed_error() -> None:
    error = ClosedError("connection is closed", hint="Open one.")
    assert isinstance(error, InterfaceError)
    assert isinstance(error, wirekit.SocketClosed)
    assert str(error) == "connection is closed\nHINT:  Open one."


def test_query_argument_error() -> None:
    error = QueryArgumentError("invalid input for query argument $1", detail="so")
    # As asyncpg.DataError, which asyncpg raises for this: SQLSTATE 22000.
    assert isinstance(error, exceptions.DataError)
    assert error.sqlstate == ASYNCPG.DataError.sqlstate
    assert isinstance(error, InterfaceError)
    assert isinstance(error, wirekit.LocalProtocolError)
    assert isinstance(error, ValueError)
    assert str(error) == "invalid input for query argument $1\nDETAIL:  so"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
