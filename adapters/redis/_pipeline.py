"""Pipelines and transactions: commands gathered here, sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import redis.exceptions
from redis.client import EMPTY_RESPONSE
from redis.commands import AsyncCoreCommands, AsyncRedisModuleCommands

from wirekit.protocols.resp import ErrorReply

from ._errors import DataError, ResponseError, error_from_reply
from ._responses import Kind, refuse

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.resp import Reply

    from ._client import Redis
    from ._connection import Connection
    from ._connections import Connections
    from ._responses import Plan, Plans

__all__ = ["Pipeline"]


class Pipeline(AsyncRedisModuleCommands, AsyncCoreCommands):
    """Commands gathered by the client's methods and sent at once by ``execute``.

    With ``transaction`` they run as one, in MULTI and EXEC; after ``watch`` commands are sent one by
    one, until ``multi`` begins the gathering.
    """

    _is_async_client: Literal[True] = True

    def __init__(
        self, client: Redis, connections: Connections, plans: Plans, *, transaction: bool
    ) -> None:
        self._client = client
        self._connections = connections
        self._plans = plans
        self._transaction = transaction
        self._stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]] = []
        self._watched: Connection | None = None
        self._explicit = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.reset()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._itself().__await__()

    async def _itself(self) -> Self:
        return self

    def __len__(self) -> int:
        return len(self._stack)

    def __bool__(self) -> bool:
        return True

    @property
    def watching(self) -> bool:
        """Whether keys are watched."""
        return self._watched is not None

    # Gathering.

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Gather a command and return the pipeline; between ``watch`` and ``multi``, send it."""
        if self._watched is not None and not self._explicit:
            return self.immediate_execute_command(*args, **options)
        plan = self._plans.of(args[0])
        command = (*plan.words, *args[1:]) if plan.words else args
        if plan.kind is Kind.REFUSED:
            refuse(plan, command)
        if options:
            options.pop("keys", None)
        self._stack.append((plan, command, options))
        return self

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command at once, on the connection that watches."""
        if self._watched is None:
            return await self._client.execute_command(*args, **options)
        plan = self._plans.of(args[0])
        command = (*plan.words, *args[1:]) if plan.words else args
        refuse(plan, command)
        options.pop("keys", None)
        reply = await self._watched.send(command)
        return self._client.shape(plan, reply, options)

    # Watching.

    async def watch(self, *names: Any) -> bool:  # type: ignore[override]  # redis-py's own pipeline returns bool here, its mixin None
        """Watch keys: ``execute`` raises WatchError if one of them changes before."""
        if self._explicit:
            raise redis.exceptions.RedisError("cannot watch after multi()")
        if self._watched is None:
            self._watched = await self._connections.acquire()
        await self._watched.send(["WATCH", *names])
        return True

    async def unwatch(self) -> bool:  # type: ignore[override]  # as above
        """Forget the watched keys."""
        if self._watched is not None:
            await self._watched.send(["UNWATCH"])
            self._release()
        return True

    def multi(self) -> None:
        """Begin the transaction: commands are gathered from now on."""
        if self._explicit:
            raise redis.exceptions.RedisError("multi() was called before")
        if self._stack:
            raise redis.exceptions.RedisError("commands without an initial watch() are gathered")
        self._explicit = True

    async def discard(self) -> None:
        """Forget the gathered commands and the watched keys."""
        await self.reset()

    async def reset(self) -> None:
        """Forget the gathered commands and the watched keys."""
        self._stack = []
        self._explicit = False
        watched = self._watched
        if watched is not None:
            try:
                if watched.error is None:
                    await watched.send(["UNWATCH"])
            finally:
                self._release()

    async def aclose(self) -> None:
        """Same as ``reset``."""
        await self.reset()

    def _release(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            self._connections.release(watched)

    # Executing.

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all gathered commands at once; return their results in order.

        Raises:
            ResponseError: the first error among the replies; unless ``raise_on_error`` is False,
                then errors stand among the results.
            redis.exceptions.WatchError: a watched key changed; nothing was done.
        """
        stack, self._stack = self._stack, []
        try:
            if not stack and self._watched is None:
                return []
            if self._transaction or self._explicit:
                replies = await self._run_transaction(stack)
            else:
                replies = await self._run(stack)
            return self._results(stack, replies, raise_on_error)
        finally:
            await self.reset()

    async def _run(self, stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]]) -> list[Reply]:
        commands = [command for _, command, _ in stack]
        if Kind.BLOCKING in {plan.kind for plan, _, _ in stack}:
            connection = await self._connections.acquire()
            try:
                connection.set_timeout(None)
                return await connection.send_batch(commands)
            finally:
                self._connections.release(connection, reusable=connection.idle)
        connection = await self._connections.ready()
        return await connection.send_batch(commands)

    async def _run_transaction(
        self, stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]]
    ) -> list[Reply]:
        connection = self._watched or await self._connections.ready()
        commands = [command for _, command, _ in stack]
        if not stack:
            return []
        *queued, executed = await connection.send_batch([("MULTI",), *commands, ("EXEC",)])
        if executed is None:
            raise redis.exceptions.WatchError("a watched key changed")
        if isinstance(executed, ErrorReply):
            # The first command that was refused says more than EXECABORT does.
            for index, reply in enumerate(queued[1:]):
                if isinstance(reply, ErrorReply):
                    raise self._noted(error_from_reply(reply), index, commands[index])
            raise error_from_reply(executed)
        return cast("list[Reply]", executed)

    def _results(
        self,
        stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]],
        replies: list[Reply],
        raise_on_error: bool,
    ) -> list[Any]:
        results: list[Any] = []
        shape = self._client.shape
        for index, ((plan, command, options), reply) in enumerate(zip(stack, replies, strict=True)):
            if not options and reply.__class__ is bytes:  # by far the most frequent
                results.append(shape(plan, reply, options))
                continue
            empty = options.pop(EMPTY_RESPONSE, _MISSING)
            if isinstance(reply, ErrorReply):
                if empty is not _MISSING:
                    results.append(empty)
                    continue
                error = self._noted(error_from_reply(reply), index, command)
                if raise_on_error:
                    raise error
                results.append(error)
            else:
                results.append(shape(plan, reply, options))
        return results

    @staticmethod
    def _noted(error: ResponseError, index: int, command: tuple[Any, ...]) -> ResponseError:
        """Say which command it was; its arguments may be secret."""
        name = command[0].decode() if isinstance(command[0], bytes) else command[0]
        error.add_note(f"command #{index + 1} ({name}) of the pipeline")
        return error

    # What redis-py's command classes ask of a client.

    def get_encoder(self) -> Any:
        """Return the client's encoder."""
        return self._client.get_encoder()

    def set_response_callback(self, command: str, callback: Any) -> None:
        """Refused: callbacks belong to the client."""
        raise DataError("set the callback on the client, not on a pipeline")


_MISSING = object()
