"""The rows: which packets, how much through the tunnel, and the goals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benchmarks._model import Goal, Row, Scale, Timed, Workload
from benchmarks.ssh._client import SSHParticipant
from benchmarks.ssh._data import ENDING, SUITES
from benchmarks.ssh._framing import Framed
from benchmarks.ssh._tunnel import download, upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


__all__ = ["workloads"]

SIZES = (1024, 32 * 1024)
MEBIBYTE = 1 << 20

KEY, VALUE = "key", b"a value of Redis"
ONE_BY_ONE = 100
TASKS, EACH = 100, 20


def workloads(scale: Scale) -> Sequence[Workload[Any]]:
    """Return the workloads at ``scale``, in the order in which they are run and shown."""
    return [
        *[Framed(scale, suite, size) for size in SIZES for suite in SUITES],
        _streamed(scale, "download", "down", download),
        _streamed(scale, "upload", "up", upload),
        Replied(
            _reply_row("redis-sequential", "one GET after another", "GET/s"),
            scale,
            operations=ONE_BY_ONE,
            run=_redis_sequential,
            check=lambda values: values == [VALUE] * ONE_BY_ONE,
        ),
        Replied(
            _reply_row("redis-tasks", f"{TASKS} tasks with a GET each at a time", "GET/s"),
            scale,
            operations=TASKS * EACH,
            run=_redis_tasks,
            check=lambda values: values == [[VALUE] * EACH] * TASKS,
        ),
        Replied(
            _reply_row("postgres-sequential", 'one fetchval("select 1") after another', "query/s"),
            scale,
            operations=ONE_BY_ONE,
            run=_postgres_sequential,
            check=lambda values: values == [1] * ONE_BY_ONE,
        ),
    ]


def _streamed(
    scale: Scale,
    key: str,
    way: str,
    work: Callable[[SSHParticipant, int], Awaitable[tuple[int, bytes]]],
) -> Workload[SSHParticipant]:
    mebibytes = scale.tunnel_mebibytes
    size = mebibytes * MEBIBYTE
    return Timed(
        Row(
            key=key,
            title=f"{mebibytes} MiB {way} through the tunnel",
            unit="MiB/s",
            goal=Goal(1, "asyncssh"),
        ),
        scale,
        operations=mebibytes,
        run=lambda client: work(client, size),
        check=lambda found: found == (size, ENDING),
    )


def _reply_row(key: str, what: str, unit: str) -> Row:
    return Row(key=key, title=f"{what}, through the tunnel", unit=unit)


class Replied(Timed[SSHParticipant]):
    """Requests and replies; the value that they ask for is put there before."""

    async def warm_up(self, participant: SSHParticipant) -> None:
        await (await participant.redis()).set(KEY, VALUE)
        await super().warm_up(participant)


async def _redis_sequential(client: SSHParticipant) -> list[Any]:
    get = (await client.redis()).get
    return [await get(KEY) for _ in range(ONE_BY_ONE)]


async def _redis_tasks(client: SSHParticipant) -> list[list[Any]]:
    get = (await client.redis()).get

    async def one_task() -> list[Any]:
        return [await get(KEY) for _ in range(EACH)]

    return await asyncio.gather(*[one_task() for _ in range(TASKS)])


async def _postgres_sequential(client: SSHParticipant) -> list[Any]:
    fetchval = (await client.postgres()).fetchval
    return [await fetchval("select 1") for _ in range(ONE_BY_ONE)]
