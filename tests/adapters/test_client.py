from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wirekit.adapters._client import Client

if TYPE_CHECKING:
    from typing import Self


class Recording(Client):
    def __init__(self, error: BaseException | None = None) -> None:
        self.calls: list[str] = []
        self.error = error

    async def open(self) -> Self:
        self.calls.append("open")
        if self.error is not None:
            raise self.error
        return self

    async def aclose(self) -> None:
        self.calls.append("aclose")


async def test_a_block_opens_and_closes() -> None:
    client = Recording()
    async with client as entered:
        assert entered is client
        assert client.calls == ["open"]
    assert client.calls == ["open", "aclose"]


async def test_an_error_in_the_block_goes_on() -> None:
    client = Recording()
    with pytest.raises(KeyError):
        async with client:
            raise KeyError
    assert client.calls == ["open", "aclose"]


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt("now")])
async def test_what_does_not_open_is_closed(error: BaseException) -> None:
    client = Recording(error)
    with pytest.raises(type(error)):
        async with client:
            raise AssertionError
    assert client.calls == ["open", "aclose"]
