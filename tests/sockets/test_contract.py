"""What every carrier promises, whatever it is made of, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Awaitable, Callable

import pytest

from wirekit import (
    BusyError,
    ConnectionLost,
    MessageTooLarge,
    ReadTimeout,
    SocketClosed,
    WriteTimeout,
)
from wirekit.sockets import Socket

from .carriers import ABORT_IS_END, CARRIERS, Workshop, below, unread, until
from .protocols import Buffered, Recording, Streamed

pytestmark = [pytest.mark.both_loops, pytest.mark.parametrize("carrier", CARRIERS)]

CHUNK = 65536
# What may lie between a writer and a reader that takes nothing: the buffers of the kernel and of
# every layer. Measured against what is offered, which is much more.
IN_FLIGHT = 12_000_000


def sample(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def bulk(carrier: str) -> bytes:
    return sample(20_000 if carrier == "memory byte by byte" else 10_000_000)


def stop_reading(socket: Socket) -> asyncio.Transport:
    """Make this end one that never reads."""
    return socket.attach(Streamed(paused=True))


# Bytes.


async def test_what_one_writes_the_other_reads(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"hello\r\nworld")
    assert await server.read_until(b"\r\n") == b"hello\r\n"
    assert await server.read_exactly(5) == b"world"
    await server.write(bytearray(b"to and "))
    await server.write(memoryview(b"fro"))
    assert await client.read_exactly(10) == b"to and fro"


async def test_a_large_write_arrives_whole_both_ways_at_once(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    data = bulk(carrier)
    async with asyncio.TaskGroup() as group:
        group.create_task(client.write(data))
        group.create_task(server.write(data[::-1]))
        there = group.create_task(server.read_exactly(len(data)))
        back = group.create_task(client.read_exactly(len(data)))
    assert there.result() == data
    assert back.result() == data[::-1]


async def test_many_small_writes_arrive_in_order(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    data = sample(2000)
    for position in range(len(data)):
        await client.write(data[position : position + 1])
    assert await server.read_exactly(len(data)) == data


async def test_a_buffer_may_be_reused_after_write(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier, high_water_mark=10_000_000)
    data = bytearray(bulk(carrier)[:3_000_000])
    expected = bytes(data)
    await client.write(data)
    data[:] = bytes(len(data))
    assert await server.read_exactly(len(expected)) == expected


async def test_read_takes_at_most_what_it_is_asked_for(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"abcdef")
    assert await server.read_exactly(1) == b"a"
    got = b""
    while len(got) < 5:
        piece = await server.read(2)
        assert 1 <= len(piece) <= 2
        got += piece
    assert got == b"bcdef"
    with pytest.raises(ValueError, match="at least 1"):
        await server.read(0)


async def test_read_into_fills_a_buffer(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"abcdef")
    await client.write_eof()
    room = bytearray(4)
    got = b""
    while count := await server.readable.read_into(room):
        got += room[:count]
    assert got == b"abcdef"


async def test_iteration_ends_with_the_stream(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"abcdef")
    await client.write_eof()
    assert b"".join([piece async for piece in server.readable]) == b"abcdef"


async def test_read_until_has_a_limit_and_drops_nothing(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"0123456789\n")
    with pytest.raises(MessageTooLarge):
        await server.read_until(b"\n", max_bytes=10)
    assert await server.read_until(b"\n", max_bytes=11) == b"0123456789\n"


# The end.


async def test_the_end_is_read_for_ever(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"last words")
    await client.close()
    assert await server.read_exactly(10) == b"last words"
    for _ in range(3):
        assert await server.read() == b""
    with pytest.raises(ConnectionLost, match="0 of 1"):
        await server.read_exactly(1)
    with pytest.raises(ConnectionLost, match="without separator"):
        await server.read_until(b"\n")
    await server.closed


async def test_what_arrived_before_the_end_stays_readable(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"last words")
    await client.close()
    await server.closed  # without a read
    with pytest.raises(ConnectionLost, match="10 of 11"):
        await server.read_exactly(11)
    assert await server.read() == b"last words"
    assert await server.read() == b""


async def test_close_sends_what_is_written(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    data = bulk(carrier)[:2_000_000]
    writing = asyncio.create_task(client.write(data))
    await asyncio.sleep(0)
    client.close()
    got = b""
    while piece := await server.read():
        got += piece
    assert got == data
    await client.closed
    error = (await asyncio.gather(writing, return_exceptions=True))[0]
    assert error is None or isinstance(error, SocketClosed)  # the carrier may have taken all


async def test_after_close_everything_says_so(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await server.write(b"never read")
    await client.close("enough")
    assert client.close_reason == "enough"
    for use in (
        client.read,
        lambda: client.read_exactly(1),
        lambda: client.write(b"x"),
        client.write_eof,
        client.writable.drain,
    ):
        with pytest.raises(SocketClosed):
            await use()
    with pytest.raises(SocketClosed):
        client.attach(Streamed())


async def test_close_may_be_called_again(carrier: str, make: Workshop) -> None:
    client, _ = await make.make(carrier)
    first = client.close("first")
    assert client.close("second") is first
    await first
    assert client.close("third") is first
    await client.close()
    client.abort()
    assert client.close_reason == "first"
    await client.closed


async def test_close_does_not_wait_for_ever_for_a_peer_that_never_reads(
    carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier, close_timeout=0.02)
    stop_reading(server)
    writing = asyncio.create_task(client.write(bytes(IN_FLIGHT)))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(SocketClosed):
        await writing


async def test_abort_wakes_everyone(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    stop_reading(server)
    waiting: list[asyncio.Task[object]] = [
        asyncio.create_task(client.read()),
        asyncio.create_task(client.write(bytes(IN_FLIGHT))),
        asyncio.create_task(client.writable.drain()),
    ]
    await asyncio.sleep(0)
    client.abort("no more")
    for task in waiting:
        with pytest.raises(SocketClosed):
            await task
    await client.closed


async def test_the_peer_of_an_abort_learns_of_it(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    reading = asyncio.create_task(server.read())
    await asyncio.sleep(0)
    client.abort()
    if carrier in ABORT_IS_END:
        assert await reading == b""
    else:
        with pytest.raises(ConnectionLost):
            await reading
        assert isinstance(server.close_reason, ConnectionLost)
    await server.closed
    with pytest.raises(ConnectionLost):
        await server.write(b"x")


# One direction alone.


async def test_half_open_one_direction_ends_after_the_other(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier, allow_half_open=True)
    await client.write(b"request")
    await client.write_eof()
    with pytest.raises(SocketClosed):
        await client.write(b"more")
    assert await server.read_exactly(7) == b"request"
    assert await server.read() == b""
    data = bulk(carrier)[:200_000]
    async with asyncio.TaskGroup() as group:
        group.create_task(server.write(data))
        answer = group.create_task(client.read_exactly(len(data)))
    assert answer.result() == data
    assert not client.closed.done()
    assert not server.closed.done()
    await server.write_eof()
    assert await client.read() == b""
    await client.closed  # without close(): both directions have ended
    await server.closed
    assert await client.read() == b""


async def test_without_half_open_the_end_of_one_direction_ends_the_other(
    carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier)
    data = bulk(carrier)[:200_000]
    await server.write(data)
    await client.write_eof()
    # What was written is sent nevertheless.
    assert await client.read_exactly(len(data)) == data
    assert await client.read() == b""
    assert await server.read() == b""
    with pytest.raises(ConnectionLost):
        await server.write(b"x")
    await client.closed
    await server.closed


# Waiting.


async def test_a_cancelled_read_loses_no_byte(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    chance = random.Random(carrier)
    data = sample(3000 if carrier == "memory byte by byte" else 60_000)

    async def send() -> None:
        position = 0
        while position < len(data):
            size = chance.choice((1, 10, 100, 1000))
            await client.write(data[position : position + size])
            position += size
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        await client.write_eof()

    got = bytearray()
    cancelled = 0

    async def read_once() -> bytes:
        missing = len(data) - len(got)
        if chance.random() < 0.3 and missing:
            return await server.read_exactly(min(missing, chance.choice((1, 100, 3000))))
        return await server.read(chance.choice((1, 100, 65536)))

    sending = asyncio.create_task(send())
    while True:
        reading = asyncio.create_task(read_once())
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.7:
            reading.cancel()
        try:
            piece = await reading
        except asyncio.CancelledError:
            cancelled += 1
            continue
        if not piece:
            break
        got += piece
    await sending
    assert bytes(got) == data
    assert cancelled > 5


async def test_a_second_reader_is_refused_and_the_first_one_served(
    carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier)
    first = asyncio.create_task(server.read_exactly(3))
    await asyncio.sleep(0)
    assert server.readable.locked
    uses: list[Callable[[], Awaitable[bytes]]] = [
        server.read,
        lambda: server.read_exactly(1),
        lambda: server.read_until(b"x"),
    ]
    for second in uses:
        with pytest.raises(BusyError):
            await second()
    await client.write(b"abc")
    assert await first == b"abc"
    assert not server.readable.locked


async def test_a_read_times_out_and_the_socket_goes_on(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier, timeout=0.1 if "ssh" in carrier else 0.01)
    with pytest.raises(ReadTimeout):
        await server.read()
    await client.write(b"ab")
    with pytest.raises(ReadTimeout):
        await server.read_exactly(3)
    assert await server.read_exactly(2) == b"ab"


async def test_a_write_times_out_when_the_peer_takes_nothing(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier, timeout=0.02)
    stop_reading(server)
    with pytest.raises(WriteTimeout):
        await client.write(bytes(IN_FLIGHT))


async def test_a_slow_peer_that_takes_something_is_no_timeout(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier, timeout=0.25)
    data = bulk(carrier)
    writing = asyncio.create_task(client.write(data))
    got = 0
    while got < len(data):
        got += len(await server.read(max(1, len(data) // 8)))
        await asyncio.sleep(0.02)
    await writing


# Back-pressure.


async def test_a_writer_stops_when_the_reader_does(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    protocol = Streamed(paused=True)
    lower = server.attach(protocol)
    accepted = 0
    transport = below(client)
    while accepted < 4 * IN_FLIGHT:
        writing = asyncio.create_task(client.write(bytes(CHUNK)))
        accepted += CHUNK
        for _ in range(50):
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() <= 65536 + CHUNK
        if not writing.done():
            break
    else:
        raise AssertionError("the writer never had to wait")
    assert client.writable.locked
    assert accepted < IN_FLIGHT
    if carrier == "memory byte by byte":
        return  # it would take a turn of the loop for each byte
    lower.resume_reading()
    await writing
    await client.write_eof()
    await protocol.ended.wait()
    assert len(protocol.data) == accepted


async def test_what_is_not_read_does_not_pile_up(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    sent = 0
    while sent < 4 * IN_FLIGHT:
        writing = asyncio.create_task(client.write(bytes(CHUNK)))
        sent += CHUNK
        for _ in range(50):
            await asyncio.sleep(0)
        if not writing.done():
            break
    else:
        raise AssertionError("the writer never had to wait")
    assert sent < IN_FLIGHT
    assert unread(server) <= 262144 + CHUNK * 4
    if carrier == "memory byte by byte":
        return
    assert len(await server.read_exactly(sent)) == sent
    await writing


# attach().


@pytest.mark.parametrize("kind", [Streamed, Buffered])
async def test_attach_gives_what_was_not_read_and_all_that_follows(
    kind: Callable[[], Recording], carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier)
    await client.write(b"read, unread, ")
    assert await server.read_exactly(6) == b"read, "
    await until(lambda: unread(server) >= 8)
    protocol = kind()
    transport = server.attach(protocol)
    assert protocol.transport is transport
    assert protocol.data == b"unread, "
    transport.write(b"answer")
    assert await client.read_exactly(6) == b"answer"
    data = sample(100_000 if carrier != "memory byte by byte" else 1000)
    await client.write(data)
    await client.close()
    await protocol.ended.wait()
    assert protocol.data == b"unread, " + data
    await protocol.lost.wait()
    await server.closed
    assert protocol.calls.count("eof_received") == 1
    assert protocol.calls.count("connection_lost") == 1


@pytest.mark.parametrize("kind", [Streamed, Buffered])
async def test_attach_tells_of_an_end_that_came_before(
    kind: Callable[..., Recording], carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier, allow_half_open=True)
    await client.write(b"unread")
    await client.write_eof()
    await until(lambda: server.readable.ended)
    protocol = kind(half_open=True)
    transport = server.attach(protocol)
    assert protocol.calls == ["connection_made", "data_received", "eof_received"]
    assert protocol.data == b"unread"
    transport.write(b"still here")
    assert await client.read_exactly(10) == b"still here"
    transport.close()
    assert await client.read() == b""
    await client.closed
    await server.closed
    assert protocol.calls.count("eof_received") == 1


async def test_an_attached_socket_is_used_no_more(carrier: str, make: Workshop) -> None:
    _, server = await make.make(carrier)
    protocol = Streamed()
    server.attach(protocol)
    assert server.upgraded
    for use in (server.read, lambda: server.write(b"x"), server.write_eof):
        with pytest.raises(BusyError):
            await use()
    with pytest.raises(BusyError):
        server.attach(Streamed())


async def test_attach_needs_a_socket_at_rest(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    reading = asyncio.create_task(server.read())
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        server.attach(Streamed())
    await client.write(b"x")
    assert await reading == b"x"
    server.attach(Streamed())


@pytest.mark.parametrize("end", ["close", "abort", "peer closes", "peer aborts", "transport"])
async def test_an_attached_socket_settles_however_it_ends(
    end: str, carrier: str, make: Workshop
) -> None:
    client, server = await make.make(carrier)
    protocol = Streamed()
    transport = server.attach(protocol)
    match end:
        case "close":
            await server.close()
        case "abort":
            server.abort()
        case "peer closes":
            client.close()
        case "peer aborts":
            client.abort()
        case _:
            transport.abort()
    await server.closed
    await protocol.lost.wait()
    assert protocol.calls.count("connection_lost") == 1
    client.close()
    await client.closed


async def test_pausing_an_attached_transport_stops_delivery(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    protocol = Streamed()
    transport = server.attach(protocol)
    transport.pause_reading()
    await client.write(b"later")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not protocol.data
    transport.resume_reading()
    await client.close()
    await protocol.ended.wait()
    assert protocol.data == b"later"


# Nothing hangs, nothing is left.


async def test_a_cancelled_wait_cancels_nothing_else(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    waits = [asyncio.create_task(wait(client)) for _ in range(3)]
    await asyncio.sleep(0)
    waits[0].cancel()
    await asyncio.sleep(0)
    await server.write(b"x")
    assert await client.read() == b"x"
    server.close()
    await client.closed
    await asyncio.gather(*waits[1:])
    assert waits[0].cancelled()


async def wait(socket: Socket) -> None:
    await socket.closed


async def test_a_closed_socket_is_forgotten(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    await client.write(b"x")
    await server.read()
    await client.close()
    await server.close()
    dead = [weakref.ref(client), weakref.ref(server)]
    make.made.clear()
    del client, server
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()  # with every warning an error
    assert [ref() for ref in dead] == [None, None]


async def test_async_with_closes(carrier: str, make: Workshop) -> None:
    client, server = await make.make(carrier)
    async with client as same:
        assert same is client
        await client.write(b"x")
    assert client.closed.done()
    assert await server.read() == b"x"
    assert await server.read() == b""
