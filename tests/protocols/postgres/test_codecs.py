"""The codecs of the simplest types."""

from __future__ import annotations

import math
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import (
    BoolCodec,
    ByteaCodec,
    Float4Codec,
    Float8Codec,
    FunctionCodec,
    Int2Codec,
    Int4Codec,
    Int8Codec,
    TextCodec,
    TypeCodec,
    UInt4Codec,
    UInt8Codec,
)

BOOL = BoolCodec("bool")
INT2, INT4, INT8 = Int2Codec("int2"), Int4Codec("int4"), Int8Codec("int8")
OID, XID8 = UInt4Codec("oid"), UInt8Codec("xid8")
FLOAT4, FLOAT8 = Float4Codec("float4"), Float8Codec("float8")
TEXT, BYTEA = TextCodec("text"), ByteaCodec("bytea")
INTEGERS = [(INT2, "h"), (INT4, "i"), (INT8, "q"), (OID, "I"), (XID8, "Q")]


def limits(code: str) -> tuple[int, int]:
    """Return the least and the greatest number of a layout."""
    bits = 8 * len(pack(f"!{code}", 0))
    return (0, 2**bits - 1) if code.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@pytest.mark.parametrize(("codec", "code"), INTEGERS)
@given(data=st.data())
def test_integers(codec: TypeCodec, code: str, data: st.DataObject) -> None:
    least, greatest = limits(code)
    edges = st.sampled_from([least, least + 1, 0, 1, greatest - 1, greatest])
    value = data.draw(st.integers(least, greatest) | edges)
    assert codec.encode(value) == pack(f"!{code}", value)
    assert codec.decode(pack(f"!{code}", value)) == value


@pytest.mark.parametrize(("codec", "code"), INTEGERS)
def test_integers_that_do_not_fit(codec: TypeCodec, code: str) -> None:
    least, greatest = limits(code)
    for value in (least - 1, greatest + 1, 2**64, -(2**64), 10**100):
        with pytest.raises(OverflowError, match=r"out of u?int"):
            codec.encode(value)
    for other in ("1", None, b"1", [1]):
        with pytest.raises(TypeError):
            codec.encode(other)


@pytest.mark.parametrize(
    ("codec", "size"),
    [(BOOL, 1), (INT2, 2), (INT4, 4), (INT8, 8), (OID, 4), (XID8, 8), (FLOAT4, 4), (FLOAT8, 8)],
)
def test_wrong_lengths(codec: TypeCodec, size: int) -> None:
    for length in {0, size - 1, size + 1, 100}:
        with pytest.raises(RemoteProtocolError, match=f"type {codec.name} in {length} bytes"):
            codec.decode(bytes(length))
    assert codec.atomic
    assert codec.format == 1


def test_booleans() -> None:
    assert BOOL.decode(b"\0") is False
    assert BOOL.decode(b"\1") is True
    assert (BOOL.encode(False), BOOL.encode(True)) == (b"\0", b"\1")
    for value in (1, 0, None, "t"):
        with pytest.raises(TypeError, match="a boolean is required"):
            BOOL.encode(value)


@given(st.floats())
def test_double_precision(value: float) -> None:
    assert FLOAT8.encode(value) == pack("!d", value)
    assert repr(FLOAT8.decode(pack("!d", value))) == repr(value)


@given(st.floats(width=32))
def test_single_precision(value: float) -> None:
    assert repr(FLOAT4.decode(FLOAT4.encode(value))) == repr(value)


def test_reals() -> None:
    assert FLOAT4.decode(FLOAT4.encode(0.1)) == pytest.approx(0.1)
    assert FLOAT8.decode(FLOAT8.encode(5)) == 5.0
    assert math.isinf(FLOAT4.decode(FLOAT4.encode(math.inf)))
    with pytest.raises(ValueError, match="out of float32 range"):
        FLOAT4.encode(1e300)
    for codec in (FLOAT4, FLOAT8):
        for value in ("1", None, b"1", 1j):
            with pytest.raises(TypeError, match="must be real number"):
                codec.encode(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text(value: str) -> None:
    assert TEXT.encode(value) == value.encode()
    assert TEXT.decode(value.encode()) == value


def test_what_is_no_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        TEXT.decode(b"\xff")
    with pytest.raises(UnicodeEncodeError):
        TEXT.encode("\ud800")
    for value in (1, None, b"x"):
        with pytest.raises(TypeError, match="expected str"):
            TEXT.encode(value)


@given(st.binary())
def test_bytes(value: bytes) -> None:
    for given_value in (value, bytearray(value), memoryview(value)):
        assert BYTEA.encode(given_value) == value
    assert BYTEA.decode(value) == value


def test_what_is_no_bytes() -> None:
    assert BYTEA.encode(memoryview(b"abcdef")[::2]) == b"ace"
    for value in ("x", 1, None, [1]):
        with pytest.raises(TypeError, match="a bytes-like object is required"):
            BYTEA.encode(value)


def test_functions() -> None:
    codec = FunctionCodec("hex", 0, bytes.hex, bytes.fromhex)
    assert (codec.name, codec.format, codec.atomic) == ("hex", 0, False)
    assert codec.decode(b"\xff") == "ff"
    assert codec.encode("ff") == b"\xff"
    assert FunctionCodec("x", 1, None, None, atomic=True).atomic
    as_bytearray: Any = bytearray
    assert FunctionCodec("x", 1, None, as_bytearray).encode(b"ab") == b"ab"
    with pytest.raises(TypeError, match="no decoder for values of type half"):
        FunctionCodec("half", 1, None, bytes).decode(b"")
    with pytest.raises(TypeError, match="no encoder for values of type half"):
        FunctionCodec("half", 1, bytes, None).encode(b"")


def test_the_base_has_no_values() -> None:
    codec = TypeCodec("thing")
    assert repr(codec) == "<TypeCodec thing binary>"
    with pytest.raises(NotImplementedError):
        codec.decode(b"")
    with pytest.raises(NotImplementedError):
        codec.encode(1)


@pytest.mark.parametrize("value", [object(), "secret" * 100])
def test_no_error_shows_a_value(value: Any) -> None:
    for codec in (BOOL, INT2, INT4, INT8, OID, XID8, FLOAT4, FLOAT8):
        with pytest.raises(TypeError) as caught:
            codec.encode(value)
        assert "secret" not in str(caught.value)
