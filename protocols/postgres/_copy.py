# cython: annotation_typing=False
"""What comes of a COPY from the server: its bytes as they are, or binary rows as `Record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, RemoteProtocolError
from wirekit.protocols import _native

from ._record import Record
from ._rows import RowReader, RowSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._backend import CopyResponse
    from ._codecs import TypeCodec
    from ._record import RecordKeys

__all__ = ["COPY_HEADER", "COPY_TRAILER", "CopyChunks", "CopyRows", "CopySink"]

# COPY, "Binary Format": the signature, then flags and the length of an extension, both none.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
COPY_HEADER = _SIGNATURE + bytes(8)
COPY_TRAILER = b"\xff\xff"
_HEADER_LENGTH = 19
_ROOM = 65536
_CRITICAL_FLAGS = 0xFFFF0000  # "if an unexpected bit is set in this range, the reader should abort"

_AT_HEADER = 0
_AT_ROWS = 1
_AT_END = 2


class CopySink(RowSink):
    """What a codec gives the body of each CopyData from the server to, in place.

    It goes with a `Query` as its ``reader``. After each call that gave it something, the codec
    returns a `CopyProgress`.

    Attributes:
        size: bytes that came and were not taken yet.
        error: what reading them raised; the rest is dropped.
        dropping: nobody wants them any more.
    """

    __slots__ = ("dropping", "error", "size")

    def __init__(self) -> None:
        self.size = 0
        self.error: Exception | None = None
        self.dropping = False

    def begin_copy(self, response: CopyResponse) -> None:
        """Take note that the data follows."""

    def read_copy(self, data: bytes, start: int, end: int) -> None:
        """Take the body of a CopyData, ``data[start:end]``.

        Raises:
            RemoteProtocolError: it is not in the format asked for.
        """
        raise NotImplementedError

    def end_copy(self) -> None:
        """Take note that the data is complete.

        Raises:
            RemoteProtocolError: it is not.
        """

    def take_copy(self) -> Any:
        """Return what became of the data so far, and forget it."""
        raise NotImplementedError

    def drop(self) -> None:
        """Forget the data, and whatever else of it comes."""
        self.dropping = True
        self.take_copy()

    def read_row(self, data: bytes, start: int, end: int) -> None:
        """Drop a row of a result, which is not what was asked for."""

    def take(self) -> Any:
        return []


class CopyChunks(CopySink):
    """Gives the data as it is, as `bytes`, cut somewhere between two messages."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        super().__init__()
        self._room = bytearray()  # kept, as making it costs more than filling it

    def read_copy(self, data: bytes, start: int, end: int) -> None:
        if not self.dropping:
            length = end - start
            room = len(self._room)
            if length > room - self.size:
                self._room += bytes(max(room, length, _ROOM))
            _native.put_span(self._room, self.size, data, start, end)
            self.size += length

    def take_copy(self) -> bytes:
        with memoryview(self._room) as room:
            data = bytes(room[: self.size])
        self.size = 0
        return data

    def drop(self) -> None:
        super().drop()
        self._room = bytearray()


class CopyRows(CopySink):
    """Makes `Record` objects, or of a subclass, from the binary format; gives them in lists.

    The server sends whole rows: "zero or more CopyData messages (always one per row)".

    Args:
        keys: the names of the columns.
        codecs: of the columns, all binary.
        record_class: what to make.
    """

    __slots__ = ("_place", "_reader", "_width")

    def __init__(
        self,
        keys: RecordKeys,
        codecs: Sequence[TypeCodec],
        record_class: type[Record] = Record,
    ) -> None:
        super().__init__()
        self._reader = RowReader(keys, codecs, record_class)
        self._width = len(keys.names)
        self._place = _AT_HEADER

    def begin_copy(self, response: CopyResponse) -> None:
        self._place = _AT_HEADER
        count = len(response.column_formats)
        if count != self._width:
            text = f"a COPY of {count} columns, where {self._width} were described"
            self.error = LocalProtocolError(text)

    def read_copy(self, data: bytes, start: int, end: int) -> None:
        position = start
        if self._place == _AT_HEADER:
            position = self._after_header(data, start, end)
            self._place = _AT_ROWS
        elif self._place == _AT_END:
            raise RemoteProtocolError("data behind the trailer of a binary COPY")
        while position < end:
            if end - position < 2:
                raise RemoteProtocolError("a binary COPY cut inside a column count")
            count = _native.read_int16(data, position)
            if count == -1:
                if end - position > 2:
                    raise RemoteProtocolError("data behind the trailer of a binary COPY")
                self._place = _AT_END
                break
            row = position
            position = _row_end(data, position + 2, end, count)
            if self.error is not None or self.dropping:
                continue
            try:
                self._reader.read_row(data, row, position)
            except RemoteProtocolError:
                raise
            except Exception as exc:  # a decoder's: it is its caller's
                self.error = exc
            self.size += position - row

    def _after_header(self, data: bytes, start: int, end: int) -> int:
        if end - start < _HEADER_LENGTH or data[start : start + 11] != _SIGNATURE:
            raise RemoteProtocolError("a binary COPY without its signature")
        if _native.read_uint32(data, start + 11) & _CRITICAL_FLAGS:
            raise RemoteProtocolError("a binary COPY with unknown flags")
        length = _native.read_int32(data, start + 15)
        if length < 0 or length > end - start - _HEADER_LENGTH:
            raise RemoteProtocolError("a binary COPY with a wrong header extension")
        return start + _HEADER_LENGTH + length

    def end_copy(self) -> None:
        if self._place != _AT_END:
            raise RemoteProtocolError("a binary COPY without its trailer")

    def take_copy(self) -> list[Any]:
        self.size = 0
        rows: list[Any] = self._reader.take()
        return rows


def _row_end(data: bytes, position: int, end: int, count: int) -> int:
    """Return where a row ends whose fields begin at ``position``."""
    if count < 0:
        raise RemoteProtocolError("a row of a negative number of columns")
    for _ in range(count):
        if end - position < 4:
            raise RemoteProtocolError("a row that ends before its last column")
        length = _native.read_int32(data, position)
        position += 4
        if length > end - position:
            raise RemoteProtocolError("a column longer than its row")
        if length > 0:
            position += length
        elif length < -1:
            raise RemoteProtocolError("a column of negative length")
    return position
