"""numeric on the wire."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal, getcontext, localcontext
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._numeric import NumericCodec

NUMERIC = NumericCodec("numeric")


def field_of(weight: int, sign: int, decimals: int, *groups: int) -> bytes:
    """Return a field as the server's numeric_send lays it out."""
    return pack(f"!HhHH{len(groups)}H", len(groups), weight, sign, decimals, *groups)


VECTORS = [
    ("0", field_of(-1, 0, 0)),
    ("0.00", field_of(-1, 0, 2)),
    ("1", field_of(0, 0, 0, 1)),
    ("-1", field_of(0, 0x4000, 0, 1)),
    ("9999", field_of(0, 0, 0, 9999)),
    ("12345", field_of(1, 0, 0, 1, 2345)),
    ("10001", field_of(1, 0, 0, 1, 1)),
    ("1234.5678", field_of(0, 0, 4, 1234, 5678)),
    ("0.1", field_of(-1, 0, 1, 1000)),
    ("-0.00012", field_of(-1, 0x4000, 5, 1, 2000)),
    ("0.000000001", field_of(-3, 0, 9, 1000)),
    ("1.10", field_of(0, 0, 2, 1, 1000)),
    ("100000000.000001", field_of(2, 0, 6, 1, 0, 0, 0, 100)),
]


@pytest.mark.parametrize(("text", "field"), VECTORS)
def test_vectors(text: str, field: bytes) -> None:
    decoded = NUMERIC.decode(field)
    assert f"{decoded:f}" == text
    assert type(decoded) is Decimal
    assert NUMERIC.encode(Decimal(text)) == field
    for length in range(len(field)):
        with pytest.raises(RemoteProtocolError, match="type numeric"):
            NUMERIC.decode(field[:length])
    with pytest.raises(RemoteProtocolError, match="type numeric"):
        NUMERIC.decode(field + b"\0")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        # What the server leaves out: groups of zeros at the end.
        (field_of(2, 0, 0, 5), "500000000"),
        (field_of(2, 0, 3, 5), "500000000.000"),
        (field_of(0, 0, 6, 1), "1.000000"),
        (field_of(-1, 0, 7, 1), "0.0001000"),
        (field_of(-1, 0, 4), "0.0000"),
        # What it does not send, but could: groups of zeros to begin with, more than is shown.
        (field_of(1, 0, 0, 0, 7), "7"),
        (field_of(0, 0, 1, 1, 2345), "1.2"),
        # So many zeros are not spelled out.
        (field_of(0x7FFF, 0, 0, 1), "1E+131068"),
        (field_of(0x7FFF, 0x4000, 5, 12, 3400), "-1234E+131066"),
    ],
)
def test_what_is_read(field: bytes, text: str) -> None:
    decoded = NUMERIC.decode(field)
    assert decoded == Decimal(text)
    if "E" not in text:
        assert str(decoded) == text


@pytest.mark.parametrize(
    ("sign", "text"), [(0xC000, "NaN"), (0xD000, "Infinity"), (0xF000, "-Infinity")]
)
def test_what_is_no_number(sign: int, text: str) -> None:
    field = field_of(0, sign, 0)
    assert str(NUMERIC.decode(field)) == text
    assert NUMERIC.encode(Decimal(text)) == field
    assert NUMERIC.encode(text) == field


@pytest.mark.parametrize("text", ["-NaN", "sNaN", "NaN123", "-sNaN5"])
def test_every_nan_is_the_same(text: str) -> None:
    assert NUMERIC.encode(Decimal(text)) == field_of(0, 0xC000, 0)


FINITE = st.builds(
    Decimal,
    st.tuples(
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=60).map(tuple),
        st.integers(-80, 80),
    ),
)


@given(FINITE)
def test_numbers_come_back(value: Decimal) -> None:
    decoded = NUMERIC.decode(NUMERIC.encode(value))
    assert decoded == value
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    assert decoded.as_tuple().exponent == min(exponent, 0)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1E+131071"),
        Decimal("-9" + "0" * 131000),
        Decimal("1E-16383"),
        Decimal("123456789" * 1000),
        Decimal("0." + "0" * 16000 + "7"),
    ],
)
def test_long_numbers_come_back(value: Decimal) -> None:
    assert NUMERIC.decode(NUMERIC.encode(value)) == value


def test_the_users_context_does_not_matter() -> None:
    with localcontext() as context:
        context.prec = 2
        context.clear_flags()
        value = NUMERIC.decode(field_of(1, 0, 4, 1, 2345, 6789))
        assert NUMERIC.encode(value) == field_of(1, 0, 4, 1, 2345, 6789)
        assert not any(getcontext().flags.values())
    assert str(value) == "12345.6789"


@pytest.mark.parametrize(
    "field",
    [
        field_of(0, 0x8000, 0, 1),
        field_of(0, 0, 0x4000, 1),
        field_of(0, 0, 0, 10000),
        field_of(1, 0, 0, 1, 0xFFFF),
        field_of(0x7FFF, 0, 0, 10000),
        pack("!HhHH", 0xFFFF, 0, 0, 0),
    ],
)
def test_malformed_fields(field: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="type numeric"):
        NUMERIC.decode(field)


def test_few_bytes_do_not_become_many() -> None:
    fields = [field_of(weight, 0, 0x3FFF, 1) for weight in (0x7FFF, -1, 0, 1000)]
    tracemalloc.start()
    values = [NUMERIC.decode(field) for field in fields * 100]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(values) == 400
    assert size < 1000 * len(values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        (True, "1"),
        (0.5, "0.5"),
        ("1.50", "1.50"),
        ((1, (1, 2), -1), "-1.2"),
        (10**40, str(10**40)),
    ],
)
def test_what_else_is_taken(value: Any, expected: str) -> None:
    assert str(NUMERIC.decode(NUMERIC.encode(value))) == expected


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("secret", ValueError),
        (None, TypeError),
        (b"1", TypeError),
        (object(), TypeError),
        (Decimal("1E-16384"), ValueError),
        (Decimal("1E+131072"), ValueError),
        (Decimal("9" * 262141), ValueError),
    ],
)
def test_what_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        NUMERIC.encode(value)
    assert "secret" not in str(caught.value)
    assert "9999" not in str(caught.value)
