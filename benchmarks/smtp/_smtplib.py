"""The standard library's smtplib, which blocks."""

from __future__ import annotations

import platform
import smtplib
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.smtp._client import SMTPParticipant
from benchmarks.smtp._data import HOSTNAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.smtp._data import Mail

__all__ = ["Client"]


class Client(SMTPParticipant):
    """One client on one connection, one mail after another."""

    name = "smtplib"
    note = "blocks the event loop, which costs it nothing here; sendmail() of bytes"

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()

    @classmethod
    def version(cls) -> str:
        return f"Python {platform.python_version()}"

    async def open(self, address: Address) -> None:
        self._smtp = self._stack.enter_context(_new(address))

    async def quit(self) -> None:
        self._stack.close()

    async def send(self, mails: Sequence[Mail]) -> int:
        return _send(self._smtp, mails)

    async def session(self, address: Address, mails: Sequence[Mail]) -> int:
        with _new(address) as smtp:
            return _send(smtp, mails)


def _new(address: Address) -> smtplib.SMTP:
    host, port = address
    return smtplib.SMTP(host, port, local_hostname=HOSTNAME, timeout=120)


def _send(smtp: smtplib.SMTP, mails: Sequence[Mail]) -> int:
    return sum(not smtp.sendmail(*mail) for mail in mails)
