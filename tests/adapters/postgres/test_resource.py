"""What lives on a connection is void when that is closed, lost or back in its pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.postgres._login import login, opened
from wirekit import ConnectionLost
from wirekit.adapters import postgres as pg

if TYPE_CHECKING:
    from tests.servers import RunningServer


async def test_a_connection_that_is_lost(postgres15: RunningServer) -> None:
    db: Any = await opened(postgres15)
    statement = await db.prepare("SELECT 1")
    with pytest.raises(ConnectionLost):
        await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(pg.ConnectionDoesNotExistError) as caught:
        statement.get_name()
    assert isinstance(caught.value, ConnectionLost)


async def test_a_connection_that_is_back_in_its_pool(postgres15: RunningServer) -> None:
    async with pg.create_pool(**login(postgres15), min_size=1, max_size=1) as pool:
        async with pool.acquire() as lent:
            statement = await lent.prepare("SELECT 1")
            transaction = lent.transaction()
            factory = lent.cursor("SELECT 1")
            async with lent.transaction():
                cursor = await lent.cursor("SELECT 1")
        released = r"the underlying connection has been released back to the pool"
        with pytest.raises(pg.InterfaceError, match=rf"PreparedStatement.get_name\(\): {released}"):
            statement.get_name()
        with pytest.raises(pg.InterfaceError, match=rf"Transaction.start\(\): {released}"):
            await transaction.start()
        with pytest.raises(pg.InterfaceError, match=rf"CursorFactory.__aiter__\(\): {released}"):
            aiter(factory)
        with pytest.raises(pg.InterfaceError, match=rf"Cursor.fetch\(\): {released}"):
            await cursor.fetch(1)
        async with pool.acquire() as lent, lent.transaction():
            assert await lent.fetchval("SELECT 1") == 1


async def test_a_transaction_does_not_outlive_the_loan(postgres15: RunningServer) -> None:
    async with pg.create_pool(**login(postgres15), min_size=1, max_size=1) as pool:
        lent = await pool.acquire()
        transaction = lent.transaction()
        await transaction.start()
        await lent.execute("CREATE TABLE never (a int)")
        await pool.release(lent)
        # A block that ends only now does not hide what ended it.
        await transaction.__aexit__(KeyError, KeyError(), None)
        async with pool.acquire() as other:
            assert not other.is_in_transaction()
            assert await other.fetchval("SELECT to_regclass('never')") is None
            async with other.transaction():
                with pytest.raises(pg.InterfaceError, match="released back to the pool"):
                    await transaction.commit()
                assert other.is_in_transaction()
