from __future__ import annotations

import asyncio

import pytest

from wirekit.sockets import MemoryTransport, memory_pair
from wirekit.sockets._attach import Receiver, hand_over, replay

from .protocols import Buffered, Streamed


def transport_for(protocol: asyncio.BaseProtocol) -> MemoryTransport:
    return MemoryTransport(protocol, int, 0.0)


async def test_the_receiver_itself_is_called() -> None:
    transport = transport_for(asyncio.Protocol())
    protocol = Streamed()
    hand_over(transport, protocol, lambda error: None)
    present = transport.get_protocol()
    assert isinstance(present, asyncio.Protocol)
    assert present.data_received == protocol.data_received
    assert present.pause_writing == protocol.pause_writing
    buffered = Buffered()
    hand_over(transport, buffered, lambda error: None)
    present = transport.get_protocol()
    assert isinstance(present, asyncio.BufferedProtocol)
    assert present.buffer_updated == buffered.buffer_updated


async def test_without_anyone_watching_nothing_stands_between() -> None:
    transport = transport_for(asyncio.Protocol())
    protocol = Streamed()
    hand_over(transport, protocol)
    assert transport.get_protocol() is protocol


async def test_whoever_watches_goes_on_watching() -> None:
    seen: list[tuple[str, Exception | None]] = []
    transport = transport_for(asyncio.Protocol())
    hand_over(transport, Streamed(), lambda error: seen.append(("carrier", error)))
    hand_over(transport, Buffered(), lambda error: seen.append(("socket", error)))
    last = Streamed()
    hand_over(transport, last)
    error = ConnectionResetError()
    transport.get_protocol().connection_lost(error)
    assert seen == [("carrier", error), ("socket", error)]
    assert last.error is error


async def test_watchers_are_told_even_if_the_receiver_fails() -> None:
    class Failing(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            raise ZeroDivisionError

    seen: list[Exception | None] = []
    transport = transport_for(asyncio.Protocol())
    hand_over(transport, Failing(), seen.append)
    with pytest.raises(ZeroDivisionError):
        transport.get_protocol().connection_lost(None)
    assert seen == [None]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2500])
async def test_replay_fits_the_receiver(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    for protocol in (Streamed(), Buffered()):
        replay(protocol, data)
        assert protocol.data == data
        assert protocol.calls == (["data_received"] if data else [])


async def test_a_receiver_is_made_of_functions() -> None:
    got: list[bytes] = []
    receiver = Receiver(data_received=got.append)
    receiver.data_received(b"x")
    receiver.eof_received()
    assert got == [b"x"]


async def test_a_carrier_socket_closes_with_what_was_put_on_it() -> None:
    carrier, _ = memory_pair()
    hand_over(carrier.attach(Streamed()), Streamed())
    carrier.abort()
    await carrier.closed
