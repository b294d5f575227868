from __future__ import annotations

import asyncio

import pytest

from wirekit.sockets import Transport
from wirekit.sockets._transport import offered_buffer

from .protocols import Buffered, Streamed


class Plain(Transport):
    """The least that a carrier writes; it sends nothing."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__(protocol, {"peername": "somebody"})
        self.unsent = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent(-len(data))

    def sent(self, size: int) -> None:
        self.unsent -= size
        self._update_flow()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = self.aborted = True

    def deliver(self, data: bytes) -> int:
        return self._deliver(data)

    def deliver_eof(self) -> None:
        self._deliver_eof()

    def lose(self, error: Exception | None) -> None:
        self._deliver_lost(error)


class PausesAfterEachCall(Buffered):
    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        assert self.transport is not None
        self.transport.pause_reading()


class Failing(asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        raise ZeroDivisionError

    def eof_received(self) -> bool:
        raise ZeroDivisionError


async def test_the_receiver_can_be_changed() -> None:
    first, second = Streamed(), Streamed()
    transport = Plain(first)
    assert transport.get_extra_info("peername") == "somebody"
    assert transport.deliver(b"one") == 3
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    transport.deliver(b"two")
    assert first.data == b"one"
    assert second.data == b"two"


async def test_a_buffered_receiver_takes_piece_by_piece_until_it_pauses() -> None:
    protocol = Buffered()
    transport = Plain(protocol)
    assert transport.deliver(bytes(2500)) == 2500
    assert len(protocol.data) == 2500
    pausing = PausesAfterEachCall()
    transport = Plain(pausing)
    pausing.connection_made(transport)
    assert transport.deliver(bytes(2500)) == 1000
    assert transport.deliver(bytes(1500)) == 0
    assert not transport.is_reading()
    transport.resume_reading()
    assert transport.deliver(bytes(1500)) == 1000


async def test_write_flow_follows_the_marks() -> None:
    protocol = Streamed()
    transport = Plain(protocol)
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(100)
    assert transport.get_write_buffer_limits() == (25, 100)
    transport.write(bytes(100))
    assert not protocol.write_paused
    transport.write(b"x")
    assert protocol.write_paused
    transport.sent(75)
    assert protocol.write_paused
    transport.sent(1)
    assert not protocol.write_paused
    transport.write(bytes(1000))
    transport.lose(None)
    transport.sent(1000)
    assert protocol.write_paused  # nothing is said to who was told that all is over


async def test_marks_may_be_changed_while_bytes_wait() -> None:
    protocol = Streamed()
    transport = Plain(protocol)
    transport.write(bytes(1000))
    transport.set_write_buffer_limits(high=0)
    assert protocol.write_paused
    transport.set_write_buffer_limits(low=1000)
    assert transport.get_write_buffer_limits() == (1000, 4000)
    assert not protocol.write_paused
    with pytest.raises(ValueError, match="must be >= low"):
        transport.set_write_buffer_limits(high=1, low=2)
    with pytest.raises(ValueError, match="must be >= low"):
        transport.set_write_buffer_limits(high=-1, low=-1)


async def test_the_end_is_told_once_and_closes_unless_wanted_otherwise() -> None:
    protocol = Streamed()
    transport = Plain(protocol)
    transport.deliver_eof()
    transport.deliver_eof()
    assert protocol.calls == ["eof_received"]
    assert transport.is_closing()
    assert not transport.is_reading()
    half_open = Plain(Streamed(half_open=True))
    half_open.deliver_eof()
    assert not half_open.is_closing()
    assert half_open.can_write_eof()


async def test_the_loss_is_told_once_and_last() -> None:
    protocol = Streamed()
    transport = Plain(protocol)
    error = ConnectionResetError()
    transport.lose(error)
    transport.lose(None)
    assert protocol.calls == ["connection_lost"]
    assert protocol.error is error
    assert transport.deliver(b"late") == 0
    assert not protocol.data


async def test_a_receiver_that_fails_ends_the_connection_and_is_reported() -> None:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    for data in (b"x", b""):
        protocol = Failing()
        transport = Plain(protocol)
        if data:
            transport.deliver(data)
        else:
            transport.deliver_eof()
        assert transport.aborted
        report = reports.pop()
        assert isinstance(report["exception"], ZeroDivisionError)
        assert report["protocol"] is protocol


async def test_a_buffer_without_room_is_an_error_and_no_endless_loop() -> None:
    class Full(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    with pytest.raises(RuntimeError, match="empty buffer"):
        offered_buffer(Full(), 10)


async def test_a_carrier_has_to_say_what_is_unsent() -> None:
    with pytest.raises(NotImplementedError):
        Transport(Streamed()).get_write_buffer_size()
