"""The floor: a bare blocking socket with prebuilt bytes.

MAIL, RCPT and DATA go out together, the next ones together with the content of the mail before;
replies are told apart by their codes, and no reply becomes an object. The distance to it is the
price of a client library.
"""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, ClassVar

from benchmarks.smtp._client import SMTPParticipant
from benchmarks.smtp._data import HOSTNAME, Replies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address, Role
    from benchmarks.smtp._data import Mail

__all__ = ["Client"]

ENVELOPE = [b"250 ", b"250 ", b"354 "]


class Client(SMTPParticipant):
    """Not a library: what the machine, the kernel and the server allow."""

    name = "floor"
    role: ClassVar[Role] = "floor"
    note = "a blocking socket, prebuilt bytes out, and only the codes of replies looked at"

    def __init__(self) -> None:
        super().__init__()
        self._connection: _Connection | None = None

    @classmethod
    def version(cls) -> str:
        return "standard library"

    async def open(self, address: Address) -> None:
        self._connection = _Connection(address)

    async def quit(self) -> None:
        if self._connection is not None:
            self._connection.quit()

    async def send(self, mails: Sequence[Mail]) -> int:
        assert self._connection is not None
        return self._connection.send(tuple(mails))

    async def session(self, address: Address, mails: Sequence[Mail]) -> int:
        connection = _Connection(address)
        try:
            return connection.send(tuple(mails))
        finally:
            connection.quit()


class _Connection:
    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = Replies(self._socket)
        self._replies.expect([b"220 "])
        self._socket.sendall(f"EHLO {HOSTNAME}\r\n".encode())
        self._replies.lines()

    def send(self, mails: tuple[Mail, ...]) -> int:
        envelope, *pieces = _pieces(mails)
        self._socket.sendall(envelope)
        self._replies.expect(ENVELOPE)
        for piece in pieces[:-1]:
            self._socket.sendall(piece)
            self._replies.expect([b"250 ", *ENVELOPE])
        self._socket.sendall(pieces[-1])
        self._replies.expect([b"250 "])
        return len(mails)

    def quit(self) -> None:
        self._socket.sendall(b"QUIT\r\n")
        self._replies.lines()
        self._socket.close()


@functools.lru_cache(maxsize=8)
def _pieces(mails: tuple[Mail, ...]) -> list[bytes]:
    """Return the first envelope, then each content with the envelope of the next mail."""
    envelopes = [
        f"MAIL FROM:<{mail.sender}>\r\nRCPT TO:<{mail.recipient}>\r\nDATA\r\n".encode()
        for mail in mails
    ]
    following = [*envelopes[1:], b""]
    contents = [
        mail.content + b".\r\n" + envelope for mail, envelope in zip(mails, following, strict=True)
    ]
    return [envelopes[0], *contents]
