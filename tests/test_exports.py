"""What is public is said once, in ``__all__``, and it is all there."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import tomllib

import pytest

from tests.project import PROJECT, source_modules

MODULES = source_modules()
PACKAGES = [name.removesuffix(".__init__") for name in MODULES if name.endswith(".__init__")]


@functools.cache
def tree(module: str) -> ast.Module:
    """Return the module's syntax tree."""
    return ast.parse(MODULES[module].read_text())


@functools.cache
def literal_all(module: str) -> list[str] | None:
    """Return the module's ``__all__`` as written, or None if it has none or computes it."""
    for statement in tree(module).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            try:
                names: list[str] = ast.literal_eval(statement.value)
            except ValueError:
                return None
            return names
    return None


def defined_names(module: str) -> set[str]:
    """Return what the module itself defines at its top level, without what it imports."""
    names: set[str] = set()
    for statement in ast.walk(tree(module)):
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(statement.name)
            case ast.Name(ctx=ast.Store()):
                names.add(statement.id)
            case _:
                pass
    return names


@functools.cache
def imports_and_attributes(importer: str) -> list[ast.Attribute | ast.ImportFrom]:
    """Return the nodes by which one module may use another."""
    nodes = ast.walk(tree(importer))
    return [node for node in nodes if isinstance(node, ast.Attribute | ast.ImportFrom)]


def imports_from(importer: str, module: str) -> set[str]:
    """Return the names that one module imports from another."""
    found: set[str] = set()
    alias = module.rpartition(".")[2]
    for node in imports_and_attributes(importer):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == alias:
                found.update({node.attr} - {"__all__"})  # of `from package import module`
        else:
            base = importer.split(".")[: -node.level] if node.level else []
            if ".".join([*base, node.module or ""]) == module:
                names = {alias.name for alias in node.names}
                found.update(literal_all(module) or [] if names == {"*"} else names)
    return found


def is_private(module: str) -> bool:
    """Say whether the module's own name begins with one underscore."""
    return re.fullmatch(r"_[a-z]\w*", module.rpartition(".")[2]) is not None


def private_modules(package: str) -> list[str]:
    """Return the package's own modules whose names begin with an underscore."""
    return [
        module for module in MODULES if re.fullmatch(rf"{re.escape(package)}\._[a-z]\w*", module)
    ]


def reading_order(name: str) -> tuple[int, str]:
    """Sort as ruff's RUF022 does: constants, then classes, then all others."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


WITH_ALL = [module for module in MODULES if literal_all(module) is not None]


@pytest.mark.parametrize("module", WITH_ALL)
def test_names_are_defined_once_and_sorted(module: str) -> None:
    names = literal_all(module)
    assert names is not None
    assert names == sorted(set(names), key=reading_order)
    assert not [name for name in names if name.startswith("_")]
    if is_private(module):
        assert set(names) <= defined_names(module)
    else:  # a public module may gather what others define
        assert all(hasattr(importlib.import_module(module), name) for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_names_resolve(package: str) -> None:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", []):
        assert getattr(module, name) is not None
    for private in private_modules(package):
        loaded = importlib.import_module(private)
        assert all(hasattr(loaded, name) for name in literal_all(private) or [])


@pytest.mark.parametrize("package", PACKAGES)
def test_package_exports_what_its_modules_define(package: str) -> None:
    imported = {
        (module, name)
        for module in private_modules(package)
        for name in imports_from(f"{package}.__init__", module)
    }
    for module, name in imported:
        assert name in (literal_all(module) or []), f"{name} is not in the __all__ of {module}"
    exported = getattr(importlib.import_module(package), "__all__", None)
    if exported is not None:
        # There may be more, from other packages or under another library's name.
        assert set(exported) >= {name for _, name in imported}


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "wirekit"])
def test_nothing_public_is_forgotten(package: str) -> None:
    for module in private_modules(package):
        used = set[str]().union(*(imports_from(importer, module) for importer in MODULES))
        forgotten = set(literal_all(module) or []) - used
        assert not forgotten, f"{module}: neither exported nor used by another module"


def test_the_package_itself_exports_the_error_tree() -> None:
    wirekit = importlib.import_module("wirekit")
    errors = importlib.import_module("wirekit._errors")
    assert wirekit.__all__ == errors.__all__
    tree = {name for name, value in vars(errors).items() if is_error(value)}
    assert set(errors.__all__) == tree


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def test_every_package_is_listed_in_pyproject() -> None:
    configuration = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert sorted(configuration["tool"]["setuptools"]["packages"]) == sorted(PACKAGES)
