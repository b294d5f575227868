from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main, options

from .reports import made_up_report


def test_defaults() -> None:
    chosen = options([])
    assert chosen.loop == "asyncio"
    assert chosen.servers == "auto"
    assert chosen.adapter == ("redis", "postgres", "mqtt", "smtp", "ssh")
    assert chosen.peers is None
    assert chosen.output == Path("results")
    assert not chosen.quick


def test_choices() -> None:
    chosen = options(["--peers", "coredis", "redis-py", "--rounds", "3", "--loop", "both"])
    assert chosen.peers == ["coredis", "redis-py"]
    assert chosen.rounds == 3
    assert chosen.loop == "both"


@pytest.mark.parametrize(
    "wrong", [["--rounds", "0"], ["--adapter", "gopher"], ["--loop", "trio"], ["--servers", "x"]]
)
def test_what_is_not_possible_is_refused(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options(wrong)
    assert "error" in capsys.readouterr().err


def test_render_draws_the_page_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "earlier.json"
    made_up_report().write(file)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--render", str(file)])
    assert main() == 0
    assert (tmp_path / "earlier.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "earlier.html" in capsys.readouterr().out.replace("\n", "")
