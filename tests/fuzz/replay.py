"""Check the corpus and a fixed number of random changes of it: ``python -m tests.fuzz.replay``."""

from __future__ import annotations

import argparse
import sys
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz import TARGETS, load_check, load_corpus

if TYPE_CHECKING:
    from collections.abc import Iterator


def changed(inputs: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Return ``count`` inputs spliced and spoilt from ``inputs``, the same for the same seed."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random.choice(inputs))
        for _ in range(random.randint(1, 4)):
            start = random.randint(0, len(data))
            end = start + random.choice([0, 1, 2, 8])
            other = random.choice(inputs)
            piece = random.randint(0, len(other))
            match random.randrange(4):
                case 0:
                    data[start:end] = random.randbytes(random.randint(0, 3))
                case 1:
                    data[start:end] = other[piece : piece + random.randint(1, 16)]
                case 2:
                    data[start:end] = b""
                case _:
                    data[start:start] = data[start:end]
        yield bytes(data[:512])


def replay(target: str, count: int, seed: int) -> int:
    """Check a target's corpus and ``count`` changes of it; return how many inputs that were."""
    check = load_check(target)
    inputs = [*load_corpus(target).values()]
    for data in inputs:
        check(data)
    for data in changed(inputs, count, seed):
        check(data)
    return len(inputs) + count


def main() -> None:
    """Replay every target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.replay", description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="changed inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for target in TARGETS:
        checked = replay(target, options.count, options.seed)
        codec = sys.modules[TARGETS[target]].__file__
        print(f"{target}: {checked} inputs hold for {codec}", flush=True)


if __name__ == "__main__":
    main()
