"""Cursors, under the name that asyncpg's module has."""

from __future__ import annotations

from . import _cursor
from ._cursor import *  # noqa: F403

__all__: list[str] = []
__all__ += _cursor.__all__
