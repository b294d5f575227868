"""What the events of an answer come to: rows, a tag, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit.protocols.postgres import (
    CommandComplete,
    CopyResponse,
    EmptyQueryResponse,
    ErrorResponse,
    OutdatedType,
    PortalSuspended,
)

from .exceptions import InterfaceError, OutdatedSchemaCacheError, error_from_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wirekit.protocols.postgres import Event

__all__ = [
    "Results",
    "checked_result",
    "copy_error",
    "decoding_error",
    "last_tag",
    "raise_error",
    "rows_of",
]

Results = CommandComplete | PortalSuspended | EmptyQueryResponse
_WITH_ROWS = (CommandComplete, PortalSuspended)


def copy_error() -> InterfaceError:
    """Return the error for a COPY where none can be."""
    return InterfaceError("COPY is not for this method: use the copy_* ones")


def raise_error(events: Sequence[Event], query: str | None = None) -> None:
    """Raise the first error among the events of an answer; a COPY that began is one as well."""
    for event in events:
        if isinstance(event, CopyResponse):
            raise copy_error()
        if isinstance(event, ErrorResponse):
            raise error_from_fields(event.fields, query)


def last_tag(events: Sequence[Event]) -> str:
    """Return the tag of the last command that an answer is of; empty if there was none."""
    for event in reversed(events):
        if isinstance(event, CommandComplete):
            return event.tag
    return ""


def rows_of(event: Results) -> list[Any]:
    """Return the rows of a result; an empty query has none."""
    if isinstance(event, EmptyQueryResponse):
        return []
    rows: list[Any] = event.rows
    return rows


def checked_result(event: Event | None) -> Results:
    """Return the event that ended an execution; raise what a decoder of its rows raised."""
    if isinstance(event, _WITH_ROWS):
        if event.error is not None:
            raise decoding_error(event.error)
        return event
    if isinstance(event, EmptyQueryResponse):
        return event
    raise copy_error()


def decoding_error(error: Exception) -> Exception:
    """Return what a caller gets for what a decoder of his rows raised."""
    if isinstance(error, OutdatedType):
        made = OutdatedSchemaCacheError(str(error), data_type=error.type_name)
        made.__cause__ = error
        return made
    return error
