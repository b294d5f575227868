"""What one side told of what it accepts."""

from __future__ import annotations

from wirekit.protocols.mqtt._limits import Limits


def values(limits: Limits) -> list[int]:
    return [
        *(limits.receive_maximum, limits.maximum_packet_size, limits.topic_alias_maximum),
        *(limits.maximum_qos, limits.retain_available, limits.wildcard_subscription_available),
        *(limits.subscription_identifier_available, limits.shared_subscription_available),
    ]


def test_without_a_word_it_is_what_the_standard_says() -> None:
    assert values(Limits({})) == [65535, 268435460, 0, 2, 1, 1, 1, 1]


def test_what_was_told() -> None:
    limits = Limits(
        {
            "receive_maximum": 1,
            "maximum_packet_size": 2**32 - 1,
            "topic_alias_maximum": 65535,
            "maximum_qos": 0,
            "retain_available": 0,
            "wildcard_subscription_available": 0,
            "subscription_identifier_available": 0,
            "shared_subscription_available": 0,
        }
    )
    assert values(limits) == [1, 2**32 - 1, 65535, 0, 0, 0, 0, 0]
    assert limits.retain_available is False
