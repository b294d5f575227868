"""Work in a fresh process for each library, so that its memory is its own.

The parent awaits `figures_of` a module, the module's ``main`` calls `be_process`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._loops import loop_factory, running_loop

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

__all__ = ["MEBIBYTE", "be_process", "figures_of", "peak_mebibytes", "resident_mebibytes"]

MEBIBYTE = 1 << 20

STATUS = Path("/proc/self/status")


async def figures_of(module: str, *arguments: str) -> tuple[float, ...]:
    """Run ``python -m module arguments… loop`` and return the figures that it prints.

    Raises:
        RuntimeError: the process failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments, running_loop()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        output, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = complaint.decode(errors="replace").splitlines() or [f"{process.returncode}"]
        raise RuntimeError(f"the process failed: {lines[-1]}")
    return tuple(json.loads(output))


def be_process(work: Coroutine[Any, Any, Sequence[float]], loop: str) -> None:
    """Do ``work`` on a loop of the named kind and print its figures for `figures_of`."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        figures = runner.run(work)
    sys.stdout.write(json.dumps(figures))


def peak_mebibytes() -> float:
    """Return the highest resident size of this process.

    Linux counts into ``ru_maxrss`` what the parent had before ``exec``; VmHWM has not this flaw.
    """
    if STATUS.exists():
        return _status_mebibytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MEBIBYTE if sys.platform == "darwin" else 1024)


def resident_mebibytes() -> float:
    """Return the resident size of this process now; where that is not told, its peak so far."""
    return _status_mebibytes("VmRSS") if STATUS.exists() else peak_mebibytes()


def _status_mebibytes(field: str) -> float:
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(fields[field].split()[0]) / 1024
