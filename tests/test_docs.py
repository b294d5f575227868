"""Every Python example in the docs runs against a real server; ``notest`` marks what cannot."""

from __future__ import annotations

import ast
import re
from inspect import CO_COROUTINE
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .servers import RunningServer

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/sockets.md", "docs/redis.md", "docs/postgres.md"]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _compiled(source: str, page: str) -> CodeType:
    code: CodeType = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.parametrize("page", PAGES)
async def test_examples_run(
    page: str, redis_server: RunningServer, postgres15: RunningServer
) -> None:
    blocks = _BLOCK.findall((ROOT / page).read_text())
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        source = block.replace("localhost:6379", f"127.0.0.1:{redis_server.port}")
        source = source.replace('"localhost", 6379', f'"127.0.0.1", {redis_server.port}')
        source = source.replace("127.0.0.1:6379", f"127.0.0.1:{redis_server.port}")
        source = source.replace("localhost:5432", f"127.0.0.1:{postgres15.port}")
        source = source.replace("//app@", "//trust_user@").replace(
            'user="app"', 'user="trust_user"'
        )
        code = _compiled(source, page)
        result = eval(code, names)
        if code.co_flags & CO_COROUTINE:
            await result


def test_examples_without_a_test_are_valid_python() -> None:
    for page in PAGES:
        for block in re.findall(
            r"^```python notest\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
        ):
            _compiled(block, page)
