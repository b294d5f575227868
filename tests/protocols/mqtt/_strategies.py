"""Hypothesis strategies: packets that may be sent, and streams of bytes that may be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.protocols.mqtt import _faults as faults
from tests.protocols.mqtt._pair import integer, packet
from wirekit.protocols.mqtt import (
    Auth,
    ConnAck,
    Connect,
    ConnectReturnCode,
    Disconnect,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    Subscription,
    UnsubAck,
    Unsubscribe,
    Will,
)
from wirekit.protocols.mqtt._reason_codes import (
    CONNACK_CODES,
    DISCONNECT_CODES,
    PUBACK_CODES,
    PUBREL_CODES,
    SUBACK_CODES,
    SUBACK_RETURN_CODES,
    UNSUBACK_CODES,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from hypothesis.strategies import SearchStrategy

    from wirekit.protocols.mqtt import Packet, Role, Version

# Values

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
BINARY = st.binary(max_size=12)
BYTES = st.binary(max_size=40)
UINT16 = st.integers(0, 65535)
UINT32 = st.integers(0, 2**32 - 1)
FLAG = st.integers(0, 1)
PACKET_ID = st.integers(1, 65535)
QOS = st.integers(0, 2)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3)
IDENTIFIER = st.integers(1, 268435455)

LEVEL = st.text(st.characters(codec="utf-8", exclude_characters="\0/+#"), max_size=5)
TOPIC = st.one_of(
    st.sampled_from(["a", "a/b", "sensors/1/temperature", "$SYS/broker", "/", "ä/€/😀", "\ufeffx"]),
    st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool),
)
FILTER_LEVEL = st.one_of(LEVEL, st.just("+"))
PLAIN_FILTER = st.one_of(
    st.sampled_from(["#", "+", "a/#", "+/+", "$SYS/#"]),
    st.lists(FILTER_LEVEL, min_size=1, max_size=4).map("/".join).filter(bool),
)
SHARED_FILTER = st.tuples(LEVEL.filter(bool), PLAIN_FILTER).map("$share/{0[0]}/{0[1]}".format)
FILTER = st.one_of(PLAIN_FILTER.filter(lambda text: not text.startswith("$share/")), SHARED_FILTER)


def dictionary(**values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Return dicts with some of the properties, in any order."""
    some = st.fixed_dictionaries({}, optional=values)
    return some.flatmap(lambda found: st.permutations(list(found.items())).map(dict))


EXPLANATION = {"reason_string": TEXT, "user_property": PAIRS}
MESSAGE = {
    "payload_format_indicator": FLAG,
    "message_expiry_interval": UINT32,
    "content_type": TEXT,
    "response_topic": TOPIC,
    "correlation_data": BINARY,
    "user_property": PAIRS,
}
AUTHENTICATION = st.fixed_dictionaries(
    {"authentication_method": st.just("SCRAM")}, optional={"authentication_data": BINARY}
)


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Put properties together."""
    return {**one, **other}


def of_version(version: Version, **values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Return properties, of which 3.1.1 has none."""
    return dictionary(**values) if version == 5 else st.just({})


# Packets


def publishes(version: Version, role: Role) -> SearchStrategy[Publish]:
    """Return PUBLISH packets without a Topic Alias."""
    extra = {"subscription_identifier": st.lists(IDENTIFIER, min_size=1, max_size=3)}
    properties = of_version(version, **MESSAGE, **(extra if role == "server" else {}))

    def build(qos: int, duplicate: bool, packet_id: int, values: tuple[Any, ...]) -> Publish:
        topic, payload, retain, found = values
        if qos == 0:
            return Publish(topic, payload, 0, retain, properties=found)
        return Publish(topic, payload, qos, retain, duplicate, packet_id, found)

    values = st.tuples(TOPIC, BYTES, st.booleans(), properties)
    return st.builds(build, QOS, st.booleans(), PACKET_ID, values)


def acknowledgements(version: Version) -> SearchStrategy[Any]:
    def build(kind: Any, allowed: Collection[ReasonCode]) -> SearchStrategy[Any]:
        if version == 4:
            return st.builds(kind, PACKET_ID)
        return st.builds(
            kind, PACKET_ID, st.sampled_from(sorted(allowed)), dictionary(**EXPLANATION)
        )

    return st.one_of(
        build(PubAck, PUBACK_CODES),
        build(PubRec, PUBACK_CODES),
        build(PubRel, PUBREL_CODES),
        build(PubComp, PUBREL_CODES),
    )


def wills(version: Version) -> SearchStrategy[Will]:
    properties = of_version(version, **MESSAGE, will_delay_interval=UINT32)
    return st.builds(Will, TOPIC, BYTES, QOS, st.booleans(), properties)


def connects(version: Version) -> SearchStrategy[Connect]:
    properties = of_version(
        version,
        session_expiry_interval=UINT32,
        receive_maximum=st.integers(1, 65535),
        maximum_packet_size=st.integers(1, 2**32 - 1),
        topic_alias_maximum=UINT16,
        request_response_information=FLAG,
        request_problem_information=FLAG,
        user_property=PAIRS,
    )
    if version == 5:
        method = st.builds(both, properties, AUTHENTICATION)
        properties = st.one_of(properties, method)

    def build(
        client_id: str, clean: bool, name: str | None, password: bytes | None, rest: Any
    ) -> Connect:
        keep_alive, will, found = rest
        if version == 4:
            clean = clean or not client_id
            password = None if name is None else password
        return Connect(client_id, clean, keep_alive, name, password, will, found, version)

    rest = st.tuples(UINT16, st.none() | wills(version), properties)
    return st.builds(build, TEXT, st.booleans(), st.none() | TEXT, st.none() | BINARY, rest)


def connacks(version: Version) -> SearchStrategy[ConnAck]:
    """Return answers to a CONNECT with a client identifier, and without Clean Start."""
    if version == 4:
        refusals = st.sampled_from(list(ConnectReturnCode)[1:])
        accepted = st.builds(ConnAck, st.booleans(), st.just(ConnectReturnCode.ACCEPTED))
        return st.one_of(accepted, st.builds(ConnAck, st.just(False), refusals))
    properties = dictionary(
        **EXPLANATION,
        session_expiry_interval=UINT32,
        receive_maximum=st.integers(1, 65535),
        maximum_qos=FLAG,
        retain_available=FLAG,
        maximum_packet_size=st.integers(1, 2**32 - 1),
        assigned_client_identifier=TEXT,
        topic_alias_maximum=UINT16,
        wildcard_subscription_available=FLAG,
        subscription_identifier_available=FLAG,
        shared_subscription_available=FLAG,
        server_keep_alive=UINT16,
        server_reference=TEXT,
    )
    refusals = st.sampled_from(sorted(CONNACK_CODES)[1:])
    accepted = st.builds(ConnAck, st.booleans(), st.just(ReasonCode.SUCCESS), properties)
    return st.one_of(accepted, st.builds(ConnAck, st.just(False), refusals, properties))


@st.composite
def subscriptions(draw: st.DrawFn, version: Version) -> Subscription:
    topic_filter = draw(FILTER)
    if version == 4:
        return Subscription(topic_filter, draw(QOS))
    shared = topic_filter.startswith("$share/")
    options = draw(st.booleans()) and not shared, draw(st.booleans()), draw(st.integers(0, 2))
    return Subscription(topic_filter, draw(QOS), *options)


def of_clients(version: Version) -> SearchStrategy[Packet]:
    """Return what a client may send at any time between CONNACK and DISCONNECT."""
    identifier = st.lists(IDENTIFIER, min_size=1, max_size=1)
    subscribing = of_version(version, user_property=PAIRS, subscription_identifier=identifier)
    wanted = st.lists(subscriptions(version), min_size=1, max_size=3).map(tuple)
    filters = st.lists(FILTER, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        publishes(version, "client"),
        acknowledgements(version),
        st.builds(Subscribe, PACKET_ID, wanted, subscribing),
        st.builds(Unsubscribe, PACKET_ID, filters, of_version(version, user_property=PAIRS)),
        st.just(PingReq()),
    )


def of_servers(version: Version) -> SearchStrategy[Packet]:
    """Return what a server may send at any time between CONNACK and DISCONNECT."""
    allowed = SUBACK_CODES if version == 5 else SUBACK_RETURN_CODES
    granted = st.lists(st.sampled_from(sorted(allowed)), min_size=1, max_size=3).map(tuple)
    released = st.lists(st.sampled_from(sorted(UNSUBACK_CODES)), min_size=1, max_size=3)
    explanation = of_version(version, **EXPLANATION)
    return st.one_of(
        publishes(version, "server"),
        acknowledgements(version),
        st.builds(SubAck, PACKET_ID, granted, explanation),
        st.builds(UnsubAck, PACKET_ID, released.map(tuple), explanation)
        if version == 5
        else st.builds(UnsubAck, PACKET_ID),
        st.just(PingResp()),
    )


def disconnects(version: Version, role: Role) -> SearchStrategy[Disconnect]:
    if version == 4:
        return st.just(Disconnect())
    values: dict[str, SearchStrategy[Any]] = {**EXPLANATION, "server_reference": TEXT}
    if role == "client":
        values["session_expiry_interval"] = st.just(0)
    allowed = sorted(DISCONNECT_CODES[role])
    return st.builds(Disconnect, st.sampled_from(allowed), dictionary(**values))


def auths(code: ReasonCode) -> SearchStrategy[Auth]:
    properties = st.builds(both, AUTHENTICATION, dictionary(**EXPLANATION))
    return st.builds(Auth, st.just(code), properties)


# Bytes

PIECE = st.one_of(
    st.binary(max_size=4),
    st.integers(0, 268435455).map(integer),
    TEXT.map(lambda text: packet(0, text)[2:]),
    st.sampled_from([fault.data for fault in faults.FAULTS]),
    st.sampled_from([b"\0", b"\0\1a", b"\0\1", b"\x32\x07\0\1a\0\1\0", b"\x40\2\0\1", b"\xd0\0"]),
)
SPOILT = st.lists(PIECE, max_size=8).map(b"".join)
PLACES = st.lists(st.integers(0, 80), max_size=6)
