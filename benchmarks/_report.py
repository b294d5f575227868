"""The result as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from benchmarks._text import TIMES, TO, figure, figures, goal_text

if TYPE_CHECKING:
    from benchmarks._result import Comparison, Report, Result, Series

__all__ = ["tables"]

ROLE_STYLE = {"ours": "bold cyan", "peer": "", "floor": "dim"}


def tables(report: Report) -> list[Table]:
    """Return a table for each adapter and event loop, with a column for each participant."""
    adapters = dict.fromkeys(result.adapter for result in report.results)
    return [_table(report, adapter, loop) for adapter in adapters for loop in report.loops]


def _table(report: Report, adapter: str, loop: str) -> Table:
    results = [
        result for result in report.results if result.adapter == adapter and result.loop == loop
    ]
    table = Table(
        title=f"{adapter}, {loop} {report.loops[loop]}",
        caption=(
            f"Each cell: median; least {TO} most of {report.rounds} rounds; how many times better "
            "ours is, taken round by round."
        ),
        title_justify="left",
        caption_justify="left",
        show_lines=True,
    )
    table.add_column("work", min_width=24)
    participants = {series.participant: series.role for r in results for series in r.series}
    for name, role in participants.items():
        table.add_column(Text(name, ROLE_STYLE[role]), style=ROLE_STYLE[role], justify="right")
    table.add_column("ours / best peer", justify="right")
    table.add_column("goal")
    for result in results:
        work = Text.assemble(result.row.title, "\n", (result.row.unit, "dim"))
        cells = [_cell(result, result.of(name)) for name in participants]
        table.add_row(work, *cells, _best_cell(result), _goal_cell(result))
    return table


def _cell(result: Result, series: Series | None) -> Text:
    if series is not None and series.error:
        return Text(series.error, "red")
    spread = series.spread if series is not None else None
    if series is None or spread is None:
        return Text("-", "dim")
    cell = Text(figure(spread.median))
    if len(series.samples) > 1:
        low, high = figures(spread.low, spread.high)
        cell.append(f"\n{low} {TO} {high}", "dim")
    if series.role != "ours":
        comparison = result.compare(series.participant)
        if comparison is not None:
            cell.append(f"\n{comparison.ratio.median:.2f} {TIMES}", "cyan")
    return cell


def _best_cell(result: Result) -> Text:
    best = result.best_peer()
    comparison: Comparison | None = result.compare(best) if best else None
    if comparison is None:
        return Text("-", "dim")
    ratio = comparison.ratio
    return Text.assemble(
        (f"{ratio.median:.2f} {TIMES}", "bold"),
        f"\n{comparison.peer}",
        (f"\n{ratio.low:.2f} {TO} {ratio.high:.2f}", "dim"),
    )


def _goal_cell(result: Result) -> Text:
    goal = result.row.goal
    if goal is None:
        return Text("-", "dim")
    cell = Text(goal_text(goal))
    met = result.goal_met()
    if met is not None:
        cell.append("\nmet" if met else "\nmissed", "green" if met else "yellow")
    return cell
