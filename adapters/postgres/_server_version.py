"""The version of the server, from the text in which it reports it."""

from __future__ import annotations

import re

from wirekit._errors import RemoteProtocolError

from .types import ServerVersion

__all__ = ["parse_server_version"]

_VERSION = re.compile(
    r"(?:PostgreSQL )?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(devel|(?:alpha|beta|rc)\d{0,9})?"
)


def parse_server_version(text: str) -> ServerVersion:
    """Return the version that a text such as ``"15.18 (Debian 15.18-0+deb12u1)"`` begins with.

    Since 10 the second number is the third here, as in asyncpg: 15.18 is 15.0.18.

    Raises:
        RemoteProtocolError: it begins with none.
    """
    match = _VERSION.match(text)
    if match is None:
        raise RemoteProtocolError("the server reports a version that is none")
    major, minor, micro = (int(part or 0) for part in match.groups()[:3])
    if major >= 10:
        minor, micro = 0, minor
    level = match[4] or "final"
    serial = level.lstrip("abcdefghijklmnopqrstuvwxyz")
    return ServerVersion(major, minor, micro, level.rstrip("0123456789"), int(serial or 0))
