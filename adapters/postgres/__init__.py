"""PostgreSQL: asyncpg's API on any socket.

async with Postgres(socket, user="app", database="shop") as db:
    rows = await db.fetch("SELECT id, name FROM items WHERE price < $1", 10)
"""

from __future__ import annotations

from wirekit.protocols.postgres import Record

from . import exceptions, pool, types
from ._client import Postgres
from ._connect import connect
from .exceptions import *  # noqa: F403
from .pool import Pool, create_pool
from .types import *  # noqa: F403

Connection = Postgres

__all__ = ["Connection", "Pool", "Postgres", "Record", "connect", "create_pool"]
__all__ += exceptions.__all__
__all__ += types.__all__
