# cython: annotation_typing=False
"""uuid, jsonb, void, types that travel as text, and codecs that users put around others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, SafeUUID

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TextCodec, TypeCodec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonbCodec", "MappedCodec", "PlainTextCodec", "UUIDCodec", "VoidCodec"]

# UUID.__init__ takes three times as long as all the rest of a uuid; the slots are what it sets.
_UUID_INT = UUID.__dict__["int"]
_UUID_IS_SAFE = UUID.__dict__["is_safe"]
_UNKNOWN = SafeUUID.unknown


class UUIDCodec(TypeCodec):
    """uuid."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 16:
            raise _faults.wrong_length(self.name, end - start)
        value = _native.new_object(UUID)
        _native.set_slot(_UUID_INT, value, _native.read_uuid_int(data, start))
        _native.set_slot(_UUID_IS_SAFE, value, _UNKNOWN)
        _native.untrack(value)
        return value

    def write(self, out: bytearray, value: Any) -> None:
        if type(value) is UUID:
            data = value.int.to_bytes(16, "big")
        elif isinstance(value, str):
            data = _parse_uuid(value)
        else:
            data = _bytes_of_uuid(value)
        _native.append_int32(out, 16)
        _native.append_bytes(out, data)


def _bytes_of_uuid(value: Any) -> bytes:
    """Return the bytes of what looks like a UUID, such as a subclass or another package's."""
    data = getattr(value, "bytes", None)
    if not isinstance(data, bytes):
        raise TypeError(f"expected UUID or str, got {type(value).__name__}")
    if len(data) != 16:
        raise ValueError("invalid UUID: 16 bytes are needed")
    return data


def _parse_uuid(text: str) -> bytes:
    digits = text.replace("-", "")
    if len(digits) == 32 and digits.isalnum():
        try:
            return bytes.fromhex(digits)
        except ValueError:
            pass
    raise ValueError("invalid UUID: 32 hexadecimal digits are needed") from None


class JsonbCodec(TypeCodec):
    """jsonb and jsonpath: a version number, which is 1, and text."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end == start:
            raise _faults.wrong_length(self.name, 0)
        if data[start] != 1:
            raise _faults.malformed(self.name, f"in version {data[start]}")
        return _native.read_text(data, start + 1, end)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, str):
            raise TypeError(f"expected str, got {type(value).__name__}")
        data = value.encode()
        _native.append_int32(out, len(data) + 1)
        out.append(1)
        _native.append_bytes(out, data)


class PlainTextCodec(TextCodec):
    """What goes in the text format because nothing more is known of its type."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.format = 0
        self.atomic = True


class VoidCodec(TypeCodec):
    """void, the result of functions that return nothing."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end != start:
            raise _faults.wrong_length(self.name, end - start)
        return None

    def write(self, out: bytearray, value: Any) -> None:
        _native.append_int32(out, 0)


class MappedCodec(TypeCodec):
    """Another codec behind two functions of the user's.

    Args:
        name: of the type, for errors.
        base: the codec that these values travel by.
        decode: makes the value from what ``base`` reads.
        encode: makes what ``base`` writes from the value. Either may be None and is then refused.
    """

    __slots__ = ("_base", "_decode", "_encode")

    def __init__(
        self,
        name: str,
        base: TypeCodec,
        decode: Callable[[Any], Any] | None,
        encode: Callable[[Any], Any] | None,
    ) -> None:
        self.name = name
        self.format = base.format
        self.atomic = False
        self._base = base
        self._decode = decode
        self._encode = encode

    def read(self, data: bytes, start: int, end: int) -> Any:
        if self._decode is None:
            raise TypeError(f"no decoder for values of type {self.name}")
        return self._decode(self._base.read(data, start, end))

    def write(self, out: bytearray, value: Any) -> None:
        if self._encode is None:
            raise TypeError(f"no encoder for values of type {self.name}")
        self._base.write(out, self._encode(value))
