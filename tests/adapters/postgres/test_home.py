from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wirekit.adapters.postgres._home import user_file


def test_the_home_directory_on_unix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_file(".pgpass", windows="pgpass.conf") == tmp_path / ".pgpass"


def test_without_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", home)
    assert user_file(".pgpass") is None


def test_the_application_data_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", str(tmp_path))
    assert user_file(".pgpass", windows="pgpass.conf") == tmp_path / "postgresql" / "pgpass.conf"
    assert user_file(".pg_service.conf") == tmp_path / "postgresql" / ".pg_service.conf"
    monkeypatch.delenv("APPDATA")
    assert user_file(".pgpass") is None
