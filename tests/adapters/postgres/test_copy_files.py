from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from wirekit.adapters.postgres._copy_files import call, opened, write_all


async def test_files_are_used_in_a_thread() -> None:
    assert await call(threading.get_ident) != threading.get_ident()


async def test_an_asynchronous_file_is_awaited() -> None:
    async def read(size: int) -> bytes:
        await asyncio.sleep(0)
        return bytes(size)

    assert await call(read, 3) == bytes(3)


@pytest.mark.parametrize("at_a_time", [1, 3, 100])
async def test_a_file_that_takes_little_at_a_time(at_a_time: int) -> None:
    taken: list[bytes] = []

    def write(data: bytes) -> int:
        taken.append(data[:at_a_time])
        return len(taken[-1])

    await write_all(write, b"12345678")
    assert b"".join(taken) == b"12345678"


async def test_a_file_that_does_not_say_how_much_it_took() -> None:
    taken: list[bytes] = []
    await write_all(taken.append, b"12345678")
    assert taken == [b"12345678"]


async def test_opened_and_closed(tmp_path: Path) -> None:
    async with opened(tmp_path / "file", "wb") as file:
        await write_all(file.write, b"data")
    assert file.closed
    async with opened(tmp_path / "file", "rb") as file:
        assert await call(file.read, 100) == b"data"
    assert file.closed
    with pytest.raises(IsADirectoryError):
        async with opened(tmp_path, "wb"):
            pass


async def test_cancelled_while_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    class File:
        def close(self) -> None:
            loop.call_soon_threadsafe(closed.set)

    def slow_open(*args: Any) -> File:
        goes_on.wait()
        return File()

    monkeypatch.setattr("wirekit.adapters.postgres._copy_files.open", slow_open, raising=False)

    async def use() -> None:
        async with opened(tmp_path / "file", "wb"):
            raise AssertionError

    task = asyncio.create_task(use())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    goes_on.set()
    await closed.wait()
