"""The data types of RFC 4251 §5: read from a payload strictly, and written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ._faults import SSHProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wirekit.protocols._buffer import Buffer

__all__ = [
    "Reader",
    "encode_boolean",
    "encode_byte",
    "encode_mpint",
    "encode_name_list",
    "encode_string",
    "encode_text",
    "encode_uint32",
    "encode_uint64",
]

# Printable US-ASCII but the comma (RFC 4251 §6). That names have at most 64 characters is left to
# whoever makes them.
_NAMES = re.compile(rb"[!-+\--~]+(?:,[!-+\--~]+)*")


class Reader:
    """Reads one value after another from a payload.

    All methods raise `SSHProtocolError` where the payload ends too early or the value breaks its
    type's rules; none says what the payload held.
    """

    __slots__ = ("_data", "_position", "_size")

    def __init__(self, data: Buffer, position: int = 0) -> None:
        self._data = memoryview(data)
        self._position = position
        self._size = len(self._data)

    @property
    def position(self) -> int:
        """Where the next value begins."""
        return self._position

    def _take(self, size: int) -> memoryview:
        start = self._position
        end = start + size
        if end > self._size:
            raise SSHProtocolError("a message that ends inside a field")
        self._position = end
        return self._data[start:end]

    def raw(self, size: int) -> bytes:
        """Read that many bytes (``byte[n]``)."""
        return bytes(self._take(size))

    def byte(self) -> int:
        """Read one octet."""
        return self._take(1)[0]

    def boolean(self) -> bool:
        """Read a boolean; everything but 0 is true."""
        return self._take(1)[0] != 0

    def uint32(self) -> int:
        """Read 32 bits, the most significant first."""
        return int.from_bytes(self._take(4), "big")

    def uint64(self) -> int:
        """Read 64 bits, the most significant first."""
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        """Read arbitrary bytes behind their length."""
        return bytes(self._take(self.uint32()))

    def text(self) -> str:
        """Read a string that is UTF-8."""
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise SSHProtocolError("a text that is not UTF-8") from None

    def name(self) -> str:
        """Read a string that is US-ASCII, such as the name of an algorithm."""
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError:
            raise SSHProtocolError("a name that is not US-ASCII") from None

    def mpint(self) -> int:
        """Read a two's complement integer in its shortest form."""
        data = self.string()
        # The shortest form has no byte that only repeats the sign.
        if data[:1] == b"\0" and (len(data) == 1 or data[1] < 0x80):
            raise SSHProtocolError("an mpint with a byte that it does not need")
        if len(data) > 1 and data[0] == 0xFF and data[1] >= 0x80:
            raise SSHProtocolError("an mpint with a byte that it does not need")
        return int.from_bytes(data, "big", signed=True)

    def name_list(self) -> tuple[str, ...]:
        """Read names between commas."""
        data = self.string()
        if not data:
            return ()
        if _NAMES.fullmatch(data) is None:
            raise SSHProtocolError("a name-list with a name that is empty or not US-ASCII")
        return tuple(data.decode("ascii").split(","))

    def rest(self) -> bytes:
        """Read all that is left."""
        return bytes(self._take(self._size - self._position))

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._position == self._size

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self._position != self._size:
            raise SSHProtocolError("a message with bytes behind its end")


def encode_byte(value: int) -> bytes:
    """Return one octet."""
    return bytes((value,))


def encode_boolean(value: bool) -> bytes:
    """Return a boolean as 0 or 1."""
    return b"\1" if value else b"\0"


def encode_uint32(value: int) -> bytes:
    """Return 32 bits, the most significant first."""
    return value.to_bytes(4, "big")


def encode_uint64(value: int) -> bytes:
    """Return 64 bits, the most significant first."""
    return value.to_bytes(8, "big")


def encode_string(value: Buffer) -> bytes:
    """Return bytes behind their length."""
    return b"".join((len(value).to_bytes(4, "big"), value))


def encode_text(value: str) -> bytes:
    """Return a text as a string of UTF-8."""
    return encode_string(value.encode())


def encode_mpint(value: int) -> bytes:
    """Return an integer in two's complement, in its shortest form."""
    if value == 0:
        return b"\0\0\0\0"
    size = (value + (value < 0)).bit_length() // 8 + 1
    return encode_string(value.to_bytes(size, "big", signed=True))


def encode_name_list(names: Iterable[str]) -> bytes:
    """Return names between commas."""
    return encode_string(",".join(names).encode("ascii"))
