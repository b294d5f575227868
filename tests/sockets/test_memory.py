from __future__ import annotations

import asyncio
import random

import pytest

from wirekit import ConnectionLost, SocketClosed
from wirekit.sockets import MemoryTransport, memory_pair
from wirekit.sockets._attach import Receiver

from .carriers import unread
from .protocols import Streamed


def transports() -> tuple[MemoryTransport, MemoryTransport, Streamed, Streamed]:
    protocols = Streamed(half_open=True), Streamed(half_open=True)
    left, right = (MemoryTransport(protocol, int, 0.0) for protocol in protocols)
    left.join(right)
    right.join(left)
    return left, right, *protocols


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_pair_is_open_at_once() -> None:
    left, right = memory_pair()
    assert left.opened.done()
    assert left.info.remote_address == "memory"
    assert left.info.tls_version is None
    assert repr(right) == "<Socket memory open>"
    left.abort()
    await right.closed


@pytest.mark.parametrize("fragment", [1, 2, 7])
async def test_fragment_limits_each_delivery(fragment: int) -> None:
    left, right = memory_pair(fragment=fragment)
    pieces: list[bytes] = []
    right.attach(Receiver(data_received=pieces.append))
    await left.write(b"0123456789")
    await left.close()
    assert b"".join(pieces) == b"0123456789"
    assert all(len(piece) <= fragment for piece in pieces)
    assert len(pieces) == -(-10 // fragment)


async def test_fragment_may_be_a_function() -> None:
    chance = random.Random(1)
    left, right = memory_pair(fragment=lambda size: chance.randrange(size + 5))
    data = chance.randbytes(1000)
    await left.write(data)
    assert await right.read_exactly(1000) == data


async def test_bytes_come_in_later_turns_and_delayed_if_asked_for() -> None:
    left, right = memory_pair(delay=0.001)
    await left.write(b"x")
    await turns()
    assert not unread(right)
    assert await right.read() == b"x"


async def test_bytes_wait_while_the_other_end_is_paused() -> None:
    left, right, _, receiver = transports()
    right.pause_reading()
    left.write(b"later")
    await turns()
    assert left.get_write_buffer_size() == 5
    right.resume_reading()
    await turns()
    assert left.get_write_buffer_size() == 0
    assert receiver.data == b"later"


async def test_write_flow() -> None:
    left, right, sender, _ = transports()
    right.pause_reading()
    left.write(bytes(65536))
    assert not sender.write_paused
    left.write(b"x")
    assert sender.write_paused
    right.resume_reading()
    await turns()
    assert not sender.write_paused


async def test_close_waits_until_all_is_taken() -> None:
    left, right, sender, receiver = transports()
    right.pause_reading()
    left.write(b"last words")
    left.close()
    left.close()
    await turns()
    assert not sender.lost.is_set()
    right.resume_reading()
    await turns()
    assert sender.lost.is_set()
    assert sender.error is None
    assert receiver.data == b"last words"
    assert receiver.calls == ["data_received", "eof_received"]
    right.close()
    await turns()
    assert receiver.lost.is_set()


async def test_what_a_closing_end_has_not_received_is_thrown_away() -> None:
    left, right, sender, receiver = transports()
    right.pause_reading()
    left.write(bytes(100_000))
    assert sender.write_paused
    right.close()
    assert left.get_write_buffer_size() == 0
    assert not sender.write_paused
    await turns()
    assert receiver.lost.is_set()
    assert not receiver.data
    assert sender.calls == ["eof_received"]
    left.write(b"to nobody")
    await turns()
    assert isinstance(sender.error, ConnectionResetError)


async def test_a_closing_end_that_still_sends_throws_away_what_comes() -> None:
    left, right, sender, receiver = transports()
    left.pause_reading()
    right.pause_reading()
    left.write(bytes(100_000))
    right.write(b"last words")
    right.close()
    assert not sender.write_paused
    left.write(b"ignored")
    assert left.get_write_buffer_size() == 0
    await turns()
    assert not receiver.lost.is_set()
    left.resume_reading()
    await turns()
    assert receiver.lost.is_set()
    assert sender.data == b"last words"
    left.close()
    await turns()


async def test_abort_is_a_reset_for_the_other_end() -> None:
    left, right, sender, receiver = transports()
    left.write(b"dropped")
    left.abort()
    left.abort()
    await turns()
    assert sender.error is None
    assert isinstance(receiver.error, ConnectionResetError)
    assert not receiver.data
    assert sender.calls == receiver.calls == ["connection_lost"]
    assert right.is_closing()
    left.write(b"ignored")
    left.close()


async def test_the_loss_comes_from_the_loop_and_nothing_after_it() -> None:
    left, right, sender, _ = transports()
    right.write(b"too late")
    left.abort()
    assert not sender.calls
    await turns()
    assert sender.calls == ["connection_lost"]


async def test_closing_within_a_delivery_ends_it() -> None:
    left, right, _, receiver = transports()

    class Closing(Streamed):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            right.close()

    closing = Closing()
    right.set_protocol(closing)
    left.write(b"one")
    left.write(b"two")
    await turns()
    assert closing.data == b"one"
    assert closing.lost.is_set()
    assert not receiver.calls
    left.abort()
    await turns()


async def test_write_eof_ends_one_direction() -> None:
    left, right, _, receiver = transports()
    left.write_eof()
    left.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        left.write(b"x")
    right.write(b"still here")
    await turns()
    assert receiver.calls == ["eof_received"]
    left.close()
    right.close()
    await turns()
    assert receiver.lost.is_set()


async def test_a_writer_learns_that_the_other_end_is_gone() -> None:
    left, right = memory_pair(allow_half_open=True)
    await right.close()
    assert await left.read() == b""
    await left.write(b"x")
    await left.closed
    with pytest.raises(ConnectionLost):
        await left.write(b"x")
    with pytest.raises(SocketClosed):
        await right.write(b"x")
