"""Who may use a connection, without one."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest

from wirekit.adapters.postgres._ownership import Ownership
from wirekit.adapters.postgres.exceptions import InterfaceError

if TYPE_CHECKING:
    from wirekit.adapters.postgres._ownership import Hold


class Owner:
    """A task of its own that takes the connection, and gives it back when told."""

    def __init__(self, ownership: Ownership, *, exclusive: bool = False) -> None:
        self.hold: Hold | None = None
        self._ownership = ownership
        self._exclusive = exclusive
        self.told = asyncio.Event()
        self._vanish = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        self.hold = await self._ownership.take(exclusive=self._exclusive)
        await self.told.wait()
        if not self._vanish:
            self._ownership.release(self.hold)

    async def leave(self) -> None:
        self.told.set()
        await self.task

    async def vanish(self) -> None:
        self._vanish = True
        await self.leave()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_is_everybodys_at_first() -> None:
    ownership = Ownership()
    assert ownership.is_free
    assert not ownership.held
    assert ownership.ours is None
    assert await ownership.wait() is False
    assert repr(ownership) == "<Ownership 0 holds, 0 wait>"


async def test_it_is_the_tasks_who_took_it_and_of_those_it_starts() -> None:
    ownership = Ownership()
    stranger = asyncio.create_task(ask(ownership))
    hold = await ownership.take()
    assert ownership.ours is hold
    assert await asyncio.create_task(ask(ownership)) is True
    assert await stranger is False
    ownership.release(hold)
    ownership.release(hold)
    assert ownership.is_free


async def ask(ownership: Ownership) -> bool:
    await asyncio.sleep(0)
    return ownership.is_free


async def test_in_the_order_in_which_they_came() -> None:
    ownership = Ownership()
    owners = [Owner(ownership) for _ in range(3)]
    await turns()
    assert [owner.hold is not None for owner in owners] == [True, False, False]
    passer = asyncio.create_task(ownership.wait())
    last = Owner(ownership)
    await owners[0].leave()
    await turns()
    assert [owner.hold is not None for owner in owners] == [True, True, False]
    assert not passer.done()
    await owners[1].leave()
    await owners[2].leave()
    await turns()
    assert await passer is True
    assert last.hold is not None
    await last.leave()
    assert ownership.is_free


async def test_one_who_is_cancelled_lets_the_next_go() -> None:
    ownership = Ownership()
    first, second, third = (Owner(ownership) for _ in range(3))
    await turns()
    first.told.set()
    await asyncio.sleep(0)
    assert first.task.done()
    second.task.cancel()  # it has been told that it may, but has not done so yet
    await asyncio.wait([second.task])
    await turns()
    assert third.hold is not None
    fourth, fifth = Owner(ownership), Owner(ownership)
    await turns()
    fourth.task.cancel()
    await third.leave()
    await turns()
    assert fourth.hold is None
    assert fifth.hold is not None
    await fifth.leave()
    assert repr(ownership) == "<Ownership 0 holds, 0 wait>"


async def test_inside_of_one_another() -> None:
    ownership = Ownership()
    outer = await ownership.take()
    child = Owner(ownership)
    await turns()
    assert not ownership.is_free  # the child has it, and not all that its parent has is its own
    sibling = Owner(ownership)
    ending = asyncio.create_task(ownership.wait(inside=outer))
    await turns()
    assert sibling.hold is None
    assert not ending.done()
    await child.leave()
    await turns()
    assert sibling.hold is not None
    await sibling.leave()
    await ending
    assert ownership.is_free
    ownership.release(outer)


async def test_what_nobody_gives_back_is_for_all() -> None:
    ownership = Ownership()
    owner = Owner(ownership)
    await turns()
    waits = asyncio.create_task(ownership.wait())
    await turns()
    await owner.vanish()
    assert await waits is True
    assert ownership.held
    assert ownership.is_free


async def test_a_child_that_ends_does_not_open_what_its_parent_has() -> None:
    ownership = Ownership()
    stranger = asyncio.create_task(ask_later(ownership))
    outer = await ownership.take()
    child = Owner(ownership)
    await turns()
    await child.vanish()
    assert ownership.is_free
    assert await stranger is False
    ownership.release(outer)


async def ask_later(ownership: Ownership) -> bool:
    await turns(20)
    return ownership.is_free


async def test_exclusive_means_its_own_code_too() -> None:
    ownership = Ownership()
    hold = await ownership.take(exclusive=True)
    assert ownership.exclusive
    assert not ownership.is_free
    with pytest.raises(InterfaceError, match="COPY"):
        await ownership.wait()
    with pytest.raises(InterfaceError, match="COPY"):
        ownership.refuse_self()
    ownership.release(hold)
    ownership.refuse_self()


async def test_clear_and_give_up() -> None:
    ownership = Ownership()
    owner = Owner(ownership)
    await turns()
    waits = asyncio.create_task(ownership.wait())
    await turns()
    ownership.clear(InterfaceError("taken"))
    with pytest.raises(InterfaceError, match="taken"):
        await waits
    assert not ownership.held
    await owner.leave()
    await ownership.take()
    await ownership.take()
    ownership.give_up()
    assert not ownership.held


async def test_the_end_is_for_all() -> None:
    ownership = Ownership()
    owner = Owner(ownership)
    await turns()
    waits = [asyncio.create_task(ownership.wait(takes=True)) for _ in range(3)]
    await turns()
    ownership.end()
    assert await asyncio.gather(*waits) == [True, True, True]
    assert ownership.is_free
    await owner.leave()


async def test_a_long_lived_task_keeps_nothing_of_what_it_had() -> None:
    ownership = Ownership()
    for _ in range(100):
        hold = await ownership.take()
        waits = asyncio.create_task(ownership.wait())
        await asyncio.sleep(0)
        ownership.release(hold)
        await waits
    # The context is not any larger for it.
    values: list[Any] = [
        value for value in contextvars.copy_context().values() if type(value) is frozenset
    ]
    assert [len(value) for value in values if len(value) > 1] == []
