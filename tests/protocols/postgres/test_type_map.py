"""Which codec each type has."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols.postgres import Record, TypeCodec, TypeInfo, TypeMap
from wirekit.protocols.postgres._builtin_types import BUILTIN_TYPES
from wirekit.protocols.postgres._values import Range

MOOD = TypeInfo(90001, "mood", "public", "e")
MOODS = TypeInfo(90002, "_mood", "public", element=90001)
SMALL = TypeInfo(90003, "small", "public", "d", base=23)
SMALLER = TypeInfo(90004, "smaller", "public", "d", base=90003)
PAIR = TypeInfo(90005, "pair", "public", "c", fields=(("a", 23), ("b", 25)))
PAIRS = TypeInfo(90006, "_pair", "public", element=90005)
NEST = TypeInfo(90007, "nest", "public", "c", fields=(("x", 90006), ("y", 90001)))
FLOATS = TypeInfo(90008, "floats", "public", "r", subtype=701)
MANY = TypeInfo(90009, "many_floats", "public", "m", subtype=90008)
ODD = TypeInfo(90010, "odd", "public", has_binary=False)
ODDS = TypeInfo(90011, "_odd", "public", element=90010, delimiter=";")
SMALLS = TypeInfo(90012, "_small", "public", element=90003)
ALL = [MOOD, MOODS, SMALL, SMALLER, PAIR, PAIRS, NEST, FLOATS, MANY, ODD, ODDS, SMALLS]
INT4, TEXT, JSON, NUMERIC = (BUILTIN_TYPES[oid] for oid in (23, 25, 114, 1700))
INTERVAL, JSONB = BUILTIN_TYPES[1186], BUILTIN_TYPES[3802]


@pytest.fixture
def types() -> TypeMap:
    """A map of the built-in types and those above."""
    type_map = TypeMap()
    type_map.add(ALL)
    return type_map


def reader(types: TypeMap, oid: int) -> TypeCodec:
    codec = types.codec(oid)
    assert codec is not None
    return codec


def writer(types: TypeMap, oid: int) -> TypeCodec:
    codec = types.parameter_codec(oid)
    assert codec is not None
    return codec


def there_and_back(types: TypeMap, oid: int, value: Any) -> Any:
    """Return what is read of what is written."""
    return reader(types, oid).decode(writer(types, oid).encode(value))


# Built-in types ------------------------------------------------------------------------------


@pytest.mark.parametrize("info", BUILTIN_TYPES.values(), ids=lambda info: info.name)
def test_every_builtin_type_has_a_codec(info: TypeInfo) -> None:
    types = TypeMap()
    codec = reader(types, info.oid)
    assert codec is types.codec(info.oid)
    name = f"{info.name[1:]}[]" if info.element else info.name
    assert codec.name == name
    assert writer(types, info.oid).name == name
    assert types.missing([info.oid]) == set()
    assert types.info(info.oid) == info


def test_types_that_go_in_another_format_than_they_come() -> None:
    types = TypeMap()
    assert (reader(types, 3614).format, writer(types, 3614).format) == (1, 0)
    assert (reader(types, 3643).format, writer(types, 3643).format) == (1, 0)
    assert writer(types, 3643).encode(["'a':1"]) == b"{\"'a':1\"}"


def test_pseudo_types_have_no_values() -> None:
    types = TypeMap()
    with pytest.raises(TypeError, match="no decoder for values of type trigger"):
        reader(types, 2279).decode(b"")
    with pytest.raises(TypeError, match="no encoder for values of type trigger"):
        writer(types, 2279).encode("")


# Introspected types --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "value"),
    [
        (MOOD, "ok"),
        (MOODS, ["ok", None]),
        (SMALL, 5),
        (SMALLER, 5),
        (SMALLS, [5]),
        (PAIR, (1, "x")),
        (PAIRS, [(1, "x"), None]),
        (NEST, ([(1, "x")], "ok")),
        (FLOATS, Range(1.5, 2.5)),
        (MANY, [Range(1.5, None)]),
        (ODD, "anything"),
        (ODDS, ["a;b", None]),
    ],
    ids=lambda part: part.name if isinstance(part, TypeInfo) else "",
)
def test_introspected_types(types: TypeMap, info: TypeInfo, value: Any) -> None:
    decoded = there_and_back(types, info.oid, value)
    assert decoded == value
    assert isinstance(decoded, Record) == (info.kind == "c")


def test_the_element_type_of_an_array_of_a_domain_is_the_domain(types: TypeMap) -> None:
    assert writer(types, SMALLS.oid).encode([5])[8:12] == (90003).to_bytes(4, "big")


def test_what_is_missing() -> None:
    types = TypeMap()
    assert types.missing([23, 1007, NEST.oid]) == {NEST.oid}
    assert types.codec(NEST.oid) is None
    types.add([NEST])
    assert types.missing([NEST.oid]) == {PAIRS.oid, MOOD.oid}
    assert types.codec(NEST.oid) is None
    types.add([PAIRS, MOOD])
    assert types.missing([NEST.oid, NEST.oid]) == {PAIR.oid}
    assert types.codec(NEST.oid) is None
    assert types.parameter_codec(NEST.oid) is None
    types.add([PAIR])
    assert types.missing([NEST.oid]) == set()
    assert types.codec(NEST.oid) is not None
    for info in (MANY, SMALLER, ODDS):
        types.add([info])
        assert types.codec(info.oid) is None


def test_types_that_changed(types: TypeMap) -> None:
    assert there_and_back(types, PAIR.oid, (1, "x")) == (1, "x")
    types.add([TypeInfo(PAIR.oid, "pair", "public", "c", fields=(("a", 23),))])
    assert there_and_back(types, PAIRS.oid, [(1,)]) == [(1,)]
    types.forget()
    assert types.codec(PAIR.oid) is None
    assert types.codec(23) is not None


def test_builtin_types_do_not_change(types: TypeMap) -> None:
    types.add([TypeInfo(23, "int4", "pg_catalog", has_binary=False)])
    assert reader(types, 23).format == 1


def test_a_type_of_the_users_is_not_the_builtin_of_its_name() -> None:
    types = TypeMap()
    types.add([TypeInfo(90001, "int4", "public"), TypeInfo(90002, "hstore", "public")])
    assert there_and_back(types, 90001, "x") == "x"
    assert there_and_back(types, 90002, '"a"=>"b"') == '"a"=>"b"'
    assert reader(types, 90002).format == 0


def test_builtin_types_of_later_servers() -> None:
    types = TypeMap()
    types.add([TypeInfo(6437, "oid8"), TypeInfo(9999, "quite_new")])
    assert there_and_back(types, 6437, 2**64 - 1) == 2**64 - 1
    assert there_and_back(types, 9999, "x") == "x"


def test_vectors_are_known_by_name() -> None:
    types = TypeMap()
    types.add([TypeInfo(90001, "vector", "public"), TypeInfo(90002, "_vector", element=90001)])
    assert there_and_back(types, 90001, [1.0, 2.0]) == [1.0, 2.0]
    assert reader(types, 90001).format == 1
    types.add([TypeInfo(90001, "vector", "public", has_binary=False)])
    assert reader(types, 90001).format == 0


def test_types_made_of_themselves() -> None:
    types = TypeMap()
    types.add([TypeInfo(90001, "a", element=90002), TypeInfo(90002, "b", "x", "d", base=90001)])
    assert types.missing([90001]) == set()
    with pytest.raises(RemoteProtocolError, match="is made of itself"):
        types.codec(90001)


def test_types_within_types_without_end() -> None:
    types = TypeMap()
    depth = 50_000
    types.add([TypeInfo(90000, "d", "x", "d", base=23)])
    types.add(TypeInfo(90000 + n, "d", "x", "d", base=89999 + n) for n in range(1, depth))
    assert types.codec(90040) is types.codec(23)
    assert types.missing([90000 + depth - 1]) == set()
    with pytest.raises(RemoteProtocolError, match="is made of itself"):
        types.codec(90000 + depth - 1)


# Text ----------------------------------------------------------------------------------------


def test_composites_with_a_part_that_has_only_text(types: TypeMap) -> None:
    fields = (("a", ODD.oid), ("b", 23), ("c", 1007), ("d", MOOD.oid), ("e", SMALL.oid), ("f", 16))
    types.add([TypeInfo(91000, "mix", "public", "c", fields=fields)])
    types.add([TypeInfo(91001, "_mix", "public", element=91000)])
    value = ("x", 5, [1, None], "ok", 7, None)
    assert reader(types, 91000).format == 0
    assert writer(types, 91000).encode(value) == b'("x","5","{\\"1\\",NULL}","ok","7",)'
    assert there_and_back(types, 91000, value) == value
    assert there_and_back(types, 91001, [value, None]) == [value, None]


@pytest.mark.parametrize("oid", [1082, 3904, 600, FLOATS.oid])
def test_composites_with_parts_that_have_only_text_and_only_binary(
    types: TypeMap, oid: int
) -> None:
    types.add([TypeInfo(91000, "mix", "public", "c", fields=(("a", ODD.oid), ("b", oid)))])
    with pytest.raises(LocalProtocolError, match="cannot travel as text"):
        types.codec(91000)


def test_ranges_have_no_text(types: TypeMap) -> None:
    types.add([TypeInfo(91000, "odd_range", "public", "r", subtype=ODD.oid)])
    with pytest.raises(LocalProtocolError, match="cannot travel as text"):
        types.codec(91000)


# What the user sets --------------------------------------------------------------------------


def test_a_text_codec(types: TypeMap) -> None:
    types.set_custom(NUMERIC, "text", str, float)
    assert reader(types, 1700).format == writer(types, 1700).format == 0
    assert there_and_back(types, 1700, 1.5) == 1.5
    assert there_and_back(types, 1231, [[1.5], [None]]) == [[1.5], [None]]
    assert reader(types, 1231).format == 0
    with pytest.raises(LocalProtocolError, match="cannot travel as text"):
        types.codec(3906)
    types.reset_custom(NUMERIC)
    assert there_and_back(types, 1231, [Decimal("1.50")]) == [Decimal("1.50")]
    assert reader(types, 1231).format == 1


def test_a_text_codec_must_give_text(types: TypeMap) -> None:
    types.set_custom(NUMERIC, "text", lambda value: value, float)
    with pytest.raises(TypeError, match="expected str, got int"):
        writer(types, 1700).encode(5)


@pytest.mark.parametrize("info", [JSON, JSONB])
def test_a_text_codec_of_what_is_text_in_binary_too(types: TypeMap, info: TypeInfo) -> None:
    types.set_custom(info, "text", json.dumps, json.loads)
    types.add([TypeInfo(91000, "mix", "public", "c", fields=(("a", info.oid), ("b", 1184)))])
    assert reader(types, info.oid).format == writer(types, info.oid).format == 1
    assert there_and_back(types, info.oid, {"a": [1]}) == {"a": [1]}
    assert there_and_back(types, 91000, ({"a": [1]}, None)) == ({"a": [1]}, None)
    # Where another part must be text, it is as well.
    types.add([TypeInfo(91001, "mix", "public", "c", fields=(("a", info.oid), ("b", ODD.oid)))])
    assert there_and_back(types, 91001, ({"a": [1]}, "x")) == ({"a": [1]}, "x")


def test_a_codec_of_an_enum(types: TypeMap) -> None:
    types.set_custom(MOOD, "text", str.lower, str.upper)
    assert there_and_back(types, MOODS.oid, ["Ok"]) == ["OK"]
    assert there_and_back(types, NEST.oid, ([], "Ok")) == ([], "OK")


def test_a_binary_codec(types: TypeMap) -> None:
    types.set_custom(INT4, "binary", bytes.fromhex, bytes.hex)
    assert there_and_back(types, 23, "0000002a") == "0000002a"
    assert there_and_back(types, 1007, ["0000002a"]) == ["0000002a"]
    assert there_and_back(types, SMALLER.oid, "0000002a") == "0000002a"
    assert there_and_back(types, PAIR.oid, ("0000002a", "x")) == ("0000002a", "x")
    assert there_and_back(types, 3904, Range("0000002a", None)) == Range("0000002a", None)
    types.add([TypeInfo(91000, "mix", "public", "c", fields=(("a", ODD.oid), ("b", 23)))])
    with pytest.raises(LocalProtocolError, match="cannot travel as text"):
        types.codec(91000)


def test_a_tuple_codec(types: TypeMap) -> None:
    types.set_custom(INTERVAL, "tuple", lambda months: (months, 0, 0), lambda parts: parts[0])
    assert there_and_back(types, 1186, 7) == 7
    assert there_and_back(types, 1187, [7, None]) == [7, None]


def test_a_codec_of_a_composite(types: TypeMap) -> None:
    types.set_custom(PAIR, "tuple", _parts, _complex)
    assert there_and_back(types, PAIRS.oid, [1 + 2j]) == [1 + 2j]
    assert there_and_back(types, NEST.oid, ([3j], "ok")) == ([3j], "ok")
    # The codec of a part is between it and the wire.
    types.set_custom(TEXT, "text", lambda text: f"{text}5", lambda text: text[:-1])
    assert there_and_back(types, PAIR.oid, 1 + 2j) == 1 + 2j
    assert writer(types, PAIR.oid).encode(1 + 2j).endswith(b"2.05")


def _complex(parts: Any) -> complex:
    assert isinstance(parts, Record)
    return complex(parts["a"], float(parts["b"]))


def _parts(value: complex) -> tuple[int, str]:
    return int(value.real), str(value.imag)


@pytest.mark.parametrize(
    ("info", "kind", "text"),
    [
        (SMALL, "text", "is a domain"),
        (MOODS, "text", "neither a scalar type nor a composite type"),
        (BUILTIN_TYPES[1007], "text", "neither a scalar type nor a composite type"),
        (FLOATS, "text", "neither a scalar type nor a composite type"),
        (BUILTIN_TYPES[2279], "text", "neither a scalar type nor a composite type"),
        (PAIR, "text", "only tuple-format codecs"),
        (PAIR, "binary", "only tuple-format codecs"),
        (TEXT, "tuple", "does not support the 'tuple' exchange format"),
        (TypeInfo(91000, "date", "public"), "tuple", "does not support"),
    ],
)
def test_codecs_that_are_refused(types: TypeMap, info: TypeInfo, kind: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        types.set_custom(info, kind, str, str)
    assert types.codec(23) is not None


def test_a_decoder_alone(types: TypeMap) -> None:
    types.set_custom(NUMERIC, "text", None, float)
    assert reader(types, 1700).decode(b"1.5") == 1.5
    assert reader(types, 1231).decode(b"{1.5}") == [1.5]
    assert writer(types, 1700).format == writer(types, 1231).format == 1
    plain = TypeMap()
    for oid, value in ((1700, Decimal("1.5")), (1231, [Decimal("1.5")])):
        assert writer(types, oid).encode(value) == writer(plain, oid).encode(value)


def test_an_encoder_alone(types: TypeMap) -> None:
    types.set_custom(NUMERIC, "text", lambda value: f"{value}e1", None)
    assert writer(types, 1700).encode(5) == b"5e1"
    assert writer(types, 1231).encode([5]) == b'{"5e1"}'
    assert reader(types, 1231).decode(writer(TypeMap(), 1231).encode([Decimal(5)])) == [5]


def test_a_later_codec_takes_the_place_of_an_earlier(types: TypeMap) -> None:
    types.set_custom(TEXT, "text", str.upper, None)
    types.set_custom(TEXT, "text", None, str.title)
    assert there_and_back(types, 25, "some words") == "Some Words"
    types.set_builtin(ODD, "int4")
    types.set_custom(ODD, "text", str.upper, str.title)
    assert there_and_back(types, ODD.oid, "some words") == "Some Words"


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("int", 5, 1),
        ("integer", 5, 1),
        ("int4", 5, 1),
        (23, 5, 1),
        ("double precision", 1.5, 1),
        ("character varying", "x", 1),
        ("char", "x", 1),
        ("uuid", None, 1),
        ("macaddr", "00:00:00:00:00:01", 1),
        ("regclass", "x", 0),
        ("pg_contrib.hstore", {"a": None}, 1),
    ],
)
def test_aliases(types: TypeMap, name: str | int, value: Any, kind: int) -> None:
    types.set_builtin(ODD, name)
    assert reader(types, ODD.oid).format == kind
    if value is not None:
        assert there_and_back(types, ODD.oid, value) == value
        if kind:
            assert there_and_back(types, ODDS.oid, [value]) == [value]
    types.reset_custom(ODD)
    assert there_and_back(types, ODD.oid, "x") == "x"


def test_aliases_in_a_composite_that_travels_as_text(types: TypeMap) -> None:
    plain = TypeInfo(91001, "plain", "public", has_binary=False)
    fields = (("a", ODD.oid), ("b", plain.oid))
    types.add([plain, TypeInfo(91000, "mix", "public", "c", fields=fields)])
    types.set_builtin(ODD, "int4")
    assert writer(types, 91000).encode((5, "x")) == b'("5","x")'
    assert there_and_back(types, 91000, (5, "x")) == (5, "x")
    types.set_builtin(ODD, "pg_contrib.hstore")
    with pytest.raises(LocalProtocolError, match=r"public\.odd cannot travel as text"):
        types.codec(91000)


def test_aliases_of_one_format(types: TypeMap) -> None:
    types.set_builtin(ODD, "text", "text")
    assert reader(types, ODD.oid).format == 0
    types.set_builtin(ODD, "int4", "text")
    assert writer(types, ODD.oid).encode(5) == b"5"
    types.set_builtin(ODD, "int4", "binary")
    assert writer(types, ODD.oid).encode(5) == b"\0\0\0\5"
    types.set_builtin(ODD, "regclass", "text")
    assert reader(types, ODD.oid).format == 0


@pytest.mark.parametrize(
    ("info", "name", "kind", "text"),
    [
        (PAIR, "int", None, "cannot alias non-scalar type public.pair"),
        (MOODS, "int", None, "non-scalar"),
        (ODD, "nonsense", None, "no text or binary codec for nonsense"),
        (ODD, 99999, None, "no text or binary codec for 99999"),
        (ODD, "pg_contrib.nonsense", None, "no text or binary codec"),
        (ODD, "pg_contrib.hstore", "text", "no text codec"),
        (ODD, "timestamptz", "text", "no text codec"),
        (ODD, "regclass", "binary", "no binary codec"),
    ],
)
def test_aliases_that_are_refused(
    types: TypeMap, info: TypeInfo, name: str | int, kind: Any, text: str
) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        types.set_builtin(info, name, kind)


def test_one_map_does_not_change_another(types: TypeMap) -> None:
    types.set_custom(INT4, "text", str, int)
    assert reader(types, 23).format == 0
    assert reader(TypeMap(), 23).format == 1
    # Records find their parts in their own map.
    field = b"\0\0\0\1\0\0\0\x17\0\0\0\4\0\0\0\5"
    assert reader(TypeMap(), 2249).decode(field) == (5,)
    with pytest.raises(ValueError, match="read as text only"):
        reader(types, 2249).decode(field)
