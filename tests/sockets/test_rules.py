from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from wirekit import AddressError
from wirekit.sockets._ip_tables import IPAddress, parse_ip
from wirekit.sockets._rules import first_met, parse_rules


def target(text: str) -> str | IPAddress:
    """A name or path as it stands, an IP address as such."""
    try:
        return parse_ip(text)
    except AddressError:
        return text


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        ("db", [("db", 1), ("db", 2)], [("a.db", 1), ("10.0.0.1", 1), ("/db", None)]),
        ("DB.:1", [("db", 1)], [("db", 2)]),
        ("*.db", [("a.db", 1), ("b.a.db", 1)], [("db", 1), ("adb", 1), ("/a.db", None)]),
        ("*.db:1", [("a.db", 1)], [("a.db", 2)]),
        ("10.0.0.1:1", [("10.0.0.1", 1)], [("10.0.0.1", 2), ("10.0.0.2", 1), ("db", 1)]),
        ("[::1]:1", [("::1", 1)], [("::1", 2), ("::2", 1), ("0.0.0.1", 1)]),
        ("[::ffff:10.0.0.1]", [("10.0.0.1", 1), ("::ffff:a00:1", 1)], [("::a00:1", 1)]),
        ("10.0.0.0/8", [("10.0.0.0", 1), ("10.255.255.255", 1)], [("11.0.0.0", 1), ("::a", 1)]),
        ("10.0.0.0/8:1", [("10.0.0.0", 1)], [("10.0.0.0", 2)]),
        ("fd00::/8:22", [("fd00::1", 22)], [("fd00::1", 23), ("fc00::1", 22)]),
        ("0.0.0.0/0", [("1.2.3.4", 1)], [("::1", 1), ("db", 1)]),
        ("*:1", [("db", 1), ("10.0.0.1", 1), ("::1", 1)], [("db", 2), ("/db", None)]),
        ("*", [("db", 1), ("10.0.0.1", 1), ("/db", None)], []),
        ("unix:/run//db", [("/run/db", None)], [("/run/d", None), ("/run/db/x", None), ("db", 1)]),
    ],
)
def test_what_a_rule_meets(
    rule: str, met: list[tuple[str, int | None]], not_met: list[tuple[str, int | None]]
) -> None:
    rules = parse_rules([rule])
    for text, port in met:
        assert first_met(rules, target(text), port) is rules[0], text
    for text, port in not_met:
        assert first_met(rules, target(text), port) is None, text


def test_the_first_rule_met_is_named() -> None:
    rules = parse_rules(["db:1", "db:2", "*:2"])
    met = first_met(rules, "db", 2)
    assert met is not None
    assert met.text == "db:2"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "the host is empty"),
        (".example.com", "write '*.example.com'"),
        ("*.", "host is empty"),
        ("*.*.example.com", "is not a host name"),
        ("db.*.example", "is not a host name"),
        ("*example.com", "is not a host name"),
        ("**:1", "is not a host name"),
        ("*.10.0.0.1", "write a network"),
        ("*.[::1]", "more than one colon"),
        ("127.1", "ends in a number"),
        ("::1", "IPv6 in brackets"),
        ("fe80::1%eth0/64", "is not a network"),
        ("[fe80::1%eth0]", "zones"),
        ("10.0.0.1/8", "has host bits set"),
        ("10.0.0.0/33", "is not a network"),
        ("10.0.0.0/255.0.0.0", "is not a network"),
        ("10.0.0.0/８", "is not a network"),  # noqa: RUF001
        ("10.0.0.0/", "is not a network"),
        ("[fd00::]/8", "is not a network"),
        ("db.internal/8", "is not a network"),
        ("tcp://db:1", "is not a network"),
        ("::ffff:10.0.0.0/104", "write the IPv4 network"),
        ("10.0.0.0/8:", "no port follows"),
        ("10.0.0.0/8:0", "below 1"),
        ("db:65536", "too large"),
        ("db:1-2", "is not a port"),
        ("*:", "no port follows"),
        ("unix:db.sock", "not an absolute path"),
        ("user@db:1", "no place for a user"),
        (b"db:1", "a rule is a str, not bytes"),
        (ip_network("10.0.0.0/8"), "a rule is a str, not IPv4Network"),
    ],
)
def test_what_is_no_rule(rule: object, message: str) -> None:
    with pytest.raises(AddressError, match=re.escape(message)):
        parse_rules([rule])


def test_rules_come_in_a_list() -> None:
    with pytest.raises(AddressError, match=r"write \['db:1'\]"):
        parse_rules("db:1")
