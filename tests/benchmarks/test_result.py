from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks._model import Goal, Row
from benchmarks._result import Report
from benchmarks._statistics import Spread

from .reports import made_up_report, result


def test_best_peer_is_neither_ours_nor_the_floor() -> None:
    assert result(ours=[9], peer=[3], slow_peer=[2], floor=[99]).best_peer() == "peer"


def test_best_peer_where_less_is_better() -> None:
    row = Row("peak", "peak memory", "MiB", lower_is_better=True)
    assert result(row, ours=[1], peer=[5], slow_peer=[7]).best_peer() == "peer"


def test_no_best_peer_without_peers() -> None:
    assert result(ours=[1], floor=[2]).best_peer() is None


def test_comparison_is_the_median_of_paired_ratios() -> None:
    # The ratio of the medians would be 20 / 10; round by round it is 1, 2 and 9.
    comparison = result(ours=[10, 20, 90], peer=[10, 10, 10]).compare("peer")
    assert comparison is not None
    assert comparison.ratio == Spread(1, 1.5, 2, 5.5, 9)


def test_no_comparison_with_the_absent() -> None:
    assert result(ours=[1]).compare("peer") is None
    assert result(peer=[1]).compare("peer") is None


@pytest.mark.parametrize(("ours", "met"), [([20.0], True), ([19.9], False)])
def test_goal(ours: list[float], met: bool) -> None:
    assert result(ours=ours, peer=[10]).goal_met() is met


def test_goal_of_a_row_where_less_is_better() -> None:
    row = Row("peak", "peak memory", "MiB", lower_is_better=True, goal=Goal(2, "peer"))
    assert result(row, ours=[4], peer=[10]).goal_met() is True
    assert result(row, ours=[6], peer=[10]).goal_met() is False


def test_nothing_is_said_of_a_goal_without_its_peer() -> None:
    assert result(ours=[20], slow_peer=[1]).goal_met() is None
    assert result(Row("get", "GET", "GET/s"), ours=[20], peer=[1]).goal_met() is None


def test_failures_name_row_and_participant_but_not_what_is_unsupported() -> None:
    assert made_up_report().failures() == [
        "one GET after another (asyncio), broken: OSError: <gone> & away"
    ]


def test_json_round_trip() -> None:
    report = made_up_report()
    assert Report.from_json(report.to_json()) == report


def test_json_has_every_sample_and_what_follows_from_them() -> None:
    document = json.loads(made_up_report().to_json())
    assert document["schema"] == 1
    assert set(document) == {
        *("schema", "date", "rounds", "quick", "environment", "servers", "entrants"),
        *("absent", "loops", "results"),
    }
    assert set(document["environment"]) == {
        *("python", "kernel", "cpu", "cores", "memory_gibibytes", "load_average"),
    }
    first = document["results"][0]
    assert first["row"]["goal"] == {"factor": 2, "peer": "peer"}
    assert first["series"][0]["samples"] == [30e3, 33e3, 31e3]
    assert first["series"][0]["spread"]["median"] == 31e3
    assert set(first["ratios"]) == {"peer", "slow", "floor"}
    assert first["ratios"]["peer"]["median"] == 3
    assert first["best_peer"] == "peer"
    assert first["goal_met"] is True
    unable = first["series"][3]
    assert (unable["samples"], unable["spread"]) == ([], None)
    assert unable["unsupported"] == "it has no such call"


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 1"):
        Report.from_json('{"schema": 0}')


def test_write(tmp_path: Path) -> None:
    report = made_up_report()
    report.write(tmp_path / "report.json")
    assert Report.from_json((tmp_path / "report.json").read_text(encoding="utf-8")) == report
