"""Ours."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

from benchmarks.smtp._client import SMTPParticipant
from wirekit.adapters.smtp import SMTP
from wirekit.sockets import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address, Role
    from benchmarks.smtp._data import Mail

__all__ = ["Client"]


class Client(SMTPParticipant):
    """One client on one socket; one mail by ``sendmail``, more by ``send_many``."""

    name = "wirekit"
    role: ClassVar[Role] = "ours"
    distributions: ClassVar[tuple[str, ...]] = ("wirekit",)

    def __init__(self) -> None:
        super().__init__()
        self._stack = AsyncExitStack()

    async def open(self, address: Address) -> None:
        self._smtp = await self._stack.enter_async_context(SMTP(connect(address)))

    async def quit(self) -> None:
        await self._stack.aclose()

    async def send(self, mails: Sequence[Mail]) -> int:
        return await _send(self._smtp, mails)

    async def session(self, address: Address, mails: Sequence[Mail]) -> int:
        async with SMTP(connect(address)) as smtp:
            return await _send(smtp, mails)


async def _send(smtp: SMTP, mails: Sequence[Mail]) -> int:
    if len(mails) == 1:
        errors, _ = await smtp.sendmail(*mails[0])
        return int(not errors)
    return sum([outcome.error is None async for outcome in smtp.send_many(mails)])
