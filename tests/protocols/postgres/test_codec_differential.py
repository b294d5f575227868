"""The compiled codec and row readers against their own sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one, shown
from tests.protocols._pure import is_compiled
from tests.protocols.postgres import _server as server
from tests.protocols.postgres import _strategies as some
from tests.protocols.postgres._conversation import COLUMNS, SENT, Client, converse
from tests.protocols.postgres._sources import load_source
from wirekit import Error
from wirekit.protocols import postgres
from wirekit.protocols.postgres import codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocols.postgres._conversation import Step

PURE = load_source("protocols.postgres")
BUILDS = [postgres, PURE]


def test_the_sources_are_other_modules() -> None:
    assert not is_compiled(load_source("protocols.postgres.codec"))
    assert not is_compiled(load_source("protocols.postgres._rows"))
    assert PURE.Codec is not postgres.Codec
    # A .pxd that Cython does not find is not reported: the module compiles all the same, untyped.
    assert hasattr(PURE.Codec(), "_head")
    assert hasattr(postgres.Codec(), "_head") != is_compiled(codec)
    assert hasattr(PURE.TextRowReader(), "_rows")


@given(st.one_of(some.spoilt(), st.lists(some.STEPS, max_size=9)), some.PLACES)
def test_both_understand_the_same(steps: list[Step], places: list[int]) -> None:
    whole = converse(Client(postgres), steps)
    assert converse(Client(PURE), steps) == whole
    assert converse(Client(PURE), steps, one_by_one) == whole
    assert converse(Client(PURE), steps, lambda data: cut_at(data, places)) == whole


@given(some.row_conversations())
def test_both_read_the_same_from_any_row(steps: list[Step]) -> None:
    assert converse(Client(postgres), steps) == converse(Client(PURE), steps)


@given(st.integers(0, 70000), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_both_have_the_same_limits(most: int, kind: int, length: int) -> None:
    header = bytes([kind]) + length.to_bytes(4, "big")
    outcomes: list[object] = []
    for package in BUILDS:
        try:
            client = Client(package, max_message_length=most)
        except ValueError as exc:
            outcomes.append(str(exc))
            continue
        outcomes.append(converse(client, ["startup", header]))
        client = Client(package, max_message_length=most)
        outcomes.append(converse(client, ["startup", server.LET_IN, "query", header]))
    middle = len(outcomes) // 2
    assert outcomes[:middle] == outcomes[middle:]


def attempt(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the result's ``repr``; or the exception's type, and its text where it is ours."""
    try:
        return repr(function(*args, **kwargs))
    except Exception as exc:
        ours = isinstance(exc, (Error, ValueError))
        return f"{type(exc).__name__}: {exc}" if ours else type(exc).__name__


ODDITIES: list[Any] = [
    *(None, True, 1, -1, 2**70, 1.5, "x", b"", b"x", bytearray(b"x"), memoryview(b"x"), []),
    *(object, ("a",), {"a": 1}),
]


@pytest.mark.parametrize("value", ODDITIES, ids=shown)
def test_both_take_and_refuse_the_same_arguments(value: Any) -> None:
    for name in ("receive_data", "send", "send_buffers", "receive_eof"):
        clients = [Client(package) for package in BUILDS]
        for opened in (False, True):
            if opened:
                clients = [Client(package) for package in BUILDS]
                for client in clients:
                    converse_opening(client)
            mine, source = [attempt(getattr(client.codec, name), value) for client in clients]
            assert mine == source
            assert clients[0].codec.state.name == clients[1].codec.state.name
    mine, source = [
        attempt(package.Codec, max_message_length=value).partition(" object at ")[0]
        for package in BUILDS
    ]
    assert mine == source.replace("wirekit_sources", "wirekit")


def converse_opening(client: Client) -> None:
    client.codec.send(*SENT["startup"](client))
    client.codec.receive_data(server.LET_IN)


@pytest.mark.parametrize("value", ODDITIES, ids=shown)
def test_both_take_and_refuse_the_same_readers(value: Any) -> None:
    for kind in ("Query", "Execute"):
        outcomes: list[str] = []
        for package in BUILDS:
            client = Client(package)
            converse_opening(client)
            outcomes.append(attempt(client.codec.send, getattr(package, kind)("", reader=value)))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("limit", [-1, 0, 1, 2**31 - 1, 2**31, 2**70])
def test_both_have_the_same_row_limits(limit: int) -> None:
    outcomes: list[str] = []
    for package in BUILDS:
        prepared = package.PreparedQuery("s", package.RowWriter([]))
        refusal = attempt(prepared.bind, (), None, limit)
        outcomes.append(refusal.partition(" object at ")[0].replace("wirekit_sources", "wirekit"))
    assert outcomes[0] == outcomes[1]


@given(st.sampled_from([*COLUMNS]), st.lists(st.one_of(st.none(), st.integers(), st.text())))
def test_both_write_the_same_values(name: str, values: list[Any]) -> None:
    outcomes: list[str] = []
    for package in BUILDS:
        client = Client(package)
        out = bytearray()
        writer = client.writer(*COLUMNS[name])
        # Compiled, it returns 0 in the place of None.
        refusal = attempt(writer.write, out, values)
        outcomes.append(f"{refusal.removeprefix('None').removeprefix('0')} {out.hex()}")
    assert outcomes[0] == outcomes[1]


def test_neither_takes_new_attributes() -> None:
    for package in BUILDS:
        with pytest.raises(AttributeError):
            package.Codec().extra = 1
        with pytest.raises(AttributeError):
            package.Codec().state = package.State.OPEN
        assert attempt(package.Codec, 1) == "TypeError"
