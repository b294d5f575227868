"""The .py files of the package beside the compiled modules, in the same process."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tests.project import source_modules

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "wirekit_sources"


class SourceFinder(MetaPathFinder):
    """Finds ``wirekit_sources.x`` in the source of ``wirekit.x``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{PACKAGE}."):
            return None
        name = f"wirekit.{fullname.removeprefix(f'{PACKAGE}.')}"
        sources = source_modules()
        is_package = f"{name}.__init__" in sources
        file = sources[f"{name}.__init__" if is_package else name]
        return spec_from_loader(fullname, SourceFileLoader(fullname, str(file)))


def load_source(name: str) -> Any:
    """Return the module ``wirekit.name`` as its source says, once."""
    if PACKAGE not in sys.modules:
        root = ModuleType(PACKAGE)
        root.__path__ = []
        sys.modules[PACKAGE] = root
        sys.meta_path.insert(0, SourceFinder())
    return importlib.import_module(f"{PACKAGE}.{name}")
