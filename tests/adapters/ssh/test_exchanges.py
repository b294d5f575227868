from __future__ import annotations

from typing import Any, cast

from tests.adapters.ssh._clock import Clock
from tests.protocols.ssh._pair import inside
from wirekit.adapters.ssh import _exchanges
from wirekit.adapters.ssh._exchanges import Exchanges

MAX_IDLE: int = inside(_exchanges)._MAX_IDLE


class Watched:
    """Key exchanges, with what was called."""

    def __init__(self, interval: float | None = 3600.0) -> None:
        self.calls: list[str] = []
        self.clock = Clock()
        self.exchanges = Exchanges(
            cast("Any", self.clock),
            30.0,
            interval,
            on_late=lambda: self.calls.append("late"),
            on_due=lambda: self.calls.append("due"),
        )


async def test_one_that_is_late() -> None:
    watched = Watched()
    watched.exchanges.going_on()
    watched.clock.pass_on(20)
    watched.exchanges.going_on()
    assert watched.calls == []
    watched.clock.pass_on(20)
    assert watched.calls == ["late"]


async def test_one_that_ends() -> None:
    watched = Watched()
    watched.exchanges.going_on()
    assert watched.exchanges.ended()
    assert not watched.exchanges.ended()
    assert watched.exchanges.count == 1
    watched.clock.pass_on(40)
    assert watched.calls == []


async def test_the_next_is_due() -> None:
    watched = Watched()
    for _ in range(2):
        watched.exchanges.going_on()
        watched.clock.pass_on(10)
        watched.exchanges.ended()
    watched.clock.pass_on(3595)
    assert watched.calls == []
    watched.clock.pass_on(10)
    assert watched.calls == ["due"]


async def test_the_next_is_never_due() -> None:
    watched = Watched(None)
    watched.exchanges.going_on()
    watched.exchanges.ended()
    watched.clock.pass_on(10**9)
    assert watched.calls == []


async def test_nobody_is_called_behind_the_end() -> None:
    watched = Watched()
    watched.exchanges.going_on()
    watched.exchanges.ended()
    watched.exchanges.going_on()
    watched.exchanges.close()
    watched.clock.pass_on(10**9)
    assert watched.calls == []


def begun_by_the_peer(watched: Watched) -> bool:
    watched.exchanges.going_on()
    is_too_many = watched.exchanges.peer_takes_part()
    watched.exchanges.ended()
    return is_too_many


async def test_a_peer_begins_too_many() -> None:
    watched = Watched()
    for _ in range(MAX_IDLE + 2):
        assert not begun_by_the_peer(watched)
    assert begun_by_the_peer(watched)


async def test_time_or_data_between_them() -> None:
    watched = Watched()
    for number in range(5 * MAX_IDLE):
        assert not begun_by_the_peer(watched)
        if number % 2:
            watched.clock.pass_on(61)
        else:
            watched.exchanges.has_data()


async def test_ours_do_not_count() -> None:
    watched = Watched()
    for _ in range(5 * MAX_IDLE):
        watched.exchanges.is_ours = True
        assert not begun_by_the_peer(watched)
