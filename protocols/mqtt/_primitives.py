"""Spans of buffers and new byte strings: what C does with pointers.

The codec calls these as ``_primitives.read_uint16(data, position)``. Compiled, the inline functions
of _primitives.pxd stand in their place; ``data`` and ``place`` are then bare pointers, so whoever
calls has checked the length. Both do the same.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "append_text",
    "buffer_data",
    "buffer_size",
    "close_buffer",
    "has_null",
    "hash_span",
    "new_bytes",
    "open_buffer",
    "place_of",
    "put_bytes",
    "put_span",
    "put_text",
    "read_bytes",
    "read_text",
    "read_uint16",
    "read_uint32",
    "same_span",
    "text_size",
    "to_bytes",
]


def open_buffer(data: Any) -> Any:
    """Hold a buffer; it cannot be resized until it is closed.

    Raises:
        TypeError: it is none.
        BufferError: it is not contiguous.
    """
    if type(data) is bytes:
        return data
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return bytes(view)


def buffer_data(buffer: Any) -> bytes:
    """Return the bytes of an open buffer."""
    data: bytes = buffer
    return data


def buffer_size(buffer: Any) -> int:
    """Return how many bytes an open buffer has."""
    return len(buffer)


def close_buffer(buffer: Any) -> None:
    """Let an open buffer go."""


def read_uint16(data: bytes, position: int) -> int:
    """Return a Two Byte Integer (§1.5.2)."""
    return data[position] << 8 | data[position + 1]


def read_uint32(data: bytes, position: int) -> int:
    """Return a Four Byte Integer (§1.5.3)."""
    return int.from_bytes(data[position : position + 4], "big")


def read_bytes(data: bytes, start: int, end: int) -> bytes:
    """Return ``data[start:end]`` as a byte string of its own."""
    return data[start:end]


def read_text(data: bytes, start: int, end: int) -> str:
    """Return UTF-8 as text.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return data[start:end].decode()


def has_null(data: bytes, start: int, end: int) -> bool:
    """Return whether there is a null byte in ``data[start:end]``."""
    return data.find(0, start, end) >= 0


def hash_span(data: bytes, start: int, end: int) -> int:
    """Return a number of 31 bits or less that is the same for the same bytes."""
    return hash(data[start:end]) & 0x7FFFFFFF


def same_span(known: bytes, data: bytes, start: int, end: int) -> bool:
    """Return whether ``data[start:end]`` is ``known``."""
    return data[start:end] == known


def new_bytes(size: int) -> Any:
    """Return room for a byte string, which must be filled before it is used."""
    return bytearray(size)


def place_of(room: Any) -> Any:
    """Return the room as something to write into."""
    return room


def to_bytes(room: Any) -> bytes:
    """Return the byte string that the room was for."""
    return bytes(room)


def put_span(place: Any, position: int, data: bytes, start: int, end: int) -> int:
    """Put ``data[start:end]`` at ``position``; return where it ends."""
    after = position + end - start
    place[position:after] = data[start:end]
    return after


def put_bytes(place: Any, position: int, data: bytes) -> int:
    """Put bytes at ``position``; return where they end."""
    after = position + len(data)
    place[position:after] = data
    return after


def append_text(out: bytearray, text: str) -> None:
    """Append a text's UTF-8, whose size is known to be right."""
    out += text.encode()


def text_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8.

    Raises:
        UnicodeEncodeError: it has surrogates.
    """
    return len(text.encode())


def put_text(place: Any, position: int, text: str) -> int:
    """Put a text's UTF-8 at ``position``; return where it ends."""
    return put_bytes(place, position, text.encode())
