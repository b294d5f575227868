"""The rows: what is published, how much of it, what must arrive, and the goals."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from benchmarks._model import Goal, Row, Scale, Timed, Workload, WrongReply
from benchmarks._text import grouped
from benchmarks.mqtt._client import MQTTParticipant
from benchmarks.mqtt._data import PACKET, PUBLISH, TIMES, Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["workloads"]

SIZES = (16, 64, 256, 65536)
SUBSCRIBERS = (1, 10)
GOALS = {
    (0, 64, 1): Goal(2.5, "gmqtt"),
    (1, 64, 1): Goal(1.8, "gmqtt"),
}


def workloads(scale: Scale) -> Sequence[Workload[Any]]:
    """Return the workloads at ``scale``, in the order in which they are run and shown."""
    flows = itertools.product(SUBSCRIBERS, (0, 1, 2), SIZES)
    return [
        *[_deliver(scale, qos, size, subscribers) for subscribers, qos, size in flows],
        _codec("read", scale, lambda client: client.read(PACKET, TIMES), PUBLISH),
        _codec("write", scale, lambda client: client.write(PUBLISH, TIMES), PACKET),
    ]


class Delivered(Timed[MQTTParticipant]):
    """A flow of messages; the clock stands still while those of each time are looked at."""

    async def _timed(self, participant: MQTTParticipant, repetitions: int) -> float:
        seconds = 0.0
        for _ in range(repetitions):
            start = time.perf_counter()
            received = await self._run(participant)
            seconds += time.perf_counter() - start
            if not self._check(received):
                raise WrongReply(self.rows[0].title)
        return seconds


def _deliver(scale: Scale, qos: int, size: int, subscribers: int) -> Workload[MQTTParticipant]:
    # A broker looks through all flows of QoS 2 that are under way, so there are fewer at once.
    share = (50 if size > 4096 else 1) * (4 if qos == 2 else 1)
    count = max(2, scale.messages // share // subscribers)
    flow = Flow(qos, size, count, subscribers)
    expected = [flow.payloads()] * subscribers
    many = f"{subscribers} subscribers" if subscribers > 1 else "one subscriber"
    return Delivered(
        Row(
            key=f"qos{qos}-{size}" + (f"-to-{subscribers}" if subscribers > 1 else ""),
            title=f"QoS {qos}, {grouped(size)} bytes, from publish to {many}",
            unit="messages/s",
            goal=GOALS.get((qos, size, subscribers)),
            growth=(f"QoS {qos}, payloads of 16 bytes and more, {many}", size),
            growth_of="byte",
        ),
        scale,
        operations=count * subscribers,
        run=lambda client: client.deliver(flow),
        # Several tasks may publish at once, each in its order.
        check=lambda received: [sorted(payloads) for payloads in received] == expected,
    )


class Coded(Timed[MQTTParticipant]):
    """Packets read or written without a connection."""

    connected = False


def _codec(
    verb: str, scale: Scale, work: Callable[[MQTTParticipant], Any], expected: object
) -> Workload[MQTTParticipant]:
    async def run(client: MQTTParticipant) -> Any:
        return work(client)

    return Coded(
        Row(
            key=f"codec-{verb}",
            title=f"{verb} one PUBLISH of QoS 1 and {len(PUBLISH.payload)} bytes, codec alone",
            unit="packets/s",
            goal=Goal(1, "mqtt5"),
        ),
        scale,
        operations=TIMES,
        run=run,
        check=lambda result: result == expected,
    )
