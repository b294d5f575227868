"""The options, event loops and guards that tests/conftest.py gives all tests."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.project import PROJECT, codec_modules


def run_pytest(directory: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test file with this project's conftest and configuration."""
    path = directory / "test_inner.py"
    path.write_text("import asyncio, pytest\n" + textwrap.dedent(source))
    pytest_here = [sys.executable, "-m", "pytest", "-p", "tests.conftest"]
    return subprocess.run(
        [*pytest_here, "-c", str(PROJECT / "pyproject.toml"), *options, str(path)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_codecs_are_loaded_in_the_form_asked_for(request: pytest.FixtureRequest) -> None:
    codecs = request.config.getoption("codecs")
    for name in codec_modules():
        is_pure = (importlib.import_module(name).__file__ or "").endswith(".py")
        assert codecs == "any" or is_pure == (codecs == "pure")


@pytest.mark.both_loops
async def test_both_loops(request: pytest.FixtureRequest) -> None:
    kind = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    assert f"[{kind}]" in request.node.name


async def test_asyncio_alone_without_the_mark(request: pytest.FixtureRequest) -> None:
    assert request.node.name == "test_asyncio_alone_without_the_mark"
    assert isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)


def test_no_skips(tmp_path: Path) -> None:
    source = """
        @pytest.mark.skip(reason="too lazy")
        def test_marked(): ...
        def test_inside(): pytest.skip("too late")
        @pytest.mark.xfail
        def test_known(): assert False
    """
    assert run_pytest(tmp_path, source).returncode == 0
    result = run_pytest(tmp_path, source, "--no-skips")
    assert result.returncode == 1
    assert "1 failed, 1 xfailed, 1 error" in result.stdout
    assert "too lazy" in result.stdout


def test_no_skips_of_whole_modules(tmp_path: Path) -> None:
    source = "pytest.importorskip('no_such_module')\ndef test_nothing(): ..."
    result = run_pytest(tmp_path, source, "--no-skips")
    assert result.returncode == 2
    assert "1 error" in result.stdout


def test_a_hanging_test_fails_on_either_loop_and_the_next_one_runs(tmp_path: Path) -> None:
    source = """
        @pytest.mark.both_loops
        async def test_hanging(): await asyncio.Event().wait()
        def test_next(): ...
    """
    result = run_pytest(tmp_path, source, "-o", "timeout=0.5")
    assert result.returncode == 1
    assert "2 failed, 1 passed" in result.stdout
    for loop in ("asyncio", "uvloop"):
        assert f"test_hanging[{loop}]" in result.stdout
    assert result.stdout.count("Failed: Timeout (>0.5s)") >= 2


def test_pure_comes_before_any_import(tmp_path: Path) -> None:
    early = tmp_path / "early.py"
    early.write_text(f"import {codec_modules()[0]}\n")
    options = ["--codecs=pure", "-p", "early", "-o", f"pythonpath=. src {tmp_path}"]
    result = run_pytest(tmp_path, "def test_nothing(): ...", *options)
    assert result.returncode == 4
    assert "too late" in result.stdout


def test_a_failing_test_shows_the_log_of_a_running_server(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "def test_wrong(redis_server): assert False")
    assert "log of redis" in result.stdout
    assert "Ready to accept connections" in result.stdout
