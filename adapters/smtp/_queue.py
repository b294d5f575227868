"""The order of mails on one connection: the next rides behind the one before where it may."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from wirekit._errors import ConnectionLost, Error
from wirekit.protocols.smtp import Capabilities

from ._errors import SMTPException, SMTPResponseException, SMTPServiceClosed, connection_error
from ._transaction import Stage, Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ._connection import Connection

__all__ = ["Outdated", "Queue"]

_WINDOW = 16  # mails that may be on their way at once; all are uncertain if the connection is lost


class Outdated(SMTPException):
    """Nothing of the mail was sent, because the server offers something else by now."""


class Queue:
    """Who may send on a connection, and when.

    Mails are sent in the order in which they were submitted. With PIPELINING the next begins as
    soon as the content of the one before is sent (RFC 2920 §3.1); everything else waits until
    nothing is on its way.

    Args:
        connection: the connection.
        lmtp: whether it speaks LMTP.
        pipelining: whether to pipeline if the server offers it.
        chunking: whether to use BDAT if the server offers it.
        most: how many mails may be sent on this connection; None for any number.

    Attributes:
        capabilities: what the server offers, and we want to use.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        lmtp: bool = False,
        pipelining: bool = True,
        chunking: bool = True,
        most: int | None = None,
    ) -> None:
        self.connection = connection
        self.lmtp = lmtp
        self.capabilities = Capabilities()
        self._pipelining = pipelining
        self._chunking = chunking
        self._offered: Capabilities | None = None
        self._left = most  # mails that may still be sent
        self._domains: set[str] = set()  # of the recipients until now, if they are counted
        self._waiting: deque[Transaction | asyncio.Future[None]] = deque()
        self._active: deque[Transaction] = deque()
        self._last: Transaction | None = None
        self._reset = False
        self._alone = False
        self._advancing = False
        connection.on_progress = self.advance
        connection.on_lost = self._lost
        self.renew()

    def renew(self) -> None:
        """Take note of what the server offers now."""
        offered = self.connection.codec.capabilities
        if offered is None or offered is self._offered:
            return
        self._offered = self.capabilities = offered
        pipelining = offered.pipelining and self._pipelining
        chunking = offered.chunking and self._chunking
        if (pipelining, chunking) != (offered.pipelining, offered.chunking):
            self.capabilities = replace(
                offered,
                pipelining=pipelining,
                chunking=chunking,
                binarymime=offered.binarymime and chunking,  # RFC 3030 §3: by BDAT only
            )
        limit = None if offered.limits is None else offered.limits.mailmax
        if limit is not None and (self._left is None or limit < self._left):
            self._left = limit

    @property
    def pipelining(self) -> bool:
        """Whether commands may be sent before the replies to those before."""
        return self.capabilities.pipelining

    @property
    def chunking(self) -> bool:
        """Whether BDAT is used."""
        return self.capabilities.chunking

    @property
    def is_spent(self) -> bool:
        """Whether no more mails are to be sent on it, also because of LIMITS (RFC 9422)."""
        return self._left == 0

    def submit(self, transaction: Transaction) -> None:
        """Put a mail at the end.

        Raises:
            TransportError: the connection is over, or takes no more mails.
        """
        if self.connection.error is not None:
            raise self._lost_error(self.connection.error)
        self._waiting.append(transaction)
        self.advance()

    def withdraw(self, transaction: Transaction) -> None:
        """Take out a mail that has not begun."""
        if transaction in self._waiting:
            self._waiting.remove(transaction)
            self.advance()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[Connection]:
        """Wait for the turn, and have the connection for commands that are no mail.

        Raises:
            TransportError: the connection is over.
        """
        if self.connection.error is not None:
            raise self._lost_error(self.connection.error)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.advance()
        try:
            await turn
            yield self.connection
        finally:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._alone = False
            self.advance()

    def reset_next(self) -> None:
        """Take note that something of a mail may be left on the server."""
        self._reset = True

    def advance(self) -> None:
        """Begin with what may begin."""
        if self._advancing:
            return
        self._advancing = True
        if self._offered is not self.connection.codec.capabilities:
            self.renew()  # whoever asked anew was cancelled
        try:
            while self._waiting and self.connection.error is None and self._is_free():
                self._begin(self._waiting.popleft())
        finally:
            self._advancing = False

    def _is_free(self) -> bool:
        if self._alone:
            return False
        if not self._active:
            return self.connection.idle
        return (
            self.pipelining
            and isinstance(self._waiting[0], Transaction)
            and self._active[-1].stage is Stage.SENT
            and len(self._active) < _WINDOW
            and not self.connection.full
        )

    def _begin(self, entry: Transaction | asyncio.Future[None]) -> None:
        if not isinstance(entry, Transaction):
            if not entry.done():
                self._alone = True
                entry.set_result(None)
            return
        if entry.capabilities is not self.capabilities:
            entry.fail(Outdated("the server's extensions have changed since the mail was made"))
            return
        if not self._has_room_for(entry):
            text = "no more mails are to be sent on this connection"
            entry.fail(connection_error(ConnectionLost(text), sent=False))
            return
        # What BDAT failed in may still be there (RFC 3030 §2), and whether it failed is not known
        # yet. What DATA did is gone with its final dot (RFC 5321 §4.1.1.4).
        reset = self._reset or (bool(self._active) and self._active[-1].chunked)
        self._active.append(entry)
        try:
            entry.begin(reset=reset)
        except Error as error:
            entry.fail(error)
        else:
            self._reset = False
            self._last = entry

    def _has_room_for(self, transaction: Transaction) -> bool:
        """Count a mail, unless the limits of the session are reached (RFC 9422 §4)."""
        if self._left == 0:
            return False
        limits = self.capabilities.limits
        if limits is not None and limits.rcptdomainmax is not None:
            domains = self._domains.union(transaction.domains)
            if len(domains) > limits.rcptdomainmax:
                self._left = 0  # whoever comes next gets a new connection, too
                return False
            self._domains = domains
        if self._left is not None:
            self._left -= 1
        return True

    def finished(self, transaction: Transaction, *, reset: bool) -> None:
        """Take note that a mail is done with.

        Args:
            transaction: the mail.
            reset: whether something of it may be left on the server.
        """
        if transaction in self._active:
            self._active.remove(transaction)
        if transaction is self._last:
            self._reset = self._reset or reset
            self._last = None
        self.advance()

    def _lost(self, error: Exception) -> None:
        for transaction in list(self._active):
            transaction.lost(error)
        waiting, self._waiting = self._waiting, deque()
        unsent = self._lost_error(error)
        for entry in waiting:
            if isinstance(entry, Transaction):
                entry.fail(connection_error(unsent, sent=False))
            elif not entry.done():
                entry.set_exception(connection_error(unsent, sent=False))

    def _lost_error(self, error: Exception) -> Exception:
        """Return what to tell someone of whom nothing was sent."""
        if isinstance(error, SMTPResponseException) and not isinstance(error, SMTPServiceClosed):
            error = ConnectionLost(f"the connection was closed: {error}")
        return connection_error(error, sent=False)
