from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.sockets.ip_examples import EMBEDDINGS, ORDINARY, SPECIAL
from wirekit import AddressError, BlockedError, ResolveError
from wirekit.sockets._address import TCPAddress, UnixAddress, parse_address
from wirekit.sockets._ip_tables import CLOUDFLARE
from wirekit.sockets._policy import Policy

PUBLIC = "93.184.215.14"
PUBLIC_IPV6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
NAME = TCPAddress("db.example", 5432)


def allows(policy: Policy, address: str) -> bool:
    """Whether the policy lets this address pass before anything is looked up."""
    try:
        policy.check_address(parse_address(address))
    except BlockedError:
        return False
    return True


def resolves(policy: Policy, *answer: str, address: TCPAddress = NAME) -> list[str]:
    policy.check_address(address)
    return policy.check_resolved(address, answer)


# ---- public_only: the test list


@pytest.mark.parametrize(
    "policy", [Policy.public_only(), Policy.workers()], ids=["public", "workers"]
)
@pytest.mark.parametrize("ip", [ip for ip, _ in SPECIAL])
def test_special_addresses_are_denied(policy: Policy, ip: str) -> None:
    literal = TCPAddress(ip, 5432)
    with pytest.raises(BlockedError, match=re.escape(str(literal))):
        policy.check_address(literal)
    with pytest.raises(BlockedError, match=r"db\.example:5432 .* is not public: "):
        resolves(policy, ip)


@pytest.mark.parametrize("ip", ORDINARY)
def test_ordinary_addresses_pass(ip: str) -> None:
    policy = Policy.public_only()
    literal = TCPAddress(ip, 5432)
    policy.check_address(literal)
    assert policy.check_resolved(literal, [ip]) == [ip]
    assert resolves(policy, ip) == [ip]


@pytest.mark.parametrize(
    "answer",
    [
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "::ffff:10.0.0.1"],
        [PUBLIC, PUBLIC_IPV6, "fe80::1%eth0"],
        [PUBLIC, "not an IP address"],
    ],
)
def test_one_denied_address_refuses_the_name(answer: list[str]) -> None:
    with pytest.raises(BlockedError):
        resolves(Policy.public_only(), *answer)
    kept = [ip for ip in answer if ip in {PUBLIC, PUBLIC_IPV6}]
    assert resolves(Policy.public_only(first_allowed=True), *answer) == kept


def test_first_allowed_needs_one() -> None:
    with pytest.raises(BlockedError, match=r"10\.0\.0\.1 is not public"):
        resolves(Policy.public_only(first_allowed=True), "10.0.0.1", "127.0.0.1")


def test_an_answer_keeps_its_order() -> None:
    answer = [PUBLIC_IPV6, "8.8.8.8", PUBLIC]
    assert resolves(Policy.public_only(), *answer) == answer


@pytest.mark.parametrize("policy", [Policy.any(), Policy.public_only(first_allowed=True)])
def test_an_empty_answer_is_no_pass(policy: Policy) -> None:
    with pytest.raises(ResolveError, match=r"db\.example:5432 has no IP address"):
        resolves(policy)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:1",
        "LOCALHOST:1",
        "localhost.:1",
        "db.localhost:1",
        "printer.local:1",
        "router.home.arpa:1",
        "metadata.google.internal:80",
        "metadata.google.internal.:80",
        "[::1]:1",
        "unix:/run/db.sock",
    ],
)
def test_public_only_refuses_what_is_local_by_definition(address: str) -> None:
    with pytest.raises(BlockedError, match="not public"):
        Policy.public_only().check_address(parse_address(address))


@pytest.mark.parametrize("address", ["notlocalhost:1", "localhost.example:1", "internal.example:1"])
def test_public_only_passes_names_that_only_look_local(address: str) -> None:
    Policy.public_only().check_address(parse_address(address))


@pytest.mark.parametrize(
    "spelling",
    ["127.1:1", "0x7f.1:1", "0177.0.0.1:1", "2130706433:1", "0x7f000001:1", "127.0.0.1.:1"],
)
def test_other_spellings_of_loopback_are_no_addresses(spelling: str) -> None:
    with pytest.raises(AddressError):
        Policy.public_only().check_address(parse_address(spelling))


# ---- the other presets


@pytest.mark.parametrize("ip", ["10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0", PUBLIC])
def test_any_allows_everything(ip: str) -> None:
    policy = Policy.any()
    policy.check_address(TCPAddress(ip, 25))
    policy.check_address(UnixAddress("/run/db.sock"))
    assert resolves(policy, ip, address=TCPAddress("localhost", 5432)) == [ip]


@pytest.mark.parametrize("network", CLOUDFLARE)
def test_workers_deny_cloudflare(network: str) -> None:
    first, last = ip_network(network)[0], ip_network(network)[-1]
    for ip in (first, last):
        assert Policy.classify(str(ip)) == "public"
        with pytest.raises(BlockedError, match=re.escape(network)):
            Policy.workers().check_address(TCPAddress(str(ip), 443))
        with pytest.raises(BlockedError, match=re.escape(network)):
            resolves(Policy.workers(), PUBLIC, str(ip))


def test_workers_deny_cloudflare_in_disguise() -> None:
    with pytest.raises(BlockedError, match=r"104\.16\.0\.0/13"):
        resolves(Policy.workers(), "::ffff:104.16.0.1")
    with pytest.raises(BlockedError, match=r"104\.16\.0\.1 inside 64:ff9b::6810:1: deny="):
        resolves(Policy.workers(allow=["64:ff9b::/96"]), "64:ff9b::104.16.0.1")


def test_workers_deny_port_25() -> None:
    policy = Policy.workers()
    for address in ("mail.example:25", f"{PUBLIC}:25"):
        with pytest.raises(BlockedError, match=r"deny='\*:25'"):
            policy.check_address(parse_address(address))
    assert allows(policy, "mail.example:587")
    assert allows(policy, f"{PUBLIC}:587")
    assert resolves(policy, PUBLIC) == [PUBLIC]


def test_workers_take_further_rules() -> None:
    policy = Policy.workers(allow=["10.0.0.0/8", "1.1.1.1", "172.64.0.1"], deny=["9.9.9.9"])
    assert allows(policy, "10.0.0.1:5432")
    assert not allows(policy, "9.9.9.9:53")
    assert not allows(policy, "172.64.0.1:443")
    assert not allows(policy, "10.0.0.1:25")


def test_only_admits_exactly_its_destinations() -> None:
    policy = Policy.only("db.internal:5432", "10.0.0.5:6379", "[fd00::1]:22", "unix:/run/db.sock")
    for address in (
        "db.internal:5432",
        "DB.INTERNAL.:5432",
        "10.0.0.5:6379",
        "[::ffff:10.0.0.5]:6379",
        "[fd00::1]:22",
        "unix:/run//db.sock",
    ):
        assert allows(policy, address), address
    for address in (
        "db.internal:5433",
        "a.db.internal:5432",
        "db.internal.example:5432",
        "xdb.internal:5432",
        "10.0.0.5:6380",
        "10.0.0.6:6379",
        "[::10.0.0.5]:6379",
        "[64:ff9b::a00:5]:6379",
        "[fd00::2]:22",
        "unix:/run/db.sock2",
    ):
        assert not allows(policy, address), address


def test_only_trusts_the_names_that_the_operator_wrote() -> None:
    policy = Policy.only("db.internal:5432")
    address = TCPAddress("db.internal", 5432)
    assert resolves(policy, "10.0.0.1", "::1", address=address) == ["10.0.0.1", "::1"]


def test_only_with_networks_admits_literals_and_no_names() -> None:
    policy = Policy.only("10.0.0.0/8:5432")
    assert allows(policy, "10.255.255.255:5432")
    assert not allows(policy, "11.0.0.0:5432")
    with pytest.raises(BlockedError, match="no only= rule names it"):
        resolves(policy, "10.0.0.1")


@pytest.mark.parametrize("rule", ["db.internal", "10.0.0.0/8", "*", "[::1]"])
def test_only_needs_ports(rule: str) -> None:
    with pytest.raises(AddressError, match="has no port"):
        Policy.only(rule)


def test_only_nothing() -> None:
    policy = Policy.only()
    assert not allows(policy, "db.internal:1")
    assert not allows(policy, f"{PUBLIC}:1")
    assert not allows(policy, "unix:/run/db.sock")


# ---- rules


def test_suffix_rules_meet_whole_labels() -> None:
    policy = Policy(only=["*.example.com"])
    assert allows(policy, "db.example.com:1")
    assert allows(policy, "a.b.example.com:1")
    assert allows(policy, "DB.Example.COM.:1")
    for address in (
        "example.com:1",
        "evil-example.com:1",
        "evilexample.com:1",
        "example.com.evil.net:1",
        "db.example.com.evil.net:1",
        "example.co:1",
        f"{PUBLIC}:1",
        "unix:/run/a.example.com",
    ):
        assert not allows(policy, address), address


def test_denied_names_cannot_be_respelled() -> None:
    policy = Policy(deny=["Example.COM.", "*.EXAMPLE.com", "münchen.example"])
    for address in (
        "example.com:1",
        "EXAMPLE.com:1",
        "example.com.:1",
        "a.example.com.:1",
        "ｅxample.com:1",  # noqa: RUF001
        "MÜNCHEN.example:1",
        "xn--mnchen-3ya.example:1",
    ):
        assert not allows(policy, address), address
    assert allows(policy, "evil-example.com:1")


def test_a_rule_on_an_address_meets_all_its_disguises() -> None:
    policy = Policy(deny=["8.8.8.8"])
    for ip in (
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "2001:0:1:2:3:4:f7f7:f7f7",
    ):
        with pytest.raises(BlockedError, match=r"deny='8\.8\.8\.8'"):
            policy.check_address(TCPAddress(ip, 53))
        with pytest.raises(BlockedError, match=r"deny='8\.8\.8\.8'"):
            resolves(policy, ip)
    assert resolves(policy, "8.8.8.9") == ["8.8.8.9"]


def test_allow_wins_over_public_only_and_deny_over_allow() -> None:
    policy = Policy.public_only(
        allow=["10.0.0.0/8", "192.168.0.0/16:5432"], deny=["10.9.0.0/16", "10.0.0.0/8:25"]
    )
    assert allows(policy, "10.0.0.1:5432")
    assert not allows(policy, "10.9.0.1:5432")
    assert not allows(policy, "10.0.0.1:25")
    assert allows(policy, "192.168.0.1:5432")
    assert not allows(policy, "192.168.0.1:5433")
    assert not allows(policy, "172.16.0.1:5432")
    assert resolves(policy, "10.0.0.1", PUBLIC) == ["10.0.0.1", PUBLIC]
    with pytest.raises(BlockedError, match=r"deny='10\.9\.0\.0/16'"):
        resolves(policy, "10.0.0.1", "10.9.0.1")


def test_an_allowed_name_need_not_be_public() -> None:
    policy = Policy.public_only(
        allow=["db.internal:5432", "*.corp.example", "unix:/run/db.sock"],
        deny=["169.254.0.0/16", "secret.corp.example"],
    )
    named = TCPAddress("db.internal.", 5432)
    assert resolves(policy, "10.0.0.1", address=named) == ["10.0.0.1"]
    assert resolves(policy, "::1", address=TCPAddress("a.corp.example", 1)) == ["::1"]
    assert allows(policy, "unix:/run/db.sock")
    assert not allows(policy, "unix:/run/other.sock")
    assert not allows(policy, "db.internal:1")
    assert not allows(policy, "secret.corp.example:1")
    with pytest.raises(BlockedError, match=r"10\.0\.0\.1 is not public: private \(RFC 1918\)"):
        resolves(policy, "10.0.0.1")
    with pytest.raises(BlockedError, match="deny="):
        resolves(policy, "169.254.169.254", address=named)


def test_an_exception_for_nat64_still_checks_the_address_inside() -> None:
    policy = Policy.public_only(allow=["64:ff9b::/96"])
    assert resolves(policy, "64:ff9b::8.8.8.8") == ["64:ff9b::8.8.8.8"]
    with pytest.raises(BlockedError, match=r"127\.0\.0\.1 inside 64:ff9b::7f00:1 is not public"):
        resolves(policy, "64:ff9b::127.0.0.1")
    both = Policy.public_only(allow=["64:ff9b::/96", "10.0.0.0/8"])
    assert resolves(both, "64:ff9b::10.0.0.1") == ["64:ff9b::10.0.0.1"]


def test_only_and_public_only_together() -> None:
    policy = Policy(only=["*.db.example:5432"], public_only=True)
    address = TCPAddress("a.db.example", 5432)
    assert resolves(policy, PUBLIC, address=address) == [PUBLIC]
    with pytest.raises(BlockedError, match="not public"):
        resolves(policy, "10.0.0.1", address=address)
    assert not allows(policy, "a.db.example:5433")


def test_a_port_rule_meets_every_host() -> None:
    policy = Policy(only=["*:5432"], deny=["10.0.0.1:5432"])
    assert allows(policy, "db.example:5432")
    assert allows(policy, "10.0.0.2:5432")
    assert not allows(policy, "10.0.0.1:5432")
    assert not allows(policy, "db.example:5433")
    assert not allows(policy, "unix:/run/db.sock")


def test_unix_rules() -> None:
    assert not allows(Policy(deny=["unix:/run/./docker.sock"]), "/run//docker.sock")
    assert allows(Policy(deny=["unix:/run/docker.sock"]), "/run/db.sock")
    assert not allows(Policy(deny=["*"]), "/run/db.sock")


def test_an_ipv6_rule_says_nothing_about_ipv4() -> None:
    policy = Policy.public_only(allow=["::/0"])
    assert allows(policy, "[fd00::1]:1")
    assert not allows(policy, "[::ffff:127.0.0.1]:1")


@pytest.mark.parametrize("rule", ["*", "*:5432"])
def test_allow_cannot_lift_everything_by_accident(rule: str) -> None:
    with pytest.raises(AddressError, match="use only= instead"):
        Policy.public_only(allow=[rule])


# ---- the peer


def test_the_peer_must_have_been_checked() -> None:
    policy = Policy.any()
    policy.check_peer(NAME, "10.0.0.1", ["10.0.0.2", "10.0.0.1"])
    policy.check_peer(NAME, "::ffff:10.0.0.1", ["10.0.0.1"])
    policy.check_peer(NAME, "10.0.0.1", {"::ffff:a00:1"})
    policy.check_peer(NAME, "FE80::0:1", ["fe80::1%eth0"])
    for peer, checked in (
        ("127.0.0.1", ["0.0.0.0"]),
        ("10.0.0.1", []),
        ("64:ff9b::a00:1", ["10.0.0.1"]),
        ("", ["10.0.0.1"]),
        ("10.0.0.1", ["db.example"]),
    ):
        with pytest.raises(BlockedError, match=r"db\.example:5432 is blocked"):
            policy.check_peer(NAME, peer, checked)


# ---- the object


def test_errors_name_the_address_the_cause_and_its_source() -> None:
    with pytest.raises(BlockedError) as caught:
        resolves(Policy.public_only(), "64:ff9b::7f00:1")
    assert caught.value.cause == "blocked"
    assert str(caught.value) == (
        "db.example:5432 is blocked by the egress policy:"
        " 64:ff9b::7f00:1 is not public: NAT64 (RFC 6052 §2.1)"
    )


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (Policy.any(), "Policy()"),
        (Policy.public_only(), "Policy(public_only=True)"),
        (Policy.public_only(first_allowed=True), "Policy(public_only=True, first_allowed=True)"),
        (Policy.only("db:1"), "Policy(only=['db:1'])"),
        (Policy.only(), "Policy(only=[])"),
        (
            Policy(allow=["10.0.0.0/8"], deny=["*:25"]),
            "Policy(allow=['10.0.0.0/8'], deny=['*:25'])",
        ),
        (
            Policy.workers(),
            "Policy(public_only=True, deny=['*:25', '103.21.244.0/22', '103.22.200.0/22',"
            " '103.31.4.0/22', … 19 more])",
        ),
    ],
)
def test_repr(policy: Policy, text: str) -> None:
    assert repr(policy) == text


def test_classify_is_at_hand() -> None:
    assert Policy.classify("169.254.169.254") == "link-local"
    with pytest.raises(AddressError):
        Policy.classify("localhost")


def test_a_policy_is_immutable() -> None:
    rules = ["10.0.0.1"]
    policy = Policy(deny=rules)
    rules.clear()
    assert not allows(policy, "10.0.0.1:1")
    for name in ("_deny", "_public_only", "extra"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(policy, name, ())
        with pytest.raises(AttributeError, match="immutable"):
            delattr(policy, name)


# ---- properties

PRIVATE = st.sampled_from(
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
    ]
).flatmap(lambda network: st.ip_addresses(network=network))
PREFIXES = ["::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"]


@given(PRIVATE, st.sampled_from(sorted(EMBEDDINGS)))
def test_no_embedding_carries_a_private_address_out(ip: object, embedding: str) -> None:
    inner = IPv4Address(str(ip))
    wrapped = EMBEDDINGS[embedding](inner)
    assume(int(IPv6Address(wrapped)) > 1)  # ``::`` and ``::1`` are what they are
    # Not even where the operator made an exception for the outer prefix.
    for policy in (Policy.public_only(), Policy.public_only(allow=PREFIXES)):
        with pytest.raises(BlockedError):
            policy.check_address(TCPAddress(wrapped, 5432))
        with pytest.raises(BlockedError):
            resolves(policy, wrapped)
    with pytest.raises(BlockedError):
        Policy(deny=[str(inner)]).check_address(TCPAddress(wrapped, 5432))


@given(st.ip_addresses().map(str))
def test_a_literal_passes_exactly_if_it_is_public(ip: str) -> None:
    assert allows(Policy.public_only(), str(TCPAddress(ip, 1))) == (Policy.classify(ip) == "public")


@given(st.lists(st.ip_addresses().map(str), min_size=1))
def test_an_answer_passes_exactly_if_each_address_does(answer: list[str]) -> None:
    public = [ip for ip in answer if Policy.classify(ip) == "public"]
    if public == answer:
        assert resolves(Policy.public_only(), *answer) == answer
    else:
        with pytest.raises(BlockedError):
            resolves(Policy.public_only(), *answer)
    if public:
        assert resolves(Policy.public_only(first_allowed=True), *answer) == public
    else:
        with pytest.raises(BlockedError):
            resolves(Policy.public_only(first_allowed=True), *answer)
