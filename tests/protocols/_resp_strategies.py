"""Hypothesis strategies of RESP: values, valid streams in every spelling, and spoilt ones."""

from __future__ import annotations

from array import array
from typing import Any

from hypothesis import strategies as st

from wirekit.protocols.resp import Attributed, BulkError, Push, SimpleError, VerbatimString

ANY_INT = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9), st.integers())
ANY_FLOAT = st.floats(allow_nan=False)
LINES = st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
FORMATS = st.sampled_from(["txt", "mkd", "\xff\0:"])

# Values, for encode() and back. (SimpleString comes back as bytes, and NaN is not equal to itself.)

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    ANY_INT,
    ANY_FLOAT,
    st.binary(max_size=40),
    LINES.map(SimpleError),
    st.binary(max_size=40).map(BulkError),
    st.builds(VerbatimString, st.binary(max_size=10), FORMATS),
)
KEYS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=4,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(KEYS, max_size=3),
    ),
    max_leaves=12,
)


def make_push(kind: Any, rest: list[Any]) -> Push:
    """Put a push together."""
    return Push([kind, *rest])


PUSHES = st.builds(make_push, st.binary(max_size=9), st.lists(VALUES, max_size=3))
ATTRIBUTED = st.builds(Attributed, VALUES, st.dictionaries(KEYS, VALUES, max_size=2))
REPLIES = st.one_of(VALUES, PUSHES)


def is_same(left: Any, right: Any) -> bool:
    """Compare with types: 1 is not True, a tuple not a list; and NaN is NaN."""
    if type(left) is not type(right):
        return False
    match left:
        case list() | tuple():
            return len(left) == len(right) and all(map(is_same, left, right))  # pyright: ignore[reportUnknownArgumentType]
        case dict():
            return is_same([*left], [*right]) and is_same([*left.values()], [*right.values()])
        case Attributed():
            return is_same(left.value, right.value) and is_same(left.attributes, right.attributes)
        case VerbatimString():
            return bytes(left) == bytes(right) and left.format == right.format
        case float():
            return repr(left) == repr(right)
        case _:
            return bool(left == right)


# Streams: what a server may send, in spellings that encode() does not use too.

DIGITS = st.text("0123456789", min_size=1, max_size=12).map(str.encode)
SIGNS = st.sampled_from([b"", b"", b"+", b"-"])


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Put parts one after the other."""
    return st.tuples(*parts).map(b"".join)


def line(sign: bytes, text: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make a line."""
    return text.map(lambda body: b"%b%b\r\n" % (sign, body))


def bulk(sign: bytes, body: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make a bulk, now and then with zeros before its length."""

    def make(zeros: bytes, body: bytes) -> bytes:
        return b"%b%b%d\r\n%b\r\n" % (sign, zeros, len(body), body)

    return st.builds(make, st.sampled_from([b"", b"", b"", b"0", b"0" * 20]), body)


DOUBLES = st.one_of(
    joined(
        *(SIGNS, DIGITS, st.one_of(st.just(b""), DIGITS.map(b".".__add__))),
        st.one_of(st.just(b""), joined(st.sampled_from([b"e", b"E"]), SIGNS, DIGITS)),
    ),
    st.sampled_from([b"inf", b"-inf", b"nan", b"-NaN", b"nan(x_1)"]),
)
SMALL = st.binary(max_size=12)
CHUNKS = st.lists(bulk(b";", st.binary(min_size=1, max_size=9)), max_size=4).map(b"".join)
STREAMED_STRING = joined(st.just(b"$?\r\n"), CHUNKS, st.just(b";0\r\n"))
SCALAR_WIRE = st.one_of(
    line(b"+", LINES),
    line(b"-", LINES),
    line(b":", st.one_of(joined(SIGNS, DIGITS), st.just(b"9223372036854775807"))),
    line(b",", DOUBLES),
    line(b"(", joined(SIGNS, DIGITS)),
    st.sampled_from([b"_\r\n", b"$-1\r\n", b"*-1\r\n", b"#t\r\n", b"#f\r\n"]),
    bulk(b"$", SMALL),
    bulk(b"!", SMALL),
    bulk(b"=", SMALL.map(b"txt:".__add__)),
    STREAMED_STRING,
)


def aggregates(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make aggregates of items, counted or streamed."""
    items = st.lists(inner, max_size=4)
    pairs = st.lists(st.tuples(inner, inner).map(b"".join), max_size=3)

    def counted(sign: bytes, parts: list[bytes]) -> bytes:
        return b"%b%d\r\n%b" % (sign, len(parts), b"".join(parts))

    def streamed(sign: bytes, parts: list[bytes]) -> bytes:
        return b"%b?\r\n%b.\r\n" % (sign, b"".join(parts))

    lists, maps = st.sampled_from([b"*", b"~"]), st.just(b"%")
    return st.one_of(
        st.builds(counted, lists, items),
        st.builds(streamed, lists, items),
        st.builds(counted, maps, pairs),
        st.builds(streamed, maps, pairs),
        joined(st.builds(counted, st.just(b"|"), pairs), inner),
    )


def push_wire(kind: bytes, items: list[bytes]) -> bytes:
    """Make a push."""
    return b">%d\r\n%b%b" % (len(items) + 1, kind, b"".join(items))


REPLY_WIRE = st.recursive(SCALAR_WIRE, aggregates, max_leaves=10)
PUSH_WIRE = st.builds(
    push_wire,
    st.one_of(bulk(b"$", SMALL), line(b"+", LINES), STREAMED_STRING),
    st.lists(REPLY_WIRE, max_size=3),
)
STREAMS = st.lists(st.one_of(REPLY_WIRE, REPLY_WIRE, PUSH_WIRE), max_size=5).map(b"".join)

TOKENS = st.sampled_from(
    [bytes([byte]) for byte in b"+-:_#,($!=*%~>|;.?\r\n0123456789tfaeinx \0\xff"]
    + [b"\r\n", b"-1", b"$3\r\nfoo\r\n", b"*2\r\n", b";0\r\n", b".\r\n", b"|1\r\n", b"99999999999"]
)


@st.composite
def spoilt_streams(draw: st.DrawFn) -> bytes:
    """A valid stream with a few places replaced, removed or filled."""
    stream = bytearray(draw(STREAMS))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(stream)))
        stream[place : place + draw(st.integers(0, 3))] = draw(TOKENS)
    return bytes(stream)


ANY_BYTES = st.one_of(
    spoilt_streams(), st.lists(TOKENS, max_size=30).map(b"".join), st.binary(max_size=60), STREAMS
)
PLACES = st.lists(st.integers(1, 200), max_size=8)
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just(dict[str, Any]()),
    st.fixed_dictionaries(
        {
            "max_bulk_length": st.integers(1, 12),
            "max_elements": st.integers(1, 8),
            "max_line_length": st.integers(32, 40),
            "max_depth": st.integers(1, 4),
            "keep_attributes": st.booleans(),
        }
    ),
)

# Commands, of what can be sent.


def strided(raw: bytes, step: int) -> memoryview:
    """Make a view that is not contiguous."""
    return memoryview(raw)[::step]


def of_floats(items: list[float]) -> memoryview[Any]:
    """Make a view of items longer than a byte."""
    return memoryview(array("f", items))


ARGUMENTS: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20),
    st.binary(max_size=20).map(bytearray),
    st.binary(max_size=20).map(lambda raw: memoryview(raw)),
    st.builds(strided, st.binary(), st.sampled_from([2, -1])),
    st.lists(st.floats(width=32)).map(of_floats),
    st.integers(),
    st.floats(),
)
COMMANDS = st.lists(ARGUMENTS, min_size=1, max_size=6)
