"""What may be sent when: in order, held back during a key exchange, and bounded."""

from __future__ import annotations

import pytest

from tests.protocols.ssh._packet import kexinit
from tests.protocols.ssh._pair import (
    GCM,
    Pair,
    inside,
    make_client,
    make_server,
    only,
    open_codec,
    open_pair,
)
from wirekit import LocalProtocolError
from wirekit.protocols.ssh import (
    Codec,
    Disconnect,
    DisconnectReason,
    Ignore,
    Message,
    NewKeys,
    Packet,
    ServiceRequest,
    State,
    Unimplemented,
)
from wirekit.protocols.ssh._packets import MAX_PACKETS

BYE = Disconnect(DisconnectReason.BY_APPLICATION, "bye")


def is_open(codec: Codec) -> bool:
    return codec.state is State.OPEN


def payloads(events: list[object]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Packet)]


def test_messages_and_payloads_in_order() -> None:
    pair = open_pair()
    events = pair.send("client", ServiceRequest("a"), b"\x5ex", bytearray(b"\x5fy"), BYE)
    assert events == [ServiceRequest("a"), Packet(94, b"\x5ex", 1), Packet(95, b"\x5fy", 2), BYE]


def test_send_buffers_gives_the_same() -> None:
    whole, pieces = open_codec("client", GCM[0]), open_codec("client", GCM[0])
    messages = (b"\x5e" * 100, memoryview(b"\x5f" * 40000), Unimplemented(1))
    assert b"".join(pieces.send_buffers(*messages)) == whole.send(*messages)
    assert whole.data_to_send() == b""


def test_what_waits_comes_out_behind_newkeys_in_order() -> None:
    pair = Pair()
    first = pair.client.send(b"\x5e1", Ignore(b""))
    assert first.startswith(b"SSH-2.0-wirekit\r\n")
    assert b"\x5e1" not in first
    assert pair.client.send(b"\x5e2") == b""
    pair.tell_server(first)
    pair.run()
    assert payloads([*pair.server_events]) == [b"\x5e1", b"\x5e2"]
    assert pair.send("client", b"\x5e3") == [Packet(94, b"\x5e3", 3)]


def test_an_unverified_server_gets_nothing() -> None:
    pair = Pair(accepts=False)
    pair.run()
    sent = len(pair.to_server)
    assert pair.client.send(b"\x5esecret") == b""
    assert not is_open(pair.client)
    pair.client.accept_host_key()
    pair.run()
    assert len(pair.to_server) > sent
    assert payloads([*pair.server_events]) == [b"\x5esecret"]
    assert is_open(pair.client)


@pytest.mark.parametrize("number", [0, 8, 19, 20, 21, 30, 31, 49])
def test_messages_of_the_codec_itself(number: int) -> None:
    codec = open_codec("client", GCM[0])
    with pytest.raises(LocalProtocolError, match=f"number {number} is not yours"):
        codec.send(b"\x5efine", bytes((number,)))
    assert codec.data_to_send() == b""  # nor is what stood before it sent


@pytest.mark.parametrize("message", [b"", NewKeys(), kexinit(), b"\x5e" + bytes(2**18)])
def test_others_that_cannot_be_sent(message: bytes | Message) -> None:
    with pytest.raises(LocalProtocolError):
        open_codec("client", GCM[0]).send(message)


def test_a_payload_of_the_largest_size_fits_into_a_packet() -> None:
    pair = open_pair()
    payload = bytes((94,)) * (2**18 - 512)
    (event,) = pair.send("client", payload)
    assert isinstance(event, Packet)
    assert event.payload == payload


def test_the_queue_is_bounded() -> None:
    codec = make_client(maximum_queue_size=100)
    codec.send(b"\x5e" * 60)
    with pytest.raises(LocalProtocolError, match="too much waits"):
        codec.send(b"\x5e" * 41)
    codec.send(b"\x5e" * 40)


def test_disconnect_never_waits_and_closes() -> None:
    pair = Pair()
    events = pair.send("client", BYE)
    assert events[-1] == BYE
    assert pair.client.state is State.CLOSED
    assert pair.server.state is State.CLOSED
    for codec in (pair.client, pair.server):
        with pytest.raises(LocalProtocolError, match="CLOSED"):
            codec.send(b"\x5e")
        with pytest.raises(LocalProtocolError, match="CLOSED"):
            codec.send(BYE)


def test_nothing_follows_disconnect() -> None:
    codec = open_codec("client", GCM[0])
    with pytest.raises(LocalProtocolError, match="nothing can be sent"):
        codec.send(BYE, b"\x5e")
    with pytest.raises(LocalProtocolError, match="nothing can be sent"):
        codec.send(BYE, BYE)
    assert codec.send(BYE)


def test_no_more_packets_than_sequence_numbers() -> None:
    codec = open_codec("client", GCM[0])
    inside(codec)._writer.packets = MAX_PACKETS - 1
    with pytest.raises(LocalProtocolError, match="without a key exchange"):
        codec.send(b"\x5e", b"\x5e")
    codec.send(b"\x5e")


def test_compression_begins_behind_userauth_success() -> None:
    """draft-miller-secsh-compression-delayed §2, and again with each key exchange."""
    zlib = only(kex="curve25519-sha256", compression="zlib@openssh.com")
    pair = open_pair(make_client(algorithms=zlib), make_server(algorithms=zlib))
    large = b"\x5e" * 20000
    for sender in ("client", "server"):
        assert payloads([*pair.send(sender, large)]) == [large]
        sent = pair.to_server if sender == "client" else pair.to_client
        assert len(sent) > 20000
    assert payloads([*pair.send("server", b"\x34")]) == [b"\x34"]
    for _ in range(2):
        pair.to_server.clear()
        pair.to_client.clear()
        assert payloads([*pair.send("client", large)]) == [large]
        assert payloads([*pair.send("server", large)]) == [large]
        assert len(pair.to_server) < 300
        assert len(pair.to_client) < 300
        pair.client.rekey()
        pair.run()


def test_compression_begins_behind_a_userauth_success_that_waited() -> None:
    zlib = only(kex="curve25519-sha256", compression="zlib@openssh.com")
    pair = open_pair(make_client(algorithms=zlib), make_server(algorithms=zlib))
    pair.server.rekey()
    pair.tell_client(pair.server.send(b"\x34", b"\x5e" * 20000))
    pair.run()
    assert payloads([*pair.client_events]) == [b"\x34", b"\x5e" * 20000]
    assert payloads([*pair.send("client", b"\x5e" * 20000)]) == [b"\x5e" * 20000]
    assert len(pair.to_client) < 4000


def test_nothing_secret_in_repr() -> None:
    codec: Codec = open_codec("client", GCM[0])
    assert repr(codec).startswith("<wirekit.protocols.ssh.codec.Codec object at")
