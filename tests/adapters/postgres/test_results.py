from __future__ import annotations

from typing import Any

import pytest

from wirekit.adapters.postgres import DivisionByZeroError, InterfaceError
from wirekit.adapters.postgres._results import (
    checked_result,
    copy_error,
    last_tag,
    raise_error,
    rows_of,
)
from wirekit.protocols.postgres import (
    CommandComplete,
    CopyOutResponse,
    EmptyQueryResponse,
    ErrorResponse,
    PortalSuspended,
)

DIVISION = ErrorResponse({"S": "ERROR", "V": "ERROR", "C": "22012", "M": "division by zero"})
DONE = CommandComplete("SELECT 2", [1, 2], None)


def test_the_first_error_is_raised() -> None:
    with pytest.raises(DivisionByZeroError) as caught:
        raise_error([DONE, DIVISION], "SELECT 1/0")
    assert caught.value.query == "SELECT 1/0"
    raise_error([DONE])
    raise_error([])


def test_each_caller_gets_an_error_of_his_own() -> None:
    caught: list[Any] = []
    for _ in range(2):
        with pytest.raises(DivisionByZeroError) as raised:
            raise_error([DIVISION])
        caught.append(raised.value)
    assert caught[0] is not caught[1]


def test_a_copy_is_an_error() -> None:
    with pytest.raises(InterfaceError, match="copy_"):
        raise_error([CopyOutResponse(0, ())])
    with pytest.raises(InterfaceError, match="copy_"):
        checked_result(CopyOutResponse(0, ()))
    assert "copy_" in str(copy_error())


def test_tags() -> None:
    assert last_tag([DONE, CommandComplete("INSERT 0 1", [], None), EmptyQueryResponse()]) == (
        "INSERT 0 1"
    )
    assert last_tag([EmptyQueryResponse()]) == ""
    assert last_tag([]) == ""


def test_rows() -> None:
    assert rows_of(DONE) == [1, 2]
    assert rows_of(PortalSuspended([3], None)) == [3]
    assert rows_of(EmptyQueryResponse()) == []


def test_what_a_decoder_raised_is_its_callers() -> None:
    assert checked_result(DONE) is DONE
    assert isinstance(checked_result(EmptyQueryResponse()), EmptyQueryResponse)
    with pytest.raises(OverflowError, match="year"):
        checked_result(CommandComplete("SELECT 1", [], OverflowError("year")))
    with pytest.raises(InterfaceError):
        checked_result(None)
