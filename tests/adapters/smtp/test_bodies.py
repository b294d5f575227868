from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wirekit.adapters.smtp import SMTPArgumentError
from wirekit.adapters.smtp._bodies import Body, make_body


async def content(body: Body) -> bytes:
    return b"".join([bytes(piece) async for piece in body.pieces()])


@pytest.mark.parametrize("source", [b"abc", bytearray(b"abc"), memoryview(b"abc"), "abc"])
async def test_what_is_in_memory(source: Any) -> None:
    body = await make_body(source)
    assert (body.data, body.size, body.replayable) == (b"abc", 3, True)
    assert await content(body) == b"abc"


async def test_a_buffer_may_change_afterwards() -> None:
    source = bytearray(b"abc")
    body = await make_body(source)
    source[:] = b"xyz"
    assert body.data == b"abc"


async def test_a_small_file_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(b"abc")
    body = await make_body(path)
    path.unlink()
    assert (body.data, body.replayable) == (b"abc", True)


async def test_a_large_file_is_read_bit_by_bit_and_again(tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(b"0123456789" * 300000)
    body = await make_body(path)
    assert (body.data, body.size, body.replayable) == (None, 3000000, True)
    pieces = [piece async for piece in body.pieces()]
    assert len(pieces) > 5
    assert await content(body) == path.read_bytes()


async def test_a_path_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await make_body(tmp_path / "missing")


async def test_a_file_object() -> None:
    body = await make_body(io.BytesIO(b"x" * 300000), size=300000)
    assert (body.data, body.size, body.replayable) == (None, 300000, False)
    assert await content(body) == b"x" * 300000


async def test_an_asynchronous_file() -> None:
    class File:
        def __init__(self) -> None:
            self.left = [b"a", b"b", b""]

        async def read(self, size: int, /) -> bytes:
            return self.left.pop(0)

    assert await content(await make_body(File())) == b"ab"


async def test_iterables() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    body = await make_body(pieces())
    assert (body.size, body.replayable) == (None, False)
    assert await content(body) == b"ab"
    body = await make_body([b"a", memoryview(b"b")])
    assert body.replayable
    assert await content(body) == await content(body) == b"ab"
    assert not (await make_body(iter([b"a"]))).replayable


async def test_what_is_no_message() -> None:
    with pytest.raises(SMTPArgumentError, match="ASCII"):
        await make_body("ä")
    with pytest.raises(SMTPArgumentError, match="not int"):
        await make_body(5)  # type: ignore[arg-type]
    body = await make_body(["text"])  # type: ignore[list-item]
    with pytest.raises(SMTPArgumentError, match="not of str"):
        await content(body)
    body = await make_body(io.StringIO("text"))
    with pytest.raises(SMTPArgumentError, match="not of str"):
        await content(body)
