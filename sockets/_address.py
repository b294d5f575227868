"""Addresses: where a socket leads, in one canonical spelling.

An address object is valid and canonical from the moment it exists, however it was made. The egress
policy, the resolver and TLS therefore all speak about the same host, and two spellings of one host
are equal. What ``getaddrinfo`` would accept but people read differently (``127.1``, ``0x7f000001``,
full-width digits) is refused here.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import cast

from wirekit._errors import AddressError

__all__ = [
    "Address",
    "AddressLike",
    "TCPAddress",
    "UnixAddress",
    "parse_address",
    "split_host_port",
]

_MAX_HOST_BYTES = 255  # RFC 1035 §2.3.4, and what cloudflare:sockets takes
_MAX_NAME = 253  # the same limit in text form, without the final dot
_MAX_UNIX_PATH = 107 if sys.platform == "linux" else 103  # sun_path without its NUL: unix(7)

# RFC 1123 §2.1, plus the underscore that service discovery uses (RFC 8552).
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# The last labels that WHATWG URL ("ends in a number") and inet_aton take for an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}")  # an interface name (IFNAMSIZ) or index
_URL_DELIMITERS = "@/?#\\"


@dataclass(frozen=True, slots=True)
class TCPAddress:
    """A host and a port, canonical.

    ``host`` is an IPv4 address as a dotted quad, an IPv6 address in its compressed form without
    brackets (a link-local one may carry a zone, ``fe80::1%eth0``, RFC 4007 §11), or a host name in
    lower case and A-labels. A final dot is kept, because to the resolver it means "no search list";
    ``server_name`` is without it. ``port`` is from 1 to 65535.

    Names that are not ASCII go through the standard library's ``idna`` codec: IDNA 2003 (RFC 3490),
    not UTS #46, so ``ß`` becomes ``ss``. Write the A-label (``xn--…``) where that matters.

    Raises:
        AddressError: The host or the port is not of this form.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", _canonical_host(self.host))
        object.__setattr__(self, "port", _checked_port(self.port))

    def __str__(self) -> str:
        """The address as ``parse_address`` reads it: ``host:port`` or ``[::1]:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_ip(self) -> bool:
        """Whether ``host`` is an IP address and not a name."""
        # No name ends in a label of digits: _canonical_host refuses those.
        return ":" in self.host or self.host.rpartition(".")[2].isdigit()

    @property
    def server_name(self) -> str:
        """The host as TLS asks for it and verifies it: no final dot (RFC 6066 §3), no zone."""
        return self.host.partition("%")[0].removesuffix(".")


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The absolute path of a Unix socket; empty and ``.`` segments are dropped.

    The path is taken as it stands: nothing is percent-decoded, no symbolic link is followed.
    Abstract sockets (``@name``) are refused: no file permission guards them.

    Raises:
        AddressError: The path is relative, holds ``..`` or a control character, names no file, or
            is longer than the system's socket addresses are (107 bytes on Linux).
    """

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", _canonical_path(self.path))

    def __str__(self) -> str:
        """The address as ``parse_address`` reads it: ``unix:/path``."""
        return f"unix:{self.path}"


Address = TCPAddress | UnixAddress
AddressLike = str | tuple[str, int] | Address | os.PathLike[str]


def parse_address(address: AddressLike, *, default_port: int | None = None) -> Address:
    """Read an address in any of the spellings people use.

    Args:
        address: ``"host:port"``, ``"[::1]:port"``, ``"tcp://host:port"``, ``(host, port)``; for a
            Unix socket ``"unix:/path"``, ``"unix:///path"``, ``"/path"`` or a path object; or an
            address, which is returned as it is.
        default_port: The port of a string that names none.

    Raises:
        AddressError: It is none of these; the text says what was wrong and what to write.
    """
    if default_port is not None:
        default_port = _checked_port(default_port)
    return _parse(address, default_port)


def split_host_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port`` or ``[ipv6]:port``; the host keeps its brackets, unchecked.

    Raises:
        AddressError: The text has parts that only a URL has, an IPv6 address without brackets, or
            something that is no port behind the colon.
    """
    _refuse_url_parts(text)
    if text.startswith("["):
        host, bracket, tail = text.partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise AddressError(f"{_shown(text)} has brackets out of place: write [::1]:port")
        return host + bracket, _port_from_text(tail[1:]) if tail else None
    if text.count(":") > 1:
        raise AddressError(
            f"{_shown(text)} has more than one colon: write IPv6 in brackets, [::1]:port,"
            " or give the tuple (host, port)"
        )
    host, colon, port = text.partition(":")
    return host, _port_from_text(port) if colon else None


def _parse(address: object, default_port: int | None) -> Address:
    if isinstance(address, TCPAddress | UnixAddress):
        return address
    if isinstance(address, str):
        return _parse_text(address, default_port)
    if isinstance(address, tuple):
        items = cast("tuple[object, ...]", address)
        if len(items) != 2:
            raise AddressError(f"a tuple of {len(items)} items is no address: write (host, port)")
        return TCPAddress(_canonical_host(items[0]), _checked_port(items[1]))
    if isinstance(address, os.PathLike):
        return UnixAddress(_canonical_path(cast("os.PathLike[str]", address).__fspath__()))
    raise AddressError(
        f"{type(address).__name__} is no address: write 'host:port', (host, port) or 'unix:/path'"
    )


def _parse_text(text: str, default_port: int | None) -> Address:
    if text.startswith("/"):
        return UnixAddress(text)
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() == "unix":
        return UnixAddress(_path_from_url(rest))
    if text.startswith("@"):
        return UnixAddress(text)
    if rest.startswith("//"):
        if scheme.lower() != "tcp":
            # Not shown: such a URL may hold a password.
            raise AddressError(
                "a URL is no address: write 'host:port', 'tcp://host:port' or 'unix:/path'"
            )
        text = rest[2:]
    host, port = split_host_port(text)
    if port is None:
        port = default_port
    if port is None:
        raise AddressError(f"{_shown(text)} has no port: write host:port")
    return TCPAddress(host, port)


def _path_from_url(rest: str) -> str:
    """What follows ``unix:``, either a path or, as in other URLs, an empty authority and a path."""
    if rest.startswith("//") and not rest.startswith("///"):
        raise AddressError(
            "two slashes begin a host, which a Unix socket has not: write unix:/path"
        )
    return rest


def _canonical_path(path: object) -> str:
    if not isinstance(path, str):
        raise AddressError(f"the path of a Unix socket is a str, not {type(path).__name__}")
    if path.startswith(("@", "\0")):
        raise AddressError(
            "abstract Unix sockets are not supported: write the path of a socket file"
        )
    if not path.startswith("/"):
        raise AddressError(f"{_shown(path)} is not an absolute path: write unix:/path")
    if any(character < " " or character == "\x7f" for character in path):
        raise AddressError("the path of the Unix socket holds a control character")
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    if not segments:
        raise AddressError("'/' is no Unix socket: write unix:/path")
    if ".." in segments:
        raise AddressError("the path of the Unix socket holds '..': write where it leads")
    canonical = "/" + "/".join(segments)
    try:
        size = len(os.fsencode(canonical))
    except UnicodeEncodeError as error:
        raise AddressError("the path of the Unix socket cannot be a file name here") from error
    if size > _MAX_UNIX_PATH:
        raise AddressError(
            f"the path of the Unix socket has {size} bytes, and socket addresses take"
            f" {_MAX_UNIX_PATH}: use a shorter path, or a symbolic link"
        )
    return canonical


def _canonical_host(host: object) -> str:
    if not isinstance(host, str):
        raise AddressError(f"a host is a str, not {type(host).__name__}")
    if not host:
        raise AddressError("the host is empty: write host:port")
    if len(host.encode("utf-8", "surrogatepass")) > _MAX_HOST_BYTES:
        raise AddressError(f"the host {_shown(host)} is longer than {_MAX_HOST_BYTES} bytes")
    if not host.isprintable() or " " in host:
        raise AddressError(f"the host {_shown(host)} holds a space or a control character")
    _refuse_url_parts(host)
    if host.startswith("[") and host.endswith("]"):
        return _canonical_ipv6(host[1:-1])
    if ":" in host:
        return _canonical_ipv6(host)
    if "%" in host:
        raise AddressError(f"the host {_shown(host)} holds a percent sign: nothing is decoded here")
    return _canonical_name(host)


def _canonical_ipv6(text: str) -> str:
    address, percent, zone = text.partition("%")
    try:
        ip = IPv6Address(address)
    except AddressValueError:
        raise AddressError(
            f"the host {_shown(text)} is not an IPv6 address: the port goes outside the host,"
            " 'host:port', '[::1]:port' or (host, port)"
        ) from None
    if not percent:
        return str(ip)
    if not ip.is_link_local or not _ZONE.fullmatch(zone):
        raise AddressError(
            f"the host {_shown(text)} has a zone that does not fit: only link-local addresses"
            " (fe80::/10) have one, the name or number of an interface"
        )
    return f"{ip}%{zone}"


def _canonical_name(host: str) -> str:
    name = host.lower() if host.isascii() else _to_ascii(host)
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _canonical_ipv4(name, host)
    if len(name.removesuffix(".")) > _MAX_NAME:
        raise AddressError(f"the host {_shown(host)} is longer than {_MAX_NAME} characters")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise AddressError(
                f"the host {_shown(host)} is not a host name: {_shown(label)} is not 1 to 63"
                " letters, digits, '-' (not at the ends) or '_'"
            )
    return name


def _canonical_ipv4(name: str, host: str) -> str:
    try:
        canonical = str(IPv4Address(name))
    except AddressValueError:
        canonical = ""
    # What was not ASCII before is not the address that somebody saw and checked.
    if canonical != host:
        raise AddressError(
            f"the host {_shown(host)} ends in a number, as only IPv4 addresses do: write four"
            " decimal numbers in ASCII without leading zeros, as in 127.0.0.1"
        )
    return canonical


def _to_ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise AddressError(
            f"the host {_shown(host)} is not a domain name (IDNA 2003): write its A-labels, xn--…"
        ) from error


def _refuse_url_parts(text: str) -> None:
    found = next((character for character in text if character in _URL_DELIMITERS), None)
    if found is None:
        return
    part = {"@": "a user", "?": "a query", "#": "a fragment"}.get(found, "a path")
    if "@" in text:
        part = "a user"
    raise AddressError(f"an address has no place for {part}: write host:port and nothing else")


def _port_from_text(text: str) -> int:
    if not text:
        raise AddressError("no port follows the colon: write host:port")
    if not _PORT.fullmatch(text):
        raise AddressError(f"{_shown(text)} is not a port: write digits only, from 1 to 65535")
    return _checked_port(int(text))


def _checked_port(port: object) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise AddressError(f"a port is an int from 1 to 65535, not {type(port).__name__}")
    if not 1 <= port <= 65535:
        size = "too large" if port > 0 else "below 1"
        raise AddressError(f"the port is {size}: write a number from 1 to 65535")
    return int(port)


def _shown(text: str) -> str:
    """The text for an error message: escaped, cut, and hidden where it may hold a password."""
    if any(delimiter in text for delimiter in _URL_DELIMITERS):
        return "the address"
    return repr(text if len(text) <= 64 else text[:60] + "…")
