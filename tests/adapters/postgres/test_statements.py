from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.adapters.postgres._login import client
from tests.servers import RunningServer
from wirekit.adapters.postgres import InterfaceError, Postgres, QueryArgumentError, Record
from wirekit.adapters.postgres._statements import BorrowedStatement, Statement, StatementCache
from wirekit.protocols.postgres import Bind, Column, ExtendedQuery, Parse, TypeCodec, TypeMap

INT4 = 23


def codecs_of(columns: Sequence[Column]) -> list[TypeCodec]:
    codecs = [TypeMap().codec(column.type) for column in columns]
    assert None not in codecs
    return [codec for codec in codecs if codec is not None]


def statement(query: str = "SELECT $1::int4", *, name: str = "s1", columns: int = 1) -> Statement:
    codec = TypeMap().parameter_codec(INT4)
    assert codec is not None
    described = [Column(f"c{i}", 0, 0, INT4, 4, -1, 0) for i in range(columns)]
    return Statement(name, query, (INT4,), [codec], described, codecs_of)


# Statements ----------------------------------------------------------------------------------


def test_a_named_one_is_one_message() -> None:
    (message,) = statement().execution((1,), Record)
    assert isinstance(message, ExtendedQuery)
    assert (message.count, message.sync) == (1, True)
    assert b"s1" in message.data


def test_one_without_a_name_is_parsed_each_time() -> None:
    messages = statement(name="").execution((1,), Record)
    assert [type(message).__name__ for message in messages] == [
        "Parse",
        "Bind",
        "Describe",
        "Execute",
        "Sync",
    ]


def test_one_that_left_goes_on_without_a_name() -> None:
    left = statement()
    left.leave()
    assert left.closed
    assert left.name == ""
    parse = left.execution((1,), Record)[0]
    assert isinstance(parse, Parse)
    assert parse.statement == ""
    many = left.many(iter([(1,), (2,)]), None, 1000)
    assert many.count == 2
    assert b"s1" not in many.data


def test_a_borrowed_one_is_parsed_anew_once_its_lender_has_left() -> None:
    lender = statement()
    codec = TypeMap().parameter_codec(INT4)
    assert codec is not None
    borrowed = BorrowedStatement(lender, [codec], codecs_of)
    (message,) = borrowed.execution((1,), Record)
    assert isinstance(message, ExtendedQuery)
    assert b"s1" in message.data
    lender.leave()
    messages = borrowed.execution((1,), Record)
    assert isinstance(messages[0], Parse)
    assert not any(
        b"s1" in message.data for message in messages if isinstance(message, ExtendedQuery)
    )
    assert borrowed.name == ""


def test_portals() -> None:
    (bind,) = statement().bind("portal", (1,))
    assert isinstance(bind, Bind)
    assert (bind.portal, bind.statement) == ("portal", "s1")
    assert [type(message).__name__ for message in statement(name="").bind("portal", (1,))] == [
        "Parse",
        "Bind",
    ]


def test_readers_are_kept() -> None:
    class Mine(Record):
        pass

    one = statement()
    assert one.reader(Record) is one.reader(Record)
    assert one.reader(Mine) is not one.reader(Record)
    wrong: Any = int
    with pytest.raises(InterfaceError, match="subclass"):
        one.reader(wrong)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), "the server expects 1 argument for this query, 0 were passed"),
        ((1, 2), "the server expects 1 argument for this query, 2 were passed"),
    ],
)
@pytest.mark.parametrize("name", ["s1", ""])
def test_the_number_of_arguments(values: Sequence[Any], text: str, name: str) -> None:
    with pytest.raises(InterfaceError, match=re.escape(text)):
        statement(name=name).execution(values, Record)
    with pytest.raises(InterfaceError, match=re.escape(text)):
        statement(name=name).bind("", values)


@pytest.mark.parametrize("name", ["s1", ""])
def test_no_value_is_in_an_error(name: str) -> None:
    secret = "hunter2"
    one = statement(name=name)
    for call in (
        lambda: one.execution((secret,), Record),
        lambda: one.bind("", (secret,)),
        lambda: one.many(iter([(1,), (secret,)]), None, 1000),
    ):
        with pytest.raises(QueryArgumentError, match=r"argument \$1.*: str") as caught:
            call()
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert secret not in repr(one)


# The cache -----------------------------------------------------------------------------------


class Cache:
    def __init__(self, size: int = 2, lifetime: float = 10.0, max_query_size: int = 20) -> None:
        self.time = 0.0
        self.dropped: list[str] = []
        self.cache = StatementCache(
            size, lifetime, max_query_size, lambda: self.time, self.dropped.append
        )

    def put(self, query: str) -> Statement:
        made = statement(query, name=query)
        self.cache.put(made)
        return made


def test_the_least_recently_used_goes_first() -> None:
    cache = Cache()
    a, b = cache.put("a"), cache.put("b")
    assert cache.cache.get("a") is a
    c = cache.put("c")
    assert cache.dropped == ["b"]
    assert b.closed
    assert [cache.cache.get(query) for query in "abc"] == [a, None, c]


def test_lifetime() -> None:
    cache = Cache()
    a = cache.put("a")
    cache.time = 9.9
    assert cache.cache.get("a") is a  # which does not make it younger
    cache.time = 10.0
    assert cache.cache.get("a") is None
    assert cache.dropped == ["a"]
    eternal = Cache(lifetime=0)
    a = eternal.put("a")
    eternal.time = 1e12
    assert eternal.cache.get("a") is a


def test_what_is_kept() -> None:
    assert Cache().cache.keeps("x" * 20)
    assert not Cache().cache.keeps("x" * 21)
    assert Cache(max_query_size=0).cache.keeps("x" * 100_000)
    assert not Cache(size=0).cache.keeps("x")


def test_dropping_and_clearing() -> None:
    cache = Cache()
    a, b = cache.put("a"), cache.put("b")
    cache.cache.drop(a)
    cache.cache.drop(a)
    cache.cache.drop(statement("b", name="another b"))  # which is not the one that is here
    assert cache.dropped == ["a", "another b"]
    assert cache.cache.get("b") is b
    cache.cache.clear()
    assert cache.dropped == ["a", "another b", "b"]
    assert cache.cache.get("b") is None


def test_names_are_nobody_elses() -> None:
    names = {cache.cache.new_name() for cache in (Cache(), Cache()) for _ in range(3)}
    assert len(names) == 6


# At the server -------------------------------------------------------------------------------


async def statements_of(db: Postgres) -> set[str]:
    rows = await db.fetch("SELECT statement FROM pg_prepared_statements")
    return {row["statement"] for row in rows if "pg_prepared" not in row["statement"]}


async def test_what_leaves_the_cache_is_closed_at_the_server(postgres: RunningServer) -> None:
    async with client(postgres, statement_cache_size=3) as db:
        for number in range(10):
            assert await db.fetchval(f"SELECT {number}") == number
        assert await statements_of(db) == {"SELECT 8", "SELECT 9"}
        assert await db.fetchval("SELECT 8") == 8
        assert await db.fetchval("SELECT 10") == 10
        assert await statements_of(db) == {"SELECT 8", "SELECT 10"}


async def test_what_is_too_old_is_prepared_anew(postgres15: RunningServer) -> None:
    async with client(postgres15, max_cached_statement_lifetime=0.001) as db:
        query = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%prepared%'"
        first = await db.fetchval(query)
        await asyncio.sleep(0.01)
        second = await db.fetchval(query)
        assert first != second


async def test_long_queries_do_not_stay_at_the_server(postgres: RunningServer) -> None:
    async with client(postgres, max_cacheable_statement_size=80) as db:
        for number in range(5):
            query = f"SELECT {number} /* {'long' * 20} */"
            assert await db.fetchval(query) == number
            assert await db.fetchval(query) == number
        assert await statements_of(db) == set()
