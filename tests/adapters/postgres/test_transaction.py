"""Transactions and savepoints on real servers, cancelled and cut off at every turn."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import login, opened
from wirekit import ConnectionLost
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres import transaction as public
from wirekit.adapters.postgres._transaction import Transaction
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import RunningServer

PATIENCE = 20.0  # seconds after which something that was to happen never will


async def on_socket(server: RunningServer) -> Any:
    """Return a client that cannot make a second socket, to cancel by."""
    db: Any = pg.Postgres(
        connect((server.host, server.port)), user="trust_user", database="wirekit"
    )
    return await db.__aenter__()


@pytest.fixture
async def db(postgres: RunningServer) -> AsyncIterator[Any]:
    db: Any = await opened(postgres)
    await db.execute("CREATE TEMP TABLE t (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    yield db
    await db.close()


async def rows(db: Any) -> list[int]:
    return [row[0] for row in await db.fetch("SELECT a FROM t ORDER BY a")]


async def assert_at_rest(db: Any) -> None:
    """Fail unless the connection answers, is in no transaction, and is nobody's."""
    assert await asyncio.wait_for(db.fetchval("SELECT 42"), PATIENCE) == 42
    assert not db.is_in_transaction()
    assert not db._ownership.held
    assert repr(db._ownership) == "<Ownership 0 holds, 0 wait>"
    assert not any(transaction.is_open for transaction in db._access.transactions)


async def leave_with_an_error(db: Any, *commands: str) -> None:
    """Run commands in a transaction that an exception leaves."""
    async with db.transaction():
        for command in commands:
            await db.execute(command)
        raise KeyError


# What it does


async def test_it_commits(db: Any) -> None:
    async with db.transaction() as nothing:
        assert nothing is None
        assert db.is_in_transaction()
        await db.execute("INSERT INTO t VALUES (1)")
    assert await rows(db) == [1]
    await assert_at_rest(db)


async def test_it_rolls_back(db: Any) -> None:
    with pytest.raises(KeyError):
        await leave_with_an_error(db, "INSERT INTO t VALUES (1)")
    assert await rows(db) == []
    await assert_at_rest(db)


async def test_by_hand(db: Any) -> None:
    transaction = db.transaction()
    await transaction.start()
    await db.execute("INSERT INTO t VALUES (1)")
    await transaction.commit()
    transaction = db.transaction()
    await transaction.start()
    await db.execute("INSERT INTO t VALUES (2)")
    await transaction.rollback()
    assert await rows(db) == [1]
    await assert_at_rest(db)


@pytest.mark.parametrize(
    "isolation", [None, "read_committed", "read_uncommitted", "repeatable_read", "serializable"]
)
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("deferrable", [False, True])
async def test_its_options(
    postgres15: RunningServer, isolation: Any, readonly: bool, deferrable: bool
) -> None:
    db = await opened(postgres15)
    options: Any = {"isolation": isolation, "readonly": readonly, "deferrable": deferrable}
    async with db.transaction(**options):
        level = (isolation or "read_committed").replace("_", " ")
        assert await db.fetchval("SHOW transaction_isolation") == level
        assert await db.fetchval("SHOW transaction_read_only") == ("on" if readonly else "off")
        assert await db.fetchval("SHOW transaction_deferrable") == ("on" if deferrable else "off")
    await db.close()


async def test_savepoints(db: Any) -> None:
    async with db.transaction():
        await db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(pg.DivisionByZeroError):
            await leave_with_an_error(db, "INSERT INTO t VALUES (2)", "SELECT 1/0")
        async with db.transaction():
            await db.execute("INSERT INTO t VALUES (3)")
            with pytest.raises(KeyError):
                await leave_with_an_error(db, "INSERT INTO t VALUES (4)")
            await db.execute("INSERT INTO t VALUES (5)")
    assert await rows(db) == [1, 3, 5]
    await assert_at_rest(db)


async def test_a_savepoint_that_is_rolled_back_does_not_stay(db: Any) -> None:
    async with db.transaction():
        savepoint = db.transaction()
        await savepoint.start()
        await savepoint.rollback()
        with pytest.raises(pg.InvalidSavepointSpecificationError):
            await db.execute(f"ROLLBACK TO {savepoint._savepoint}")


async def test_levels_of_nested_transactions(db: Any) -> None:
    async with db.transaction():
        async with db.transaction(isolation="read_committed", readonly=True):
            await db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(pg.InterfaceError) as caught:
            async with db.transaction(isolation="serializable"):
                pytest.fail("entered")
        assert str(caught.value) == (
            "nested transaction has a different isolation level: "
            "current 'serializable' != outer 'read_committed'"
        )
    async with db.transaction(isolation="serializable"):
        async with db.transaction(isolation="serializable"):
            pass
        refused = db.transaction(isolation="repeatable_read")
        with pytest.raises(pg.InterfaceError, match="'repeatable_read' != outer 'serializable'"):
            await refused.start()
        assert "state:new" in repr(refused)
    await assert_at_rest(db)


async def test_the_end_of_the_outer_one_is_that_of_the_inner_ones(db: Any) -> None:
    outer, inner = db.transaction(), db.transaction()
    await outer.start()
    await inner.start()
    await outer.commit()
    await assert_at_rest(db)
    with pytest.raises(pg.InterfaceError, match="the transaction is in error state"):
        await inner.commit()


async def test_commit_of_a_failed_transaction_is_quiet(db: Any) -> None:
    async with db.transaction():
        await db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(pg.DivisionByZeroError):
            await db.execute("SELECT 1/0")
        with pytest.raises(pg.InFailedSQLTransactionError):
            await db.execute("SELECT 1")
    assert await rows(db) == []
    await assert_at_rest(db)


async def test_a_savepoint_in_a_failed_transaction(db: Any) -> None:
    async with db.transaction():
        with pytest.raises(pg.DivisionByZeroError):
            await db.execute("SELECT 1/0")
        savepoint = db.transaction()
        with pytest.raises(pg.InFailedSQLTransactionError):
            await savepoint.start()
        assert "state:failed" in repr(savepoint)
    async with db.transaction():
        savepoint = db.transaction()
        await savepoint.start()
        with pytest.raises(pg.DivisionByZeroError):
            await db.execute("SELECT 1/0")
        with pytest.raises(pg.InFailedSQLTransactionError):
            await savepoint.commit()
        assert "state:failed" in repr(savepoint)
    await assert_at_rest(db)


async def test_a_commit_that_fails(db: Any) -> None:
    await db.execute("INSERT INTO t VALUES (1)")
    transaction = db.transaction()
    with pytest.raises(pg.UniqueViolationError):
        async with transaction:
            await db.execute("INSERT INTO t VALUES (1)")
    assert "state:failed" in repr(transaction)
    await assert_at_rest(db)


async def test_the_block_may_end_it_by_a_query(db: Any) -> None:
    async with db.transaction():
        await db.execute("INSERT INTO t VALUES (1)")
        await db.execute("ROLLBACK")
    assert await rows(db) == []
    await assert_at_rest(db)


# Wrong use


async def test_wrong_use_is_refused_in_the_words_of_asyncpg(postgres15: RunningServer) -> None:
    def words(error: Any) -> str:
        return str(error.value).partition("{")[0].partition("either of")[0]

    async def texts(module: Any) -> list[str]:
        db = await module.connect(**login(postgres15))
        found: list[str] = []

        async def refused(call: Any) -> None:
            with pytest.raises((module.InterfaceError, ValueError)) as caught:
                await call()
            found.append(words(caught))

        async def enter(transaction: Any) -> None:
            async with transaction:
                pytest.fail("entered")

        transaction = db.transaction()
        await refused(transaction.commit)
        await refused(transaction.rollback)
        await transaction.start()
        await refused(transaction.start)
        await transaction.commit()
        for method in (transaction.start, transaction.commit, transaction.rollback):
            await refused(method)
        transaction = db.transaction()
        async with transaction:
            await refused(transaction.commit)
            await refused(transaction.rollback)
            await refused(lambda: enter(transaction))
        transaction = db.transaction()
        await transaction.start()
        await transaction.rollback()
        for method in (transaction.start, transaction.commit, transaction.rollback):
            await refused(method)
        await db.execute("BEGIN")
        await refused(db.transaction().start)
        await db.execute("ROLLBACK")
        await refused(lambda: db.transaction(isolation="chaos"))
        transaction = db.transaction()
        await transaction.start()
        await db.close()
        await refused(transaction.commit)
        await refused(transaction.rollback)
        await refused(db.transaction)
        return found

    assert await texts(pg) == await texts(importlib.import_module("asyncpg"))


async def test_it_may_be_entered_again_where_it_could_not_be(db: Any) -> None:
    # asyncpg's could neither be committed nor rolled back from here on.
    transaction = db.transaction()
    await transaction.start()
    with pytest.raises(pg.InterfaceError, match="already started"):
        async with transaction:
            pytest.fail("entered")
    await transaction.rollback()
    await assert_at_rest(db)


async def test_not_inside_a_pipeline(db: Any) -> None:
    async with db.pipeline():
        with pytest.raises(pg.InterfaceError, match="pipeline"):
            await db.transaction().start()
    transaction = db.transaction()
    await transaction.start()
    async with db.pipeline():
        with pytest.raises(pg.InterfaceError, match="pipeline"):
            await transaction.commit()
    await transaction.commit()
    await assert_at_rest(db)


def test_the_module_has_the_name_of_asyncpgs() -> None:
    assert public.Transaction is Transaction
    assert public.TransactionState.ROLLEDBACK.name == "ROLLEDBACK"
    assert pg.transaction is public


async def test_repr(db: Any) -> None:
    transaction = db.transaction(isolation="serializable", readonly=True, deferrable=True)
    assert repr(transaction).startswith(
        "<Transaction state:new serializable readonly deferrable 0x"
    )


# Whose the connection is


async def test_other_tasks_wait(db: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def owner() -> None:
        async with db.transaction():
            await db.execute("INSERT INTO t VALUES (1)")
            entered.set()
            await leave.wait()

    task = asyncio.create_task(owner())
    await entered.wait()
    calls = [
        asyncio.create_task(db.execute("INSERT INTO t VALUES (2)")),
        asyncio.create_task(db.fetchval("SELECT count(*) FROM t")),
        asyncio.create_task(db.executemany("INSERT INTO t VALUES ($1)", [(3,), (4,)])),
    ]
    done, _ = await asyncio.wait(calls, timeout=0.05)
    assert not done
    leave.set()
    await asyncio.gather(task, *calls)
    assert await rows(db) == [1, 2, 3, 4]
    await assert_at_rest(db)


async def test_the_tasks_of_the_block_may_go_on(db: Any) -> None:
    async def insert(number: int) -> None:
        async with db.transaction():
            await db.execute("INSERT INTO t VALUES ($1)", number)
            if number % 3 == 0:
                raise KeyError

    async with db.transaction():
        assert await asyncio.gather(*[db.fetchval("SELECT $1::int", n) for n in range(20)]) == [
            *range(20)
        ]
        # Savepoints of several tasks one after the other.
        await asyncio.gather(*map(insert, range(20)), return_exceptions=True)
    assert await rows(db) == [number for number in range(20) if number % 3]
    await assert_at_rest(db)


async def test_a_hundred_tasks(db: Any) -> None:
    async def transfer(number: int) -> None:
        async with db.transaction():
            before = await db.fetchval("SELECT count(*) FROM t")
            await db.execute("INSERT INTO t VALUES ($1)", number)
            if number % 10 == 0:
                raise KeyError
            assert await db.fetchval("SELECT count(*) FROM t") == before + 1

    done = await asyncio.gather(*map(transfer, range(100)), return_exceptions=True)
    assert [result for result in done if not isinstance(result, KeyError)] == [None] * 90
    assert await rows(db) == [number for number in range(100) if number % 10]
    await assert_at_rest(db)


async def test_whoever_takes_it_again_and_again_lets_others_in(db: Any) -> None:
    stop = False

    async def greedy() -> None:
        while not stop:
            async with db.transaction():
                await db.execute("SELECT 1")

    async def modest() -> None:
        for number in range(5):
            async with db.transaction():
                await db.execute("INSERT INTO t VALUES ($1)", number)

    task = asyncio.create_task(greedy())
    await asyncio.wait_for(modest(), PATIENCE)
    stop = True
    await task
    await assert_at_rest(db)


async def test_started_by_one_task_and_ended_by_another(db: Any) -> None:
    # As in a fixture of pytest's, whose setup and teardown are tasks of their own.
    transaction = db.transaction()
    await asyncio.create_task(transaction.start())
    await asyncio.create_task(db.execute("INSERT INTO t VALUES (1)"))
    async with db.transaction():
        await db.execute("INSERT INTO t VALUES (2)")
    await asyncio.create_task(transaction.rollback())
    assert await rows(db) == []
    await assert_at_rest(db)


async def test_ended_by_another_task_while_the_first_goes_on(db: Any) -> None:
    started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def start() -> None:
        transaction = db.transaction()
        await transaction.start()
        started.set_result(transaction)
        await leave.wait()

    task = asyncio.create_task(start())
    transaction = await started
    await asyncio.wait_for(transaction.commit(), PATIENCE)
    await assert_at_rest(db)
    leave.set()
    await task


async def test_whoever_waits_goes_on_when_the_owner_ends_without_ending_it(db: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def forgetful() -> Any:
        transaction = db.transaction()
        await transaction.start()
        entered.set()
        await leave.wait()
        return transaction

    task = asyncio.create_task(forgetful())
    await entered.wait()
    waits = asyncio.create_task(db.fetchval("SELECT 1"))
    await asyncio.wait([waits], timeout=0.02)
    assert not waits.done()
    leave.set()
    assert await asyncio.wait_for(waits, PATIENCE) == 1
    await (await task).rollback()
    await assert_at_rest(db)


async def test_reset_ends_it(db: Any) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    transaction = db.transaction()
    await transaction.start()
    await db.reset()
    await assert_at_rest(db)
    assert len(reports) == 1
    with pytest.raises(pg.InterfaceError, match="the transaction is already rolled back"):
        await transaction.commit()


# Cancellation


async def everything(db: Any, done: list[bool]) -> None:
    """Insert 1, 7 and 8 in a transaction, with all that can be in one."""
    async with db.transaction():
        await db.execute("INSERT INTO t VALUES (1)")
        with suppress(KeyError):
            async with db.transaction(isolation="read_committed"):
                await db.execute("INSERT INTO t VALUES (2)")
                async with db.transaction():
                    await db.execute("INSERT INTO t VALUES (3)")
                raise KeyError
        numbers = db.cursor("SELECT * FROM generate_series(1, 5)", prefetch=2)
        assert [row[0] async for row in numbers] == [1, 2, 3, 4, 5]
        cursor = await db.cursor("SELECT * FROM generate_series(1, 5)")
        assert [row[0] for row in await cursor.fetch(2)] == [1, 2]
        assert await cursor.forward(1) == 1
        assert await asyncio.gather(*[db.fetchval("SELECT $1::int", n) for n in (4, 5)]) == [4, 5]
        statement = await db.prepare("SELECT 6")
        assert await statement.fetchval() == 6
        await db.executemany("INSERT INTO t VALUES ($1)", [(7,), (8,)])
    done.append(True)


@pytest.mark.parametrize("way", [opened, on_socket])
async def test_cancelled_at_every_turn(postgres15: RunningServer, way: Any) -> None:
    db = await way(postgres15)
    await db.execute("CREATE TEMP TABLE t (a int)")
    done: list[bool] = []
    turns = 0
    while not done:
        await db.execute("TRUNCATE t")
        victim = asyncio.create_task(everything(db, done))
        others = [asyncio.create_task(db.fetchval("SELECT $1::int", n)) for n in range(turns % 3)]
        if turns % 4 == 0:
            others.append(asyncio.create_task(everything(db, [])))
        for _ in range(turns):
            await asyncio.sleep(0)
        victim.cancel()
        await asyncio.wait_for(asyncio.wait([victim]), PATIENCE)
        assert victim.cancelled() or victim.result() is None
        found = await asyncio.wait_for(asyncio.gather(*others), PATIENCE)
        assert found[: turns % 3] == [*range(turns % 3)]
        await assert_at_rest(db)
        # A commit that was on its way may have been done; half of a transaction never is.
        expected = [1, 7, 8] * (len(others) - turns % 3)
        again = sorted([*expected, 1, 7, 8])
        assert await rows(db) in ([again] if done else [sorted(expected), again])
        turns += 1
    assert turns > 20
    left = "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 6'"
    assert await db.fetchval(left) == 0
    await db.close()


async def test_cancelled_while_a_task_of_the_block_has_the_connection(db: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def child() -> None:
        async with db.transaction():
            entered.set()
            await leave.wait()

    children: list[asyncio.Task[None]] = []

    async def block() -> None:
        async with db.transaction():
            children.append(asyncio.create_task(child()))
            await entered.wait()
            await db.transaction().start()

    victim = asyncio.create_task(block())
    await entered.wait()
    for _ in range(2):  # first what waits inside of the block, then the rollback, which waits too
        await asyncio.sleep(0.01)
        victim.cancel()
    await asyncio.wait([victim])
    assert victim.cancelled()
    leave.set()
    await children[0]
    assert await asyncio.wait_for(db.fetchval("SELECT 1"), PATIENCE) == 1  # behind the rollback
    await assert_at_rest(db)


async def test_a_rollback_that_is_cancelled_at_the_server_is_repeated(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As by a CancelRequest that was for what came before it.
    transaction = db.transaction()
    await transaction.start()
    await db.execute("INSERT INTO t VALUES (1)")
    monkeypatch.setattr(Transaction, "_undoing", "SELECT 1/0")
    with pytest.raises(pg.DivisionByZeroError):
        await transaction.rollback()
    await assert_at_rest(db)
    assert await rows(db) == []


async def test_a_transaction_that_cannot_be_ended_ends_the_connection(
    postgres15: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    db: Any = await opened(postgres15)
    transaction = db.transaction()
    await transaction.start()
    end: Any = vars(Transaction)["_end"]

    def in_vain(transaction: Transaction, command: str) -> None:
        assert command == "ROLLBACK"
        end(transaction, "SELECT 1")

    monkeypatch.setattr(Transaction, "_undoing", "SELECT 1")
    monkeypatch.setattr(Transaction, "_end", in_vain)
    await transaction.rollback()
    with pytest.raises(ConnectionLost, match="a transaction could not be rolled back"):
        await asyncio.wait_for(db.fetchval("SELECT 1"), PATIENCE)


# The end of the connection


@pytest.mark.parametrize("lost", [True, False])
async def test_the_blocks_own_exception_is_not_hidden(
    postgres15: RunningServer, lost: bool
) -> None:
    db: Any = await opened(postgres15)

    async def block() -> None:
        async with db.transaction(), db.transaction():
            if lost:
                with pytest.raises(ConnectionLost):
                    await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            else:
                db.terminate()
            raise KeyError

    with pytest.raises(KeyError):
        await block()
    assert not db._ownership.held


async def test_a_commit_without_its_connection(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15)
    transaction = db.transaction()
    with pytest.raises(pg.InterfaceError, match=r"Transaction.__aexit__\(\): the underlying"):
        async with transaction:
            db.terminate()
    assert "state:failed" in repr(transaction)
    assert not db._ownership.held


@pytest.mark.parametrize("end", ["abort", "close", "server"])
async def test_cut_off_at_every_turn(postgres15: RunningServer, end: str) -> None:
    done: list[bool] = []
    turns = 0
    async with AsyncExitStack() as stack:
        other: Any = await opened(postgres15, user="postgres")
        stack.push_async_callback(other.close)
        while turns <= 20 or not done:
            db: Any = await opened(postgres15)
            await db.execute("CREATE TEMP TABLE t (a int)")
            tasks = [asyncio.create_task(everything(db, done))]
            tasks += [asyncio.create_task(everything(db, [])) for _ in range(2)]
            for _ in range(turns):
                await asyncio.sleep(0)
            if end == "abort":
                db._connection.socket.abort()
            elif end == "close":
                await db.close()
            else:
                await other.fetch("SELECT pg_terminate_backend($1)", db.get_server_pid())
            ended = asyncio.gather(*tasks, return_exceptions=True)
            for error in await asyncio.wait_for(ended, PATIENCE):
                assert error is None or isinstance(error, pg.PostgresError | pg.InterfaceError)
            assert repr(db._ownership) == "<Ownership 0 holds, 0 wait>"
            db.terminate()
            turns += 7
