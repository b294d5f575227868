"""Prepared statements, under the name that asyncpg's module has."""

from __future__ import annotations

from . import _prepared
from ._prepared import *  # noqa: F403

__all__: list[str] = []
__all__ += _prepared.__all__
