from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_event_loop(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test if the event loop complained: of an exception that nobody fetched, a fatal
    error in a protocol's callback, a task that was destroyed while pending.
    """
    yield
    complaints = [record.getMessage() for record in caplog.get_records("call")]
    assert not complaints
