from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.adapters.ssh.test_report import REPORT
from wirekit import ConnectionLost
from wirekit.adapters.ssh import Report, __main__


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What to scan; the report is always the same."""
    asked: list[object] = []

    async def scan(*, address: str, timeout: float) -> Report:
        asked.append((address, timeout))
        if address == "nowhere":
            raise ConnectionLost("nobody is there")
        return REPORT

    monkeypatch.setattr(__main__, "scan", scan)
    return asked


def test_a_table(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["example.com"]) == 2
    assert capsys.readouterr().out == f"{REPORT}\n"
    assert found == [("example.com", 30.0)]


def test_json(found: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--json", "--timeout", "5", "example.com:2222"]) == 2
    assert json.loads(capsys.readouterr().out)["level"] == "warn"
    assert found == [("example.com:2222", 5.0)]


@pytest.mark.usefixtures("found")
def test_no_connection(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["nowhere"]) == 1
    assert capsys.readouterr() == ("", "nobody is there\n")


def test_as_a_program() -> None:
    command = [sys.executable, "-m", "wirekit.adapters.ssh", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
