"""What is called when the server tells something: notifications, log messages, the end; queries."""

from __future__ import annotations

import asyncio
import inspect
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from ._queries import Queries
from .exceptions import ClosedError, InterfaceError, log_message_from_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence

    from wirekit.protocols.postgres import NoticeResponse, NotificationResponse

    from ._results import Results
    from ._settings import Opened, Settings
    from ._statements import Statement

    Callback = Callable[..., object]

__all__ = ["Listeners", "LoggedQuery"]


class LoggedQuery(NamedTuple):
    """What a query logger is called with.

    Attributes:
        query: its text.
        args: its arguments.
        timeout: seconds that the call may take, None for no limit.
        elapsed: seconds that it took.
        exception: that it ended with, or None.
        conn_addr: host and port of the server, or the path of its Unix socket.
        conn_params: what the connection was told when it opened, such as ``user``.
    """

    query: str
    args: Any
    timeout: float | None
    elapsed: float
    exception: BaseException | None
    conn_addr: tuple[str, int] | str
    conn_params: Any


class _Limit(NamedTuple):
    """How long the call that is under way may take."""

    timeout: asyncio.Timeout
    seconds: float | None


_limit: ContextVar[_Limit | None] = ContextVar("wirekit postgres limit", default=None)


class _Unlogged(NamedTuple):
    """The methods that the logging ones stand before."""

    limited: Callable[[float | None], asyncio.Timeout]
    query: Callable[..., Coroutine[Any, Any, str]]
    execute: Callable[..., Coroutine[Any, Any, Results]]
    run_many: Callable[..., Coroutine[Any, Any, list[Any]]]


class _Channel:
    """A channel of notifications, and who listens to it."""

    __slots__ = ("callbacks", "listened", "listening")

    def __init__(self) -> None:
        self.callbacks: dict[Callback, None] = {}
        self.listened = False  # the server has said so
        self.listening = 0  # how many LISTENs are under way


class Listeners(Queries):
    """The part of the client that calls the user's functions.

    A function may be async. Each is called from the event loop, in a turn of its own; what it
    raises goes to the loop's exception handler.
    """

    _loop: asyncio.AbstractEventLoop
    _settings: Settings
    _unlogged: _Unlogged

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._channels: dict[str, _Channel] = {}
        self._log_listeners: dict[Callback, None] = {}
        self._termination_listeners: dict[Callback, None] = {}
        self._query_loggers: dict[Callback, None] = {}
        self._callback_tasks: set[asyncio.Future[Any]] = set()
        self._proxy: object | None = None  # of a pool, by which it is lent out
        self._on_lost: Callable[[], None] | None = None  # the pool's

    def _use(self, opened: Opened) -> None:
        super()._use(opened)
        self._loop = asyncio.get_running_loop()
        connection = opened.connection
        connection.on_notification = self._notified
        connection.on_notice = self._noticed

    # Notifications

    async def add_listener(self, channel: str, callback: Callback) -> None:
        """Call ``callback(connection, pid, channel, payload)`` for each notification."""
        self._check_listening()
        _check_callback(callback)
        listened = self._channels.setdefault(channel, _Channel())
        if not listened.listened:
            listened.listening += 1
            try:
                async with self._limited(None):
                    await self._query(f"LISTEN {quoted_identifier(channel)}")
                listened.listened = True
            finally:
                listened.listening -= 1
                if not listened.listened and not listened.listening:
                    self._channels.pop(channel, None)
        listened.callbacks[callback] = None

    async def remove_listener(self, channel: str, callback: Callback) -> None:
        """Undo `add_listener`; does nothing if it never was called so."""
        listened = self._channels.get(channel)
        if self._is_lost() or listened is None or callback not in listened.callbacks:
            return
        del listened.callbacks[callback]
        if listened.callbacks or listened.listening:
            return
        del self._channels[channel]
        async with self._limited(None):
            await self._ready()
            if channel not in self._channels:  # nobody listens again, or is about to
                await self._query(f"UNLISTEN {quoted_identifier(channel)}")

    def _notified(self, event: NotificationResponse) -> None:
        channel = self._channels.get(event.channel)
        if channel is not None:
            self._call(channel.callbacks, event.process_id, event.channel, event.payload)

    # Log messages

    def add_log_listener(self, callback: Callback) -> None:
        """Call ``callback(connection, message)`` for each notice or warning of the server."""
        self._check_listening()
        _check_callback(callback)
        self._log_listeners[callback] = None

    def remove_log_listener(self, callback: Callback) -> None:
        """Undo `add_log_listener`."""
        self._log_listeners.pop(callback, None)

    def _noticed(self, event: NoticeResponse) -> None:
        if self._log_listeners:
            self._call(self._log_listeners, log_message_from_fields(event.fields))

    # The end

    def add_termination_listener(self, callback: Callback) -> None:
        """Call ``callback(connection)`` when the connection is closed or lost."""
        _check_callback(callback)
        self._termination_listeners[callback] = None

    def remove_termination_listener(self, callback: Callback) -> None:
        """Undo `add_termination_listener`."""
        self._termination_listeners.pop(callback, None)

    def _lost(self) -> None:
        super()._lost()
        self._call(self._termination_listeners)
        self._termination_listeners.clear()
        self._forget_listeners()
        if self._on_lost is not None:
            self._on_lost()

    def _forget_listeners(self) -> None:
        self._channels.clear()
        self._log_listeners.clear()

    # Queries

    def add_query_logger(self, callback: Callback) -> None:
        """Call ``callback(record)`` with a `LoggedQuery` after each query."""
        _check_callback(callback)
        if not self._query_loggers:
            self._unlogged = _Unlogged(self._limited, self._query, self._execute, self._run_many)
            # An object's own attributes go before its class's, so that nothing is asked, query by
            # query, where there is no logger.
            vars(self).update(
                _limited=self._limited_and_logged,
                _query=self._query_and_log,
                _execute=self._execute_and_log,
                _run_many=self._run_many_and_log,
            )
        self._query_loggers[callback] = None

    def remove_query_logger(self, callback: Callback) -> None:
        """Undo `add_query_logger`."""
        self._query_loggers.pop(callback, None)
        if not self._query_loggers:
            for name in ("_limited", "_query", "_execute", "_run_many"):
                vars(self).pop(name, None)

    @contextmanager
    def query_logger(self, callback: Callback) -> Generator[None]:
        """Have a query logger while the block lasts."""
        self.add_query_logger(callback)
        try:
            yield
        finally:
            self.remove_query_logger(callback)

    def _limited_and_logged(self, timeout: float | None) -> asyncio.Timeout:
        limit = self._unlogged.limited(timeout)
        _limit.set(_Limit(limit, self._command_timeout if timeout is None else timeout))
        return limit

    async def _query_and_log(self, query: str, **options: Any) -> str:
        with self._logged(query, ()):
            return await self._unlogged.query(query, **options)

    async def _execute_and_log(
        self, query: str, values: Sequence[Any], *options: Any, **named: Any
    ) -> Results:
        with self._logged(query, values):
            return await self._unlogged.execute(query, values, *options, **named)

    async def _run_many_and_log(
        self, statement: Statement, args: Iterable[Sequence[Any]], *options: Any
    ) -> list[Any]:
        with self._logged(statement.query, args):
            return await self._unlogged.run_many(statement, args, *options)

    @contextmanager
    def _logged(self, query: str, args: Any) -> Generator[None]:
        limit = _limit.get()
        _limit.set(None)
        start = time.monotonic()
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and limit is not None and limit.timeout.expired():
                failure = TimeoutError()  # which is what the caller gets
            raise
        finally:
            elapsed = time.monotonic() - start
            record = LoggedQuery(
                query,
                args,
                None if limit is None else limit.seconds,
                elapsed,
                failure,
                self._address(),
                self._settings,
            )
            for callback in self._query_loggers:
                self._loop.call_soon(self._run_callback, callback, record)

    def _address(self) -> tuple[str, int] | str:
        peer = "" if self._connection is None else self._connection.peer
        host, _, port = peer.rpartition(":")
        return (host.strip("[]"), int(port)) if port.isdecimal() else peer.removeprefix("unix:")

    # Calling

    def _call(self, callbacks: Iterable[Callback], *args: Any) -> None:
        """Have functions called with this connection, or with the pool's proxy for it."""
        connection = self if self._proxy is None else self._proxy
        for callback in callbacks:
            self._loop.call_soon(self._run_callback, callback, connection, *args)

    def _run_callback(self, callback: Callback, *args: Any) -> None:
        result = callback(*args)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(_awaited(result))
            self._callback_tasks.add(task)
            task.add_done_callback(self._callback_done)

    def _callback_done(self, task: asyncio.Future[Any]) -> None:
        self._callback_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.call_exception_handler(
                {"message": "a listener failed", "exception": error, "task": task}
            )

    def _is_lost(self) -> bool:
        return self._connection is None or self._connection.error is not None

    def _check_listening(self) -> None:
        if self._is_lost():
            raise ClosedError("connection is closed")


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _check_callback(callback: object) -> None:
    if not callable(callback):
        text = f"expected a callable or an `async def` function, got {callback!r}"
        raise InterfaceError(text)


def quoted_identifier(name: str) -> str:
    """Return a name as SQL wants it, with its quotes doubled."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
