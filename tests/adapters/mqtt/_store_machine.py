"""What every session store does: changes of all kinds, checked against plain dictionaries."""

from __future__ import annotations

import copy
import time
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from wirekit.adapters.mqtt._store import OutgoingEntry, SessionStore, StoredSession
from wirekit.protocols.mqtt import Properties, Publish, Subscription

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
topic_names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20
)
# All that PUBLISH may have, §3.3.2.3, but the Topic Alias, which is of one connection.
properties: st.SearchStrategy[Properties] = st.fixed_dictionaries(  # type: ignore[assignment]
    {},
    optional={
        "payload_format_indicator": st.integers(0, 1),
        "message_expiry_interval": st.integers(0, 2**32 - 1),
        "content_type": texts,
        "response_topic": topic_names,
        "correlation_data": st.binary(max_size=20),
        "subscription_identifier": st.lists(st.integers(1, 268_435_455), min_size=1, max_size=3),
        "user_property": st.lists(st.tuples(texts, texts), max_size=3),
    },
)
packet_ids = st.integers(1, 65535)
times = st.none() | st.floats(0, 4e9)


@st.composite
def publishes(draw: st.DrawFn, qos: int | None = None, packet_id: int | None = None) -> Publish:
    return Publish(
        draw(topic_names),
        draw(st.binary(max_size=100)),
        draw(st.integers(1, 2)) if qos is None else qos,
        draw(st.booleans()),
        packet_id=packet_id,
        properties=draw(properties),
    )


@st.composite
def entries(draw: st.DrawFn) -> OutgoingEntry:
    order = draw(st.integers(0, 5) | st.integers(0, 2**62))
    expires_at = draw(times)
    if draw(st.booleans()):
        return OutgoingEntry(order, draw(packet_ids), "pubrel", None, expires_at)
    packet_id = draw(st.none() | packet_ids)
    publish = draw(publishes(packet_id=packet_id))
    return OutgoingEntry(order, packet_id, "publish", publish, expires_at)


class StoreMachine(RuleBasedStateMachine):
    """Changes a session, and closes and opens it again in between."""

    store: SessionStore

    def __init__(self) -> None:
        super().__init__()
        self.outgoing: dict[int, OutgoingEntry] = {}
        self.incoming: dict[int, Publish | None] = {}
        self.subscriptions: dict[str, tuple[Subscription, int | None]] = {}
        self.expires_at: float | None = None
        self.store = self.made()
        self.check(self.store.open("client"))

    def made(self) -> SessionStore:
        """Return a store with nothing in it."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.store.close()

    @rule(entry=entries())
    def put_outgoing(self, entry: OutgoingEntry) -> None:
        self.outgoing[entry.order] = entry
        self.store.put_outgoing(entry)

    @rule(data=st.data())
    def remove_outgoing(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([*self.outgoing, 7]))
        self.outgoing.pop(order, None)
        self.store.remove_outgoing(order)

    @rule(data=st.data(), packet_id=st.integers(1, 5) | packet_ids, kept=st.booleans())
    def put_incoming(self, data: st.DataObject, packet_id: int, kept: bool) -> None:
        message = data.draw(publishes(2, packet_id)) if kept else None
        self.incoming.pop(packet_id, None)
        self.incoming[packet_id] = message
        self.store.put_incoming(packet_id, message)

    @rule(data=st.data())
    def remove_incoming(self, data: st.DataObject) -> None:
        packet_id = data.draw(st.sampled_from([*self.incoming, 7]))
        self.incoming.pop(packet_id, None)
        self.store.remove_incoming(packet_id)

    @rule(
        topic_filter=st.sampled_from(["a/+", "#"]) | topic_names,
        options=st.tuples(
            st.integers(0, 2), st.booleans(), st.booleans(), st.sampled_from((0, 1, 2))
        ),
        identifier=st.none() | st.integers(1, 268_435_455),
    )
    def put_subscription(
        self,
        topic_filter: str,
        options: tuple[int, bool, bool, Literal[0, 1, 2]],
        identifier: int | None,
    ) -> None:
        subscription = Subscription(topic_filter, *options)
        self.subscriptions[topic_filter] = (subscription, identifier)
        self.store.put_subscription(subscription, identifier)

    @rule(data=st.data())
    def remove_subscription(self, data: st.DataObject) -> None:
        topic_filter = data.draw(st.sampled_from([*self.subscriptions, "never"]))
        self.subscriptions.pop(topic_filter, None)
        self.store.remove_subscription(topic_filter)

    @rule(seconds=st.none() | st.sampled_from([-1.0, 3600.0]))
    def set_expiry(self, seconds: float | None) -> None:
        self.expires_at = None if seconds is None else time.time() + seconds
        self.store.set_expiry(self.expires_at)

    @rule()
    def clear(self) -> None:
        self.forget()
        self.store.clear()

    def forget(self) -> None:
        self.outgoing.clear()
        self.incoming.clear()
        self.subscriptions.clear()
        self.expires_at = None

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.reopened()

    def reopened(self) -> None:
        found = self.store.open("client")
        if self.expires_at is not None and self.expires_at < time.time():
            outgoing = dict(self.outgoing)
            self.forget()
            self.outgoing.update(outgoing)
        self.check(found)

    def check(self, found: StoredSession) -> None:
        assert found.outgoing == [self.outgoing[order] for order in sorted(self.outgoing)]
        assert list(found.incoming.items()) == list(self.incoming.items())
        assert sorted(found.subscriptions, key=repr) == sorted(
            self.subscriptions.values(), key=repr
        )
        assert found.expires_at == self.expires_at
        assert found.empty == (not (self.outgoing or self.incoming or self.subscriptions))

    def state(self) -> dict[str, Any]:
        """Return a copy of what ought to be stored."""
        names = ("outgoing", "incoming", "subscriptions", "expires_at")
        return {name: copy.copy(getattr(self, name)) for name in names}
