"""The .py file of a codec as a second module, beside the compiled one in the same process."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING, Any

from tests.project import source_modules

if TYPE_CHECKING:
    from types import ModuleType


def load_pure(name: str) -> Any:
    """Load the source of ``wirekit.protocols.x`` as ``wirekit.protocols.x__pure``, once."""
    pure_name = f"{name}__pure"
    loaded: ModuleType | None = sys.modules.get(pure_name)
    if loaded is not None:
        return loaded
    loader = SourceFileLoader(pure_name, str(source_modules()[name]))
    spec = spec_from_loader(pure_name, loader)
    assert spec is not None
    module = sys.modules[pure_name] = module_from_spec(spec)
    loader.exec_module(module)
    return module


def is_compiled(module: ModuleType) -> bool:
    """Return whether a codec's module is the one that Cython made."""
    return not str(module.__file__).endswith(".py")
