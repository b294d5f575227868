"""Who may send what, and when; and what CONNECT and CONNACK settle."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.mqtt._pair import accepting, opened
from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import (
    Auth,
    Codec,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Role,
    State,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Version,
    Violation,
)
from wirekit.protocols.mqtt._agreement import NAMES, Agreement, other

METHOD: Any = {"authentication_method": "m"}
CONTINUE = Auth(ReasonCode.CONTINUE_AUTHENTICATION, METHOD)
AGAIN = Auth(ReasonCode.RE_AUTHENTICATE, METHOD)
DONE = Auth(properties=METHOD)

BOTH: dict[str, Packet] = {
    "PUBLISH": Publish("a"),
    "PUBACK": PubAck(1),
    "PUBREC": PubRec(1),
    "PUBREL": PubRel(1),
    "PUBCOMP": PubComp(1),
}
OF_CLIENTS: dict[str, Packet] = {
    **BOTH,
    "SUBSCRIBE": Subscribe(1, (Subscription("a"),)),
    "UNSUBSCRIBE": Unsubscribe(1, ("a",)),
    "PINGREQ": PingReq(),
    "DISCONNECT": Disconnect(),
}
OF_SERVERS: dict[str, Packet] = {
    **BOTH,
    "SUBACK": SubAck(1, (ReasonCode.SUCCESS,)),
    "UNSUBACK": UnsubAck(1),
    "PINGRESP": PingResp(),
    "DISCONNECT": Disconnect(),
}
REST: dict[str, Packet] = {"CONNECT": Connect("me"), "CONNACK": ConnAck(), "AUTH": Auth()}
ALL = {**OF_CLIENTS, **OF_SERVERS, **REST}


def sendable(codec: Codec) -> set[str]:
    """Return what the codec agrees to send, without sending anything."""
    found: set[str] = set()
    for name, packet in ALL.items():
        try:
            # The second one cannot be sent, and so nothing is.
            codec.send(packet, object())  # type: ignore[arg-type]
        except LocalProtocolError as exc:
            if "object is no packet" in str(exc):
                found.add(name)
    return found


def test_the_names_are_the_types() -> None:
    assert NAMES[3] == "PUBLISH"
    assert NAMES[15] == "AUTH"
    assert set(NAMES[1:]) == set(ALL)


def test_the_other_end() -> None:
    assert other("client") == "server"
    assert other("server") == "client"


def test_who_may_send_what() -> None:
    client, server = Codec(), Codec("server")
    assert (sendable(client), sendable(server)) == ({"CONNECT"}, set())
    wire = client.send(Connect("me"))
    assert sendable(client) == {"DISCONNECT"}
    server.receive_data(wire)
    assert sendable(server) == {"CONNACK"}
    wire = server.send(ConnAck())
    assert sendable(server) == {*OF_SERVERS} - {"UNSUBACK"}  # which has no codes
    client.receive_data(wire)
    assert sendable(client) == {*OF_CLIENTS}
    client.send(Disconnect())
    assert sendable(client) == set()


def test_who_may_send_what_in_3_1_1() -> None:
    client, server = opened(4)
    assert sendable(client) == {*OF_CLIENTS}
    assert sendable(server) == {*OF_SERVERS} - {"DISCONNECT"}
    server.receive_data(client.send(Disconnect()))
    assert sendable(server) == {*OF_SERVERS} - {"DISCONNECT"}
    assert server.state is State.CLOSED


def test_the_states() -> None:
    client, server = Codec(), Codec("server")
    states = [client.state]
    server.receive_data(client.send(Connect("me")))
    states.append(client.state)
    client.receive_data(server.send(ConnAck()))
    states.append(client.state)
    on_its_way = server.send(Publish("a"))
    client.send(Disconnect())
    states.append(client.state)
    assert states == [*[State.CONNECTING] * 2, State.CONNECTED, State.CLOSED]
    assert client.receive_data(on_its_way) == [Publish("a")]
    assert client.receive_eof() == []
    assert client.state is State.CLOSED


@pytest.mark.parametrize("version", [5, 4])
def test_a_refusal_ends_it(version: Version) -> None:
    client, server = Codec(version=version), Codec("server", version=None)
    server.receive_data(client.send(Connect("me", version=version)))
    code = ReasonCode.BANNED if version == 5 else ConnectReturnCode.NOT_AUTHORIZED
    client.receive_data(server.send(ConnAck(False, code)))
    assert client.state is server.state is State.CLOSED
    assert sendable(client) == sendable(server) == set()
    with pytest.raises(Violation, match="after the connection was refused"):
        server.receive_data(b"\xc0\0")


def test_a_server_may_send_no_more_after_disconnect_but_a_client_may() -> None:
    client, server = opened()
    client.receive_data(server.send(Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)))
    assert client.state is server.state is State.CLOSED
    assert server.receive_data(client.send(PubAck(1))) == [PubAck(1)]
    with pytest.raises(LocalProtocolError, match=r"PINGRESP after DISCONNECT \[MQTT-3.14.4-1\]"):
        server.send(PingResp())


def test_a_client_need_not_wait_for_connack() -> None:
    server = Codec("server")
    wire = Codec().send(Connect("me"))
    events = server.receive_data(wire + b"\xc0\0\x30\4\0\1a\0")
    assert events == [Connect("me"), PingReq(), Publish("a")]


def authenticating() -> tuple[Codec, Codec]:
    client, server = Codec(), Codec("server")
    server.receive_data(client.send(Connect("me", properties=METHOD)))
    return client, server


def test_authentication() -> None:
    client, server = authenticating()
    assert (sendable(client), sendable(server)) == ({"DISCONNECT"}, set())
    for _ in range(2):
        client.receive_data(server.send(CONTINUE))
        server.receive_data(client.send(CONTINUE))
    client.receive_data(server.send(ConnAck(properties=METHOD)))
    assert server.receive_data(client.send(AGAIN)) == [AGAIN]
    client.receive_data(server.send(DONE))
    assert server.receive_data(client.send(AGAIN)) == [AGAIN]
    client.receive_data(server.send(Disconnect(ReasonCode.NOT_AUTHORIZED)))


@pytest.mark.parametrize(
    ("role", "packet", "statement"),
    [
        ("client", Auth(CONTINUE.reason_code, {"authentication_method": "n"}), "MQTT-4.12.0-5"),
        ("client", Auth(CONTINUE.reason_code), "MQTT-4.12.0-5"),
        ("client", AGAIN, "MQTT-4.12.0-3"),
        ("client", DONE, "MQTT-3.15.2-1"),
        ("client", Publish("a"), "MQTT-3.1.2-30"),
        ("server", DONE, "MQTT-4.12.0-2"),
        ("server", AGAIN, "MQTT-3.15.2-1"),
        ("server", Auth(CONTINUE.reason_code, {"authentication_method": "n"}), "MQTT-4.12.0-5"),
        ("server", ConnAck(), "MQTT-4.12.0-5"),
        ("server", ConnAck(properties={"authentication_method": "n"}), "MQTT-4.12.0-5"),
    ],
)
def test_wrong_authentication(role: Role, packet: Any, statement: str) -> None:
    client, server = authenticating()
    refuse(client if role == "client" else server, packet, statement)
    refused_by_the_other(authenticating(), role, packet, statement)


@pytest.mark.parametrize(
    ("role", "packet", "statement"),
    [
        ("client", CONTINUE, "MQTT-4.12.0-3"),
        ("client", Auth(AGAIN.reason_code, {"authentication_method": "n"}), "MQTT-4.12.1-1"),
        ("server", CONTINUE, ""),
        ("server", DONE, ""),
    ],
)
def test_wrong_authentication_later(role: Role, packet: Any, statement: str) -> None:
    refuse(opened(client=METHOD)[role == "server"], packet, statement)
    refused_by_the_other(opened(client=METHOD), role, packet, statement)


def refuse(codec: Codec, packet: Any, statement: str) -> None:
    before = codec.state
    with pytest.raises(LocalProtocolError) as caught:
        codec.send(packet)
    assert str(caught.value).endswith(f"[{statement}]") or not statement
    assert codec.state is before


def refused_by_the_other(
    ends: tuple[Codec, Codec], role: Role, packet: Any, statement: str
) -> None:
    """Let a codec that knows no better send it."""
    careless = Codec(role) if role == "client" else Codec("server")
    properties: Any = packet.properties if isinstance(packet, Auth) else {}
    method = properties or METHOD
    if role == "client":
        careless.send(Connect("me", properties=method))
        if ends[0].state is State.CONNECTED or isinstance(packet, Publish) or packet == AGAIN:
            careless.receive_data(Codec("server").send() + connack_with(method))
    else:
        connect = Connect(
            "me", properties=method if not isinstance(packet, ConnAck) else properties
        )
        careless.receive_data(Codec().send(connect))
    try:
        wire = careless.send(packet)
    except LocalProtocolError:
        return  # it is wrong whatever was agreed on
    with pytest.raises(Violation) as caught:
        ends[role == "client"].receive_data(wire)
    assert caught.value.statement == statement


def connack_with(properties: Any) -> bytes:
    server = Codec("server")
    server.receive_data(Codec().send(Connect("me", properties=properties)))
    return server.send(ConnAck(properties=properties))


def test_what_only_one_may_say() -> None:
    client, server = opened(client={"session_expiry_interval": 0})
    keep = Disconnect(properties={"session_expiry_interval": 9})
    refuse(client, keep, "")
    refuse(server, Disconnect(properties={"session_expiry_interval": 0}), "MQTT-3.14.2-2")
    refuse(client, Disconnect(ReasonCode.SERVER_SHUTTING_DOWN), "MQTT-3.14.2-1")
    refuse(server, Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE), "MQTT-3.14.2-1")
    client, server = opened(client={"session_expiry_interval": 1})
    assert server.receive_data(client.send(keep)) == [keep]


def test_explanations_that_are_not_wanted() -> None:
    client, server = opened(client={"request_problem_information": 0})
    explanation: Any = {"reason_string": "why"}
    code = ReasonCode.SUCCESS
    for packet in (PubAck(1, code, explanation), SubAck(1, (code,), explanation)):
        refuse(server, packet, "MQTT-3.1.2-29")
    refuse(server, UnsubAck(1, (code,), {"user_property": [("a", "b")]}), "MQTT-3.1.2-29")
    for fine in (
        Publish("a", properties={"user_property": [("a", "b")]}),
        Disconnect(properties=explanation),
    ):
        assert client.receive_data(server.send(fine)) == [fine]
    assert server.receive_data(client.send(PubAck(1, code, explanation)))


def test_a_client_without_a_name_gets_one() -> None:
    client, server = Codec(), Codec("server")
    server.receive_data(client.send(Connect()))
    refuse(server, ConnAck(), "MQTT-3.2.2-16")
    connack = ConnAck(properties={"assigned_client_identifier": "you"})
    assert client.receive_data(server.send(connack)) == [connack]
    nameless = Codec()
    nameless.send(Connect())
    with pytest.raises(Violation, match=r"\[MQTT-3.2.2-16\]"):
        nameless.receive_data(b"\x20\3\0\0\0")


@pytest.mark.parametrize("version", [5, 4])
def test_session_present(version: Version) -> None:
    for clean, present in ((True, False), (False, False), (False, True)):
        client, server = Codec(version=version), Codec("server", version=version)
        server.receive_data(client.send(Connect("me", clean, version=version)))
        connack = ConnAck(present, accepting(version).reason_code)
        assert client.receive_data(server.send(connack)) == [connack]


def test_what_the_server_has_not() -> None:
    told: Any = dict.fromkeys(
        (
            "wildcard_subscription_available",
            "subscription_identifier_available",
            "shared_subscription_available",
        ),
        0,
    )
    client, server = opened(server=told)
    for subscription in ("a/+", "#", "$share/g/a"):
        refuse(client, Subscribe(1, (Subscription(subscription),)), "")
    refuse(client, Subscribe(1, (Subscription("a"),), {"subscription_identifier": [1]}), "")
    assert server.receive_data(client.send(Subscribe(1, (Subscription("a"),))))
    client, server = opened(4)
    # 3.1.1 knows no shared subscriptions: "$share" is a level as others.
    wanted = Subscribe(1, (Subscription("$share/g/a"),))
    assert server.receive_data(client.send(wanted)) == [wanted]


@pytest.mark.parametrize("level", [5, 4])
def test_a_server_may_leave_the_version_to_connect(level: Version) -> None:
    server = Codec("server", version=None)
    assert server.version is None
    connect = Connect("me", version=level)
    assert server.receive_data(Codec(version=level).send(connect)) == [connect]
    assert server.version == level
    before = Codec("server", version=None)
    with pytest.raises(Violation, match=r"\[MQTT-2.1.3-1\]"):  # the number in 5.0
        before.receive_data(b"\x11")


def test_a_copy_is_on_its_own() -> None:
    agreement = Agreement(None)
    copied = agreement.copy()
    agreement.take(Connect("me"), "client")
    assert copied == Agreement(None) or copied.version is None
    assert copied.may_send == Agreement(None).may_send
    assert agreement.may_send != copied.may_send
