"""The value types of RESP, and encoding."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest

from wirekit import LocalProtocolError
from wirekit.protocols.resp import (
    Attributed,
    BulkError,
    ErrorReply,
    Push,
    SimpleError,
    SimpleString,
    VerbatimString,
    encode,
)

# Value, RESP3, RESP2.
SPELLINGS: list[tuple[Any, bytes, bytes]] = [
    (None, b"_\r\n", b"$-1\r\n"),
    (True, b"#t\r\n", b":1\r\n"),
    (False, b"#f\r\n", b":0\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (2**63, b"(9223372036854775808\r\n", b"$19\r\n9223372036854775808\r\n"),
    (1.5, b",1.5\r\n", b"$3\r\n1.5\r\n"),
    (1e22, b",1e+22\r\n", b"$5\r\n1e+22\r\n"),
    (-math.inf, b",-inf\r\n", b"$4\r\n-inf\r\n"),
    (math.nan, b",nan\r\n", b"$3\r\nnan\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    ("é", b"$2\r\n\xc3\xa9\r\n", b"$2\r\n\xc3\xa9\r\n"),
    (SimpleString(b"OK"), b"+OK\r\n", b"+OK\r\n"),
    (VerbatimString(b"x", "mkd"), b"=5\r\nmkd:x\r\n", b"$1\r\nx\r\n"),
    (SimpleError(b"ERR x"), b"-ERR x\r\n", b"-ERR x\r\n"),
    (BulkError(b"ERR\r\nx"), b"!6\r\nERR\r\nx\r\n", b"-ERR  x\r\n"),
    ([1, [b"a"]], b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n"),
    ((1,), b"*1\r\n:1\r\n", b"*1\r\n:1\r\n"),
    ({b"k": True}, b"%1\r\n$1\r\nk\r\n#t\r\n", b"*2\r\n$1\r\nk\r\n:1\r\n"),
    ({1}, b"~1\r\n:1\r\n", b"*1\r\n:1\r\n"),
    (frozenset[int](), b"~0\r\n", b"*0\r\n"),
    (Push([b"m", 1]), b">2\r\n$1\r\nm\r\n:1\r\n", b"*2\r\n$1\r\nm\r\n:1\r\n"),
    (Attributed(1, {b"a": 2}), b"|1\r\n$1\r\na\r\n:2\r\n:1\r\n", b":1\r\n"),
    (Attributed(Push([b"m"]), {}), b"|0\r\n>1\r\n$1\r\nm\r\n", b"*1\r\n$1\r\nm\r\n"),
    ([Attributed(None, {})], b"*1\r\n|0\r\n_\r\n", b"*1\r\n$-1\r\n"),
]


@pytest.mark.parametrize(("value", "resp3", "resp2"), SPELLINGS)
def test_encode(value: Any, resp3: bytes, resp2: bytes) -> None:
    assert encode(value) == resp3
    assert encode(value, protocol=3) == resp3
    assert encode(value, protocol=2) == resp2


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (1j, "a complex is not a reply"),
        (bytearray(b"x"), "a bytearray is not a reply"),
        ([object()], "a object is not a reply"),
        (SimpleString(b"a\nb"), "with CR or LF"),
        (SimpleError(b"a\rb"), "with CR or LF"),
        (VerbatimString(b"x", "text"), "not three letters"),
        (VerbatimString(b"x", "日本語"), "cannot be encoded"),
        ("\ud800", "cannot be encoded"),
        pytest.param(10**5000, "cannot be encoded", id="too many digits"),
        (Push(), "a push"),
        (Push([1]), "a push"),
        ([Push([b"m"])], "a push"),
        (Attributed([Push([b"m"])], {}), "a push"),
        (Attributed(1, {b"k": Push([b"m"])}), "a push"),
    ],
)
def test_what_is_no_reply(value: Any, fault: str) -> None:
    with pytest.raises(LocalProtocolError, match=fault):
        encode(value)


@pytest.mark.parametrize("protocol", [1, 4, "3"])
def test_protocols_are_two(protocol: Any) -> None:
    with pytest.raises(ValueError, match="2 or 3"):
        encode(1, protocol=protocol)


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        (b"WRONGTYPE Operation against", "WRONGTYPE", "Operation against"),
        (b"ERR", "ERR", ""),
        (b"", "", ""),
        (b" x", "", "x"),
        (b"ERR\nsecond line\n", "ERR", "second line\n"),
        (b"ERR \xff", "ERR", "�"),
    ],
)
def test_error_parts(raw: bytes, code: str, message: str) -> None:
    for error in (SimpleError(raw), BulkError(raw)):
        assert isinstance(error, ErrorReply)
        assert not isinstance(error, Exception)
        assert (error.code, error.message) == (code, message)
        assert str(error) == raw.decode("utf-8", "replace")


def test_errors_are_values() -> None:
    assert SimpleError(b"ERR x") == SimpleError(b"ERR x")
    assert SimpleError(b"ERR x") != SimpleError(b"ERR y")
    errors: list[ErrorReply] = [SimpleError(b"ERR x"), BulkError(b"ERR x")]
    assert errors[0] != errors[1]
    assert len({SimpleError(b"x"), SimpleError(b"x"), BulkError(b"x")}) == 2
    assert repr(BulkError(b"ERR x")) == "BulkError(raw=b'ERR x')"


def test_verbatim_string_is_its_text() -> None:
    text = VerbatimString(b"# Title", "mkd")
    assert text == b"# Title"
    assert text.format == "mkd"
    assert VerbatimString(b"x").format == "txt"
    assert repr(text) == "VerbatimString(b'# Title', 'mkd')"


def test_values_can_be_copied() -> None:
    text = VerbatimString(b"x", "mkd")
    values = [Push([b"m"]), SimpleError(b"e"), Attributed(1, {}), SimpleString(b"s"), text]
    for twin in (copy.deepcopy(values), pickle.loads(pickle.dumps(values))):
        assert repr(twin) == repr(values)


def test_attributed_is_hashed_by_its_value() -> None:
    assert hash(Attributed(b"x", {1: []})) == hash(b"x")
    assert Attributed(b"x", {1: 2}) != Attributed(b"x", {})
    with pytest.raises(TypeError):
        hash(Attributed([], {}))


def test_push_shows_what_it_is() -> None:
    assert repr(Push([b"m", 1])) == "Push([b'm', 1])"
    assert Push([b"m"]) == [b"m"]
