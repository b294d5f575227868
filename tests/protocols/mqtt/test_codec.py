"""Receiving: pieces of any size, large payloads, limits, and the end."""

from __future__ import annotations

import tracemalloc
from array import array
from functools import partial
from typing import Any

import pytest

from tests.protocols.mqtt._conversation import converse
from tests.protocols.mqtt._pair import connecting, opened, packet
from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import (
    Codec,
    ConnAck,
    Connect,
    Disconnect,
    PacketTooLarge,
    PingReq,
    PingResp,
    Publish,
    ReasonCode,
    State,
    SubAck,
    Violation,
    _decoding,
)


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        (("broker",), {}, "role"),
        ((None,), {}, "role"),
        (("client",), {"version": None}, "version"),
        (("server",), {"version": 3}, "version"),
        ((), {"maximum_packet_size": 15}, "maximum_packet_size"),
        ((), {"maximum_packet_size": 268435461}, "maximum_packet_size"),
        ((), {"receive_maximum": 0}, "receive_maximum"),
        ((), {"receive_maximum": 65536}, "receive_maximum"),
    ],
)
def test_settings_are_checked(arguments: Any, settings: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"{text} must be"):
        Codec(*arguments, **settings)
    with pytest.raises(TypeError):
        Codec("client", 5)  # type: ignore[call-arg]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, partial(array, "B")])
def test_any_buffer(make: Any) -> None:
    client, server = opened()
    data = make(server.send(Publish("a", b"payload")))
    (event,) = client.receive_data(data)
    assert event == Publish("a", b"payload")
    if isinstance(data, bytearray):
        data[:] = b"it is free again, and longer than before"
    assert event == Publish("a", b"payload")


@pytest.mark.parametrize("data", ["text", None, 5, [1]])
def test_what_is_no_buffer(data: Any) -> None:
    client, _ = opened()
    with pytest.raises(TypeError):
        client.receive_data(data)
    assert client.receive_data(b"\xd0\0") == [PingResp()]


def test_nothing() -> None:
    client, _ = opened()
    assert client.receive_data(b"") == []
    assert client.trailing_data == b""


@pytest.mark.parametrize("size", [0, 1, 121, 122, 5000, 70000])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096, 65536])
def test_payloads_in_pieces(size: int, step: int) -> None:
    client, server = opened()
    if size // step > 5000:
        step *= 16
    messages = [
        Publish("a/b", bytes(range(256)) * (size // 256), 1, packet_id=one) for one in (1, 2)
    ]
    wire = server.send(messages[0], messages[1], PingResp())
    events: list[Any] = []
    for start in range(0, len(wire), step):
        events += client.receive_data(wire[start : start + step])
    assert events == [*messages, PingResp()]
    assert all(type(event.payload) is bytes for event in events[:2])
    assert client.trailing_data == b""


def test_what_came_of_a_packet() -> None:
    client, server = opened()
    wire = server.send(Publish("a/b", b"payload", 1, packet_id=5, properties={"content_type": "x"}))
    for end in range(1, len(wire)):
        client.receive_data(wire[end - 1 : end])
        assert client.trailing_data == wire[:end]
    assert client.receive_data(wire[-1:])
    assert client.trailing_data == b""


def test_a_large_payload_is_gathered_in_place() -> None:
    client, server = opened()
    payload = bytes(8 * 1024 * 1024)
    wire = memoryview(server.send(Publish("a", payload)))
    tracemalloc.start()
    try:
        events: list[Any] = []
        for start in range(0, len(wire), 65536):
            events += client.receive_data(wire[start : start + 65536])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events[0].payload == payload
    assert peak < 2.5 * len(payload)  # once, and as Python source twice at the end


def test_a_large_control_packet_is_no_harder_than_a_small_one() -> None:
    client, server = opened()
    wire = server.send(SubAck(1, (ReasonCode.GRANTED_QOS_1,) * 20000))
    events: list[Any] = []
    for start in range(0, len(wire), 3):
        events += client.receive_data(wire[start : start + 3])
    assert len(events[0].reason_codes) == 20000


def test_a_limit_is_checked_when_the_length_is_read() -> None:
    client, server = opened(maximum_packet_size=100)
    assert client.receive_data(server.send(Publish("a", bytes(93))))
    client, server = opened(maximum_packet_size=100)
    with pytest.raises(PacketTooLarge, match=r"a packet of 101 bytes, and the limit is 100 at"):
        client.receive_data(packet(0x30, bytes(99))[:2])


def test_the_lower_limit_holds() -> None:
    for told, most in ((50, 50), (500, 100)):
        client, _ = opened(client={"maximum_packet_size": told}, maximum_packet_size=100)
        with pytest.raises(PacketTooLarge, match=f"the limit is {most}"):
            client.receive_data(packet(0x30, bytes(most)))


def test_the_limit_holds_before_connack() -> None:
    client = connecting(maximum_packet_size=32)
    with pytest.raises(PacketTooLarge):
        client.receive_data(b"\x20\x40")


def test_what_was_whole_before_a_fault() -> None:
    client, server = opened()
    wire = server.send(Publish("a"), PingResp())
    with pytest.raises(Violation) as caught:
        client.receive_data(wire + b"\xc0\0")
    assert caught.value.events == [Publish("a"), PingResp()]
    opening = len(connack_wire())
    assert f"at offset {opening + len(wire)}" in str(caught.value)


def connack_wire() -> bytes:
    server = Codec("server")
    server.receive_data(Codec().send(Connect("me")))
    return server.send(ConnAck())


def replaced(data: bytes, by: list[bytes]) -> list[bytes]:
    return by


def test_the_offset_of_a_fault_is_where_its_packet_begins() -> None:
    for pieces in ([b"\xd0\0\x36\4\0\1a\0"], [b"\xd0", b"\0\x36", b"\4\0"], [b"\xd0\0", b"\x36"]):
        client, _ = opened()
        outcome = converse(mqtt, client, [b"".join(pieces)], partial(replaced, by=pieces))
        assert outcome.steps[0].endswith(
            "a PUBLISH of QoS 3 at offset 7 [MQTT-3.3.1-4] (<ReasonCode.MALFORMED_PACKET: 129>)"
        )


def test_the_end() -> None:
    client, server = opened()
    assert client.receive_eof() == []
    assert client.state is State.CLOSED
    with pytest.raises(LocalProtocolError, match=r"data received after receive_eof\(\)"):
        client.receive_data(b"")
    with pytest.raises(LocalProtocolError, match="PINGREQ cannot be sent in state CLOSED"):
        client.send(PingReq())
    assert client.receive_eof() == []
    begun = connecting()
    assert begun.receive_eof() == []
    assert server.receive_eof() == []


BEGUN = [b"\x30", b"\x30\x80", b"\x40\2\0", b"\x30\x0a\0\1a", b"\x30\x0a\0\1a\0abc"]


@pytest.mark.parametrize("data", BEGUN)
def test_the_end_inside_a_packet(data: bytes) -> None:
    client, _ = opened()
    client.receive_data(b"\xd0\0")
    client.receive_data(data)
    with pytest.raises(Violation, match=r"end of input inside a packet at offset 7$"):
        client.receive_eof()
    assert client.state is State.ERROR
    assert client.trailing_data == b""
    with pytest.raises(Violation, match="end of input"):
        client.receive_data(b"")


class Interrupted(Exception):
    pass


def test_after_an_interruption_there_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = opened()

    def interrupt(*arguments: Any) -> Any:
        raise Interrupted

    monkeypatch.setitem(_decoding.DECODERS, 13, interrupt)
    with pytest.raises(Interrupted):
        client.receive_data(b"\xd0\0")
    assert client.state is State.ERROR
    with pytest.raises(RemoteProtocolError, match=r"an earlier receive_data\(\) was interrupted"):
        client.receive_data(b"")
    assert client.send(Disconnect())


def test_an_error_holds_nothing_of_the_payload() -> None:
    client, server = opened()
    client.receive_data(server.send(Publish("a", b"secret" * 100))[:300])
    with pytest.raises(Violation) as caught:
        client.receive_data(b"x" * 500 + b"\0\0\0\0secret")
    assert "secret" not in repr(caught.value)
    assert client.trailing_data == b""
