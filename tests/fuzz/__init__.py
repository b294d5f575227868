"""Fuzzing: each ``fuzz_x.py`` states what holds for any bytes, in a function ``check``.

``python -m tests.fuzz --seconds 60`` searches with atheris; pytest replays ``corpus/``;
``python -m tests.fuzz.asan`` replays it, and much else, under the address sanitizer.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# For each ``tests/fuzz/fuzz_NAME.py`` and ``tests/fuzz/corpus/NAME/``, the codec's module.
TARGETS = {
    "resp": "wirekit.protocols.resp",
    "postgres": "wirekit.protocols.postgres.codec",
    "pgoutput": "wirekit.protocols.postgres._pgoutput",
    "mqtt": "wirekit.protocols.mqtt.codec",
    "smtp": "wirekit.protocols.smtp.codec",
    "ssh": "wirekit.protocols.ssh.codec",
}

FOLDER = Path(__file__).parent


def load_check(target: str) -> Callable[[bytes], None]:
    """Return the target's ``check``."""
    module = importlib.import_module(f"tests.fuzz.fuzz_{target}")
    return cast("Callable[[bytes], None]", module.check)


def load_corpus(target: str) -> dict[str, bytes]:
    """Return the target's kept inputs, and the crashes not yet put among them, by file name."""
    paths = [*(FOLDER / "corpus" / target).iterdir(), *(FOLDER / "crashes").glob(f"{target}-*")]
    return {path.name: path.read_bytes() for path in sorted(paths)}
