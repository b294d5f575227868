"""The Message Expiry Interval of what has to wait (MQTT 5.0, section 3.3.2.3.3)."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError
from wirekit.protocols.mqtt import Publish

from ._errors import MessageExpired, connection_error

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Properties

__all__ = ["lifetime_of", "shortened"]

_LONGEST = 0xFFFFFFFF  # as it is a Four Byte Integer


def lifetime_of(properties: Properties) -> int | None:
    """Return the Message Expiry Interval in seconds; None: the message does not expire.

    Raises:
        LocalProtocolError: it is none that can be sent.
    """
    lifetime = properties.get("message_expiry_interval")
    if lifetime is None or (type(lifetime) is int and 0 <= lifetime <= _LONGEST):
        return lifetime
    text = f"message_expiry_interval must be a whole number up to {_LONGEST}"
    raise connection_error(LocalProtocolError(text), sent=False)


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
