"""uuid, jsonb, void, plain text, and codecs around others."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._pure import is_compiled
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import Int4Codec
from wirekit.protocols.postgres._scalars import (
    JsonbCodec,
    MappedCodec,
    PlainTextCodec,
    UUIDCodec,
    VoidCodec,
)

UUID = UUIDCodec("uuid")
JSONB = JsonbCodec("jsonb")


@given(st.uuids())
def test_uuids(value: uuid.UUID) -> None:
    assert UUID.encode(value) == value.bytes
    decoded = UUID.decode(value.bytes)
    assert type(decoded) is uuid.UUID
    assert decoded == value
    assert hash(decoded) == hash(value)
    assert str(decoded) == str(value)
    assert decoded.is_safe is uuid.SafeUUID.unknown
    assert pickle.loads(pickle.dumps(decoded)) == copy.deepcopy(decoded) == value
    assert UUID.encode(str(value)) == UUID.encode(value.hex.upper()) == value.bytes


def test_the_garbage_collector_passes_over_uuids() -> None:
    module: Any = sys.modules[UUIDCodec.__module__]
    assert gc.is_tracked(UUID.decode(bytes(16))) != is_compiled(module)


class Token(uuid.UUID):
    """A subclass of the user's."""


def test_what_else_is_a_uuid() -> None:
    assert UUID.encode(Token(int=5)) == uuid.UUID(int=5).bytes


class Bytes:
    bytes = b"short"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (5, TypeError),
        (b"0" * 16, TypeError),
        (None, TypeError),
        (Bytes(), ValueError),
        *[(text, ValueError) for text in ("", "0" * 31, "0" * 33, "secret" * 6, "x" * 32)],
        *[(text, ValueError) for text in (" " * 32, "0x" + "0" * 30, "٣" * 32, f"{'0' * 31} ")],
    ],
)
def test_what_is_no_uuid(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        UUID.encode(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_uuids_of_another_length(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type uuid in {length} bytes"):
        UUID.decode(bytes(length))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_jsonb(text: str) -> None:
    assert JSONB.encode(text) == b"\x01" + text.encode()
    assert JSONB.decode(b"\x01" + text.encode()) == text


def test_what_is_no_jsonb() -> None:
    with pytest.raises(RemoteProtocolError, match="type jsonb in 0 bytes"):
        JSONB.decode(b"")
    with pytest.raises(RemoteProtocolError, match="type jsonb in version 2"):
        JSONB.decode(b"\x02{}")
    with pytest.raises(UnicodeDecodeError):
        JSONB.decode(b"\x01\xff")
    with pytest.raises(TypeError, match="expected str, got dict"):
        JSONB.encode({})


def test_plain_text() -> None:
    codec = PlainTextCodec("odd")
    assert codec.format == 0
    assert codec.decode(codec.encode("ä")) == "ä"
    assert repr(codec) == "<PlainTextCodec odd text>"
    with pytest.raises(TypeError, match="expected str, got int"):
        codec.encode(1)


def test_void() -> None:
    codec = VoidCodec("void")
    assert codec.decode(b"") is None
    assert codec.encode("whatever") == b""
    with pytest.raises(RemoteProtocolError, match="type void in 1 bytes"):
        codec.decode(b"x")


def test_functions_around_a_codec() -> None:
    codec = MappedCodec("hex", Int4Codec("int4"), hex, lambda text: int(text, 16))
    assert codec.format == 1
    assert not codec.atomic
    assert codec.encode("0xff") == b"\0\0\0\xff"
    assert codec.decode(b"\0\0\0\xff") == "0xff"
    with pytest.raises(RemoteProtocolError):
        codec.decode(b"\0")
    with pytest.raises(ValueError, match="invalid literal"):
        codec.encode("x")


def test_one_function_around_a_codec() -> None:
    base = PlainTextCodec("text")
    with pytest.raises(TypeError, match="no encoder for values of type half"):
        MappedCodec("half", base, str.upper, None).encode("x")
    with pytest.raises(TypeError, match="no decoder for values of type half"):
        MappedCodec("half", base, None, str.upper).decode(b"x")
