from __future__ import annotations

import re
from html.parser import HTMLParser

from benchmarks._html import page

from .reports import made_up_report

VOID = {"meta"}


class Outline(HTMLParser):
    """Collects the tags, and fails where they are not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline() -> Outline:
    parser = Outline()
    parser.feed(page(made_up_report()))
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_well_formed() -> None:
    seen = outline().seen
    assert seen[:2] == ["html", "head"]
    assert seen.count("table") == 1
    assert seen.count("figure") == 3 + 1  # the rows with a goal or without growth, and the growth


def test_the_page_needs_nothing_else() -> None:
    html = page(made_up_report())
    assert "<script" not in html
    assert not re.search(r"\b(src|href)=|url\(|@import|https?:", html)


def test_light_and_dark() -> None:
    assert "@media (prefers-color-scheme: dark)" in page(made_up_report())


def test_what_comes_from_outside_is_escaped() -> None:
    html = page(made_up_report())
    assert "<gone>" not in html
    assert "<CPU>" not in html
    assert "Some <CPU>" in "".join(outline().text)


def test_the_page_says_what_how_and_with_what() -> None:
    text = " ".join("".join(outline().text).split())
    for said in (
        "2026-11-23 10:00:00 UTC",
        "Redis 7.0.15, local process",
        "CPython 3.11.7",
        "absent: No module named 'missing'",
        "What failed",
        "set up so",
    ):
        assert said in text


def test_a_quick_run_is_marked() -> None:
    report = made_up_report()
    assert "A quick run" not in page(report)
    report.quick = True
    assert "A quick run" in page(report)
