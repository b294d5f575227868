"""The fuzzers' kept inputs, replayed; and their own workings."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from tests.fuzz import FOLDER, TARGETS, __main__, load_check, load_corpus
from tests.fuzz._atheris import functions_of
from tests.fuzz.replay import changed
from tests.protocols._pure import load_pure
from wirekit import RemoteProtocolError
from wirekit.protocols import resp

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = [(target, name) for target in TARGETS for name in load_corpus(target)]


@pytest.mark.parametrize(("target", "name"), INPUTS)
def test_input(target: str, name: str) -> None:
    load_check(target)(load_corpus(target)[name])


@pytest.mark.parametrize("target", TARGETS)
def test_changed_inputs(target: str) -> None:
    for data in changed([*load_corpus(target).values()], count=300, seed=7):
        load_check(target)(data)


def test_changed_inputs_are_the_same_each_time() -> None:
    inputs = [b"abc", b"$3\r\nfoo\r\n"]
    assert [*changed(inputs, 50, 1)] == [*changed(inputs, 50, 1)]
    assert len({*changed(inputs, 50, 1)}) > 25


def test_targets_are_the_harnesses_and_the_corpora() -> None:
    harnesses = {path.stem.removeprefix("fuzz_") for path in FOLDER.glob("fuzz_*.py")}
    corpora = {path.name for path in (FOLDER / "corpus").iterdir()}
    assert harnesses == corpora == {*TARGETS}


def test_a_codec_that_depends_on_cuts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(resp.Codec):
        def receive_data(self, data: Any) -> list[resp.Reply]:
            if len(data) == 1 and data in b"x":
                raise RemoteProtocolError("seen")
            return super().receive_data(data)

    harness = importlib.import_module("tests.fuzz.fuzz_resp")
    monkeypatch.setattr(harness, "CODECS", [resp.Codec, Forgetful])
    load_check("resp")(b"+a\r\n")
    with pytest.raises(AssertionError, match="but Outcome"):
        load_check("resp")(b"+x\r\n")


def test_instrumented_functions_are_those_of_the_module() -> None:
    names = {
        function.__qualname__ for function in functions_of(load_pure("wirekit.protocols.resp"))
    }
    assert {"Codec._parse", "Codec.receive_data", "decode_text", "_pack_command"} <= names
    assert "encode" not in names


def test_without_atheris_it_says_so_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find_nothing(name: str) -> None:
        assert name == "atheris"

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    assert __main__.main(["--seconds", "1"]) == 1
    assert "atheris is not installed" in capsys.readouterr().out


def test_seconds_are_split_and_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs: list[tuple[str, int]] = []

    def run(target: str, seconds: int) -> bool:
        runs.append((target, seconds))
        return target != "two"

    monkeypatch.setattr(importlib.util, "find_spec", str)
    monkeypatch.setattr(__main__, "TARGETS", ("one", "two", "three"))
    monkeypatch.setattr(__main__, "run", run)
    assert __main__.main(["--seconds", "31"]) == 1
    assert runs == [("one", 10), ("two", 10), ("three", 10)]
    assert "two failed" in capsys.readouterr().out
    assert __main__.main(["--seconds", "7", "--target", "one"]) == 0
    assert runs[3:] == [("one", 7)]
