"""The client's side of SCRAM (RFC 5802, RFC 7677) for every adapter, by scramp."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Protocol, cast

import scramp  # type: ignore[import-untyped]  # it has no annotations; _Client has those in use

from wirekit._errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LARGEST_ITERATIONS", "Scram"]

LARGEST_ITERATIONS = 10_000_000
"""More is refused by scramp itself."""

_LEAST_ITERATIONS = 4096  # less is refused by scramp itself, but see _set_server_first
_INLINE_ITERATIONS = 10_000  # 3 ms; more goes to a thread
_SERVER_FIRST = re.compile(r"r=[^,]*,s=[^,]*,i=([1-9][0-9]*)(?:,|\Z)")


class _Client(Protocol):
    """What is used of scramp.ScramClient."""

    password: bytes  # scramp's own class has the same __bytes__
    server_first: str
    iterations: int

    def get_client_first(self) -> str: ...
    def set_server_first(self, message: str) -> None: ...
    def get_client_final(self) -> str: ...
    def set_server_final(self, message: str) -> None: ...


_new_client = cast("Callable[..., _Client]", cast("Any", scramp).ScramClient)
_ScramException = cast("type[Exception]", cast("Any", scramp).ScramException)


class Scram:
    """One SCRAM exchange (RFC 5802 §5, RFC 7677).

    Args:
        mechanism: ``"SCRAM-SHA-256"``, ``"SCRAM-SHA-256-PLUS"`` or one of the two with SHA-1.
        password: asked for once, when the server's first message has been found good; its bytes
            as the server hashed them, that is, prepared by SASLprep or what it has instead.
        channel_binding: the tls-server-end-point hash. Without -PLUS it makes the flag "y", we
            could bind and believe that the server cannot (RFC 5802 §6), and None "n".
        iterations: the least and the most that are accepted.
        username: is prepared by SASLprep.
        nonce: ours; None makes a random one.

    Raises:
        ValueError: SASLprep forbids the user name, or it is empty.
    """

    def __init__(
        self,
        mechanism: str,
        password: Callable[[], Awaitable[bytes]],
        channel_binding: bytes | None,
        *,
        iterations: tuple[int, int],
        username: str,
        nonce: str | None = None,
    ) -> None:
        self.mechanism = mechanism
        self.complete = False
        self._password = password
        self._answered = False
        self._least, self._most = iterations
        binding = None if channel_binding is None else ("tls-server-end-point", channel_binding)
        try:
            # scramp refuses passwords that some servers take; it gets the right bytes in respond().
            self._client = _new_client([mechanism], username, "", binding, nonce)
        except _ScramException as error:
            raise ValueError(f"the user name cannot be used: {error.args[0]}") from None

    async def start(self) -> bytes:
        """Return the client-first-message."""
        return self._client.get_client_first().encode()

    async def respond(self, data: bytes) -> bytes:
        """Return the client-final-message for the server-first-message.

        Raises:
            RemoteProtocolError: the message is malformed, comes at the wrong time, does not
                continue our nonce, or asks for too few or too many iterations.
        """
        if self._answered:
            raise RemoteProtocolError("a second SCRAM server-first-message")
        text = _decode(data)
        iterations = self._check_iterations(text)
        try:
            self._set_server_first(text, iterations)
        except _ScramException as error:
            raise _violation(error) from error
        self._client.password = await self._password()
        try:
            if iterations <= _INLINE_ITERATIONS:
                final = self._client.get_client_final()
            else:
                final = await asyncio.to_thread(self._client.get_client_final)
        finally:
            self._client.password = b""
        self._answered = True
        return final.encode()

    def finish(self, data: bytes) -> None:
        """Verify the server-final-message: whether the server knows the password too.

        Raises:
            RemoteProtocolError: it does not, or the message is malformed or comes too early.
        """
        if not self._answered or self.complete:
            raise RemoteProtocolError("a SCRAM server-final-message that is not due")
        try:
            self._client.set_server_final(_decode(data))
        except _ScramException as error:
            raise _violation(error) from error
        self.complete = True

    def _check_iterations(self, text: str) -> int:
        found = _SERVER_FIRST.match(text)
        if found is None:
            raise RemoteProtocolError("malformed SCRAM server-first-message")
        digits = found[1]
        if len(digits) > len(str(self._most)) or int(digits) > self._most:
            shown = digits if len(digits) <= 20 else f"{digits[:20]}..."
            raise RemoteProtocolError(
                f"the server asks for {shown} SCRAM iterations, max_iterations is {self._most}"
            )
        if int(digits) < self._least:
            raise RemoteProtocolError(
                f"the server asks for {digits} SCRAM iterations, min_iterations is {self._least}"
            )
        return int(digits)

    def _set_server_first(self, text: str, iterations: int) -> None:
        if iterations >= _LEAST_ITERATIONS:
            self._client.set_server_first(text)
            return
        # PostgreSQL's scram_iterations goes down to 1: show scramp a count that it accepts.
        self._client.set_server_first(
            text.replace(f",i={iterations}", f",i={_LEAST_ITERATIONS}", 1)
        )
        self._client.server_first = text
        self._client.iterations = iterations


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("a SCRAM message is not UTF-8") from None


def _violation(error: Exception) -> RemoteProtocolError:
    return RemoteProtocolError(f"the SCRAM exchange failed: {error.args[0]}")
