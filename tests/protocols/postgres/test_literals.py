"""Arrays and composites as text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import Record, RecordKeys
from wirekit.protocols.postgres._faults import OutdatedType
from wirekit.protocols.postgres._literals import array_literal_codec, composite_literal_codec
from wirekit.protocols.postgres._scalars import PlainTextCodec

TEXT = PlainTextCodec("text")
ARRAY = array_literal_codec("text[]", TEXT, ",")
BOXES = array_literal_codec("box[]", TEXT, ";")
KEYS = RecordKeys(["a", "b"])
PAIR = composite_literal_codec("pair", KEYS, [TEXT, TEXT])
WORDS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", []),
        ("{a,b}", ["a", "b"]),
        (" { a , b } ", ["a", "b"]),
        ('{NULL,null,"NULL",""}', [None, None, "NULL", ""]),
        (r'{"a\"b","c\\d","\e","{,}"}', ['a"b', r"c\d", "e", "{,}"]),
        ("{{a,b},{c,d}}", [["a", "b"], ["c", "d"]]),
        ("{{{{{{a}}}}}}", [[[[[["a"]]]]]]),
        ("[2:3]={a,b}", ["a", "b"]),
        ("[-1:0][+5:5]={{a},{b}}", [["a"], ["b"]]),
        ("{{},{}}", []),
        ("{\u00a0}", ["\u00a0"]),
        ('{"a\nb"}', ["a\nb"]),
    ],
)
def test_arrays(text: str, value: list[Any]) -> None:
    assert ARRAY.decode(text.encode()) == value


def test_another_delimiter() -> None:
    assert BOXES.decode(b"{(1,2),(3,4);(5,6),(7,8)}") == ["(1,2),(3,4)", "(5,6),(7,8)"]
    assert BOXES.encode(["1,2", None]) == b'{"1,2";NULL}'


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "a",
            "{",
            "}",
            "{a",
            "{a,",
            "{a,}",
            "{,a}",
            "{a b}",
            "{a}}",
            "{a}x",
            '{"a}',
            '{"a"b}',
        ],
        *["{{a},b}", "{a,{b}}", "{{a},{b,c}}", "{{a},{}}", "{{{{{{{a}}}}}}}", "[1:2]", "[1]{a}"],
        *["{a;b,}", "{a{b}}", r"{a\}", "[x]={a}", "{" * 100000, "{{" + "a," * 10, '{"\\'],
    ],
)
def test_what_is_no_array(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=r"type text\[\] that is no array literal"):
        ARRAY.decode(text.encode())


def test_long_literals_take_no_time_out_of_proportion() -> None:
    for text in ('{"' + "\\a" * 200_000, '{"' + "a" * 400_000, "{" + "a," * 100_000):
        with pytest.raises(RemoteProtocolError):
            ARRAY.decode(text.encode())
    for text in ('("' + '""' * 200_000, '("' + "\\a" * 200_000, "(" + "a" * 400_000):
        with pytest.raises((RemoteProtocolError, OutdatedType)):
            PAIR.decode(text.encode())


@given(st.lists(WORDS) | st.lists(st.lists(WORDS, min_size=2, max_size=2), min_size=1))
def test_arrays_come_back(value: list[Any]) -> None:
    assert ARRAY.decode(ARRAY.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1, TypeError, "sized iterable"),
        ([1], ValueError, "invalid array element"),
        ([["a"], ["b", "c"]], ValueError, "non-homogeneous"),
        ([["a"], "b"], ValueError, "non-homogeneous"),
    ],
)
def test_arrays_that_are_refused(value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ARRAY.encode(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("(a,b)", ("a", "b")),
        ("(,)", (None, None)),
        ('("",)', ("", None)),
        ('("a""b","c\\\\d")', ('a"b', "c\\d")),
        ('("(,)"," ")', ("(,)", " ")),
        ("( a,b )", (" a", "b ")),
    ],
)
def test_composites(text: str, values: tuple[Any, ...]) -> None:
    record = PAIR.decode(text.encode())
    assert isinstance(record, Record)
    assert record == values
    assert list(record.keys()) == ["a", "b"]


@given(st.tuples(WORDS, WORDS))
def test_composites_come_back(value: tuple[Any, ...]) -> None:
    assert PAIR.decode(PAIR.encode(value)) == value
    assert PAIR.encode(dict(zip("ab", value, strict=True))) == PAIR.encode(value)


def test_nothing_at_all() -> None:
    codec = composite_literal_codec("nothing", RecordKeys([]), [])
    assert codec.decode(b"()") == ()
    assert codec.encode(()) == b"()"


@pytest.mark.parametrize(
    "text", ["", "a", "(", "(a", "(a,", '("a,b)', '("a"b,c)', "(a,b", "(a,b)x"]
)
def test_what_is_no_composite(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="type pair that is no composite literal"):
        PAIR.decode(text.encode())


@pytest.mark.parametrize("text", ["(a)", "(a,b,c)", "()"])
def test_changed_types(text: str) -> None:
    with pytest.raises(OutdatedType, match="there are not 2 attributes"):
        PAIR.decode(text.encode())


def test_composites_that_are_refused() -> None:
    with pytest.raises(ValueError, match="has 2 elements"):
        PAIR.encode(("a",))
    with pytest.raises(TypeError, match="expected str"):
        PAIR.encode((1, "a"))
