"""Vectors, limits and faults of the RESP codec; sections are those of the two specifications."""

from __future__ import annotations

import array
import enum
import math
import sys
from typing import Any

import pytest

from tests.protocols._outcome import one_by_one, outcome, shown
from tests.protocols._resp_strategies import is_same
from wirekit import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.protocols import _resp_values
from wirekit.protocols.resp import (
    Attributed,
    BulkError,
    Codec,
    Push,
    SimpleError,
    SimpleString,
    State,
    VerbatimString,
    decode_text,
)

# Replies -------------------------------------------------------------------------------------

REPLIES: list[tuple[str, bytes, object]] = [
    ("Simple strings", b"+OK\r\n", b"OK"),
    ("Simple strings", b"+\r\n", b""),
    ("Simple strings", b"+12\r\n", b"12"),
    ("Simple strings", b"+a\tb\r\n", b"a\tb"),
    ("Simple strings", b"+" + b"x" * 1000 + b"\r\n", b"x" * 1000),
    ("Simple errors", b"-ERR unknown command\r\n", SimpleError(b"ERR unknown command")),
    ("Integers", b":0\r\n", 0),
    ("Integers", b":1000\r\n", 1000),
    ("Integers", b":+5\r\n", 5),
    ("Integers", b":-5\r\n", -5),
    ("Integers", b":-0\r\n", 0),
    ("Integers", b":007\r\n", 7),
    ("Integers", b":" + b"0" * 5000 + b"7\r\n", 7),
    ("Integers", b":999999999\r\n", 999_999_999),
    ("Integers", b":1000000000\r\n", 10**9),
    ("Integers", b":9223372036854775807\r\n", 2**63 - 1),
    ("Integers", b":-9223372036854775808\r\n", -(2**63)),
    ("Bulk strings", b"$5\r\nhello\r\n", b"hello"),
    ("Bulk strings", b"$0\r\n\r\n", b""),
    ("Bulk strings", b"$4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    ("Bulk strings", b"$005\r\nhello\r\n", b"hello"),
    ("Bulk strings", b"$0000000000005\r\nhello\r\n", b"hello"),
    ("Null bulk strings", b"$-1\r\n", None),
    ("Arrays", b"*0\r\n", []),
    ("Arrays", b"*2\r\n$5\r\nhello\r\n$5\r\nworld\r\n", [b"hello", b"world"]),
    ("Arrays", b"*3\r\n:1\r\n:2\r\n:3\r\n", [1, 2, 3]),
    (
        "Arrays",
        b"*2\r\n*3\r\n:1\r\n:2\r\n:3\r\n*2\r\n+Hello\r\n-World\r\n",
        [[1, 2, 3], [b"Hello", SimpleError(b"World")]],
    ),
    ("Arrays", b"*3\r\n*0\r\n*1\r\n*0\r\n*-1\r\n", [[], [[]], None]),
    ("Null arrays", b"*-1\r\n", None),
    (
        "Null elements in arrays",
        b"*3\r\n$5\r\nhello\r\n$-1\r\n$5\r\nworld\r\n",
        [b"hello", None, b"world"],
    ),
    ("Nulls", b"_\r\n", None),
    ("Booleans", b"#t\r\n", True),
    ("Booleans", b"#f\r\n", False),
    ("Doubles", b",1.23\r\n", 1.23),
    ("Doubles", b",10\r\n", 10.0),
    ("Doubles", b",-10\r\n", -10.0),
    ("Doubles", b",+0.5\r\n", 0.5),
    ("Doubles", b",1e3\r\n", 1000.0),
    ("Doubles", b",1.5E-3\r\n", 0.0015),
    ("Doubles", b",2e+2\r\n", 200.0),
    ("Doubles", b",1234567890123456789012345678901234567890\r\n", 1.2345678901234568e39),
    ("Doubles", b",1e400\r\n", math.inf),
    ("Doubles", b",-" + b"9" * 5000 + b".5e-4990\r\n", -1e10),
    ("Doubles", b",inf\r\n", math.inf),
    ("Doubles", b",-inf\r\n", -math.inf),
    ("Doubles", b",nan\r\n", math.nan),
    ("RESP3, Double: Redis before 7.2", b",-nan\r\n", math.nan),
    ("RESP3, Double: Redis before 7.2", b",NAN\r\n", math.nan),
    ("RESP3, Double: Redis before 7.2", b",nan(0x7f)\r\n", math.nan),
    ("Big numbers", b"(3492890328409238509324850943\r\n", 3492890328409238509324850943),
    ("Big numbers", b"(-3492890328409238509324850943\r\n", -3492890328409238509324850943),
    ("Big numbers", b"(+1\r\n", 1),
    ("Big numbers", b"(" + b"9" * 4300 + b"\r\n", 10**4300 - 1),
    ("Bulk errors", b"!21\r\nSYNTAX invalid syntax\r\n", BulkError(b"SYNTAX invalid syntax")),
    ("Verbatim strings", b"=15\r\ntxt:Some string\r\n", VerbatimString(b"Some string", "txt")),
    ("Verbatim strings", b"=4\r\nmkd:\r\n", VerbatimString(b"", "mkd")),
    ("Maps", b"%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n", {b"first": 1, b"second": 2}),
    ("Maps", b"%0\r\n", {}),
    ("Maps: the last of equal keys", b"%2\r\n+a\r\n:1\r\n$1\r\na\r\n:2\r\n", {b"a": 2}),
    ("Maps: any type as key", b"%1\r\n*2\r\n:1\r\n*1\r\n:2\r\n:3\r\n", {(1, (2,)): 3}),
    ("Maps: any type as key", b"%1\r\n%1\r\n:1\r\n*0\r\n:3\r\n", {((1, ()),): 3}),
    (
        "Maps: any type as key",
        b"%1\r\n~1\r\n~0\r\n~1\r\n:1\r\n",
        {frozenset([frozenset[int]()]): {1}},
    ),
    ("Maps: values stay as they are", b"%1\r\n:1\r\n*1\r\n*0\r\n", {1: [[]]}),
    ("Sets", b"~3\r\n+orange\r\n+apple\r\n:100\r\n", {b"orange", b"apple", 100}),
    ("Sets", b"~0\r\n", set()),
    ("Sets: any type", b"~2\r\n*1\r\n%1\r\n:1\r\n*0\r\n_\r\n", {(((1, ()),),), None}),
    (
        "Attribute type",
        b"|1\r\n+key-popularity\r\n%1\r\n$1\r\na\r\n,0.1923\r\n*2\r\n:2039123\r\n:9543892\r\n",
        [2039123, 9543892],
    ),
    ("Attribute type", b"*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n", [1, 2, 3]),
    ("Attribute type", b"|0\r\n|1\r\n:1\r\n:2\r\n+x\r\n", b"x"),
    (
        "Pushes",
        b">3\r\n+message\r\n+somechannel\r\n+this is the message\r\n",
        Push([b"message", b"somechannel", b"this is the message"]),
    ),
    ("Pushes", b">1\r\n$10\r\ninvalidate\r\n", Push([b"invalidate"])),
    ("Streamed strings", b"$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;1\r\nd\r\n;0\r\n", b"Hello word"),
    ("Streamed strings", b"$?\r\n;0\r\n", b""),
    ("Streamed strings", b"*2\r\n$?\r\n;1\r\na\r\n;0\r\n$1\r\nb\r\n", [b"a", b"b"]),
    ("Streamed aggregated data types", b"*?\r\n:1\r\n:2\r\n:3\r\n.\r\n", [1, 2, 3]),
    ("Streamed aggregated data types", b"%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n", {b"a": 1, b"b": 2}),
    ("Streamed aggregated data types", b"~?\r\n+a\r\n.\r\n", {b"a"}),
    ("Streamed aggregated data types", b"*?\r\n.\r\n", []),
    ("Streamed aggregated data types", b"*?\r\n*?\r\n.\r\n*1\r\n:1\r\n.\r\n", [[], [1]]),
    ("Streamed aggregated data types", b"%?\r\n*?\r\n:1\r\n.\r\n*?\r\n.\r\n.\r\n", {(1,): []}),
]


@pytest.mark.parametrize(("wire", "reply"), [row[1:] for row in REPLIES], ids=shown)
def test_reply(wire: bytes, reply: object) -> None:
    codec = Codec()
    assert is_same(codec.receive_data(wire), [reply])
    assert is_same(codec.receive_data(bytearray(wire) * 2), [reply, reply])
    assert codec.trailing_data == b""
    assert codec.receive_eof() == []
    assert codec.state is State.CLOSED
    assert outcome(Codec(), one_by_one(wire)) == outcome(Codec(), [wire])


def test_sets_are_plain_types() -> None:
    replies = Codec().receive_data(b"*1\r\n:1\r\n%0\r\n~0\r\n+a\r\n$1\r\na\r\n")
    assert [type(reply) for reply in replies] == [list, dict, set, bytes, bytes]


def test_attributes_are_kept_where_they_stood() -> None:
    codec = Codec(keep_attributes=True)
    wire = b"|1\r\n:1\r\n:2\r\n*2\r\n:3\r\n|1\r\n:4\r\n*0\r\n$1\r\nx\r\n"
    value = [3, Attributed(b"x", {4: []})]
    assert codec.receive_data(wire) == [Attributed(value, {1: 2})]
    assert codec.receive_data(b"|1\r\n:1\r\n:2\r\n|1\r\n:3\r\n:4\r\n_\r\n") == [
        Attributed(None, {1: 2, 3: 4})
    ]
    assert codec.receive_data(b"|0\r\n>1\r\n|0\r\n+x\r\n") == [
        Attributed(Push([Attributed(b"x", {})]), {})
    ]


def test_attributes_inside_keys_are_hashable_with_them() -> None:
    codec = Codec(keep_attributes=True)
    (reply,) = codec.receive_data(b"%1\r\n|1\r\n*0\r\n*0\r\n*1\r\n:1\r\n:2\r\n")
    assert reply == {Attributed((1,), {(): []}): 2}


# Cuts ----------------------------------------------------------------------------------------


def test_many_replies_in_one_call_and_one_over_many_calls() -> None:
    codec = Codec()
    assert codec.receive_data(b"$3\r\nfoo\r\n" * 1000) == [b"foo"] * 1000
    wire = b"*50000\r\n" + b"$10\r\n0123456789\r\n" * 50000 + b"+OK\r\n"
    replies: list[Any] = []
    for start in range(0, len(wire), 1000):
        replies += codec.receive_data(wire[start : start + 1000])
    assert replies == [[b"0123456789"] * 50000, b"OK"]


def test_long_bulk_in_pieces() -> None:
    body = bytes(range(256)) * 1024
    wire = b"$%d\r\n%b\r\n" % (len(body), body)
    for size in (1, 7, 4096, 65536):
        codec = Codec()
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        replies = [reply for piece in pieces for reply in codec.receive_data(piece)]
        assert replies == [body]


def test_long_line_in_pieces_of_one_byte() -> None:
    text = b"x" * 60000
    assert outcome(Codec(), one_by_one(b"+" + text + b"\r\n")).events == repr([text])


def test_memoryviews_of_a_reused_buffer() -> None:
    codec = Codec()
    buffer = bytearray(4)
    replies: list[Any] = []
    wire = b"*2\r\n$8\r\nabcdefgh\r\n+xyz\r\n"
    for start in range(0, len(wire), 4):
        piece = wire[start : start + 4]
        buffer[: len(piece)] = piece
        replies += codec.receive_data(memoryview(buffer)[: len(piece)])
    assert replies == [[b"abcdefgh", b"xyz"]]


def test_trailing_data_is_the_unfinished_line_or_bulk() -> None:
    codec = Codec()
    assert codec.receive_data(b":1\r\n*2\r\n$2\r\nab\r\n$1") == [1]
    assert codec.trailing_data == b"$1"
    assert codec.receive_data(b"0\r\n123") == []
    assert codec.trailing_data == b"123"
    assert codec.receive_data(b"4567890\r") == []
    assert codec.trailing_data == b"1234567890\r"
    assert codec.receive_data(b"\n") == [[b"ab", b"1234567890"]]
    assert codec.trailing_data == b""


def test_empty_input_changes_nothing() -> None:
    codec = Codec()
    assert codec.receive_data(b"") == []
    assert codec.receive_data(b"+O") == []
    assert codec.receive_data(b"") == []
    assert codec.receive_data(b"K\r\n") == [b"OK"]
    assert codec.receive_eof() == []


@pytest.mark.parametrize("data", ["+OK\r\n", 5, None, [43]])
def test_input_that_is_no_bytes_is_refused_and_harms_nothing(data: Any) -> None:
    codec = Codec()
    with pytest.raises(TypeError):
        codec.receive_data(data)
    assert codec.receive_data(b"+OK\r\n") == [b"OK"]


# Faults of the peer --------------------------------------------------------------------------

FAULTS: list[tuple[bytes, str]] = [
    (b"HTTP/1.1 400\r\n", "0x48 is not the start of a reply at offset 0"),
    (b"\r\n", "0x0d is not the start of a reply at offset 0"),
    (b"+OK\r\nx", "0x78 is not the start of a reply at offset 5"),
    (b";1\r\n", "0x3b is not the start of a reply at offset 0"),
    (b"$?\r\n+a\r\n", "0x2b is not the start of a chunk at offset 4"),
    (b"+a\n", "a line with a bare CR or LF at offset 0"),
    (b"+a\rb\r\n", "a line with a bare CR or LF at offset 0"),
    (b"+a\r\r\n", "a line with a bare CR or LF at offset 0"),
    (b"-a\n\r\n", "a line with a bare CR or LF at offset 0"),
    (b":1\n", "a line with a bare CR or LF at offset 0"),
    (b"$1\na\r\n", "a line with a bare CR or LF at offset 0"),
    (b":\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b": 1\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b":1_0\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b":+-1\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b":1.0\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b":\xb2\r\n", "an integer that is not an optional sign and digits at offset 0"),
    (b":9223372036854775808\r\n", "an integer of more than 64 bits at offset 0"),
    (b":-9223372036854775809\r\n", "an integer of more than 64 bits at offset 0"),
    (b":" + b"9" * 5000 + b"\r\n", "an integer of more than 64 bits at offset 0"),
    (b"_0\r\n", "a null with text in it at offset 0"),
    (b"#\r\n", "a boolean that is neither t nor f at offset 0"),
    (b"#true\r\n", "a boolean that is neither t nor f at offset 0"),
    (b"#T\r\n", "a boolean that is neither t nor f at offset 0"),
    *(
        (b",%b\r\n" % text, "a double that does not follow the grammar at offset 0")
        for text in (
            *(b"", b"-", b".", b".5", b"5.", b"1.e5", b"1e", b"1e+", b"1_0.0", b" 1", b"1 "),
            *(b"+inf", b"Inf", b"infinity", b"+nan", b"nan(", b"0x1p3", b"1e5.5", b"--1"),
        )
    ),
    (b"(\r\n", "a big number that is not an optional sign and digits at offset 0"),
    (b"(1.5\r\n", "a big number that is not an optional sign and digits at offset 0"),
    (b"(1_000\r\n", "a big number that is not an optional sign and digits at offset 0"),
    *(
        (b"%b%b\r\n" % (sign, text), "a length that is not decimal digits at offset 0")
        for sign, text in (
            *((b"$", b""), (b"$", b"-2"), (b"$", b"+1"), (b"$", b"-01"), (b"$", b"1 ")),
            *((b"*", b""), (b"*", b"-0"), (b"*", b"-2"), (b"*", b"1_0"), (b"*", b"??")),
            *((b"%", b"-1"), (b"~", b"-1"), (b">", b"-1"), (b"|", b"-1"), (b"!", b"-1")),
            *((b"=", b"-1"), (b">", b"?"), (b"|", b"?"), (b"!", b"?"), (b"=", b"?")),
        )
    ),
    (b"$?\r\n;-1\r\n", "a length that is not decimal digits at offset 4"),
    (b"$3\r\nfooXY", "a bulk that does not end in CRLF at offset 7"),
    (b"$3\r\nfoo\n\r", "a bulk that does not end in CRLF at offset 7"),
    (b"$3\r\nfood\r\n", "a bulk that does not end in CRLF at offset 7"),
    (b"$0\r\nab", "a bulk that does not end in CRLF at offset 4"),
    (b"$?\r\n;3\r\nfoo;0", "a bulk that does not end in CRLF at offset 11"),
    (b"=3\r\ntxt\r\n", "a verbatim string too short for its format at offset 0"),
    (b"=5\r\ntxt.a\r\n", "a verbatim string without a colon after its format at offset 0"),
    (b".\r\n", "an end of a streamed aggregate out of place at offset 0"),
    (b"*1\r\n.\r\n", "an end of a streamed aggregate out of place at offset 4"),
    (b"*?\r\n.x\r\n", "an end of a streamed aggregate out of place at offset 4"),
    (b"*?\r\n|0\r\n.\r\n", "an end of a streamed aggregate out of place at offset 8"),
    (b"%?\r\n:1\r\n.\r\n", "a streamed map that ends after a key at offset 8"),
    (b"*1\r\n>1\r\n+x\r\n", "a push inside another reply at offset 4"),
    (b">0\r\n", "a push that does not begin with a string at offset 0"),
    (b">1\r\n:1\r\n", "a push that does not begin with a string at offset 4"),
]


@pytest.mark.parametrize(("wire", "message"), FAULTS, ids=shown)
def test_fault(wire: bytes, message: str) -> None:
    for before in (b"", b"+before\r\n"):
        codec = Codec()
        with pytest.raises(RemoteProtocolError) as caught:
            codec.receive_data(before + wire)
        place = int(message.rpartition(" ")[2]) + len(before)
        assert str(caught.value) == f"{message.rpartition(' ')[0]} {place}"
        assert type(caught.value) is RemoteProtocolError
        assert codec.state is State.ERROR
        assert outcome(Codec(), one_by_one(before + wire)) == outcome(Codec(), [before + wire])


def test_replies_before_a_fault_are_on_the_error_and_it_is_final() -> None:
    codec = Codec()
    assert codec.receive_data(b":1\r\n*2\r\n:2\r\n") == [1]
    with pytest.raises(RemoteProtocolError) as caught:
        codec.receive_data(b":3\r\n+OK\r\n*1\r\n:x\r\n+never\r\n")
    assert caught.value.events == [[2, 3], b"OK"]
    assert codec.state is State.ERROR
    assert codec.trailing_data == b""
    with pytest.raises(RemoteProtocolError) as repeated:
        codec.receive_data(b"+OK\r\n")
    assert str(repeated.value) == str(caught.value)
    assert repeated.value.events == []
    with pytest.raises(RemoteProtocolError) as repeated:
        codec.receive_eof()
    assert str(repeated.value) == str(caught.value)
    with pytest.raises(LocalProtocolError, match="state ERROR"):
        codec.send(("PING",))


def test_an_interrupted_call_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(line: bytes) -> None:
        raise MemoryError

    monkeypatch.setitem(_resp_values.SCALARS, ord("-"), run_out)
    codec = Codec()
    with pytest.raises(MemoryError):
        codec.receive_data(b"-ERR\r\n")
    assert codec.state is State.ERROR
    with pytest.raises(RemoteProtocolError, match="interrupted"):
        codec.receive_data(b"+OK\r\n")


def test_faults_do_not_show_the_payload() -> None:
    for wire in (
        b":secret\r\n",
        b"$6\r\nsecretXX",
        b"+sec\nret\r\n",
        b"(secret\r\n",
        b",secret\r\n",
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            Codec().receive_data(wire)
        assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    "wire",
    [
        *(b"+", b"+OK", b"+OK\r", b"$3", b"$3\r\n", b"$3\r\nfo", b"$3\r\nfoo", b"$3\r\nfoo\r"),
        *(b"*1\r\n", b"*?\r\n", b"$?\r\n", b"$?\r\n;1\r\na\r\n", b"|0\r\n", b"|1\r\n:1\r\n:2\r\n"),
    ],
)
def test_end_of_input_inside_a_reply(wire: bytes) -> None:
    codec = Codec()
    codec.receive_data(wire)
    with pytest.raises(RemoteProtocolError) as caught:
        codec.receive_eof()
    assert str(caught.value) == f"end of input inside a reply at offset {len(wire)}"
    assert codec.state is State.ERROR


def test_end_of_input_twice_and_input_after_it() -> None:
    codec = Codec()
    assert codec.receive_eof() == []
    assert codec.receive_eof() == []
    assert codec.state is State.CLOSED
    with pytest.raises(LocalProtocolError, match="receive_eof"):
        codec.receive_data(b"+OK\r\n")
    with pytest.raises(LocalProtocolError, match="state CLOSED"):
        codec.send(("PING",))


# Limits --------------------------------------------------------------------------------------

STREAMED = "a string longer than max_bulk_length"
ELEMENTS = "a reply of more than max_elements"
DEPTH = "aggregates nested deeper than max_depth"
LINE = "a line longer than max_line_length"

LIMITS: list[tuple[dict[str, Any], bytes, bytes, str, int]] = [
    ({"max_bulk_length": 5}, b"$5\r\nhello\r\n", b"$6\r\n", STREAMED, 0),
    ({"max_bulk_length": 5}, b"!5\r\nhello\r\n", b"!6\r\n", STREAMED, 0),
    ({"max_bulk_length": 5}, b"=5\r\ntxt:a\r\n", b"=6\r\n", STREAMED, 0),
    ({}, b"+ok\r\n", b"$536870913\r\n", STREAMED, 0),
    ({}, b"+ok\r\n", b"$18446744073709551616\r\n", STREAMED, 0),
    ({}, b"+ok\r\n", b"$" + b"9" * 10000 + b"\r\n", STREAMED, 0),
    (
        {"max_bulk_length": 5},
        b"$?\r\n;2\r\nab\r\n;3\r\ncde\r\n;0\r\n",
        b"$?\r\n;6\r\n",
        STREAMED,
        4,
    ),
    ({"max_bulk_length": 5}, b"+ok\r\n", b"$?\r\n;3\r\nabc\r\n;3\r\n", STREAMED, 13),
    ({"max_elements": 3}, b"*3\r\n:1\r\n:2\r\n:3\r\n", b"*4\r\n", ELEMENTS, 0),
    ({"max_elements": 3}, b"*2\r\n*1\r\n:1\r\n:2\r\n", b"*2\r\n*2\r\n", ELEMENTS, 4),
    ({"max_elements": 3}, b"%1\r\n:1\r\n:2\r\n", b"%2\r\n", ELEMENTS, 0),
    ({"max_elements": 3}, b"~3\r\n:1\r\n:2\r\n:3\r\n", b"~4\r\n", ELEMENTS, 0),
    ({"max_elements": 3}, b">3\r\n+1\r\n:2\r\n:3\r\n", b">4\r\n", ELEMENTS, 0),
    (
        {"max_elements": 3},
        b"|1\r\n:1\r\n:2\r\n*1\r\n:1\r\n",
        b"|1\r\n:1\r\n:2\r\n*2\r\n",
        ELEMENTS,
        12,
    ),
    (
        {"max_elements": 3},
        b"*?\r\n:1\r\n:2\r\n:3\r\n.\r\n",
        b"*?\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
        ELEMENTS,
        16,
    ),
    (
        {"max_elements": 3},
        b"%?\r\n:1\r\n:2\r\n.\r\n",
        b"%?\r\n:1\r\n:2\r\n:3\r\n$1\r\n4\r\n",
        ELEMENTS,
        16,
    ),
    ({}, b"+ok\r\n", b"*16777217\r\n", ELEMENTS, 0),
    ({}, b"+ok\r\n", b"%8388609\r\n", ELEMENTS, 0),
    ({}, b"+ok\r\n", b"*9223372036854775807\r\n", ELEMENTS, 0),
    ({}, b"+ok\r\n", b"%" + b"9" * 10000 + b"\r\n", ELEMENTS, 0),
    ({"max_depth": 2}, b"*1\r\n*1\r\n:1\r\n", b"*1\r\n*1\r\n*0\r\n", DEPTH, 8),
    ({"max_depth": 1}, b"*?\r\n.\r\n", b"*?\r\n%?\r\n", DEPTH, 4),
    ({}, b"*1\r\n" * 63 + b"*0\r\n", b"*1\r\n" * 65, DEPTH, 256),
    ({"max_line_length": 40}, b"+" + b"x" * 37 + b"\r\n", b"+" + b"x" * 39, LINE, 0),
    ({"max_line_length": 40}, b"-" + b"x" * 37 + b"\r\n", b"-" + b"x" * 38 + b"\r\n", LINE, 0),
    ({"max_line_length": 40}, b":" + b"0" * 37 + b"\r\n", b":" + b"0" * 39, LINE, 0),
    ({}, b"+" + b"x" * 65533 + b"\r\n", b"+" + b"x" * 65534 + b"\r\n", LINE, 0),
    (
        {},
        b"(" + b"9" * 4300 + b"\r\n",
        b"(-" + b"9" * 4301 + b"\r\n",
        "a big number of more than 4300 digits",
        0,
    ),
]


@pytest.mark.parametrize(("limits", "fits", "exceeds", "message", "offset"), LIMITS, ids=shown)
def test_limit(
    limits: dict[str, Any], fits: bytes, exceeds: bytes, message: str, offset: int
) -> None:
    codec = Codec(**limits)
    assert len(codec.receive_data(fits)) == 1
    with pytest.raises(MessageTooLarge) as caught:
        codec.receive_data(exceeds)
    assert str(caught.value) == f"{message} at offset {len(fits) + offset}"
    both = fits + exceeds
    assert outcome(Codec(**limits), one_by_one(both)) == outcome(Codec(**limits), [both])


def test_elements_are_counted_for_each_reply_anew() -> None:
    codec = Codec(max_elements=2)
    assert (
        codec.receive_data(b"*2\r\n:1\r\n:2\r\n*?\r\n:1\r\n:2\r\n.\r\n*2\r\n:1\r\n:2\r\n")
        == [[1, 2]] * 3
    )


def test_a_hostile_length_takes_no_memory() -> None:
    codec = Codec(max_elements=2**40, max_bulk_length=2**40)
    assert codec.receive_data(b"*1099511627000\r\n") == []
    assert codec.receive_data(b"$1099511627776\r\nabc") == []
    assert codec.trailing_data == b"abc"


def test_big_numbers_mind_the_limit_of_the_process() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(700)
    try:
        with pytest.raises(MessageTooLarge, match="get_int_max_str_digits"):
            Codec().receive_data(b"(" + b"9" * 701 + b"\r\n")
        with pytest.raises(LocalProtocolError, match="argument 1 is an int of too many digits"):
            Codec().send(("SET", 10**701))
    finally:
        sys.set_int_max_str_digits(before)


def test_the_deepest_nesting() -> None:
    codec = Codec(max_depth=256, keep_attributes=True)
    (reply,) = codec.receive_data(b"*1\r\n" * 255 + b"*0\r\n")
    assert decode_text(reply) == reply
    assert len(codec.receive_data(b"~1\r\n" * 255 + b"*0\r\n")) == 1
    assert len(codec.receive_data(b"%1\r\n" * 255 + b"*0\r\n" + b":1\r\n" * 255)) == 1


@pytest.mark.parametrize(
    "limits",
    [
        *({"max_bulk_length": 0}, {"max_elements": -1}, {"max_line_length": 31}, {"max_depth": 0}),
        *({"max_depth": 257}, {"max_bulk_length": 2**64}, {"max_elements": 2**100}),
    ],
)
def test_limits_out_of_range(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(limits))} must be from"):
        Codec(**limits)


@pytest.mark.parametrize("value", [1.0, "10", None])
@pytest.mark.parametrize(
    "name", ["max_bulk_length", "max_elements", "max_line_length", "max_depth"]
)
def test_limits_are_integers(name: str, value: Any) -> None:
    with pytest.raises(TypeError):
        Codec(**{name: value})


def test_arguments_are_keywords() -> None:
    with pytest.raises(TypeError):
        Codec(100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# Commands ------------------------------------------------------------------------------------


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Celsius(float):
    def __repr__(self) -> str:
        return "warm"


VIEW = memoryview(b"abcdefgh")

ARGUMENTS: list[tuple[Any, bytes]] = [
    ("key:1", b"key:1"),
    ("", b""),
    ("é\0\r\n", b"\xc3\xa9\0\r\n"),
    (b"raw\xff", b"raw\xff"),
    (bytearray(b"array"), b"array"),
    (SimpleString(b"simple"), b"simple"),
    (Colour.RED, b"red"),
    (0, b"0"),
    (-17, b"-17"),
    (2**70, b"1180591620717411303424"),
    (Number.ONE, b"1"),
    (1.5, b"1.5"),
    (0.1, b"0.1"),
    (1e100, b"1e+100"),
    (math.inf, b"inf"),
    (Celsius(20.5), b"20.5"),
    (VIEW, b"abcdefgh"),
    (VIEW[::2], b"aceg"),
    (VIEW[::-1], b"hgfedcba"),
    (memoryview(b""), b""),
    (memoryview(array.array("H", [0x4142, 0x4142])), array.array("H", [0x4142] * 2).tobytes()),
    (memoryview(array.array("H", range(8)))[::2], array.array("H", [0, 2, 4, 6]).tobytes()),
    (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    (memoryview(b"abcd").cast("c"), b"abcd"),
    ("x" * 1023, b"x" * 1023),
    ("x" * 1024, b"x" * 1024),
    ("x" * 100_000, b"x" * 100_000),
]


@pytest.mark.parametrize(("argument", "body"), ARGUMENTS, ids=shown)
def test_send(argument: Any, body: bytes) -> None:
    wire = Codec().send(("SET", argument, b"end"))
    assert type(wire) is bytes
    assert wire == b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$3\r\nend\r\n" % (len(body), body)
    assert b"".join(Codec().send_buffers(["SET", argument, b"end"])) == wire


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1000])
def test_send_counts_the_arguments(count: int) -> None:
    assert Codec().receive_data(Codec().send(["x"] * count)) == [[b"x"] * count]


def test_send_buffers_leaves_large_arguments_alone() -> None:
    large, larger = b"x" * 16384, bytearray(100_000)
    wide = memoryview(array.array("d", [0.0] * 4096))
    buffers = Codec().send_buffers(("MSET", "a", large, "b", larger, "c", wide, "d", b"y" * 16383))
    assert [len(buffer) for buffer in buffers[1::2]] == [16384, 100_000, 32768]
    assert buffers[1] is large
    assert buffers[3] is larger
    assert isinstance(buffers[5], memoryview)
    assert buffers[5].obj is wide.obj
    assert all(type(buffer) is bytes for buffer in buffers[::2])
    (reply,) = Codec().receive_data(b"".join(buffers))
    assert reply == [b"MSET", b"a", large, b"b", larger, b"c", bytes(wide), b"d", b"y" * 16383]


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ((), "a command without arguments"),
        ([], "a command without arguments"),
        ("GET key", "a command is a sequence of arguments, not one string"),
        (b"GET", "a command is a sequence of arguments, not one string"),
        (bytearray(b"GET"), "a command is a sequence of arguments, not one string"),
        (("SET", "k", True), "argument 2 is a bool: pass 1 or 0, or a string"),
        (("SET", None), "argument 1 is None: pass an empty string, or leave it out"),
        ((["GET"],), "argument 0 is of type list: pass a string or a number"),
        (("A", 1j), "argument 1 is of type complex: pass a string or a number"),
        (("SET", "k", "secret\ud800"), "argument 2 is not valid Unicode"),
        (("SET", Colour.RED, "\udfff"), "argument 2 is not valid Unicode"),
    ],
)
def test_what_cannot_be_sent(message: Any, fault: str) -> None:
    codec = Codec()
    for send in (codec.send, codec.send_buffers):
        with pytest.raises(LocalProtocolError) as caught:
            send(message)
        assert str(caught.value) == fault
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert codec.state is State.OPEN


# Text ----------------------------------------------------------------------------------------


def test_decode_text_reaches_everything_but_errors() -> None:
    error = SimpleError(b"ERR \xff")
    reply = [
        *(b"a", 1, None, 1.5, True, [b"b", [b"c"]], {b"k": [b"v"]}, {b"s"}, error),
        *({(b"t", (b"u",)): frozenset([b"w"])}, Attributed(b"x", {b"y": b"z"})),
        *(Push([b"message", b"m"]), VerbatimString(b"text", "mkd"), SimpleString(b"simple")),
    ]
    decoded = decode_text(reply)
    assert decoded is reply
    assert decoded == [
        *("a", 1, None, 1.5, True, ["b", ["c"]], {"k": ["v"]}, {"s"}, error),
        *({("t", ("u",)): frozenset(["w"])}, Attributed("x", {"y": "z"})),
        *(Push(["message", "m"]), "text", "simple"),
    ]
    assert type(decoded[-3]) is Push
    assert type(decoded[-2]) is str


def test_decode_text_of_what_is_no_list() -> None:
    assert decode_text(b"\xc3\xa9") == "é"
    assert decode_text(b"\xe9", "latin-1") == "é"
    assert decode_text([b"\xe9"], "latin-1") == ["é"]
    assert decode_text([b"a\xff"], errors="replace") == ["a�"]
    assert decode_text(7) == 7
    push = Push([b"a"])
    assert decode_text(push) is push
    assert push == ["a"]


@pytest.mark.parametrize("reply", [b"\xff", [b"a", b"\xff"], {b"\xff": 1}, VerbatimString(b"\xff")])
def test_decode_text_of_what_is_no_text(reply: Any) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text(reply)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_reply_may_not_be_longer_than_its_limit(size: int) -> None:
    data = b"+OK\r\n*3\r\n" + 3 * b"$20\r\n01234567890123456789\r\n"
    assert len(Codec(max_reply_length=58).receive_data(data)) == 2
    codec = Codec(max_reply_length=57)

    def receive() -> None:
        for start in range(0, len(data), size):
            codec.receive_data(data[start : start + size])

    with pytest.raises(MessageTooLarge, match="a reply longer than max_reply_length at offset 5"):
        receive()


def test_keys_whose_hashes_a_server_can_choose_are_bounded() -> None:
    numbers = b"".join(b":%d\r\n:1\r\n" % number for number in range(4097))
    with pytest.raises(MessageTooLarge, match="keys"):
        Codec().receive_data(b"%4097\r\n" + numbers)
    aggregates = b"".join(b"*1\r\n:%d\r\n" % number for number in range(65))
    with pytest.raises(MessageTooLarge, match="keys"):
        Codec().receive_data(b"~65\r\n" + aggregates)
    values = b"".join(b"$5\r\n%05d\r\n:1\r\n" % number for number in range(5000))
    (numbered,) = Codec().receive_data(b"%5000\r\n" + values)
    assert isinstance(numbered, dict)
    assert len(numbered) == 5000


def test_attributes_in_a_row_are_bounded_where_they_are_kept() -> None:
    row = b"".join(b"|1\r\n:%d\r\n:1\r\n" % number for number in range(4097)) + b"+OK\r\n"
    assert Codec().receive_data(row) == [b"OK"]
    with pytest.raises(MessageTooLarge, match="attributes"):
        Codec(keep_attributes=True).receive_data(row)
