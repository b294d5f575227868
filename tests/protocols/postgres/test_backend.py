"""The server's messages as values."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from wirekit.protocols import postgres
from wirekit.protocols.postgres import (
    Authentication,
    AuthenticationMD5Password,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    BackendKeyData,
    Column,
    CommandComplete,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    CopyResponse,
    Event,
    ParseComplete,
    RowDescription,
)
from wirekit.protocols.postgres._backend import __all__ as NAMES

CLASSES: list[Any] = [value for name in NAMES if inspect.isclass(value := getattr(postgres, name))]
EVENTS = [
    kind for kind in CLASSES if issubclass(kind, Event) and kind not in (Event, Authentication)
]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_events_are_values(kind: Any) -> None:
    fields = dataclasses.fields(kind)
    values = [
        {"V": "FATAL"} if field.name == "fields" else number for number, field in enumerate(fields)
    ]
    event = kind(*values)
    assert event == kind(*values)
    assert repr(event).startswith(f"{kind.__name__}(")
    with pytest.raises((AttributeError, TypeError)):
        event.something_else = 1


@pytest.mark.parametrize(
    "event",
    [
        AuthenticationMD5Password(b"secret"),
        AuthenticationSASLContinue(b"secret"),
        AuthenticationSASLFinal(b"secret"),
        BackendKeyData(1, b"secret"),
    ],
)
def test_secrets_are_not_shown(event: Event) -> None:
    assert "secret" not in repr(event)


def test_authentication_and_copy_are_families() -> None:
    for kind in EVENTS:
        name = kind.__name__
        assert issubclass(kind, Authentication) == name.startswith("Authentication")
    for kind in (CopyInResponse, CopyOutResponse, CopyBothResponse):
        assert issubclass(kind, CopyResponse)


def test_a_description_shows_its_columns_only() -> None:
    column = Column("a", 1, 2, 23, 4, -1, 1)
    assert repr(RowDescription((column,), b"body")) == f"RowDescription(columns=({column!r},))"
    assert hash(ParseComplete()) == hash(ParseComplete())
    assert CommandComplete("BEGIN", [], None).error is None
