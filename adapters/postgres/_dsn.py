"""Connection strings: URIs, and libpq's ``name=value`` pairs.

Source: PostgreSQL documentation §34.1.1, "Connection Strings".
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from ._hosts import HostSpec, parse_host, parse_hosts
from .exceptions import ClientConfigurationError

__all__ = ["Layer", "make_layer", "parse_dsn"]

_SCHEMES = ("postgresql", "postgres")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PAIR = re.compile(
    r"""\s* (?P<name> [^\s=]+ ) \s*=\s*
    (?: '(?P<quoted> (?:[^'\\]|\\.)* )' | (?!') (?P<plain> (?:[^\s\\]|\\.)* ) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class Layer(NamedTuple):
    """What one source (keywords, a DSN, a service, the environment) says; passwords included.

    Attributes:
        hosts: the hosts, with ports that are written with them.
        parameters: all else, by libpq's names, except that dbname is called database; empty ones
            are left out. ``port`` and ``hostaddr`` are lists with commas.
    """

    hosts: tuple[HostSpec, ...]
    parameters: dict[str, str]

    def __repr__(self) -> str:
        return f"Layer({len(self.hosts)} hosts, {', '.join(sorted(self.parameters))})"


def make_layer(pairs: dict[str, str], *, hosts: tuple[HostSpec, ...] = ()) -> Layer:
    """Return the layer of parameters in any of their spellings.

    Args:
        pairs: the values by name; ``host`` goes before ``hosts``, ``dbname`` means ``database``,
            and of JDBC's and older libpq's words ``ssl=true`` and ``requiressl=1`` are known.
        hosts: hosts that were parsed before.

    Raises:
        ClientConfigurationError: a host is not well formed, or a value holds a null character.
    """
    parameters = {name: value for name, value in pairs.items() if value}
    for name, value in parameters.items():
        if "\0" in value or "\0" in name:
            raise ClientConfigurationError("a connection parameter holds a null character")
    for alias, value, name, meaning in (
        ("ssl", "true", "sslmode", "require"),
        ("requiressl", "1", "sslmode", "require"),
        ("requiressl", "0", "sslmode", "prefer"),
    ):
        if parameters.get(alias) == value:
            del parameters[alias]
            parameters.setdefault(name, meaning)
    if "dbname" in parameters:
        parameters["database"] = parameters.pop("dbname")
    if "host" in parameters:
        hosts = parse_hosts(parameters.pop("host"))
    return Layer(hosts, parameters)


def parse_dsn(dsn: str) -> Layer:
    """Parse ``postgresql://user:password@host:port,…/database?name=value&…`` or ``name=value …``.

    Every part may be left out; in a URI special characters are percent-encoded, and a ``+`` in the
    query is a space. As in libpq, what stands in the query goes before what stands ahead of it.

    Raises:
        ClientConfigurationError: it is of neither form. No part of it is shown.
    """
    match = _SCHEME.match(dsn)
    if match is None:
        return _parse_pairs(dsn)
    if match[1].lower() not in _SCHEMES:
        raise ClientConfigurationError(
            'invalid DSN: its scheme has to be "postgresql" or "postgres"',
            hint="A URL for SQLAlchemy, with +driver in its scheme, is no DSN.",
        )
    return _parse_uri(dsn[match.end() :])


def _parse_uri(rest: str) -> Layer:
    if "#" in rest:
        raise ClientConfigurationError("invalid DSN: # has to be written as %23")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    userinfo, at, hosts_text = authority.rpartition("@")
    if "@" in userinfo or ("@" in path and not at):
        # Most likely not a part of the database's name but of a password with a slash in it.
        raise ClientConfigurationError(
            "invalid DSN: the user name, password or database holds a character that has to be"
            " percent-encoded",
            hint="Write @ as %40 and / as %2F there; urllib.parse.quote(text, safe='') does it.",
        )
    user, _, password = userinfo.partition(":")
    pairs = {"user": _decode(user), "password": _decode(password), "database": _decode(path)}
    hosts = _parse_authority(hosts_text)
    overriding = _parse_query(query)
    if "host" in overriding:
        # The ports of the replaced hosts hold for those of the query, as in libpq.
        ports = [str(spec.port or "") for spec in hosts]
        pairs["port"] = ",".join(ports) if any(ports) else ""
    return make_layer({**pairs, **overriding}, hosts=hosts)


def _parse_authority(text: str) -> tuple[HostSpec, ...]:
    if not text:
        return ()
    specs = [parse_host(item, in_uri=True) for item in text.split(",")]
    return tuple(HostSpec(_decode(host), port) for host, port in specs)


def _parse_query(query: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in query.split("&") if query else ():
        name, equals, value = item.replace("+", " ").partition("=")
        if not equals or not name:
            raise ClientConfigurationError(
                "invalid DSN: what follows the question mark is not name=value&…",
                hint="Write a question mark in a password as %3F.",
            )
        if value:
            pairs[_canonical(_decode(name))] = _decode(value)
    return pairs


def _canonical(name: str) -> str:
    return "database" if name == "dbname" else name


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ClientConfigurationError(
            "invalid DSN: what is percent-encoded is not UTF-8"
        ) from None


def _parse_pairs(text: str) -> Layer:
    """Parse ``name = value`` pairs between spaces; see libpq's §34.1.1.1 for the quotes."""
    pairs: dict[str, str] = {}
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _PAIR.match(text, position)
        if match is None or not (match.end() == len(text) or text[match.end()].isspace()):
            raise ClientConfigurationError(
                "invalid DSN: it is neither a URI, postgresql://…, nor name=value pairs",
                hint="In name=value pairs, put a value with spaces in single quotes, and a"
                " backslash before each quote and backslash.",
            )
        value = match["plain"] if match["quoted"] is None else match["quoted"]
        pairs[_canonical(match["name"])] = _ESCAPED.sub(r"\1", value)
        position = match.end()
    return make_layer(pairs)
