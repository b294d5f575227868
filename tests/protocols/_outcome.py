"""What a codec makes of bytes, in a form that can be compared."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from wirekit import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Outcome:
    """All events as their ``repr`` (NaN is not equal to itself), the fault, and what is left."""

    events: str
    fault: str | None
    state: str
    trailing_data: bytes
    end: str | None


def outcome(codec: Any, chunks: Iterable[bytes]) -> Outcome:
    """Feed the chunks and then the end of input; any other exception than the one is let out."""
    events: list[object] = []
    fault: str | None = None
    for chunk in chunks:
        try:
            events += codec.receive_data(chunk)
        except RemoteProtocolError as exc:
            events += exc.events
            fault = f"{type(exc).__name__}: {exc}"
            break
    state, trailing_data = codec.state.name, codec.trailing_data
    end = None
    try:
        events += codec.receive_eof()
    except RemoteProtocolError as exc:
        end = f"{type(exc).__name__}: {exc}"
    return Outcome(repr(events), fault, state, trailing_data, end)


def one_by_one(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut at the given offsets, in any order; those outside are left out."""
    inside = sorted({place for place in places if 0 < place < len(data)})
    bounds = [0, *inside, len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def shown(value: object) -> str:
    """Return a test's id for a value: short, and the same in every process."""
    if isinstance(value, memoryview):
        return f"memoryview({reprlib.repr(value.tobytes())})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(shown, cast('set[object]', value))))}}}"
    return reprlib.repr(value)
