"""What an IP address is for: wirekit's own tables, the same on every Python version.

``ipaddress.is_global`` is not enough for an egress policy. It calls multicast, IPv4-compatible and
NAT64-wrapped loopback addresses global, and its answers change between Python releases.

Here "public" means ordinary global unicast and nothing else. Every block of IANA's special-purpose
registries counts as special, also those that can be reached from anywhere (AS112, AMT, ORCHIDv2),
and so does all IPv6 space outside 2000::/3. Where an IPv6 address carries an IPv4 address, both
count.

What nobody can read from an address alone: a translation prefix that an operator chose (RFC 6052
§2.2), 6rd (RFC 5969) and ISATAP (RFC 5214). Deny such prefixes by rule where they are in use.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from wirekit._errors import AddressError

__all__ = [
    "CLOUDFLARE",
    "LOCAL_NAMES",
    "IPAddress",
    "IPNetwork",
    "classify",
    "embedded_ipv4",
    "parse_ip",
    "range_of",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class _IPRange(NamedTuple):
    """A block of addresses, what it is for, and who says so."""

    network: IPNetwork
    name: str
    source: str


def _table(*rows: tuple[str, str, str]) -> tuple[_IPRange, ...]:
    return tuple(_IPRange(ip_network(network), name, source) for network, name, source in rows)


# The first row that holds an address counts; the last row holds every address. Beside the IANA IPv4
# and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) these are multicast, what later
# RFCs withdrew but routers and stacks still know, and Azure's platform address.
_IPV4 = _table(
    ("0.0.0.0/8", "this network", "RFC 791 §3.2"),
    ("10.0.0.0/8", "private", "RFC 1918"),
    ("100.64.0.0/10", "shared address space", "RFC 6598"),  # also Alibaba's metadata service
    ("127.0.0.0/8", "loopback", "RFC 1122 §3.2.1.3"),
    ("168.63.129.16/32", "Azure platform", "Microsoft Learn: What is IP address 168.63.129.16?"),
    ("169.254.0.0/16", "link-local", "RFC 3927"),  # also most clouds' metadata services
    ("172.16.0.0/12", "private", "RFC 1918"),
    # Whole: PCP and TURN anycast (192.0.0.9, .10) lead to the local network's own devices,
    # 192.0.0.192 is Oracle's metadata service.
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890 §2.1"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112", "RFC 7535"),
    ("192.52.193.0/24", "AMT", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast", "RFC 7526"),
    ("192.168.0.0/16", "private", "RFC 1918"),
    ("192.175.48.0/24", "AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("255.255.255.255/32", "broadcast", "RFC 919 §7"),
    ("240.0.0.0/4", "reserved", "RFC 1112 §4"),
    ("0.0.0.0/0", "public", "IANA IPv4 Address Space Registry"),
)

_IPV6 = _table(
    ("::/128", "unspecified", "RFC 4291 §2.5.2"),
    ("::1/128", "loopback", "RFC 4291 §2.5.3"),
    ("::/96", "IPv4-compatible", "RFC 4291 §2.5.5.1"),
    ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291 §2.5.5.2"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 §2.1"),  # SIIT
    ("64:ff9b::/96", "NAT64", "RFC 6052 §2.1"),
    ("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    ("100::/64", "discard-only", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001:2::/48", "benchmarking", "RFC 5180"),
    ("2001:3::/32", "AMT", "RFC 7450"),
    ("2001:4:112::/48", "AS112", "RFC 7535"),
    ("2001:10::/28", "ORCHID", "RFC 4843"),
    ("2001:20::/28", "ORCHIDv2", "RFC 7343"),
    ("2001:30::/28", "drone remote ID", "RFC 9374"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056"),
    ("2620:4f:8000::/48", "AS112", "RFC 7534"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),  # also Amazon's and Google's metadata services
    ("fe80::/10", "link-local", "RFC 4291 §2.5.6"),
    ("fec0::/10", "site-local", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291 §2.7"),
    ("2000::/3", "public", "RFC 4291 §2.4, IANA IPv6 Address Space Registry"),
    ("::/0", "unassigned", "IANA IPv6 Address Space Registry"),
)

# Prefix, how far the IPv4 address stands from the right, and what it is XORed with.
_EMBEDDINGS = tuple(
    (IPv6Network(network), shift, mask)
    for network, shift, mask in (
        ("::/96", 0, 0),
        ("::ffff:0:0:0/96", 0, 0),
        ("64:ff9b::/96", 0, 0),
        # As in the /96 form of RFC 6052 §2.2. Of the shorter forms, this reads zeros: not public.
        ("64:ff9b:1::/48", 0, 0),
        ("2001::/32", 0, 0xFFFF_FFFF),  # the client's address, RFC 4380 §4
        ("2002::/16", 80, 0),
    )
)

# Names that mean something near by, whoever answers for them.
LOCAL_NAMES = {
    "localhost": "RFC 6761 §6.3",
    "local": "RFC 6762",
    "home.arpa": "RFC 8375",
    "internal": "ICANN Board, 2024-07-29",
}

# Cloudflare's published ranges, www.cloudflare.com/ips-v4 and ips-v6, as in public copies of those
# lists (last changed in September 2023). Workers cannot reach them: Cloudflare docs, "TCP sockets".
CLOUDFLARE = (
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "108.162.192.0/18",
    "131.0.72.0/22",
    "141.101.64.0/18",
    "162.158.0.0/15",
    "172.64.0.0/13",
    "173.245.48.0/20",
    "188.114.96.0/20",
    "190.93.240.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "2400:cb00::/32",
    "2405:8100::/32",
    "2405:b500::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
)


def parse_ip(text: str) -> IPAddress:
    """Read an IP address as the network sees it.

    A zone is dropped, and an IPv4-mapped address becomes the IPv4 address: the system sends IPv4
    packets for it.

    Raises:
        AddressError: The text is no IP address.
    """
    try:
        ip = ip_address(text)
    except ValueError as error:
        raise AddressError(f"{text[:64]!r} is not an IP address") from error
    if isinstance(ip, IPv4Address):
        return ip
    return ip.ipv4_mapped or IPv6Address(int(ip))


def range_of(ip: IPAddress) -> _IPRange:
    """Return the row of the tables that holds the address; its name may be ``"public"``."""
    table = _IPV4 if isinstance(ip, IPv4Address) else _IPV6
    return next(row for row in table if ip in row.network)


def embedded_ipv4(ip: IPAddress) -> IPv4Address | None:
    """Return the IPv4 address that translators or tunnels read out of an IPv6 address.

    Covers IPv4-compatible, IPv4-translated, both NAT64 prefixes, 6to4, and Teredo's client.
    """
    number = int(ip)
    if isinstance(ip, IPv4Address) or number <= 1:  # ``::`` and ``::1`` carry nothing
        return None
    for network, shift, mask in _EMBEDDINGS:
        if ip in network:
            return IPv4Address((number >> shift & 0xFFFF_FFFF) ^ mask)
    return None


def classify(ip: str) -> str:
    """Name what an IP address is for, ``"public"`` or the name of its special range.

    Where it carries an IPv4 address, both are named, as in ``"6to4 of loopback"``.

    Raises:
        AddressError: The text is no IP address.
    """
    address = parse_ip(ip)
    name = range_of(address).name
    embedded = embedded_ipv4(address)
    return name if embedded is None else f"{name} of {range_of(embedded).name}"
