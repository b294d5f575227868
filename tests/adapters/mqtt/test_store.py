from __future__ import annotations

import pytest
from hypothesis import settings

from wirekit.adapters.mqtt._errors import StoreError
from wirekit.adapters.mqtt._store import (
    MemoryStore,
    OutgoingEntry,
    SessionStore,
    StoredSession,
)
from wirekit.protocols.mqtt import Publish, Subscription

from ._store_machine import StoreMachine


class MemoryMachine(StoreMachine):
    def made(self) -> SessionStore:
        return MemoryStore()


TestMemoryStore = MemoryMachine.TestCase
TestMemoryStore.settings = settings(max_examples=40)


def test_what_is_empty() -> None:
    assert StoredSession().empty
    assert StoredSession(expires_at=1.0).empty
    assert not StoredSession(outgoing=[OutgoingEntry(1, 1, "pubrel", None)]).empty
    assert not StoredSession(incoming={1: None}).empty
    assert not StoredSession(subscriptions=[(Subscription("a"), None)]).empty


def test_sessions_of_several_clients() -> None:
    store = MemoryStore()
    for client_id, topic in [("a", "of/a"), ("b", "of/b")]:
        assert store.open(client_id).empty
        store.put_outgoing(OutgoingEntry(1, 1, "publish", Publish(topic, qos=1, packet_id=1)))
        store.close()
    (entry,) = store.open("a").outgoing
    assert entry.publish is not None
    assert entry.publish.topic == "of/a"
    assert repr(store) == "<MemoryStore: 2 sessions>"


def test_one_client_at_a_time() -> None:
    store = MemoryStore()
    with pytest.raises(StoreError, match="not open"):
        store.clear()
    store.open("a")
    with pytest.raises(StoreError, match="in use"):
        store.open("b")
    store.close()
    store.close()
    store.open("b")


def test_what_is_handed_out_is_a_copy() -> None:
    store = MemoryStore()
    store.open("a")
    store.put_incoming(1, None)
    store.close()
    store.open("a").incoming.clear()
    store.close()
    assert store.open("a").incoming == {1: None}
