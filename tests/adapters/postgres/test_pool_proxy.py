"""What stands for a connection that is lent out."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from wirekit.adapters.postgres import InterfaceError, Postgres
from wirekit.adapters.postgres._pool_core import PoolCore, PoolOptions
from wirekit.adapters.postgres._pool_holder import PoolConnectionHolder
from wirekit.adapters.postgres._pool_proxy import PoolConnectionProxy


class Mine(Postgres):
    """A subclass with something of its own."""

    answer = 42

    async def twice(self, number: int) -> int:
        return 2 * number

    @property
    def peer(self) -> str:
        return "nobody"


async def no_connection(*_: object) -> Any:
    raise AssertionError


@pytest.fixture
async def proxy() -> PoolConnectionProxy:
    core = PoolCore(PoolOptions(1, 1, 1, 1, 0.0, None, None), no_connection)
    connection = Mine(user="me", connector=no_connection, address="127.0.0.1:5432")
    return PoolConnectionProxy(PoolConnectionHolder(core), connection)


async def test_it_passes_for_the_connection(proxy: PoolConnectionProxy) -> None:
    given: Any = proxy
    assert isinstance(given, Postgres)
    assert isinstance(given, Mine)
    assert isinstance(given, PoolConnectionProxy)
    assert not isinstance(given, int)
    assert given.answer == 42
    assert given.peer == "nobody"
    assert await given.twice(4) == 8
    assert given.is_closed()
    with pytest.raises(AttributeError):
        given.nothing  # noqa: B018
    with pytest.raises(AttributeError):
        given.__class__ = Postgres


def public_methods() -> list[str]:
    methods = inspect.getmembers(Postgres, inspect.isfunction)
    return [name for name, _ in methods if not name.startswith("_")]


@pytest.mark.parametrize("name", public_methods())
async def test_every_method_ends_with_the_loan(proxy: PoolConnectionProxy, name: str) -> None:
    assert inspect.signature(getattr(PoolConnectionProxy, name)) == inspect.signature(
        getattr(Postgres, name)
    )
    before = getattr(proxy, name)
    assert proxy.detach() is not None
    assert proxy.detach() is None
    text = rf"cannot call Connection\.{name}\(\): connection has been released back to the pool"
    for method in (before, getattr(proxy, name)):
        with pytest.raises(InterfaceError, match=text):
            method()


async def test_so_do_those_of_a_subclass(proxy: PoolConnectionProxy) -> None:
    given: Any = proxy
    twice = given.twice
    proxy.detach()
    with pytest.raises(InterfaceError, match="connection has been released back to the pool"):
        twice(1)
    for name in ("twice", "answer"):
        with pytest.raises(InterfaceError, match="connection has been released back to the pool"):
            getattr(given, name)
    assert isinstance(given, Mine)
    assert not hasattr(given, "__len__")


async def test_what_it_looks_like(proxy: PoolConnectionProxy) -> None:
    assert repr(proxy) == f"<PoolConnectionProxy <Mine not open> {id(proxy):#x}>"
    proxy.detach()
    assert repr(proxy) == f"<PoolConnectionProxy [released] {id(proxy):#x}>"
