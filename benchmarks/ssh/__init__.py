"""SSH: the rows of ``design/performance.md`` and the libraries that run them."""

from __future__ import annotations

from benchmarks._model import Adapter
from benchmarks.ssh._data import prepare, server_version
from benchmarks.ssh._workloads import workloads

__all__ = ["ADAPTER"]

ADAPTER = Adapter(
    name="ssh",
    service="sshd",
    participants={
        "wirekit": "benchmarks.ssh._wirekit",
        "asyncssh": "benchmarks.ssh._asyncssh",
        "paramiko": "benchmarks.ssh._paramiko",
        "openssh": "benchmarks.ssh._openssh",
        "floor": "benchmarks.ssh._floor",
    },
    workloads=workloads,
    prepare=prepare,
    server_version=server_version,
)
