"""Postgres: the rows of ``design/performance.md`` and the libraries that run them."""

from __future__ import annotations

from benchmarks._model import Adapter
from benchmarks.postgres._data import prepare, server_version
from benchmarks.postgres._workloads import workloads

__all__ = ["ADAPTER"]

ADAPTER = Adapter(
    name="postgres",
    service="postgres",
    participants={
        "wirekit": "benchmarks.postgres._wirekit",
        "asyncpg": "benchmarks.postgres._asyncpg",
        "psycopg": "benchmarks.postgres._psycopg",
        "psqlpy": "benchmarks.postgres._psqlpy",
        "pg8000": "benchmarks.postgres._pg8000",
        "loop floor": "benchmarks.postgres._loop_floor",
        "floor": "benchmarks.postgres._floor",
    },
    workloads=workloads,
    prepare=prepare,
    server_version=server_version,
)
