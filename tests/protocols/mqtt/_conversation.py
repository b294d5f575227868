"""Conversations for any build of the codec: what we send, by name, and what the peer says."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from wirekit import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# What is sent, by name: made of the classes of the package that is given.
SENT: dict[str, Callable[[Any], Sequence[Any]]] = {
    "connect": lambda p: [p.Connect("me", keep_alive=30)],
    "connect 4": lambda p: [p.Connect("me", version=4)],
    "connect with limits": lambda p: [
        p.Connect(
            "me",
            properties={"receive_maximum": 2, "topic_alias_maximum": 2, "maximum_packet_size": 64},
        )
    ],
    "connect quietly": lambda p: [p.Connect("me", properties={"request_problem_information": 0})],
    "connect without name": lambda p: [p.Connect(clean_start=False)],
    "connect with all": lambda p: [
        p.Connect("me", False, 9, "name", b"secret", p.Will("w", b"bye", 1, True), {})
    ],
    "connect with method": lambda p: [p.Connect("me", properties={"authentication_method": "m"})],
    "connack": lambda p: [p.ConnAck()],
    "connack 4": lambda p: [p.ConnAck(True, p.ConnectReturnCode.ACCEPTED)],
    "connack with limits": lambda p: [
        p.ConnAck(
            properties={
                "receive_maximum": 2,
                "topic_alias_maximum": 2,
                "maximum_packet_size": 64,
                "maximum_qos": 1,
                "retain_available": 0,
                "shared_subscription_available": 0,
                "wildcard_subscription_available": 0,
                "subscription_identifier_available": 0,
            }
        )
    ],
    "connack with method": lambda p: [p.ConnAck(properties={"authentication_method": "m"})],
    "connack with identifier": lambda p: [
        p.ConnAck(properties={"assigned_client_identifier": "you"})
    ],
    "refusal": lambda p: [p.ConnAck(False, p.ReasonCode.NOT_AUTHORIZED)],
    "refusal 4": lambda p: [p.ConnAck(False, p.ConnectReturnCode.NOT_AUTHORIZED)],
    "auth": lambda p: [
        p.Auth(p.ReasonCode.CONTINUE_AUTHENTICATION, {"authentication_method": "m"})
    ],
    "auth again": lambda p: [p.Auth(p.ReasonCode.RE_AUTHENTICATE, {"authentication_method": "m"})],
    "auth done": lambda p: [p.Auth(properties={"authentication_method": "m"})],
    "publish": lambda p: [p.Publish("a/b/c", b"hello")],
    "publish 1": lambda p: [p.Publish("a/b/c", b"hello", 1, packet_id=1)],
    "publish 2": lambda p: [p.Publish("a/b/d", b"hello", 2, True, True, 300)],
    "publish much": lambda p: [p.Publish("a", b"x" * 200)],
    "publish with properties": lambda p: [
        p.Publish(
            "a/b/c",
            properties={
                "content_type": "text/plain",
                "response_topic": "r",
                "correlation_data": b"c",
                "user_property": [("a", "b"), ("a", "c")],
                "message_expiry_interval": 7,
            },
        )
    ],
    "publish with identifiers": lambda p: [
        p.Publish("a", properties={"subscription_identifier": [1, 128]})
    ],
    "publish with alias": lambda p: [p.Publish("a/b/c", properties={"topic_alias": 1})],
    "publish by alias": lambda p: [p.Publish("", properties={"topic_alias": 1})],
    "three topics": lambda p: [p.Publish(topic, b"1") for topic in ("one/", "two/", "three/")] * 2,
    "puback": lambda p: [p.PubAck(1)],
    "puback refusing": lambda p: [p.PubAck(1, p.ReasonCode.QUOTA_EXCEEDED, {"reason_string": "?"})],
    "pubrec": lambda p: [p.PubRec(1)],
    "pubrec refusing": lambda p: [p.PubRec(1, p.ReasonCode.NOT_AUTHORIZED)],
    "pubrel": lambda p: [p.PubRel(1)],
    "pubcomp": lambda p: [p.PubComp(1)],
    "subscribe": lambda p: [p.Subscribe(1, (p.Subscription("a/b", 1),))],
    "subscribe to much": lambda p: [
        p.Subscribe(
            2,
            (p.Subscription("a/#", 2, True, True, 2), p.Subscription("$share/g/b")),
            {"subscription_identifier": [1]},
        )
    ],
    "suback": lambda p: [p.SubAck(1, (p.ReasonCode.GRANTED_QOS_1,))],
    "unsubscribe": lambda p: [p.Unsubscribe(1, ("a/b", "c"))],
    "unsuback": lambda p: [p.UnsubAck(1, (p.ReasonCode.SUCCESS,), {"reason_string": "ok"})],
    "unsuback 4": lambda p: [p.UnsubAck(1)],
    "pingreq": lambda p: [p.PingReq()],
    "pingresp": lambda p: [p.PingResp()],
    "disconnect": lambda p: [p.Disconnect()],
    "disconnect with error": lambda p: [p.Disconnect(p.ReasonCode.PROTOCOL_ERROR)],
    "disconnect to keep": lambda p: [p.Disconnect(properties={"session_expiry_interval": 9})],
    "half a batch": lambda p: [p.PubAck(1), p.Disconnect(), p.PingReq()],
}

Step = str | bytes  # sent, by its name; or said by the peer


@dataclass(frozen=True)
class Outcome:
    """What a codec made of a conversation, in a form that can be compared."""

    steps: list[str]
    state: str
    version: int | None
    accepted: list[int]
    trailing_data: bytes
    end: str


def converse(
    package: Any,
    codec: Any,
    steps: Iterable[Step],
    cut: Callable[[bytes], list[bytes]] = lambda data: [data],
) -> Outcome:
    """Go through the steps; other exceptions than the two are let out.

    What the peer says is received in the pieces that ``cut`` makes of it.
    """
    shown: list[str] = []
    for step in steps:
        if isinstance(step, str):
            try:
                shown.append(codec.send(*SENT[step](package)).hex())
            except LocalProtocolError as exc:
                shown.append(f"{type(exc).__name__}: {exc}")
            continue
        events: list[Any] = []
        fault = ""
        for piece in cut(step) or [b""]:
            try:
                events += codec.receive_data(piece)
            except RemoteProtocolError as exc:
                events += exc.events
                fault = f" {show_fault(exc)}"
                break
        shown.append(" ".join(show(event) for event in events) + fault)
    state, trailing_data = codec.state.name, codec.trailing_data
    accepted = [int(getattr(codec, name)) for name in dir(codec) if name.startswith("peer_")]
    try:
        end = repr(codec.receive_eof())
    except RemoteProtocolError as exc:
        end = show_fault(exc)
    return Outcome(shown, state, codec.version, accepted, trailing_data, end)


def show_fault(fault: Any) -> str:
    """Return a fault as text, the same of all builds."""
    return f"{type(fault).__name__}: {fault} ({fault.reason_code!r})"


def show(packet: Any) -> str:
    """Return all of a packet as text, the same of all builds, also what its ``repr`` hides."""
    if is_dataclass(packet):
        names = [field.name for field in fields(packet)]
    elif hasattr(packet, "topic"):
        names = "topic payload qos retain duplicate packet_id properties".split()
    else:
        names = ["packet_id", "reason_code", "properties"]
    values = [getattr(packet, name) for name in names]
    texts = [show(value) if is_dataclass(value) else repr(value) for value in values]
    return f"{type(packet).__name__}({', '.join(texts)})"
