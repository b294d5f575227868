"""The names of ``asyncpg.types``."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from wirekit.adapters.postgres import types

oracle: Any = importlib.import_module("asyncpg.types")


def test_every_name_of_asyncpg_is_here() -> None:
    names: list[str] = vars(types)["__all__"]
    assert set(names) == {*oracle.__all__, "SparseVector"}
    assert all(hasattr(types, name) for name in names)


@pytest.mark.parametrize("name", ["Attribute", "ServerVersion", "Type"])
def test_descriptions_are_the_same_named_tuples(name: str) -> None:
    ours, theirs = getattr(types, name), getattr(oracle, name)
    assert ours._fields == theirs._fields
    values = range(len(ours._fields))
    assert ours(*values) == theirs(*values)
    assert repr(ours(*values)) == repr(theirs(*values))


@pytest.mark.parametrize("name", oracle.__all__)
def test_public_names_of_the_values_are_here(name: str) -> None:
    public = {member for member in dir(getattr(oracle, name)) if not member.startswith("_")}
    assert public <= set(dir(getattr(types, name)))
