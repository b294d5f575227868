from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest

import wirekit
from wirekit.adapters.postgres.exceptions import UniqueViolationError
from wirekit.adapters.postgres.exceptions._base import (
    FIELD_NAMES,
    ClientConfigurationError,
    DataError,
    InterfaceError,
    InterfaceWarning,
    OutdatedSchemaCacheError,
    PostgresError,
    PostgresLogMessage,
    PostgresMessage,
    ProtocolError,
    TargetServerAttributeNotMatched,
    class_for_sqlstate,
)

# asyncpg has no types.
ASYNCPG: Any = importlib.import_module("asyncpg.exceptions")
ASYNCPG_BASE: Any = importlib.import_module("asyncpg.exceptions._base")


def test_fields_have_asyncpgs_names() -> None:
    assert ASYNCPG_BASE.PostgresMessageMeta._field_map == FIELD_NAMES
    for name in FIELD_NAMES.values():
        assert vars(PostgresMessage)[name] is None


def test_class_for_sqlstate() -> None:
    assert class_for_sqlstate("23505") is UniqueViolationError
    assert class_for_sqlstate("00000") is None
    assert class_for_sqlstate("") is None


def test_a_users_class_joins_in_but_takes_no_others_code(monkeypatch: pytest.MonkeyPatch) -> None:
    classes: dict[str, type[PostgresMessage]] = {"23505": UniqueViolationError}
    monkeypatch.setattr("wirekit.adapters.postgres.exceptions._base._classes", classes)

    class StockError(PostgresError):
        sqlstate = "WK001"

    class EmptyStockError(StockError):
        pass

    assert class_for_sqlstate("WK001") is StockError
    assert EmptyStockError.sqlstate == "WK001"
    with pytest.raises(TypeError, match="SQLSTATE 23505 is UniqueViolationError's already"):
        type("MineError", (PostgresError,), {"sqlstate": "23505"})
    assert class_for_sqlstate("23505") is UniqueViolationError


def test_text_of_a_servers_error() -> None:
    error = UniqueViolationError("duplicate key")
    theirs = ASYNCPG.UniqueViolationError("duplicate key")
    assert str(error) == str(theirs) == "duplicate key"
    for name in ("detail", "hint"):
        setattr(error, name, f"a {name}")
        setattr(theirs, name, f"a {name}")
    assert str(error) == str(theirs) == "duplicate key\nDETAIL:  a detail\nHINT:  a hint"
    assert str(PostgresError()) == ""


def test_as_dict() -> None:
    error = UniqueViolationError("no")
    error.query, error.constraint_name, error.position = "SELECT 1", "key", "7"
    assert error.as_dict() == {"sqlstate": "23505", "position": "7", "constraint_name": "key"}


def test_a_log_message_cannot_be_changed() -> None:
    message = PostgresLogMessage()
    vars(message).update(message="hello", severity="NOTICE")
    with pytest.raises(TypeError, match="PostgresLogMessage cannot be changed"):
        message.message = "bye"
    assert str(message) == "PostgresLogMessage: hello"
    for copied in (copy.copy(message), pickle.loads(pickle.dumps(message))):
        assert copied.as_dict() == {"message": "hello", "severity": "NOTICE"}


@pytest.mark.parametrize("kind", [InterfaceError, InterfaceWarning, ClientConfigurationError])
def test_text_of_a_clients_error(kind: type[InterfaceError | InterfaceWarning]) -> None:
    assert str(kind("no")) == "no"
    error = kind("no", detail="so", hint="try")
    assert (error.args, error.detail, error.hint) == (("no",), "so", "try")
    assert str(error) == "no\nDETAIL:  so\nHINT:  try"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (PostgresError, wirekit.ServerError),
        (InterfaceError, wirekit.Error),
        (ClientConfigurationError, wirekit.AddressError),
        (DataError, wirekit.LocalProtocolError),
        (ProtocolError, wirekit.RemoteProtocolError),
        (TargetServerAttributeNotMatched, wirekit.ConnectError),
    ],
)
def test_which_of_wirekits_classes_they_are(kind: type[Exception], ours: type[Exception]) -> None:
    error = kind("no")
    assert isinstance(error, ours)
    assert str(error) == "no"


def test_protocol_error_holds_events_and_a_host_error_its_cause() -> None:
    assert ProtocolError("no", events=[1]).events == [1]
    assert TargetServerAttributeNotMatched("no").cause == "network"


def test_outdated_schema_cache() -> None:
    error = OutdatedSchemaCacheError("no", schema="public", data_type="pair", position=1)
    assert (error.schema_name, error.data_type_name, error.position) == ("public", "pair", 1)
    assert str(error) == "no"
