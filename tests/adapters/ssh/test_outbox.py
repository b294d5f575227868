from __future__ import annotations

import asyncio
from typing import Any, cast

from tests.adapters.ssh._clock import Clock
from tests.interop.waiting import turns
from wirekit.adapters.ssh._outbox import Outbox


class Transport(asyncio.Transport):
    """Takes what is written, or only counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.size = 0
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.size

    def is_closing(self) -> bool:
        return self.closing


class Outgoing:
    """An outbox, what it wrote, and how often it was late."""

    def __init__(self) -> None:
        self.late = 0
        self.transport = Transport()
        self.clock = Clock()
        self.box = Outbox(self.transport, cast("Any", self.clock), 30.0, self.on_late)

    def on_late(self) -> None:
        self.late += 1
        self.box.close()


async def test_one_write_a_turn() -> None:
    outgoing = Outgoing()
    outgoing.box.put([])
    outgoing.box.put([b"one", b"two"])
    outgoing.box.put([b"three"])
    assert outgoing.transport.written == []
    await turns(1)
    assert outgoing.transport.written == [b"onetwothree"]
    outgoing.box.put([b"four"])
    await turns(1)
    assert outgoing.transport.written[1:] == [b"four"]


async def test_much_goes_at_once() -> None:
    outgoing = Outgoing()
    outgoing.box.put([b"one"])
    outgoing.box.put([bytes(70000)])
    assert outgoing.transport.written == [b"one" + bytes(70000)]
    await turns(1)
    assert len(outgoing.transport.written) == 1


async def test_a_peer_that_takes_nothing() -> None:
    outgoing = Outgoing()
    outgoing.transport.size = 100
    outgoing.box.pause()
    assert outgoing.box.is_congested
    outgoing.clock.pass_on()
    outgoing.clock.pass_on()
    assert outgoing.late == 1
    assert not outgoing.box.is_congested


async def test_a_peer_that_takes_a_little() -> None:
    outgoing = Outgoing()
    outgoing.transport.size = 1000
    outgoing.box.pause()
    for _ in range(3):
        outgoing.transport.size -= 10
        outgoing.clock.pass_on()
    assert outgoing.late == 0
    outgoing.box.resume()
    outgoing.clock.pass_on()
    outgoing.clock.pass_on()
    assert outgoing.late == 0
    assert not outgoing.box.is_congested


async def test_close() -> None:
    outgoing = Outgoing()
    outgoing.box.put([b"one"])
    outgoing.box.close()
    assert outgoing.transport.written == [b"one"]
    outgoing.box.pause()
    outgoing.box.put([b"two"])
    await turns(1)
    outgoing.clock.pass_on()
    assert outgoing.transport.written == [b"one"]
    assert outgoing.late == 0


async def test_close_when_there_is_nobody_to_write_to() -> None:
    outgoing = Outgoing()
    outgoing.box.put([b"one"])
    outgoing.transport.closing = True
    outgoing.box.close()
    await turns(1)
    assert outgoing.transport.written == []
