from __future__ import annotations

import pytest

from wirekit.adapters.mqtt import MemoryStore
from wirekit.adapters.mqtt._incoming import Incoming
from wirekit.protocols.mqtt import (
    Acknowledgement,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Violation,
)

NOT_FOUND = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND


class Receiver:
    """An `Incoming`, and what it sends."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._sent: list[Acknowledgement] = []
        self.incoming = Incoming(self._sent.append, store)

    def sent(self) -> list[Acknowledgement]:
        sent, self._sent[:] = list(self._sent), []
        return sent

    def receive(
        self, packet_id: int, qos: int = 1, *, duplicate: bool = False, payload: bytes = b""
    ) -> Publish | None:
        message = Publish("a", payload, qos, packet_id=packet_id, duplicate=duplicate)
        return message if self.incoming.received(message) else None

    def new(self, packet_id: int, qos: int = 1) -> Publish:
        message = self.receive(packet_id, qos)
        assert message is not None
        return message

    def renew(self, *, session_present: bool = True) -> None:
        self.incoming.lost()
        self.incoming.opened(session_present=session_present)


def test_qos_1_is_acknowledged_when_it_is_taken() -> None:
    receiver = Receiver()
    message = receiver.new(1)
    assert receiver.sent() == []
    assert receiver.incoming.unacknowledged == 1
    receiver.incoming.taken(message)
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1)]
    assert receiver.incoming.unacknowledged == 0
    assert receiver.receive(1) is not None


def test_qos_2() -> None:
    receiver = Receiver()
    message = receiver.new(1, 2)
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubRec(1)]
    receiver.incoming.released(PubRel(1))
    assert receiver.sent() == [PubComp(1)]
    assert receiver.receive(1, 2) is not None


def test_acknowledgements_go_out_in_order_of_receipt_for_each_qos() -> None:
    receiver = Receiver()
    first, second, third, fourth = (receiver.new(n, qos) for n, qos in enumerate((1, 2, 1, 2), 1))
    receiver.incoming.taken(third)
    receiver.incoming.taken(fourth)
    assert receiver.sent() == []
    receiver.incoming.taken(first)
    assert receiver.sent() == [PubAck(1), PubAck(3)]
    receiver.incoming.taken(second)
    assert receiver.sent() == [PubRec(2), PubRec(4)]


def test_all_consumers_have_to_take_it() -> None:
    receiver = Receiver()
    message = receiver.new(1)
    receiver.incoming.share(message, 2)
    receiver.incoming.taken(message)
    assert receiver.sent() == []
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1)]


def test_acknowledging_by_hand_counts_for_all() -> None:
    receiver = Receiver()
    message = receiver.new(1)
    receiver.incoming.share(message, 2)
    assert receiver.incoming.acknowledge(message)
    assert not receiver.incoming.acknowledge(message)
    assert not receiver.incoming.acknowledge(Publish("a", b"", 1, packet_id=1))
    assert not receiver.incoming.acknowledge(Publish("a"))
    assert receiver.sent() == [PubAck(1)]


# Again on another connection.


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_not_taken_is_not_delivered_again(qos: int) -> None:
    receiver = Receiver()
    message = receiver.new(1, qos)
    receiver.renew()
    assert receiver.receive(1, qos, duplicate=True) is None
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1) if qos == 1 else PubRec(1)]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_taken_in_between_is_acknowledged_when_it_comes_again(qos: int) -> None:
    receiver = Receiver()
    message = receiver.new(1, qos)
    receiver.incoming.lost()
    receiver.incoming.taken(message)
    receiver.incoming.opened(session_present=True)
    assert receiver.sent() == []
    assert receiver.receive(1, qos, duplicate=True) is None
    assert receiver.sent() == [PubAck(1) if qos == 1 else PubRec(1)]


def test_a_lost_puback_makes_it_come_again() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1))
    receiver.renew()
    assert receiver.receive(1, duplicate=True) is not None


def test_a_lost_pubrec_does_not() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    receiver.renew()
    receiver.sent()
    assert receiver.receive(1, 2, duplicate=True) is None
    assert receiver.sent() == [PubRec(1)]
    receiver.incoming.released(PubRel(1))
    assert receiver.sent() == [PubComp(1)]


def test_a_lost_pubrel_and_a_lost_pubcomp() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    receiver.renew()
    receiver.sent()
    receiver.incoming.released(PubRel(1))
    assert receiver.sent() == [PubComp(1)]
    receiver.renew()
    receiver.incoming.released(PubRel(1))
    assert receiver.sent() == [PubComp(1, NOT_FOUND)]


def test_a_new_message_of_qos_1_with_the_identifier_of_an_old_one() -> None:
    receiver = Receiver()
    old = receiver.new(1)
    receiver.renew()
    message = receiver.new(1)  # not a duplicate: the server has dropped the old one
    receiver.incoming.taken(old)
    assert receiver.sent() == []
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1)]


@pytest.mark.parametrize("taken", [True, False])
def test_a_new_message_that_was_lost_on_its_first_way(taken: bool) -> None:
    receiver = Receiver()
    old = receiver.new(1)
    receiver.incoming.lost()
    if taken:
        receiver.incoming.taken(old)
    receiver.renew()  # where the server gave up the old message, and sent the new one in vain
    receiver.renew()
    message = receiver.receive(1, duplicate=True, payload=b"new")
    assert message is not None
    if not taken:
        receiver.incoming.taken(old)
    assert receiver.sent() == []
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1)]


def test_what_was_taken_out_of_its_turn_is_known_when_it_comes_again() -> None:
    receiver = Receiver()
    receiver.new(1)
    receiver.incoming.taken(receiver.new(2))
    receiver.renew()
    assert receiver.receive(2, duplicate=True) is None
    assert receiver.sent() == [PubAck(2)]


def test_a_duplicate_of_something_else() -> None:
    receiver = Receiver()
    receiver.new(1)
    with pytest.raises(Violation, match="not acknowledged"):
        receiver.receive(1, duplicate=True, payload=b"other")


def test_a_new_message_of_qos_2_with_the_identifier_of_an_old_one_of_qos_1() -> None:
    receiver = Receiver()
    receiver.new(1)
    receiver.renew()
    receiver.incoming.taken(receiver.new(1, 2))
    assert receiver.sent() == [PubRec(1)]


def test_without_its_session_all_is_forgotten() -> None:
    receiver = Receiver()
    old = [receiver.new(1), receiver.new(2, 2)]
    receiver.incoming.taken(receiver.new(3, 2))
    receiver.renew(session_present=False)
    new = [receiver.new(1), receiver.new(2, 2), receiver.new(3, 2)]
    receiver.sent()
    for message in old:
        receiver.incoming.taken(message)
    assert receiver.sent() == []
    for message in new:
        receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1), PubRec(2), PubRec(3)]


# Servers that do not keep to the rules.


def test_duplicates_that_wait_for_their_turn_get_one_pubrec() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    other = receiver.new(2, 2)
    assert receiver.sent() == [PubRec(1)]
    for _ in range(100):
        assert receiver.receive(1, 2, duplicate=True) is None
    assert receiver.incoming.unacknowledged == 2  # and no memory for each of them
    receiver.incoming.taken(other)
    assert receiver.sent() == [PubRec(2), PubRec(1)]
    assert receiver.receive(1, 2, duplicate=True) is None
    assert receiver.sent() == [PubRec(1)]


def test_no_pubrec_behind_the_pubcomp() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    other = receiver.new(2, 2)
    receiver.receive(1, 2, duplicate=True)
    receiver.incoming.released(PubRel(1))
    assert receiver.sent() == [PubRec(1), PubComp(1)]
    receiver.incoming.taken(other)
    assert receiver.sent() == [PubRec(2)]


def test_duplicates_before_the_pubrel_get_pubrec_again() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    for duplicate in (True, True, False):
        assert receiver.receive(1, 2, duplicate=duplicate) is None
    assert receiver.sent() == [PubRec(1)] * 4


@pytest.mark.parametrize("qos", [1, 2])
def test_a_duplicate_of_what_is_not_acknowledged_yet(qos: int) -> None:
    receiver = Receiver()
    message = receiver.new(1, qos)
    assert receiver.receive(1, qos, duplicate=True) is None
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubAck(1) if qos == 1 else PubRec(1)]


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_an_identifier_used_twice(first: int, second: int) -> None:
    receiver = Receiver()
    receiver.new(1, first)
    with pytest.raises(Violation) as caught:
        receiver.receive(1, second)
    assert caught.value.reason_code is ReasonCode.PROTOCOL_ERROR


def test_qos_1_with_the_identifier_of_a_qos_2_that_is_not_released() -> None:
    receiver = Receiver()
    receiver.incoming.taken(receiver.new(1, 2))
    receiver.renew()
    with pytest.raises(Violation, match="another"):
        receiver.receive(1, 1)


def test_pubrel_for_nothing() -> None:
    receiver = Receiver()
    receiver.incoming.released(PubRel(1))
    receiver.new(2)
    receiver.incoming.released(PubRel(2))
    assert receiver.sent() == [PubComp(1, NOT_FOUND), PubComp(2, NOT_FOUND)]


def test_pubrel_before_pubrec() -> None:
    receiver = Receiver()
    receiver.new(1, 2)
    with pytest.raises(Violation, match="before its PUBREC"):
        receiver.incoming.released(PubRel(1))


# The store.


def test_qos_2_is_stored_until_its_pubrel() -> None:
    store = MemoryStore()
    store.open("client")
    receiver = Receiver(store)
    receiver.new(1)
    message = receiver.new(2, 2)

    def stored() -> dict[int, Publish | None]:
        store.close()
        return store.open("client").incoming

    assert stored() == {2: message}
    receiver.incoming.taken(message)
    assert stored() == {2: None}
    receiver.incoming.released(PubRel(2))
    assert stored() == {}


def test_an_earlier_client_is_followed() -> None:
    message = Publish("a", b"", 2, packet_id=1)
    receiver = Receiver()
    assert receiver.incoming.restore({1: message, 2: None}) == [message]
    receiver.incoming.opened(session_present=True)
    assert receiver.receive(1, 2, duplicate=True) is None
    assert receiver.receive(2, 2, duplicate=True) is None
    assert receiver.sent() == []
    receiver.incoming.taken(message)
    assert receiver.sent() == [PubRec(1), PubRec(2)]
    receiver.incoming.released(PubRel(2))
    assert receiver.sent() == [PubComp(2)]


def test_the_store_forgets_with_the_server() -> None:
    store = MemoryStore()
    store.open("client")
    receiver = Receiver(store)
    receiver.new(1)
    receiver.new(2, 2)
    receiver.renew(session_present=False)
    store.close()
    assert store.open("client").incoming == {}


def test_what_is_kept_is_what_a_store_would_have() -> None:
    receiver = Receiver()
    untaken, taken = receiver.new(1, 2), receiver.new(2, 2)
    receiver.new(3, 1)  # the server sends it again
    receiver.incoming.taken(taken)
    assert receiver.incoming.kept() == {1: untaken, 2: None}
    again = Receiver()
    assert again.incoming.restore(receiver.incoming.kept()) == [untaken]
    assert again.receive(1, 2, duplicate=True) is None
    assert again.receive(2, 2, duplicate=True) is None
    assert again.receive(3, 1, duplicate=True) is not None
