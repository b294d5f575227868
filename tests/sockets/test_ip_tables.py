from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.sockets.ip_examples import EMBEDDINGS, ORDINARY, SPECIAL
from wirekit import AddressError
from wirekit.sockets._ip_tables import (
    CLOUDFLARE,
    classify,
    embedded_ipv4,
    parse_ip,
    range_of,
)


@pytest.mark.parametrize(("ip", "name"), SPECIAL)
def test_special_addresses_are_named(ip: str, name: str) -> None:
    assert classify(ip) == name


@pytest.mark.parametrize("ip", ORDINARY)
def test_ordinary_addresses_are_public(ip: str) -> None:
    assert classify(ip) == "public"


@pytest.mark.parametrize("text", ["localhost", "127.1", "010.0.0.1", "", "10.0.0.0/8", "[::1]"])
def test_what_is_no_ip_address(text: str) -> None:
    with pytest.raises(AddressError, match="is not an IP address"):
        classify(text)


def test_parse_ip_drops_zone_and_mapping() -> None:
    assert parse_ip("fe80::1%eth0") == parse_ip("fe80::1")
    assert parse_ip("::ffff:10.0.0.1") == parse_ip("10.0.0.1")


def test_every_range_has_its_source() -> None:
    for ip, _ in SPECIAL:
        row = range_of(parse_ip(ip))
        assert parse_ip(ip) in row.network
        assert row.source


def test_cloudflare_ranges_are_apart_and_public() -> None:
    networks = [ip_network(text) for text in CLOUDFLARE]
    for network in networks:
        assert classify(str(network[0])) == classify(str(network[-1])) == "public"
        assert sum(network.overlaps(other) for other in networks) == 1


@given(st.ip_addresses(v=4), st.sampled_from(sorted(EMBEDDINGS)))
def test_what_was_wrapped_is_unwrapped(ip: object, embedding: str) -> None:
    inner = IPv4Address(str(ip))
    wrapped = parse_ip(EMBEDDINGS[embedding](inner))
    if embedding == "IPv4-mapped":
        assert wrapped == inner
        return
    assume(int(wrapped) > 1)  # ``::`` and ``::1`` are what they are
    assert embedded_ipv4(wrapped) == inner
    assert classify(str(wrapped)) == f"{embedding} of {classify(str(inner))}"


@given(st.ip_addresses().map(str))
def test_nothing_is_public_that_the_standard_library_knows_as_special(text: str) -> None:
    assume(classify(text) == "public")
    ip = parse_ip(text)
    assert not ip.is_private
    assert not ip.is_multicast
    assert not ip.is_reserved
    assert not ip.is_link_local
    assert not ip.is_unspecified
