"""The tests mirror the three rooms file for file: ``sockets/_tls.py``, ``sockets/test_tls.py``."""

from __future__ import annotations

from pathlib import Path

from tests.project import PROJECT, source_modules

ROOMS = ("sockets", "protocols", "adapters")
# Tests of a room that mirror no single file of it.
FREE = {"fuzz", "interop", "test_contract.py", "test_edge_cases.py"}
TESTS = PROJECT / "tests"


def mirrored_tests(*, packages: bool) -> set[Path]:
    """Return the test file of every module in the rooms, or of every package in them."""
    found: set[Path] = set()
    for module in source_modules():
        folders = module.split(".")[1:-1]
        stem = module.rpartition(".")[2]
        if not folders or folders[0] not in ROOMS or packages != (stem == "__init__"):
            continue
        if packages:
            stem = folders.pop()
        found.add(TESTS.joinpath(*folders, f"test_{stem.strip('_')}.py"))
    return found


def test_every_module_has_its_test_file() -> None:
    tests = mirrored_tests(packages=False)
    assert sorted(str(test.relative_to(TESTS)) for test in tests if not test.exists()) == []


def test_every_test_file_has_its_module() -> None:
    subjects = mirrored_tests(packages=False) | mirrored_tests(packages=True)
    orphans = [
        str(test.relative_to(TESTS))
        for room in ROOMS
        for test in (TESTS / room).rglob("test_*.py")
        if not FREE.intersection(test.relative_to(TESTS).parts)
        # test_resp_properties.py is a second file for what test_resp.py is for.
        if not any(
            test.parent == subject.parent and f"{test.stem}_".startswith(f"{subject.stem}_")
            for subject in subjects
        )
    ]
    assert sorted(orphans) == []
