from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import wirekit
from tests.interop.waiting import eventually
from wirekit.adapters.mqtt import MqttCodeError, StoreError
from wirekit.adapters.mqtt._connection import Connection
from wirekit.protocols.mqtt import (
    Auth,
    Codec,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    Properties,
    PubAck,
    Publish,
    ReasonCode,
    Version,
    Violation,
)
from wirekit.sockets import memory_pair

from ._peer import PATIENCE, Server, inside

Opened = Callable[..., Any]


class Pair:
    """A connection past its CONNACK, and the server's end of it."""

    def __init__(self, timeout: float | None = PATIENCE, **options: Any) -> None:
        max_buffered = options.pop("max_buffered", 65536)
        ours, theirs = memory_pair(**options)
        self.socket = ours
        self.server = Server(theirs)
        self.connection = Connection(
            ours, Codec("client"), timeout=timeout, max_buffered=max_buffered
        )
        self.received: list[Packet] = []
        self.lost: list[Exception | None] = []
        self.connection.on_lost = lambda: self.lost.append(self.connection.error)

    async def open(self, keep_alive: int = 0, *, start: bool = True) -> Pair:
        self.connection.send(Connect("tester"))
        await self.server.accept()
        assert isinstance(await self.connection.next_packet(), ConnAck)
        if start:
            self.connection.start(self.receive, keep_alive)
        return self

    def receive(self, packets: list[Packet]) -> None:
        self.received += packets

    async def gone(self) -> None:
        await eventually(lambda: self.connection.error)


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    pairs: list[Pair] = []

    async def open_pair(keep_alive: int = 0, *, start: bool = True, **options: Any) -> Pair:
        pairs.append(Pair(**options))
        return await pairs[-1].open(keep_alive, start=start)

    yield open_pair
    for pair in pairs:
        pair.socket.abort()
        pair.server.socket.abort()


# Sending.


async def test_packets_of_one_turn_leave_together(opened: Opened) -> None:
    pair = await opened()
    packets = [Publish("a", b"1"), Publish("a", b"2", 1, packet_id=1)]
    for packet in packets:
        pair.connection.send_publish(packet)
    pair.connection.send(PingReq())
    written = await pair.server.socket.read()
    assert pair.server.codec.receive_data(written) == [*packets, PingReq()]


async def test_what_must_not_be_sent_is_refused_and_nothing_else(opened: Opened) -> None:
    pair = await opened()
    with pytest.raises(wirekit.LocalProtocolError):
        pair.connection.send_publish(Publish("a", qos=1))
    pair.connection.send_publish(Publish("b"))
    assert await pair.server.receive(Publish) == Publish("b")


async def test_large_payloads_arrive_whole(opened: Opened) -> None:
    pair = await opened(high_water_mark=1000)
    payload = bytes(range(256)) * 4096
    pair.connection.send_publish(Publish("a", payload))
    pair.connection.send_publish(Publish("b"))
    assert (await pair.server.receive(Publish)).payload == payload
    assert (await pair.server.receive(Publish)).topic == "b"


async def test_writers_wait_while_much_is_gathered(opened: Opened) -> None:
    pair = await opened(max_buffered=100)
    room: list[bool] = []
    pair.connection.on_writable = lambda: room.append(pair.connection.full)
    pair.connection.send_publish(Publish("a", bytes(200)))
    assert pair.connection.full
    await pair.connection.writable()
    assert not pair.connection.full
    assert room == [False]
    await pair.server.receive(Publish)


async def test_writers_wait_for_a_server_that_does_not_read(opened: Opened) -> None:
    pair = await opened()
    for _ in range(50):
        pair.connection.send_publish(Publish("a", bytes(20_000)))
    waiting = asyncio.create_task(pair.connection.writable())
    cancelled = asyncio.create_task(pair.connection.writable())
    await asyncio.sleep(0.01)
    assert pair.connection.full
    assert not waiting.done()
    cancelled.cancel()
    for _ in range(50):
        await pair.server.receive(Publish)
    await waiting
    assert not pair.connection.full


async def test_what_a_write_depends_on_comes_before_it(opened: Opened) -> None:
    pair = await opened()
    flushed: list[int] = []
    pair.connection.before_write = lambda: flushed.append(1)
    pair.connection.send_publish(Publish("a"))
    pair.connection.send_publish(Publish("b"))
    assert flushed == []
    await pair.server.receive(Publish)
    assert flushed == [1]


async def test_nothing_is_written_if_that_fails(opened: Opened) -> None:
    pair = await opened()

    def fail() -> None:
        raise StoreError("the disk is full")

    pair.connection.before_write = fail
    pair.connection.send_publish(Publish("a"))
    goodbye = await pair.server.receive(Disconnect)
    assert goodbye.reason_code is ReasonCode.UNSPECIFIED_ERROR
    assert isinstance(pair.lost[0], StoreError)


# Receiving.


async def test_packets_of_one_read_come_together(opened: Opened) -> None:
    pair = await opened()
    packets = [Publish("a"), PingResp(), Publish("b")]
    await pair.server.send(*packets)
    await asyncio.sleep(0.01)
    assert pair.received == packets


async def test_large_reads(opened: Opened) -> None:
    pair = await opened()
    payload = bytes(3_000_000)
    await pair.server.send(*[Publish("a", payload)] * 2)
    await eventually(lambda: len(pair.received) == 2)
    assert [len(packet.payload) for packet in pair.received] == [len(payload)] * 2


async def test_what_comes_before_the_start_is_kept(opened: Opened) -> None:
    pair = await opened(start=False)
    await pair.server.send(Publish("a"))
    await asyncio.sleep(0.01)
    pair.connection.start(pair.receive, 0)
    assert pair.received == [Publish("a")]


async def test_a_receiver_that_fails_ends_the_connection(opened: Opened) -> None:
    pair = await opened(start=False)

    def fail(packets: list[Packet]) -> None:
        raise Violation("not so", ReasonCode.PROTOCOL_ERROR)

    await pair.server.send(Publish("a"))
    await asyncio.sleep(0.01)
    pair.connection.start(fail, 0)
    assert (await pair.server.receive(Disconnect)).reason_code is ReasonCode.PROTOCOL_ERROR
    assert await pair.server.end() == b""
    assert isinstance(pair.lost[0], Violation)


async def test_reading_waits_as_long_as_anybody_wants_it(opened: Opened) -> None:
    pair = await opened()
    pair.connection.pause_reading()
    pair.connection.pause_reading()
    await pair.server.send(Publish("a"))
    pair.connection.resume_reading()
    await asyncio.sleep(0.01)
    assert pair.received == []
    pair.connection.resume_reading()
    await asyncio.sleep(0.01)
    assert pair.received == [Publish("a")]


# The peer's faults.


async def test_what_was_whole_before_a_fault_is_received(opened: Opened) -> None:
    pair = await opened()
    whole = pair.server.codec.send(Publish("a"))
    await pair.server.send_bytes(whole + b"\x36\x00")
    assert (await pair.server.receive(Disconnect)).reason_code is ReasonCode.MALFORMED_PACKET
    assert pair.received == [Publish("a")]
    [error] = pair.lost
    assert isinstance(error, Violation)
    assert error.statement == "MQTT-3.3.1-4"
    assert error.events == []
    assert await pair.server.end() == b""


async def test_3_1_1_ends_without_a_word() -> None:
    ours, theirs = memory_pair()
    server = Server(theirs)
    version: Version = 4
    codec = Codec("client", version=version)
    connection = Connection(ours, codec, timeout=PATIENCE, max_buffered=65536)
    connection.send(Connect("tester", version=version))
    await server.accept()
    await connection.next_packet()
    connection.fail(Violation("not so", ReasonCode.PROTOCOL_ERROR))
    assert await server.end() == b""


async def test_the_servers_disconnect(opened: Opened) -> None:
    pair = await opened()
    properties: Properties = {"reason_string": "bye"}
    pair.connection.disconnected(Disconnect(ReasonCode.SERVER_BUSY, properties))
    [error] = pair.lost
    assert isinstance(error, MqttCodeError)
    assert error.reason_code is ReasonCode.SERVER_BUSY
    assert error.reason_string == "bye"
    assert await pair.server.end() == b""


async def test_the_servers_normal_disconnect(opened: Opened) -> None:
    pair = await opened()
    pair.connection.disconnected(Disconnect())
    assert isinstance(pair.lost[0], wirekit.ConnectionLost)


async def test_the_end_of_the_servers_stream(opened: Opened) -> None:
    pair = await opened()
    pair.server.socket.close()
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.ConnectionLost)
    with pytest.raises(wirekit.ConnectionLost) as caught:
        pair.connection.send_publish(Publish("a"))
    assert vars(caught.value)["sent"] is False
    with pytest.raises(wirekit.ConnectionLost):
        pair.connection.send(PubAck(1))
    with pytest.raises(wirekit.ConnectionLost):
        await pair.connection.writable()
    with pytest.raises(wirekit.ConnectionLost):
        await pair.connection.next_packet()


async def test_the_end_inside_a_packet(opened: Opened) -> None:
    pair = await opened()
    await pair.server.send_bytes(b"\x30")
    pair.server.socket.close()
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.ConnectionLost)
    assert "middle of a packet" in str(pair.lost[0])


async def test_a_reset(opened: Opened) -> None:
    pair = await opened()
    waiting = asyncio.create_task(pair.connection.next_packet())
    await asyncio.sleep(0)
    pair.server.socket.abort()
    await pair.gone()
    with pytest.raises(wirekit.ConnectionLost):
        await waiting
    assert len(pair.lost) == 1


# Keep Alive.


async def test_a_silent_client_asks_for_a_sign_of_life(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1)
    for _ in range(3):
        await pair.server.receive(PingReq)
        await pair.server.send(PingResp())
    assert pair.connection.error is None


async def test_a_server_that_gives_none_is_given_up(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=0.05)
    await pair.server.receive(PingReq)
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.ReadTimeout)


async def test_any_byte_is_a_sign_of_life(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=0.05)
    for byte in pair.server.codec.send(Publish("a", bytes(12))):
        await pair.server.receive(PingReq)
        await pair.server.send_bytes(bytes([byte]))
    assert pair.connection.error is None


async def test_a_client_that_does_not_read_asks_but_expects_no_answer(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=0.03)
    pair.connection.pause_reading()
    for _ in range(10):
        await pair.server.receive(PingReq)
    assert pair.connection.error is None
    pair.connection.resume_reading()
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.ReadTimeout)


async def test_a_server_that_takes_what_is_sent_is_alive(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=0.05, fragment=10_000, delay=0.002)
    pair.connection.send_publish(Publish("a", bytes(1_000_000)))
    assert len((await pair.server.receive(Publish)).payload) == 1_000_000
    assert pair.connection.error is None


async def test_a_server_that_takes_nothing_more_is_given_up(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=0.05)
    pair.connection.send_publish(Publish("a", bytes(1_000_000)))
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.ReadTimeout)


async def test_without_a_time_limit_the_keep_alive_is_one(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PING_AT", 0.01)
    pair = await opened(keep_alive=1, timeout=None)
    await pair.server.receive(PingReq)
    assert inside(pair.connection)._patience == 1


async def test_no_keep_alive(opened: Opened) -> None:
    pair = await opened(keep_alive=0)
    assert inside(pair.connection)._timer is None


@pytest.mark.parametrize("timeout", [0.03, None])
async def test_without_keep_alive_a_server_that_takes_nothing_is_given_up(
    opened: Opened, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._connection._PATIENCE", 0.03)
    pair = await opened(timeout=timeout)
    pair.connection.send_publish(Publish("a", bytes(1_000_000)))
    with pytest.raises(wirekit.WriteTimeout, match=r"took nothing for 0\.03 s"):
        await pair.connection.writable()


async def test_without_keep_alive_a_server_may_be_slow(opened: Opened) -> None:
    pair = await opened(timeout=0.05, fragment=10_000, delay=0.002)
    pair.connection.send_publish(Publish("a", bytes(1_000_000)))
    assert len((await pair.server.receive(Publish)).payload) == 1_000_000
    assert pair.connection.error is None
    assert inside(pair.connection)._write_timer is None


async def test_a_server_that_takes_nothing_may_wait_for_us(opened: Opened) -> None:
    pair = await opened(timeout=0.02)
    pair.connection.pause_reading()
    pair.connection.send_publish(Publish("a", bytes(1_000_000)))
    before = inside(pair.connection)._write_timer
    await eventually(lambda: inside(pair.connection)._write_timer is not before)
    assert pair.connection.error is None
    pair.connection.resume_reading()
    await pair.gone()
    assert isinstance(pair.lost[0], wirekit.WriteTimeout)


# Closing.


async def test_closing_sends_what_is_gathered_and_says_goodbye(opened: Opened) -> None:
    pair = await opened()
    pair.connection.send_publish(Publish("a"))
    closing = pair.connection.close(Disconnect())
    assert await pair.server.receive(Publish) == Publish("a")
    assert await pair.server.receive(Disconnect) == Disconnect()
    assert await pair.server.end() == b""
    await closing
    assert isinstance(pair.lost[0], wirekit.SocketClosed)
    await pair.connection.close(Disconnect())
    assert len(pair.lost) == 1


async def test_a_failed_connection_fails_once(opened: Opened) -> None:
    pair = await opened()
    pair.connection.fail(wirekit.ConnectionLost("first"))
    pair.connection.fail(wirekit.ConnectionLost("second"))
    assert [str(error) for error in pair.lost] == ["first"]
    assert await pair.server.end() == b""


async def test_auth_before_connack_is_kept_for_who_asks(opened: Opened) -> None:
    pair = Pair()
    properties: Properties = {"authentication_method": "m"}
    pair.connection.send(Connect("tester", properties=properties))
    await pair.server.receive(Connect)
    await pair.server.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, properties))
    assert isinstance(await pair.connection.next_packet(), Auth)
    pair.socket.abort()


# Memory.


async def test_a_server_that_does_not_read_is_not_read_either(opened: Opened) -> None:
    pair = await opened(max_buffered=100, high_water_mark=1000)
    connection = inside(pair.connection)
    connection.pause_writing()
    for _ in range(101):
        connection.send(PubAck(1))
    assert connection._pauses == 1
    connection.resume_writing()
    assert connection._pauses == 0
    assert connection.error is None


async def test_a_server_that_never_reads_again_is_given_up(opened: Opened) -> None:
    pair = await opened(keep_alive=1, timeout=0.05, max_buffered=100)
    connection = inside(pair.connection)
    connection._keep_alive = 0.05
    connection._timer.cancel()
    connection._check_alive()
    connection.pause_writing()
    for _ in range(101):
        connection.send(PubAck(1))
    await pair.gone()
    assert isinstance(connection.error, wirekit.ReadTimeout)


async def test_few_packets_are_kept(opened: Opened) -> None:
    pair = await opened(start=False)
    connection = inside(pair.connection)
    connection.keep([PingResp()] * 10)
    assert connection._pauses == 1
    for _ in range(10):
        await connection.next_packet()
    assert connection._pauses == 0
    connection.keep([PingResp()] * 10)
    connection.start(pair.receive, 0)
    assert connection._pauses == 0
    assert len(pair.received) == 10
