"""Network and hardware addresses on the wire."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._rare import (
    VALUES,
    check_round_trip,
    check_truncations,
    damaged,
    decodes_or_refuses,
)
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._network import TYPES

VECTORS: list[tuple[str, Any, str]] = [
    ("inet", ip_address("192.168.0.1"), "02200004c0a80001"),
    ("inet", ip_interface("192.168.0.1/24"), "02180004c0a80001"),
    ("inet", ip_address("::1"), "03800010" + "00" * 15 + "01"),
    ("inet", ip_interface("fe80::1/64"), "03400010fe80" + "00" * 13 + "01"),
    ("cidr", ip_network("10.0.0.0/8"), "020801040a000000"),
    ("cidr", ip_network("10.1.2.3/32"), "022001040a010203"),
    ("cidr", ip_network("2001:db8::/32"), "0320011020010db8" + "00" * 12),
    ("macaddr", "08:00:2b:01:02:03", "08002b010203"),
    ("macaddr8", "08:00:2b:01:02:03:04:ff", "08002b01020304ff"),
]


def encode(name: str, value: Any) -> bytes:
    function = TYPES[name].encode
    assert function is not None
    return function(value)


@pytest.mark.parametrize(("name", "value", "field"), VECTORS)
def test_vectors(name: str, value: Any, field: str) -> None:
    decoded = TYPES[name].decode(bytes.fromhex(field))
    assert decoded == value
    assert type(decoded) is type(value)
    assert encode(name, value).hex() == field
    check_truncations(name, TYPES[name], bytes.fromhex(field))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    check_round_trip(TYPES[name], data.draw(VALUES[name]))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.binary(max_size=22))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data(), position=st.integers(0, 99), byte=st.integers(0, 255))
def test_damage(name: str, data: st.DataObject, position: int, byte: int) -> None:
    field = encode(name, data.draw(VALUES[name]))
    decodes_or_refuses(name, TYPES[name], damaged(field, position, byte))


@pytest.mark.parametrize(
    ("name", "value", "like"),
    [
        ("inet", "192.168.0.1", ip_address("192.168.0.1")),
        ("inet", "192.168.0.1/24", ip_interface("192.168.0.1/24")),
        ("inet", "192.168.0.1/32", ip_address("192.168.0.1")),
        ("inet", 1, ip_address("0.0.0.1")),
        ("inet", b"\1\2\3\4", ip_address("1.2.3.4")),
        ("inet", ("1.2.3.0", 24), ip_interface("1.2.3.0/24")),
        ("cidr", "10.0.0.0/8", ip_network("10.0.0.0/8")),
        ("cidr", ("10.0.0.0", 8), ip_network("10.0.0.0/8")),
        ("cidr", ip_address("10.1.2.3"), ip_network("10.1.2.3/32")),
    ],
)
def test_what_is_taken_for_an_address(name: str, value: Any, like: Any) -> None:
    assert encode(name, value) == encode(name, like)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("inet", "x", "an IPv4 or IPv6 address is required"),
        ("inet", 5.5, "an IPv4 or IPv6 address is required"),
        ("inet", None, "an IPv4 or IPv6 address is required"),
        ("cidr", "1.2.3.4/24", "no bits set to the right of its prefix"),
        ("cidr", 7.5, "an IPv4 or IPv6 network is required"),
    ],
)
def test_what_is_no_address(name: str, value: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        encode(name, value)


@pytest.mark.parametrize(
    ("name", "field", "match"),
    [
        ("inet", "01200004c0a80001", "unknown address family 1"),
        ("inet", "02210004c0a80001", "a prefix longer than the address"),
        ("inet", "02200104c0a80001", "the wrong flag for cidr"),
        ("cidr", "02200004c0a80001", "the wrong flag for cidr"),
        ("cidr", "02200204c0a80001", "the wrong flag for cidr"),
        ("inet", "02200005c0a80001", "whose length is not its family's"),
        ("inet", "03200004c0a80001", "whose length is not its family's"),
        ("cidr", "02080104c0a80001", "bits set to the right of the prefix"),
    ],
)
def test_malformed_addresses(name: str, field: str, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {name}: .*{match}"):
        TYPES[name].decode(bytes.fromhex(field))


# The server's own answers to these are in tests/interop/postgres/test_rare_types.py.
MACADDR = [
    *("08:00:2b:01:02:03", "08-00-2b-01-02-03", "08002b:010203", "08002b-010203"),
    *("0800.2b01.0203", "0800-2b01-0203", "08002b010203", "8:0:02b:1:2:3", " 08002B010203\n"),
]
MACADDR8 = [
    *("08:00:2b:01:02:03", "08-00-2b-01-02-03-04-05", "08002b:0102030405", "08002b0102030405"),
    *("0800.2b01.0203.0405", "0800:2b:0102:03", "08:00:2b:01:02:03:", " 08002B010203\t"),
]


@pytest.mark.parametrize("spelling", MACADDR)
def test_spellings_of_macaddr(spelling: str) -> None:
    assert encode("macaddr", spelling).hex() == "08002b010203"


@pytest.mark.parametrize("spelling", MACADDR8)
def test_spellings_of_macaddr8(spelling: str) -> None:
    assert encode("macaddr8", spelling).hex() in ("08002bfffe010203", "08002b0102030405")


@pytest.mark.parametrize("name", ["macaddr", "macaddr8"])
@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "08:00-2b:01:02:03",
        "08:00:2b:01:02",
        "08002b01020",
        "100:0:0:0:0:0",
        "0\uff18002b010203",
    ],
)
def test_what_is_no_mac_address(name: str, wrong: str) -> None:
    with pytest.raises(ValueError, match="invalid MAC address"):
        encode(name, wrong)


@pytest.mark.parametrize("name", ["macaddr", "macaddr8"])
def test_a_mac_address_is_text(name: str) -> None:
    with pytest.raises(TypeError, match="expected str, got int"):
        encode(name, 5)


def test_a_long_mac_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="invalid MAC address"):
        encode("macaddr8", "00" * 100_000 + "x")
