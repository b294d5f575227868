"""Network and hardware addresses.

Source: PostgreSQL documentation, section 8.9, "Network Address Types". An inet or cidr is, in the
binary format: family, prefix length, whether it is a cidr, number of bytes, and these bytes.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any

from ._functions import TypeFunctions, binary, check_length, malformed

__all__ = ["TYPES"]

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

_FAMILIES = {4: 2, 6: 3}  # PGSQL_AF_INET and the number after it, whatever the system's are
_SIZES = {2: 4, 3: 16}
_HEADER_SIZE = 4


def decode_inet(data: bytes) -> Address | Interface:
    """Read a host address; an interface if its prefix is shorter than the address."""
    address, prefix_length = _decode(data, "inet")
    if prefix_length == len(address) * 8:
        return ip_address(address)
    return ip_interface((address, prefix_length))


def encode_inet(value: Any) -> bytes:
    """Write whatever ``ip_address`` or ``ip_interface`` takes."""
    with suppress(ValueError):
        address = ip_address(value)
        return _encode(address.packed, address.max_prefixlen, is_cidr=False)
    try:
        interface = ip_interface(value)
    except ValueError:
        raise ValueError("an IPv4 or IPv6 address is required") from None  # not to show the value
    return _encode(interface.packed, interface.network.prefixlen, is_cidr=False)


def decode_cidr(data: bytes) -> Network:
    """Read a network."""
    address, prefix_length = _decode(data, "cidr")
    try:
        return ip_network((address, prefix_length))
    except ValueError:
        raise malformed("cidr", "bits set to the right of the prefix") from None


def encode_cidr(value: Any) -> bytes:
    """Write whatever ``ip_network`` takes; no bit may be set to the right of the prefix."""
    try:
        network = ip_network(value)
    except ValueError:
        text = "an IPv4 or IPv6 network is required, with no bits set to the right of its prefix"
        raise ValueError(text) from None
    return _encode(network.network_address.packed, network.prefixlen, is_cidr=True)


def _decode(data: bytes, name: str) -> tuple[bytes, int]:
    if len(data) < _HEADER_SIZE:
        raise malformed(name, "too short")
    family, prefix_length, is_cidr, size = data[:_HEADER_SIZE]
    address = data[_HEADER_SIZE:]
    if family not in _SIZES:
        raise malformed(name, f"unknown address family {family}")
    if not size == len(address) == _SIZES[family]:
        raise malformed(name, "an address whose length is not its family's")
    if prefix_length > size * 8:
        raise malformed(name, "a prefix longer than the address")
    if is_cidr != (name == "cidr"):
        raise malformed(name, "the wrong flag for cidr")
    return address, prefix_length


def _encode(address: bytes, prefix_length: int, *, is_cidr: bool) -> bytes:
    family = _FAMILIES[4 if len(address) == 4 else 6]
    return bytes([family, prefix_length, is_cidr, len(address)]) + address


# Hardware addresses. What section 8.9.4 documents is taken, and octets of fewer or more digits.

_OCTETS = re.compile(r"0*[0-9a-f]{1,2}(?:(:0*[0-9a-f]{1,2}){5}|(-0*[0-9a-f]{1,2}){5})")
_GROUPS = re.compile(
    r"[0-9a-f]{12}|[0-9a-f]{6}[:-][0-9a-f]{6}|[0-9a-f]{4}([.-])[0-9a-f]{4}\1[0-9a-f]{4}"
)
# Octets with one and the same separator after any of them.
_LONG = re.compile(r"(?:[0-9a-f]{2})+(?:([:.-])(?:[0-9a-f]{2}\1?)*)?")
_SEPARATOR = re.compile(r"[:.-]")
_WHITESPACE = " \t\n\r\f\v"


def decode_macaddr(data: bytes) -> str:
    """Read a MAC address, as ``"08:00:2b:01:02:03"``."""
    check_length(data, 6, "macaddr")
    return data.hex(":")


def encode_macaddr(value: object) -> bytes:
    """Write a MAC address in one of the documented spellings."""
    spelling = _spelling(value)
    if _OCTETS.fullmatch(spelling):
        return bytes(int(octet, 16) for octet in _SEPARATOR.split(spelling))
    if _GROUPS.fullmatch(spelling):
        return bytes.fromhex(_SEPARATOR.sub("", spelling))
    raise ValueError("invalid MAC address")


def decode_macaddr8(data: bytes) -> str:
    """Read a MAC address of the EUI-64 form, as ``"08:00:2b:01:02:03:04:05"``."""
    check_length(data, 8, "macaddr8")
    return data.hex(":")


def encode_macaddr8(value: object) -> bytes:
    """Write a MAC address of 8 octets; one of 6 gets FF and FE put into its middle."""
    spelling = _spelling(value)
    if _LONG.fullmatch(spelling):
        octets = bytes.fromhex(_SEPARATOR.sub("", spelling))
        if len(octets) == 6:
            return octets[:3] + b"\xff\xfe" + octets[3:]
        if len(octets) == 8:
            return octets
    raise ValueError("invalid MAC address")


def _spelling(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return value.strip(_WHITESPACE).lower()


TYPES: dict[str, TypeFunctions] = {
    "cidr": binary(650, decode_cidr, encode_cidr),
    "macaddr8": binary(774, decode_macaddr8, encode_macaddr8),
    "macaddr": binary(829, decode_macaddr, encode_macaddr),
    "inet": binary(869, decode_inet, encode_inet),
}
