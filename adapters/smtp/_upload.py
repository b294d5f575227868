"""A content that is sent bit by bit, no faster than the server takes it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from wirekit.protocols import smtp

from ._errors import SMTPDataError, SMTPNotSupported, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.smtp import Reply

    from ._bodies import Body
    from ._connection import Connection

__all__ = ["Upload"]

_SLICE = 262144  # bytes of a content that are looked at together
_CHUNK = 65536  # bytes of it from which they are sent together


class Upload:
    """The content of one mail on its way, by DATA behind the 354, or by BDAT.

    Args:
        connection: where it goes.
        body: the content.
        ascii_only: whether it must be ASCII.
        chunks: how many chunks may be sent before the first of them is answered; 0 for DATA.
        on_refused: called when the server refuses a chunk, after which there is no further one.

    Attributes:
        refusal: why the server refused a chunk.
    """

    __slots__ = (
        "_ascii_only",
        "_body",
        "_chunks",
        "_connection",
        "_due",
        "_on_refused",
        "_stopped",
        "_waker",
        "refusal",
    )

    def __init__(
        self,
        connection: Connection,
        body: Body,
        *,
        ascii_only: bool,
        chunks: int = 0,
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self.refusal: SMTPDataError | None = None
        self._connection = connection
        self._body = body
        self._ascii_only = ascii_only
        self._chunks = chunks
        self._on_refused = on_refused
        self._due = 0  # chunks that are not answered
        self._stopped = False
        self._waker: asyncio.Future[None] | None = None

    async def send(self) -> bytes | None:
        """Send the content, and return the end of it, which is not sent; None if it was stopped.

        Raises:
            SMTPNotSupported: it is not ASCII and has to be.
            Exception: what the source of the content raised.
        """
        kept = bytearray()
        async with aclosing(self._body.pieces()) as pieces:
            async for piece in pieces:
                view = memoryview(piece).cast("B")
                for start in range(0, len(view), _SLICE):
                    data = bytes(view[start : start + _SLICE])
                    if self._ascii_only and not data.isascii():
                        text = "the server does not offer 8BITMIME, and the message is not ASCII"
                        raise SMTPNotSupported(text)
                    kept += data
                    if len(kept) >= _CHUNK and not self._stopped:
                        await self._send_some(bytes(kept))
                        kept.clear()
                    if self._stopped:
                        return None
        return None if self._stopped else bytes(kept)

    def stop(self) -> None:
        """Send no more of it."""
        self._stopped = True
        self._wake()

    async def _send_some(self, data: bytes) -> None:
        """Send some of it, and wait until there is room for more."""
        if self._chunks:
            self._due += 1
            self._connection.request(self._chunk_answered, smtp.Bdat(data))
        else:
            self._connection.write(smtp.MailData(data))
        await self._connection.drained()
        while self._chunks and self._due >= self._chunks and not self._stopped:
            self._waker = asyncio.get_running_loop().create_future()
            await self._waker

    def _chunk_answered(self, replies: list[Reply]) -> None:
        self._due -= 1
        if not replies[0].is_positive and self.refusal is None:
            self.refusal = refusal(SMTPDataError, replies[0])
            if self._on_refused is not None:
                self._on_refused()
        self._wake()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)
