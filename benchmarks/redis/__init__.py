"""Redis: the rows of ``design/performance.md`` and the libraries that run them."""

from __future__ import annotations

from benchmarks._model import Adapter
from benchmarks.redis._data import prepare, server_version
from benchmarks.redis._workloads import workloads

__all__ = ["ADAPTER"]

ADAPTER = Adapter(
    name="redis",
    service="redis",
    participants={
        "wirekit": "benchmarks.redis._wirekit",
        "redis-py": "benchmarks.redis._redis_py",
        "coredis": "benchmarks.redis._coredis",
        "valkey-glide": "benchmarks.redis._valkey_glide",
        "floor": "benchmarks.redis._floor",
    },
    workloads=workloads,
    prepare=prepare,
    server_version=server_version,
)
