from __future__ import annotations

import traceback
from typing import Any, cast

import wirekit
from wirekit.adapters.smtp import SMTPException


def assert_typed(error: object) -> None:
    """It is an error of ours, and whoever catches all of SMTP's catches it."""
    assert isinstance(error, wirekit.Error), repr(error)
    assert isinstance(error, SMTPException), repr(error)


def everything_in(thing: object) -> str:
    """Return all text that can be reached from an error without its traceback's frames."""
    seen: set[int] = set()
    found: list[str] = []

    def visit(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, bytes | bytearray):
            found.append(bytes(value).decode("latin-1"))
        elif isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            visit(list(cast("Any", value).items()))
        elif isinstance(value, list | tuple | set | frozenset):
            for item in cast("Any", value):
                visit(item)
        else:
            found.append(repr(value))
            if isinstance(value, BaseException):
                visit([value.args, value.__cause__, value.__context__, str(value)])
                visit("".join(traceback.format_exception(value)))
                visit(vars(value))

    visit(thing)
    return "\n".join(found)
