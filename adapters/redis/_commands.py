"""Sending commands on the client's connections, and shaping their replies as redis-py does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, cast

from redis._parsers.encoders import Encoder
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.commands import AsyncCoreCommands, AsyncRedisModuleCommands

from wirekit._errors import ConnectError, RemoteProtocolError, SocketClosed, TransportError
from wirekit.protocols.resp import VerbatimString, decode_text

from ._blocking import Blocking, blocking, replica_wait, word_of
from ._cache import CACHEABLE, Cache
from ._errors import DataError, ResponseError, connection_error
from ._responses import Kind, Plan, Plans, plain, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from wirekit.protocols.resp import Argument, Reply

    from ._connections import Connections
    from ._salvage import Salvage
    from ._settings import Settings

__all__ = ["Commands"]

_FOREIGN = frozenset([set, VerbatimString])  # redis-py has no such replies
_SLICE = 1.0  # seconds for which a blocking command may keep the only connection


_PLAIN = Kind.PLAIN  # looked up for every command


class Commands(AsyncRedisModuleCommands, AsyncCoreCommands):  # type: ignore[misc]  # its mixins disagree on command_info
    """redis-py's commands, sent on the connections of a client: the part of it that is busy."""

    _is_async_client: Literal[True] = True
    _event_dispatcher: Any = None  # redis-py's protocol names it, and none of its commands uses it

    _settings: Settings
    _plans: Plans
    decodes: bool
    _encoding: str
    _encoding_errors: str
    _cache: Cache | None
    _replay: bool
    _attempts: int
    _connections: Connections
    _salvage: Salvage

    async def execute(self, *command: Argument) -> Reply:
        """Send any command and return the raw reply, for example ``execute("GET", "key")``.

        Strings come as bytes, maps as dict, sets as set; nothing is decoded or reshaped.

        Raises:
            ResponseError: the server answered with an error.
            DataError: the command cannot be sent, or not here.
            TransportError: there is no connection, or it was lost; ``sent`` tells whether the
                command may have run.
        """
        if not command:
            raise DataError("name a command")
        plan = self._plans.of(command[0])
        command = (*plan.words, *command[1:]) if plan.words else command
        try:
            return await self._send(plan, command)
        except TransportError as error:
            if not self._may_repeat(error):
                raise
            return await self._repeat(plan, command)
        finally:
            if self._cache is not None:
                self._cache.forget_arguments(command)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command as redis-py's methods do, and return what they return."""
        plan = self._plans.of(args[0])
        command = (*plan.words, *args[1:]) if plan.words else args
        keys = options.pop("keys", None)
        try:
            if self._cache is None:
                # _send() without the call, since nearly everything passes here.
                connection = self._connections.current
                if connection is None or connection.congested or plan.kind is not _PLAIN:
                    reply = await self._send_slowly(plan, command)
                else:
                    reply = await connection.send(command)
                if reply.__class__ is bytes and plan.callback is None and not self.decodes:
                    return reply
            else:
                reply = await self._send_cached(self._cache, plan, command, keys)
        except ResponseError:
            if EMPTY_RESPONSE not in options:
                raise
            return options[EMPTY_RESPONSE]
        except TransportError as error:
            if not self._may_repeat(error):
                raise
            reply = await self._repeat(plan, command)
        finally:
            if self._cache is not None:
                self._cache.forget_arguments(command)
        options.pop(EMPTY_RESPONSE, None)
        return self.shape(plan, reply, options)

    def forget(self, commands: Iterable[tuple[Any, ...]]) -> None:
        """Forget cached replies that these commands of ours, now answered, may have changed."""
        if self._cache is not None:
            for command in commands:
                self._cache.forget_arguments(command)

    def shape(self, plan: Plan, reply: Any, options: dict[str, Any]) -> Any:
        """Return a raw reply as redis-py would: decoded and given to the command's callback."""
        if self.decodes and options.pop(NEVER_DECODE, None) is None:
            reply = decode_text(reply, self._encoding, self._encoding_errors)
        options.pop(NEVER_DECODE, None)
        if plan.inner_sets or reply.__class__ in _FOREIGN:
            reply = plain(reply)
        if plan.callback is None:
            return reply
        try:
            return plan.callback(reply, **options)
        except (AttributeError, LookupError, TypeError, ValueError):
            if plan.custom:
                raise
            # redis-py's own fails on a reply that is not the command's; it would show the reply.
        raise connection_error(RemoteProtocolError("the reply is not one that the command has"))

    def _send(self, plan: Plan, command: tuple[Any, ...]) -> Awaitable[Reply]:
        connection = self._connections.current
        if connection is not None and plan.kind is _PLAIN and not connection.congested:
            return connection.send(command)
        return self._send_slowly(plan, command)

    async def _send_slowly(self, plan: Plan, command: tuple[Any, ...]) -> Reply:
        if plan.kind is Kind.BLOCKING:
            how = blocking(command)
            if how is not None:
                return await self._send_blocking(command, how)
            self._refuse_long_wait(command)
        elif plan.kind is Kind.REFUSED:
            refuse(plan, command)
        connection = await self._connections.ready()
        return await connection.send(command)

    def _may_repeat(self, error: TransportError) -> bool:
        """A command that was never written, or that does no harm twice, may be sent again."""
        if isinstance(error, ConnectError | SocketClosed) or not self._connections.renewable:
            return False  # trying again is over
        return self._replay or not getattr(error, "sent", True)

    async def _repeat(self, plan: Plan, command: tuple[Any, ...]) -> Reply:
        for _ in range(self._attempts - 1):
            try:
                return await self._send_slowly(plan, command)
            except TransportError as error:
                if not self._may_repeat(error):
                    raise
        return await self._send_slowly(plan, command)

    async def _send_cached(
        self, cache: Cache, plan: Plan, command: tuple[Any, ...], keys: Any
    ) -> Reply:
        if not keys or plan.kind is not Kind.PLAIN or command[0] not in CACHEABLE:
            return await self._send(plan, command)
        found, reply = cache.look_up(command)
        if found:
            return reply
        place = cache.reserve(command, keys)
        try:
            reply = await self._send(plan, command)
        except BaseException:
            cache.drop(place)
            raise
        return cache.fill(place, reply)

    # Blocking commands.

    async def _send_blocking(self, command: tuple[Any, ...], how: Blocking) -> Reply:
        left = how.seconds(command)
        if self._connections.renewable or not how.sliceable:
            return await self._salvage.wait(command, how, left)
        # On the only connection: in slices, between which others get their turn.
        while left > _SLICE:
            command = how.limited(command, _SLICE)
            reply = await self._salvage.wait(command, how, _SLICE)
            if reply is not None:
                return reply
            left -= _SLICE
            command = how.limited(command, left)
            await asyncio.sleep(0)
        return await self._salvage.wait(command, how, left)

    def _refuse_long_wait(self, command: tuple[Any, ...]) -> None:
        limit = self._connections.settings.timeout
        wait = replica_wait(command)
        if wait is not None and limit is not None and wait >= limit:
            raise DataError(
                f"{word_of(command[0])} keeps every caller of this connection waiting: "
                f"give it a time limit below the client's timeout of {limit} s"
            )

    # What redis-py's command classes ask of a client.

    def get_encoder(self) -> Encoder:
        """Return the encoder of arguments and replies."""
        new = cast("Callable[..., Encoder]", Encoder)
        return new(self._encoding, self._encoding_errors, self.decodes)

    def get_connection_kwargs(self) -> dict[str, Any]:
        """Return what redis-py's commands may ask about the connection."""
        return {
            "db": self._settings.db,
            "protocol": self._settings.protocol,
            "decode_responses": self.decodes,
        }

    def set_response_callback(self, command: str, callback: Callable[..., Any]) -> None:
        """Shape the replies to a command by another function."""
        self._plans.set_callback(command, callback)

    def _decoded(self, reply: Reply) -> Any:
        return decode_text(reply, self._encoding, self._encoding_errors)
