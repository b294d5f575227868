"""What holds for the codec whatever the server says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.postgres import _server as server
from tests.protocols.postgres import _strategies as some
from tests.protocols.postgres._conversation import Client, converse
from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.protocols import postgres
from wirekit.protocols.postgres import Codec, State, Sync

if TYPE_CHECKING:
    from tests.protocols.postgres._conversation import Step


@given(some.CONVERSATIONS)
def test_what_a_server_may_say_is_understood(steps: list[Step]) -> None:
    outcome = converse(Client(postgres), steps)
    assert not [shown for shown in outcome.steps if "ProtocolError" in shown]
    assert (outcome.state, outcome.copying) == ("OPEN", False)
    assert (outcome.trailing_data, outcome.end) == (b"", "[]")


@given(st.one_of(some.CONVERSATIONS, some.spoilt()), some.PLACES)
def test_cuts_change_nothing(steps: list[Step], places: list[int]) -> None:
    # Also: whatever the bytes, converse() lets no exception through but the two.
    whole = converse(Client(postgres), steps)
    assert converse(Client(postgres), steps, one_by_one) == whole
    assert converse(Client(postgres), steps, lambda data: cut_at(data, places)) == whole


@given(some.CONVERSATIONS, st.data())
def test_every_truncation_gives_a_part_of_the_events(
    steps: list[Step], data: st.DataObject
) -> None:
    (*before, last) = steps
    assert isinstance(last, bytes)
    cut = data.draw(st.integers(0, len(last)))
    whole = converse(Client(postgres), steps)
    part = converse(Client(postgres), [*before, last[:cut]])
    assert part.steps[:-1] == whole.steps[:-1]
    assert whole.steps[-1].startswith(part.steps[-1])
    if cut < len(last):
        assert part.end.startswith("RemoteProtocolError: end of input ")
    both = converse(Client(postgres), steps, lambda data: cut_at(data, [cut]))
    assert both == whole


@given(some.spoilt(), some.STEPS)
def test_an_error_is_for_good(steps: list[Step], step: Step) -> None:
    client = Client(postgres)
    outcome = converse(client, steps)
    codec = client.codec
    if outcome.end == "[]":
        assert codec.state is State.CLOSED
        return
    assert codec.state is State.ERROR
    assert codec.trailing_data == b""
    assert not codec.copying
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as caught:
            codec.receive_data(step if isinstance(step, bytes) else b"")
        assert caught.value.events == []
        assert f"{type(caught.value).__name__}: {caught.value}" == outcome.end
        with pytest.raises(RemoteProtocolError):
            codec.receive_eof()
        with pytest.raises(LocalProtocolError, match="in state ERROR"):
            codec.send(Sync())


@given(some.spoilt())
def test_what_is_refused_to_be_sent_changes_nothing(steps: list[Step]) -> None:
    """A refusal at any moment, of a message behind any others, leaves the codec as it was."""
    whole = converse(Client(postgres), steps)
    client = Client(postgres)
    client.codec = _RefusingCodec(client.codec)
    assert converse(client, steps) == whole


class _RefusingCodec:
    """Tries to send, before anything that is sent, the same along with what nobody may send."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec

    def __getattr__(self, name: str) -> object:
        return getattr(self._codec, name)

    def send(self, *messages: object) -> bytes:
        for several in ([object()], [*messages, object()]):
            with pytest.raises(LocalProtocolError):
                self._codec.send(*several)
        sent: bytes = self._codec.send(*messages)
        return sent


@given(st.lists(some.EXCHANGES, min_size=1, max_size=4))
def test_pipelined_or_not_the_answers_are_the_same(
    exchanges: list[tuple[str, list[bytes]]],
) -> None:
    one_by_one: list[Step] = [*some.OPENINGS[0]]
    pipelined: list[Step] = [*some.OPENINGS[0], *(name for name, _ in exchanges)]
    for name, answer in exchanges:
        one_by_one += [name, b"".join(answer)]
        pipelined.append(b"".join(answer))
    answers = converse(Client(postgres), one_by_one).steps[3::2]
    assert converse(Client(postgres), pipelined).steps[2 + len(exchanges) :] == answers


@given(st.integers(1, 2000), st.binary(max_size=3))
def test_many_requests_are_remembered(count: int, noise: bytes) -> None:
    codec = Codec()
    codec.send(postgres.StartupMessage({"user": "u"}))
    codec.receive_data(server.LET_IN)
    codec.send(*[Sync()] * count)
    events = codec.receive_data(server.ready_for_query() * count)
    assert len(events) == count
    with pytest.raises(RemoteProtocolError):
        codec.receive_data(server.ready_for_query() + noise)
