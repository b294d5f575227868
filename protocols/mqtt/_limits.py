# cython: annotation_typing=False
"""What one side of a connection told the other that it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._properties import LARGEST_PACKET

if TYPE_CHECKING:
    from ._properties import Properties

__all__ = ["Limits"]


class Limits:
    """What one side accepts: of a client told in CONNECT (§3.1.2.11), of a server in CONNACK.

    Args:
        properties: those of that packet.
    """

    __slots__ = (
        "maximum_packet_size",
        "maximum_qos",
        "receive_maximum",
        "retain_available",
        "shared_subscription_available",
        "subscription_identifier_available",
        "topic_alias_maximum",
        "wildcard_subscription_available",
    )

    def __init__(self, properties: Properties) -> None:
        self.receive_maximum = properties.get("receive_maximum", 65535)
        self.maximum_packet_size = properties.get("maximum_packet_size", LARGEST_PACKET)
        self.topic_alias_maximum = properties.get("topic_alias_maximum", 0)
        self.maximum_qos = properties.get("maximum_qos", 2)
        self.retain_available = properties.get("retain_available", 1) == 1
        self.wildcard_subscription_available = (
            properties.get("wildcard_subscription_available", 1) == 1
        )
        self.subscription_identifier_available = (
            properties.get("subscription_identifier_available", 1) == 1
        )
        self.shared_subscription_available = properties.get("shared_subscription_available", 1) == 1
