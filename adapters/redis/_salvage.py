"""Waiting for blocking commands so that a cancelled one loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from wirekit._errors import Error, SocketClosed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wirekit.protocols.resp import Argument, Reply

    from ._blocking import Blocking
    from ._connection import Connection
    from ._connections import Connections

__all__ = ["Salvage"]

_PATIENCE = 5.0  # seconds for the server to end a wait that was cancelled
_PAUSE = 0.02  # seconds until it is asked again


class Salvage:
    """Sends blocking commands on connections of their own.

    When the caller is cancelled, the wait is ended by CLIENT UNBLOCK and the reply awaited in the
    background. Had the server popped something in the meantime, it is put back where it was.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    async def wait(self, command: Sequence[Argument], how: Blocking, seconds: float) -> Reply:
        """Send the command, which waits for up to ``seconds`` on the server; return its reply."""
        connection = await self._connections.acquire()
        try:
            connection.set_timeout(how.patience(command, self._connections.settings.timeout))
            future = connection.send(command)
        except BaseException:
            self._connections.release(connection)
            raise
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            task = asyncio.create_task(
                self._rescue(connection, future, command, how, seconds),
                name="wirekit redis salvage",
            )
            self._connections.hand_over(connection, task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            raise
        self._connections.release(connection)
        return future.result()

    async def aclose(self) -> None:
        """Wait for what is being put back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * _PATIENCE)

    async def _rescue(
        self,
        connection: Connection,
        future: asyncio.Future[Reply],
        command: Sequence[Argument],
        how: Blocking,
        seconds: float,
    ) -> None:
        try:
            if self._connections.renewable:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE):
                        await self._unblock(connection, future)
            elif seconds <= _PATIENCE:
                await asyncio.wait([future], timeout=_PATIENCE)
            if not future.done():
                # Nothing else can end it; what the server did not send stays with it.
                future.cancel()
                connection.fail(SocketClosed("the caller of a blocking command was cancelled"))
            elif future.exception() is None:
                await self._put_back(connection, command, how, future.result())
        finally:
            self._connections.release(connection, reusable=connection.error is None)

    async def _put_back(
        self, connection: Connection, command: Sequence[Argument], how: Blocking, reply: Reply
    ) -> None:
        try:
            back = None if reply is None else how.restore(command, reply)
            if back is not None:
                await connection.send(back)
        except (Error, IndexError, TypeError, ValueError) as error:
            # Nobody waits any more whom it could be told. Not with what it was: that may be secret.
            context = {
                "message": "what was popped for a cancelled caller could not be put back: "
                f"{type(error).__name__}"
            }
            asyncio.get_running_loop().call_exception_handler(context)

    async def _unblock(self, connection: Connection, future: asyncio.Future[Reply]) -> None:
        # More than once: the server may read this before the command, from another connection.
        while not future.done():
            with contextlib.suppress(Error):  # the shared connection was lost; another will come
                shared = await self._connections.ready()
                await shared.send(["CLIENT", "UNBLOCK", cast("int", connection.client_id)])
            await asyncio.wait([future], timeout=_PAUSE)
