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
ADAPTERS = ("redis", "postgres", "mqtt", "smtp", "ssh")
# What stands in the pages for a real server's address, by the fixture that runs the server.
ADDRESSES: dict[str, dict[str, str]] = {
    "redis_server": {
        "localhost:6379": "127.0.0.1:{port}",
        '"localhost", 6379': '"127.0.0.1", {port}',
        "127.0.0.1:6379": "127.0.0.1:{port}",
    },
    "postgres15": {
        "localhost:5432": "127.0.0.1:{port}",
        "//app@": "//trust_user@",
        'user="app"': 'user="trust_user"',
    },
    "smtp_sink": {"localhost:2525": "127.0.0.1:{port}"},
    "mosquitto": {"localhost:1883": "127.0.0.1:{port}"},
    "sshd": {
        "localhost:2222": "127.0.0.1:{port}",
        "grace@": "wirekit@",
        '"grace"': '"wirekit"',
        "id_ed25519": "{directory}/user_ed25519",
        "our_known_hosts": "{directory}/known_hosts",
    },
}
PAGES = ["README.md", *(f"docs/{name}.md" for name in ("sockets", *ADAPTERS))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _compiled(source: str, page: str) -> CodeType:
    code: CodeType = compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


@pytest.mark.parametrize("page", PAGES)
async def test_examples_run(page: str, request: pytest.FixtureRequest) -> None:
    blocks = _BLOCK.findall((ROOT / page).read_text())
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        code = _compiled(_addressed(block, request), page)
        result = eval(code, names)
        if code.co_flags & CO_COROUTINE:
            await result


def _addressed(source: str, request: pytest.FixtureRequest) -> str:
    """Return an example with the addresses of real servers, which run from then on."""
    for fixture, addresses in ADDRESSES.items():
        for shown, real in addresses.items():
            if shown in source:
                server: RunningServer = request.getfixturevalue(fixture)
                source = source.replace(
                    shown, real.format(port=server.port, directory=server.directory)
                )
    return source


def test_examples_without_a_test_are_valid_python() -> None:
    for page in PAGES:
        for block in re.findall(
            r"^```python notest\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
        ):
            _compiled(block, page)
