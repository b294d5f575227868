"""The types of extensions on the wire: hstore, and those of pgvector."""

from __future__ import annotations

from array import array
from struct import pack
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._rare import (
    FLOAT4,
    VALUES,
    check_round_trip,
    check_truncations,
    damaged,
    decodes_or_refuses,
)
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._extensions import TYPES, SparseVector

VECTORS: list[tuple[str, Any, bytes]] = [
    ("hstore", {}, b"\0\0\0\0"),
    ("hstore", {"a": "ä"}, b"\0\0\0\1\0\0\0\1a\0\0\0\2\xc3\xa4"),
    ("hstore", {"": None, "b": ""}, b"\0\0\0\2\0\0\0\0\xff\xff\xff\xff\0\0\0\1b\0\0\0\0"),
    ("vector", [1.0, -2.5], b"\0\2\0\0" + pack(">2f", 1, -2.5)),
    ("halfvec", [1.0, -2.5], b"\0\2\0\0" + pack(">2e", 1, -2.5)),
    ("sparsevec", SparseVector({0: 1.0, 4: -2.5}, 6), pack(">5i2f", 6, 2, 0, 0, 4, 1, -2.5)),
    ("sparsevec", SparseVector({}, 3), pack(">3i", 3, 0, 0)),
]
DENSE = ("vector", "halfvec")


def encode(name: str, value: Any) -> bytes:
    function = TYPES[name].encode
    assert function is not None
    return function(value)


@pytest.mark.parametrize(("name", "value", "field"), VECTORS)
def test_vectors(name: str, value: Any, field: bytes) -> None:
    assert TYPES[name].decode(field) == value
    assert encode(name, value) == field
    check_truncations(name, TYPES[name], field)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    check_round_trip(TYPES[name], data.draw(VALUES[name]))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.binary(max_size=30))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data(), position=st.integers(0, 99), byte=st.integers(0, 255))
def test_damage(name: str, data: st.DataObject, position: int, byte: int) -> None:
    field = encode(name, data.draw(VALUES[name]))
    decodes_or_refuses(name, TYPES[name], damaged(field, position, byte))


# hstore


def test_pairs_will_do_for_a_mapping() -> None:
    assert encode("hstore", [("a", "b"), ("c", None)]) == encode("hstore", {"a": "b", "c": None})
    assert encode("hstore", iter([("a", "b")])) == encode("hstore", {"a": "b"})


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (5, TypeError, "not iterable"),
        ({None: "a"}, ValueError, "null value not allowed in hstore key"),
        ({1: "a"}, TypeError, "expected str, got int"),
        ({"a": 1}, TypeError, "expected str, got int"),
        (["abc"], ValueError, "unpack"),
    ],
)
def test_what_is_no_hstore(value: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        encode("hstore", value)


@pytest.mark.parametrize(
    ("field", "match"),
    [
        (b"\0\0\0\1\xff\xff\xff\xff\0\0\0\0", "a null key"),
        (b"\xff\xff\xff\xff", "too short for its number of pairs"),
        (b"\x7f\xff\xff\xff" + bytes(8), "too short for its number of pairs"),
        (b"\0\0\0\1\xff\xff\xff\xfe\0\0\0\0", "a negative length"),
        (b"\0\0\0\1\x7f\xff\xff\xff\0\0\0\0", "truncated"),
        (b"\0\0\0\1\0\0\0\1\xff\0\0\0\0", "not UTF-8"),
    ],
)
def test_malformed_hstore(field: bytes, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type hstore: .*{match}"):
        TYPES["hstore"].decode(field)


# pgvector


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize(
    "value",
    [
        (1, 2.5),
        array("f", [1, 2.5]),
        array("d", [1, 2.5]),
        range(1, 3),
        np.array([1, 2.5], np.float32),
        np.array([1, 2.5], np.float64),
        np.array([1, 2.5], np.float16),
        np.array([1, 2.5], ">f4"),
        np.array([1, 0, 2.5, 0], np.float32)[::2],
        memoryview(array("f", [1, 2.5])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sequences_of_numbers(name: str, value: Any) -> None:
    assert TYPES[name].decode(encode(name, value)) == list(value)


@pytest.mark.parametrize("name", DENSE)
def test_integers_of_numpy(name: str) -> None:
    assert TYPES[name].decode(encode(name, np.arange(3))) == [0.0, 1.0, 2.0]


@given(st.lists(FLOAT4, max_size=5))
def test_a_buffer_is_encoded_as_a_list_is(numbers: list[float]) -> None:
    assert encode("vector", array("f", numbers)) == encode("vector", numbers)


@pytest.mark.parametrize("name", [*DENSE, "sparsevec"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("12", TypeError),
        (b"12345678", TypeError),
        (bytearray(8), TypeError),
        (5, TypeError),
        (["1"], TypeError),
        ([None], TypeError),
        ([[1, 2]], TypeError),
        ([10**400], OverflowError),
        ([1e300], OverflowError),
        (np.array([[1, 2], [3, 4]], np.float32), TypeError),
    ],
    ids=repr,
)
def test_what_is_no_vector(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode(name, value)


@pytest.mark.parametrize("value", [[0.0] * 2**15, array("f", [0.0]) * 2**15])
def test_a_vector_too_long_for_the_wire(value: Any) -> None:
    with pytest.raises(ValueError, match="vector has 32768 dimensions, more than can be sent"):
        encode("vector", value)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("header", [b"\xff\xff\0\0", b"\x7f\xff\0\0", b"\0\1\0\1"])
def test_malformed_vectors(name: str, header: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {name}: the number of elements"):
        TYPES[name].decode(header + bytes(4))


@pytest.mark.parametrize(
    ("field", "match"),
    [
        (pack(">3i", 1, -1, 0), "the number of elements"),
        (pack(">3i", 1, 2**31 - 1, 0), "the number of elements"),
        (pack(">3i", 1, 0, 1), "the number of elements"),
        (pack(">3i", -1, 0, 0), "a negative number of dimensions"),
        (pack(">4if", 1, 1, 0, 1, 1), "index out of bounds"),
        (pack(">4if", 1, 1, 0, -1, 1), "index out of bounds"),
        (pack(">4if", 1, 1, 0, 0, 0), "zeros"),
        (pack(">5i2f", 5, 2, 0, 2, 1, 1, 1), "do not ascend"),
        (pack(">5i2f", 5, 2, 0, 2, 2, 1, 1), "do not ascend"),
    ],
)
def test_malformed_sparse_vectors(field: bytes, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type sparsevec: .*{match}"):
        TYPES["sparsevec"].decode(field)


def test_a_sparse_vector() -> None:
    vector = SparseVector({4: 2, 1: 1.5, 3: 0}, 6)
    assert (vector.dimensions, vector.indices, vector.values) == (6, (1, 4), (1.5, 2.0))
    assert vector.to_list() == [0, 1.5, 0, 0, 2, 0]
    assert vector == SparseVector([0, 1.5, 0, 0, 2, 0])
    assert vector == SparseVector(np.array([0, 1.5, 0, 0, 2, 0]))
    assert hash(vector) == hash(SparseVector(vector.to_list()))
    assert vector != SparseVector({1: 1.5, 4: 2}, 7)
    assert vector != vector.to_list()
    assert repr(vector) == "SparseVector({1: 1.5, 4: 2.0}, 6)"
    assert encode("sparsevec", vector.to_list()) == encode("sparsevec", vector)


WRONG_ARGUMENTS: list[tuple[Any, type[Exception]]] = [
    (({1: 1.0},), TypeError),
    (([1.0], 1), TypeError),
    (({1: 1.0}, 1), ValueError),
    (({-1: 1.0}, 1), ValueError),
    (({}, -1), ValueError),
    (({"1": 1.0}, 2), TypeError),
    (({1: "1"}, 2), TypeError),
    (({}, 1.5), TypeError),
]


@pytest.mark.parametrize(("arguments", "error"), WRONG_ARGUMENTS)
def test_what_is_no_sparse_vector(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        SparseVector(*arguments)
