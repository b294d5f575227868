from __future__ import annotations

from typing import Any, cast

import pytest

import wirekit
from wirekit import LocalProtocolError
from wirekit.adapters.mqtt import Subscription, Will
from wirekit.adapters.mqtt._options import (
    Payload,
    TopicFilters,
    payload_bytes,
    random_client_id,
    subscriptions_of,
    will_of,
)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"x", b"x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"xyz")[1:], b"yz"),
        ("zoë", b"zo\xc3\xab"),
        (3, b"3"),
        (2.5, b"2.5"),
        (None, b""),
    ],
)
def test_payloads(payload: Payload, expected: bytes) -> None:
    assert payload_bytes(payload) == expected


def test_other_payloads_are_refused() -> None:
    with pytest.raises(TypeError, match="not list"):
        payload_bytes([])  # type: ignore[arg-type]


def read(filters: TopicFilters) -> list[Subscription]:
    return subscriptions_of(filters, 1, no_local=True, retain_as_published=True, retain_handling=2)


def test_filters_in_all_spellings() -> None:
    options = (True, True, 2)
    own = Subscription("c", 0)
    assert read("a") == [Subscription("a", 1, *options)]
    assert read(("a", 2)) == [Subscription("a", 2, *options)]
    assert read(own) == [own]
    assert read(["a", ("b", 0), own]) == [
        Subscription("a", 1, *options),
        Subscription("b", 0, *options),
        own,
    ]


def test_no_filter_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="no topic filter"):
        read([])


def test_random_client_ids() -> None:
    name = random_client_id()
    assert name != random_client_id()
    assert len(name) == 23
    assert name.isalnum()


def test_text_that_is_not_unicode() -> None:
    with pytest.raises(wirekit.LocalProtocolError, match="surrogate"):
        payload_bytes("\ud800")


@pytest.mark.parametrize(("payload", "sent"), [("gone", b"gone"), (None, b""), (5, b"5")])
def test_the_payload_of_a_will(payload: Any, sent: bytes) -> None:
    assert will_of(Will("t", payload, 1)) == Will("t", sent, 1)


@pytest.mark.parametrize("will", [("t", "gone"), Will("t", cast("Any", [])), {"topic": "t"}])
def test_what_is_no_will(will: Any) -> None:
    with pytest.raises(wirekit.AddressError, match="will"):
        will_of(will)
