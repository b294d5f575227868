"""Codecs in some states, and what to send with them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.postgres import _server as server
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import (
    Codec,
    ExtendedQuery,
    Int4Codec,
    PreparedQuery,
    RecordKeys,
    RowReader,
    RowSink,
    RowWriter,
    StartupMessage,
    State,
)


def started() -> Codec:
    codec = Codec()
    codec.send(StartupMessage({"user": "u"}))
    return codec


def opened(**settings: Any) -> Codec:
    codec = Codec(**settings)
    codec.send(StartupMessage({"user": "u"}))
    codec.receive_data(server.LET_IN)
    return codec


def reader() -> RowReader:
    return RowReader(RecordKeys(["a"]), [Int4Codec("int4")])


def execution(
    sink: RowSink | None = None, *, count: int = 1, sync: bool = True, max_rows: int = 0
) -> ExtendedQuery:
    prepared = PreparedQuery("s", RowWriter([]))
    if count == 1:
        return prepared.bind((), sink, max_rows, sync)
    return prepared.bind_many(iter([()] * count), sink, 1 << 20, sync)


def refused(codec: Codec, data: bytes, match: str) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError, match=match) as caught:
        codec.receive_data(data)
    assert codec.state is State.ERROR
    return caught.value
