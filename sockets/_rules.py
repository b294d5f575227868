"""The rules of an egress policy; :class:`wirekit.sockets.Policy` shows how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from typing import TYPE_CHECKING, cast

from wirekit._errors import AddressError

from ._address import TCPAddress, parse_address, split_host_port
from ._ip_tables import IPAddress, IPNetwork, parse_ip

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Rule", "first_met", "parse_rules"]

_PREFIX_LENGTH = re.compile(r"[0-9]{1,3}")
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``pattern`` is a network, ``*``, ``*.suffix``, a name, or a path with its slash."""

    text: str
    pattern: str | IPNetwork
    port: int | None = None

    def meets(self, target: str | IPAddress, port: int | None) -> bool:
        """Whether the rule speaks about this name, path or IP address at this port."""
        if self.port not in {None, port}:
            return False
        if not isinstance(self.pattern, str):
            return not isinstance(target, str) and target in self.pattern
        if self.pattern.startswith("*."):
            is_name = isinstance(target, str) and not target.startswith("/")
            return is_name and str(target).endswith(self.pattern[1:])
        return self.pattern in {"*", target}


def first_met(rules: tuple[Rule, ...], target: str | IPAddress, port: int | None) -> Rule | None:
    """Return the first rule that speaks about this name, path or IP address at this port."""
    return next((rule for rule in rules if rule.meets(target, port)), None)


def parse_rules(texts: object) -> tuple[Rule, ...]:
    """Read rules from an iterable of strings.

    Raises:
        AddressError: One of them is no rule, or they are no iterable of strings but a string.
    """
    if isinstance(texts, str):
        raise AddressError(f"rules come in a list: write [{texts!r}]")
    return tuple(_parse_rule(text) for text in cast("Iterable[object]", texts))


def _parse_rule(text: object) -> Rule:
    if not isinstance(text, str):
        raise AddressError(f"a rule is a str, not {type(text).__name__}")
    if text.lower().startswith("unix:"):
        return Rule(text, str(parse_address(text)).removeprefix("unix:"))
    if "/" in text:
        base, _, rest = text.partition("/")
        prefix, colon, port = rest.partition(":")
        return Rule(text, _parse_network(base, prefix), split_host_port(f"*{colon}{port}")[1])
    host, port_number = split_host_port(text)
    return Rule(text, _parse_pattern(host), port_number)


def _parse_network(base: str, prefix: str) -> IPNetwork:
    text = f"{base}/{prefix}"
    if "%" in text or not _PREFIX_LENGTH.fullmatch(prefix):
        raise AddressError(f"{text!r} is not a network: write it as in 10.0.0.0/8")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise AddressError(f"{text!r} is not a network such as 10.0.0.0/8: {error}") from error
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        raise AddressError(f"{text!r} is IPv4 in other words: write the IPv4 network")
    return network


def _parse_pattern(host: str) -> str | IPNetwork:
    if host == "*":
        return host
    if host.startswith("."):
        raise AddressError(f"{host!r} is not a rule: write '*{host}' for the names below it")
    address = TCPAddress(host.removeprefix("*."), 1)
    if "%" in address.host:
        raise AddressError(f"{host!r} is not a rule: zones are not told apart")
    if not address.is_ip:
        return f"*.{address.server_name}" if host.startswith("*.") else address.server_name
    if host.startswith("*."):
        raise AddressError(f"{host!r} is not a rule: write a network such as 10.0.0.0/8")
    return ip_network(parse_ip(address.host))
