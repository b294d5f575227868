"""Packets sealed and opened, each library by its packet layer alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks._model import Goal, Row, Scale, Workload, WrongReply
from benchmarks._text import grouped
from benchmarks.ssh._client import SSHParticipant
from benchmarks.ssh._data import payload_of

if TYPE_CHECKING:
    from benchmarks._model import Address
    from benchmarks.ssh._client import Framing
    from benchmarks.ssh._data import Suite

__all__ = ["Framed"]

BATCH = 1024 * 1024  # bytes of payloads that are sealed, then opened, at once
PIECE = 256 * 1024  # bytes that come in at once: what asyncio reads when there is much


class Framed(Workload[SSHParticipant]):
    """Packets of one size, sealed one after another, and opened: two rows, each with its clock."""

    def __init__(self, scale: Scale, suite: Suite, size: int) -> None:
        self._seconds = scale.seconds
        self._suite = suite
        self._payload = payload_of(size)
        self._count = BATCH // size
        self._framings: dict[str, Framing] = {}
        self._repetitions: dict[str, int] = {}
        self.rows = tuple(
            Row(
                key=f"{verb}-{size}-{suite}".replace(" ", "-"),
                title=f"{verb} a packet of {grouped(size)} bytes, {suite}",
                unit="packets/s",
                goal=Goal(2, "asyncssh"),
            )
            for verb in ("seal", "open")
        )

    async def warm_up(self, participant: SSHParticipant) -> None:
        name = participant.name
        self._framings[name] = await participant.framing(self._suite)
        self._repeat(name, 1)
        self._repetitions[name] = max(1, round(self._seconds / sum(self._repeat(name, 1))))

    async def sample(self, participant: SSHParticipant, address: Address) -> tuple[float, ...]:
        repetitions = self._repetitions[participant.name]
        seconds = self._repeat(participant.name, repetitions)
        return tuple(repetitions * self._count / part for part in seconds)

    def _repeat(self, name: str, repetitions: int) -> tuple[float, float]:
        framing, payload, count = self._framings[name], self._payload, self._count
        expected = [payload] * count
        sealing = opening = 0.0
        for _ in range(repetitions):
            start = time.perf_counter()
            sealed = framing.seal(payload, count)
            sealing += time.perf_counter() - start
            packets = framing.packets(payload, count, sealed)
            pieces = [packets[at : at + PIECE] for at in range(0, len(packets), PIECE)]
            start = time.perf_counter()
            opened = framing.open(pieces)
            opening += time.perf_counter() - start
            if opened != expected:
                raise WrongReply(self.rows[1].title)
        return sealing, opening
