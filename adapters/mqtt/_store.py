"""Where the state of a session is kept, so that it outlives a connection or a process.

Source: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, §4.1, §4.3 and §4.4.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from ._errors import StoreError

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Publish, Subscription

__all__ = ["MemoryStore", "OutgoingEntry", "SessionStore", "StoredSession"]


@dataclass(frozen=True, slots=True)
class OutgoingEntry:
    """A message of QoS 1 or 2 on its way to the server.

    Attributes:
        order: its place among all messages of the session.
        packet_id: None until it is sent for the first time.
        stage: whether PUBLISH is to be sent, again if it was before, or PUBREL.
        publish: the message; None when the server has it, that is with ``"pubrel"``.
        expires_at: seconds since the epoch after which it need not be sent; None: never.
    """

    order: int
    packet_id: int | None
    stage: Literal["publish", "pubrel"]
    publish: Publish | None
    expires_at: float | None = None


@dataclass(slots=True)
class StoredSession:
    """What is stored of a session.

    Attributes:
        outgoing: what the server has not acknowledged, in order.
        incoming: packet identifiers of QoS 2 that the server has not released, in the order of
            `put_incoming`, each with its message while the application has not taken that.
        subscriptions: with their Subscription Identifiers.
        expires_at: seconds since the epoch when the server forgets the session; None: not known.
    """

    outgoing: list[OutgoingEntry] = field(default_factory=list[OutgoingEntry])
    incoming: dict[int, Publish | None] = field(default_factory=dict[int, "Publish | None"])
    subscriptions: list[tuple[Subscription, int | None]] = field(
        default_factory=list["tuple[Subscription, int | None]"]
    )
    expires_at: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing that a new session would not have as well."""
        return not (self.outgoing or self.incoming or self.subscriptions)


class SessionStore(Protocol):
    """Keeps the state of one session at a time; its methods are quick and do not await.

    A change is sure to be kept once `flush` has returned, so that comes before anything is sent
    that depends on it. Removals need no `flush` of their own: what is removed too late is
    sent again, as after a lost connection, and recognised by the server.

    Every method may raise `StoreError`. When `flush` does, the changes are still to be made, and
    it may be called again.
    """

    def open(self, client_id: str) -> StoredSession:
        """Return the session of a client; an empty one if none is stored.

        Of one whose time is over ``outgoing`` is left: the server never had some of these, and of
        the others somebody has to be told.
        """
        ...

    def put_outgoing(self, entry: OutgoingEntry) -> None:
        """Add an entry, or replace the one with the same ``order``."""

    def remove_outgoing(self, order: int) -> None:
        """Remove an entry: the server has acknowledged it."""

    def put_incoming(self, packet_id: int, message: Publish | None) -> None:
        """Add or replace a packet identifier; the message until the application has taken it."""

    def remove_incoming(self, packet_id: int) -> None:
        """Remove a packet identifier: the server has released it."""

    def put_subscription(self, subscription: Subscription, identifier: int | None) -> None:
        """Add a subscription, or replace the one with the same filter."""

    def remove_subscription(self, topic_filter: str) -> None:
        """Remove a subscription."""

    def set_expiry(self, expires_at: float | None) -> None:
        """Set when the server forgets the session, in seconds since the epoch.

        None while it is connected, so that after the end of the process the server decides.
        """

    def clear(self) -> None:
        """Remove all of the session, which the server has forgotten."""

    def flush(self) -> None:
        """Make sure of all changes."""

    def close(self) -> None:
        """Flush, and let others open the session; may be called again."""


class MemoryStore:
    """Keeps sessions in memory, for one client after the other."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._open: _Session | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._sessions)} sessions>"

    @property
    def _session(self) -> _Session:
        if self._open is None:
            raise StoreError("the session store is not open")
        return self._open

    def open(self, client_id: str) -> StoredSession:
        """Return the session of a client; an empty one if none is stored."""
        if self._open is not None:
            raise StoreError("the session store is in use by another client")
        session = self._sessions.setdefault(client_id, _Session())
        if session.expires_at is not None and session.expires_at <= time.time():
            session = self._sessions[client_id] = _Session(session.outgoing)
        self._open = session
        return StoredSession(
            [session.outgoing[order] for order in sorted(session.outgoing)],
            dict(session.incoming),
            list(session.subscriptions.values()),
            session.expires_at,
        )

    def put_outgoing(self, entry: OutgoingEntry) -> None:
        """Add an entry, or replace the one with the same ``order``."""
        self._session.outgoing[entry.order] = entry

    def remove_outgoing(self, order: int) -> None:
        """Remove an entry: the server has acknowledged it."""
        self._session.outgoing.pop(order, None)

    def put_incoming(self, packet_id: int, message: Publish | None) -> None:
        """Add or replace a packet identifier; the message until the application has taken it."""
        self._session.incoming.pop(packet_id, None)
        self._session.incoming[packet_id] = message

    def remove_incoming(self, packet_id: int) -> None:
        """Remove a packet identifier: the server has released it."""
        self._session.incoming.pop(packet_id, None)

    def put_subscription(self, subscription: Subscription, identifier: int | None) -> None:
        """Add a subscription, or replace the one with the same filter."""
        self._session.subscriptions[subscription.topic_filter] = (subscription, identifier)

    def remove_subscription(self, topic_filter: str) -> None:
        """Remove a subscription."""
        self._session.subscriptions.pop(topic_filter, None)

    def set_expiry(self, expires_at: float | None) -> None:
        """Set when the server forgets the session, in seconds since the epoch."""
        self._session.expires_at = expires_at

    def clear(self) -> None:
        """Remove all of the session, which the server has forgotten."""
        session = self._session
        session.outgoing.clear()
        session.incoming.clear()
        session.subscriptions.clear()
        session.expires_at = None

    def flush(self) -> None:
        """Do nothing: what is in memory is as sure as it can be."""

    def close(self) -> None:
        """Let others open the session; may be called again."""
        self._open = None


@dataclass(slots=True)
class _Session:
    outgoing: dict[int, OutgoingEntry] = field(default_factory=dict[int, OutgoingEntry])
    incoming: dict[int, Publish | None] = field(default_factory=dict[int, "Publish | None"])
    subscriptions: dict[str, tuple[Subscription, int | None]] = field(
        default_factory=dict[str, "tuple[Subscription, int | None]"]
    )
    expires_at: float | None = None
