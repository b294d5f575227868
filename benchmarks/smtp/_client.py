"""What an SMTP participant does."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from benchmarks._model import Participant
from benchmarks.smtp._delay import Delay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.smtp._data import Mail

__all__ = ["SMTPParticipant"]


class SMTPParticipant(Participant):
    """The work of the SMTP rows; it returns how many mails were accepted."""

    def __init__(self) -> None:
        self._delay: Delay | None = None

    async def connect(self, address: Address) -> None:
        """Open the connection that is kept open."""
        self.address = address
        await self.open(address)

    async def close(self) -> None:
        if self._delay is not None:
            await self._delay.stop()
        await self.quit()

    async def delayed_address(self) -> Address:
        """Return the address of the server behind an added round-trip time."""
        if self._delay is None:
            self._delay = await Delay.start(self.address)
        return self._delay.address

    @abstractmethod
    async def open(self, address: Address) -> None:
        """Open a connection, for `send`."""

    @abstractmethod
    async def quit(self) -> None:
        """Close it; does nothing if it could not be opened."""

    @abstractmethod
    async def send(self, mails: Sequence[Mail]) -> int:
        """Send the mails on that connection."""

    @abstractmethod
    async def session(self, address: Address, mails: Sequence[Mail]) -> int:
        """Open another connection, send the mails on it, and end it by QUIT."""
