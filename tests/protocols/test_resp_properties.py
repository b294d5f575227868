"""What holds for the RESP codec whatever the bytes."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.protocols import _resp_strategies as some
from tests.protocols._outcome import cut_at, one_by_one, outcome
from wirekit.protocols.resp import (
    Attributed,
    BulkError,
    Codec,
    SimpleError,
    VerbatimString,
    decode_text,
    encode,
)


@given(st.lists(some.REPLIES, max_size=3))
def test_what_is_encoded_is_decoded(replies: list[Any]) -> None:
    wire = b"".join(map(encode, replies))
    assert some.is_same(Codec().receive_data(wire), replies)


@given(some.ATTRIBUTED)
def test_attributes_are_decoded_too(reply: Attributed) -> None:
    wire = encode([reply, 1])
    assert some.is_same(Codec(keep_attributes=True).receive_data(wire), [[reply, 1]])
    assert some.is_same(Codec().receive_data(wire), [[reply.value, 1]])


def flat(reply: Any) -> list[Any]:
    """Return what a container holds, pairs one after the other."""
    return (
        [item for pair in reply.items() for item in pair] if hasattr(reply, "items") else [*reply]
    )


def in_resp2(reply: Any) -> Any:
    """Return what is left of a reply in RESP2."""
    match reply:
        case bool():
            return int(reply)
        case dict() | list() | tuple() | set() | frozenset():
            return [in_resp2(item) for item in flat(reply)]
        case float():
            return repr(reply).encode()
        case int():
            return reply if -(2**63) <= reply < 2**63 else b"%d" % reply
        case VerbatimString():
            return bytes(reply)
        case BulkError():
            return SimpleError(reply.raw.replace(b"\r", b" ").replace(b"\n", b" "))
        case _:
            return reply


@given(st.lists(some.REPLIES, max_size=3))
def test_what_is_encoded_as_resp2_is_decoded(replies: list[Any]) -> None:
    wire = b"".join(encode(reply, protocol=2) for reply in replies)
    assert some.is_same(Codec().receive_data(wire), in_resp2(replies))


@given(some.ANY_BYTES, some.PLACES, some.SETTINGS)
def test_cuts_change_nothing(data: bytes, places: list[int], settings: dict[str, Any]) -> None:
    # Also: whatever the bytes, outcome() lets no exception through but RemoteProtocolError.
    whole = outcome(Codec(**settings), [data])
    assert outcome(Codec(**settings), one_by_one(data)) == whole
    assert outcome(Codec(**settings), cut_at(data, places)) == whole


@given(some.STREAMS)
def test_valid_streams_are_read_to_their_end(stream: bytes) -> None:
    codec = Codec()
    codec.receive_data(stream)
    assert codec.trailing_data == b""
    assert codec.receive_eof() == []


@given(some.REPLY_WIRE, st.data())
def test_every_truncation_gives_no_reply_and_no_error(wire: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(wire) - 1))
    codec = Codec()
    assert codec.receive_data(wire[:cut]) == []
    assert len(codec.receive_data(wire[cut:])) == 1


def as_received(argument: Any) -> bytes:
    """Return what a server sees of a command's argument."""
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, memoryview):
        return argument.tobytes()
    return repr(argument).encode() if isinstance(argument, (int, float)) else bytes(argument)


@given(some.COMMANDS)
def test_commands_are_arrays_of_bulk_strings(command: list[Any]) -> None:
    wire = Codec().send(command)
    assert Codec().receive_data(wire) == [[as_received(argument) for argument in command]]
    assert b"".join(Codec().send_buffers(tuple(command))) == wire


def has_bytes(reply: Any) -> bool:
    match reply:
        case dict() | list() | tuple() | set() | frozenset():
            return any(map(has_bytes, flat(reply)))
        case _:
            return isinstance(reply, bytes)


@given(some.REPLIES)
def test_decode_text_turns_all_bytes_to_text(reply: Any) -> None:
    assert not has_bytes(decode_text(reply, "latin-1"))


@given(st.floats())
def test_doubles_are_exact(number: float) -> None:
    (back,) = Codec().receive_data(encode(number))
    assert type(back) is float
    assert repr(back) == repr(number) or (math.isnan(back) and math.isnan(number))
