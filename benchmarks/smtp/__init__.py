"""SMTP: the rows of ``design/performance.md`` and the libraries that run them."""

from __future__ import annotations

from benchmarks._model import Adapter
from benchmarks.smtp._data import prepare, server_version
from benchmarks.smtp._workloads import workloads

__all__ = ["ADAPTER"]

ADAPTER = Adapter(
    name="smtp",
    service="smtp_sink",
    participants={
        "wirekit": "benchmarks.smtp._wirekit",
        "aiosmtplib": "benchmarks.smtp._aiosmtplib",
        "smtplib": "benchmarks.smtp._smtplib",
        "floor": "benchmarks.smtp._floor",
    },
    workloads=workloads,
    prepare=prepare,
    server_version=server_version,
)
