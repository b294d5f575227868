"""Documents and queries of text search on the wire."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._rare import check_truncations, damaged, decodes_or_refuses
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._text_search import TYPES, decode_tsquery, decode_tsvector

AND, OR, NOT, NEXT = b"\2\2", b"\2\3", b"\2\1", b"\2\4\0\1"


def operand(text: str, weights: int = 0, prefix: int = 0) -> bytes:
    return bytes([1, weights, prefix]) + text.encode() + b"\0"


def query(*items: bytes) -> bytes:
    return pack(">i", len(items)) + b"".join(items)


def document(*lexemes: tuple[str, list[int]]) -> bytes:
    fields = [
        text.encode() + b"\0" + pack(f">H{len(places)}H", len(places), *places)
        for text, places in lexemes
    ]
    return pack(">i", len(fields)) + b"".join(fields)


a, b, c = operand("a"), operand("b"), operand("c")

# What the server writes for them; the right operand stands before the left one.
QUERIES = [
    (query(), ""),
    (query(a), "'a'"),
    (query(operand("it's \\é")), r"'it''s \\é'"),
    (query(operand("a", 0b1111, 1)), "'a':*ABCD"),
    (query(operand("a", 0b1000)), "'a':A"),
    (query(operand("a", 0b0001)), "'a':D"),
    (query(operand("a", 0, 1)), "'a':*"),
    (query(AND, b, a), "'a' & 'b'"),
    (query(OR, b, a), "'a' | 'b'"),
    (query(NEXT, b, a), "'a' <-> 'b'"),
    (query(b"\2\4\0\0", b, a), "'a' <0> 'b'"),
    (query(b"\2\4\x40\0", b, a), "'a' <16384> 'b'"),
    (query(NOT, NOT, a), "!!'a'"),
    (query(NOT, AND, b, a), "!( 'a' & 'b' )"),
    (query(AND, OR, c, b, a), "'a' & ( 'b' | 'c' )"),
    (query(OR, AND, c, b, a), "'a' | 'b' & 'c'"),
    (query(AND, c, AND, b, a), "'a' & 'b' & 'c'"),
    (query(NEXT, c, NEXT, b, a), "'a' <-> 'b' <-> 'c'"),
    (query(NEXT, NEXT, c, b, a), "'a' <-> ( 'b' <-> 'c' )"),
    (query(NEXT, AND, c, b, a), "'a' <-> ( 'b' & 'c' )"),
]
DOCUMENTS = [
    (document(), ""),
    (document(("a", [])), "'a'"),
    (document(("it's \\é", [])), r"'it''s \\é'"),
    (document(("a", [1, 0x3FFF]), ("b", [])), "'a':1,16383 'b'"),
    (document(("a", [0x4001, 0x8002, 0xC003])), "'a':1C,2B,3A"),
]


@pytest.mark.parametrize(("field", "text"), QUERIES)
def test_queries(field: bytes, text: str) -> None:
    assert decode_tsquery(field) == text
    check_truncations("tsquery", TYPES["tsquery"], field)


@pytest.mark.parametrize(("field", "text"), DOCUMENTS)
def test_documents(field: bytes, text: str) -> None:
    assert decode_tsvector(field) == text
    check_truncations("tsvector", TYPES["tsvector"], field)


def test_parameters_go_as_text() -> None:
    for name in ("tsvector", "tsquery"):
        entry = TYPES[name]
        assert (entry.format, entry.parameter_format) == (1, 0)
        assert entry.encode is not None
        assert entry.encode("'é':1") == "'é':1".encode()
        with pytest.raises(TypeError, match="expected str, got int"):
            entry.encode(5)


def test_the_index_type_is_only_shown() -> None:
    entry = TYPES["gtsvector"]
    assert (entry.format, entry.encode) == (0, None)
    assert entry.decode(b"1 unique words") == "1 unique words"


@pytest.mark.parametrize("name", ["tsvector", "tsquery"])
@given(st.binary(max_size=30))
def test_any_bytes(name: str, data: bytes) -> None:
    decodes_or_refuses(name, TYPES[name], data)


@given(st.integers(0, 5), st.lists(st.sampled_from([AND, OR, NOT, NEXT, a, b]), max_size=9))
def test_any_items(count: int, items: list[bytes]) -> None:
    decodes_or_refuses("tsquery", TYPES["tsquery"], query(*items))
    decodes_or_refuses("tsquery", TYPES["tsquery"], pack(">i", count) + b"".join(items))


@given(st.sampled_from(QUERIES), st.integers(0, 99), st.integers(0, 255))
def test_damaged_queries(vector: tuple[bytes, str], position: int, byte: int) -> None:
    decodes_or_refuses("tsquery", TYPES["tsquery"], damaged(vector[0], position, byte))


@given(st.sampled_from(DOCUMENTS), st.integers(0, 99), st.integers(0, 255))
def test_damaged_documents(vector: tuple[bytes, str], position: int, byte: int) -> None:
    decodes_or_refuses("tsvector", TYPES["tsvector"], damaged(vector[0], position, byte))


@pytest.mark.parametrize(
    ("field", "match"),
    [
        (query(AND, a), "an operator without its operands"),
        (query(NOT), "an operator without its operands"),
        (query(a, b), "more than one expression"),
        (query(b"\2\5", a), "an operator that is unknown"),
        (query(b"\3\0"), "an item of unknown type 3"),
        (query(operand("a", 16)), "unknown weight or prefix"),
        (query(operand("a", 0, 2)), "unknown weight or prefix"),
        (query(b"\1\0\0\xff\0"), "not UTF-8"),
        (b"\xff\xff\xff\xff", "too short for its number of items"),
        (b"\x7f\xff\xff\xff" + a, "too short for its number of items"),
    ],
)
def test_malformed_queries(field: bytes, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type tsquery: .*{match}"):
        decode_tsquery(field)


@pytest.mark.parametrize(
    ("field", "match"),
    [
        (b"\xff\xff\xff\xff", "too short for its number of items"),
        (b"\x7f\xff\xff\xffa\0\0\0", "too short for its number of items"),
        (b"\0\0\0\1a\0\xff\xff", "truncated"),
        (b"\0\0\0\1abc", "truncated"),
        (b"\0\0\0\1\xff\0\0\0", "not UTF-8"),
    ],
)
def test_malformed_documents(field: bytes, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type tsvector: .*{match}"):
        decode_tsvector(field)


@pytest.mark.parametrize("chain", [(NOT,), (AND, a), (NEXT, a)])
def test_nesting_is_not_recursion(chain: tuple[bytes, ...]) -> None:
    depth = 50_000
    text = decode_tsquery(query(*chain * depth, a))
    assert text.count("'a'") == depth * (len(chain) - 1) + 1


def test_nesting_to_the_right_is_not_recursion() -> None:
    depth = 50_000
    text = decode_tsquery(query(*[NEXT] * depth, *[a] * (depth + 1)))
    assert text.count("( ") == depth - 1
    assert text.endswith("'a'" + " )" * (depth - 1))
