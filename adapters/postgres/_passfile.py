"""The password file, ``~/.pgpass``.

Source: PostgreSQL documentation §34.16, "The Password File".
"""

from __future__ import annotations

import re
import stat
import sys
import warnings
from typing import TYPE_CHECKING

from ._home import user_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ._hosts import Attempt

__all__ = ["default_passfile", "find_password"]

# Four fields, in which a backslash escapes the colon and itself, and the password.
_ENTRY = re.compile(r"((?:[^:\\]|\\.)*+):" * 4 + "(.*)")
_ESCAPED = re.compile(r"\\(.)")


def default_passfile() -> Path | None:
    r"""Return ``~/.pgpass``, or ``%APPDATA%\postgresql\pgpass.conf``, whether it exists or not."""
    return user_file(".pgpass", windows="pgpass.conf")


def find_password(passfile: Path, attempt: Attempt, *, database: str, user: str) -> str | None:
    """Return the password of the first line that matches, or None.

    A Unix socket matches ``localhost`` and its directory. A file that others may read, or that
    cannot be read, is not used, and a warning says so; one that does not exist is no reason for
    a warning. Bytes that are not UTF-8 become surrogate escapes, as in the environment.
    """
    hosts = {"*", attempt.host}
    if attempt.is_unix:
        hosts.add("localhost")
    for host, port, database_name, user_name, password in _entries(passfile):
        if (
            host in hosts
            and port in ("*", str(attempt.port))
            and database_name in ("*", database)
            and user_name in ("*", user)
        ):
            return password
    return None


def _entries(passfile: Path) -> Iterator[list[str]]:
    for line in _read(passfile).split("\n"):
        match = _ENTRY.fullmatch(line)
        if match is not None and not line.startswith("#"):
            yield [_ESCAPED.sub(r"\1", field) for field in match.groups()]


def _read(passfile: Path) -> str:
    try:
        mode = passfile.stat().st_mode
        if not stat.S_ISREG(mode):
            _warn(passfile, "is not a plain file")
            return ""
        if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            _warn(passfile, "can be accessed by group or others; chmod it to 0600")
            return ""
        return passfile.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        _warn(passfile, f"cannot be read: {error.strerror}")
        return ""


def _warn(passfile: Path, reason: str) -> None:
    warnings.warn(f"the password file {str(passfile)!r} is not used: it {reason}", stacklevel=2)
