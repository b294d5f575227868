from __future__ import annotations

import io

from rich.console import Console

from benchmarks._report import tables
from benchmarks._text import AT_LEAST, TIMES, TO

from .reports import made_up_report


def printed() -> str:
    console = Console(file=io.StringIO(), width=200)
    for table in tables(made_up_report()):
        console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_median_extremes_and_ratio_of_each_peer() -> None:
    text = printed()
    assert "redis, asyncio 3.11.7" in text
    assert "31.0 k" in text
    assert f"30.0 {TO} 33.0 k" in text
    assert f"3.00 {TIMES}" in text  # ours to peer
    assert f"6.00 {TIMES}" in text  # ours to slow


def test_goals_with_their_outcome() -> None:
    text = printed()
    assert f"{AT_LEAST} 2 {TIMES} peer" in text
    assert "met" in text
    assert "missed" in text  # three times is not five


def test_an_error_stands_where_the_figures_would() -> None:
    assert "<gone>" in printed()
