"""aiosmtplib."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

import aiosmtplib

from benchmarks.smtp._client import SMTPParticipant
from benchmarks.smtp._data import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.smtp._data import Mail

__all__ = ["Client"]


class Client(SMTPParticipant):
    """One client on one connection, one mail after another."""

    name = "aiosmtplib"
    distributions: ClassVar[tuple[str, ...]] = ("aiosmtplib",)
    note = "sendmail() of bytes; it waits for each reply before the next command"

    def __init__(self) -> None:
        super().__init__()
        self._stack = AsyncExitStack()

    async def open(self, address: Address) -> None:
        self._smtp = await self._stack.enter_async_context(_new(address))

    async def quit(self) -> None:
        await self._stack.aclose()

    async def send(self, mails: Sequence[Mail]) -> int:
        return await _send(self._smtp, mails)

    async def session(self, address: Address, mails: Sequence[Mail]) -> int:
        async with _new(address) as smtp:
            return await _send(smtp, mails)


def _new(address: Address) -> aiosmtplib.SMTP:
    host, port = address
    return aiosmtplib.SMTP(hostname=host, port=port, local_hostname=HOSTNAME, start_tls=False)


async def _send(smtp: aiosmtplib.SMTP, mails: Sequence[Mail]) -> int:
    accepted = 0
    for sender, recipient, content in mails:
        errors, _ = await smtp.sendmail(sender, recipient, content)
        accepted += not errors
    return accepted
