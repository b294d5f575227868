"""The compiled codec against its own source."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, shown
from tests.protocols._pure import is_compiled
from tests.protocols.mqtt import _strategies as some
from tests.protocols.mqtt._conversation import converse
from tests.protocols.mqtt._pair import opened
from tests.protocols.mqtt.test_codec_properties import BEGINNINGS, STEPS
from tests.protocols.postgres._sources import load_source
from wirekit import Error
from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocols.mqtt._conversation import Step
    from wirekit.protocols.mqtt import Role, Version

PURE = load_source("protocols.mqtt")
BUILDS: list[Any] = [mqtt, PURE]


def test_the_sources_are_other_modules() -> None:
    assert not is_compiled(load_source("protocols.mqtt.codec"))
    assert not is_compiled(load_source("protocols.mqtt._sender"))
    assert PURE.Codec is not mqtt.Codec
    # A .pxd that Cython does not find is not reported: the module compiles all the same, untyped.
    assert hasattr(PURE.Codec(), "_pending")
    assert hasattr(mqtt.Codec(), "_pending") != is_compiled(codec)
    assert hasattr(mqtt.Codec(), "_may_send") != is_compiled(codec)
    assert hasattr(mqtt.Publish("a"), "_properties") != is_compiled(codec)


@given(st.sampled_from(BEGINNINGS), st.lists(STEPS, max_size=6), some.PLACES)
def test_both_understand_the_same(
    beginning: tuple[Role, Version | None, list[Step]], steps: list[Step], places: list[int]
) -> None:
    role, version, opening = beginning
    talk = [*opening, *steps]
    outcomes = [
        converse(build, build.Codec(role, version=version), talk, lambda data: cut_at(data, places))
        for build in BUILDS
    ]
    assert outcomes[0] == outcomes[1]


def attempt(function: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the result's ``repr``; or the exception's type, and its text where it is ours."""
    try:
        return repr(function(*args, **kwargs))
    except Exception as exc:
        ours = isinstance(exc, (Error, ValueError))
        return f"{type(exc).__name__}: {exc}" if ours else type(exc).__name__


class Text(str):
    __slots__ = ()


class Data(bytes):
    __slots__ = ()


class Number(int):
    __slots__ = ()


ODDITIES: list[Any] = [
    *(None, True, 0, 1, -1, 65535, 65536, 2**70, 1.5, "x", "", "a/b", "a/+", "\ud800", "\0"),
    *(b"", b"x", bytearray(b"x"), memoryview(b"xyz")[::2], [], (), {}, {"a": 1}, [1], object),
    *({"topic_alias": 1}, {"user_property": 5}, {"content_type": 5}, {"receive_maximum": 1}),
    *({"subscription_identifier": [0]}, {"subscription_identifier": 1}, {"response_topic": "+"}),
    *({"correlation_data": "x"}, {"user_property": [("a",)]}, {"payload_format_indicator": 2}),
    *({"message_expiry_interval": -1}, {"message_expiry_interval": 2**32}, {5: 1}, "x" * 70000),
    *({"content_type": "\0"}, {"content_type": "x" * 70000}, {"correlation_data": b"x" * 70000}),
]
MORE: list[Any] = [
    *(OrderedDict(content_type="x"), {"content_type": Text("x")}, {"correlation_data": Data(b"x")}),
    *(Text("a/b"), Text(""), Data(b"x"), Number(1), {"topic_alias": Number(1)}, {Text("x"): 1}),
    *({"user_property": [["a", "b"]]}, {"user_property": (("a", "b"),)}, {"user_property": []}),
    *({"message_expiry_interval": True}, {"subscription_identifier": (1,)}, (1,), ("a",)),
    *(1j, [Number(0)], {"user_property": [Text("ab")]}, {"user_property": [("a", Text("b"))]}),
]
ODD = st.sampled_from([*ODDITIES, *MORE])
LIMITS: Any = {"topic_alias_maximum": 2, "maximum_packet_size": 99}
VALUES: dict[str, list[Any]] = {
    "Publish": ["a/b", b"x", 1, False, False, 1, {}],
    "PubAck": [1, 0, {}],
    "PubRec": [1, 0x87, {}],
    "PubRel": [1, 0, {}],
    "PubComp": [1, 0x92, {}],
    "Subscription": ["a", 1, False, False, 0],
    "Subscribe": [1, (), {}],
    "SubAck": [1, (0,), {}],
    "Unsubscribe": [1, ("a",), {}],
    "UnsubAck": [1, (0,), {}],
    "Will": ["a", b"", 0, False, {}],
    "Disconnect": [0, {}],
    "Auth": [0x18, {}],
    "ConnAck": [False, 0, {}],
    "Connect": ["me", True, 0, None, None, None, {}, 5],
}


@given(st.sampled_from(sorted(VALUES)), st.data())
def test_both_make_and_send_the_same(name: str, data: st.DataObject) -> None:
    values = [*VALUES[name]]
    for _ in range(data.draw(st.integers(1, 2))):
        values[data.draw(st.integers(0, len(values) - 1))] = data.draw(ODD)
    outcomes: list[list[str]] = []
    for build in BUILDS:
        make = getattr(build, name)
        seen = [attempt(make, *values)]
        try:
            packet = make(*values)
        except Exception:
            packet = None
        ends = opened(package=build, client=LIMITS, server=LIMITS)
        for end in (*ends, *opened(4, package=build), build.Codec()):
            seen += [attempt(end.send, packet), attempt(end.send_buffers, packet)]
            seen.append(end.state.name)
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("value", [*ODDITIES, *MORE], ids=shown)
def test_both_take_and_refuse_the_same_arguments(value: Any) -> None:
    outcomes: list[list[str]] = []
    for build in BUILDS:
        client, _ = opened(package=build)
        seen = [attempt(client.receive_data, value), client.state.name, repr(client.trailing_data)]
        for name in ("role", "version", "maximum_packet_size", "receive_maximum"):
            made = attempt(build.Codec, **{name: value})
            seen.append(made.partition(" object at ")[0].replace("wirekit_sources", "wirekit"))
        seen += [attempt(build.check_topic_name, value), attempt(build.Topic, value)]
        seen.append(attempt(build.check_topic_filter, value))
        seen.append(attempt(build.topic_matches, value, "a/b"))
        seen.append(attempt(build.topic_matches, "a/+", value))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


def test_neither_takes_new_attributes() -> None:
    for build in BUILDS:
        for thing in (build.Codec(), build.Publish("a"), build.PubAck(1)):
            with pytest.raises(AttributeError):
                thing.extra = 1
        for name in ("state", "version", "peer_receive_maximum", "trailing_data"):
            with pytest.raises(AttributeError):
                setattr(build.Codec(), name, 1)
