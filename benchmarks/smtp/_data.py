"""The mails, and a few words with the server by hand."""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, NamedTuple

from benchmarks._model import WrongReply

if TYPE_CHECKING:
    from benchmarks._model import Address, Scale

__all__ = ["HOSTNAME", "Mail", "Replies", "mails_of", "prepare", "server_version"]

HOSTNAME = "localhost"  # what all call themselves, so that nobody asks the DNS
LINE = b"The quick brown fox jumps over the lazy dog, and so on to the end of the line.\r\n"


class Mail(NamedTuple):
    """One mail, as the libraries take it; lines end in CRLF and begin with no dot."""

    sender: str
    recipient: str
    content: bytes


@functools.lru_cache(maxsize=8)
def mails_of(size: int, count: int) -> list[Mail]:
    """Return mails of ``size`` bytes of content, no two of them alike."""
    return [_mail(size, number) for number in range(count)]


def _mail(size: int, number: int) -> Mail:
    header = (
        f"From: sender@wirekit.example\r\nTo: user{number:06}@wirekit.example\r\n"
        f"Subject: Mail {number:06}\r\n\r\n"
    ).encode()
    left = size - len(header)
    # The last line takes what is left, and so may be a little longer.
    count = max(0, (left - 2) // len(LINE) - 1)
    content = header + LINE * count
    content += b"x" * (size - len(content) - 2) + b"\r\n"
    return Mail("sender@wirekit.example", f"user{number:06}@wirekit.example", content)


class Replies:
    """Reads replies of one line each from a blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def expect(self, codes: list[bytes]) -> None:
        """Read so many replies.

        Raises:
            WrongReply: they are not those, or the connection ended.
        """
        while self._received.count(b"\n") < len(codes):
            data = self._connection.recv(65536)
            if not data:
                raise WrongReply("the server closed the connection")
            self._received += data
        *lines, self._received = self._received.split(b"\n", len(codes))
        if [line[:4] for line in lines] != codes:
            raise WrongReply(f"the server answered {lines!r}"[:200])

    def lines(self) -> list[bytes]:
        """Read one reply of any number of lines."""
        found: list[bytes] = []
        while not found or found[-1][3:4] == b"-":
            while b"\n" not in self._received:
                data = self._connection.recv(65536)
                if not data:
                    raise WrongReply("the server closed the connection")
                self._received += data
            line, _, self._received = self._received.partition(b"\n")
            found.append(line.rstrip(b"\r"))
        return found


def server_version(address: Address) -> str:
    """Return the server's name, such as ``"smtp-sink"``, from its greeting."""
    with socket.create_connection(address, timeout=30) as connection:
        greeting = Replies(connection).lines()[0].decode()
        connection.sendall(b"QUIT\r\n")
    return greeting.split()[1]


def prepare(address: Address, _scale: Scale) -> None:
    """Make sure that the server offers PIPELINING, on which all of this rests."""
    with socket.create_connection(address, timeout=30) as connection:
        replies = Replies(connection)
        replies.lines()
        connection.sendall(b"EHLO localhost\r\n")
        offered = {line[4:] for line in replies.lines()}
        connection.sendall(b"QUIT\r\n")
    if b"PIPELINING" not in offered:
        raise WrongReply("the server does not offer PIPELINING")
