"""Transactions and savepoints, as asyncpg's users write them."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Literal, cast

from wirekit._errors import ConnectionLost, Error
from wirekit.protocols.postgres import Query, TransactionStatus

from ._resource import Resource
from ._results import rows_of
from .exceptions import InterfaceError

if TYPE_CHECKING:
    from types import TracebackType

    from ._ownership import Hold
    from ._resource import Access

__all__ = ["Isolation", "Transaction", "TransactionState"]

Isolation = Literal["read_committed", "read_uncommitted", "repeatable_read", "serializable"]

_ISOLATION_LEVELS = ("read_committed", "read_uncommitted", "repeatable_read", "serializable")
_ROLLBACK_ATTEMPTS = 3


class TransactionState(Enum):
    """What became of a transaction."""

    NEW = 0
    STARTED = 1
    COMMITTED = 2
    ROLLEDBACK = 3
    FAILED = 4


class Transaction(Resource):
    """A transaction or, inside of another, a savepoint: ``async with db.transaction():``.

    The block's code has the connection for itself, with all tasks that it starts; others wait. It
    commits, or rolls back if an exception leaves it. Without a block there are `start`, `commit`
    and `rollback`.

    Whatever is cancelled, the connection is out of the transaction, or closed, before anybody else
    gets it.
    """

    __slots__ = (
        "_attempts",
        "_deferrable",
        "_hold",
        "_isolation",
        "_managed",
        "_readonly",
        "_savepoint",
        "_state",
    )

    def __init__(
        self, access: Access, isolation: Isolation | None, readonly: bool, deferrable: bool
    ) -> None:
        super().__init__(access)
        if isolation and isolation not in _ISOLATION_LEVELS:
            levels = ", ".join(_ISOLATION_LEVELS)
            text = f"isolation is expected to be either of {levels}, got {isolation!r}"
            raise ValueError(text)
        self._isolation: Isolation | None = isolation
        self._readonly = readonly
        self._deferrable = deferrable
        self._state = TransactionState.NEW
        self._hold: Hold | None = None
        self._savepoint = ""  # its name; the outermost transaction has none
        self._managed = False  # by `async with`
        self._attempts = 0  # to roll back what nobody waits for

    # For users

    async def __aenter__(self) -> None:
        if self._managed:
            raise InterfaceError("cannot enter context: already in an `async with` block")
        await self.start()
        self._managed = True

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._managed = False
        if exc_type is None:
            self._check("__aexit__")
            await self._commit()
            return
        try:
            self._check("__aexit__")
            await self._roll_back()
        except Error:
            # Without its connection the transaction is rolled back: the block's own exception
            # says more.
            if self._is_usable:
                raise

    async def start(self) -> None:
        """Begin the transaction, or set the savepoint.

        Raises:
            InterfaceError: it was started before; or it is inside a transaction that was begun by
                a query, or has another isolation level.
        """
        self._check("start")
        self._check_new()
        access = self._access
        access.refuse_in_pipeline()
        hold = self._hold = await access.ownership.take()
        try:
            self._check("start")
            self._check_new()
            command = await self._beginning()
        except BaseException:
            access.ownership.release(hold)
            raise
        access.transactions.append(self)
        self._state = TransactionState.FAILED  # until it is known
        try:
            await access.command(command, _no_matter)
        except Error:
            self._answered()
            raise
        except BaseException:
            self._end(self._undoing)
            raise
        self._state = TransactionState.STARTED

    async def commit(self) -> None:
        """Commit the transaction, or release the savepoint.

        If the transaction failed before, the server rolls it back and no error is raised.

        Raises:
            InterfaceError: it is not open, or inside ``async with``.
        """
        self._check("commit")
        if self._managed:
            raise InterfaceError("cannot manually commit from within an `async with` block")
        await self._commit()

    async def rollback(self) -> None:
        """Roll back the transaction, or to the savepoint.

        Raises:
            InterfaceError: it is not open, or inside ``async with``.
        """
        self._check("rollback")
        if self._managed:
            raise InterfaceError("cannot manually rollback from within an `async with` block")
        await self._roll_back()

    # Checks

    def _check(self, method: str) -> None:
        try:
            super()._check(method)
        except Error:
            self._release()
            raise

    def _check_new(self) -> None:
        self._check_not_over("start")
        if self._state is TransactionState.STARTED:
            raise InterfaceError("cannot start; the transaction is already started")

    def _check_started(self, call: str) -> Hold:
        hold = self._hold
        if self._state is TransactionState.NEW or hold is None:
            raise InterfaceError(f"cannot {call}; the transaction is not yet started")
        if self._state is TransactionState.STARTED and hold.released:
            self._state = TransactionState.ROLLEDBACK  # by Connection.reset()
        self._check_not_over(call)
        return hold

    def _check_not_over(self, call: str) -> None:
        if self._state is TransactionState.COMMITTED:
            raise InterfaceError(f"cannot {call}; the transaction is already committed")
        if self._state is TransactionState.ROLLEDBACK:
            raise InterfaceError(f"cannot {call}; the transaction is already rolled back")
        if self._state is TransactionState.FAILED:
            raise InterfaceError(f"cannot {call}; the transaction is in error state")

    @property
    def _is_usable(self) -> bool:
        access = self._access
        return access.connection.error is None and access.releases() == self._releases

    # Beginning and ending

    async def _beginning(self) -> str:
        """Return the command that begins it."""
        access = self._access
        outer = [other for other in access.transactions if other.is_open]
        access.transactions[:] = outer
        if outer:
            await self._check_isolation(outer[0])
            self._savepoint = f"wirekit_savepoint_{next(access.numbers)}"
            return f"SAVEPOINT {self._savepoint}"
        if access.connection.status is not TransactionStatus.IDLE:
            text = "cannot use Connection.transaction() in a manually started transaction"
            raise InterfaceError(text)
        command = "BEGIN"
        if self._isolation:
            command += f" ISOLATION LEVEL {self._isolation.replace('_', ' ').upper()}"
        if self._readonly:
            command += " READ ONLY"
        if self._deferrable:
            command += " DEFERRABLE"
        return command

    async def _check_isolation(self, outermost: Transaction) -> None:
        if not self._isolation:
            return
        level: str | None = outermost.isolation
        if level is None:
            query = "SHOW transaction_isolation"
            found = await self._access.execute(query, (), 1, None, None)
            level = cast("str", rows_of(found)[0][0]).replace(" ", "_")
        if level != self._isolation:
            raise InterfaceError(
                "nested transaction has a different isolation level: "
                f"current {self._isolation!r} != outer {level!r}"
            )

    @property
    def isolation(self) -> Isolation | None:
        """The level that was asked for."""
        return self._isolation

    @property
    def is_managed(self) -> bool:
        """Whether an ``async with`` block is what it lasts for."""
        return self._managed

    @property
    def is_open(self) -> bool:
        """Whether the connection is held for it."""
        return self._hold is not None and not self._hold.released

    @property
    def _undoing(self) -> str:
        """The command that undoes it."""
        if self._savepoint:
            return f"ROLLBACK TO {self._savepoint}; RELEASE SAVEPOINT {self._savepoint}"
        return "ROLLBACK"

    async def _commit(self) -> None:
        command = f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT"
        await self._finish("commit", command, TransactionState.COMMITTED)

    async def _roll_back(self) -> None:
        await self._finish("rollback", self._undoing, TransactionState.ROLLEDBACK)

    async def _finish(self, call: str, command: str, state: TransactionState) -> None:
        access = self._access
        hold = self._check_started(call)
        access.refuse_in_pipeline()
        try:
            # A task that the block started may be in the middle of a COPY or a savepoint.
            await access.ownership.wait(inside=hold)
        except BaseException:
            self._state = TransactionState.FAILED
            if self.is_open:
                _shut(hold)  # its task may be over before that has its turn
                task = asyncio.create_task(self._end_in_turn(hold))
                access.tasks.add(task)
                task.add_done_callback(access.tasks.discard)
            raise
        self._check_started(call)
        _shut(hold)
        self._state = state
        try:
            await access.command(command, self._answered)
        except BaseException:
            self._state = TransactionState.FAILED
            if access.connection.error is not None:
                self._release()
            raise

    # What nobody waits for

    async def _end_in_turn(self, hold: Hold) -> None:
        await self._access.ownership.wait(inside=hold)
        if self.is_open:
            self._end(self._undoing)

    def _end(self, command: str) -> None:
        """Send the last command; the connection is nobody's until it is answered."""
        connection = self._access.connection
        if connection.error is not None:
            self._release()
            return
        if self._hold is not None:
            _shut(self._hold)
        request = connection.request(Query(command), on_end=self._answered, protected=True)
        connection.abandon(request)

    def _answered(self, _: object = None) -> None:
        """Take the answer to the last command: others may have the connection."""
        connection = self._access.connection
        if (
            connection.error is None
            and not self._savepoint
            and connection.status is not TransactionStatus.IDLE
        ):
            # It was not run, such as for the cancellation of what was before it.
            if self._attempts < _ROLLBACK_ATTEMPTS:
                self._attempts += 1
                self._end("ROLLBACK")
                return
            connection.fail(ConnectionLost("a transaction could not be rolled back"))
        self._release()

    def _release(self) -> None:
        """Let others have the connection, and so end all that is inside of this transaction."""
        transactions = self._access.transactions
        if self not in transactions:
            return
        position = transactions.index(self)
        ended = transactions[position:]
        del transactions[position:]
        for inner in reversed(ended):
            inner.let_go()

    def let_go(self) -> None:
        """Be over, because what it is in is."""
        if self._state is TransactionState.STARTED:
            self._state = TransactionState.FAILED
        if self._hold is not None:
            self._access.ownership.release(self._hold)

    def __repr__(self) -> str:
        words = [f"state:{self._state.name.lower()}"]
        if self._isolation:
            words.append(self._isolation)
        words += ["readonly"] * bool(self._readonly) + ["deferrable"] * bool(self._deferrable)
        return f"<{type(self).__name__} {' '.join(words)} {id(self):#x}>"


def _shut(hold: Hold) -> None:
    """Let nobody use the connection, not even who has it."""
    hold.exclusive = True
    hold.leave()


def _no_matter(_: object) -> None:
    """Take an answer that somebody waits for."""
