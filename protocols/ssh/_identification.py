"""The protocol version exchange (RFC 4253 §4.2): one line each way before any packet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ._faults import DisconnectReason, PacketTooLarge, SSHProtocolError

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["Identification", "IdentificationReader", "Role", "check_identification"]

Role = Literal["client", "server"]

_MAX_LENGTH = 255  # of an identification, with CR LF
# What a server may say before it. The RFC leaves these open; OpenSSH has the first two.
_MAX_LINES = 1024
_MAX_LINE = 8192
_MAX_TOTAL = 256 * 1024

# Bytes beyond US-ASCII are let in, though the RFC does not allow them; control characters are not.
_IDENTIFICATION = re.compile(rb"SSH-([^- ]+)-([^ \x00-\x1f\x7f]+)(?: ([^\x00-\x1f\x7f]*))?")
_OWN = re.compile(r"SSH-2\.0-[!-,.-~]+(?: [ -~]*)?")
_VERSIONS = (b"2.0", b"1.99")  # the second is a server's that also speaks 1.x (§5.1)


@dataclass(frozen=True, slots=True)
class Identification:
    r"""An identification string, without CR LF: ``SSH-protoversion-softwareversion SP comments``.

    Bytes beyond US-ASCII are shown as ``\xe4``.
    """

    line: bytes

    def _part(self, group: int) -> str:
        match = _IDENTIFICATION.fullmatch(self.line)
        part = match[group] if match is not None else None
        return "" if part is None else part.decode("ascii", "backslashreplace")

    @property
    def protoversion(self) -> str:
        """``"2.0"``, or ``"1.99"`` of a server that also speaks 1.x."""
        return self._part(1)

    @property
    def softwareversion(self) -> str:
        """The name and the version of the peer's program."""
        return self._part(2)

    @property
    def comments(self) -> str:
        """What follows the first space."""
        return self._part(3)

    def __str__(self) -> str:
        return self.line.decode("ascii", "backslashreplace")


def check_identification(text: str) -> bytes:
    """Return an identification of our own as its line without CR LF.

    Raises:
        ValueError: it breaks a rule of §4.2.
    """
    if _OWN.fullmatch(text) is None or len(text) + 2 > _MAX_LENGTH:
        raise ValueError("an identification is SSH-2.0-softwareversion, and a comment behind space")
    return text.encode("ascii")


class IdentificationReader:
    """Finds the peer's identification, and the lines of text that a server says before it."""

    __slots__ = ("_line", "_role", "_total", "identification", "lines")

    def __init__(self, role: Role) -> None:
        self._role = role
        self._line = bytearray()
        self._total = 0
        self.lines: list[bytes] = []
        self.identification: Identification | None = None

    @property
    def trailing_data(self) -> bytes:
        """What came of a line that is not complete."""
        return bytes(self._line)

    def receive(self, data: Buffer) -> int:
        """Take bytes up to the end of the identification; return how many that were.

        Raises:
            SSHProtocolError: there is none, or it is of another version.
        """
        given = bytes(data)
        position = 0
        while self.identification is None and position < len(given):
            newline = given.find(b"\n", position)
            end = len(given) if newline < 0 else newline + 1
            self._line += given[position:end]
            self._check_begun()
            if newline >= 0:
                self._take_line(bytes(self._line[:-1]))
                self._line.clear()
            position = end
        return position

    def _check_begun(self) -> None:
        """Refuse a line as soon as that is possible."""
        begin = self._line[:4]
        if not b"SSH-".startswith(begin):
            if self._role == "server":
                raise SSHProtocolError("the client does not begin with its identification")
            if len(self._line) > _MAX_LINE:
                raise PacketTooLarge("a line of more than 8192 bytes before the identification")
        elif len(self._line) > _MAX_LENGTH:
            raise PacketTooLarge("an identification of more than 255 bytes")

    def _take_line(self, line: bytes) -> None:
        if line.endswith(b"\r"):  # a bare LF is what old implementations send
            line = line[:-1]
        if b"\r" in line or b"\0" in line:
            raise SSHProtocolError("a line with NUL or a bare CR before the key exchange")
        if line.startswith(b"SSH-"):
            self.identification = self._parse(line)
            return
        self.lines.append(line)
        self._total += len(line)
        if len(self.lines) > _MAX_LINES or self._total > _MAX_TOTAL:
            raise PacketTooLarge("too many lines before the identification")

    def _parse(self, line: bytes) -> Identification:
        if len(line) + 2 > _MAX_LENGTH:
            raise PacketTooLarge("an identification of more than 255 bytes")
        match = _IDENTIFICATION.fullmatch(line)
        if match is None:
            raise SSHProtocolError("an identification that is not SSH-protoversion-softwareversion")
        if match[1] not in _VERSIONS:
            reason = DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED
            raise SSHProtocolError("the peer speaks another version of SSH", reason)
        return Identification(line)
