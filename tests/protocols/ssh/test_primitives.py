"""RFC 4251 §5: the data types, with the examples of the RFC."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncssh.packet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.ssh._oracles import paramiko
from wirekit.protocols.ssh import Reader, SSHProtocolError
from wirekit.protocols.ssh._primitives import (
    encode_boolean,
    encode_byte,
    encode_mpint,
    encode_name_list,
    encode_string,
    encode_text,
    encode_uint32,
    encode_uint64,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# RFC 4251 §5
MPINTS = [
    (0, "00 00 00 00"),
    (0x9A378F9B2E332A7, "00 00 00 08 09 a3 78 f9 b2 e3 32 a7"),
    (0x80, "00 00 00 02 00 80"),
    (-0x1234, "00 00 00 02 ed cc"),
    (-0xDEADBEEF, "00 00 00 05 ff 21 52 41 11"),
    (-0x80, "00 00 00 01 80"),
    (-1, "00 00 00 01 ff"),
    (0x7F, "00 00 00 01 7f"),
]
NAME_LISTS = [
    ((), "00 00 00 00"),
    (("zlib",), "00 00 00 04 7a 6c 69 62"),
    (("zlib", "none"), "00 00 00 09 7a 6c 69 62 2c 6e 6f 6e 65"),
]


@pytest.mark.parametrize(("value", "encoded"), MPINTS)
def test_mpint(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert encode_mpint(value) == data
    reader = Reader(data)
    assert reader.mpint() == value
    reader.end()


@pytest.mark.parametrize(("names", "encoded"), NAME_LISTS)
def test_name_list(names: tuple[str, ...], encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert encode_name_list(names) == data
    assert Reader(data).name_list() == names


@pytest.mark.parametrize("data", [b"\0", b"\0\0", b"\0\x7f", b"\xff\x80", b"\xff\xff", b"\0\0\x80"])
def test_mpint_is_in_its_shortest_form(data: bytes) -> None:
    with pytest.raises(SSHProtocolError, match="mpint"):
        Reader(encode_string(data)).mpint()


@pytest.mark.parametrize(
    "data", [b",", b"a,", b",a", b"a,,b", b"a b", b"a\0", b"\xc3\xa9", b"a\n", b"a\x7f"]
)
def test_name_list_of_other_names_is_refused(data: bytes) -> None:
    with pytest.raises(SSHProtocolError, match="name-list"):
        Reader(encode_string(data)).name_list()


@pytest.mark.parametrize(("byte", "value"), [(0, False), (1, True), (2, True), (255, True)])
def test_all_but_0_is_true(byte: int, value: bool) -> None:
    assert Reader(bytes((byte,))).boolean() is value


def test_the_rest() -> None:
    reader = Reader(b"x\1" + bytes(7) + b"\2\0\0\0\3abcd", 1)
    assert reader.byte() == 1
    assert reader.position == 2
    assert reader.uint64() == 2
    assert reader.raw(4) == bytes((0, 0, 0, 3))
    assert not reader.at_end()
    assert reader.rest() == b"abcd"
    assert reader.at_end()
    assert reader.rest() == b""


def test_text_is_utf8_and_a_name_ascii() -> None:
    assert Reader(encode_text("é")).text() == "é"
    with pytest.raises(SSHProtocolError, match="UTF-8"):
        Reader(encode_string(b"\xff")).text()
    with pytest.raises(SSHProtocolError, match="US-ASCII"):
        Reader(encode_text("é")).name()


def test_end() -> None:
    reader = Reader(b"\1")
    with pytest.raises(SSHProtocolError, match="behind its end"):
        reader.end()
    reader.byte()
    reader.end()


READS: dict[str, tuple[bytes, Callable[[Reader], object]]] = {
    "byte": (b"\1", Reader.byte),
    "boolean": (b"\1", Reader.boolean),
    "uint32": (b"\1\2\3\4", Reader.uint32),
    "uint64": (b"\1\2\3\4\5\6\7\x08", Reader.uint64),
    "string": (b"\0\0\0\2ab", Reader.string),
    "text": (b"\0\0\0\2ab", Reader.text),
    "name": (b"\0\0\0\2ab", Reader.name),
    "mpint": (b"\0\0\0\2\1\2", Reader.mpint),
    "name_list": (b"\0\0\0\2ab", Reader.name_list),
}


@pytest.mark.parametrize("kind", READS)
def test_every_truncation_is_refused(kind: str) -> None:
    data, read = READS[kind]
    read(Reader(data))
    for size in range(len(data)):
        with pytest.raises(SSHProtocolError, match="ends inside a field"):
            read(Reader(data[:size]))


def test_a_length_that_lies_allocates_nothing() -> None:
    with pytest.raises(SSHProtocolError, match="ends inside a field"):
        Reader(b"\xff\xff\xff\xffab").string()


@given(st.integers(-(2**600), 2**600))
def test_mpint_round_trip_and_oracles(value: int) -> None:
    data = encode_mpint(value)
    assert Reader(memoryview(bytearray(data))).mpint() == value
    assert asyncssh.packet.MPInt(value) == data
    message = paramiko.Message()
    message.add_mpint(value)
    assert message.asbytes() == data or value == 0  # which it writes with a byte too many


@given(
    st.booleans(),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.text("abc@.-", min_size=1)),
)
def test_round_trip(
    truth: bool, byte: int, short: int, long: int, data: bytes, text: str, names: list[str]
) -> None:
    encoded = encode_boolean(truth) + encode_byte(byte) + encode_uint32(short)
    encoded += encode_uint64(long) + encode_string(data) + encode_text(text)
    encoded += encode_name_list(names)
    reader = Reader(encoded)
    assert (reader.boolean(), reader.byte(), reader.uint32()) == (truth, byte, short)
    assert (reader.uint64(), reader.string(), reader.text()) == (long, data, text)
    assert reader.name_list() == tuple(names)
    reader.end()


@given(st.binary(max_size=64))
def test_what_is_read_is_what_would_be_written(data: bytes) -> None:
    reader = Reader(data)
    with contextlib.suppress(SSHProtocolError):
        assert encode_mpint(reader.mpint()) == data[: reader.position]
    reader = Reader(data)
    with contextlib.suppress(SSHProtocolError):
        assert encode_name_list(reader.name_list()) == data[: reader.position]
