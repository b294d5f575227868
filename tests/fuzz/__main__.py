"""Search for inputs that break a codec, for some seconds: ``python -m tests.fuzz --seconds 60``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.fuzz import FOLDER, TARGETS
from tests.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz each target in turn; return 1 if one of them, or atheris itself, failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--seconds",
        type=int,
        default=int(os.environ.get("FUZZ_SECONDS", "60")),
        help="for all targets together, split evenly (default: FUZZ_SECONDS, or 60)",
    )
    parser.add_argument(
        "--target", choices=TARGETS, action="append", help="only this one; may be repeated"
    )
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        print("nothing was fuzzed: atheris is not installed (pip install 'wirekit[fuzz]')")
        return 1
    targets: list[str] = options.target or list(TARGETS)
    seconds = max(1, options.seconds // len(targets))
    failed = [target for target in targets if not run(target, seconds)]
    for target in failed:
        print(f"{target} failed: its input is in {FOLDER / 'crashes'}")
    return 1 if failed else 0


def run(target: str, seconds: int) -> bool:
    """Fuzz one target; what it finds goes to ``build/fuzz``, what breaks it to ``crashes``."""
    print(f"fuzzing {target} for {seconds} seconds", flush=True)
    found = PROJECT / "build" / "fuzz" / target
    crashes = FOLDER / "crashes"
    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(exist_ok=True)
    command = [sys.executable, "-m", f"tests.fuzz.fuzz_{target}"]
    command += [str(found), str(FOLDER / "corpus" / target)]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/{target}-"]
    command += ["-max_len=512", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
    return subprocess.run(command, cwd=PROJECT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
