from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

import wirekit
from wirekit.adapters.mqtt import MemoryStore, MqttCodeError, Subscription
from wirekit.adapters.mqtt._errors import connection_error
from wirekit.adapters.mqtt._packet_ids import PacketIds
from wirekit.adapters.mqtt._subscriptions import Answer, Subscriptions
from wirekit.protocols.mqtt import (
    Packet,
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Violation,
)

OK = ReasonCode.GRANTED_QOS_0
REFUSED = ReasonCode.NOT_AUTHORIZED


class Asking:
    """`Subscriptions`, what they send and what they were told not to have."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.ids = PacketIds()
        self.packets: list[Packet] = []
        self.refused: dict[str, Exception] = {}
        self.connected = True
        self.forbidden: set[str] = set()
        self.known: dict[str, int | None] = {}
        self.subscriptions = Subscriptions(
            self.ids, self._send, self.refused.__setitem__, store, changed=self._changed
        )

    def _changed(self, topic_filter: str, identifier: int | None, *, there: bool = True) -> None:
        if there:
            self.known[topic_filter] = identifier
        else:
            del self.known[topic_filter]

    def _send(self, packet: Packet) -> None:
        if not self.connected:
            raise connection_error(wirekit.SocketClosed("there is no connection"))
        if isinstance(packet, Subscribe) and self.forbidden.intersection(names(packet)):
            raise wirekit.LocalProtocolError("not by this server")
        self.packets.append(packet)

    def sent(self) -> list[Packet]:
        sent, self.packets[:] = list(self.packets), []
        return sent

    def subscribe(self, *filters: str, identifier: int | None = None) -> asyncio.Future[Answer]:
        return self.subscriptions.subscribe(
            [Subscription(name) for name in filters],
            {} if identifier is None else {"subscription_identifier": [identifier]},
        )

    def answer(self, *codes: ReasonCode, packet_id: int | None = None) -> None:
        """Answer what was sent last."""
        last = self.packets.pop()
        if isinstance(last, Subscribe):
            self.subscriptions.answered(SubAck(packet_id or last.packet_id, codes))
        else:
            assert isinstance(last, Unsubscribe)
            self.subscriptions.answered(UnsubAck(packet_id or last.packet_id, codes))

    def lose(self) -> None:
        self.connected = False
        self.subscriptions.lost(wirekit.ConnectionLost("gone"))
        self.packets.clear()

    def open(self, *, session_present: bool, identifiers: bool = True) -> list[Packet]:
        self.connected = True
        self.subscriptions.opened(session_present=session_present, identifiers=identifiers)
        return list(self.packets)


def names(packet: Packet) -> Sequence[str]:
    if isinstance(packet, Subscribe):
        return [subscription.topic_filter for subscription in packet.subscriptions]
    assert isinstance(packet, Unsubscribe)
    return packet.topic_filters


async def test_subscribing_and_unsubscribing() -> None:
    asking = Asking()
    future = asking.subscribe("a", "b", identifier=7)
    assert asking.packets == [
        Subscribe(1, (Subscription("a"), Subscription("b")), {"subscription_identifier": [7]})
    ]
    asking.answer(OK, REFUSED)
    assert (await future).reason_codes == (OK, REFUSED)
    assert "a" in asking.subscriptions
    assert "b" not in asking.subscriptions
    assert asking.known == {"a": 7}
    future = asking.subscriptions.unsubscribe(["a"], {})
    assert asking.packets == [Unsubscribe(2, ("a",))]
    asking.answer(OK)
    assert asking.known == {}
    assert (await future).reason_codes == (OK,)
    assert "a" not in asking.subscriptions
    assert len(asking.ids) == 0


async def test_unsuback_of_3_1_1_has_no_codes() -> None:
    asking = Asking()
    future = asking.subscriptions.unsubscribe(["a", "b"], {})
    asking.answer()
    assert (await future).reason_codes == (ReasonCode.SUCCESS,) * 2


async def test_a_refused_unsubscribe_changes_nothing() -> None:
    asking = Asking()
    asking.subscribe("a")
    asking.answer(OK)
    future = asking.subscriptions.unsubscribe(["a"], {})
    asking.answer(REFUSED)
    assert (await future).reason_codes == (REFUSED,)
    assert "a" in asking.subscriptions


# Answers that fit nothing.


@pytest.mark.parametrize("codes", [(), (OK, OK)])
async def test_a_suback_of_the_wrong_length(codes: tuple[ReasonCode, ...]) -> None:
    asking = Asking()
    asking.subscribe("a")
    with pytest.raises(Violation, match="reason codes for 1") as caught:
        asking.answer(*codes)
    assert caught.value.reason_code is ReasonCode.PROTOCOL_ERROR


async def test_an_unsuback_of_the_wrong_length() -> None:
    asking = Asking()
    asking.subscriptions.unsubscribe(["a", "b"], {})
    with pytest.raises(Violation, match="1 reason codes for 2"):
        asking.answer(OK)


async def test_answers_to_nothing() -> None:
    asking = Asking()
    asking.subscribe("a")
    with pytest.raises(Violation, match="SUBACK for nothing"):
        asking.answer(OK, packet_id=2)
    with pytest.raises(Violation, match="UNSUBACK for nothing"):
        asking.subscriptions.answered(UnsubAck(1, (OK,)))


async def test_what_must_not_be_sent_leaves_nothing_behind() -> None:
    asking = Asking()
    asking.forbidden = {"a"}
    with pytest.raises(wirekit.LocalProtocolError):
        asking.subscribe("a")
    assert len(asking.ids) == 0


async def test_all_packet_identifiers_in_use() -> None:
    asking = Asking()
    while asking.ids.take() is not None:
        pass
    with pytest.raises(wirekit.BusyError, match="identifiers"):
        asking.subscribe("a")


# Callers who leave.


async def test_what_nobody_waits_for_any_more_is_taken_back() -> None:
    asking = Asking()
    asking.subscribe("a").cancel()
    asking.answer(OK)
    assert asking.packets == [Unsubscribe(2, ("a",))]
    asking.answer(OK)
    assert len(asking.ids) == 0


async def test_what_was_there_before_stays() -> None:
    asking = Asking()
    asking.subscribe("a")
    asking.answer(OK)
    asking.subscribe("a").cancel()
    asking.answer(OK)
    assert asking.packets == []
    assert "a" in asking.subscriptions


async def test_what_somebody_else_asks_for_as_well_stays() -> None:
    asking = Asking()
    asking.subscribe("a").cancel()
    asking.subscribe("a")
    asking.subscriptions.answered(SubAck(1, (OK,)))
    asking.subscriptions.answered(SubAck(2, (OK,)))
    assert len(asking.sent()) == 2
    assert "a" in asking.subscriptions


async def test_an_unsubscribe_goes_on_without_its_caller() -> None:
    asking = Asking()
    asking.subscribe("a")
    asking.answer(OK)
    asking.subscriptions.unsubscribe(["a"], {}).cancel()
    asking.answer(OK)
    assert "a" not in asking.subscriptions


# Who wants them.


async def test_the_last_holder_ends_it() -> None:
    asking = Asking()
    asking.subscriptions.hold(["a", "b"])
    asking.subscriptions.hold(["a"])
    asking.subscribe("b")
    asking.answer(OK)
    assert asking.subscriptions.let_go(["a", "b"]) == []
    assert asking.subscriptions.let_go(["a"]) == ["a"]
    asking.subscriptions.hold(["b"])
    asking.subscriptions.unsubscribe(["b"], {})
    assert asking.subscriptions.let_go(["b"]) == ["b"]


async def test_of_what_an_earlier_process_had_a_block_is_the_only_holder() -> None:
    asking = Asking()
    asking.subscriptions.restore((Subscription(name), None) for name in ("a", "b", "c"))
    asking.subscribe("b")
    asking.answer(OK)
    asking.subscriptions.hold(["a", "b"])
    later = Asking().subscriptions
    later.inherit(asking.subscriptions)
    later.hold(["b", "c"])
    assert later.stray == {"a"}
    assert later.let_go(["b", "c"]) == ["c"]
    assert asking.subscriptions.let_go(["a", "b"]) == ["a"]


async def test_identifiers() -> None:
    asking = Asking()
    subscriptions = asking.subscriptions
    subscriptions.hold(["a", "b"])
    assert [subscriptions.identifier_for(name) for name in "aba"] == [
        268_435_455,
        268_435_454,
        268_435_455,
    ]
    asking.subscribe("own", identifier=268_435_453)
    asking.answer(OK)
    assert subscriptions.identifier_for("c") == 268_435_452
    assert subscriptions.identifier_for("own") == 268_435_453


async def test_dropping_tells_when_nothing_comes_any_more() -> None:
    asking = Asking()
    gone: list[int] = []
    asking.subscriptions.drop(["a"], lambda: gone.append(1))
    await asyncio.sleep(0)
    assert gone == []
    asking.answer(OK)
    await asyncio.sleep(0)
    assert gone == [1]
    asking.subscriptions.drop(["a"], lambda: gone.append(2))
    asking.lose()
    asking.subscriptions.drop(["b"], lambda: gone.append(3))
    # The server may have something yet for those who left.
    for _ in range(2):
        assert [names(packet) for packet in asking.open(session_present=True)] == [("a", "b")]
        await asyncio.sleep(0)
        assert gone == [1]
        asking.lose()
    asking.open(session_present=True)
    asking.answer(OK, OK)
    await asyncio.sleep(0)
    assert gone == [1, 2, 3]
    asking.lose()
    asking.subscriptions.drop(["c"], lambda: gone.append(4))
    assert asking.open(session_present=False) == []
    assert gone == [1, 2, 3, 4]


# Connections.


async def test_callers_learn_that_the_connection_is_lost() -> None:
    asking = Asking()
    futures = [asking.subscribe("a"), asking.subscriptions.unsubscribe(["b"], {})]
    asking.lose()
    for future in futures:
        with pytest.raises(wirekit.ConnectionLost, match="gone"):
            await future
    assert len(asking.ids) == 0


async def test_nothing_is_asked_again_where_the_session_is_present() -> None:
    asking = Asking()
    asking.subscribe("a")
    asking.answer(OK)
    asking.lose()
    assert asking.open(session_present=True) == []


async def test_all_is_asked_again_where_it_is_not() -> None:
    asking = Asking()
    for name, identifier in (("a", None), ("b", 5), ("c", None), ("d", 5), ("e", 6)):
        asking.subscribe(name, identifier=identifier)
        asking.answer(OK)
    asking.lose()
    packets = asking.open(session_present=False)
    assert [names(packet) for packet in packets] == [["a", "c"], ["b", "d"], ["e"]]
    assert [packet.properties for packet in packets if isinstance(packet, Subscribe)] == [
        {},
        {"subscription_identifier": [5]},
        {"subscription_identifier": [6]},
    ]
    asking.answer(REFUSED)
    assert isinstance(asking.refused["e"], MqttCodeError)
    assert "e" not in asking.subscriptions
    asking.answer(OK, OK)
    assert list(asking.refused) == ["e"]


async def test_a_server_without_identifiers() -> None:
    asking = Asking()
    asking.subscribe("a", identifier=5)
    asking.answer(OK)
    asking.lose()
    [packet] = asking.open(session_present=False, identifiers=False)
    assert isinstance(packet, Subscribe)
    assert packet.properties == {}


async def test_many_are_asked_in_several_packets() -> None:
    asking = Asking()
    asking.subscribe(*[f"a/{number}" for number in range(250)])
    asking.answer(*[OK] * 250)
    asking.lose()
    packets = asking.open(session_present=False)
    assert [len(names(packet)) for packet in packets] == [100, 100, 50]


async def test_what_the_new_server_cannot_be_asked_for() -> None:
    asking = Asking()
    asking.subscribe("a", "b", "c", "d")
    asking.answer(*[OK] * 4)
    asking.lose()
    asking.forbidden = {"c"}
    packets = asking.open(session_present=False)
    assert [names(packet) for packet in packets] == [["a", "b"], ["d"]]
    assert isinstance(asking.refused["c"], wirekit.LocalProtocolError)


async def test_what_was_under_way_is_put_right() -> None:
    asking = Asking()
    asking.subscribe("known")
    asking.answer(OK)
    asking.subscribe("gone").cancel()
    asking.subscriptions.unsubscribe(["known"], {}).cancel()
    asking.lose()
    [packet] = asking.open(session_present=True)
    assert isinstance(packet, Unsubscribe)
    assert packet.topic_filters == ("gone", "known")


async def test_what_is_asked_for_again_is_not_put_right() -> None:
    asking = Asking()
    future = asking.subscribe("a")
    asking.lose()
    future.exception()
    asking.connected = True
    asking.subscribe("a")
    assert len(asking.open(session_present=True)) == 1


# The store.


async def test_subscriptions_are_stored() -> None:
    store = MemoryStore()
    store.open("client")
    asking = Asking(store)
    asking.subscribe("a", "b", identifier=3)
    asking.answer(OK, OK)
    asking.subscriptions.unsubscribe(["a"], {})
    asking.answer(OK)
    store.close()
    kept = store.open("client").subscriptions
    assert kept == [(Subscription("b"), 3)]
    later = Asking(store)
    later.subscriptions.restore(kept)
    assert [names(packet) for packet in later.open(session_present=False)] == [["b"]]
