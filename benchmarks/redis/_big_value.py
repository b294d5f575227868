"""One big value set and got by a fresh process for each library, with the peak of its memory.

``python -m benchmarks.redis._big_value <participant> <host> <port> <MiB> <loop>`` is that
process; it prints the seconds of SET, the seconds of GET and its peak in MiB as a JSON list.
"""

from __future__ import annotations

import sys
import time

from benchmarks._model import Address, Row, Scale, Workload, WrongReply
from benchmarks._process import MEBIBYTE, be_process, figures_of, peak_mebibytes
from benchmarks.redis._client import RedisParticipant
from benchmarks.redis._data import BIG_KEY

__all__ = ["BigValue", "main"]

PATTERN = b"wirekit!"


class BigValue(Workload[RedisParticipant]):
    """SET then GET of ``scale.big_mebibytes`` MiB: seconds, seconds, and MiB at the peak."""

    connected = False

    def __init__(self, scale: Scale) -> None:
        self._mebibytes = scale.big_mebibytes
        size = f"{scale.big_mebibytes} MiB"
        self.rows = (
            Row("big-set", f"SET of one {size} value", "s", lower_is_better=True),
            Row("big-get", f"GET of one {size} value", "s", lower_is_better=True),
            Row(
                "big-peak", f"peak memory of SET, then GET, of {size}", "MiB", lower_is_better=True
            ),
        )

    async def sample(self, participant: RedisParticipant, address: Address) -> tuple[float, ...]:
        host, port = address
        return await figures_of(
            "benchmarks.redis._big_value", participant.name, host, str(port), str(self._mebibytes)
        )


async def _set_and_get(client: RedisParticipant, address: Address, size: int) -> list[float]:
    value = PATTERN * (size // len(PATTERN))
    await client.connect(address)
    try:
        start = time.perf_counter()
        await client.set_value(BIG_KEY, value)
        set_seconds = time.perf_counter() - start
        del value  # so that the peak is what the library needs beside one copy
        start = time.perf_counter()
        reply: bytes | bytearray = await client.get_value(BIG_KEY)
        get_seconds = time.perf_counter() - start
    finally:
        await client.close()
    if len(reply) != size or reply.count(PATTERN) != size // len(PATTERN):
        raise WrongReply(f"{len(reply)} bytes came back for {size}")
    return [set_seconds, get_seconds, peak_mebibytes()]


def main(arguments: list[str]) -> None:
    """Be the process: set, get, print."""
    from benchmarks.redis import ADAPTER  # it imports this module

    name, host, port, mebibytes, loop = arguments
    client = ADAPTER.participant(name)()
    assert isinstance(client, RedisParticipant)
    be_process(_set_and_get(client, (host, int(port)), int(mebibytes) * MEBIBYTE), loop)


if __name__ == "__main__":
    main(sys.argv[1:])
