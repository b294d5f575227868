"""What holds for the MQTT codec whatever the packets, and whatever the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.mqtt import _strategies as some
from tests.protocols.mqtt._conversation import SENT, converse, show
from tests.protocols.mqtt._pair import opened
from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import Auth, Codec, ConnAck, Connect, ReasonCode, State

if TYPE_CHECKING:
    from tests.protocols.mqtt._conversation import Step
    from wirekit.protocols.mqtt import Packet, Role, Version

VERSIONS = pytest.mark.parametrize("version", [5, 4])


@VERSIONS
@given(st.data())
def test_what_a_client_sends_is_what_the_server_receives(
    version: Version, data: st.DataObject
) -> None:
    packets = data.draw(st.lists(some.of_clients(version), max_size=5))
    client, server = opened(version)
    assert server.receive_data(client.send(*packets)) == packets
    client, server = opened(version)
    assert server.receive_data(b"".join(client.send_buffers(*packets))) == packets


@VERSIONS
@given(st.data())
def test_what_a_server_sends_is_what_the_client_receives(
    version: Version, data: st.DataObject
) -> None:
    packets = data.draw(st.lists(some.of_servers(version), max_size=5))
    client, server = opened(version)
    assert client.receive_data(server.send(*packets)) == packets


@VERSIONS
@given(st.data())
def test_a_connection_begins_and_ends(version: Version, data: st.DataObject) -> None:
    connect = data.draw(some.connects(version))
    client, server = Codec("client", version=version), Codec("server", version=None)
    assert server.receive_data(client.send(connect)) == [connect]
    assert (client.state, server.state, server.version) == (*[State.CONNECTING] * 2, version)
    told = connect.properties
    assert server.peer_receive_maximum == told.get("receive_maximum", 65535)
    assert server.peer_topic_alias_maximum == told.get("topic_alias_maximum", 0)
    if "authentication_method" in connect.properties:
        return
    connack = data.draw(some.connacks(version).filter(lambda packet: fits(packet, connect)))
    if server.peer_maximum_packet_size < 300:
        return
    assert client.receive_data(server.send(connack)) == [connack]
    refused = connack.reason_code != 0
    assert client.state is server.state is (State.CLOSED if refused else State.CONNECTED)
    role: Role = data.draw(st.sampled_from(["client", "server"] if version == 5 else ["client"]))
    if not refused:
        disconnect = data.draw(some.disconnects(version, role))
        sender, receiver = (client, server) if role == "client" else (server, client)
        if sender.peer_maximum_packet_size > 200:
            assert receiver.receive_data(sender.send(disconnect)) == [disconnect]
            assert client.state is server.state is State.CLOSED


def fits(connack: ConnAck, connect: Connect) -> bool:
    """Whether it may be the answer."""
    nameless = connect.version == 5 and not connect.client_id and connack.reason_code == 0
    if nameless and not connack.properties.get("assigned_client_identifier"):
        return False
    return not (connack.session_present and connect.clean_start)


@given(
    some.auths(ReasonCode.CONTINUE_AUTHENTICATION),
    some.auths(ReasonCode.CONTINUE_AUTHENTICATION),
    some.auths(ReasonCode.RE_AUTHENTICATE),
    some.auths(ReasonCode.SUCCESS),
)
def test_authentication_and_again(ask: Auth, answer: Auth, again: Auth, done: Auth) -> None:
    client, server = Codec(), Codec("server")
    method: Any = {"authentication_method": "SCRAM"}
    server.receive_data(client.send(Connect("me", properties=method)))
    assert client.receive_data(server.send(ask)) == [ask]
    assert server.receive_data(client.send(answer)) == [answer]
    client.receive_data(server.send(ConnAck(properties=method)))
    assert server.receive_data(client.send(again)) == [again]
    assert client.receive_data(server.send(ask)) == [ask]
    assert server.receive_data(client.send(answer)) == [answer]
    assert client.receive_data(server.send(done)) == [done]


@given(st.lists(some.publishes(5, "client"), max_size=12), st.integers(0, 4), st.data())
def test_topic_aliases_change_nothing(packets: list[Any], most: int, data: st.DataObject) -> None:
    order = data.draw(st.lists(st.sampled_from(packets), max_size=30)) if packets else []
    client, server = opened(server={"topic_alias_maximum": most})
    plain, _ = opened(automatic_topic_aliases=False)
    for packet in order:
        wire = client.send(packet)
        assert server.receive_data(wire) == [packet]
        # What an alias costs when it is given.
        assert len(wire) <= len(plain.send(packet)) + 4


STEPS = st.one_of(some.SPOILT, st.sampled_from(sorted(SENT)))
BEGINNINGS: list[tuple[Role, Version | None, list[Step]]] = [
    ("client", 5, []),
    ("client", 5, ["connect"]),
    ("client", 5, ["connect", b"\x20\3\0\0\0"]),
    ("client", 5, ["connect with limits", b"\x20\6\0\0\3\x22\0\2"]),
    ("client", 5, ["connect with method", b"\xf0\6\x18\4\x15\0\1m"]),
    ("client", 4, ["connect 4", b"\x20\2\0\0"]),
    ("server", None, []),
    ("server", 5, [b"\x10\x0f\0\4MQTT\5\2\0\0\0\0\2me", "connack"]),
    ("server", 5, [b"\x10\x0f\0\4MQTT\5\2\0\0\0\0\2me", "connack with limits"]),
    ("server", 4, [b"\x10\x0e\0\4MQTT\4\0\0\0\0\2me", "connack 4"]),
]


@given(st.sampled_from(BEGINNINGS), st.lists(STEPS, max_size=6), some.PLACES)
def test_cuts_change_nothing(
    beginning: tuple[Role, Version | None, list[Step]], steps: list[Step], places: list[int]
) -> None:
    # Also: whatever the bytes, converse() lets no exception through but Violation.
    role, version, opening = beginning
    talk = [*opening, *steps]
    whole = converse(mqtt, Codec(role, version=version), talk)
    assert converse(mqtt, Codec(role, version=version), talk, one_by_one) == whole
    cuts = converse(mqtt, Codec(role, version=version), talk, lambda data: cut_at(data, places))
    assert cuts == whole


@VERSIONS
@given(st.data())
def test_every_truncation_gives_no_packet_and_no_error(
    version: Version, data: st.DataObject
) -> None:
    role: Role = data.draw(st.sampled_from(["client", "server"]))
    packets = some.of_clients(version) if role == "client" else some.of_servers(version)
    packet = data.draw(packets)
    client, server = opened(version)
    sender, receiver = (client, server) if role == "client" else (server, client)
    wire = sender.send(packet)
    cut = data.draw(st.integers(0, len(wire) - 1))
    assert receiver.receive_data(wire[:cut]) == []
    assert receiver.trailing_data == wire[:cut]
    assert [show(event) for event in receiver.receive_data(wire[cut:])] == [show(packet)]
    assert receiver.trailing_data == b""


@given(some.of_servers(5), st.integers(0, 2**16), st.integers(0, 255))
def test_one_wrong_byte_gives_packets_or_a_violation(
    packet: Packet, place: int, value: int
) -> None:
    client, server = opened()
    wire = bytearray(server.send(packet))
    wire[place % len(wire)] = value
    converse(mqtt, client, [bytes(wire)])
