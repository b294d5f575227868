"""Pipelines and transactions: commands gathered here, sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from redis.client import EMPTY_RESPONSE
from redis.commands import AsyncCoreCommands, AsyncRedisModuleCommands
from redis.commands.core import AsyncScript

from wirekit._errors import RemoteProtocolError
from wirekit.protocols.resp import ErrorReply

from ._blocking import blocking, word_of
from ._errors import DataError, ResponseError, WatchError, connection_error, error_from_reply
from ._responses import Kind, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from redis._parsers.encoders import Encoder
    from redis.typing import ScriptTextT

    from wirekit.protocols.resp import Reply

    from ._client import Redis
    from ._connection import Connection
    from ._connections import Connections
    from ._responses import Plan, Plans

__all__ = ["Pipeline", "Script"]

_PLAIN = Kind.PLAIN  # looked up for every command


class Pipeline(AsyncRedisModuleCommands, AsyncCoreCommands):  # type: ignore[misc]  # its mixins disagree on command_info
    """Commands gathered by the client's methods and sent at once by ``execute``.

    With ``transaction`` they run as one, in MULTI and EXEC; after ``watch`` commands are sent one
    by one, until ``multi`` begins the gathering.

    Attributes:
        scripts: which are loaded before ``execute`` sends the commands.
    """

    _is_async_client: Literal[True] = True
    _event_dispatcher: Any = None  # redis-py's protocol names it, and none of its commands uses it

    def __init__(
        self, client: Redis, connections: Connections, plans: Plans, *, transaction: bool
    ) -> None:
        self.scripts: set[Script] = set()
        self._client = client
        self._connections = connections
        self._plans = plans
        self._transaction = transaction
        self._stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]] = []
        self._watched: Connection | None = None
        self._watching = False  # the server may still hold a WATCH of ours
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
        if plan.kind is not _PLAIN:
            self._not_plain(plan, command)
        if options:
            options.pop("keys", None)
        self._stack.append((plan, command, options))
        return self

    def _not_plain(self, plan: Plan, command: tuple[Any, ...]) -> None:
        if plan.kind is Kind.REFUSED:
            refuse(plan, command)
        if not (self._transaction or self._explicit):
            self._refuse_blocking(command)

    def _refuse_blocking(self, command: tuple[Any, ...]) -> None:
        # In MULTI they do not wait. Elsewhere a cancelled caller would lose what they popped.
        if blocking(command) is not None:
            raise DataError(f"{word_of(command[0])} cannot wait in a pipeline: call the client's")

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command at once, on the connection that watches."""
        if self._watched is None:
            return await self._client.execute_command(*args, **options)
        plan = self._plans.of(args[0])
        command = (*plan.words, *args[1:]) if plan.words else args
        refuse(plan, command)
        options.pop("keys", None)
        self._client.forget([command])
        self._refuse_blocking(command)
        reply = await self._watched.send(command)
        return self._client.shape(plan, reply, options)

    # Watching.

    async def watch(self, *names: Any) -> bool:  # type: ignore[override]  # mixin: None; redis-py's own pipeline: bool
        """Watch keys: ``execute`` raises WatchError if one of them changes before."""
        if self._explicit:
            raise DataError("cannot watch after multi()")
        if self._watched is None:
            self._watched = await self._connections.acquire()
        connection, first = self._watched, not self._watching
        self._watching = True
        try:
            await connection.send(["WATCH", *names])
        except BaseException:
            if first:
                self._unwatch()
            raise
        return True

    async def unwatch(self) -> bool:  # type: ignore[override]  # as above
        """Forget the watched keys."""
        self._unwatch()
        return True

    def multi(self) -> None:
        """Begin the transaction: commands are gathered from now on."""
        if self._explicit:
            raise DataError("multi() was called before")
        if self._stack:
            raise DataError("commands were gathered before watch()")
        self._explicit = True

    async def discard(self) -> None:
        """Forget the gathered commands and the watched keys."""
        await self.reset()

    async def reset(self) -> None:  # type: ignore[override]  # mixin: the command RESET
        """Forget the gathered commands and the watched keys."""
        self._stack = []
        self.scripts = set()
        self._explicit = False
        self._unwatch()

    async def aclose(self) -> None:
        """Same as ``reset``."""
        await self.reset()

    def _unwatch(self) -> None:
        """Give the connection back that watches, without waiting for anything."""
        watched = self._watched
        if watched is None:
            return
        reusable = watched.idle or not self._connections.renewable
        if self._watching and reusable and watched.error is None:
            # Whatever is sent next comes behind it; its reply is dropped.
            watched.send(["UNWATCH"]).cancel()
        self._release(reusable=reusable)

    def _release(self, *, reusable: bool) -> None:
        watched, self._watched = self._watched, None
        self._watching = False
        if watched is not None:
            self._connections.release(watched, reusable=reusable)

    # Executing.

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all gathered commands at once; return their results in order.

        Raises:
            ResponseError: the first error among the replies; unless ``raise_on_error`` is False,
                then errors stand among the results.
            redis.exceptions.WatchError: a watched key changed; nothing was done.
        """
        stack, scripts = self._stack, self.scripts
        self._stack, self.scripts = [], set()
        try:
            if not stack and not self._explicit:
                return []
            if scripts:
                await self._load(scripts)
            commands = [command for _, command, _ in stack]
            self._client.forget(commands)
            if self._transaction or self._explicit:
                replies = await self._run_transaction(commands)
            else:
                replies = await self._run(commands)
            self._client.forget(commands)
            return self._results(stack, replies, raise_on_error)
        finally:
            await self.reset()

    async def _load(self, scripts: set[Script]) -> None:
        """Make the server know the scripts: an EVALSHA here could not be repeated."""
        shas = [script.sha for script in scripts]
        known = await self.immediate_execute_command("SCRIPT EXISTS", *shas)
        for script, exists in zip(scripts, known, strict=True):
            if not exists:
                script.sha = await self.immediate_execute_command("SCRIPT LOAD", script.script)

    async def _run(self, commands: list[tuple[Any, ...]]) -> list[Reply]:
        if self._watched is not None:
            return await self._watched.send_batch(commands)
        connection = await self._connections.ready()
        return await connection.send_batch(commands)

    async def _run_transaction(self, commands: list[tuple[Any, ...]]) -> list[Reply]:
        connection = self._watched or await self._connections.ready()
        sent = [("MULTI",), *commands, ("EXEC",)]
        *queued, executed = await connection.send_batch(sent)
        self._watching = False  # EXEC ends it
        if executed is None:
            raise WatchError("a watched key changed")
        if isinstance(executed, ErrorReply):
            # The first command that was refused says more than EXECABORT does.
            for index, reply in enumerate(queued):
                if isinstance(reply, ErrorReply):
                    raise self._noted(error_from_reply(reply), index, sent[index])
            raise error_from_reply(executed)
        if not isinstance(executed, list) or len(executed) != len(commands):
            error = RemoteProtocolError("EXEC did not answer with one reply for each command")
            connection.fail(error)
            raise connection_error(error)
        return executed

    def _results(
        self,
        stack: list[tuple[Plan, tuple[Any, ...], dict[str, Any]]],
        replies: list[Reply],
        raise_on_error: bool,
    ) -> list[Any]:
        results: list[Any] = []
        shape = self._client.shape
        decodes = self._client.decodes
        for (plan, command, options), reply in zip(stack, replies, strict=True):
            if reply.__class__ is bytes and plan.callback is None and not decodes:
                results.append(reply)  # by far the most frequent
                continue
            if not isinstance(reply, ErrorReply):
                options.pop(EMPTY_RESPONSE, None)
                results.append(shape(plan, reply, options))
            elif EMPTY_RESPONSE in options:
                results.append(options[EMPTY_RESPONSE])
            else:
                error = self._noted(error_from_reply(reply), len(results) + 1, command)
                if raise_on_error:
                    raise error
                results.append(error)
        return results

    @staticmethod
    def _noted(error: ResponseError, number: int, command: tuple[Any, ...]) -> ResponseError:
        """Say which command it was; its arguments may be secret."""
        name = str(command[0], "utf-8", "replace") if isinstance(command[0], bytes) else command[0]
        error.add_note(f"command #{number} ({name}) of the pipeline")
        return error

    # What redis-py's command classes ask of a client.

    def get_encoder(self) -> Encoder:
        """Return the client's encoder."""
        return self._client.get_encoder()

    def get_connection_kwargs(self) -> dict[str, Any]:
        """Return what redis-py's commands may ask about the connection."""
        return self._client.get_connection_kwargs()

    def set_response_callback(self, command: str, callback: Callable[..., Any]) -> None:
        """Shape the replies to a command by another function, for the client as well."""
        self._client.set_response_callback(command, callback)

    def register_script(self, script: ScriptTextT) -> Script:  # type: ignore[override]  # mixin: self is redis-py's client
        """Return a Lua script that can be called with ``keys`` and ``args``."""
        return Script(cast("Any", self), script)


class Script(AsyncScript):
    """redis-py's script object, which knows our pipeline too: ``await script(keys, args, pipe)``.

    In a pipeline the call is gathered, and the script loaded when the pipeline is executed.
    """

    async def __call__(
        self,
        keys: Sequence[Any] | None = None,
        args: Iterable[Any] | None = None,
        client: Any = None,
    ) -> Any:
        """Run the script, on the client that registered it or on another, or in a pipeline."""
        target: Any = self.registered_client if client is None else client
        if isinstance(target, Pipeline):
            target.scripts.add(self)
        return await super().__call__(keys, args, cast("Any", target))
