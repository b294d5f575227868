"""The rows: what is sent, how much of it, what must come back, and the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks._model import Goal, Row, Scale, Timed, Workload
from benchmarks._text import grouped
from benchmarks.redis._big_value import BigValue
from benchmarks.redis._data import KEYS, LIST_KEY, items, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.redis._client import RedisParticipant

__all__ = ["workloads"]

GROWTH = "GET by get(), 1 to 1 000 tasks on one client"


def workloads(scale: Scale) -> Sequence[Workload[Any]]:
    """Return the workloads at ``scale``, in the order in which they are run and shown."""
    return [
        _sequential(scale),
        _tasks(scale, 100, goal=Goal(5, "valkey-glide")),
        _tasks_by_execute(scale, 100),
        _pipeline(scale),
        _lrange(scale),
        *[_tasks(scale, count) for count in (1, 10, 1000)],
        BigValue(scale),
    ]


def _sequential(scale: Scale) -> Workload[RedisParticipant]:
    key, count = KEYS[0], 100
    expected = [value_of(key)] * count
    return Timed(
        Row(
            key="sequential",
            title="one GET after another, 16-byte value",
            unit="GET/s",
            goal=Goal(1.2, "redis-py"),
        ),
        scale,
        operations=count,
        run=lambda client: client.sequential(key, count),
        check=lambda replies: replies == expected,
    )


def _tasks(scale: Scale, count: int, goal: Goal | None = None) -> Workload[RedisParticipant]:
    keys, each = KEYS[:count], _each(scale, count)
    expected = [[value_of(key)] * each for key in keys]
    return Timed(
        Row(
            key=f"tasks-{count}",
            title=f"{_tasks_of_one_client(count)}, GET by get(), 16-byte values",
            unit="GET/s",
            goal=goal,
            growth=(GROWTH, count),
        ),
        scale,
        operations=count * each,
        run=lambda client: client.tasks(keys, each),
        check=lambda replies: replies == expected,
    )


def _tasks_by_execute(scale: Scale, count: int) -> Workload[RedisParticipant]:
    keys, each = KEYS[:count], _each(scale, count)
    expected = [[value_of(key)] * each for key in keys]
    return Timed(
        Row(
            key=f"tasks-{count}-execute",
            title=f"{_tasks_of_one_client(count)}, GET by execute(), 16-byte values",
            unit="GET/s",
            goal=Goal(6, "valkey-glide"),
        ),
        scale,
        operations=count * each,
        run=lambda client: client.tasks_by_execute(keys, each),
        check=lambda replies: replies == expected,
    )


def _pipeline(scale: Scale) -> Workload[RedisParticipant]:
    expected = [value_of(key) for key in KEYS]
    return Timed(
        Row(
            key="pipeline",
            title=f"pipeline of {grouped(len(KEYS))} GET, 16-byte values",
            unit="GET/s",
            goal=Goal(5, "redis-py"),
        ),
        scale,
        operations=len(KEYS),
        run=lambda client: client.pipeline(KEYS),
        check=lambda replies: list(replies) == expected,
    )


def _lrange(scale: Scale) -> Workload[RedisParticipant]:
    expected = items(scale.list_items)
    return Timed(
        Row(
            key="lrange",
            title=f"LRANGE of {grouped(scale.list_items)} items of 16 bytes",
            unit="items/s",
            goal=Goal(1, "redis-py"),
        ),
        scale,
        operations=scale.list_items,
        run=lambda client: client.lrange(LIST_KEY),
        check=lambda replies: list(replies) == expected,
    )


def _each(scale: Scale, tasks: int) -> int:
    """How many GET each task sends: enough that starting the tasks does not count."""
    return max(scale.calls // 500, min(scale.calls // 5, scale.calls // tasks))


def _tasks_of_one_client(count: int) -> str:
    return f"{grouped(count)} {'task' if count == 1 else 'tasks'} on one client"
