"""The tables of codecs, and what is behind their text and tuple forms."""

from __future__ import annotations

import uuid
from decimal import Decimal
from struct import pack
from typing import Any

import pytest

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES
from wirekit.protocols.postgres._type_codecs import (
    EXTENSIONS,
    PARAMETERS,
    RESULTS,
    TEXT_FORMS,
    TUPLE_FORMS,
    is_own_text,
)


def test_every_type_has_a_codec() -> None:
    names = {info.name for info in BUILTIN_TYPES.values() if info.kind == "b" and not info.element}
    assert names <= set(RESULTS)
    for tables in (RESULTS, PARAMETERS, EXTENSIONS, TEXT_FORMS, TUPLE_FORMS):
        assert all(codec.name == name for name, codec in tables.items())


def test_formats() -> None:
    assert RESULTS["tsvector"].format == 1
    assert PARAMETERS["tsvector"].format == 0
    with pytest.raises(TypeError, match="no encoder"):
        RESULTS["tsvector"].encode("a")
    assert all(codec.format == 0 for codec in TEXT_FORMS.values())
    assert all(codec.format == 1 for codec in TUPLE_FORMS.values())


def test_what_is_its_own_text() -> None:
    own = {name for name, codec in RESULTS.items() if is_own_text(codec)}
    assert own == {
        *("text", "varchar", "bpchar", "name", "xml", "json", "cstring", "unknown", "jsonb"),
        "jsonpath",
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int4", "-5", -5),
        ("oid", "4294967295", 4294967295),
        ("float8", "1e+300", 1e300),
        ("float8", "Infinity", float("inf")),
        ("numeric", "1.50", Decimal("1.50")),
        ("numeric", "NaN", None),
        ("uuid", "00000000-0000-0000-0000-000000000005", uuid.UUID(int=5)),
        ("bool", "t", True),
        ("bool", "f", False),
        ("bytea", "\\x00ff", b"\x00\xff"),
        ("bytea", "a\\\\b\\000\\377", b"a\\b\x00\xff"),
        ("jsonb", "{}", "{}"),
    ],
)
def test_text_forms(name: str, text: str, value: Any) -> None:
    decoded = TEXT_FORMS[name].decode(text.encode())
    if value is None:
        assert decoded.is_nan()
    else:
        assert decoded == value
        assert type(decoded) is type(value)
        if name != "bool":
            assert TEXT_FORMS[name].decode(TEXT_FORMS[name].encode(value)) == value
        else:
            assert TEXT_FORMS[name].encode(value) == str(value).encode()


@pytest.mark.parametrize("name", ["int4", "float8", "numeric", "uuid", "bool", "bytea"])
def test_what_has_no_such_text(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {name} "):
        TEXT_FORMS[name].decode(b"\\xsecret")
    with pytest.raises(RemoteProtocolError, match=f"type {name} "):
        TEXT_FORMS[name].decode(b"\\x\xff")


def test_values_of_text_forms_are_checked() -> None:
    with pytest.raises(OverflowError):
        TEXT_FORMS["int4"].encode(2**31)
    with pytest.raises(TypeError):
        TEXT_FORMS["bool"].encode(1)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("date", (-(2**31),), pack("!i", -(2**31))),
        ("time", (5,), pack("!q", 5)),
        ("timetz", (5, 3600), pack("!qi", 5, 3600)),
        ("timestamp", (2**63 - 1,), pack("!q", 2**63 - 1)),
        ("timestamptz", (0,), pack("!q", 0)),
        ("interval", (1, 2, 3), pack("!qii", 3, 2, 1)),
    ],
)
def test_tuple_forms(name: str, value: tuple[int, ...], field: bytes) -> None:
    codec = TUPLE_FORMS[name]
    assert codec.encode(value) == codec.encode(list(value)) == field
    assert codec.decode(field) == value
    with pytest.raises(RemoteProtocolError, match=f"type {name} in {len(field) + 1} bytes"):
        codec.decode(field + b"\0")
    with pytest.raises(ValueError, match=f"{name} tuple encoder"):
        codec.encode((*value, 1))
    with pytest.raises(TypeError, match=f"{name} tuple encoder"):
        codec.encode(5)
    for wrong in (2**63, "x", None, 1.5):
        with pytest.raises(OverflowError, match=f"{name} tuple encoder"):
            codec.encode((wrong,) * len(value))
