"""PostgreSQL, "Lexical Structure" (4.1)."""

from __future__ import annotations

import pytest

from wirekit.adapters.postgres._lexing import (
    is_client_copy,
    may_copy,
    quote_identifier,
    quote_literal,
    with_literals,
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT $1, $2,$1", "SELECT <a>, <b>,<a>"),
        ("$1", "<a>"),
        ("$12 $3 $0", "$12 $3 $0"),
        ("x$1 _$1 é$1 x1$1", "x$1 _$1 é$1 x1$1"),
        ("1+$1", "1+<a>"),
        ("'$1' || $1 || '''$1'", "'$1' || <a> || '''$1'"),
        ('"$1" "a""$1" $1', '"$1" "a""$1" <a>'),
        (r"'\' $1 '", r"'\' <a> '"),
        (r"E'\' $1 ' e'\\' $1", r"E'\' $1 ' e'\\' <a>"),
        ("E'it''s $1' $1", "E'it''s $1' <a>"),
        ("note'$1'", "note'$1'"),
        ("$$ $1 $$ $1", "$$ $1 $$ <a>"),
        ("$x$ $1 $$ $y$ $x$ $1", "$x$ $1 $$ $y$ $x$ <a>"),
        ("-- $1\n$1", "-- $1\n<a>"),
        ("-- $1", "-- $1"),
        ("/* $1 */ $1 / $1", "/* $1 */ <a> / <a>"),
        ("/* /* $1 */ $1 */ $1", "/* /* $1 */ $1 */ <a>"),
        # What the server would not take either stays as it is.
        ("'open $1", "'open <a>"),
        ("/* open $1", "/* open $1"),
        ("", ""),
    ],
)
def test_parameters_are_replaced_where_they_are_some(query: str, expected: str) -> None:
    assert with_literals(query, ["<a>", "<b>"]) == expected


CLIENT_COPIES = [
    "COPY t FROM STDIN",
    "copy t(a, b) to stdout (format csv)",
    'COPY "from".t FROM STDIN WHERE a > 1',
    "COPY BINARY t TO STDOUT",
    "COPY t FROM STDOUT",
    " ; ; -- to stdout\n/* a /* b */ */ COPY (SELECT $1, ')' FROM stdin) TO STDOUT;",
]
OTHERS = [
    "SELECT 'COPY t FROM STDIN'",
    "COPY t FROM '/tmp/stdin'",
    "COPY t TO PROGRAM 'cat > stdout'",
    "COPY (SELECT \"copy\" FROM stdin) TO '/tmp/stdout'",
    "COPY t FROM 'file' WHERE a IS DISTINCT FROM stdin",
    "EXPLAIN COPY t FROM STDIN",
    "COPY stdin",
    "",
]


@pytest.mark.parametrize("query", CLIENT_COPIES)
def test_copies_from_or_to_the_client(query: str) -> None:
    assert is_client_copy(query)
    assert may_copy(query)
    assert may_copy(f"SELECT 1; {query}")


@pytest.mark.parametrize("query", OTHERS)
def test_other_commands(query: str) -> None:
    assert not is_client_copy(query)


@pytest.mark.parametrize("query", ["COPY t FROM '/tmp/x'", "SELECT stdin FROM stdout", "copying"])
def test_what_cannot_copy(query: str) -> None:
    assert not may_copy(query)


def test_quotes() -> None:
    assert quote_identifier('a "b" c') == '"a ""b"" c"'
    assert quote_literal("it's") == "'it''s'"
    assert quote_literal("\\'") == " E'\\\\'''"
