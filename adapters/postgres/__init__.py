"""PostgreSQL: asyncpg's API on any socket.

async with Postgres(socket, user="app", database="shop") as db:
    rows = await db.fetch("SELECT id, name FROM items WHERE price < $1", 10)
"""

from __future__ import annotations

from wirekit.protocols.postgres import Record

from . import connection as connection
from . import cursor as cursor
from . import exceptions, types
from . import pool as pool
from . import prepared_stmt as prepared_stmt
from . import transaction as transaction
from ._authentication import AuthenticationRefused
from ._client import Postgres
from ._column_formats import Columns
from ._connect import connect
from ._listeners import LoggedQuery
from ._oauth import OAuthRequest, OAuthTokenRejected
from ._pool import Pool, create_pool
from ._replication import Replication, connect_replication
from ._replication_commands import CreatedSlot, ReplicationSlot, SystemIdentity
from ._replication_stream import ReplicationMessage, ReplicationStream
from .exceptions import *  # noqa: F403
from .types import *  # noqa: F403

Connection = Postgres

__all__ = [
    "AuthenticationRefused",
    "Columns",
    "Connection",
    "CreatedSlot",
    "LoggedQuery",
    "OAuthRequest",
    "OAuthTokenRejected",
    "Pool",
    "Postgres",
    "Record",
    "Replication",
    "ReplicationMessage",
    "ReplicationSlot",
    "ReplicationStream",
    "SystemIdentity",
    "connect",
    "connect_replication",
    "create_pool",
]
__all__ += exceptions.__all__
__all__ += types.__all__
