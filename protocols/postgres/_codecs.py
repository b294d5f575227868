# cython: annotation_typing=False
"""How values travel: a `TypeCodec` reads one type's fields in place and writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit._errors import RemoteProtocolError
from wirekit.protocols import _native

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "BoolCodec",
    "ByteaCodec",
    "Float4Codec",
    "Float8Codec",
    "FunctionCodec",
    "Int2Codec",
    "Int4Codec",
    "Int8Codec",
    "TextCodec",
    "TypeCodec",
    "UInt4Codec",
    "UInt8Codec",
]


class TypeCodec:
    """How the values of one type travel in one format.

    Args:
        name: of the type, for errors.

    Attributes:
        name: of the type, for errors.
        format: 1 for binary, 0 for text.
        atomic: whether its values hold no other Python objects.
    """

    __slots__ = ("atomic", "format", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.format = 1
        self.atomic = True

    def read(self, data: bytes, start: int, end: int) -> Any:
        """Return the value of the field ``data[start:end]``, which is not null.

        Raises:
            RemoteProtocolError: these bytes are no value of the type.
            ValueError, OverflowError: they are, and Python has none for it.
        """
        raise NotImplementedError

    def write(self, out: bytearray, value: Any) -> None:
        """Append a field: the length as an int32, and the value.

        Raises:
            TypeError, ValueError, OverflowError: it is no value of the type. What was appended
                must then be dropped.
        """
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        """Return the value of a field."""
        return self.read(data, 0, len(data))

    def encode(self, value: Any) -> bytes:
        """Return a field without its length."""
        out = bytearray()
        self.write(out, value)
        return bytes(out[4:])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {'binary' if self.format else 'text'}>"


def wrong_length(codec: TypeCodec, length: int) -> RemoteProtocolError:
    """Return the error for a field that cannot be as long as it is."""
    return RemoteProtocolError(f"a value of type {codec.name} in {length} bytes")


class FunctionCodec(TypeCodec):
    """A codec of two functions over the bytes of a field; one that is None is refused."""

    __slots__ = ("_decode", "_encode")

    def __init__(
        self,
        name: str,
        format: int,  # noqa: A002 - the protocol's word
        decode: Callable[[bytes], Any] | None,
        encode: Callable[[Any], bytes] | None,
        *,
        atomic: bool = False,
    ) -> None:
        self.name = name
        self.format = format
        self.atomic = atomic
        self._decode = decode
        self._encode = encode

    def read(self, data: bytes, start: int, end: int) -> Any:
        if self._decode is None:
            raise TypeError(f"no decoder for values of type {self.name}")
        return self._decode(data[start:end])

    def write(self, out: bytearray, value: Any) -> None:
        if self._encode is None:
            raise TypeError(f"no encoder for values of type {self.name}")
        data = self._encode(value)
        if type(data) is not bytes:
            data = bytes(data)
        _native.append_int32(out, len(data))
        _native.append_bytes(out, data)


class BoolCodec(TypeCodec):
    """bool."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 1:
            raise wrong_length(self, end - start)
        return data[start] != 0

    def write(self, out: bytearray, value: Any) -> None:
        if value is not True and value is not False:
            raise TypeError(f"a boolean is required (got type {type(value).__name__})")
        _native.append_int32(out, 1)
        out.append(1 if value is True else 0)


class Int2Codec(TypeCodec):
    """int2."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 2:
            raise wrong_length(self, end - start)
        return _native.read_int16(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        number = _integer(value)
        if not -0x8000 <= number <= 0x7FFF:
            raise OverflowError("value out of int16 range")
        _native.append_int32(out, 2)
        _native.append_int16(out, number)


class Int4Codec(TypeCodec):
    """int4."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 4:
            raise wrong_length(self, end - start)
        return _native.read_int32(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        number = _integer(value)
        if not -0x80000000 <= number <= 0x7FFFFFFF:
            raise OverflowError("value out of int32 range")
        _native.append_field32(out, number)


class Int8Codec(TypeCodec):
    """int8."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 8:
            raise wrong_length(self, end - start)
        return _native.read_int64(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        _native.append_field64(out, _integer(value))


class UInt4Codec(TypeCodec):
    """oid, xid and the like."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 4:
            raise wrong_length(self, end - start)
        return _native.read_uint32(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        number = _integer(value)
        if not 0 <= number <= 0xFFFFFFFF:
            raise OverflowError("value out of uint32 range")
        _native.append_int32(out, 4)
        _native.append_int32(out, number - 0x100000000 if number > 0x7FFFFFFF else number)


class UInt8Codec(TypeCodec):
    """xid8 and the like."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 8:
            raise wrong_length(self, end - start)
        return _native.read_uint64(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, int):
            raise TypeError(f"an integer is required (got type {type(value).__name__})")
        if not 0 <= value <= 0xFFFFFFFFFFFFFFFF:
            raise OverflowError("value out of uint64 range")
        _native.append_int32(out, 8)
        _native.append_bytes(out, value.to_bytes(8, "big"))


class Float4Codec(TypeCodec):
    """float4."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 4:
            raise wrong_length(self, end - start)
        return _native.read_float4(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        number = _native.as_float8(value)
        _native.append_int32(out, 4)
        try:
            _native.append_float4(out, number)
        except OverflowError:
            raise ValueError("value out of float32 range") from None


class Float8Codec(TypeCodec):
    """float8."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start != 8:
            raise wrong_length(self, end - start)
        return _native.read_float8(data, start)

    def write(self, out: bytearray, value: Any) -> None:
        number = _native.as_float8(value)
        _native.append_int32(out, 8)
        _native.append_float8(out, number)


class TextCodec(TypeCodec):
    """text, varchar, name, xml, enums, and whatever else is its own text in UTF-8."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        return _native.read_text(data, start, end)

    def write(self, out: bytearray, value: Any) -> None:
        if not isinstance(value, str):
            raise TypeError(f"expected str, got {type(value).__name__}")
        _native.append_text_field(out, value)


class ByteaCodec(TypeCodec):
    """bytea."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        return data[start:end]

    def write(self, out: bytearray, value: Any) -> None:
        if type(value) is not bytes:
            try:
                value = bytes(memoryview(value))
            except TypeError:
                text = f"a bytes-like object is required, not '{type(value).__name__}'"
                raise TypeError(text) from None
        _native.append_int32(out, len(value))
        _native.append_bytes(out, value)


def _integer(value: Any) -> int:
    return _native.as_int64(value if type(value) is int else _whole(value))


def _whole(value: Any) -> Any:
    """Return what asyncpg takes for an integer as well, such as a Decimal; but with no fraction."""
    if not hasattr(value, "__int__") or hasattr(value, "__index__"):
        return value
    number = int(value)
    if number != value:
        raise ValueError(
            f"'{type(value).__name__}' object with a fraction where an integer is wanted"
        )
    return number
