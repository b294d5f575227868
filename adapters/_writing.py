"""Writing what an adapter has gathered, no faster than the peer takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from wirekit.protocols._buffer import Buffer

__all__ = ["LARGE", "write_pieces"]

LARGE = 16384
"""Pieces of so many bytes are not joined with others."""

_SLICE = 262144  # bytes of a large piece handed to the transport at a time


def write_pieces(
    transport: asyncio.Transport, pieces: Sequence[Buffer], congested: Callable[[], bool]
) -> list[Buffer]:
    """Write small pieces as one, large ones in slices as there is room.

    Args:
        transport: takes them.
        pieces: in order.
        congested: whether the transport wants no more for now.

    Returns:
        What there was no room for.
    """
    small: list[Buffer] = []
    for index, piece in enumerate(pieces):
        if len(piece) < LARGE:
            small.append(piece)
            continue
        if small:
            transport.write(b"".join(small))
            small.clear()
        view = memoryview(piece)
        while view and not congested():
            transport.write(view[:_SLICE])
            view = view[_SLICE:]
        if congested():
            rest = list(pieces[index + 1 :])
            return [view, *rest] if view else rest
    if small:
        transport.write(small[0] if len(small) == 1 else b"".join(small))
    return []
