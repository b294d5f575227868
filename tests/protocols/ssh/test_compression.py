"""zlib@openssh.com: any payloads, and what is not compressed or too large."""

from __future__ import annotations

import contextlib
import zlib

import asyncssh.compression
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.protocols.ssh import DisconnectReason, PacketTooLarge, SSHProtocolError
from wirekit.protocols.ssh._compression import Compressor, Decompressor

LIMIT = 1000


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=10))
def test_round_trip_packet_by_packet(payloads: list[bytes]) -> None:
    compressor, decompressor = Compressor(), Decompressor(LIMIT)
    for payload in payloads:
        assert decompressor.decompress(compressor.compress(payload)) == payload


def test_asyncssh() -> None:
    ours, theirs = Compressor(), asyncssh.compression.get_decompressor(b"zlib@openssh.com")
    assert theirs is not None
    back = asyncssh.compression.get_compressor(b"zlib@openssh.com")
    assert back is not None
    decompressor = Decompressor(LIMIT)
    for payload in (b"payload" * 50, b"x", b"payload" * 50):
        assert theirs.decompress(ours.compress(payload)) == payload
        compressed = back.compress(payload)
        assert compressed is not None
        assert decompressor.decompress(compressed) == payload


def test_the_limit_is_exact_and_nothing_beyond_it_is_made() -> None:
    compressor, decompressor = Compressor(), Decompressor(LIMIT)
    assert len(decompressor.decompress(compressor.compress(bytes(LIMIT)))) == LIMIT
    with pytest.raises(PacketTooLarge) as caught:
        decompressor.decompress(compressor.compress(bytes(LIMIT + 1)))
    assert caught.value.reason_code is DisconnectReason.COMPRESSION_ERROR
    bomb = Compressor().compress(bytes(10**7))
    assert len(bomb) < 20000
    with pytest.raises(PacketTooLarge):
        Decompressor(LIMIT).decompress(bomb)


@pytest.mark.parametrize("data", [b"no zlib", b"\0\0", zlib.compress(b"all of it")])
def test_others_are_refused(data: bytes) -> None:
    with pytest.raises(SSHProtocolError) as caught:
        Decompressor(LIMIT).decompress(data)
    assert caught.value.reason_code is DisconnectReason.COMPRESSION_ERROR


@given(st.binary(max_size=100))
def test_arbitrary_bytes(data: bytes) -> None:
    with contextlib.suppress(SSHProtocolError):
        assert len(Decompressor(LIMIT).decompress(b"\x78\x9c" + data)) <= LIMIT
