"""Runs every participant in turn within each round, and keeps every sample."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks._model import Unsupported
from benchmarks._result import Result, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from benchmarks._model import Adapter, Address, Participant, Workload

T = TypeVar("T")

__all__ = ["Settings", "rotated", "run_adapter"]

SAMPLE_TIMEOUT = 300.0  # seconds; a participant that hangs shall not hang the run


@dataclass(frozen=True)
class Settings:
    """How a run is done; ``on_step`` hears of the participant and the row before each sample."""

    rounds: int
    loop: str
    on_step: Callable[[str, str], None]


class _Lane:
    """One participant on its way through one workload."""

    def __init__(self, participant: Participant, workload: Workload[Any]) -> None:
        self.participant = participant
        self.series = [Series(participant.name, participant.role) for _ in workload.rows]
        self.open = True

    def drop(self, error: Exception) -> None:
        """Take the participant out of this workload and say why in place of its figures."""
        self.open = False
        for series in self.series:
            series.samples.clear()
            if isinstance(error, Unsupported):
                series.unsupported = str(error)
            else:
                series.error = f"{type(error).__name__}: {error}"


def rotated(items: Sequence[T], by: int) -> list[T]:
    """Return ``items`` with the first ``by`` of them moved to the end, as often round as needed."""
    cut = by % len(items) if items else 0
    return [*items[cut:], *items[:cut]]


async def run_adapter(
    adapter: Adapter,
    participants: Sequence[type[Participant]],
    workloads: Sequence[Workload[Any]],
    address: Address,
    settings: Settings,
) -> list[Result]:
    """Run ``workloads`` one after another; within a workload's round each participant has its turn.

    The order rotates from round to round, so that nobody always runs first. A participant that
    fails is out of that workload, with its error in the result.
    """
    results: list[Result] = []
    for workload in workloads:
        lanes = [_Lane(participant(), workload) for participant in participants]
        await _run_workload(workload, lanes, address, settings)
        results += [
            Result(adapter.name, settings.loop, row, [lane.series[place] for lane in lanes])
            for place, row in enumerate(workload.rows)
        ]
    return results


async def _run_workload(
    workload: Workload[Any], lanes: list[_Lane], address: Address, settings: Settings
) -> None:
    title = workload.rows[0].title
    async with AsyncExitStack() as stack:
        for lane in lanes:
            settings.on_step(lane.participant.name, title)
            if workload.connected:
                await _attempt(lane, _enter(lane.participant, address, stack))
            if lane.open:
                await _attempt(lane, workload.warm_up(lane.participant))
        for round_ in range(settings.rounds):
            for lane in rotated(lanes, round_):
                settings.on_step(lane.participant.name, title)
                if not lane.open:
                    continue
                _settle_heap()
                figures = await _attempt(lane, workload.sample(lane.participant, address))
                for series, figure in zip(lane.series, figures or (), strict=False):
                    series.samples.append(figure)


def _settle_heap() -> None:
    """Collect the garbage, and hide what is left from the collector.

    Else it would look through all that the harness and the other participants hold, again and
    again, in the time of whoever makes many objects.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _enter(participant: Participant, address: Address, stack: AsyncExitStack) -> None:
    stack.push_async_callback(participant.close)
    await participant.connect(address)


async def _attempt(lane: _Lane, step: Coroutine[Any, Any, T]) -> T | None:
    """Await ``step``; a library's error, whatever its kind, goes into the report, no further."""
    try:
        async with asyncio.timeout(SAMPLE_TIMEOUT):
            return await step
    except Exception as error:
        lane.drop(error)
        return None
