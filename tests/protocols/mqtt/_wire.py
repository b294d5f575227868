"""Packets and their bytes, written down by hand from the figures of §3; for both directions."""

from __future__ import annotations

from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    Properties,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Role,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Version,
    Will,
)

R = ReasonCode
REASON: Properties = {"reason_string": "x"}

# Section, who sends it, the version, the packet, its bytes.
WIRE: list[tuple[str, Role, Version, Packet, str]] = [
    ("3.1", "client", 5, Connect("a"), "10 0e 0004 4d515454 05 02 0000 00 0001 61"),
    (
        *("3.1", "client", 5),
        Connect(
            *("a", False, 10, "u", b"\xff"),
            Will("w", b"x", 1, True, {"will_delay_interval": 1}),
            {"session_expiry_interval": 10},
        ),
        "10 25 0004 4d515454 05 ec 000a 05 110000000a 0001 61"
        " 05 1800000001 0001 77 0001 78 0001 75 0001 ff",
    ),
    (
        "3.1",
        "client",
        5,
        Connect("a", password=b"p"),
        "10 11 0004 4d515454 05 42 0000 00 0001 61 0001 70",
    ),
    ("3.1", "client", 4, Connect("a", version=4), "10 0d 0004 4d515454 04 02 0000 0001 61"),
    (
        *("3.1", "client", 4),
        Connect("a", False, 65535, "u", b"", Will("w", b"", 2), version=4),
        "10 17 0004 4d515454 04 d4 ffff 0001 61 0001 77 0000 0001 75 0000",
    ),
    ("3.2", "server", 5, ConnAck(), "20 03 00 00 00"),
    (
        "3.2",
        "server",
        5,
        ConnAck(False, R.BANNED, REASON),
        "20 07 00 8a 04 1f 0001 78",
    ),
    ("3.2", "server", 4, ConnAck(True, ConnectReturnCode.ACCEPTED), "20 02 01 00"),
    ("3.2", "server", 4, ConnAck(False, ConnectReturnCode.NOT_AUTHORIZED), "20 02 00 05"),
    ("3.3", "client", 5, Publish("a/b", b"x"), "30 07 0003 612f62 00 78"),
    ("3.3", "server", 5, Publish("a/b", b"x", 1, packet_id=10), "32 09 0003 612f62 000a 00 78"),
    ("3.3", "server", 5, Publish("a", b"", 2, True, True, 1), "3d 06 0001 61 0001 00"),
    (
        *("3.3", "server", 5),
        Publish("a", b"x", properties={"subscription_identifier": [200], "content_type": "t"}),
        "30 0c 0001 61 07 0bc801 03 0001 74 78",
    ),
    ("3.3", "client", 4, Publish("a/b", b"x"), "30 06 0003 612f62 78"),
    ("3.3", "client", 4, Publish("a/b", b"", 1, packet_id=10), "32 07 0003 612f62 000a"),
    ("3.4", "client", 5, PubAck(1), "40 02 0001"),
    ("3.4", "client", 5, PubAck(1, R.NO_MATCHING_SUBSCRIBERS), "40 03 0001 10"),
    (
        "3.4",
        "server",
        5,
        PubAck(1, R.SUCCESS, REASON),
        "40 08 0001 00 04 1f 0001 78",
    ),
    ("3.5", "client", 5, PubRec(65535), "50 02 ffff"),
    ("3.6", "client", 5, PubRel(1), "62 02 0001"),
    ("3.6", "client", 5, PubRel(1, R.PACKET_IDENTIFIER_NOT_FOUND), "62 03 0001 92"),
    ("3.7", "server", 5, PubComp(1), "70 02 0001"),
    ("3.4", "server", 4, PubAck(1), "40 02 0001"),
    ("3.6", "server", 4, PubRel(1), "62 02 0001"),
    (
        *("3.8", "client", 5),
        Subscribe(10, (Subscription("a/b", 1), Subscription("c/d", 2, True, True, 2))),
        "82 0f 000a 00 0003 612f62 01 0003 632f64 2e",
    ),
    (
        *("3.8", "client", 5),
        Subscribe(1, (Subscription("a"),), {"subscription_identifier": [1]}),
        "82 09 0001 02 0b01 0001 61 00",
    ),
    ("3.8", "client", 4, Subscribe(10, (Subscription("a/b", 1),)), "82 08 000a 0003 612f62 01"),
    ("3.9", "server", 5, SubAck(1, (R.GRANTED_QOS_1, R.NOT_AUTHORIZED)), "90 05 0001 00 01 87"),
    ("3.9", "server", 4, SubAck(1, (R.SUCCESS, R.UNSPECIFIED_ERROR)), "90 04 0001 00 80"),
    ("3.10", "client", 5, Unsubscribe(1, ("a", "b")), "a2 09 0001 00 0001 61 0001 62"),
    ("3.10", "client", 4, Unsubscribe(1, ("a",)), "a2 05 0001 0001 61"),
    ("3.11", "server", 5, UnsubAck(1, (R.NO_SUBSCRIPTION_EXISTED,)), "b0 04 0001 00 11"),
    ("3.11", "server", 4, UnsubAck(1), "b0 02 0001"),
    ("3.12", "client", 5, PingReq(), "c0 00"),
    ("3.13", "server", 4, PingResp(), "d0 00"),
    ("3.14", "client", 5, Disconnect(), "e0 00"),
    ("3.14", "client", 5, Disconnect(R.DISCONNECT_WITH_WILL_MESSAGE), "e0 01 04"),
    (
        *("3.14", "server", 5),
        Disconnect(R.SERVER_MOVED, {"server_reference": "b"}),
        "e0 06 9d 04 1c 0001 62",
    ),
    ("3.14", "client", 4, Disconnect(), "e0 00"),
    (
        *("3.15", "server", 5),
        Auth(R.CONTINUE_AUTHENTICATION, {"authentication_method": "m"}),
        "f0 06 18 04 15 0001 6d",
    ),
    ("3.15", "client", 5, Auth(), "f0 00"),
]

# What may also be read, although it is longer than it need be.
LONGER: list[tuple[str, Role, Packet, str]] = [
    ("3.4", "server", PubAck(1), "40 03 0001 00"),
    ("3.4", "server", PubAck(1), "40 04 0001 00 00"),
    ("3.6", "client", PubRel(1), "62 04 0001 00 00"),
    ("3.14", "client", Disconnect(), "e0 01 00"),
    ("3.14", "client", Disconnect(), "e0 02 00 00"),
]
