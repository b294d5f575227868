"""Running one target under atheris, which drives libFuzzer."""

from __future__ import annotations

import importlib
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def fuzz(check: Callable[[bytes], None], *modules: ModuleType) -> None:
    """Call ``check`` with inputs that reach ever more of the modules, as ``sys.argv`` tells."""
    atheris: Any = importlib.import_module("atheris")
    for module in modules:
        for function in functions_of(module):
            atheris.instrument_func(function)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


def functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Return the functions and methods that a module defines."""
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        members: list[Any] = [*vars(value).values()] if isinstance(value, type) else [value]
        for member in members:
            if isinstance(member, FunctionType):
                yield member
