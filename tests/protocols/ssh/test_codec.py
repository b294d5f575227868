"""The codec of a client and a server, joined: every combination of algorithms, and its states."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.ssh._packet import clear_packet, kexinit
from tests.protocols.ssh._pair import (
    GCM,
    SUITES,
    Pair,
    host_key,
    inside,
    make_client,
    make_server,
    only,
    open_codec,
    open_pair,
)
from wirekit import LocalProtocolError
from wirekit.protocols.ssh import (
    Algorithms,
    Codec,
    Debug,
    Disconnect,
    DisconnectReason,
    Ignore,
    KeyExchanged,
    Packet,
    Ping,
    Pong,
    Role,
    ServiceAccept,
    ServiceRequest,
    SSHProtocolError,
    State,
    Unimplemented,
)
from wirekit.protocols.ssh._kex_algorithms import KEX_ALGORITHMS
from wirekit.protocols.ssh._packets import MAX_PACKETS

KEY_TYPES = {
    "ssh-ed25519": "ssh-ed25519",
    "ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521": "ecdsa-sha2-nistp521",
    "rsa-sha2-512": "ssh-rsa",
    "rsa-sha2-256": "ssh-rsa",
    "ssh-rsa": "ssh-rsa",
}


def check(algorithms: Algorithms, key_type: str = "ssh-ed25519") -> None:
    """Exchange keys, use them both ways, exchange keys again, and use these."""
    server = make_server(algorithms=algorithms, host_keys=[host_key(key_type)])
    pair = open_pair(make_client(algorithms=algorithms), server)
    for _ in range(2):
        for size in (1, 1000, 40000):
            payload = b"\x5e" * size
            for sender in ("client", "server"):
                (event,) = pair.send(sender, payload)
                assert isinstance(event, Packet)
                assert event.payload == payload
        pair.server.rekey()
        pair.run()


@pytest.mark.parametrize("kex", KEX_ALGORITHMS)
def test_every_key_exchange(kex: str) -> None:
    check(only(kex=kex))


@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_every_host_key(algorithm: str) -> None:
    check(only(kex="curve25519-sha256", host_key=algorithm), KEY_TYPES[algorithm])


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
@pytest.mark.parametrize("compression", ["none", "zlib@openssh.com"])
def test_every_protection(encryption: str, mac: str, compression: str) -> None:
    algorithms = only(
        kex="curve25519-sha256", encryption=encryption, mac=mac, compression=compression
    )
    check(algorithms)


# Every combination; with each method of key exchange two of the slower kind are not repeated.
@pytest.mark.parametrize("kex", [name for name in KEX_ALGORITHMS if "group1" not in name])
@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"])
@pytest.mark.parametrize(("encryption", "mac"), SUITES)
def test_every_combination(kex: str, algorithm: str, encryption: str, mac: str) -> None:
    algorithms = only(kex=kex, host_key=algorithm, encryption=encryption, mac=mac)
    server = make_server(algorithms=algorithms, host_keys=[host_key(KEY_TYPES[algorithm])])
    pair = open_pair(make_client(algorithms=algorithms), server)
    assert pair.send("client", ServiceRequest("ssh-userauth")) == [ServiceRequest("ssh-userauth")]
    assert pair.send("server", ServiceAccept("ssh-userauth")) == [ServiceAccept("ssh-userauth")]


@pytest.mark.parametrize(
    ("role", "settings", "message"),
    [
        ("peer", {}, "role"),
        ("client", {"host_keys": [host_key()]}, "host_keys"),
        ("server", {}, "host_keys"),
        ("client", {"maximum_packet_size": 34999}, "maximum_packet_size"),
        ("client", {"rekey_bytes": 0}, "rekey_bytes"),
        ("client", {"rekey_packets": 0}, "rekey_packets"),
        ("client", {"identification": "SSH-2.0-a-b"}, "an identification"),
    ],
)
def test_wrong_arguments(role: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Codec(role, random=bytes, **settings)


def test_messages_of_the_transport_layer() -> None:
    pair = open_pair()
    messages = (Unimplemented(5), Debug(True, "text", "en"), Ignore(b"dropped"))
    assert pair.send("client", *messages) == [Unimplemented(5), Debug(True, "text", "en")]
    assert pair.send("server", Ping(b"data"), ServiceAccept("a")) == [ServiceAccept("a")]
    pair.run()
    assert pair.server_events[-1] == Pong(b"data")


@pytest.mark.parametrize("number", [8, 19, 22, 29])
def test_what_is_not_known_is_answered(number: int) -> None:
    """RFC 4253 §11.4: with the sequence number of the packet, in order."""
    pair = open_pair()
    payload = bytes((number,)) + b"whatever"
    inside(pair.client)._writer.seal(b"\x5e", inside(pair.client)._output)
    inside(pair.client)._writer.seal(payload, inside(pair.client)._output)
    pair.run()
    assert pair.client_events == [Unimplemented(1)]


@pytest.mark.parametrize("number", [50, 53, 90, 127, 128, 191, 194, 255])
def test_the_layers_above_get_their_packets(number: int) -> None:
    pair = open_pair()
    payload = bytes((number,)) + b"whatever"
    assert pair.send("server", payload) == [Packet(number, payload, 0)]


@pytest.mark.parametrize("number", [5, 6, 7, 21, 30, 31, 32, 49, 50, 94, 192])
def test_out_of_phase_before_keys_are_exchanged(number: int) -> None:
    client = make_client()
    with pytest.raises(SSHProtocolError, match=f"message {number} in a key exchange"):
        client.receive_data(b"SSH-2.0-x\r\n" + clear_packet(bytes((number,)) + bytes(20)))


@pytest.mark.parametrize("number", [21, 30, 31, 40, 49])
def test_out_of_phase_when_open(number: int) -> None:
    pair = open_pair()
    inside(pair.server)._writer.seal(bytes((number,)) + bytes(4), inside(pair.server)._output)
    with pytest.raises(SSHProtocolError, match=f"message {number} outside a key exchange"):
        pair.run()


@pytest.mark.parametrize("number", [5, 6, 7, 8, 22, 32, 50, 94, 192])
def test_out_of_phase_in_a_later_key_exchange(number: int) -> None:
    """RFC 4253 §7.1: only messages 1 to 4 and those of the exchange."""
    pair = open_pair()
    pair.server.rekey()
    pair.tell_client(pair.server.data_to_send())
    inside(pair.server)._writer.seal(bytes((number,)) + bytes(20), inside(pair.server)._output)
    with pytest.raises(SSHProtocolError, match=f"message {number} in a key exchange"):
        pair.tell_client(pair.server.data_to_send())


def test_generic_messages_in_a_later_key_exchange() -> None:
    pair = open_pair()
    pair.server.rekey()
    for message in (Ignore(b""), Debug(False, "text"), Unimplemented(3)):
        inside(pair.server)._writer.seal(message.encode(), inside(pair.server)._output)
    pair.run()
    assert Debug(False, "text") in pair.client_events
    assert Unimplemented(3) in pair.client_events
    assert pair.client.state is State.OPEN


def test_disconnect_ends_it_and_what_follows_is_dropped() -> None:
    pair = open_pair()
    bye = Disconnect(DisconnectReason.TOO_MANY_CONNECTIONS, "later")
    data = pair.server.send(bye) + b"anything"
    assert pair.client.receive_data(data) == [bye]
    assert pair.client.state is State.CLOSED
    assert pair.client.trailing_data == b""
    assert pair.client.receive_data(b"more") == []
    assert pair.client.receive_eof() == []


def test_a_fault_is_for_good_and_has_the_events_before_it() -> None:
    pair = open_pair()
    data = bytearray(pair.server.send(b"\x5e1", b"\x5e2"))
    data[-1] ^= 1
    with pytest.raises(SSHProtocolError, match="wrong MAC") as caught:
        pair.client.receive_data(data)
    assert caught.value.events == [Packet(94, b"\x5e1", 0)]
    assert pair.client.state is State.ERROR
    for is_end in (False, True):
        with pytest.raises(SSHProtocolError, match="wrong MAC") as again:
            pair.client.receive_eof() if is_end else pair.client.receive_data(b"")
        assert again.value is not caught.value
        assert again.value.events == []
        assert again.value.reason_code is DisconnectReason.MAC_ERROR
    assert pair.client.trailing_data == b""


def test_after_a_fault_one_can_still_disconnect() -> None:
    pair = open_pair()
    with pytest.raises(SSHProtocolError) as caught:
        pair.client.receive_data(bytes(100))
    with pytest.raises(LocalProtocolError, match="ERROR"):
        pair.client.send(b"\x5e")
    bye = Disconnect(caught.value.reason_code, "fault")
    assert pair.send("client", bye) == [bye]
    assert pair.client.state is State.ERROR
    with pytest.raises(LocalProtocolError):
        pair.client.send(bye)


def test_after_a_fault_no_host_key_can_be_accepted() -> None:
    pair = Pair(accepts=False)
    pair.run()
    with pytest.raises(SSHProtocolError):
        pair.client.receive_data(bytes(100))
    with pytest.raises(LocalProtocolError, match="no host key"):
        pair.client.accept_host_key()
    with pytest.raises(LocalProtocolError, match="ERROR"):
        pair.client.rekey()


def test_an_interrupted_call_cannot_be_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = open_codec("client", GCM[0])

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Codec, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        codec.receive_data(b"x")
    assert codec.state is State.ERROR
    with pytest.raises(SSHProtocolError, match="interrupted"):
        codec.receive_data(b"x")


def test_end_of_input() -> None:
    pair = open_pair()
    assert pair.client.receive_eof() == []
    assert pair.client.state is State.CLOSED
    assert pair.client.receive_eof() == []
    with pytest.raises(LocalProtocolError, match="after receive_eof"):
        pair.client.receive_data(b"x")
    with pytest.raises(LocalProtocolError, match="CLOSED"):
        pair.client.send(b"\x5e")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "the identification"),
        (b"SSH-2.0-", "the identification"),
        (b"SSH-2.0-x\r\n", "the key exchange"),
        (b"SSH-2.0-x\r\n" + clear_packet(kexinit()), "the key exchange"),
    ],
)
def test_end_of_input_too_early(data: bytes, where: str) -> None:
    client = make_client()
    client.receive_data(data)
    with pytest.raises(SSHProtocolError, match=f"end of input inside {where}") as caught:
        client.receive_eof()
    assert caught.value.reason_code is DisconnectReason.CONNECTION_LOST
    assert client.state is State.ERROR


def test_end_of_input_inside_a_packet() -> None:
    pair = open_pair()
    data = pair.server.send(b"\x5e")
    assert pair.client.receive_data(data[:-1]) == []
    assert pair.client.trailing_data == data[:-1]
    with pytest.raises(SSHProtocolError, match="end of input inside a packet"):
        pair.client.receive_eof()


def test_trailing_data_of_a_line() -> None:
    client = make_client()
    client.receive_data(b"hello\nSSH-2")
    assert client.trailing_data == b"SSH-2"


def test_needs_rekey() -> None:
    settings = {"rekey_bytes": 1000, "rekey_packets": 10}
    senders: tuple[Role, ...] = ("client", "server")
    for sender in senders:
        for messages in ([b"\x5e"] * 10, [b"\x5e" * 1000]):
            pair = open_pair(make_client(**settings), make_server(**settings))
            assert not pair.client.needs_rekey
            pair.send(sender, *messages)
            assert pair.client.needs_rekey
            assert pair.server.needs_rekey
            pair.client.rekey()
            assert not pair.client.needs_rekey
            pair.run()
            assert not pair.client.needs_rekey
            assert not pair.server.needs_rekey


def test_too_many_packets_in_the_peers_direction() -> None:
    pair = open_pair()
    inside(pair.client)._reader.packets = MAX_PACKETS
    with pytest.raises(SSHProtocolError, match="more packets than sequence numbers"):
        pair.send("server", b"\x5e")
    pair = open_pair()
    inside(pair.client)._writer.packets = MAX_PACKETS
    with pytest.raises(SSHProtocolError, match="too many packets"):
        pair.send("server", Ping(b""))


def test_answers_wait_too_and_are_bounded() -> None:
    pair = open_pair(make_client(maximum_queue_size=1000))
    pair.client.rekey()
    rekey = pair.client.data_to_send()
    pair.send("server", Ping(b"held"))
    assert pair.client.data_to_send() == b""
    with pytest.raises(SSHProtocolError, match="too much to answer"):
        pair.send("server", *[Ping(bytes(100))] * 10)
    pair = open_pair()
    pair.client.rekey()
    rekey = pair.client.data_to_send()
    pair.send("server", Ping(b"held"))
    pair.tell_server(rekey)
    pair.run()
    assert Pong(b"held") in pair.server_events


def test_other_buffers() -> None:
    pair = open_pair()
    data = pair.server.send(b"\x5e1")
    assert pair.client.receive_data(bytearray(data)) == [Packet(94, b"\x5e1", 0)]
    data = pair.server.send(b"\x5e2")
    assert pair.client.receive_data(memoryview(bytearray(data))) == [Packet(94, b"\x5e2", 1)]


def test_a_buffer_can_be_used_again() -> None:
    pair = open_pair()
    data = bytearray(pair.server.send(b"\x5e1", b"\x5e2"))
    (first,) = pair.client.receive_data(memoryview(data)[:-10])
    rest = bytes(data[-10:])
    data.clear()  # nobody looks at it any more
    assert isinstance(first, Packet)
    assert first.payload == b"\x5e1"
    assert pair.client.receive_data(rest) == [Packet(94, b"\x5e2", 1)]


def test_many_key_exchanges() -> None:
    pair = open_pair()
    for number in range(20):
        sender: Role = "client" if number % 2 else "server"
        payload = bytes((94, number))
        assert pair.send(sender, payload) == [Packet(94, payload, 0)]
        (pair.server if number % 3 else pair.client).rekey()
        pair.run()
    assert sum(isinstance(event, KeyExchanged) for event in pair.client_events) == 20
