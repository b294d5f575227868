from __future__ import annotations

from typing import Any, ClassVar

import pytest

from benchmarks._model import (
    Adapter,
    Address,
    Participant,
    Row,
    Scale,
    Timed,
    Unsupported,
    Workload,
    WrongReply,
)
from benchmarks._runner import Settings, rotated, run_adapter

NOWHERE = ("127.0.0.1", 9)
ADAPTER = Adapter("made-up", "none", {}, lambda _: [], lambda address, scale: None, lambda _: "")


class Counting(Participant):
    """Answers with the number of times that anybody was asked."""

    asked: ClassVar[list[str]] = []
    open: ClassVar[set[str]] = set()

    async def connect(self, address: Address) -> None:
        self.open.add(self.name)

    async def close(self) -> None:
        self.open.discard(self.name)

    async def work(self) -> float:
        self.asked.append(self.name)
        return len(self.asked)


class First(Counting):
    name = "first"


class Second(Counting):
    name = "second"


class Unable(Counting):
    name = "unable"

    async def work(self) -> float:
        raise Unsupported("it has no such call")


class Fragile(Counting):
    name = "fragile"

    async def work(self) -> float:
        if len(self.asked) > 3:
            raise OSError("gone")
        return await super().work()


class Unreachable(Counting):
    name = "unreachable"

    async def connect(self, address: Address) -> None:
        raise OSError("no way there")


class Work(Workload[Any]):
    rows = (Row("work", "work", "1/s"), Row("more", "more work", "1/s"))

    async def sample(self, participant: Any, address: Address) -> tuple[float, ...]:
        assert participant.open
        figure = await participant.work()
        return figure, figure * 10


@pytest.fixture(autouse=True)
def nobody_was_asked() -> None:
    Counting.asked.clear()
    Counting.open.clear()


def settings(rounds: int, steps: list[tuple[str, str]] | None = None) -> Settings:
    heard: list[tuple[str, str]] = [] if steps is None else steps
    return Settings(rounds, "asyncio", lambda participant, row: heard.append((participant, row)))


def test_rotated() -> None:
    assert [rotated([1, 2, 3], by) for by in range(4)] == [
        [1, 2, 3],
        [2, 3, 1],
        [3, 1, 2],
        [1, 2, 3],
    ]
    assert rotated([], 1) == []


async def test_every_participant_has_its_turn_in_a_round_and_the_order_rotates() -> None:
    steps: list[tuple[str, str]] = []
    results = await run_adapter(ADAPTER, [First, Second], [Work()], NOWHERE, settings(3, steps))
    assert Counting.asked == ["first", "second", "second", "first", "first", "second"]
    assert [result.row.key for result in results] == ["work", "more"]
    assert [series.samples for series in results[0].series] == [[1, 4, 5], [2, 3, 6]]
    assert [series.samples for series in results[1].series] == [[10, 40, 50], [20, 30, 60]]
    assert len(steps) == 2 * (1 + 3)
    assert steps[0] == ("first", "work")
    assert Counting.open == set()


async def test_what_a_participant_cannot_do_is_no_failure_and_hinders_nobody() -> None:
    results = await run_adapter(ADAPTER, [Unable, First], [Work()], NOWHERE, settings(2))
    unable, first = results[0].series
    assert (unable.samples, unable.unsupported) == ([], "it has no such call")
    assert unable.error == ""
    assert first.samples == [1, 2]


@pytest.mark.parametrize(
    ("participant", "error"),
    [(Fragile, "OSError: gone"), (Unreachable, "OSError: no way there")],
)
async def test_a_failure_takes_the_place_of_all_samples_in_that_workload(
    participant: type[Participant], error: str
) -> None:
    results = await run_adapter(ADAPTER, [participant, First], [Work()], NOWHERE, settings(5))
    for result in results:
        failed, first = result.series
        assert (failed.samples, failed.error, failed.unsupported) == ([], error, "")
        assert len(first.samples) == 5


def timed(check: bool) -> Timed[Counting]:
    return Timed(
        Row("timed", "timed", "1/s"),
        Scale(seconds=0.001),
        operations=10,
        run=lambda participant: participant.work(),
        check=lambda reply: check and reply == len(Counting.asked),
    )


async def test_timed_work_fills_the_time_asked_for() -> None:
    workload = timed(check=True)
    await workload.warm_up(First())
    before = len(Counting.asked)
    (rate,) = await workload.sample(First(), NOWHERE)
    # So quick a piece of work is done many times, or the clock would measure itself.
    assert len(Counting.asked) - before > 10
    assert rate > 0


async def test_timed_work_checks_the_replies() -> None:
    with pytest.raises(WrongReply, match="timed"):
        await timed(check=False).warm_up(First())
