"""What holds for any bytes and any cut, from the identification to a later key exchange."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.ssh._pair import KINDS, Pair, make_client, make_server, open_codec, open_pair
from tests.protocols.ssh._replay import Replayed, algorithms, record, replay, replay_fixed
from wirekit.protocols.ssh import KeyExchanged, Packet, State

if TYPE_CHECKING:
    from wirekit.protocols.ssh import Algorithms

SUITES = [(*kind, "none") for kind in KINDS] + [(*KINDS[0], "zlib@openssh.com")]
SUITE = st.sampled_from(SUITES)

recorded = functools.cache(record)


@functools.cache
def whole(suite: tuple[str, str, str]) -> Replayed:
    return replay_fixed(algorithms(*suite), [recorded(*suite)])


@pytest.mark.parametrize("suite", SUITES)
def test_a_recorded_conversation(suite: tuple[str, str, str]) -> None:
    events, fault, trailing, end = whole(suite)
    names = [type(event).__name__ for event in events]
    opening = ["Identified", "KexInit", "KeyExchanged", "ExtInfo", "ServiceAccept"]
    packets = ["tuple"] * 3
    assert names == [*opening, *packets, "KexInit", "KeyExchanged", "tuple", "tuple"]
    assert (fault, trailing, end) == (None, b"", None)


@given(SUITE, st.data())
def test_any_cut(suite: tuple[str, str, str], data: st.DataObject) -> None:
    stream = recorded(*suite)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    assert replay_fixed(algorithms(*suite), cut_at(stream, places)) == whole(suite)


@pytest.mark.parametrize("suite", SUITES)
def test_byte_by_byte(suite: tuple[str, str, str]) -> None:
    assert replay_fixed(algorithms(*suite), one_by_one(recorded(*suite))) == whole(suite)


def check_spoilt(chosen: Algorithms, stream: bytes, before: Replayed) -> None:
    """Check that events come only as they were, and then one fault, however it is cut."""
    result = replay_fixed(chosen, [stream])
    assert replay_fixed(chosen, one_by_one(stream)) == result
    events = result.events
    expected = before.events
    keys = [index for index, event in enumerate(events) if isinstance(event, KeyExchanged)]
    if keys:  # what is said in the clear is only then known to be the server's
        assert events == expected[: len(events)]


@settings(max_examples=60)
@given(SUITE, st.data())
def test_every_truncation(suite: tuple[str, str, str], data: st.DataObject) -> None:
    stream = recorded(*suite)
    size = data.draw(st.integers(0, len(stream) - 1))
    check_spoilt(algorithms(*suite), stream[:size], whole(suite))


@settings(max_examples=200)
@given(SUITE, st.data())
def test_changed_bits(suite: tuple[str, str, str], data: st.DataObject) -> None:
    stream = recorded(*suite)
    position = data.draw(st.integers(0, len(stream) * 8 - 1))
    changed = bytearray(stream)
    changed[position // 8] ^= 1 << position % 8
    check_spoilt(algorithms(*suite), bytes(changed), whole(suite))


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_of_protected_packets(kind: tuple[str, str]) -> None:
    stream = open_codec("server", *kind).send(b"\x5esecret", b"\x5f")
    for position in range(len(stream) * 8):
        changed = bytearray(stream + bytes(300))
        changed[position // 8] ^= 1 << position % 8
        events, fault, trailing, _ = replay(open_codec("client", *kind), [bytes(changed)])
        assert fault is not None or trailing
        assert events in ([], [(94, b"\x5esecret", 0)])


@given(st.binary(max_size=300), st.sampled_from(["client", "server"]), st.booleans())
def test_arbitrary_bytes_in_the_clear(data: bytes, role: str, identified: bool) -> None:
    for pieces in ([data], one_by_one(data)):
        codec = make_client() if role == "client" else make_server()
        if identified:
            codec.receive_data(b"SSH-2.0-x\r\n")
        replay(codec, pieces)


@given(st.binary(max_size=300), st.sampled_from(KINDS))
def test_arbitrary_bytes_when_open(data: bytes, kind: tuple[str, str]) -> None:
    for codec in (open_codec("client", *kind), open_codec("server", *kind)):
        assert replay(codec, [data]).events == []


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["client", "server"]), st.binary(min_size=1, max_size=400)),
            st.tuples(st.sampled_from(["client", "server"]), st.none()),
        ),
        max_size=12,
    ),
    st.sampled_from(KINDS),
    st.integers(1, 600),
)
def test_conversations_with_key_exchanges_anywhere(
    steps: list[tuple[str, bytes | None]], kind: tuple[str, str], size: int
) -> None:
    """Whatever is sent arrives once and in order, whenever keys change and however it is cut."""
    chosen = algorithms(*kind)
    pair = open_pair(make_client(algorithms=chosen), make_server(algorithms=chosen))
    sent: dict[str, list[bytes]] = {"client": [], "server": []}
    waiting = {"client": b"", "server": b""}
    codecs = {"client": pair.client, "server": pair.server}
    for name, data in steps:
        codec = codecs[name]
        if data is not None:
            payload = b"\x5e" + data
            sent[name].append(payload)
            waiting[name] += codec.send(payload)
        elif codec.state is State.OPEN:
            codec.rekey()
        carry(pair, waiting, size)
    while any(waiting.values()) or pair.client.state is not State.OPEN:
        carry(pair, waiting, size)
    for name, events in (("client", pair.server_events), ("server", pair.client_events)):
        assert [event.payload for event in events if isinstance(event, Packet)] == sent[name]


def carry(pair: Pair, waiting: dict[str, bytes], size: int) -> None:
    """Carry some bytes each way."""
    waiting["client"] += pair.client.data_to_send()
    waiting["server"] += pair.server.data_to_send()
    if waiting["client"]:
        pair.tell_server(waiting["client"][:size])
    if waiting["server"]:
        pair.tell_client(waiting["server"][:size])
    waiting["client"] = waiting["client"][size:] + pair.client.data_to_send()
    waiting["server"] = waiting["server"][size:] + pair.server.data_to_send()
