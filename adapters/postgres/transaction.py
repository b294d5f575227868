"""Transactions, under the name that asyncpg's module has."""

from __future__ import annotations

from . import _transaction
from ._transaction import *  # noqa: F403

__all__: list[str] = []
__all__ += _transaction.__all__
