"""The commands that are no mail, under the names that aiosmtplib gives them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wirekit.protocols.smtp import Expn, Helo, Help, Noop, Quit, Rset, Vrfy

from ._errors import SMTPHeloError, SMTPResponseException, refusal
from ._exclusive import Session
from ._login import Credentials, Token, log_in
from ._results import SMTPResponse
from ._settings import say_hello, start_tls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from wirekit.protocols.smtp import Command, Reply

    from ._sessions import Sessions

__all__ = ["Commands"]


class Commands:
    """Each waits for its turn behind the mails that were submitted before."""

    _sessions: Sessions

    async def ehlo(self, hostname: str | None = None) -> SMTPResponse:
        """Say EHLO (LHLO with LMTP) again, and take note of what the server offers.

        Raises:
            SMTPHeloError: it is refused.
            SMTPServerDisconnected: the connection is over.
        """
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            reply = await say_hello(connection, self._sessions.settings, hostname)
            queue.renew()
        return SMTPResponse.of(reply)

    async def helo(self, hostname: str) -> SMTPResponse:
        """Say HELO; from then on there are no extensions.

        Raises:
            SMTPHeloError: it is refused.
        """
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            (reply,) = await connection.ask(Helo(hostname))
            if not reply.is_positive:
                raise refusal(SMTPHeloError, reply)
            queue.renew()
        return SMTPResponse.of(reply)

    async def starttls(self) -> SMTPResponse:
        """Upgrade to TLS, and say EHLO again; the socket must have been made for it.

        Raises:
            TLSError: the server does not offer it, or the handshake failed.
            AddressError: the socket is not made for it.
        """
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            reply = await start_tls(connection, self._sessions.settings)
            await say_hello(connection, self._sessions.settings)
            queue.renew()
        return SMTPResponse.of(reply)

    async def login(
        self,
        username: str,
        password: str | None = None,
        *,
        token: Token | None = None,
        mechanisms: Collection[str] | None = None,
    ) -> SMTPResponse:
        """Log in on the present connection; the constructor's arguments do so on each.

        Raises:
            SMTPAuthenticationError: the server refuses.
            SMTPNotSupported: it has no mechanism that both know.
        """
        credentials = Credentials(
            username=username,
            password=password,
            token=token,
            mechanisms=None if mechanisms is None else frozenset(map(str.upper, mechanisms)),
        )
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            allow_plaintext = self._sessions.settings.allow_plaintext_auth
            reply = await log_in(connection, credentials, allow_plaintext=allow_plaintext)
        return SMTPResponse.of(reply)

    async def noop(self) -> SMTPResponse:
        """See whether the server is there.

        Raises:
            SMTPResponseException: it refuses.
        """
        return await self._ask(Noop())

    async def rset(self) -> SMTPResponse:
        """Have the server forget a mail that was not finished; there is none, as a rule.

        Raises:
            SMTPResponseException: it refuses.
        """
        return await self._ask(Rset())

    async def vrfy(self, address: str, *, smtputf8: bool = False) -> SMTPResponse:
        """Ask whether a mailbox exists; many servers answer 252 to everything.

        Raises:
            SMTPResponseException: it does not, or the server does not say.
        """
        return await self._ask(Vrfy(address, smtputf8))

    async def expn(self, address: str, *, smtputf8: bool = False) -> SMTPResponse:
        """Ask who is on a mailing list.

        Raises:
            SMTPResponseException: the server does not say.
        """
        return await self._ask(Expn(address, smtputf8))

    async def help(self, topic: str = "") -> str:
        """Ask for help.

        Raises:
            SMTPResponseException: there is none.
        """
        return (await self._ask(Help(topic))).message

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Session]:
        """Have the connection alone, for a mail command by command or a command of an extension.

        ``async with client.session() as session: await session.mail(...)``. Everybody else waits
        until it is over, so nothing may be sent by the client itself in the meantime.

        Raises:
            SMTPServerDisconnected: the connection is over.
        """
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            session = Session(connection, lmtp=self._sessions.settings.lmtp)
            try:
                yield session
            finally:
                session.end()
                if session.unfinished:
                    queue.reset_next()

    async def quit(self) -> SMTPResponse:
        """Say goodbye and close the connection.

        Raises:
            SMTPResponseException: the server refuses to part.
        """
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            (reply,) = await connection.ask(Quit())
            closing = connection.close()
        await closing
        return _positive(reply)

    async def _ask(self, command: Command) -> SMTPResponse:
        queue = await self._sessions.ready()
        async with queue.alone() as connection:
            (reply,) = await connection.ask(command)
        return _positive(reply)


def _positive(reply: Reply) -> SMTPResponse:
    if not reply.is_positive:
        raise refusal(SMTPResponseException, reply)
    return SMTPResponse.of(reply)
