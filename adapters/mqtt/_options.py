"""What users pass to the client, in the spellings that they know from aiomqtt."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast

from wirekit._errors import AddressError, LocalProtocolError
from wirekit.protocols.mqtt import Subscription, Will

from ._errors import connection_error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NEVER",
    "Payload",
    "TopicFilters",
    "payload_bytes",
    "random_client_id",
    "subscriptions_of",
    "will_of",
]

NEVER = 0xFFFFFFFF  # the Session Expiry Interval of a session that does not expire (§3.1.2.11.2)

Payload: TypeAlias = bytes | bytearray | memoryview | str | int | float | None
TopicFilter: TypeAlias = str | tuple[str, int] | Subscription
TopicFilters: TypeAlias = "TopicFilter | Iterable[TopicFilter]"


def random_client_id() -> str:
    """Return a client identifier that every server accepts [MQTT-3.1.3-5]."""
    return f"wirekit{secrets.token_hex(8)}"


def payload_bytes(payload: Payload) -> bytes:
    """Return a payload as bytes: text in UTF-8, numbers as text, None as nothing.

    Raises:
        LocalProtocolError: text that is not Unicode.
        TypeError: it is none of these.
    """
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError:  # which would show the payload
            text = "a payload with a lone surrogate, which UTF-8 does not have"
            raise connection_error(LocalProtocolError(text), sent=False) from None
    if payload is None:
        return b""
    if isinstance(payload, int | float):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        return str(payload).encode()
    raise TypeError(f"a payload is bytes, str, int, float or None, not {type(payload).__name__}")


def will_of(will: Will) -> Will:
    """Return a will with its payload as bytes, in the spellings of `payload_bytes`.

    Raises:
        AddressError: it is no will, or its payload none.
    """
    if not isinstance(will, Will):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise AddressError(f"will must be a Will, not {type(will).__name__}")
    try:
        return replace(will, payload=payload_bytes(will.payload))
    except (LocalProtocolError, TypeError) as error:
        raise AddressError(f"the will: {error}") from None


def subscriptions_of(
    filters: TopicFilters,
    qos: int,
    *,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: int,
) -> list[Subscription]:
    """Return the subscriptions that are meant; those that have options keep them.

    Raises:
        LocalProtocolError: there is none.
    """
    several = cast("Iterable[TopicFilter]", [filters] if _is_one(filters) else filters)
    found: list[Subscription] = []
    for entry in several:
        if isinstance(entry, Subscription):
            found.append(entry)
        else:
            name, own_qos = (entry, qos) if isinstance(entry, str) else entry
            options = (no_local, retain_as_published, retain_handling)
            found.append(Subscription(name, own_qos, *options))
    if not found:
        error = LocalProtocolError("no topic filter to subscribe to [MQTT-3.8.3-2]")
        raise connection_error(error, sent=False)
    return found


def _is_one(filters: TopicFilters) -> bool:
    if isinstance(filters, tuple):  # a pair, or several as well
        pair = cast("tuple[object, ...]", filters)
        return len(pair) == 2 and isinstance(pair[1], int)
    return isinstance(filters, str | Subscription)
