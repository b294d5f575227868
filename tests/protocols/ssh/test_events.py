"""The events beside messages."""

from __future__ import annotations

import typing

from tests.protocols.ssh._pair import Pair, host_key, open_pair
from wirekit.protocols.ssh import Event, HostKey, Identified, KeyExchanged, Message, Packet


def test_events_of_an_opening() -> None:
    pair = Pair()
    pair.run()
    identified, _, exchanged, *rest = pair.client_events
    assert isinstance(identified, Identified)
    assert str(identified.identification) == "SSH-2.0-wirekit"
    assert identified.lines == ()
    assert isinstance(exchanged, KeyExchanged)
    assert exchanged.host_key == HostKey(host_key().blob)
    assert exchanged.first
    assert rest == []
    assert exchanged.session_id == pair.client.session_id == pair.server.session_id != b""
    assert repr(exchanged.session_id) not in repr(exchanged)


def test_keys_come_again_for_the_same_session() -> None:
    pair = open_pair()
    session_id = pair.client.session_id
    pair.server.rekey()
    pair.run()
    exchanged = pair.client_events[-1]
    assert isinstance(exchanged, KeyExchanged)
    assert not exchanged.first
    assert exchanged.session_id == session_id


def test_what_is_no_event() -> None:
    kinds = set(typing.get_args(Event))
    names = {kind.__name__ for kind in kinds}
    assert {"Ignore", "Ping", "NewKeys", "KexECDHInit"}.isdisjoint(names)
    own = {kind.__name__ for kind in kinds if not issubclass(kind, Message | Packet)}
    assert own == {"Identified", "KeyExchanged"}
