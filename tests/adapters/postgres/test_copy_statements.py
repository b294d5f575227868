from __future__ import annotations

from wirekit.adapters.postgres._copy_statements import copy_from, copy_to, described, table


def test_tables() -> None:
    assert table("t", None) == '"t"'
    assert table("a.b", "public") == '"public"."a.b"'
    assert described('"t"', None) == 'SELECT * FROM "t"'
    assert described('"t"', ["a", "b"]) == 'SELECT "a", "b" FROM "t"'


def test_commands() -> None:
    assert copy_to('"t"', None, {}) == 'COPY "t" TO STDOUT'
    assert copy_to('"t"', ["a", 'b"'], {"format": "csv"}) == (
        'COPY "t" ("a", "b""") TO STDOUT (FORMAT \'csv\')'
    )
    assert copy_from('"t"', [], {}, None) == 'COPY "t" FROM STDIN'
    assert copy_from('"t"', None, {"header": True}, "a > 1") == (
        "COPY \"t\" FROM STDIN (HEADER 'True') WHERE a > 1"
    )


def test_options() -> None:
    command = copy_from(
        "t",
        None,
        {
            "delimiter": "'",
            "null": "\\N",
            "header": "match",
            "freeze": False,
            "force_quote": True,
            "force_not_null": ["a", "b"],
            "force_null": False,
            "encoding": None,
        },
        None,
    )
    assert command == (
        "COPY t FROM STDIN (DELIMITER '''', NULL  E'\\\\N', HEADER 'match', FREEZE 'False', "
        'FORCE_QUOTE *, FORCE_NOT_NULL ("a", "b"))'
    )
