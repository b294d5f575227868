"""The client: aiosmtplib's habits on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import AddressError, SocketClosed
from wirekit.adapters._client import Client
from wirekit.sockets import as_socket

from ._commands import Commands
from ._drafts import Draft, Sendable
from ._envelope import DEFAULT_OPTIONS, Mail, Options
from ._login import Credentials, Token
from ._many import Outcome, send_many
from ._results import SendResult
from ._sending import Submission, deliver, timed_out
from ._sessions import Sessions
from ._settings import Settings
from ._url import client_settings

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Sequence,
    )
    from email.message import Message
    from typing import Self

    from wirekit.protocols.smtp import Capabilities
    from wirekit.sockets import AddressLike, Connector, Policy, Socket, SocketLike, TLSOptions

    from ._bodies import Source

__all__ = ["SMTP", "connect"]


class SMTP(Client, Commands):
    """A client for submission, SMTP or LMTP on a socket; ``async with`` opens and closes it.

    Any number of tasks may use it at once: their mails are sent in order, each right behind the
    one before if the server offers PIPELINING. A call that is cancelled before its content went
    out leaves nothing behind; one that is cancelled in the middle of it closes the connection,
    unless the content goes by BDAT, which can be taken back.

    A socket that was made with ``secure_transport="starttls"`` is upgraded before anything else,
    or there is no connection.

    With a ``connector`` and an ``address``, a new connection is made when the last one is over, as
    a server ends it that has heard nothing for a while.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        hostname: what we call ourselves; by default the address of our side, as a literal.
        username: who logs in.
        password: of the user.
        token: in place of it, an OAuth 2 access token, or a callable that gives one or an
            awaitable of it.
        mechanisms: the SASL mechanisms that may be used; by default all that are safe.
        start_tls: True: upgrade to TLS, or there is no connection; False: do not; None: do what
            the socket is made for.
        tls: options for the upgrade, besides those that the socket was made with.
        allow_plaintext_auth: let AUTH be sent without TLS.
        lmtp: speak LMTP (RFC 2033): every recipient has its own reply to the message.
        pipelining: pipeline if the server offers it.
        chunking: use BDAT if the server offers it.
        messages_per_connection: mails after which a new connection is made; None for never.
        allow_bare_lf: take replies whose lines end in LF without CR.
        timeout: seconds that the server may take for each reply, from first to last byte, and be
            without taking bytes; also the limit for opening and for closing. None for no limit.
        data_timeout: the same for the reply to a message (RFC 5321 §4.5.3.2.6).

    Raises:
        AddressError: an option is wrong, or two do not go together.
    """

    def __init__(
        self,
        socket: SocketLike | None = None,
        *,
        connector: Connector | None = None,
        address: AddressLike | None = None,
        hostname: str | None = None,
        username: str | None = None,
        password: str | None = None,
        token: Token | None = None,
        mechanisms: Collection[str] | None = None,
        start_tls: bool | None = None,
        tls: TLSOptions | None = None,
        allow_plaintext_auth: bool = False,
        lmtp: bool = False,
        pipelining: bool = True,
        chunking: bool = True,
        messages_per_connection: int | None = None,
        allow_bare_lf: bool = False,
        timeout: float | None = 60.0,
        data_timeout: float | None = 600.0,
    ) -> None:
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        if messages_per_connection is not None and messages_per_connection < 1:
            raise AddressError("messages_per_connection must be at least 1")
        settings = Settings(
            hostname=hostname,
            credentials=_credentials(username, password, token, mechanisms),
            start_tls=start_tls,
            tls=tls or {},
            lmtp=lmtp,
            allow_plaintext_auth=allow_plaintext_auth,
            pipelining=pipelining,
            chunking=chunking,
            messages_per_connection=messages_per_connection,
            allow_bare_lf=allow_bare_lf,
            timeout=timeout,
            data_timeout=data_timeout,
        )
        self._sessions = Sessions(
            settings,
            socket=None if socket is None else as_socket(socket),
            dial=None if connector is None else _dialler(connector, address),
        )

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
        """Return a client for a URL, not open yet: use ``async with``, or ``await client.open()``.

        It makes a new connection when the last one is over. Needs no running event loop.

        Args:
            url: see `parse_url`.
            connector: makes the connections, for example through a tunnel; directly by default.
            policy: which addresses may be connected to; any by default.
            connect_timeout: seconds for each connection.
            tls: options for TLS, such as a context of one's own.
            allow_port_25: whether the port may be 25.
            **settings: see `SMTP`; they go before those in the URL.

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

    async def open(self) -> Self:
        """Open the connection; ``async with`` does this.

        Raises:
            SMTPConnectError: there is no connection.
            SMTPAuthenticationError: the server refuses the login.
        """
        await self._sessions.open()
        return self

    async def aclose(self) -> None:
        """Let what was submitted be done, say QUIT and close; may be called again."""
        await self._sessions.aclose()

    def __repr__(self) -> str:
        current = self._sessions.current
        if current is None:
            return "<SMTP not open>"
        connection = current.connection
        state = "open" if connection.error is None else f"lost: {connection.error}"
        if isinstance(connection.error, SocketClosed):
            state = "closed"
        tls = " tls" if connection.secure else ""
        return f"<SMTP {connection.peer} {state}{tls}>"

    # What the server is like

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that stands."""
        return self._sessions.is_connected

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers.

        Raises:
            SMTPServerDisconnected: the client is not open.
        """
        return self._sessions.opened().connection.capabilities

    def supports_extension(self, extension: str) -> bool:
        """Whether the server offers an extension, by its EHLO keyword."""
        return extension.upper() in self.capabilities.keywords

    @property
    def esmtp_extensions(self) -> dict[str, str]:
        """The EHLO keywords in lower case and their parameters, as aiosmtplib has them."""
        return {key.lower(): value for key, value in self.capabilities.keywords.items()}

    # Sending

    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: Source,
        *,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> SendResult:
        """Send a message to recipients.

        Lone CR and LF become CRLF, and transparency is taken care of.

        Args:
            sender: the reverse-path; may be empty.
            recipients: one or more forward-paths.
            message: header and content: bytes, ASCII text, a path, a file or an iterable of bytes.
            mail_options: parameters of MAIL, such as ``"BODY=8BITMIME"``.
            rcpt_options: parameters of every RCPT, such as ``"NOTIFY=SUCCESS"``.
            timeout: seconds for all of it.

        Returns:
            ``(errors, message)``: the recipients that were refused, and the reply.

        Raises:
            SMTPSenderRefused: the sender was refused.
            SMTPRecipientsRefused: all recipients were.
            SMTPDataError: the message was.
            SMTPNotSupported: the server lacks an extension that it needs.
            SMTPArgumentError: an argument cannot be sent.
            SMTPServerDisconnected: the connection was lost; the message was not accepted.
            Uncertain: the connection was lost after the message was sent; it may be accepted.
        """
        options = DEFAULT_OPTIONS
        if mail_options or rcpt_options:
            options = Options(
                mail_options=tuple(mail_options or ()), rcpt_options=tuple(rcpt_options or ())
            )
        return await self.send(Mail(sender, recipients, message, options=options), timeout=timeout)

    async def send_message(
        self,
        message: Message,
        *,
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        options: Options | None = None,
        timeout: float | None = None,
    ) -> SendResult:
        """Send an `email.message.EmailMessage`; Bcc and Resent-Bcc are not sent with it.

        Args:
            message: the message.
            sender: by default what it says.
            recipients: by default all that it names.
            mail_options: parameters of MAIL.
            rcpt_options: parameters of every RCPT.
            options: how it is to be delivered; in place of the two above.
            timeout: seconds for all of it.

        Returns:
            As `sendmail`.

        Raises:
            SMTPException: as `sendmail`.
        """
        if options is None:
            options = DEFAULT_OPTIONS
            if mail_options or rcpt_options:
                options = Options(
                    mail_options=tuple(mail_options or ()), rcpt_options=tuple(rcpt_options or ())
                )
        draft = Draft(message, sender=sender, recipients=recipients, options=options)
        return await self._deliver(draft, timeout)

    async def send(self, mail: Sendable, *, timeout: float | None = None) -> SendResult:
        """Send a `Mail`, an `EmailMessage` or ``(sender, recipients, message)``; see `sendmail`."""
        return await self._deliver(Draft(mail), timeout)

    def send_many(
        self,
        messages: Iterable[Sendable] | AsyncIterable[Sendable],
        *,
        progress: Callable[[int, int | None], object] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Send many mails, and yield what became of each, in their order.

        One that fails does not keep the others from being sent. Whoever leaves the loop early gives
        up those that have no outcome yet: what is on its way may be accepted, or the connection
        closed.

        Args:
            messages: what `send` takes, asynchronously or not; taken as there is room.
            progress: called with the number of mails that are done and, if known, of all.

        Raises:
            SMTPException: there is no connection any more; every mail taken has had its outcome.
        """
        return send_many(partial(Submission.start, self._sessions), messages, progress)

    async def deliver(self, draft: Draft) -> SendResult:
        """Send a draft."""
        return await deliver(self._sessions, draft)

    async def _deliver(self, draft: Draft, timeout: float | None) -> SendResult:
        if timeout is None:
            return await deliver(self._sessions, draft)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await deliver(self._sessions, draft)
        except TimeoutError:
            if not limit.expired():
                raise
            outcome = timed_out(draft, f"the mail was not accepted within {timeout} s")
            if isinstance(outcome, SendResult):
                return outcome
            raise outcome from outcome.__cause__


async def connect(url: str, **settings: Any) -> SMTP:
    """Return an open client for a URL; takes the arguments of `SMTP.from_url`.

    Raises:
        AddressError: the URL or an option is wrong.
        SMTPConnectError: there is no connection.
        SMTPAuthenticationError: the server refuses the login.
    """
    return await SMTP.from_url(url, **settings).__aenter__()


def _credentials(
    username: str | None,
    password: str | None,
    token: Token | None,
    mechanisms: Collection[str] | None,
) -> Credentials | None:
    if username is None:
        if password is not None or token is not None:
            raise AddressError("a password or token needs a username")
        return None
    if (password is None) == (token is None):
        raise AddressError("a username needs a password or a token")
    allowed = None if mechanisms is None else frozenset(name.upper() for name in mechanisms)
    return Credentials(username=username, password=password, token=token, mechanisms=allowed)


def _dialler(connector: Connector, address: AddressLike | None) -> Callable[[], Awaitable[Socket]]:
    async def dial() -> Socket:
        return await connector(cast("AddressLike", address))

    return dial
