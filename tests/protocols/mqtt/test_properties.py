"""The properties of §2.2.2.2, each one's bytes, and where it may stand."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from wirekit import LocalProtocolError
from wirekit.protocols.mqtt import Properties, Violation
from wirekit.protocols.mqtt._properties import (
    WILL,
    read_properties,
    variable_byte_integer,
    write_properties,
)
from wirekit.protocols.mqtt._reader import Reader

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, DISCONNECT, AUTH = 1, 2, 3, 8, 9, 14, 15
KINDS = [*range(1, 12), 14, 15, WILL]

# Name, a value, its bytes, and a kind of packet that has it.
VECTORS: list[tuple[str, Any, str, int]] = [
    ("payload_format_indicator", 1, "0101", PUBLISH),
    ("message_expiry_interval", 2**32 - 1, "02ffffffff", PUBLISH),
    ("content_type", "text", "03000474657874", PUBLISH),
    ("response_topic", "a/b", "080003612f62", PUBLISH),
    ("response_topic", "", "080000", PUBLISH),
    ("correlation_data", b"\0\xff", "09000200ff", PUBLISH),
    ("subscription_identifier", [128], "0b8001", SUBSCRIBE),
    ("subscription_identifier", [1, 268435455], "0b010bffffff7f", PUBLISH),
    ("session_expiry_interval", 60, "110000003c", CONNECT),
    ("assigned_client_identifier", "ä", "120002c3a4", CONNACK),
    ("server_keep_alive", 0, "130000", CONNACK),
    ("authentication_method", "m", "1500016d", AUTH),
    ("authentication_data", b"", "160000", AUTH),
    ("request_problem_information", 0, "1700", CONNECT),
    ("will_delay_interval", 1, "1800000001", WILL),
    ("request_response_information", 1, "1901", CONNECT),
    ("response_information", "r", "1a000172", CONNACK),
    ("server_reference", "s", "1c000173", DISCONNECT),
    ("reason_string", "no", "1f00026e6f", SUBACK),
    ("receive_maximum", 65535, "21ffff", CONNECT),
    ("topic_alias_maximum", 10, "22000a", CONNACK),
    ("topic_alias", 1, "230001", PUBLISH),
    ("maximum_qos", 1, "2401", CONNACK),
    ("retain_available", 0, "2500", CONNACK),
    ("user_property", [("a", "b"), ("a", "")], "2600016100016226000161 0000", DISCONNECT),
    ("maximum_packet_size", 256, "2700000100", CONNECT),
    ("wildcard_subscription_available", 0, "2800", CONNACK),
    ("subscription_identifier_available", 1, "2901", CONNACK),
    ("shared_subscription_available", 0, "2a00", CONNACK),
]


def test_the_vectors_are_all_of_them() -> None:
    names = {name for name, *_ in VECTORS}
    assert names == set(get_type_hints(Properties))
    assert len(names) == 27


@pytest.mark.parametrize(("name", "value", "data", "kind"), VECTORS)
def test_in_and_out(name: str, value: Any, data: str, kind: int) -> None:
    wire = bytes.fromhex(data)
    assert read_properties(Reader(wire), kind) == {name: value}
    assert write_properties({name: value}, kind) == wire


# §2.2.2.2, table 2-4: the kinds of packets, and what they may have.
PLACES: list[tuple[tuple[int, ...], str]] = [
    ((3, 16), "payload_format_indicator message_expiry_interval content_type response_topic"),
    ((3, 16), "correlation_data"),
    ((3, 8), "subscription_identifier"),
    ((1, 2, 14), "session_expiry_interval"),
    ((2,), "assigned_client_identifier server_keep_alive response_information maximum_qos"),
    ((2,), "retain_available wildcard_subscription_available"),
    ((2,), "subscription_identifier_available shared_subscription_available"),
    ((1, 2, 15), "authentication_method authentication_data"),
    ((1,), "request_problem_information request_response_information"),
    ((16,), "will_delay_interval"),
    ((2, 14), "server_reference"),
    ((2, 4, 5, 6, 7, 9, 11, 14, 15), "reason_string"),
    ((1, 2), "receive_maximum topic_alias_maximum maximum_packet_size"),
    ((3,), "topic_alias"),
    ((*range(1, 12), 14, 15, 16), "user_property"),
]
PLACES_OF = {name: kinds for kinds, names in PLACES for name in names.split()}


@pytest.mark.parametrize(("name", "value", "data", "kind"), VECTORS)
def test_where_it_has_no_place(name: str, value: Any, data: str, kind: int) -> None:
    wire = bytes.fromhex(data)
    for other in KINDS:
        if other in PLACES_OF[name]:
            if name != "subscription_identifier" or len(value) == 1:
                assert read_properties(Reader(wire), other) == {name: value}
                assert write_properties({name: value}, other) == wire
            continue
        with pytest.raises(Violation, match="has no place"):
            read_properties(Reader(wire), other)
        with pytest.raises(LocalProtocolError, match="has no place"):
            write_properties({name: value}, other)


@pytest.mark.parametrize(("name", "value", "data", "kind"), VECTORS)
def test_twice_and_cut_short(name: str, value: Any, data: str, kind: int) -> None:
    wire = bytes.fromhex(data)
    if name == "user_property" or (name == "subscription_identifier" and kind == PUBLISH):
        assert len(read_properties(Reader(wire * 2), kind)[name]) == 2 * len(value)
    else:
        with pytest.raises(Violation, match=f"the property {name} twice"):
            read_properties(Reader(wire * 2), kind)
    if name not in ("user_property", "subscription_identifier"):
        for end in range(1, len(wire)):
            with pytest.raises(Violation, match=f"{name} that does not fit its packet"):
                read_properties(Reader(wire[:end]), kind)


WRONG: list[tuple[str, Any, int]] = [
    *(("payload_format_indicator", 2, 3), ("payload_format_indicator", "1", 3)),
    *(("message_expiry_interval", -1, 3), ("message_expiry_interval", 2**32, 3)),
    *(("message_expiry_interval", 1.5, 3), ("content_type", b"x", 3), ("content_type", None, 3)),
    *(("content_type", "a\0", 3), ("content_type", "\ud800", 3), ("content_type", "x" * 65536, 3)),
    *(("response_topic", "+", 3), ("correlation_data", "x", 3)),
    *(("correlation_data", bytes(65536), 3), ("correlation_data", bytearray(b"x"), 3)),
    *(("subscription_identifier", 1, 3), ("subscription_identifier", [0], 3)),
    *(("subscription_identifier", [268435456], 3), ("subscription_identifier", [1, 2], 8)),
    *(("subscription_identifier", [], 8), ("topic_alias", 0, 3), ("topic_alias", 65536, 3)),
    *(("user_property", {"a": "b"}, 3), ("user_property", [("a",)], 3)),
    *(("user_property", ["ab"], 3), ("user_property", [("a", 5)], 3)),
    *(("user_property", [("a\0", "b")], 3), ("receive_maximum", 0, 1)),
    *(("maximum_packet_size", 0, 1), ("maximum_qos", 2, 2), ("nonsense", 1, 1)),
]


@pytest.mark.parametrize(("name", "value", "kind"), WRONG, ids=lambda value: repr(value)[:20])
def test_what_cannot_be_sent(name: str, value: Any, kind: int) -> None:
    with pytest.raises((LocalProtocolError, Violation)) as caught:
        write_properties({name: value}, kind)
    assert "secret" not in str(caught.value)


def test_what_is_no_dict() -> None:
    others: list[Any] = [None, [], "x", 5]
    for value in others:
        with pytest.raises(LocalProtocolError, match="properties are a dict"):
            write_properties(value, 3)


def test_the_order_is_kept() -> None:
    wire = write_properties({"user_property": [("b", "1"), ("a", "2"), ("b", "0")]}, 3)
    found = read_properties(Reader(wire), 3)["user_property"]
    assert found == [("b", "1"), ("a", "2"), ("b", "0")]


def test_variable_byte_integers() -> None:
    for number, data in ((0, "00"), (127, "7f"), (128, "8001"), (268435455, "ffffff7f")):
        assert variable_byte_integer(number, "n") == bytes.fromhex(data)
    with pytest.raises(LocalProtocolError, match="n of more than"):
        variable_byte_integer(268435456, "n")
