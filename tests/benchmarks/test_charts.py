from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks._charts import bars, growth, tag
from benchmarks._model import Goal, Row

from .reports import made_up_report, result

CLASSES = {
    "wirekit": "c0",
    "peer": "c1",
    "slow": "c2",
    "unable": "c3",
    "broken": "c4",
    "floor": "floor",
}


def elements(svg: str, name: str, class_: str) -> list[ElementTree.Element]:
    return [
        element
        for element in ElementTree.fromstring(svg).iter(name)
        if class_ in element.get("class", "").split()
    ]


def texts(svg: str, class_: str) -> list[str]:
    found = ["".join(element.itertext()) for element in elements(svg, "text", class_)]
    return [text.replace("\N{NARROW NO-BREAK SPACE}", " ") for text in found]


def test_tag_escapes_values() -> None:
    assert tag("a", "<b/>", class_="x", data_y='"&') == '<a class="x" data-y="&quot;&amp;"><b/></a>'


def test_bars_are_as_long_as_the_medians() -> None:
    svg = bars(result(ours=[40], peer=[10], slow_peer=[5], floor=[50]), CLASSES)
    widths = [float(bar.get("width", "0")) for bar in elements(svg, "rect", "bar")]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.01)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.01)
    assert widths[3] == max(widths)
    assert not elements(svg, "path", "gap")


def test_a_far_off_floor_is_cut_and_says_so() -> None:
    svg = bars(result(ours=[40], peer=[10], floor=[4000]), CLASSES)
    widths = [float(bar.get("width", "0")) for bar in elements(svg, "rect", "bar")]
    assert widths[0] > widths[2] / 2
    assert len(elements(svg, "path", "gap")) == 1
    assert texts(svg, "value") == ["40.0", "10.0", "4 000"]


def test_whiskers_reach_from_least_to_most() -> None:
    svg = bars(result(ours=[10, 20, 40], peer=[10, 10, 10]), CLASSES)
    whisker, bar = elements(svg, "line", "whisker")[0], elements(svg, "rect", "bar")[0]
    start, width = float(bar.get("x", "0")), float(bar.get("width", "0"))
    assert (float(whisker.get("x1", "0")) - start) * 2 == pytest.approx(width, abs=1)
    assert (float(whisker.get("x2", "0")) - start) / 2 == pytest.approx(width, abs=1)


@pytest.mark.parametrize(("lower_is_better", "place"), [(False, 20), (True, 5)])
def test_the_goal_is_a_line_at_its_value(lower_is_better: bool, place: float) -> None:
    row = Row("row", "row", "s", lower_is_better=lower_is_better, goal=Goal(2, "peer"))
    svg = bars(result(row, ours=[20], peer=[10]), CLASSES)
    bar, (goal,) = elements(svg, "rect", "bar")[0], elements(svg, "line", "goal")
    start, width = float(bar.get("x", "0")), float(bar.get("width", "0"))
    assert float(goal.get("x1", "0")) == pytest.approx(start + width * place / 20, abs=0.2)


def test_the_goal_does_not_cross_a_value() -> None:
    row = Row("row", "row", "s", goal=Goal(1.1, "peer"))
    svg = bars(result(row, ours=[20], peer=[10]), CLASSES)
    (goal,), value = elements(svg, "line", "goal"), elements(svg, "text", "value")[1]
    assert float(value.get("x", "0")) > float(goal.get("x1", "0"))


def test_who_has_no_figures_says_why() -> None:
    svg = bars(made_up_report().results[0], CLASSES)
    assert texts(svg, "missing") == [
        "not possible: it has no such call",
        "OSError: <gone> & away",
    ]


def test_growth_has_a_point_for_each_row_and_names_each_line_once() -> None:
    rows = [row for row in made_up_report().results if row.row.growth]
    svg = growth(rows, CLASSES)
    assert len(elements(svg, "path", "marker")) == 2 * 4
    assert sorted(texts(svg, "name")) == ["floor", "peer", "slow", "wirekit"]
    assert [text for text in texts(svg, "tick") if "task" in text] == ["1 task", "100 tasks"]


def test_growth_says_what_grows() -> None:
    rows = [
        Row(f"rows-{count}", "rows", "rows/s", growth=("growth", count), growth_of="row")
        for count in (1, 1000)
    ]
    svg = growth([result(row, ours=[10], peer=[5]) for row in rows], CLASSES)
    assert [text for text in texts(svg, "tick") if "row" in text] == ["1 row", "1 000 rows"]


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    row = Row("row", "row", "GET/s", growth=("growth", 10))
    same = result(row, ours=[10], peer=[10], slow_peer=[10], floor=[10])
    svg = growth([same], CLASSES)
    heights = sorted(float(name.get("y", "0")) for name in elements(svg, "text", "name"))
    assert all(right - left >= 14 for left, right in itertools.pairwise(heights))
    height = float(ElementTree.fromstring(svg).get("viewBox", "").split()[3])
    assert heights[0] > 0
    assert heights[-1] < height


def test_growth_without_figures_is_nothing() -> None:
    assert growth([result(Row("row", "row", "GET/s", growth=("growth", 1)))], CLASSES) == ""
