"""Pools, under the name that asyncpg's module has."""

from __future__ import annotations

from ._pool import Pool as Pool
from ._pool import PoolAcquireContext as PoolAcquireContext
from ._pool import create_pool as create_pool
from ._pool_holder import PoolConnectionHolder as PoolConnectionHolder
from ._pool_proxy import PoolConnectionProxy as PoolConnectionProxy
