"""``python -m wirekit.adapters.ssh host:port``: say what a server can do, and what to think of it.

The exit status is 0 when all is good, 1 when there was no connection, 2 when there is something to
warn of and 3 when something is bad.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from wirekit._errors import Error

from ._ratings import Level
from ._scan import scan

__all__ = ["main"]

_STATUS = {Level.GOOD: 0, Level.WARN: 2, Level.FAIL: 3}


def main(arguments: list[str] | None = None) -> int:
    """Scan a server, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m wirekit.adapters.ssh", description="Scan an SSH server; nobody logs in."
    )
    parser.add_argument("address", help="host, host:port or unix:/path")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for each step")
    options = parser.parse_args(arguments)
    try:
        report = asyncio.run(scan(address=options.address, timeout=options.timeout))
    except Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{report.to_json() if options.json else report}\n")
    return _STATUS[report.level]


if __name__ == "__main__":
    sys.exit(main())
