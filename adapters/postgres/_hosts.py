"""Which servers to try, in which order, and whether one fits.

Source: libpq's connection parameters host, hostaddr, port, load_balance_hosts and
target_session_attrs (PostgreSQL documentation §34.1.2).
"""

from __future__ import annotations

import random
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from wirekit._errors import AddressError
from wirekit.sockets import TCPAddress, UnixAddress

from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wirekit.sockets import Address

__all__ = [
    "Attempt",
    "HostSpec",
    "LoadBalanceHosts",
    "SessionAttribute",
    "attempt_order",
    "is_suitable",
    "make_attempts",
    "parse_host",
    "parse_hosts",
    "parse_ports",
    "session_passes",
    "session_query",
]

LoadBalanceHosts = Literal["disable", "random"]

_DEFAULT_PORT = 5432
# Where distributions put the server's Unix socket; the local server is meant by each of them.
_DEFAULT_HOSTS = (
    ("localhost",)
    if sys.platform == "win32"
    else ("/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost")
)

_IPV6 = re.compile(r"\[([^\[\]]+)\](?::([^:]*))?")
_PORT = re.compile(r"[0-9]{1,5}")


class HostSpec(NamedTuple):
    """A host as it was written, with the port that was written with it; "" is the local server."""

    host: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A server to try.

    Attributes:
        host: the host as it was given, for the certificate and the password file: a name, an IP
            address, or the directory of a Unix socket.
        port: its port; for a Unix socket the number in the socket's name.
        address: where to connect.
    """

    host: str
    port: int
    address: Address

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return isinstance(self.address, UnixAddress)

    def __str__(self) -> str:
        return str(self.address)


# Host lists ----------------------------------------------------------------------------------


def parse_hosts(text: str) -> tuple[HostSpec, ...]:
    """Parse ``host[:port],…``; an empty item is the local server.

    Raises:
        ClientConfigurationError: an item is not of this form.
    """
    return tuple(parse_host(item.strip()) for item in text.split(","))


def parse_host(text: str, *, in_uri: bool = False) -> HostSpec:
    """Parse ``host``, ``host:port``, ``[ipv6]:port``, ``/directory``, or ``ipv6`` outside of URIs.

    Raises:
        ClientConfigurationError: it is not of this form. The text is not shown: part of a password
            may have come to stand here.
    """
    if text.startswith(("/", "@")):
        return HostSpec(text)
    if text.startswith("["):
        match = _IPV6.fullmatch(text)
        if match is None:
            raise ClientConfigurationError(
                "an IPv6 address is not well formed", hint="Write [::1] or [::1]:5432."
            )
        host, port = match[1], match[2] or ""
    elif text.count(":") > 1 and not in_uri:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    return HostSpec(host, _parse_port(port) if port else None)


def parse_ports(text: str) -> tuple[int | None, ...]:
    """Parse ``port,…``; an empty item is the default port.

    Raises:
        ClientConfigurationError: an item is no port.
    """
    items = (item.strip() for item in text.split(","))
    return tuple(_parse_port(item) if item else None for item in items)


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise ClientConfigurationError(
            "a port is not a number from 1 to 65535",
            hint="In a URI, a colon, slash, question mark or @ of the user name or the password"
            " has to be percent-encoded.",
        )
    return int(text)


def make_attempts(
    hosts: Sequence[HostSpec],
    *,
    ports: Sequence[int | None] = (),
    default_ports: Sequence[int | None] = (),
    hostaddrs: Sequence[str] = (),
) -> tuple[Attempt, ...]:
    """Return what to try, in the order given.

    Args:
        hosts: none stands for ``hostaddrs``, or else for the local server.
        ports: go before the ports written with the hosts; one for all hosts, or one for each.
        default_ports: go behind them, in the same form.
        hostaddrs: IP addresses to connect to in place of looking up the hosts, one for each; an
            empty one means to look up.

    Raises:
        ClientConfigurationError: the numbers of items do not match, or a host is none.
    """
    if not hosts:
        hosts = [HostSpec(address) for address in hostaddrs] or [HostSpec("")]
    if hostaddrs and len(hostaddrs) != len(hosts):
        raise ClientConfigurationError(
            f"{len(hostaddrs)} addresses in hostaddr do not match {len(hosts)} hosts"
        )
    columns = zip(
        hosts,
        _one_each(ports, len(hosts)),
        _one_each(default_ports, len(hosts)),
        hostaddrs or [""] * len(hosts),
        strict=True,
    )
    return tuple(
        chain.from_iterable(
            _attempts(spec.host, above or spec.port or below or _DEFAULT_PORT, hostaddr)
            for spec, above, below, hostaddr in columns
        )
    )


def _one_each(ports: Sequence[int | None], count: int) -> Sequence[int | None]:
    if len(ports) <= 1:
        return [ports[0] if ports else None] * count
    if len(ports) != count:
        raise ClientConfigurationError(
            f"{len(ports)} port numbers do not match {count} hosts",
            hint="Give one port for all hosts, or one for each.",
        )
    return ports


def _attempts(host: str, port: int, hostaddr: str) -> list[Attempt]:
    if hostaddr:
        if host:
            _tcp_address(host, port)  # TLS needs a name that can stand in a certificate
        return [Attempt(host or hostaddr, port, _tcp_address(hostaddr, port))]
    names = [host] if host else _DEFAULT_HOSTS
    return [Attempt(name, port, _address(name, port)) for name in names]


def _address(host: str, port: int) -> Address:
    if not host.startswith(("/", "@")):
        return _tcp_address(host, port)
    # asyncpg also takes the socket itself in place of its directory.
    path = host if ".s.PGSQL." in host else f"{host.rstrip('/')}/.s.PGSQL.{port}"
    try:
        return UnixAddress(path)
    except AddressError as error:
        raise ClientConfigurationError(str(error)) from None


def _tcp_address(host: str, port: int) -> TCPAddress:
    try:
        return TCPAddress(host, port)
    except AddressError:
        # The text, which may be part of a password, stays out of the error.
        raise ClientConfigurationError(
            "a host is neither a host name, an IP address nor the absolute path of a directory"
        ) from None


# Order and choice ----------------------------------------------------------------------------


def attempt_order(
    attempts: Sequence[Attempt],
    load_balance_hosts: LoadBalanceHosts,
    *,
    shuffle: Callable[[list[Attempt]], None] = random.shuffle,
) -> list[Attempt]:
    """Return the order for one connection: as given, or shuffled anew."""
    order = list(attempts)
    if load_balance_hosts == "random":
        shuffle(order)
    return order


class SessionAttribute(StrEnum):
    """What a server has to be, as libpq's target_session_attrs.

    ``primary`` and ``standby`` are about hot standby; ``read_write`` and ``read_only`` about what
    transactions may do by default, which a standby's are not; ``prefer_standby`` takes any server
    if none is a standby.
    """

    any = "any"
    primary = "primary"
    standby = "standby"
    prefer_standby = "prefer-standby"
    read_write = "read-write"
    read_only = "read-only"


_IS_IN_RECOVERY = "SELECT pg_catalog.pg_is_in_recovery()"
_IS_READ_ONLY = "SHOW transaction_read_only"
_YES = frozenset({"on", "t", "true"})


def session_passes(attribute: SessionAttribute) -> tuple[SessionAttribute, ...]:
    """Return what to look for among all hosts, and what then, if no host was it."""
    if attribute is SessionAttribute.prefer_standby:
        return SessionAttribute.standby, SessionAttribute.any
    return (attribute,)


def session_query(attribute: SessionAttribute, status: Mapping[str, str]) -> str | None:
    """Return the query to ask the server, or None if its parameter status tells already.

    Servers report in_hot_standby and default_transaction_read_only since PostgreSQL 14.
    """
    if attribute is SessionAttribute.any or _reported(attribute, status) is not None:
        return None
    return _IS_READ_ONLY if _is_about_writing(attribute) else _IS_IN_RECOVERY


def is_suitable(
    attribute: SessionAttribute, status: Mapping[str, str], answer: str | bool | None = None
) -> bool:
    """Whether the server fits.

    Args:
        attribute: what it has to be.
        status: its parameter status, by name.
        answer: the value that `session_query`'s query returned, if that asked for one.
    """
    if attribute is SessionAttribute.any:
        return True
    actual = _reported(attribute, status)
    if actual is None:
        if answer is None:
            raise ValueError(f"the server did not tell what {attribute} needs: ask session_query's")
        actual = answer if isinstance(answer, bool) else answer in _YES
    wanted = attribute not in (SessionAttribute.primary, SessionAttribute.read_write)
    return actual == wanted


def _is_about_writing(attribute: SessionAttribute) -> bool:
    return attribute in (SessionAttribute.read_write, SessionAttribute.read_only)


def _reported(attribute: SessionAttribute, status: Mapping[str, str]) -> bool | None:
    """Whether the server reported to be a standby (or read-only); None if that is not known."""
    reports = [status.get("in_hot_standby")]
    if _is_about_writing(attribute):
        reports.append(status.get("default_transaction_read_only"))
    if "on" in reports:
        return True
    return None if None in reports else False
