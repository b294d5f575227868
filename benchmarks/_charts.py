"""SVG charts: bars for one row, and lines for the growth over a number of tasks.

They carry no colours of their own: every shape has the class of its participant (``c0`` is ours,
``floor`` the floor), which ``page.css`` paints for light and dark.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from benchmarks._text import TIMES, TO, figure, figures, goal_text, grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks._result import Result, Series
    from benchmarks._statistics import Spread

__all__ = ["bars", "growth", "marker", "spread_labels", "tag"]

# Bars, in the units of the view box.
WIDTH = 600
NAMES = 104  # where the names end
START, END = 114, 424  # the scale
RATIOS = 592  # where the ratios end
ROW, THICKNESS, HEAD = 34, 18, 30
DIGIT = 8.5  # the width of a digit of a value
OFF_SCALE = (
    1.6  # a floor so many times beyond everybody else is cut, or nobody else were to be seen
)

# Growth.
WIDE, HIGH = 1160, 400
LEFT, RIGHT, TOP, BOTTOM = 62, 1000, 12, 366
LABELS, LABEL_GAP = 1034, 22


def tag(name: str, content: str = "", **attributes: object) -> str:
    """Return an element. ``content`` is markup; values are escaped; ``_`` in a name means ``-``."""
    text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{text}>{content}</{name}>"


def _attribute(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _text(content: str, x: float, y: float, **attributes: object) -> str:
    return tag("text", escape(content), x=float(x), y=float(y), **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def bars(result: Result, classes: Mapping[str, str]) -> str:
    """Draw a row: a bar to each median, whiskers from least to most, and the goal as a line."""
    top = _scale_end(result)
    height = HEAD + ROW * len(result.series) + 6
    parts = [_goal_mark(result, top, height), _text(f"ours {TIMES}", RATIOS, 18, class_="head end")]
    for place, series in enumerate(result.series):
        middle = HEAD + ROW * place + ROW / 2
        parts.append(_bar(result, series, middle, top, classes[series.participant]))
    parts.append(_line(START, HEAD, START, height - 4, "axis"))
    return tag(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=_spoken(result),
        class_="bars",
    )


def _scale_end(result: Result) -> float:
    """Return the value at the end of the scale: the goal fits, and all but a far-off floor."""
    highs = [s.spread.high for s in result.series if s.spread is not None and s.role != "floor"]
    goal = _goal_value(result)
    end = max([*highs, goal or 0.0], default=0.0)
    floors = [s.spread for s in result.series if s.spread is not None and s.role == "floor"]
    for floor in floors:
        if end == 0 or floor.median <= end * OFF_SCALE:
            end = max(end, floor.high)
    return end or 1.0


def _goal_value(result: Result) -> float | None:
    goal = result.row.goal
    if goal is None:
        return None
    for series in result.series:
        if series.participant == goal.peer and series.spread is not None:
            median = series.spread.median
            return median / goal.factor if result.row.lower_is_better else median * goal.factor
    return None


def _goal_mark(result: Result, top: float, height: float) -> str:
    goal, value = result.row.goal, _goal_value(result)
    if goal is None or value is None:
        return ""
    x = START + (END - START) * value / top
    anchor = "end" if x > (START + END) / 2 else "start"
    label_x = x + 2 if anchor == "end" else x - 2
    label = _text(f"goal {goal_text(goal)}", label_x, 18, class_=f"goal {anchor}")
    return label + _line(x, HEAD - 6, x, height - 4, "goal")


def _bar(result: Result, series: Series, middle: float, top: float, class_: str) -> str:
    name = _text(series.participant, NAMES, middle + 4.5, class_=f"name end {class_}")
    spread = series.spread
    if spread is None:
        reason = series.error or f"not possible: {series.unsupported}"
        blank = tag(
            "rect",
            x=START + 4.0,
            y=middle - THICKNESS / 2,
            width=float(END - START),
            height=float(THICKNESS),
            class_="blank",
        )
        return name + blank + _text(_cut(reason), START + 8, middle + 4.5, class_="missing")
    off_scale = spread.high > top
    scale = (END - START) / (spread.median if off_scale else top)
    end = START + spread.median * scale
    parts = [
        name,
        tag(
            "rect",
            x=float(START),
            y=middle - THICKNESS / 2,
            width=end - START,
            height=float(THICKNESS),
            rx="2",
            class_=f"bar {class_}",
        ),
    ]
    label_x = end
    if off_scale:
        parts.append(_break_mark(middle))
    else:
        parts.append(_whisker(spread, middle, scale))
        label_x = START + spread.high * scale
    value = figure(spread.median)
    label_x = _beside_goal(result, label_x + 9, len(value) * DIGIT, top)
    parts.append(_text(value, label_x, middle + 4.5, class_="value"))
    comparison = None if series.role == "ours" else result.compare(series.participant)
    if comparison is not None:
        ratio = f"{_ratio(comparison.ratio.median)} {TIMES}"
        parts.append(_text(ratio, RATIOS, middle + 4.5, class_="ratio end"))
    return tag("g", "".join([tag("title", escape(_spoken_series(result, series))), *parts]))


def _beside_goal(result: Result, x: float, width: float, top: float) -> float:
    """Return where a label at ``x`` has to begin so that the goal's line does not cross it."""
    goal = _goal_value(result)
    line = START + (END - START) * goal / top if goal is not None else -1.0
    return line + 5 if x - 3 < line < x + width else x


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def _cut(text: str, most: int = 48) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _whisker(spread: Spread, middle: float, scale: float) -> str:
    """Draw least to most as a thin line with ends, and the middle half as a thick one."""
    low, high = START + spread.low * scale, START + spread.high * scale
    first, third = START + spread.first_quartile * scale, START + spread.third_quartile * scale
    return "".join(
        [
            _line(low, middle, high, middle, "whisker"),
            _line(low, middle - 4, low, middle + 4, "whisker"),
            _line(high, middle - 4, high, middle + 4, "whisker"),
            _line(first, middle, third, middle, "quartiles"),
        ]
    )


def _break_mark(middle: float) -> str:
    """Draw the gap that says that the bar is longer than shown."""
    half = THICKNESS / 2 + 2
    x = START + (END - START) * 0.82
    path = f"M{x:.1f} {middle + half:.1f} l5 {-half:.1f} l-4 0 l5 {-half:.1f}"
    return tag("path", d=path, class_="gap")


def _spoken(result: Result) -> str:
    return f"{result.row.title}: " + "; ".join(
        _spoken_series(result, series) for series in result.series
    )


def _spoken_series(result: Result, series: Series) -> str:
    if series.spread is None:
        return f"{series.participant}: {series.error or series.unsupported}"
    labels = spread_labels(series.spread)
    return f"{series.participant}: {labels[0]} {result.row.unit}, {labels[1]}"


def spread_labels(spread: Spread) -> tuple[str, str]:
    """Return the median, and least to most, as text."""
    low, high = figures(spread.low, spread.high)
    return figure(spread.median), f"{low} {TO} {high}"


def growth(results: Sequence[Result], classes: Mapping[str, str]) -> str:
    """Draw one line for each participant over the rows of a growth chart, both axes logarithmic."""
    points = _points(results)
    lows = [s.low for line in points.values() for _, s in line]
    highs = [s.high for line in points.values() for _, s in line]
    if not lows:
        return ""
    places = sorted({result.row.growth[1] for result in results if result.row.growth})
    axes = _Axes(places, results[0].row.growth_of, min(lows), max(highs))
    parts = [axes.grid()]
    ends: list[tuple[float, str, float]] = []
    for participant, line in points.items():
        class_ = classes[participant]
        parts.append(_growth_line(line, axes, class_))
        last_place, last = line[-1]
        ends.append((axes.y(last.median), participant, axes.x(last_place)))
    parts += _end_labels(ends, classes)
    row = results[0].row
    return tag(
        "svg",
        "".join(parts),
        viewBox=f"0 0 {WIDE} {HIGH}",
        role="img",
        aria_label=f"{row.unit} by the number of {row.growth_of}s; the figures stand in the table",
        class_="growth",
    )


def _points(results: Sequence[Result]) -> dict[str, list[tuple[int, Spread]]]:
    """Return each participant's spreads by the place on the x axis, in ascending order."""
    points: dict[str, list[tuple[int, Spread]]] = {}
    for result in sorted(results, key=lambda result: result.row.growth or ("", 0)):
        for series in result.series:
            if result.row.growth is not None and series.spread is not None:
                place = result.row.growth[1]
                points.setdefault(series.participant, []).append((place, series.spread))
    return points


class _Axes:
    """Where a number of tasks, or whatever grows, and a value lie on the growth chart."""

    def __init__(self, places: Sequence[int], of: str, low: float, high: float) -> None:
        self._places = places
        self._of = of
        self._first = math.log10(places[0])
        self._last = math.log10(places[-1])
        # Whole decades would waste half the chart; a little room below and above is enough.
        self._low = math.log10(low) - 0.12
        self._high = math.log10(high) + 0.12

    def x(self, place: int) -> float:
        if self._last == self._first:
            return (LEFT + RIGHT) / 2
        share = (math.log10(place) - self._first) / (self._last - self._first)
        return LEFT + 30 + (RIGHT - LEFT - 60) * share

    def y(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return BOTTOM - (BOTTOM - TOP) * share

    def grid(self) -> str:
        parts: list[str] = []
        for exponent in range(math.floor(self._low), math.ceil(self._high) + 1):
            for step in range(1, 10):
                value = step * 10.0**exponent
                if not self._low <= math.log10(value) <= self._high:
                    continue
                y = self.y(value)
                parts.append(_line(LEFT, y, RIGHT, y, "grid" if step == 1 else "grid faint"))
                if step in (1, 2, 5):
                    label = _tick(value)
                    parts.append(_text(label, LEFT - 10, y + 4.5, class_="tick end"))
        for place in self._places:
            parts.append(_line(self.x(place), TOP, self.x(place), BOTTOM, "grid"))
            label = f"{grouped(place)} {self._of}{'' if place == 1 else 's'}"
            parts.append(_text(label, self.x(place), BOTTOM + 24, class_="tick middle"))
        return "".join(parts)


def _tick(value: float) -> str:
    """Return a round value for an axis, such as ``20 k``."""
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}\N{NARROW NO-BREAK SPACE}{suffix}"
    return f"{value:g}"


def _growth_line(line: Sequence[tuple[int, Spread]], axes: _Axes, class_: str) -> str:
    path = "M" + " L".join(f"{axes.x(place):.1f} {axes.y(s.median):.1f}" for place, s in line)
    parts = [tag("path", d=path, class_=f"line {class_}")]
    for place, spread in line:
        x = axes.x(place)
        parts.append(_line(x, axes.y(spread.low), x, axes.y(spread.high), f"reach {class_}"))
        median, reach = spread_labels(spread)
        title = tag("title", f"{grouped(place)}: {median} ({reach})")
        parts.append(marker(x, axes.y(spread.median), class_, title))
    return "".join(parts)


def marker(x: float, y: float, class_: str, content: str = "") -> str:
    """Return the sign of a participant, which tells it from the others without colour."""
    shapes = {
        "c0": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z",
        "c1": "M-5 -5h10v10h-10z",
        "c2": "M0 -6.5l6.5 11.5h-13z",
        "c3": "M0 -7l7 7l-7 7l-7 -7z",
        "c4": "M0 6.5l6.5 -11.5h-13z",
        "c5": "M-2 -6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
        "floor": "M-6 -2h12v4h-12z",
    }
    attributes = {"d": shapes[class_], "class_": f"marker {class_}"}
    return tag("path", content, transform=f"translate({x:.1f} {y:.1f})", **attributes)


def _end_labels(ends: Sequence[tuple[float, str, float]], classes: Mapping[str, str]) -> list[str]:
    """Name each line at its end; names that would overlap are moved apart and led to their line."""
    ordered = sorted(ends)
    places: list[float] = []
    for y, _, _ in ordered:
        places.append(max(y, places[-1] + LABEL_GAP) if places else y)
    overflow = max(0.0, places[-1] - (BOTTOM - 4)) if places else 0.0
    parts: list[str] = []
    for (y, participant, x), place in zip(ordered, places, strict=True):
        class_ = classes[participant]
        at = place - overflow
        parts.append(_line(x + 10, y, LABELS - 6, at, f"leader {class_}"))
        parts.append(_text(participant, LABELS, at + 4.5, class_=f"name {class_}"))
    return parts
