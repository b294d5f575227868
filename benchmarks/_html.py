"""The result as one page of HTML that needs nothing else: no script, no font, no other file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._charts import bars, growth, marker, spread_labels, tag
from benchmarks._text import AT_LEAST, TIMES, TO, goal_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks._result import Report, Result, Series

__all__ = ["page"]

PEER_CLASSES = ("c1", "c2", "c3", "c4", "c5")


def page(report: Report) -> str:
    """Return the report as a complete HTML document."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    head = "".join(
        [
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            tag("title", f"wirekit beside its peers, {report.date[:10]}"),
            tag("style", style),
        ]
    )
    sections = [
        _section(report, adapter, loop)
        for adapter in dict.fromkeys(result.adapter for result in report.results)
        for loop in report.loops
    ]
    body = tag("main", "".join([_header(report), *sections, _footer(report)]))
    return f'<!doctype html>\n<html lang="en">{tag("head", head)}{tag("body", body)}</html>\n'


def _header(report: Report) -> str:
    where = report.environment
    adapters = ", ".join(dict.fromkeys(entrant.adapter for entrant in report.entrants))
    lead = (
        f"Every adapter of wirekit against a real server, beside the libraries people use today. "
        f"Measured here: {adapters}."
    )
    quick = (
        tag(
            "p",
            "A quick run: few rounds and small values, good for a first look only.",
            class_="warn",
        )
        if report.quick
        else ""
    )
    servers = [f"{server.version}, {server.place}" for server in report.servers]
    loops = [f"{name} {version}" for name, version in report.loops.items()]
    machine = f"{where.cpu}, {where.cores} cores, {where.memory_gibibytes:g} GiB"
    facts = [
        ("Date", report.date.replace("T", " ").replace("+00:00", " UTC")),
        ("Machine", f"{machine}; load at the start {where.load_average:g}"),
        ("System", where.kernel),
        ("Python", where.python),
        ("Event loop", "; ".join(loops)),
        ("Server", "; ".join(servers)),
        ("Rounds", f"{report.rounds}"),
    ]
    cards = tag("section", tag("h2", "What was measured") + _facts(facts), class_="card")
    return "".join(
        [
            tag("h1", "wirekit beside its peers"),
            tag("p", escape(lead), class_="lead"),
            quick,
            tag("div", cards + _entrants(report) + _method(report), class_="cards"),
        ]
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return tag("dl", "".join(tag("dt", escape(k)) + tag("dd", escape(v)) for k, v in facts))


def _entrants(report: Report) -> str:
    items = [
        tag("b", escape(entrant.name))
        + " "
        + escape(entrant.version)
        + (tag("small", escape(entrant.note)) if entrant.note else "")
        for entrant in report.entrants
    ]
    items += [
        tag("b", escape(name)) + tag("small", escape(f"absent: {reason}"))
        for name, reason in report.absent.items()
    ]
    listed = tag("ul", "".join(tag("li", item) for item in items))
    return tag("section", tag("h2", "Who took part") + listed, class_="card")


def _method(report: Report) -> str:
    points = [
        f"All take their turn within each of {report.rounds} rounds, in one process, on one "
        "server, after a warm-up; the order rotates from round to round.",
        "Every participant does the same work on the same data, and what it gets is compared with "
        "the expected values.",
        "A ratio is taken round by round and says how many times better ours is; its median is "
        "shown. Above 1 ours is ahead, also where less is better.",
        "The floor is no library but a bare socket: what machine, kernel and server allow.",
        "Absolute figures depend on the machine and its load; compare only within one run.",
    ]
    listed = tag("ul", "".join(tag("li", escape(point)) for point in points))
    return tag("section", tag("h2", "How") + listed, class_="card")


def _section(report: Report, adapter: str, loop: str) -> str:
    results = [r for r in report.results if r.adapter == adapter and r.loop == loop]
    classes = _classes(results)
    single = [result for result in results if result.row.growth is None or result.row.goal]
    charts = "".join(_chart(result, classes) for result in single)
    heading = tag("h2", escape(f"{adapter} on {loop}"), class_="section")
    return "".join(
        [
            heading,
            _tiles(results),
            _legend(classes),
            tag("div", charts, class_="charts"),
            _growths(results, classes),
            _table(results),
        ]
    )


def _classes(results: Sequence[Result]) -> dict[str, str]:
    """Give each participant the class that stands for it on the whole page."""
    classes: dict[str, str] = {}
    peers = iter(PEER_CLASSES)
    for result in results:
        for series in result.series:
            if series.participant not in classes:
                fixed = {"ours": "c0", "floor": "floor"}
                class_ = fixed.get(series.role)
                classes[series.participant] = class_ or next(peers)
    return classes


def _tiles(results: Sequence[Result]) -> str:
    """Return the rows with a goal as big figures."""
    tiles: list[str] = []
    for result in results:
        goal = result.row.goal
        comparison = result.compare(goal.peer) if goal else None
        if goal is None or comparison is None:
            continue
        ratio = comparison.ratio
        tiles.append(
            tag("div", escape(result.row.title), class_="what")
            + tag("div", f"{ratio.median:.2f}{tag('span', TIMES)}", class_="big")
            + tag("div", escape(f"{goal.peer}, {ratio.low:.2f} {TO} {ratio.high:.2f}"), class_="of")
            + _chip(result, f"goal {AT_LEAST} {goal.factor:g} {TIMES}")
        )
    listed = "".join(tag("div", tile, class_="tile") for tile in tiles)
    return tag("div", listed, class_="tiles") if tiles else ""


def _chip(result: Result, text: str) -> str:
    """Return ``text`` with whether the row's goal is met."""
    met = result.goal_met()
    if met is None:
        return tag("span", escape(text), class_="chip")
    sign, word = ("\N{CHECK MARK}", "met") if met else ("\N{BALLOT X}", "missed")
    return tag("span", escape(f"{sign} {text} {word}"), class_=f"chip {word}")


def _legend(classes: dict[str, str]) -> str:
    entries = [
        tag("li", _sign(class_) + escape(participant)) for participant, class_ in classes.items()
    ]
    explained = (
        "Bar: median of the rounds. Thin line: least to most; thick line: the middle half. "
        "Dashed: the goal. A bar with a gap is longer than shown."
    )
    return tag("ul", "".join(entries), class_="legend") + tag("p", explained, class_="explained")


def _sign(class_: str) -> str:
    return tag("svg", marker(10, 10, class_), viewBox="0 0 20 20", aria_hidden="true")


def _chart(result: Result, classes: dict[str, str]) -> str:
    better = "less is better" if result.row.lower_is_better else "more is better"
    caption = "".join(
        [
            tag("h3", escape(result.row.title)),
            tag("p", escape(f"{result.row.unit}, {better}"), class_="unit"),
        ]
    )
    figure = tag("div", bars(result, classes), class_="scroll")
    return tag("figure", tag("figcaption", caption) + figure, class_="card")


def _growths(results: Sequence[Result], classes: dict[str, str]) -> str:
    names = dict.fromkeys(result.row.growth[0] for result in results if result.row.growth)
    charts: list[str] = []
    for name in names:
        rows = [r for r in results if r.row.growth is not None and r.row.growth[0] == name]
        if len(rows) < 2:
            continue
        unit = f"{rows[0].row.unit}, more is better; both axes are logarithmic"
        caption = tag("h3", escape(name)) + tag("p", escape(unit), class_="unit")
        chart = tag("div", growth(rows, classes), class_="scroll")
        charts.append(tag("figure", tag("figcaption", caption) + chart, class_="card wide"))
    return "".join(charts)


def _table(results: Sequence[Result]) -> str:
    if not results:
        return ""
    participants = dict.fromkeys(s.participant for result in results for s in result.series)
    heads = [
        tag("th", escape(text), scope="col")
        for text in (
            "work",
            *participants,
            "ours / best peer",
            "goal",
        )
    ]
    rows = [_table_row(result, participants) for result in results]
    table = tag("thead", tag("tr", "".join(heads))) + tag("tbody", "".join(rows))
    caption = f"Median, least {TO} most, and how many times better ours is"
    return tag(
        "div", tag("table", tag("caption", caption) + table), class_="card scroll", tabindex="0"
    )


def _table_row(result: Result, participants: Iterable[str]) -> str:
    best = result.best_peer()
    comparison = result.compare(best) if best else None
    ratio = TO
    if comparison is not None:
        ratio = f"{comparison.ratio.median:.2f} {TIMES}" + tag("small", escape(comparison.peer))
    goal = _chip(result, goal_text(result.row.goal)) if result.row.goal else TO
    work = escape(result.row.title) + tag("small", escape(result.row.unit))
    cells = [tag("th", work, scope="row")]
    cells += [_table_cell(result, result.of(name)) for name in participants]
    cells += [tag("td", ratio), tag("td", goal)]
    return tag("tr", "".join(cells))


def _table_cell(result: Result, series: Series | None) -> str:
    if series is None:
        return tag("td", TO)
    if series.spread is None:
        reason = series.error or series.unsupported
        return tag("td", TO + tag("small", escape(reason), class_="reason"), class_=series.role)
    median, reach = spread_labels(series.spread)
    content = escape(median) + tag("small", escape(reach))
    comparison = None if series.role == "ours" else result.compare(series.participant)
    if comparison is not None:
        content += tag("small", escape(f"{comparison.ratio.median:.2f} {TIMES}"), class_="ratio")
    return tag("td", content, class_=series.role)


def _footer(report: Report) -> str:
    failures = report.failures()
    listed = tag("ul", "".join(tag("li", escape(failure)) for failure in failures))
    failed = tag("section", tag("h2", "What failed") + listed, class_="card") if failures else ""
    note = "Every single sample stands in the JSON file beside this page."
    return failed + tag("footer", tag("p", note))
