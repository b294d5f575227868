"""Waiting for blocking commands so that a cancelled one loses nothing."""

from __future__ import annotations

import asyncio
import math
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
            limit = self._connections.settings.timeout
            if limit is not None:
                connection.set_timeout(None if math.isinf(seconds) else seconds + limit)
            future = connection.send(command)
        except BaseException:
            self._connections.release(connection)
            raise
        try:
            reply = await asyncio.shield(future)
        except asyncio.CancelledError:
            task = asyncio.create_task(
                self._rescue(connection, future, command, how, seconds),
                name="wirekit redis salvage",
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)
        return reply

    async def aclose(self) -> None:
        """Wait for what is being put back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * _PATIENCE)

    def _give_back(self, connection: Connection) -> None:
        connection.set_timeout(self._connections.settings.timeout)
        self._connections.release(connection)

    async def _rescue(
        self,
        connection: Connection,
        future: asyncio.Future[Reply],
        command: Sequence[Argument],
        how: Blocking,
        seconds: float,
    ) -> None:
        reusable = False
        try:
            async with asyncio.timeout(_PATIENCE):
                if not future.done() and self._connections.renewable:
                    await self._unblock(connection)
                elif seconds > _PATIENCE and not future.done():
                    return  # alone on its connection, nothing can end it but the connection's end
                reply = await future
                back = None if reply is None else how.restore(command, reply)
                if back is not None:
                    await connection.send(back)
                reusable = True
        except (TimeoutError, Error):
            # The connection is given up below; what the server did not send stays with it.
            pass
        finally:
            if not reusable and not future.done():
                connection.fail(SocketClosed("the caller of a blocking command was cancelled"))
            self._connections.release(connection, reusable=reusable)

    async def _unblock(self, connection: Connection) -> None:
        shared = await self._connections.ready()
        await shared.send(["CLIENT", "UNBLOCK", cast("int", connection.client_id)])
