"""The table of the types that every server has; tests/interop compares it with servers."""

from __future__ import annotations

from wirekit.protocols.postgres import TypeInfo
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES


def test_some_types() -> None:
    assert BUILTIN_TYPES[23] == TypeInfo(23, "int4")
    assert BUILTIN_TYPES[1007] == TypeInfo(1007, "_int4", element=23)
    assert BUILTIN_TYPES[1020] == TypeInfo(1020, "_box", element=603, delimiter=";")
    assert BUILTIN_TYPES[1033].has_binary is False
    assert BUILTIN_TYPES[3904] == TypeInfo(3904, "int4range", kind="r", subtype=23)
    assert BUILTIN_TYPES[4451] == TypeInfo(4451, "int4multirange", kind="m", subtype=3904)
    assert BUILTIN_TYPES[2287] == TypeInfo(2287, "_record", kind="p", element=2249)


def test_the_table_agrees_with_itself() -> None:
    for oid, info in BUILTIN_TYPES.items():
        assert info.oid == oid
        assert info.schema == "pg_catalog"
        assert all(part in BUILTIN_TYPES for part in info.parts)
        if info.element:
            assert info.name == f"_{BUILTIN_TYPES[info.element].name}"
    assert len({info.name for info in BUILTIN_TYPES.values()}) == len(BUILTIN_TYPES)


def test_parts() -> None:
    assert TypeInfo(1, "x").parts == ()
    assert TypeInfo(1, "x", element=5).parts == (5,)
    assert TypeInfo(1, "x", kind="d", base=6).parts == (6,)
    assert TypeInfo(1, "x", kind="c", fields=(("a", 7), ("b", 7))).parts == (7, 7)
