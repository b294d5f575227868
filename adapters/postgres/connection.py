"""``asyncpg.connection``'s public names."""

from __future__ import annotations

from ._client import Postgres as Connection
from ._connect import connect
from ._listeners import LoggedQuery

__all__: list[str] = []
__all__ += ["Connection", "LoggedQuery", "connect"]
