"""What the rarer types share."""

from __future__ import annotations

from decimal import Decimal
from struct import Struct
from typing import Any

import pytest

from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._functions import (
    BINARY,
    TEXT,
    binary,
    check_length,
    decode_utf8,
    encode_text,
    malformed,
    pack_doubles,
    text,
    to_integer,
    unpack,
)


def test_a_binary_entry_is_binary_both_ways() -> None:
    entry = binary(17, bytes, None)
    assert entry == (17, BINARY, bytes, None, BINARY)


def test_a_text_entry_is_text_both_ways() -> None:
    entry = text(790, "money")
    assert (entry.oid, entry.format, entry.parameter_format) == (790, TEXT, TEXT)
    assert entry.decode("1,50 €".encode()) == "1,50 €"
    assert entry.encode is not None
    assert entry.encode("1,50 €") == "1,50 €".encode()


def test_a_text_entry_may_have_no_input() -> None:
    assert text(194, "pg_node_tree", receives=False).encode is None


def test_errors_name_the_type() -> None:
    with pytest.raises(RemoteProtocolError, match="type money: text that is not UTF-8"):
        text(790, "money").decode(b"\xff")
    assert str(malformed("point", "too short")) == "malformed value of type point: too short"


def test_lengths_are_exact() -> None:
    check_length(b"abc", 3, "x")
    assert unpack(Struct(">h"), b"\1\2", "x") == (258,)
    with pytest.raises(RemoteProtocolError, match="type x: 1 bytes where 2 belong"):
        unpack(Struct(">h"), b"\1", "x")


def test_text() -> None:
    assert decode_utf8("ä€".encode(), "x") == "ä€"
    assert encode_text("ä€") == "ä€".encode()
    with pytest.raises(TypeError, match="expected str, got int"):
        encode_text(5)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        encode_text("\ud800")


def test_doubles() -> None:
    assert pack_doubles() == b""
    assert pack_doubles(1, Decimal("2.5")) == Struct(">2d").pack(1.0, 2.5)


@pytest.mark.parametrize("wrong", ["1", None, b"1", [1]])
def test_what_is_no_double(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be real number"):
        pack_doubles(1.0, wrong)


def test_a_number_too_large_for_a_double() -> None:
    with pytest.raises(OverflowError):
        pack_doubles(10**400)


@pytest.mark.parametrize(("value", "integer"), [(5, 5), (True, 1), (1.9, 1), (Decimal(7), 7)])
def test_integers(value: Any, integer: int) -> None:
    assert to_integer(value, range(256), "uint8") == integer


def test_what_is_no_integer() -> None:
    with pytest.raises(TypeError, match=r"an integer is required \(got type 'str'\)"):
        to_integer("1", range(256), "uint8")
    for wrong in (-1, 256):
        with pytest.raises(OverflowError, match="value out of uint8 range"):
            to_integer(wrong, range(256), "uint8")
