"""Several connections to one server, and trying again what may be tried again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from wirekit._errors import AddressError, BlockedError, SocketClosed, TLSError
from wirekit.sockets import Backoff

from ._client import SMTP
from ._drafts import Draft, Sendable
from ._envelope import DEFAULT_OPTIONS, Mail, Options
from ._errors import (
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
    Uncertain,
    connection_error,
)
from ._many import Outcome, send_many
from ._results import SendResult, SMTPResponse, refused_recipients, replies_of
from ._url import client_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
    from email.message import Message
    from types import TracebackType
    from typing import Self

    from wirekit.sockets import AddressLike, Connector, Policy, TLSOptions

    from ._bodies import Source

__all__ = ["SMTPPool"]

_DEPTH = 16  # mails that are on their way on one connection


class SMTPPool:
    """Up to ``size`` connections to one server; mails go to the one that has least to do.

    What the server refuses for the time being (4yz), and what was lost before it was accepted, is
    sent again after a pause, at most ``attempts`` times in all; recipients that were accepted are
    left out then. What may have been accepted is never sent again: that is `Uncertain`. When the
    server wants less (421, or 4yz to the connection, the login, MAIL or the message), all of the
    pool pauses.

    Args:
        connector: makes the connections.
        address: where to.
        size: connections at most; they are made when they are needed.
        messages_per_connection: mails after which a connection is replaced; None for any number.
        attempts: how often a mail is sent at most.
        backoff: how long to pause before another attempt.
        **settings: of `SMTP`.

    Raises:
        AddressError: an option is wrong, or two do not go together.
    """

    def __init__(
        self,
        connector: Connector,
        address: AddressLike,
        *,
        size: int = 4,
        messages_per_connection: int | None = 100,
        attempts: int = 5,
        backoff: Backoff | None = None,
        **settings: Any,
    ) -> None:
        if size < 1 or attempts < 1:
            raise AddressError("size and attempts must be at least 1")
        settings["messages_per_connection"] = messages_per_connection
        self._clients = [
            SMTP(connector=connector, address=address, **settings) for _ in range(size)
        ]
        self._load = dict.fromkeys(self._clients, 0)
        self._places = asyncio.Semaphore(size * _DEPTH)
        self._attempts = attempts
        self._backoff = backoff or Backoff(initial=1.0, maximum=60.0)
        self._pauses = self._backoff.delays()
        self._paused_until = 0.0
        self._closed = asyncio.Event()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        connector: Connector | None = None,
        policy: Policy | None = None,
        connect_timeout: float | None = 10.0,
        tls: TLSOptions | None = None,
        allow_port_25: bool = False,
        **settings: Any,
    ) -> Self:
        """Return a pool for a URL; see `SMTP.from_url`.

        Args:
            url: see `parse_url`.
            connector: makes the connections, for example through a tunnel; directly by default.
            policy: which addresses may be connected to; any by default.
            connect_timeout: seconds for each connection.
            tls: options for TLS, such as a context of one's own.
            allow_port_25: whether the port may be 25.
            **settings: see `SMTPPool`; they go before those in the URL.

        Raises:
            AddressError: the URL or an option is wrong.
        """
        found = client_settings(
            url,
            connector=connector,
            policy=policy,
            connect_timeout=connect_timeout,
            tls=tls,
            allow_port_25=allow_port_25,
        )
        return cls(**{**found, **settings})

    async def aclose(self) -> None:
        """Let what is on its way be done, and close all connections; may be called again.

        Nothing is sent again any more; what waits for that fails.
        """
        self._closed.set()
        await asyncio.gather(*(client.aclose() for client in self._clients))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        connected = sum(client.is_connected for client in self._clients)
        state = f"{connected} of {len(self._clients)} connected"
        if self._closed.is_set():
            state = "closed"
        return f"<SMTPPool {state}>"

    # Sending

    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: Source,
        *,
        mail_options: Iterable[str] = (),
        rcpt_options: Iterable[str] = (),
    ) -> SendResult:
        """Send a message to recipients; see `SMTP.sendmail`.

        Raises:
            SMTPException: it was not accepted, for good or ``attempts`` times.
            Uncertain: it may have been.
        """
        options = DEFAULT_OPTIONS
        if mail_options or rcpt_options:
            options = Options(mail_options=tuple(mail_options), rcpt_options=tuple(rcpt_options))
        return await self.send(Mail(sender, recipients, message, options=options))

    async def send_message(
        self,
        message: Message,
        *,
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        options: Options = DEFAULT_OPTIONS,
    ) -> SendResult:
        """Send an `email.message.EmailMessage`; see `SMTP.send_message`.

        Raises:
            SMTPException: as `sendmail`.
        """
        return await self._persist(
            Draft(message, sender=sender, recipients=recipients, options=options)
        )

    async def send(self, mail: Sendable) -> SendResult:
        """Send a `Mail`, an `EmailMessage` or ``(sender, recipients, message)``; see `sendmail`."""
        return await self._persist(Draft(mail))

    def send_many(
        self,
        messages: Iterable[Sendable] | AsyncIterable[Sendable],
        *,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Send many mails over all connections; see `SMTP.send_many`.

        The outcomes come in the order of the mails, which need not be that of their sending.
        """
        return send_many(self._start, messages, progress)

    async def _start(self, message: Sendable) -> _Sending:
        self._refuse_if_closed()
        try:
            draft = Draft(message)
        except SMTPException as error:
            return _Sending(0, error)
        sending = asyncio.create_task(self._persist(draft), name="wirekit smtp pool")
        return _Sending(draft.size, sending)

    async def _persist(self, draft: Draft) -> SendResult:
        """Send a draft, again and again if that may help."""
        told: dict[str, SMTPResponse] = {}
        accepted: SMTPResponse | None = None
        for pause in chain(islice(self._backoff.delays(), self._attempts - 1), [None]):
            again = pause is not None
            try:
                result = await self._deliver(draft)
            except SMTPException as error:
                if isinstance(error, SMTPRecipientsRefused) and not draft.all_recipients:
                    told.update(replies_of(error))
                again = again and _is_transient(error) and draft.is_repeatable
                if not again and (accepted is None or isinstance(error, Uncertain)):
                    raise _with_all_replies(error, told) from error.__cause__
            else:
                told.update(result.recipients)
                accepted = accepted or result.response
            deferred = [name for name, reply in told.items() if 400 <= reply.code < 500]
            again = again and draft.is_repeatable and (accepted is None or bool(deferred))
            if not again or pause is None:
                break
            draft.renew(deferred or None)
            await self._pause(pause)
        if accepted is None:
            raise AssertionError("the last attempt neither failed nor succeeded")
        return SendResult.of(told, accepted)

    async def _deliver(self, draft: Draft) -> SendResult:
        """Send a draft once, over the connection that has least to do."""
        loop = asyncio.get_running_loop()
        if (pause := self._paused_until - loop.time()) > 0:
            await self._pause(pause)
        async with self._places:
            self._refuse_if_closed()
            client = min(self._clients, key=self._burden)
            self._load[client] += 1
            try:
                await client.open()
                result = await client.deliver(draft)
            except SMTPException as error:
                if _asks_for_less(error):
                    until = loop.time() + next(self._pauses)
                    self._paused_until = max(self._paused_until, until)
                raise
            finally:
                self._load[client] -= 1
        self._pauses = self._backoff.delays()
        return result

    async def _pause(self, seconds: float) -> None:
        """Wait for so long, unless the pool is closed meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _burden(self, client: SMTP) -> tuple[int, bool]:
        return self._load[client], not client.is_connected

    def _refuse_if_closed(self) -> None:
        if self._closed.is_set():
            raise connection_error(SocketClosed("the pool was closed"), sent=False)


class _Sending:
    """A mail that is sent by a task, or why it cannot be."""

    def __init__(self, size: int, sending: asyncio.Task[SendResult] | SMTPException) -> None:
        self.size = size
        self._sending = sending

    async def result(self) -> SendResult:
        if isinstance(self._sending, SMTPException):
            raise self._sending
        return await self._sending

    def abandon(self) -> None:
        if not isinstance(self._sending, SMTPException):
            self._sending.cancel()


def _is_transient(error: SMTPException) -> bool:
    """Whether the mail was not accepted, and may be when it is sent again."""
    if isinstance(error, SMTPRecipientsRefused):
        return any(400 <= refused.code < 500 for refused in error.recipients)
    if isinstance(error, SMTPResponseException):
        return 400 <= error.code < 500
    if isinstance(error, SMTPConnectError):
        return not isinstance(error, TLSError | BlockedError | AddressError)
    lost = isinstance(error, SMTPServerDisconnected) and not isinstance(error, SocketClosed)
    return lost or isinstance(error, SMTPTimeoutError)


def _asks_for_less(error: SMTPException) -> bool:
    """Whether it is the client rather than the recipient that the server has too much of."""
    if isinstance(error, SMTPResponseException):
        return 400 <= error.code < 500
    return isinstance(error, SMTPConnectError) and _is_transient(error)


def _with_all_replies(error: SMTPException, told: dict[str, SMTPResponse]) -> SMTPException:
    """Return the error with what was said of other recipients in earlier attempts."""
    if not isinstance(error, SMTPRecipientsRefused) or not told:
        return error
    return refused_recipients(told)
