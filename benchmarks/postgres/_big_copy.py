"""A big COPY in and out by a fresh process for each library, with what it needs of memory.

``python -m benchmarks.postgres._big_copy <participant> <host> <port> <MiB> <loop>`` is that
process; it prints the seconds in, the seconds out, and how many MiB its peak lies above what the
connected client began with, as a JSON list.
"""

from __future__ import annotations

import itertools
import sys
import time

from benchmarks._model import Address, Row, Scale, Unsupported, Workload, WrongReply
from benchmarks._process import (
    MEBIBYTE,
    be_process,
    figures_of,
    peak_mebibytes,
    resident_mebibytes,
)
from benchmarks.postgres._client import PostgresParticipant, Tally
from benchmarks.postgres._data import LINE, LINE_SHARE

__all__ = ["BigCopy", "main"]

CHUNK = LINE * 64
LEAST = 0.01  # MiB; no growth at all would leave no ratio


class BigCopy(Workload[PostgresParticipant]):
    """COPY of ``scale.copy_mebibytes`` MiB of text each way: seconds, seconds, and MiB."""

    connected = False

    def __init__(self, scale: Scale) -> None:
        self._mebibytes = scale.copy_mebibytes
        size = f"{scale.copy_mebibytes} MiB of text in lines of 1 KiB"
        self.rows = (
            Row("big-copy-in", f"COPY of {size} to the server", "s", lower_is_better=True),
            Row("big-copy-out", f"COPY of {size} from the server", "s", lower_is_better=True),
            Row(
                "big-copy-peak",
                f"peak memory of both COPY of {scale.copy_mebibytes} MiB, over the start",
                "MiB",
                lower_is_better=True,
            ),
        )

    async def sample(self, participant: PostgresParticipant, address: Address) -> tuple[float, ...]:
        if participant.no_stream:
            raise Unsupported(participant.no_stream)
        host, port = address
        return await figures_of(
            "benchmarks.postgres._big_copy",
            *(participant.name, host, str(port), str(self._mebibytes)),
        )


async def _copy_both_ways(
    client: PostgresParticipant, address: Address, size: int
) -> tuple[float, ...]:
    lines = size // len(LINE)
    tally = Tally()
    await client.connect(address)
    try:
        before = resident_mebibytes()
        start = time.perf_counter()
        stored = await client.copy_in(itertools.repeat(CHUNK, size // len(CHUNK)))
        middle = time.perf_counter()
        await client.copy_out(lines, tally)
        end = time.perf_counter()
        growth = peak_mebibytes() - before
    finally:
        await client.close()
    if stored != lines // LINE_SHARE:
        raise WrongReply(f"{stored} lines were stored, not {lines // LINE_SHARE}")
    if (tally.length, tally.lines) != (size, lines):
        raise WrongReply(f"{tally.length} bytes in {tally.lines} lines came back")
    return middle - start, end - middle, max(growth, LEAST)


def main(arguments: list[str]) -> None:
    """Be the process: copy in, copy out, print."""
    from benchmarks.postgres import ADAPTER  # it imports this module

    name, host, port, mebibytes, loop = arguments
    client = ADAPTER.participant(name)()
    assert isinstance(client, PostgresParticipant)
    be_process(_copy_both_ways(client, (host, int(port)), int(mebibytes) * MEBIBYTE), loop)


if __name__ == "__main__":
    main(sys.argv[1:])
