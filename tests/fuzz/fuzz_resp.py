"""Whatever the bytes and wherever they are cut, the RESP codec gives the same replies and fault.

It gives them compiled and pure, and RemoteProtocolError is the only exception.
"""

from __future__ import annotations

from random import Random
from typing import Any
from zlib import crc32

from tests.fuzz._atheris import fuzz
from tests.protocols._outcome import cut_at, one_by_one, outcome
from tests.protocols._pure import is_compiled, load_pure
from wirekit.protocols import _resp_values, resp

PURE = load_pure("wirekit.protocols.resp")
CODECS: list[Any] = [PURE.Codec, resp.Codec] if is_compiled(resp) else [resp.Codec]
SETTINGS: list[dict[str, Any]] = [
    {},
    {
        "max_bulk_length": 16,
        "max_elements": 12,
        "max_line_length": 32,
        "max_depth": 3,
        "keep_attributes": True,
    },
]


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    random = Random(crc32(data))
    places = [random.randrange(len(data) + 1) for _ in range(4)]
    for settings in SETTINGS:
        whole = outcome(CODECS[0](**settings), [data])
        for codec in CODECS:
            for chunks in ([data], one_by_one(data), cut_at(data, places)):
                result = outcome(codec(**settings), chunks)
                if result != whole:
                    raise AssertionError(f"{result} of {chunks}, but {whole} of the whole")


if __name__ == "__main__":
    fuzz(check, PURE if is_compiled(resp) else resp, _resp_values)
