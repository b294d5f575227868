from __future__ import annotations

import pytest

from benchmarks._model import Goal
from benchmarks._text import AT_LEAST, TIMES, figure, figures, goal_text, grouped


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.012"),
        (0.4, "0.400"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (99.96, "100"),
        (999.6, "1 000"),
        (9_994, "9 994"),
        (9_996, "10.0 k"),
        (123_456, "123 k"),
        (999_499, "999 k"),
        (999_501, "1.00 M"),
        (3_521_000, "3.52 M"),
        (1_234_567_890, "1 235 M"),
    ],
)
def test_figure_has_three_digits(value: float, text: str) -> None:
    assert plain(figure(value)) == text


def test_figures_share_a_magnitude() -> None:
    assert [plain(text) for text in figures(9_000, 21_500)] == ["9.00", "21.5 k"]


def test_grouped() -> None:
    assert plain(grouped(1_000_000)) == "1 000 000"


def test_goal() -> None:
    assert goal_text(Goal(1.2, "redis-py")) == f"{AT_LEAST} 1.2 {TIMES} redis-py"
