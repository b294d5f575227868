"""Imports run one way: adapters → protocols, adapters → sockets, and all of them → _errors.

Imports for type checking and those within functions count as well.
"""

from __future__ import annotations

import ast
import sys

import pytest

from tests.project import source_modules

MODULES = source_modules()

GROUND = "wirekit._errors"
FACE = "wirekit"  # the error tree and the version, no more, so that adapters may import it
# The ground of the adapters, which do not know each other.
SHARED = tuple(
    f"wirekit.adapters.{name}" for name in ("_client", "_saslprep", "_scram", "_url", "_writing")
)
# The room, and what its modules may import of wirekit beside themselves.
MAY_IMPORT = {
    GROUND: (),
    f"{FACE}.__init__": (GROUND,),
    "wirekit.sockets": (GROUND, "wirekit.sockets"),
    "wirekit.protocols": (GROUND, "wirekit.protocols"),
    "wirekit.adapters": (GROUND, FACE, *SHARED, "wirekit.protocols", "wirekit.sockets"),
    "wirekit": ("wirekit.adapters", "wirekit.protocols", "wirekit.sockets", GROUND, FACE),
}
# What the extras install, by adapter or module; nothing else may come from outside the standard
# library.
THIRD_PARTY = {
    "wirekit.adapters._scram": {"scramp"},
    "wirekit.adapters.redis": {"redis"},
    "wirekit.adapters.smtp": {"dkim"},
    "wirekit.adapters.ssh": {"asyncssh"},
    "wirekit.protocols.ssh": {"cryptography"},
    "wirekit.sockets.websocket": {"wsproto"},
}
# A codec has no I/O, clock, randomness or log, and no way around this test. Of datetime and uuid
# it has the types.
NOT_FOR_PROTOCOLS = {
    *("asyncio", "socket", "ssl", "select", "selectors", "threading", "multiprocessing"),
    *("subprocess", "time", "os", "random", "secrets", "logging", "importlib"),
}


def is_within(module: str, package: str) -> bool:
    """Whether it is the package or inside it; the face is only itself, not what is behind it."""
    return module == package or (package != FACE and module.startswith(f"{package}."))


def imported_modules(source: str, module: str) -> set[str]:
    """Return the absolute name of every module that the source imports, submodules too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                member = f"{name}.{alias.name}"
                is_module = member in MODULES or f"{member}.__init__" in MODULES
                found.add(member if is_module else name)
        elif isinstance(node, ast.Name) and node.id == "__import__":
            found.add("importlib")
    return found


def adapter_of(module: str) -> str:
    """Return the adapter's package, or the module itself if it belongs to none."""
    parts = module.split(".")
    return ".".join(parts[:3]) if parts[:2] == ["wirekit", "adapters"] else module


def third_party_of(module: str) -> set[str]:
    """Return what the module may import from outside."""
    allowed = [roots for package, roots in THIRD_PARTY.items() if is_within(module, package)]
    return set[str]().union(*allowed)


def room_of(module: str) -> str:
    return next((room for room in MAY_IMPORT if is_within(module, room)), FACE)


def violations(source: str, module: str) -> list[str]:
    """Say what the module imports although its room may not."""
    room = room_of(module)
    allowed = [*MAY_IMPORT[room], adapter_of(module)]
    wrong: list[str] = []
    for imported in sorted(imported_modules(source, module)):
        root = imported.partition(".")[0]
        if root == "wirekit":
            if not any(is_within(imported, package) for package in allowed):
                wrong.append(f"{module} imports {imported}")
        elif root not in sys.stdlib_module_names:
            if root not in third_party_of(module):
                wrong.append(f"{module} imports {imported}, which wirekit does not depend on")
        elif room == "wirekit.protocols" and root in NOT_FOR_PROTOCOLS:
            wrong.append(f"{module} imports {imported}: a codec knows no such thing")
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    assert violations(MODULES[module].read_text(), module) == []


def test_every_room_is_looked_at() -> None:
    rooms = {room_of(module) for module in MODULES}
    assert rooms >= set(MAY_IMPORT) - {FACE}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wirekit._errors", "from wirekit import sockets"),
        ("wirekit._errors", "import wirekit.protocols"),
        ("wirekit.sockets._tls", "from wirekit.protocols import resp"),
        ("wirekit.sockets._tls", "from ..adapters import redis"),
        ("wirekit.sockets._tls", "from wirekit import Error"),
        ("wirekit.sockets._tls", "import uvloop"),
        ("wirekit.sockets._tls", "import wsproto"),
        ("wirekit.sockets.__init__", "from ..protocols import __name__"),
        ("wirekit.protocols.resp", "from wirekit.sockets import Socket"),
        ("wirekit.protocols.resp", "from .. import sockets"),
        ("wirekit.protocols.resp", "def f():\n    import time"),
        ("wirekit.protocols.resp", "if TYPE_CHECKING:\n    from asyncio import Transport"),
        ("wirekit.protocols.resp", "import os.path"),
        ("wirekit.protocols.resp", "__import__('socket')"),
        ("wirekit.protocols.resp", "import redis"),
        ("wirekit.protocols.resp", "import cryptography"),
        ("wirekit.protocols.ssh._gcm", "import asyncssh"),
        ("wirekit.__init__", "from wirekit import sockets"),
        ("wirekit.adapters.redis._client", "import hiredis"),
        ("wirekit.adapters.redis._client", "from ..postgres import Postgres"),
        ("wirekit.adapters.postgres._client", "import redis"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wirekit.__init__", "from ._errors import *"),
        ("wirekit.sockets.__init__", "from ._tls import TLSOptions"),
        ("wirekit.sockets._tls", "import asyncio, ssl\nfrom ._transport import Transport"),
        ("wirekit.sockets.websocket", "from wsproto.events import Request"),
        ("wirekit.protocols.resp", "from wirekit._errors import Error\nimport struct"),
        ("wirekit.protocols.ssh._gcm", "from cryptography.exceptions import InvalidTag"),
        ("wirekit.adapters.redis._client", "from wirekit.protocols import resp\nimport redis"),
        ("wirekit.adapters.redis._client", "from ._errors import X\nimport wirekit"),
        ("wirekit.__main__", "from .adapters import redis"),
    ],
)
def test_a_right_import_is_let_be(module: str, source: str) -> None:
    assert violations(source, module) == []
