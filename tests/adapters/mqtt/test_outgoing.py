from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import ConnectionLost, LocalProtocolError, ReadTimeout
from wirekit.adapters.mqtt import MemoryStore, MessageExpired, MqttCodeError, SessionLost
from wirekit.adapters.mqtt._incoming import Incoming
from wirekit.adapters.mqtt._outgoing import Flow, Outgoing
from wirekit.adapters.mqtt._packet_ids import PacketIds
from wirekit.adapters.mqtt._store import OutgoingEntry
from wirekit.protocols.mqtt import (
    Packet,
    Properties,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Violation,
)

NOT_FOUND = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND


class Sender:
    """An `Outgoing`, and a clock."""

    def __init__(self, receive_maximum: int = 10, store: MemoryStore | None = None) -> None:
        self.time = 1000.0
        self.ids = PacketIds()
        self.store = store
        self.outgoing = Outgoing(self.ids, store, lambda: self.time)
        if receive_maximum:
            self.open(receive_maximum)

    def open(self, receive_maximum: int = 10, *, session_present: bool = True) -> list[PubRel]:
        return self.outgoing.opened(receive_maximum, session_present=session_present)

    def add(self, name: str, qos: int = 1, expiry: int | None = None) -> Flow:
        properties: Properties = {}
        if expiry is not None:
            properties["message_expiry_interval"] = expiry
        publish = Publish(name, b"payload", qos, properties=properties)
        future: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        return self.outgoing.add(publish, future, lifetime=expiry, at_once=True)

    def sent(self) -> list[Publish]:
        return list(iter(self.outgoing.next, None))

    def take(self, packet: PubAck | PubComp) -> None:
        if isinstance(packet, PubAck):
            self.outgoing.acknowledged(packet)
        else:
            self.outgoing.completed(packet)


def result(flow: Flow) -> ReasonCode:
    assert flow.future is not None
    return flow.future.result()


async def test_qos_1() -> None:
    sender = Sender()
    first, second = sender.add("a"), sender.add("b")
    assert [first.publish.packet_id, second.publish.packet_id] == [1, 2]
    assert sender.sent() == []
    sender.outgoing.acknowledged(PubAck(2, ReasonCode.NO_MATCHING_SUBSCRIBERS))
    sender.outgoing.acknowledged(PubAck(1))
    assert result(first) is ReasonCode.SUCCESS
    assert result(second) is ReasonCode.NO_MATCHING_SUBSCRIBERS
    assert len(sender.outgoing) == len(sender.ids) == 0


async def test_qos_2() -> None:
    sender = Sender()
    flow = sender.add("a", 2)
    answer = sender.outgoing.received(PubRec(1, ReasonCode.NO_MATCHING_SUBSCRIBERS))
    assert answer == PubRel(1)
    assert flow.future is not None
    assert not flow.future.done()
    sender.outgoing.completed(PubComp(1))
    assert result(flow) is ReasonCode.NO_MATCHING_SUBSCRIBERS
    assert len(sender.outgoing) == len(sender.ids) == 0


async def test_refusals_end_a_message() -> None:
    sender = Sender(receive_maximum=2)
    first, second, third = sender.add("a"), sender.add("b", 2), sender.add("c")
    refusal = PubAck(1, ReasonCode.QUOTA_EXCEEDED, {"reason_string": "too many"})
    sender.outgoing.acknowledged(refusal)
    assert sender.outgoing.received(PubRec(2, ReasonCode.NOT_AUTHORIZED)) is None
    for flow, text in ((first, "quota exceeded .*too many"), (second, "not authorized")):
        with pytest.raises(MqttCodeError, match=text):
            result(flow)
    assert sender.sent() == [third.publish]


async def test_the_receive_maximum_makes_messages_wait() -> None:
    sender = Sender(receive_maximum=2)
    flows = [sender.add(name, 2) for name in "abcd"]
    assert [flow.publish.packet_id for flow in flows] == [1, 2, None, None]
    assert sender.sent() == []
    sender.outgoing.received(PubRec(1))
    assert sender.sent() == []  # PUBREC makes no room (§4.9)
    sender.outgoing.completed(PubComp(1))
    assert sender.sent() == [flows[2].publish]
    assert flows[2].publish.packet_id == 3


async def test_all_packet_identifiers_in_use_make_the_next_one_wait() -> None:
    sender = Sender(receive_maximum=65535)
    flows = [sender.add("a") for _ in range(65535)]
    sent = [flow for flow in flows if flow.publish.packet_id is not None]
    assert 64000 < len(sent) < 65535  # a few are kept for SUBSCRIBE
    assert len({flow.publish.packet_id for flow in sent}) == len(sent)
    assert sender.sent() == []
    sender.outgoing.acknowledged(PubAck(500))
    assert [publish.packet_id for publish in sender.sent()] == [len(sent) + 1]


async def test_nothing_is_sent_without_a_connection() -> None:
    sender = Sender(receive_maximum=0)
    flow = sender.add("a")
    assert flow.publish.packet_id is None
    assert sender.sent() == []
    sender.open()
    assert sender.sent() == [flow.publish]
    assert not flow.publish.duplicate


async def test_what_was_sent_is_sent_again_in_order_and_before_the_rest() -> None:
    sender = Sender(receive_maximum=4)
    for name, qos in (("a", 2), ("b", 1), ("c", 2), ("d", 1), ("e", 1)):
        sender.add(name, qos)
    sender.outgoing.received(PubRec(3))
    sender.outgoing.received(PubRec(1))
    sender.outgoing.lost()
    assert sender.sent() == []
    assert sender.open(receive_maximum=1) == [PubRel(3), PubRel(1)]
    assert [(p.topic, p.packet_id, p.duplicate) for p in sender.sent()] == [("b", 2, True)]
    sender.add("f")
    assert sender.sent() == []  # there is room for one
    sender.outgoing.completed(PubComp(3))
    assert sender.sent() == []  # its PUBLISH took no place on this connection
    sender.outgoing.acknowledged(PubAck(2))
    assert [(p.topic, p.packet_id, p.duplicate) for p in sender.sent()] == [("d", 4, True)]
    sender.outgoing.acknowledged(PubAck(4))
    assert [(p.topic, p.packet_id, p.duplicate) for p in sender.sent()] == [("e", 5, False)]


async def test_an_earlier_pubcomp_that_was_lost() -> None:
    sender = Sender()
    flow = sender.add("a", 2)
    sender.outgoing.received(PubRec(1))
    sender.outgoing.lost()
    sender.open()
    sender.outgoing.completed(PubComp(1, NOT_FOUND))
    assert result(flow) is ReasonCode.SUCCESS


async def test_a_pubcomp_that_does_not_know_what_it_acknowledges() -> None:
    sender = Sender()
    flow = sender.add("a", 2)
    sender.outgoing.received(PubRec(1))
    sender.outgoing.completed(PubComp(1, NOT_FOUND))
    with pytest.raises(MqttCodeError, match="not found"):
        result(flow)


async def test_without_its_session_what_was_sent_is_given_up_and_the_rest_sent() -> None:
    sender = Sender(receive_maximum=2, store=opened_store())
    flows = [sender.add("a"), sender.add("b", 2), sender.add("c")]
    sender.outgoing.received(PubRec(2))
    sender.outgoing.lost()
    assert sender.open(session_present=False) == []
    for flow in flows[:2]:
        with pytest.raises(SessionLost, match="forgot the session"):
            result(flow)
    assert sender.sent() == [flows[2].publish]
    assert not flows[2].publish.duplicate
    assert stored(sender) == [(3, 3, "publish")]
    assert len(sender.ids) == 1


@pytest.fixture
async def told() -> list[BaseException]:
    """Errors that the loop's exception handler gets."""
    errors: list[BaseException] = []
    handler = asyncio.get_running_loop().set_exception_handler
    handler(lambda _, context: errors.append(context["exception"]))
    return errors


async def test_what_nobody_waits_for_is_sent_anew_or_told_of(told: list[BaseException]) -> None:
    earlier = Sender(receive_maximum=4, store=opened_store())
    for name, qos in (("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 1)):
        earlier.add(name, qos)
    earlier.outgoing.received(PubRec(3))
    sender = Sender(receive_maximum=0, store=earlier.store)
    sender.outgoing.restore(entries(earlier))
    sender.open(session_present=False)
    assert [(p.topic, p.duplicate) for p in sender.sent()] == [
        ("a", False),
        ("d", False),
        ("e", False),
    ]
    assert [type(error) for error in told] == [SessionLost, SessionLost]
    assert [order for order, _, _ in stored(sender)] == [1, 4, 5]


async def test_what_was_stored_but_not_sent_again_waits_in_the_store_as_before() -> None:
    earlier = Sender(receive_maximum=2, store=opened_store())
    earlier.add("a")
    earlier.add("b")
    sender = Sender(receive_maximum=0, store=earlier.store)
    sender.outgoing.restore(entries(earlier))
    sender.open(1, session_present=False)
    assert [p.topic for p in sender.sent()] == ["a"]
    assert [packet_id is None for _, packet_id, _ in stored(sender)] == [False, True]


async def test_a_message_whose_caller_has_left_is_sent_anew(told: list[BaseException]) -> None:
    sender = Sender()
    flows = [sender.add("a"), sender.add("b", 2), sender.add("c", expiry=5)]
    for flow in flows:
        sender.outgoing.withdraw(flow)
    sender.outgoing.lost()
    sender.time += 10
    sender.open(session_present=False)
    assert [p.topic for p in sender.sent()] == ["a"]
    assert [type(error) for error in told] == [SessionLost]


async def test_a_refusal_that_nobody_waits_for(told: list[BaseException]) -> None:
    sender = Sender()
    sender.outgoing.withdraw(sender.add("a"))
    sender.outgoing.acknowledged(PubAck(1, ReasonCode.NOT_AUTHORIZED))
    assert [type(error) for error in told] == [MqttCodeError]


@pytest.mark.parametrize("end", ["too late", "cancelled"])
async def test_who_is_about_to_leave_when_all_fails(end: str, told: list[BaseException]) -> None:
    """He has his own error by now: there is nobody else to be told."""
    sender = Sender(receive_maximum=1, store=opened_store())
    sender.add("a")
    flow = sender.add("b")
    assert flow.future is not None
    if end == "cancelled":
        flow.future.cancel()
    else:
        flow.future.set_exception(ReadTimeout("it took too long"))
    sender.outgoing.fail(ConnectionLost("and then this"))
    assert stored(sender) == [(1, 1, "publish")]
    assert not told
    assert flow.future.cancelled() or isinstance(flow.future.exception(), ReadTimeout)


async def test_what_expires_while_it_waits() -> None:
    sender = Sender(receive_maximum=1, store=opened_store())
    sent, waiting = sender.add("a", expiry=5), sender.add("b", expiry=5)
    for flow in (sent, waiting):
        sender.outgoing.expire(flow)
    with pytest.raises(MessageExpired):
        result(waiting)
    assert stored(sender) == [(1, 1, "publish")]
    sender.outgoing.acknowledged(PubAck(1))
    assert result(sent) is ReasonCode.SUCCESS
    assert sender.sent() == []


async def test_what_is_kept_is_what_a_store_would_have() -> None:
    sender = Sender(receive_maximum=3, store=opened_store())
    for name in "abcd":
        sender.add(name, 2, expiry=60)
    sender.outgoing.received(PubRec(2))
    assert sender.outgoing.kept() == entries(sender)
    assert [entry.stage for entry in entries(sender)] == ["publish", "pubrel", *["publish"] * 2]
    again = Sender(0)
    again.outgoing.restore(sender.outgoing.kept())
    assert again.open() == [PubRel(2)]
    assert [publish.topic for publish in again.sent()] == ["a", "c", "d"]


async def test_who_leaves_takes_along_what_was_not_sent() -> None:
    sender = Sender(receive_maximum=1, store=opened_store())
    sent, waiting = sender.add("a"), sender.add("b")
    sender.outgoing.withdraw(waiting)
    sender.outgoing.withdraw(sent)
    assert len(sender.outgoing) == 1
    assert stored(sender) == [(1, 1, "publish")]
    sender.outgoing.acknowledged(PubAck(1))
    assert sender.sent() == stored(sender) == []


async def test_what_cannot_be_sent_is_given_back() -> None:
    sender = Sender(receive_maximum=1, store=opened_store())
    flow = sender.add("a")
    sender.outgoing.refuse(flow.publish, LocalProtocolError("too large"))
    with pytest.raises(LocalProtocolError, match="too large"):
        result(flow)
    assert len(sender.outgoing) == len(sender.ids) == 0
    assert stored(sender) == []
    assert sender.add("b").publish.packet_id is not None


async def test_messages_that_wait_have_less_time_left_and_expire() -> None:
    sender = Sender(receive_maximum=1)
    sender.add("a")
    flows = [sender.add("b", expiry=5), sender.add("c", expiry=20), sender.add("d", expiry=20)]
    sender.time += 10
    sender.outgoing.acknowledged(PubAck(1))
    [publish] = sender.sent()
    assert (publish.topic, publish.properties) == ("c", {"message_expiry_interval": 10})
    with pytest.raises(MessageExpired, match="before it was sent"):
        result(flows[0])
    # What is sent again cannot be taken back.
    sender.time += 60
    sender.outgoing.lost()
    sender.open()
    [publish] = sender.sent()
    assert (publish.topic, publish.properties) == ("c", {"message_expiry_interval": 1})
    with pytest.raises(MessageExpired, match="before it was sent"):
        result(flows[2])


async def test_the_end_of_all_connections() -> None:
    sender = Sender(receive_maximum=1)
    flows = [sender.add("a"), sender.add("b")]
    sender.outgoing.fail(ConnectionLost("gone"))
    for flow, sent in zip(flows, (True, False), strict=True):
        with pytest.raises(ConnectionLost, match="gone") as caught:
            result(flow)
        assert vars(caught.value)["sent"] is sent


# Acknowledgements that fit nothing.


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("packet", [PubAck(1), PubComp(1)])
async def test_wrong_acknowledgements(qos: int, packet: PubAck | PubComp) -> None:
    sender = Sender()
    if qos:
        sender.add("a", qos)
    if qos == 1:
        sender.outgoing.acknowledged(PubAck(1))  # so that the second one is wrong
    with pytest.raises(Violation) as caught:
        sender.take(packet)
    assert caught.value.reason_code is ReasonCode.PROTOCOL_ERROR


async def test_a_pubrec_for_qos_1() -> None:
    sender = Sender()
    sender.add("a")
    with pytest.raises(Violation, match="QoS 1"):
        sender.outgoing.received(PubRec(1))


async def test_a_pubrec_for_a_subscribe() -> None:
    sender = Sender()
    sender.ids.use(7)
    with pytest.raises(Violation, match="no PUBLISH"):
        sender.outgoing.received(PubRec(7))


async def test_a_pubrec_that_comes_again_is_answered_again() -> None:
    sender = Sender()
    sender.add("a", 2)
    for _ in range(3):
        assert sender.outgoing.received(PubRec(1)) == PubRel(1)


async def test_a_pubrec_for_nothing_we_know() -> None:
    sender = Sender()
    for _ in range(2):
        assert sender.outgoing.received(PubRec(1)) == PubRel(1, NOT_FOUND)
    assert sender.add("a").publish.packet_id == 2  # 1 is in use until its PUBCOMP
    sender.outgoing.completed(PubComp(1, NOT_FOUND))
    assert 1 not in sender.ids
    assert sender.outgoing.received(PubRec(9, ReasonCode.UNSPECIFIED_ERROR)) is None
    assert 9 not in sender.ids


async def test_such_identifiers_are_free_again_on_the_next_connection() -> None:
    sender = Sender()
    sender.outgoing.received(PubRec(1))
    sender.outgoing.lost()
    assert 1 not in sender.ids


# The store.


def opened_store() -> MemoryStore:
    store = MemoryStore()
    store.open("client")
    return store


def entries(sender: Sender) -> list[OutgoingEntry]:
    assert sender.store is not None
    sender.store.close()
    return sender.store.open("client").outgoing


def stored(sender: Sender) -> list[tuple[int, int | None, str]]:
    return [(entry.order, entry.packet_id, entry.stage) for entry in entries(sender)]


async def test_every_step_is_stored() -> None:
    sender = Sender(receive_maximum=1, store=opened_store())
    sender.add("a", 2)
    sender.add("b", 1, expiry=60)
    assert stored(sender) == [(1, 1, "publish"), (2, None, "publish")]
    assert entries(sender)[1].expires_at == 1060
    sender.outgoing.received(PubRec(1))
    assert stored(sender) == [(1, 1, "pubrel"), (2, None, "publish")]
    assert entries(sender)[0].publish is None
    sender.outgoing.completed(PubComp(1))
    sender.sent()
    assert stored(sender) == [(2, 2, "publish")]
    sender.outgoing.acknowledged(PubAck(2))
    assert stored(sender) == []


async def test_an_earlier_client_is_followed() -> None:
    earlier = Sender(receive_maximum=3, store=opened_store())
    earlier.add("a", 2)
    earlier.add("b", 2)
    earlier.add("c", 1)
    earlier.add("d", 1)
    earlier.outgoing.received(PubRec(1))
    sender = Sender(receive_maximum=0, store=earlier.store)
    sender.outgoing.restore(entries(earlier))
    assert len(sender.outgoing) == 4
    assert sender.open() == [PubRel(1)]
    assert [(p.topic, p.packet_id, p.duplicate) for p in sender.sent()] == [
        ("b", 2, True),
        ("c", 3, True),
        ("d", 4, False),
    ]
    assert sender.add("e").order == 5
    sender.outgoing.completed(PubComp(1))
    sender.outgoing.received(PubRec(2))
    sender.outgoing.completed(PubComp(2))
    for packet_id in (3, 4, 5):
        sender.outgoing.acknowledged(PubAck(packet_id))
    assert stored(sender) == []


# Both halves together, on a line that loses what is under way.


class Line:
    """An `Outgoing` whose packets go to an `Incoming`, as if that were the server's."""

    def __init__(self, receive_maximum: int) -> None:
        self.receive_maximum = receive_maximum
        self.outgoing = Outgoing(PacketIds())
        self.incoming = Incoming(self._answer)
        self.to_receiver: list[Packet] = []
        self.to_sender: list[Packet] = []
        self.untaken: list[Publish] = []
        self.arrived: list[str] = []
        self.open()

    def _answer(self, packet: Packet) -> None:
        self.to_sender.append(packet)

    def open(self) -> None:
        self.incoming.opened(session_present=True)
        self.to_receiver += self.outgoing.opened(self.receive_maximum, session_present=True)
        self.pump()

    def cut(self) -> None:
        self.to_receiver.clear()
        self.to_sender.clear()
        self.outgoing.lost()
        self.incoming.lost()
        self.open()

    def pump(self) -> None:
        for publish in iter(self.outgoing.next, None):
            self.to_receiver.append(copied(publish))

    def publish(self, name: str, qos: int) -> None:
        self.outgoing.add(Publish(name, b"", qos), None, at_once=False)
        self.pump()

    def deliver_to_receiver(self) -> None:
        if not self.to_receiver:
            return
        packet = self.to_receiver.pop(0)
        if isinstance(packet, PubRel):
            self.incoming.released(packet)
        else:
            assert isinstance(packet, Publish)
            if self.incoming.received(packet):
                self.untaken.append(packet)

    def take(self) -> None:
        if self.untaken:
            message = self.untaken.pop(0)
            self.arrived.append(message.topic)
            self.incoming.taken(message)

    def deliver_to_sender(self) -> None:
        if not self.to_sender:
            return
        packet = self.to_sender.pop(0)
        if isinstance(packet, PubAck):
            self.outgoing.acknowledged(packet)
        elif isinstance(packet, PubRec):
            if (answer := self.outgoing.received(packet)) is not None:
                self.to_receiver.append(answer)
        else:
            assert isinstance(packet, PubComp)
            self.outgoing.completed(packet)
        self.pump()


def copied(publish: Publish) -> Publish:
    return Publish(publish.topic, b"", publish.qos, False, publish.duplicate, publish.packet_id)


STEPS = st.sampled_from(
    ["publish 1", "publish 2", "to receiver", "take", "to sender", "to sender", "cut"]
)


@given(steps=st.lists(STEPS, max_size=60), receive_maximum=st.integers(1, 4))
def test_nothing_is_lost_and_qos_2_comes_once_and_in_order(
    steps: list[str], receive_maximum: int
) -> None:
    line = Line(receive_maximum)
    published: dict[int, list[str]] = {1: [], 2: []}
    for number, step in enumerate(steps):
        if step.startswith("publish"):
            qos = int(step[-1])
            published[qos].append(f"{qos}/{number}")
            line.publish(f"{qos}/{number}", qos)
        elif step == "to receiver":
            line.deliver_to_receiver()
        elif step == "take":
            line.take()
        elif step == "to sender":
            line.deliver_to_sender()
        else:
            line.cut()
    while line.to_receiver or line.to_sender or line.untaken:
        line.deliver_to_receiver()
        line.take()
        line.deliver_to_sender()
    assert len(line.outgoing) == line.incoming.unacknowledged == 0
    assert [name for name in line.arrived if name.startswith("2")] == published[2]
    first_arrivals = list(dict.fromkeys(name for name in line.arrived if name.startswith("1")))
    assert first_arrivals == published[1]
