"""The Message Expiry Interval of what has to wait (MQTT 5.0, section 3.3.2.3.3)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from wirekit.protocols.mqtt import Publish

from ._errors import MessageExpired

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Properties

__all__ = ["shortened"]


def shortened(message: Publish, left: float, *, sent: bool = False) -> Publish:
    """Return a message that has only so many seconds left, in place of what it had.

    Raises:
        MessageExpired: none; unless it was sent, for then it cannot be taken back any more.
    """
    seconds = ceil(left)
    if seconds <= 0:
        if not sent:
            raise MessageExpired("the message expired before it was sent")
        seconds = 1
    if seconds >= message.properties.get("message_expiry_interval", 0):
        return message
    properties: Properties = {**message.properties, "message_expiry_interval": seconds}
    return Publish(
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        message.duplicate,
        message.packet_id,
        properties,
    )
