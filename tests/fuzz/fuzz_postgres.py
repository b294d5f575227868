"""Whatever a server says, all builds and all ways to cut it give the same outcome.

Each codec meets the same bytes whole, one by one and cut at random places. RemoteProtocolError is
the only exception that the server's bytes cause, LocalProtocolError what we send at a wrong moment.

An input is a list of steps: a letter of `LETTERS` is something that the client sends; a null is
followed by a length, in one byte, and as many bytes from the server; and a 1 by a row from it: the
number of columns, and of each the length and as many bytes, all lengths in one byte, 255 for null.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tests.fuzz._atheris import fuzz
from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols._pure import is_compiled
from tests.protocols.postgres import _server as server
from tests.protocols.postgres._conversation import Client, converse
from tests.protocols.postgres._sources import load_source
from wirekit.protocols import postgres
from wirekit.protocols.postgres import codec

if TYPE_CHECKING:
    from tests.protocols.postgres._conversation import Step

SOURCE = load_source("protocols.postgres")
BUILDS: list[Any] = [SOURCE, postgres] if is_compiled(codec) else [postgres]

OPENED: list[Step] = ["startup", server.LET_IN]
NULL = 255
LETTERS: dict[int, str] = {
    **dict(zip(b"usgk", ("startup", "ssl", "gss encryption", "cancel"), strict=True)),
    **dict(zip(b"paAx", ("password", "sasl", "sasl response", "terminate"), strict=True)),
    **dict(zip(b"qtQ", ("query", "text query", "dropping query"), strict=True)),
    **dict(zip(b"PBEe", ("prepare", "portal", "execute", "dropping execute"), strict=True)),
    **dict(zip(b"cfSF", ("close", "flush", "sync", "function call"), strict=True)),
    **dict(zip(b"dD!", ("copy data", "copy done", "copy fail"), strict=True)),
    **dict(zip(b"or", ("copy chunks", "copy rows"), strict=True)),
    **dict(zip(b"3+n?", ("three", "three without sync", "drop", "raising"), strict=True)),
    **dict(zip(b"ihHNT", ("int4", "hot", "text", "numbers", "times"), strict=True)),
    **dict(zip(b"OWGR", ("documents", "networks", "geometry", "ranges"), strict=True)),
    **dict(zip(b"YC7", ("arrays", "containers", "search"), strict=True)),
    **dict(zip(b"124", ("columns of hot", "columns of numbers", "columns of times"), strict=True)),
    **dict(zip(b"56", ("columns of documents", "columns of containers"), strict=True)),
}


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    steps = unpack(data)
    random = Random(crc32(data))
    places = [random.randrange(len(data) + 1) for _ in range(4)]
    whole = converse(Client(BUILDS[0]), steps)
    for build in BUILDS:
        for cut in (whole_pieces, one_by_one, partial(cut_at, places=places)):
            result = converse(Client(build), steps, cut)
            if result != whole:
                raise AssertionError(f"{result} of {steps}, but {whole} of the whole")


def whole_pieces(data: bytes) -> list[bytes]:
    """Do not cut."""
    return [data]


def unpack(data: bytes) -> list[Step]:
    """Return the steps; ``.`` stands for all of an opening, and other bytes for nothing."""
    steps: list[Step] = []
    position = 0
    while position < len(data):
        kind = data[position]
        position += 1
        if kind == ord("."):
            steps += OPENED
        elif kind == 0 and position < len(data):
            end = position + 1 + data[position]
            steps.append(data[position + 1 : end])
            position = end
        elif kind == 1 and position < len(data):
            values: list[bytes | None] = []
            count = data[position]
            position += 1
            while len(values) < count and position < len(data):
                length = data[position]
                end = position + 1 + (0 if length == NULL else length)
                values.append(None if length == NULL else data[position + 1 : end])
                position = end
            steps.append(server.data_row(*values))
        elif kind in LETTERS:
            steps.append(LETTERS[kind])
    return steps


def pack(*steps: Step | tuple[bytes | None, ...]) -> bytes:
    """Return an input of these steps; tuples are rows, and "opened" is all of an opening."""
    letters = {name: letter for letter, name in LETTERS.items()}
    packed = bytearray()
    for step in steps:
        if isinstance(step, str):
            packed.append(ord(".") if step == "opened" else letters[step])
            continue
        if isinstance(step, tuple):
            packed += bytes([1, len(step)])
            for value in step:
                packed += bytes([NULL]) if value is None else bytes([len(value)]) + value
            continue
        for start in range(0, len(step), 255):
            piece = step[start : start + 255]
            packed += bytes([0, len(piece)]) + piece
    return bytes(packed)


if __name__ == "__main__":
    names = (
        *("codec", "_requests", "_decoding", "_rows", "_copy", "_columns", "_codecs", "_numeric"),
        *("_scalars", "_temporal", "_arrays", "_composites", "_ranges", "_type_map", "_network"),
        *("_geometric", "_text_search", "_identifiers", "_bits"),
    )
    fuzz(check, *[load_source(f"protocols.postgres.{name}") for name in names])
