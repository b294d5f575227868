from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from wirekit.adapters.postgres._hosts import (
    Attempt,
    HostSpec,
    SessionAttribute,
    attempt_order,
    is_suitable,
    make_attempts,
    parse_host,
    parse_hosts,
    parse_ports,
    session_passes,
    session_query,
)
from wirekit.adapters.postgres.exceptions import ClientConfigurationError
from wirekit.sockets import TCPAddress, UnixAddress

# On Unix; where the local server is tried.
LOCAL = ["/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost"]


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("db", [HostSpec("db")]),
        ("db:", [HostSpec("db")]),
        ("db:6000", [HostSpec("db", 6000)]),
        ("a:1, b ,c:3", [HostSpec("a", 1), HostSpec("b"), HostSpec("c", 3)]),
        ("[::1]", [HostSpec("::1")]),
        ("[fe80::1%eth0]:6000", [HostSpec("fe80::1%eth0", 6000)]),
        ("::1", [HostSpec("::1")]),
        ("/run/pg", [HostSpec("/run/pg")]),
        ("/cloudsql/project:region:name", [HostSpec("/cloudsql/project:region:name")]),
        ("a,,b", [HostSpec("a"), HostSpec(""), HostSpec("b")]),
        (":6000", [HostSpec("", 6000)]),
    ],
)
def test_host_lists(text: str, specs: list[HostSpec]) -> None:
    assert list(parse_hosts(text)) == specs


@pytest.mark.parametrize(
    "text",
    ["db:hunter2", "db:0", "db:65536", "db:-1", "[::1", "[::1]x", "[::1]:hunter2", "[]", "db:٣"],
)
def test_bad_hosts_are_not_shown(text: str) -> None:
    with pytest.raises(ClientConfigurationError) as caught:
        parse_host(text)
    assert "hunter2" not in str(caught.value)


def test_ipv6_needs_brackets_in_a_uri() -> None:
    with pytest.raises(ClientConfigurationError, match="port"):
        parse_host("::1", in_uri=True)


def test_port_lists() -> None:
    assert parse_ports("5432, 6000") == (5432, 6000)
    assert parse_ports("1,,3") == (1, None, 3)
    assert parse_ports("") == (None,)
    with pytest.raises(ClientConfigurationError):
        parse_ports("1,x")


def attempt(host: str, port: int) -> Attempt:
    (found,) = make_attempts([HostSpec(host, port)])
    return found


def test_addresses() -> None:
    assert attempt("DB.Internal", 1) == Attempt("DB.Internal", 1, TCPAddress("db.internal", 1))
    assert attempt("::1", 1).address == TCPAddress("::1", 1)
    unix = attempt("/run/pg/", 6000)
    assert unix.address == UnixAddress("/run/pg/.s.PGSQL.6000")
    assert unix.is_unix
    assert not attempt("db", 1).is_unix
    assert attempt("/run/.s.PGSQL.7", 6000).address == UnixAddress("/run/.s.PGSQL.7")
    assert str(attempt("::1", 1)) == "[::1]:1"
    assert str(unix) == "unix:/run/pg/.s.PGSQL.6000"


def test_the_local_server_is_tried_at_its_usual_places() -> None:
    for hosts in ([], [HostSpec("")]):
        found = make_attempts(hosts, ports=[6000])
        assert [item.host for item in found] == LOCAL
        assert {item.port for item in found} == {6000}


def test_an_empty_host_among_others_is_the_local_server() -> None:
    found = make_attempts([HostSpec("a"), HostSpec(""), HostSpec("b")], ports=[1, 2, 3])
    assert [(item.host, item.port) for item in found] == [
        ("a", 1),
        *((host, 2) for host in LOCAL),
        ("b", 3),
    ]


def test_which_port_counts() -> None:
    hosts = [HostSpec("a", 1), HostSpec("b")]

    def ports(**given: Any) -> list[int]:
        return [item.port for item in make_attempts(hosts, **given)]

    assert ports() == [1, 5432]
    assert ports(ports=[9]) == [9, 9]
    assert ports(ports=[None, 9]) == [1, 9]
    assert ports(default_ports=[8]) == [1, 8]
    assert ports(ports=[7, None], default_ports=[8, 9]) == [7, 9]
    for given in ({"ports": [1, 2, 3]}, {"default_ports": [1, 2, 3]}):
        with pytest.raises(ClientConfigurationError, match="3 port numbers do not match 2 hosts"):
            ports(**given)


def test_hostaddr_is_where_to_connect() -> None:
    found = make_attempts([HostSpec("a", 1), HostSpec("b")], hostaddrs=["10.0.0.1", ""])
    assert found[0] == Attempt("a", 1, TCPAddress("10.0.0.1", 1))
    assert found[1] == Attempt("b", 5432, TCPAddress("b", 5432))
    (only,) = make_attempts([], hostaddrs=["10.0.0.1"])
    assert only == Attempt("10.0.0.1", 5432, TCPAddress("10.0.0.1", 5432))
    with pytest.raises(ClientConfigurationError, match="2 addresses"):
        make_attempts([HostSpec("a")], hostaddrs=["10.0.0.1", "10.0.0.2"])
    with pytest.raises(ClientConfigurationError, match="host name"):
        make_attempts([HostSpec("/run/pg")], hostaddrs=["10.0.0.1"])


@pytest.mark.parametrize("host", ["hunter 2", "hunter2/x", "0x7f.1", "@hunter2", "/hunter/../2"])
def test_what_is_no_host_is_not_shown(host: str) -> None:
    with pytest.raises(ClientConfigurationError) as caught:
        make_attempts([HostSpec(host)])
    assert "hunter" not in str(caught.value)


def test_a_socket_path_that_is_too_long() -> None:
    with pytest.raises(ClientConfigurationError, match="bytes"):
        make_attempts([HostSpec("/" + "x" * 200)])


def test_order() -> None:
    attempts = [attempt(host, 1) for host in "abc"]
    assert attempt_order(attempts, "disable") == attempts
    shuffled = attempt_order(attempts, "random", shuffle=lambda order: order.reverse())
    assert shuffled == attempts[::-1]
    assert [item.host for item in attempts] == ["a", "b", "c"]
    assert sorted(attempt_order(attempts, "random"), key=str) == attempts


# What a server reports: a primary, one that is read-only by default, a standby.
PRIMARY = {"in_hot_standby": "off", "default_transaction_read_only": "off"}
READ_ONLY = {"in_hot_standby": "off", "default_transaction_read_only": "on"}
STANDBY = {"in_hot_standby": "on", "default_transaction_read_only": "off"}
FITTING = {
    "any": (True, True, True),
    "primary": (True, True, False),
    "standby": (False, False, True),
    "prefer-standby": (False, False, True),
    "read-write": (True, False, False),
    "read-only": (False, True, True),
}


@pytest.mark.parametrize("attribute", SessionAttribute)
def test_what_servers_report_decides(attribute: SessionAttribute) -> None:
    servers = (PRIMARY, READ_ONLY, STANDBY)
    assert tuple(is_suitable(attribute, status) for status in servers) == FITTING[attribute]
    assert [session_query(attribute, status) for status in servers] == [None] * 3


@pytest.mark.parametrize("attribute", SessionAttribute)
def test_servers_before_postgresql_14_are_asked(attribute: SessionAttribute) -> None:
    query = session_query(attribute, {})
    if attribute is SessionAttribute.any:
        assert query is None
        return
    # Each server's answers to the two queries.
    answers: dict[str, tuple[list[str | bool], ...]] = {
        "SELECT pg_catalog.pg_is_in_recovery()": (["f", False], ["f", False], ["t", True]),
        "SHOW transaction_read_only": (["off"], ["on"], ["on"]),
    }
    assert query is not None
    for expected, values in zip(FITTING[attribute], answers[query], strict=True):
        for value in values:
            assert is_suitable(attribute, {}, value) is expected
    with pytest.raises(ValueError, match="ask"):
        is_suitable(attribute, {})


def test_a_part_of_the_status_may_be_enough() -> None:
    # As behind a pooler that does not pass on everything.
    for attribute, name in product(("read-write", "read-only"), PRIMARY):
        decided = SessionAttribute(attribute)
        assert session_query(decided, {name: "on"}) is None
        assert is_suitable(decided, {name: "on"}) is (attribute == "read-only")
        assert session_query(decided, {name: "off"}) == "SHOW transaction_read_only"
    assert session_query(SessionAttribute.primary, {"in_hot_standby": "off"}) is None


def test_prefer_standby_takes_two_passes() -> None:
    assert session_passes(SessionAttribute.prefer_standby) == ("standby", "any")
    for attribute in set(SessionAttribute) - {SessionAttribute.prefer_standby}:
        assert session_passes(attribute) == (attribute,)
