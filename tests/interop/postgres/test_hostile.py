"""A server that breaks the protocol harms those it concerns, with a typed error, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.postgres.fake_server import (
    TABLES,
    Answer,
    Change,
    Cut,
    FakeServer,
    Recorder,
    Session,
    Table,
    scram,
    trust,
)
from tests.interop.postgres.helpers import (
    assert_over,
    assert_typed,
    eventually,
    outcome,
    outcomes,
    turns,
)
from tests.protocols.postgres import _server as wire
from wirekit import RemoteProtocolError

ROWS = [(1, "x"), (None, "")]


def plain(result: Any) -> Any:
    """Return a result in plain types."""
    return [*map(tuple, result)] if type(result) is list else result  # pyright: ignore[reportUnknownArgumentType]


async def talk(server: FakeServer, **settings: Any) -> list[Any]:
    """Have a conversation of all kinds of queries and return what came of each."""
    db = await outcome(server.connect(**settings))
    if isinstance(db, BaseException):
        return [db]
    try:
        first = await outcomes(db.fetch("SELECT a, b"))
        rest = await outcomes(
            db.fetchval("SELECT $1", 5), db.fetch("SELECT a, b"), db.execute("BEGIN")
        )
        return [plain(result) for result in (*first, *rest)]
    finally:
        db.terminate()


EXPECTED: list[Any] = [ROWS, 42, ROWS, "BEGIN"]


async def whole_conversation(login: Any) -> bytes:
    """Return all that the server says."""
    recorder = Recorder()
    async with FakeServer(login=login, spoil=lambda: recorder) as server:
        assert await talk(server) == EXPECTED
    return recorder.data


@pytest.mark.parametrize("fragment", [None, 1, 7])
async def test_the_conversation_itself(fragment: int | None) -> None:
    for login in (trust, scram):
        async with FakeServer(login=login, fragment=fragment) as server:
            assert await talk(server) == EXPECTED


# Truncation and garbage at every byte ------------------------------------------------------------


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("reset", [False, True])
async def test_truncated_at_every_byte(reset: bool, fragment: int | None) -> None:
    length = len(await whole_conversation(scram))

    async def truncated(after: int) -> None:
        cut = Cut(after, reset=reset)
        async with FakeServer(login=scram, spoil=lambda: cut, fragment=fragment) as server:
            results = await talk(server)
        errors = [result for result in results if isinstance(result, BaseException)]
        assert errors
        for error in errors:
            assert_typed(error)
        for result, expected in zip(results, EXPECTED, strict=False):
            assert result in errors or result == expected

    for start in range(1, length, 50):
        await outcomes_of(truncated, range(start, min(start + 50, length)))


async def outcomes_of(test: Callable[[int], Any], numbers: range) -> None:
    """Run the test for each number, all at once."""
    for number, result in zip(numbers, await outcomes(*map(test, numbers)), strict=True):
        if isinstance(result, BaseException):
            result.add_note(f"for {number}")
            raise result


CHANGES: dict[str, Callable[[int], int]] = {
    "all bits": lambda byte: byte ^ 0xFF,
    "the lowest": lambda byte: byte ^ 1,
    "the highest": lambda byte: byte ^ 0x80,
    "null": lambda byte: 0 if byte else 0x20,
    "a letter": lambda byte: ord("D") if byte != ord("D") else ord("E"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_byte_changed_anywhere(change: str) -> None:
    length = len(await whole_conversation(scram))

    async def changed(offset: int) -> None:
        spoiler = Change(offset, CHANGES[change])
        async with FakeServer(login=scram, spoil=lambda: spoiler) as server:
            results = await talk(server, timeout=0.3, command_timeout=0.1)
        for result in results:
            # A changed length or type may leave both sides waiting; changed text may be no UTF-8.
            if isinstance(result, Exception) and not isinstance(result, TimeoutError | ValueError):
                assert_typed(result)

    for start in range(0, length, 60):
        await outcomes_of(changed, range(start, min(start + 60, length)))


# A fault in the middle ---------------------------------------------------------------------------

FAULTS: dict[str, bytes] = {
    "garbage": b"\x00\xff garbage \r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "length 0": b"D\0\0\0\0",
    "length 3": b"D\0\0\0\x03",
    "length of 4 GiB": b"D\xff\xff\xff\xff",
    "length of 1 GiB": b"D\x40\x00\x00\x00",
    "long notice": b"N\x01\x00\x00\x01",
    "unknown message": wire.message(b"?"),
    "no columns": wire.data_row(),
    "too many columns": wire.data_row(1, 2),
    "no column count": wire.message(b"D"),
    "more columns than there are": wire.message(b"D", b"\0\1"),
    "column longer than its row": wire.message(b"D", b"\0\1\0\0\0\5\0\0\0\0"),
    "column of 2 GiB": wire.message(b"D", b"\0\1\x7f\xff\xff\xff\0\0\0\0"),
    "column of negative length": wire.message(b"D", b"\0\1\xff\xff\xff\xfe"),
    "row longer than its columns": wire.message(b"D", b"\0\1\xff\xff\xff\xff\0"),
    "int4 of 3 bytes": wire.data_row(b"\0\0\0"),
    "no tag": wire.message(b"C"),
    "ready too early": wire.ready_for_query(),
    "ParseComplete": wire.PARSE_COMPLETE,
    "another BindComplete": wire.BIND_COMPLETE,
    "CloseComplete": wire.CLOSE_COMPLETE,
    "NoData": wire.NO_DATA,
    "a description": wire.row_description(wire.column("a")),
    "parameters": wire.parameter_description(23),
    "CopyData": wire.copy_data(b"1\n"),
    "CopyDone": wire.COPY_DONE,
    "a row in a COPY": wire.copy_out_response() + wire.data_row(1),
    "AuthenticationOk": wire.AUTHENTICATION_OK,
    "a password is wanted": wire.AUTHENTICATION_CLEARTEXT_PASSWORD,
    "BackendKeyData": wire.backend_key_data(),
    "another protocol": wire.negotiate_protocol_version(),
    "two results": wire.command_complete() * 2,
    "a result behind an error": wire.error_response() + wire.command_complete(),
    "a function's result": wire.function_call_response(b"x"),
    "unknown status": wire.command_complete() + wire.ready_for_query("?"),
    "endless error": wire.message(b"E", b"Mtext"),
}


def faulty(fault: bytes) -> Any:
    """Return an `Answer` with a fault in the place of what the third Execute brings."""
    executes = 0

    def answer(kind: bytes, body: bytes) -> bytes | None:
        nonlocal executes
        executes += kind == b"E"
        return fault if kind == b"E" and executes == 3 else None

    return answer


@pytest.mark.parametrize("fragment", [None, 1])
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_between_the_answers_of_concurrent_callers(
    fault: str, fragment: int | None
) -> None:
    async with FakeServer(fragment=fragment) as server:
        # Such a server's other connections are not concerned.
        other = await server.connect()
        db = await server.connect(command_timeout=10)
        await db.fetch("SELECT $1", 1)
        server.answer = faulty(FAULTS[fault])
        results = await outcomes(*(db.fetchval("SELECT $1", number) for number in range(5)))
        assert results[:2] == [42, 42]
        for error in results[2:]:
            assert_over(error)
            assert isinstance(error, RemoteProtocolError), repr(error)
        assert db.is_closed()
        # And it stays so, at once.
        assert_over(await outcome(db.fetchval("SELECT $1", 1)))
        server.answer = lambda kind, body: None
        assert await other.fetchval("SELECT $1", 1) == 42
        await other.close()
        await db.close()


async def test_an_error_for_one_is_not_the_object_that_another_gets() -> None:
    """Callers may add notes to what they catch, or raise it on, without meeting each other."""
    async with FakeServer() as server:
        db = await server.connect()
        await db.fetch("SELECT $1", 1)
        server.answer = faulty(b"?\0\0\0\x04")
        errors = (await outcomes(*(db.fetchval("SELECT $1", 1) for _ in range(5))))[2:]
        assert len({id(error) for error in errors}) == len(errors) == 3


HARMLESS: dict[str, bytes] = {
    "an error": wire.error_response(),
    "two errors": wire.error_response() * 2,
    "an error behind rows": wire.data_row(1) + wire.error_response(),
    "an error at Sync": wire.data_row(1) + wire.command_complete() + wire.error_response(),
    "a bare error": wire.message(b"E", b"\0"),
    "an error of odd fields": wire.message(b"E", b"C!!!!!\0Px\0p-1\0Wx\0s\xff\0\x01y\0\0"),
    "no rows": wire.command_complete(),
    "an empty query": wire.EMPTY_QUERY_RESPONSE,
    "a suspended portal": wire.data_row(1) + wire.PORTAL_SUSPENDED,
    "notices": wire.notice_response() * 100 + wire.data_row(1) + wire.command_complete(),
    "odd notice": wire.message(b"N", b"\0") + wire.command_complete(),
    "odd notification": wire.notification_response("\u20ac", "") + wire.command_complete(),
    "a setting": wire.parameter_status("", "") + wire.command_complete(),
    "an odd tag": wire.command_complete("\u20ac" * 1000),
    "a COPY to us": wire.copy_out_response()
    + wire.copy_data(b"1")
    + wire.COPY_DONE
    + wire.command_complete("COPY 1"),
}


@pytest.mark.parametrize("answer", HARMLESS)
async def test_an_answer_that_is_odd_concerns_only_its_caller(answer: str) -> None:
    async with FakeServer() as server:
        db = await server.connect(command_timeout=10)
        await db.fetch("SELECT $1", 1)
        server.answer = faulty(HARMLESS[answer])
        results = await outcomes(*(db.fetchval("SELECT $1", number) for number in range(5)))
        assert results[:2] + results[3:] == [42] * 4
        if isinstance(results[2], BaseException):
            assert_typed(results[2])
        await db.close()


@pytest.mark.parametrize(
    "begin", [wire.copy_in_response(), wire.copy_both_response()], ids=["in", "both"]
)
async def test_a_copy_that_nobody_asked_for(begin: bytes) -> None:
    copying = False

    def answer(kind: bytes, body: bytes) -> bytes | None:
        nonlocal copying
        if kind == b"E" and not copying:
            copying = True
            return begin
        if not copying:
            return None
        if kind == b"f":
            copying = False
            return wire.error_response(code="57014")
        if kind == b"c":
            copying = False
            return wire.COPY_DONE + wire.command_complete("COPY 0")
        return b""  # Sync is ignored

    async with FakeServer() as server:
        db = await server.connect(command_timeout=10)
        await db.fetch("SELECT $1", 1)
        server.answer = answer
        result = await outcome(db.fetchval("SELECT $1", 1))
        if begin[:1] == b"G" or result is not None:
            assert_typed(result)
        server.answer = lambda kind, body: None
        assert await db.fetchval("SELECT $1", 1) == 42
        await db.close()


# Answers early, twice, never ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        wire.ready_for_query(),
        wire.command_complete(),
        wire.data_row(1),
        wire.error_response(),
        wire.extended_answer(wire.data_row(1)),
        b"\0",
        b"D\0\0\0\x04",
    ],
)
async def test_an_answer_that_nobody_asked_for_ends_the_connection(data: bytes) -> None:
    async with FakeServer() as server:
        db = await server.connect(command_timeout=10)
        await server.write(data)
        await turns(5)
        # It is not given to the next caller.
        if data != b"\0":
            assert db.is_closed()
        error = await outcome(db.fetchval("SELECT $1", 1))
        assert_over(error)
        await db.close()


async def test_two_answers_to_one_query() -> None:
    async with FakeServer() as server:
        db = await server.connect(command_timeout=10)
        await db.fetch("SELECT $1", 1)
        server.answer = lambda kind, body: wire.ready_for_query() * 2 if kind == b"S" else None
        results = await outcomes(db.fetchval("SELECT $1", 1), db.fetchval("SELECT $1", 2))
        assert results[0] == 42
        assert_over(results[1])
        await db.close()


@pytest.mark.parametrize("severity", ["FATAL", "PANIC"])
async def test_the_farewell_is_told(severity: str) -> None:
    farewell = wire.error_response("I am off", code="57P01", severity=severity)
    for idle in (True, False):
        async with FakeServer() as server:
            db = await server.connect(command_timeout=10)
            await db.fetch("SELECT $1", 1)
            if idle:
                await server.write(farewell)
                await server.sockets[-1].close()
                await turns(5)
                results = await outcomes(db.fetchval("SELECT $1", 1))
            else:
                server.answer = faulty(farewell)
                results = await outcomes(*(db.fetchval("SELECT $1", 1) for _ in range(5)))
                assert results[:2] == [42, 42]
            for error in results[-3:]:
                assert_typed(error)
                assert "I am off" in str(error), repr(error)
            assert db.is_closed()


async def test_silence_ends_in_a_typed_error_for_everyone() -> None:
    async with FakeServer() as server:
        db = await server.connect(command_timeout=0.1)
        await db.fetch("SELECT $1", 1)
        server.answer = lambda kind, body: b""
        results = await outcomes(
            db.fetchval("SELECT $1", 1),
            db.fetch("SELECT a, b"),
            db.execute("BEGIN"),
            db.executemany("SELECT $1", [(1,), (2,)]),
            db.prepare("BEGIN"),
        )
        for error in results:
            assert isinstance(error, TimeoutError), repr(error)
        # It is asked to cancel them, and whoever comes now waits no longer than asked for either.
        await eventually(lambda: server.cancelled)
        assert isinstance(await outcome(db.fetchval("SELECT $1", 1)), TimeoutError)
        await outcome(db.close(timeout=1))
        assert db.is_closed()


def saying(says: dict[bytes, bytes]) -> Answer:
    """Return an `Answer` by the type of the message; of the rest nothing is said."""
    return lambda kind, body: says.get(kind, b"")


async def test_silence_in_the_middle_of_an_answer() -> None:
    for silence in (wire.data_row(1), wire.data_row(1)[:7], b"D", wire.command_complete()):
        async with FakeServer() as server:
            db = await server.connect(command_timeout=0.1)
            await db.fetch("SELECT $1", 1)
            server.answer = saying({b"B": wire.BIND_COMPLETE, b"E": silence})
            error = await outcome(db.fetchval("SELECT $1", 1))
            assert isinstance(error, TimeoutError), repr(error)
            await outcome(db.close(timeout=1))


@pytest.mark.parametrize(
    "login_says",
    [
        b"",
        b"R",
        wire.AUTHENTICATION_OK,
        wire.AUTHENTICATION_CLEARTEXT_PASSWORD,
        wire.authentication_sasl("SCRAM-SHA-256"),
        wire.AUTHENTICATION_OK + wire.backend_key_data(),
        wire.notice_response(),
        wire.negotiate_protocol_version(),
    ],
)
async def test_silence_at_the_opening(login_says: bytes) -> None:
    async def login(session: Session) -> None:
        await session.write(login_says)
        await asyncio.Event().wait()

    async with FakeServer(login=login) as server:
        error = await outcome(server.connect(timeout=0.1))
        assert isinstance(error, TimeoutError), repr(error)
        assert_typed(error)


async def test_another_encoding_ends_the_connection() -> None:
    async with FakeServer() as server:
        db = await server.connect()
        await server.write(wire.parameter_status("client_encoding", "LATIN1"))
        await turns(5)
        error = await outcome(db.fetchval("SELECT $1", 1))
        assert_over(error)
        assert "LATIN1" in str(error)


async def test_text_that_is_no_utf8_concerns_only_its_caller() -> None:
    tables = {
        "bad": Table([wire.column("a", wire.TEXT)], [wire.data_row(b"\xff")]),
        "good": Table([wire.column("a", wire.TEXT)], [wire.data_row("ü".encode())]),
    }
    async with FakeServer(tables=tables) as server:
        db = await server.connect()
        results = await outcomes(db.fetchval("good"), db.fetchval("bad"), db.fetchval("good"))
        assert results[0] == results[2] == "ü"
        assert isinstance(results[1], ValueError)
        await db.close()


# Types -------------------------------------------------------------------------------------------

UNKNOWN = 99999
INFO = [
    *(wire.column("oid", 26), wire.column("name", 19), wire.column("schema", 19)),
    *(wire.column("kind", 18), wire.column("base", 26), wire.column("element", 26)),
    *(wire.column("subtype", 26), wire.column("delimiter", 18), wire.column("has_binary", 16)),
    *(wire.column("field_names", 1003), wire.column("field_types", 1028)),
]


def type_row(oid: int, *, kind: bytes = b"b", **parts: int) -> bytes:
    empty = b"\0" * 8
    numbers = [parts.get(name, 0).to_bytes(4, "big") for name in ("base", "element", "subtype")]
    names = empty + (19).to_bytes(4, "big")
    types = empty + (26).to_bytes(4, "big")
    return wire.data_row(
        oid.to_bytes(4, "big"), b"t", b"public", kind, *numbers, b",", b"\1", names, types
    )


def catalogue(rows: Callable[[], list[bytes]], columns: list[bytes] | None = None) -> Any:
    """Return an `Answer` to the query about types."""
    asked: set[bytes] = set()

    def answer(kind: bytes, body: bytes) -> bytes | None:
        if kind == b"P" and b"pg_type" in body:
            asked.add(body.split(b"\0")[0])
            return wire.PARSE_COMPLETE
        if kind == b"D" and body[1:-1] in asked:
            described = wire.statement_answer([1028], INFO if columns is None else columns)
            return described[5:-6]
        if kind == b"B":
            answer_next[0] = body.split(b"\0")[1] in asked
            return wire.BIND_COMPLETE if answer_next[0] else None
        if kind == b"E" and answer_next[0]:
            return b"".join(rows()) + wire.command_complete()
        return None

    answer_next = [False]
    return answer


def _endless() -> Callable[[], list[bytes]]:
    oid = UNKNOWN - 1

    def rows() -> list[bytes]:
        nonlocal oid
        oid += 1
        return [type_row(oid, element=oid + 1)]

    return rows


CATALOGUES: dict[str, Any] = {
    "nothing": catalogue(list),
    "another type": catalogue(lambda: [type_row(88888)]),
    "a built-in type": catalogue(lambda: [type_row(23)]),
    "made of itself": catalogue(lambda: [type_row(UNKNOWN, element=UNKNOWN)]),
    "a domain over itself": catalogue(lambda: [type_row(UNKNOWN, kind=b"d", base=UNKNOWN)]),
    "made of each other": catalogue(
        lambda: [type_row(UNKNOWN, element=UNKNOWN + 1), type_row(UNKNOWN + 1, element=UNKNOWN)]
    ),
    "of ever more types": None,
    "of unknown kind": catalogue(lambda: [type_row(UNKNOWN, kind=b"?")]),
    "of no kind": catalogue(lambda: [type_row(UNKNOWN, kind=b"")]),
    "a range of nothing": catalogue(lambda: [type_row(UNKNOWN, kind=b"r")]),
    "without columns": catalogue(list, []),
    "with other columns": catalogue(lambda: [wire.data_row(1)], [wire.column("oid", wire.TEXT)]),
    "with columns of unknown types": catalogue(
        lambda: [wire.data_row(1)], [wire.column("oid", UNKNOWN + 7)]
    ),
    "with nulls": catalogue(lambda: [wire.data_row(*[None] * len(INFO))]),
}


@pytest.mark.parametrize("name", CATALOGUES)
async def test_unknown_types_about_which_the_server_says_odd_things(name: str) -> None:
    tables = {
        "SELECT a": Table([wire.column("a", UNKNOWN, size=-1)], [wire.data_row(b"x")]),
        **TABLES,
    }
    answer = CATALOGUES[name] or catalogue(_endless())
    async with FakeServer(answer, tables=tables) as server:
        db = await server.connect()
        result = await outcome(db.fetchval("SELECT a"))
        if isinstance(result, BaseException):
            assert_typed(result)
        if not db.is_closed():
            assert await db.fetchval("SELECT $1", 1) == 42
        await db.close()
