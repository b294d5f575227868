from __future__ import annotations

import contextlib
from collections.abc import Generator
from types import SimpleNamespace

import pytest

from benchmarks import _servers
from benchmarks._servers import Engine, Server, ServerError, engine, serve


@pytest.fixture
def local_server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a server that does nothing in the place of the local one; it notes start and stop."""
    notes: list[str] = []

    @contextlib.contextmanager
    def made_up() -> Generator[SimpleNamespace]:
        notes.append("start")
        yield SimpleNamespace(host="127.0.0.1", port=1)
        notes.append("stop")

    monkeypatch.setitem(_servers.LOCAL, "redis", made_up)
    return notes


def answers(monkeypatch: pytest.MonkeyPatch, known: dict[str, str]) -> None:
    def ask(*command: str) -> str:
        return known.get(" ".join(command[:2]), "")

    monkeypatch.setattr(_servers, "ask", ask)


def test_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {})
    assert engine() is None


def test_engine_without_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"docker info": "28.2"})
    assert engine() is None


def test_engine_with_a_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(
        monkeypatch,
        {"docker info": "28.2", "docker compose": "2.40", "docker network": "9daa8baabe97"},
    )
    found = engine()
    assert found is not None
    assert found == Engine("28.2", ("docker", "compose"), bridge=True)
    assert found.file.name == "compose.yaml"
    assert found.file.exists()


def test_engine_without_a_bridge_and_with_the_old_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {"docker info": "20.10", "docker-compose version": "1.29.2"})
    found = engine()
    assert found is not None
    assert found == Engine("20.10", ("docker-compose",), bridge=False)
    assert found.file.name == "compose.host.yaml"
    assert found.file.exists()


def test_a_program_that_is_not_there_answers_nothing() -> None:
    assert _servers.ask("wirekit-has-no-such-program") == ""


def test_a_program_that_fails_answers_nothing() -> None:
    assert _servers.ask("sh", "-c", "echo words; exit 1") == ""
    assert _servers.ask("sh", "-c", "echo words") == "words"


def test_local(local_server: list[str]) -> None:
    with serve("redis", "local") as server:
        assert server == Server(("127.0.0.1", 1), "local process")
        assert local_server == ["start"]
    assert local_server == ["start", "stop"]


def test_auto_without_an_engine_is_local(
    monkeypatch: pytest.MonkeyPatch, local_server: list[str]
) -> None:
    monkeypatch.setattr(_servers, "engine", lambda: None)
    with serve("redis", "auto") as server:
        assert server.place == "local process"


def test_containers_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_servers, "engine", lambda: None)
    with pytest.raises(ServerError, match="no Docker engine"), serve("redis", "containers"):
        pytest.fail("there is no server")


@pytest.fixture
def broken_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an engine answer whose compose always fails."""
    found = Engine("1.0", ("sh", "-c", "echo no image >&2; exit 1"), bridge=True)
    monkeypatch.setattr(_servers, "engine", lambda: found)


@pytest.mark.usefixtures("broken_engine")
def test_auto_with_an_engine_that_fails_is_local_and_says_so(local_server: list[str]) -> None:
    with serve("redis", "auto") as server:
        assert server.place == "local process, as no container started (no image)"
    assert local_server == ["start", "stop"]


@pytest.mark.usefixtures("broken_engine")
def test_containers_with_an_engine_that_fails() -> None:
    with pytest.raises(ServerError, match="no image"), serve("redis", "containers"):
        pytest.fail("there is no server")
