from __future__ import annotations

import pytest

from wirekit.adapters.mqtt import MessageExpired
from wirekit.adapters.mqtt._expiry import shortened
from wirekit.protocols.mqtt import Properties, Publish


def message() -> Publish:
    properties: Properties = {"message_expiry_interval": 10, "content_type": "text/plain"}
    return Publish("a", b"x", 1, True, True, 7, properties)


def test_what_has_waited_has_less_time_left() -> None:
    old = message()
    new = shortened(old, 6.2)
    assert new.properties == {"message_expiry_interval": 7, "content_type": "text/plain"}
    assert old.properties.get("message_expiry_interval") == 10
    new.properties["message_expiry_interval"] = 10
    assert new == old


def test_what_has_not_waited_is_the_same() -> None:
    old = message()
    assert shortened(old, 9.5) is old


def test_what_has_no_time_left_is_not_sent() -> None:
    with pytest.raises(MessageExpired, match="before it was sent"):
        shortened(message(), 0)


def test_what_was_sent_cannot_be_taken_back() -> None:
    assert shortened(message(), -5, sent=True).properties.get("message_expiry_interval") == 1
