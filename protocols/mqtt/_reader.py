# cython: annotation_typing=False
"""The data types of §1.5, read from one packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit.protocols.mqtt import _primitives

from ._faults import malformed

if TYPE_CHECKING:
    from wirekit._errors import RemoteProtocolError

__all__ = ["Reader"]


class Reader:
    """Reads what a packet holds, field by field; ``name`` says in errors what a field is.

    All methods raise `Violation` where the packet ends too early or holds what is not allowed.
    """

    __slots__ = ("_data", "_end", "_owner", "_position")

    def __init__(self, data: bytes = b"") -> None:
        self._owner = data  # compiled, _data is a bare pointer into it
        self._data = self._owner
        self._position = 0
        self._end = len(data)

    def begin(self, data: bytes, start: int, end: int) -> None:
        """Read on in ``data[start:end]``, which must stay where it is until it is read."""
        self._data = data
        self._position = start
        self._end = end

    def remaining(self) -> int:
        """How many bytes are not read yet."""
        return self._end - self._position

    def byte(self, name: str) -> int:
        """Return a byte."""
        position = self._take(1, name)
        return self._data[position]

    def two_byte_integer(self, name: str) -> int:
        """Return a Two Byte Integer (§1.5.2)."""
        position = self._take(2, name)
        return _primitives.read_uint16(self._data, position)

    def four_byte_integer(self, name: str) -> int:
        """Return a Four Byte Integer (§1.5.3)."""
        position = self._take(4, name)
        return _primitives.read_uint32(self._data, position)

    def variable_byte_integer(self, name: str) -> int:
        """Return a Variable Byte Integer (§1.5.5)."""
        number = 0
        shift = 0
        while True:
            if shift > 21:
                raise malformed(f"{name} in more than four bytes", "MQTT-1.5.5-1")
            position = self._take(1, name)
            byte = self._data[position]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if byte == 0 and shift:
            raise malformed(f"{name} in more bytes than it needs", "MQTT-1.5.5-1")
        return number

    def binary_data(self, name: str) -> bytes:
        """Return Binary Data (§1.5.6)."""
        length = self.two_byte_integer(name)
        position = self._take(length, name)
        return _primitives.read_bytes(self._data, position, position + length)

    def text(self, name: str) -> str:
        """Return a UTF-8 Encoded String (§1.5.4)."""
        length = self.two_byte_integer(name)
        position = self._take(length, name)
        if _primitives.has_null(self._data, position, position + length):
            raise malformed(f"{name} with a null character", "MQTT-1.5.4-2")
        try:
            return _primitives.read_text(self._data, position, position + length)
        except UnicodeDecodeError:
            raise malformed(f"{name} that is not UTF-8", "MQTT-1.5.4-1") from None

    def part(self, length: int, name: str) -> Reader:
        """Return a reader of the next ``length`` bytes, and go on behind them."""
        position = self._take(length, name)
        part = Reader()
        part._owner = self._owner
        part.begin(self._data, position, position + length)
        return part

    def end(self, name: str) -> None:
        """Check that all of the packet was read."""
        if self._position != self._end:
            raise malformed(f"{name} with more bytes than it has fields")

    def _take(self, length: int, name: str) -> int:
        """Go on by so many bytes, and return where they begin."""
        position = self._position
        if length > self._end - position:
            raise self._too_short(name)
        self._position = position + length
        return position

    def _too_short(self, name: str) -> RemoteProtocolError:
        return malformed(f"{name} that does not fit its packet")
