"""``python -m benchmarks``: every adapter against a real server, beside its peers."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import importlib
import resource
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks._environment import environment
from benchmarks._html import page
from benchmarks._loops import LOOPS, loop_factory, loop_version
from benchmarks._model import QUICK, Adapter, Participant, Scale, Workload
from benchmarks._report import tables
from benchmarks._result import Entrant, Report, ServerInfo
from benchmarks._runner import Settings, run_adapter
from benchmarks._servers import ServerError, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import FrameType

# An adapter is a package beside this file with an ADAPTER; its name here is all that registers it.
ADAPTERS = ("redis", "postgres", "mqtt", "smtp", "ssh")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--adapter", nargs="+", choices=ADAPTERS, default=ADAPTERS, help="default: every one")
    add("--peers", nargs="*", metavar="NAME", help="only these peers (default: every one)")
    add("--rounds", type=_positive, metavar="N", help="default: 5, with --quick 2")
    add("--loop", choices=(*LOOPS, "both"), default="asyncio", help="default: asyncio")
    add("--servers", choices=("auto", "containers", "local"), default="auto")
    add("--only", metavar="ROW", help="only rows that have this in their name or title")
    add("--quick", action="store_true", help="a short look: small values, two rounds")
    add("--output", type=Path, default=Path("results"), metavar="DIRECTORY")
    add("--render", type=Path, metavar="JSON", help="draw the page of an earlier run, and no more")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main() -> int:
    """Run what the command line asks for; 1 if a participant failed, which a missed goal is not."""
    chosen = options()
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # a file has no width to keep to
    if chosen.render is not None:
        report = Report.from_json(chosen.render.read_text(encoding="utf-8"))
        _write(report, chosen.render.with_suffix(".html"), console)
        return 0
    _raise_file_limit()
    # So that `finally` and `with` see to the servers when we are asked to end.
    signal.signal(signal.SIGTERM, _end)
    try:
        report = run(chosen, console)
    except ServerError as error:
        console.print(f"No server: {error}", style="red", markup=False)
        return 2
    for table in tables(report):
        console.print(table)
    chosen.output.mkdir(parents=True, exist_ok=True)
    stem = chosen.output / report.date.replace(":", "").partition("+")[0]
    report.write(stem.with_suffix(".json"))
    console.print(f"[bold]{stem.with_suffix('.json')}")
    _write(report, stem.with_suffix(".html"), console)
    failures = report.failures()
    for failure in failures:
        console.print(failure, style="red", markup=False)
    return 1 if failures else 0


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _raise_file_limit() -> None:
    """Allow a connection for each of 1 000 tasks, which a library with one each needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _write(report: Report, path: Path, console: Console) -> None:
    path.write_text(page(report), encoding="utf-8")
    console.print(f"[bold]{path}")


def run(chosen: argparse.Namespace, console: Console) -> Report:
    """Run the chosen adapters under the chosen loops and return everything found out."""
    loops: Sequence[str] = LOOPS if chosen.loop == "both" else (chosen.loop,)
    report = Report(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rounds=chosen.rounds or (2 if chosen.quick else 5),
        quick=chosen.quick,
        environment=environment(),
        servers=[],
        entrants=[],
        absent={},
        loops={loop: loop_version(loop) for loop in loops},
        results=[],
    )
    scale = QUICK if chosen.quick else Scale()
    for name in chosen.adapter:
        adapter: Adapter = importlib.import_module(f"benchmarks.{name}").ADAPTER
        workloads = [
            workload for workload in adapter.workloads(scale) if _wanted(workload, chosen.only)
        ]
        participants = _participants(adapter, chosen.peers, report)
        with serve(adapter.service, chosen.servers) as server:
            adapter.prepare(server.address, scale)
            version = adapter.server_version(server.address)
            report.servers.append(ServerInfo(name, version, server.place))
            console.print(f"[bold]{name}[/]: {version}, {server.place}")
            for absent, reason in report.absent.items():
                console.print(f"{absent} takes no part: {reason}", style="yellow", markup=False)
            for loop in loops:
                samples = len(participants) * len(workloads) * (report.rounds + 1)
                with _progress(console, f"{name}, {loop}", samples) as on_step:
                    settings = Settings(report.rounds, loop, on_step)
                    work = run_adapter(adapter, participants, workloads, server.address, settings)
                    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
                        report.results += runner.run(work)
    return report


def _wanted(workload: Workload[Any], only: str | None) -> bool:
    if only is None:
        return True
    return any(only in row.key or only in row.title for row in workload.rows)


def _participants(
    adapter: Adapter, peers: Sequence[str] | None, report: Report
) -> list[type[Participant]]:
    """Import who takes part; one whose library is not there goes into the report as absent."""
    unknown = set(peers or ()) - set(adapter.participants)
    if unknown:
        raise SystemExit(f"{adapter.name} has no peer {', '.join(sorted(unknown))}")
    participants: list[type[Participant]] = []
    for name in adapter.participants:
        try:
            participant = adapter.participant(name)
        except ModuleNotFoundError as error:
            report.absent[name] = str(error)
            continue
        if peers is not None and participant.role == "peer" and name not in peers:
            continue
        participants.append(participant)
        report.entrants.append(
            Entrant(adapter.name, name, participant.role, participant.version(), participant.note)
        )
    return participants


@contextmanager
def _progress(console: Console, label: str, total: int) -> Generator[Callable[[str, str], None]]:
    """Show how far the run is; the function that is yielded is called before each sample."""
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[label]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, label=label)
        started = False

        def on_step(participant: str, row: str) -> None:
            nonlocal started
            progress.update(task, advance=int(started), description=f"[cyan]{participant}[/] {row}")
            started = True

        yield on_step
        progress.update(task, completed=total, description="done")


if __name__ == "__main__":
    raise SystemExit(main())
