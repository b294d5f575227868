from __future__ import annotations

from typing import Any

import pytest

from wirekit.adapters.redis import DataError
from wirekit.adapters.redis._responses import Kind, Plans, plain, refuse
from wirekit.protocols.resp import VerbatimString


@pytest.fixture
def plans() -> Plans:
    return Plans(None, legacy_responses=True)


@pytest.mark.parametrize("name", ["CONFIG GET", "config get", b"Config Get"])
def test_a_plan_is_made_once(plans: Plans, name: str | bytes) -> None:
    plan = plans.of(name)
    assert plans.of(name) is plan
    assert plan.words == (b"CONFIG", b"GET")
    assert plan.kind is Kind.PLAIN
    assert plan.callback is not None
    assert plan.callback({b"a": b"1"}) == {"a": "1"}


def test_one_word_is_sent_as_it_is(plans: Plans) -> None:
    assert plans.of("get").words == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GET", Kind.PLAIN),
        ("blpop", Kind.BLOCKING),
        (b"XREAD", Kind.BLOCKING),
        ("nosuch", Kind.PLAIN),
    ],
)
def test_kinds(plans: Plans, name: str | bytes, kind: Kind) -> None:
    assert plans.of(name).kind is kind


@pytest.mark.parametrize("name", [None, 5, ["GET"]])
def test_a_name_is_text(plans: Plans, name: Any) -> None:
    with pytest.raises((DataError, TypeError)):
        plans.of(name)


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("SUBSCRIBE", "a"), "pubsub"),
        ((b"subscribe", b"a"), "pubsub"),
        (("MULTI",), "pipeline"),
        (("WATCH", "k"), "pipeline"),
        (("MONITOR",), "monitor"),
        (("SELECT", 1), "db="),
        (("HELLO", 3), "protocol="),
        (("QUIT",), "aclose"),
        (("RESET",), "all its callers"),
        (("SYNC",), "replication"),
        (("CLIENT REPLY", "OFF"), "in vain"),
        (("CLIENT", "REPLY", "OFF"), "in vain"),
        ((b"client", b"reply", b"OFF"), "in vain"),
    ],
)
def test_refused(plans: Plans, command: tuple[Any, ...], advice: str) -> None:
    plan = plans.of(command[0])
    assert plan.kind is Kind.REFUSED
    with pytest.raises(DataError, match=advice):
        refuse(plan, (*plan.words, *command[1:]) if plan.words else command)


def test_other_subcommands_of_client_are_not(plans: Plans) -> None:
    refuse(plans.of("CLIENT"), ("CLIENT", "ID"))
    refuse(plans.of("CLIENT LIST"), (b"CLIENT", b"LIST"))


def test_a_refusal_does_not_show_arguments(plans: Plans) -> None:
    with pytest.raises(DataError) as caught:
        refuse(plans.of("HELLO"), ("HELLO", "hunter2"))
    assert "hunter2" not in str(caught.value)


def test_another_callback(plans: Plans) -> None:
    before, lower = plans.of("GET"), plans.of(b"get")
    other = plans.of("SET")
    assert (before.callback, lower.callback) == (None, None)
    plans.set_callback("get", len)
    assert plans.of("GET").callback is len
    assert plans.of(b"get").callback is len
    assert plans.of("SET") is other


def test_plans_do_not_pile_up(plans: Any) -> None:
    for number in range(10_100):
        assert plans.of(f"nosuch{number}").kind is Kind.PLAIN
    assert len(plans._plans) == 10_000


@pytest.mark.parametrize(
    ("protocol", "legacy", "reply", "shaped"),
    [
        (None, True, [[b"m", 1.0]], [(b"m", 1.0)]),
        (2, True, [b"m", b"1"], [(b"m", 1.0)]),
        (3, True, [[b"m", 1.0]], [[b"m", 1.0]]),
        (2, False, [b"m", b"1"], [[b"m", 1.0]]),
        (None, False, [[b"m", 1.0]], [[b"m", 1.0]]),
    ],
)
def test_the_shapes_follow_protocol_and_switch(
    protocol: Any, legacy: bool, reply: Any, shaped: Any
) -> None:
    callback = Plans(protocol, legacy_responses=legacy).of("ZRANGE").callback
    assert callback is not None
    assert callback(reply, withscores=True) == shaped


def test_plain_types() -> None:
    text = plain(VerbatimString(b"text"))
    assert type(text) is bytes
    assert text == b"text"
    assert sorted(plain({b"a", b"b"})) == [b"a", b"b"]
    assert plain([{b"flags": {b"x"}}, None, 1.5]) == [{b"flags": [b"x"]}, None, 1.5]
    # A map in a set, as COMMAND has them.
    assert plain({((b"flags", frozenset([b"x"])), (b"spec", ()))}) == [
        {b"flags": [b"x"], b"spec": {}}
    ]
