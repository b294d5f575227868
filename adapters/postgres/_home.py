"""Where a user's own Postgres files are.

Source: libpq's default places (PostgreSQL documentation §34.16, §34.17 and §34.19).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["user_file"]


def user_file(name: str, *, windows: str | None = None) -> Path | None:
    r"""Return the path of ``name`` below the home directory, or None if there is no home.

    On Windows, ``windows`` (by default the same name) below ``%APPDATA%\postgresql``.
    """
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA")
        return Path(folder, "postgresql", windows or name) if folder else None
    try:
        return Path.home() / name
    except (RuntimeError, KeyError):  # no HOME, and a user without entry in the password database
        return None
