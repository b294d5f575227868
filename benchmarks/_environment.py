"""The machine and the interpreter, for the report."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks._result import Environment

__all__ = ["environment"]


def environment() -> Environment:
    """Describe where this process runs; what the system does not tell is 0 or empty."""
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        kernel=f"{platform.system()} {platform.release()}",
        cpu=_proc_field("/proc/cpuinfo", "model name") or platform.processor(),
        cores=os.cpu_count() or 0,
        memory_gibibytes=_memory_gibibytes(),
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    )


def _memory_gibibytes() -> float:
    total = _proc_field("/proc/meminfo", "MemTotal")  # such as "24576000 kB"
    return round(int(total.split()[0]) / (1 << 20), 1) if total else 0.0


def _proc_field(file: str, name: str) -> str:
    """Return the first value of ``name`` in a file of ``name : value`` lines; empty without it."""
    path = Path(file)
    if not path.exists():
        return ""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
