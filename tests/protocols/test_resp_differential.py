"""The compiled codec against its own source, and both against hiredis."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols import _resp_strategies as some
from tests.protocols._outcome import cut_at, outcome, shown
from tests.protocols._pure import is_compiled, load_pure
from wirekit import Error
from wirekit.protocols import resp
from wirekit.protocols.resp import Push, SimpleError

if TYPE_CHECKING:
    from collections.abc import Callable

PURE = load_pure("wirekit.protocols.resp")


def attempt(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the result's ``repr``; or the exception's type, and its text where it is ours."""
    try:
        return repr(function(*args, **kwargs))
    except Exception as exc:
        ours = isinstance(exc, (Error, ValueError))
        return f"{type(exc).__name__}: {exc}" if ours else type(exc).__name__


# Against the source --------------------------------------------------------------------------


def test_the_source_is_another_module() -> None:
    assert not is_compiled(PURE)
    assert PURE.Codec is not resp.Codec
    assert PURE.SimpleError is resp.SimpleError
    # A .pxd that Cython does not find is not reported: the module compiles all the same, untyped.
    assert hasattr(PURE.Codec(), "_data")
    assert hasattr(resp.Codec(), "_data") != is_compiled(resp)


@given(some.ANY_BYTES, some.PLACES, some.SETTINGS)
def test_both_read_the_same(data: bytes, places: list[int], settings: dict[str, Any]) -> None:
    chunks = cut_at(data, places)
    assert outcome(resp.Codec(**settings), chunks) == outcome(PURE.Codec(**settings), chunks)


ODDITIES: list[Any] = [
    *(True, None, 1.5, 2**70, -1, 0, "x", "", "\ud800", b"", b"x", bytearray(b"x"), [], [b"x"]),
    *((), ("GET", b"x"), ("x", None), {"a": 1}, {b"x"}, memoryview(b"+OK\r\n"), object, 1j),
    *(resp.SimpleString(b"+OK\r\n"), resp.VerbatimString(b":1\r\n"), Push([b"x"]), 10.0),
    *(resp.Attributed(b"x", {}), SimpleError(b"x"), "utf-8", "nonsense", range(3), [[b"x"]]),
]
ODD = st.one_of(st.sampled_from(ODDITIES), st.integers(), st.floats(), st.text(max_size=3))


@given(st.one_of(some.COMMANDS, st.lists(ODD, max_size=4), ODD))
def test_both_send_the_same(message: Any) -> None:
    for name in ("send", "send_buffers"):
        mine, source = getattr(resp.Codec(), name), getattr(PURE.Codec(), name)
        assert attempt(mine, message) == attempt(source, message)


@pytest.mark.parametrize("value", ODDITIES, ids=shown)
def test_both_take_and_refuse_the_same_arguments(value: Any) -> None:
    for name in ("receive_data", "send", "send_buffers", "receive_eof"):
        mine, source = resp.Codec(), PURE.Codec()
        assert attempt(getattr(mine, name), value) == attempt(getattr(source, name), value)
        assert (mine.state.name, mine.trailing_data) == (source.state.name, source.trailing_data)
    for name in ("max_bulk_length", "max_elements", "max_line_length", "max_depth"):
        refusals = [attempt(module.Codec, **{name: value}) for module in (resp, PURE)]
        assert refusals[0].partition(" object at ")[0].replace("__pure", "") == (
            refusals[1].partition(" object at ")[0].replace("__pure", "")
        )
    wire = b"|0\r\n:1\r\n"
    kept = [module.Codec(keep_attributes=value).receive_data(wire) for module in (resp, PURE)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "nonsense", None, 5])
@pytest.mark.parametrize("errors", ["strict", "replace", "nonsense", None])
def test_both_decode_text_the_same(encoding: Any, errors: Any) -> None:
    for value in (b"\xc3\xa9", [b"\xff", [b"a"]], *ODDITIES):
        mine = attempt(resp.decode_text, [value], encoding, errors)
        assert mine == attempt(PURE.decode_text, [value], encoding, errors)


@given(some.REPLIES)
def test_both_decode_text_in_replies_the_same(reply: Any) -> None:
    wire = resp.encode(reply)
    mine, source = resp.Codec().receive_data(wire), PURE.Codec().receive_data(wire)
    for encoding in ("utf-8", "latin-1"):
        assert attempt(resp.decode_text, mine, encoding) == (
            attempt(PURE.decode_text, source, encoding)
        )


def test_neither_takes_new_attributes_or_can_do_without_keywords() -> None:
    codecs: list[Any] = [resp.Codec(), PURE.Codec()]
    for codec in codecs:
        with pytest.raises(AttributeError):
            codec.extra = 1
        with pytest.raises(AttributeError):
            codec.state = resp.State.OPEN
    assert attempt(resp.Codec, 1) == attempt(PURE.Codec, 1) == "TypeError"


# Against hiredis -----------------------------------------------------------------------------

# What both know: hiredis has no streams, bulk errors or hashable keys, and reads `:+1` as a fault.
COMMON_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: SimpleError(re.sub("[\r\n]", "", text).encode())),
)
COMMON = st.recursive(
    COMMON_LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.binary(max_size=9), st.integers(-9, 9)), inner, max_size=3),
    ),
    max_leaves=12,
)
COMMON_STREAMS = st.lists(
    st.one_of(COMMON, st.lists(COMMON, max_size=3).map(lambda rest: Push([b"message", *rest]))),
    max_size=4,
)


def in_our_types(reply: Any) -> Any:
    """Return a reply of hiredis in the types of ours."""
    match reply:
        case list():
            kind = Push if isinstance(reply, hiredis.PushNotification) else list[Any]
            return kind(map(in_our_types, reply))  # pyright: ignore[reportUnknownArgumentType]
        case dict():
            pairs: dict[Any, Any] = {**reply}
            return {key: in_our_types(value) for key, value in pairs.items()}
        case hiredis.ReplyError():
            return SimpleError(str(reply).encode())
        case _:
            return reply


def read_with_hiredis(chunks: list[bytes]) -> list[Any]:
    reader = hiredis.Reader(notEnoughData=NotImplemented)
    replies: list[Any] = []
    for chunk in chunks:
        reader.feed(chunk)
        while (reply := reader.gets()) is not NotImplemented:
            replies.append(in_our_types(reply))
    return replies


@given(COMMON_STREAMS, st.sampled_from([2, 3]), some.PLACES)
def test_hiredis_reads_the_same(replies: list[Any], protocol: int, places: list[int]) -> None:
    chunks = cut_at(b"".join(resp.encode(reply, protocol) for reply in replies), places)
    theirs = read_with_hiredis(chunks)
    for codec in (resp.Codec(), PURE.Codec()):
        ours = [reply for chunk in chunks for reply in codec.receive_data(chunk)]
        assert some.is_same(ours, theirs)


@given(st.lists(st.one_of(st.text(), st.binary(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_hiredis_packs_the_same(command: list[Any]) -> None:
    theirs: bytes = vars(hiredis)["pack_command"](tuple(command))  # whose stub says nothing
    assert resp.Codec().send(command) == PURE.Codec().send(command) == theirs
