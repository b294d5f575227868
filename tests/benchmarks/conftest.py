from __future__ import annotations

import pytest

from benchmarks import _runner


@pytest.fixture(autouse=True)
def unsettled_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the garbage before each sample: to collect it takes longer than the small samples."""
    monkeypatch.setattr(_runner, "_settle_heap", lambda: None)
