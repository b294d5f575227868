# cython: annotation_typing=False
"""numeric, as `decimal.Decimal`.

Source: numeric_send in src/backend/utils/adt/numeric.c: four uint16 (how many digits, the weight
of the first, the sign, the number of decimals that are shown), and digits to the base of 10000.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

from wirekit.protocols import _native

from . import _faults  # pyright: ignore[reportPrivateUsage]
from ._codecs import TypeCodec

__all__ = ["NumericCodec"]

_POSITIVE = 0x0000
_NEGATIVE = 0x4000
_NAN = 0xC000
_INFINITY = 0xD000
_NEGATIVE_INFINITY = 0xF000

_MAX_DECIMALS = 0x3FFF
_MAX_WEIGHT = 0x7FFF
_MAX_GROUPS = 0xFFFF
# A few bytes can claim hundreds of thousands of zeros; so many are spelled out and no more.
_MAX_ZEROS = 1000

# Its create_decimal() is Decimal() without the parsing of arguments; the precision is such that
# nothing is ever rounded.
_create_decimal = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX).create_decimal

_SPECIAL = {
    _NAN: Decimal("NaN"),
    _INFINITY: Decimal("Infinity"),
    _NEGATIVE_INFINITY: Decimal("-Infinity"),
}


class NumericCodec(TypeCodec):
    """numeric: decimals with the scale that the server shows."""

    __slots__ = ()

    def read(self, data: bytes, start: int, end: int) -> Any:
        if end - start < 8:
            raise _faults.wrong_length(self.name, end - start)
        groups = _native.read_uint16(data, start)
        if end - start != 8 + 2 * groups:
            raise _faults.wrong_length(self.name, end - start)
        weight = _native.read_int16(data, start + 2)
        sign = _native.read_uint16(data, start + 4)
        decimals = _native.read_uint16(data, start + 6)
        if sign != _POSITIVE and sign != _NEGATIVE:
            if sign in _SPECIAL:
                return _SPECIAL[sign]
            raise _faults.malformed(self.name, "with an unknown sign")
        if decimals > _MAX_DECIMALS:
            raise _faults.malformed(self.name, "with too many decimals")
        if groups == 0:
            return _create_decimal(f"0E-{decimals}")
        given = 4 * (groups - weight - 1)
        if -given > _MAX_ZEROS or decimals - given > _MAX_ZEROS:
            return _create_decimal(_with_exponent(self, data, start, groups, weight, sign))
        return _create_decimal(_digits(self, data, start, groups, weight, sign, decimals))

    def write(self, out: bytearray, value: Any) -> None:
        if type(value) is not Decimal:
            try:
                value = Decimal(value)
            except InvalidOperation:
                raise ValueError("a decimal number is required") from None
        text = str(value).encode("ascii")
        data = text
        position = 1 if data[0] == 45 else 0  # -
        if data[position] == 73:  # I
            _write_header(out, 0, 0, _NEGATIVE_INFINITY if position else _INFINITY, 0)
        elif data[position] > 57:  # a letter
            _write_header(out, 0, 0, _NAN, 0)
        else:
            _write_finite(out, text, position)


def _write_finite(out: bytearray, text: bytes, position: int) -> None:
    """Write a number as `str` spells it, with its first digit at ``position``."""
    sign = _NEGATIVE if position else _POSITIVE
    data = text
    end = len(text)
    exponent = 0
    mark = text.find(b"E")
    if mark >= 0:
        exponent = int(text[mark + 1 :])
        end = mark
    point = text.find(b".")
    if point >= 0:
        exponent -= end - point - 1
    decimals = -exponent if exponent < 0 else 0
    if decimals > _MAX_DECIMALS:
        raise ValueError("cannot encode Decimal value into numeric: exponent is too small")
    while position < end and data[position] <= 48:  # . and 0
        position += 1
    count = end - position - (1 if point >= position else 0)
    whole = count + exponent if count else 0  # digits before the point
    weight = (whole + 3) // 4 - 1
    padding = (weight + 1) * 4 - whole
    groups = (padding + count + 3) // 4
    if weight > _MAX_WEIGHT:
        raise ValueError("cannot encode Decimal value into numeric: exponent is too large")
    if groups > _MAX_GROUPS:
        raise ValueError("cannot encode Decimal value into numeric: too many digits")
    _write_header(out, groups, weight, sign, decimals)
    group = 0
    while position < end:
        if data[position] != 46:  # .
            group = group * 10 + data[position] - 48
            padding += 1
            if padding == 4:
                _native.append_int16(out, group)
                group = padding = 0
        position += 1
    if padding:
        while padding < 4:
            group *= 10
            padding += 1
        _native.append_int16(out, group)


def _digits(
    codec: TypeCodec, data: bytes, start: int, groups: int, weight: int, sign: int, decimals: int
) -> str:
    """Spell a number as the server does."""
    group = _read_group(codec, data, start, 0) if weight >= 0 else 0
    position = 1 if group < 10 else 2 if group < 100 else 3 if group < 1000 else 4
    if sign == _NEGATIVE:
        position += 1
    size = position
    if weight > 0:
        size += 4 * weight
    if decimals:
        size += 1 + decimals
    room = _native.new_ascii(size)
    characters = _native.ascii_bytes(room)
    number = position
    while True:
        number -= 1
        characters[number] = 48 + group % 10
        group //= 10
        if group == 0:
            break
    if sign == _NEGATIVE:
        characters[0] = 45
    number = 1 if weight >= 0 else weight + 1
    while position < size:
        if number == weight + 1:
            characters[position] = 46
            position += 1
        group = _read_group(codec, data, start, number) if 0 <= number < groups else 0
        number += 1
        characters[position] = 48 + group // 1000
        if size - position > 1:
            characters[position + 1] = 48 + group // 100 % 10
        if size - position > 2:
            characters[position + 2] = 48 + group // 10 % 10
        if size - position > 3:
            characters[position + 3] = 48 + group % 10
        position += 4
    return _native.to_text(room)


def _with_exponent(
    codec: TypeCodec, data: bytes, start: int, groups: int, weight: int, sign: int
) -> str:
    """Spell a number with no more digits than it came with."""
    digits = "".join([f"{_read_group(codec, data, start, number):04}" for number in range(groups)])
    return f"{'-' if sign == _NEGATIVE else ''}{digits}E{4 * (weight + 1 - groups)}"


def _read_group(codec: TypeCodec, data: bytes, start: int, number: int) -> int:
    group = _native.read_uint16(data, start + 8 + 2 * number)
    if group > 9999:
        raise _faults.malformed(codec.name, f"with a digit of {group}")
    return group


def _write_header(out: bytearray, groups: int, weight: int, sign: int, decimals: int) -> None:
    _native.append_int32(out, 8 + 2 * groups)
    _native.append_uint16(out, groups)
    _native.append_int16(out, weight)
    _native.append_uint16(out, sign)
    _native.append_int16(out, decimals)
