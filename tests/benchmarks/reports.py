"""Reports made up for the tests, of the shape that a run gives."""

from __future__ import annotations

from benchmarks._model import Goal, Role, Row
from benchmarks._result import Entrant, Environment, Report, Result, Series, ServerInfo

__all__ = ["made_up_report", "result"]


def result(
    row: Row | None = None,
    *,
    ours: list[float] | None = None,
    peer: list[float] | None = None,
    slow_peer: list[float] | None = None,
    floor: list[float] | None = None,
    loop: str = "asyncio",
) -> Result:
    row = row or Row("get", "one GET after another", "GET/s", goal=Goal(2, "peer"))
    samples: list[tuple[str, Role, list[float] | None]] = [
        ("wirekit", "ours", ours),
        ("peer", "peer", peer),
        ("slow", "peer", slow_peer),
        ("floor", "floor", floor),
    ]
    series = [
        Series(name, role, list(values)) for name, role, values in samples if values is not None
    ]
    return Result("redis", loop, row, series)


def made_up_report() -> Report:
    rows = [
        Row("get", "one GET after another", "GET/s", goal=Goal(2, "peer")),
        Row("tasks-1", "1 task", "GET/s", growth=("growth", 1)),
        Row("tasks-100", "100 tasks", "GET/s", goal=Goal(5, "peer"), growth=("growth", 100)),
        Row("peak", "peak memory", "MiB", lower_is_better=True),
    ]
    results = [
        result(
            row,
            ours=[30e3, 33e3, 31e3],
            peer=[10e3, 11e3, 10e3],
            slow_peer=[5e3, 5e3, 6e3],
            floor=[1e6, 1.1e6, 1.2e6],
        )
        for row in rows
    ]
    unable, broken = Series("unable", "peer"), Series("broken", "peer")
    unable.unsupported = "it has no such call"
    broken.error = "OSError: <gone> & away"
    results[0].series[3:3] = [unable, broken]
    return Report(
        date="2026-11-23T10:00:00+00:00",
        rounds=3,
        quick=False,
        environment=Environment("CPython 3.11.7", "Linux 6.1", "Some <CPU>", 2, 8.0, 0.5),
        servers=[ServerInfo("redis", "Redis 7.0.15", "local process")],
        entrants=[
            Entrant("redis", "wirekit", "ours", "0.1.0", ""),
            Entrant("redis", "peer", "peer", "1.0", "set up so"),
        ],
        absent={"missing": "No module named 'missing'"},
        loops={"asyncio": "3.11.7"},
        results=results,
    )
