"""Gathered pieces in as few writes as may be, and no more than there is room for."""

from __future__ import annotations

import asyncio

from wirekit.adapters._writing import LARGE, write_pieces


class Recorder(asyncio.Transport):
    """Takes ``room`` writes, and is congested then."""

    def __init__(self, room: int = 1000) -> None:
        super().__init__()
        self.room = room
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def congested(self) -> bool:
        return len(self.written) >= self.room


def test_small_pieces_are_one_write() -> None:
    transport = Recorder()
    assert write_pieces(transport, [b"a", b"b", b"c"], transport.congested) == []
    assert transport.written == [b"abc"]


def test_nothing_is_no_write() -> None:
    transport = Recorder()
    assert write_pieces(transport, [], transport.congested) == []
    assert transport.written == []


def test_large_pieces_stand_alone_in_order() -> None:
    transport = Recorder()
    large = bytes(LARGE)
    assert write_pieces(transport, [b"a", b"b", large, b"c"], transport.congested) == []
    assert transport.written == [b"ab", large, b"c"]


def test_what_there_is_no_room_for_is_returned() -> None:
    transport = Recorder(room=2)
    large = bytes(range(256)) * 4096
    rest = write_pieces(transport, [large, b"b", b"c"], transport.congested)
    assert len(transport.written) == 2
    assert len(transport.written[0]) < len(large)
    assert b"".join([*transport.written, *rest]) == large + b"bc"


def test_a_large_piece_that_ends_where_the_room_does_leaves_nothing_of_it() -> None:
    transport = Recorder(room=1)
    large = bytes(LARGE)
    assert write_pieces(transport, [large, b"b"], transport.congested) == [b"b"]
    assert transport.written == [large]
