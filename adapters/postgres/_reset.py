"""Back to the state of a new connection, and what a pool needs besides to lend one out."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING

from wirekit.protocols.postgres import Sync, TransactionStatus

from ._listeners import Listeners
from .exceptions import InterfaceError, InterfaceWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.postgres import TypeInfo

    from ._resource import Access

__all__ = ["Resetting"]

_RESET = (
    "SELECT pg_advisory_unlock_all();",
    "CLOSE ALL;",
    "UNLISTEN *;",
    "RESET ALL;",
)
# Servers that speak the protocol and know only some of it, by a setting that only they report.
_RESET_OF_OTHERS = {"padb_revision": ("RESET ALL;",), "crdb_version": (), "crate_version": ()}


class Resetting(Listeners):
    """The part of the client that cleans up, for pools above all."""

    _access: Access
    _forget_schema_of_all: Callable[[], None] | None = None  # the pool's

    async def reset(self, *, timeout: float | None = None) -> None:
        """Make the connection as good as new, but for its prepared statements and temporary tables.

        An open transaction is rolled back; cursors, advisory locks, settings and listeners go.
        """
        async with asyncio.timeout(timeout):
            await self.clean_up()
            query = self.get_reset_query()
            if query:
                await self._query(query, protected=True)

    def get_reset_query(self) -> str:
        """Return the query by which `reset` resets; a subclass may have another, or none."""
        settings = self._open_connection.settings
        for setting, statements in _RESET_OF_OTHERS.items():
            if setting in settings:
                return "\n".join(statements)
        return "\n".join(_RESET)

    async def clean_up(self) -> None:
        """Remove the listeners and roll back: the part of `reset` that needs no reset query."""
        connection = await self._ready()
        self._forget_listeners()
        if not connection.idle:
            # What is under way may begin a transaction, or end it.
            await self._answer(connection.request(Sync(), protected=True))
        if connection.status is not TransactionStatus.IDLE:
            transactions = self._access.transactions
            if not transactions or not transactions[0].is_managed:  # a block comes to its end yet
                text = f"Resetting connection with an active transaction {self!r}"
                asyncio.get_running_loop().call_exception_handler({"message": text})
            await self._query("ROLLBACK", protected=True)
        self._ownership.give_up()

    # For pools

    @property
    def request_count(self) -> int:
        """How often the server was asked something, by way of a Sync or a simple query."""
        return 0 if self._connection is None else self._connection.requests

    def join_pool(
        self,
        known_types: dict[int, TypeInfo] | None,
        on_lost: Callable[[], None],
        forget_schema: Callable[[], None],
    ) -> None:
        """Become one of a pool's connections.

        Args:
            known_types: what introspection found, shared with others to the same database.
            on_lost: called when the connection is closed or lost.
            forget_schema: has all of the pool's connections do so.
        """
        self._on_lost = on_lost
        self._forget_schema_of_all = forget_schema
        if known_types is not None:
            known_types.update(self._known_types)
            self._known_types = known_types

    def lend(self, proxy: object) -> None:
        """Be lent out by a proxy, which the user's functions get in place of the connection."""
        self._proxy = proxy

    async def take_back(self) -> None:
        """Be nobody's: what was made of the connection so far is void, and nobody waits for it.

        Raises:
            InterfaceError: something is going on that cannot be ended.
        """
        self._proxy = None
        self._releases += 1
        ownership = self._ownership
        while ownership.exclusive:
            connection = self._open_connection
            if connection.attended:
                text = "cannot reset the connection: another operation is in progress"
                raise InterfaceError(text)
            # Something was cancelled, and comes to its end.
            await self._answer(connection.request(Sync(), protected=True))
        text = "the connection has been released back to the pool"
        ownership.clear(InterfaceError(text))

    def check_listeners(self) -> None:
        """Warn of listeners that are still there."""
        counts = {
            "notification": sum(len(channel.callbacks) for channel in self._channels.values()),
            "log": len(self._log_listeners),
        }
        for kind, count in counts.items():
            if count:
                text = f"{self!r} is being released to the pool but has {count} active {kind} "
                warnings.warn(InterfaceWarning(text + f"listener{'s' * (count > 1)}"), stacklevel=3)

    def forget_schema(self) -> None:
        """Forget what is known of types and statements, as they may have changed."""
        self._forget_types()

    async def reload_schema_state(self) -> None:
        """Forget what is known of types and statements, with all connections of the pool.

        That is for when the schema has changed, such as the attributes of a composite type.
        """
        self._schema_changed()

    def _schema_changed(self) -> None:
        if self._forget_schema_of_all is None:
            self._forget_types()
        else:
            self._forget_schema_of_all()
