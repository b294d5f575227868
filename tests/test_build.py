"""What is built: an sdist of real files, and from it a pure wheel and a compiled one."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests.project import PROJECT, codec_modules, why_nothing_compiles

# Everything is built once for the module, within the time of whichever test comes first.
pytestmark = pytest.mark.timeout(240)

MODULES = codec_modules()
CAN_COMPILE = why_nothing_compiles() is None
NO_COMPILER = {"CC": shutil.which("false") or "/bin/false"}
SKIP = {"WIREKIT_SKIP_CYTHON": "1"}
REQUIRE = {"WIREKIT_REQUIRE_CYTHON": "1"}
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]

NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv",
    "build",
    "dist",
    "results",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
)


def run_build(
    source: Path, kind: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m build`` beside the source, into ``source/dist``."""
    inherited = {key: value for key, value in os.environ.items() if "CYTHON" not in key}
    inherited["CFLAGS"] = "-O0 -g0"  # what comes out is looked at, not run for long
    return subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", str(source)],
        cwd=source.parent,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@dataclass(frozen=True)
class Builder:
    """Builds wheels, each from an sdist that is unpacked anew."""

    directory: Path
    sdist: Path

    def unpack(self, name: str) -> Path:
        """Unpack the sdist; what Cython has made of the same files before is there already."""
        target = self.directory / name
        with tarfile.open(self.sdist) as archive:
            # Python 3.11.4 brought filters; from 3.12 on it warns without one.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(target)
        (source,) = target.iterdir()
        if self._translated.exists():
            shutil.copytree(self._translated, source / "build" / "cython")
        return source

    @property
    def _translated(self) -> Path:
        return self.directory / "translated"

    def wheel(self, name: str, environment: dict[str, str]) -> Path:
        source = self.unpack(name)
        result = run_build(source, "wheel", environment)
        assert result.returncode == 0, result.stdout
        translated = source / "build" / "cython"
        if translated.exists() and not self._translated.exists():
            shutil.copytree(translated, self._translated)
        (wheel,) = (source / "dist").iterdir()
        return wheel


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A builder whose sdist was made from a copy of the checkout, with its links."""
    directory = tmp_path_factory.mktemp("build")
    source = directory / "checkout"

    def ignore(folder: str, names: list[str]) -> set[str]:
        environments = {name for name in names if Path(folder, name, "pyvenv.cfg").exists()}
        return {*NOT_COPIED(folder, names), *environments}

    shutil.copytree(PROJECT, source, symlinks=True, ignore=ignore)
    # What an earlier build left beside the sources must not get into the sdist.
    for name in MODULES:
        module = source.joinpath("src", *name.split("."))
        module.with_suffix(".c").write_text("left over")
        module.with_suffix(".cpython-399-left-over.so").write_text("left over")
    result = run_build(source, "sdist", SKIP)  # the same files, and quicker
    assert result.returncode == 0, result.stdout
    (sdist,) = (source / "dist").iterdir()
    return Builder(directory, sdist)


@pytest.fixture(scope="module")
def pure_wheel(builder: Builder) -> Path:
    return builder.wheel("pure", SKIP)


@pytest.fixture(scope="module")
def fallback_wheel(builder: Builder) -> Path:
    return builder.wheel("fallback", NO_COMPILER)


@pytest.fixture(scope="module")
def best_wheel(builder: Builder) -> Path:
    """The compiled wheel; where nothing compiles, what a build without options gives."""
    return builder.wheel("best", REQUIRE if CAN_COMPILE else {})


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def module_path(name: str, suffix: str) -> str:
    return name.replace(".", "/") + suffix


def sources_beside(path: Path) -> set[str]:
    """Return the files of the package, as seen through the links to the rooms."""
    return {
        str(Path(folder, name).relative_to(path))
        for folder, _, names in os.walk(path / "wirekit", followlinks=True)
        for name in names
        if Path(name).suffix in {".py", ".pxd", ".typed"}
    }


def ask_installed(wheel: Path, directory: Path, question: str) -> list[Any]:
    """Install the wheel into the directory, and return what the question is there, as JSON."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    install = [*pip, "install", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(directory), str(wheel)], check=True)
    script = (
        f"import json, wirekit\nfrom wirekit.protocols import resp\nprint(json.dumps({question}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    answer: list[Any] = json.loads(result.stdout)
    return answer


# The sdist -----------------------------------------------------------------------------------


def test_sdist_holds_real_files_and_all_of_them(builder: Builder) -> None:
    with tarfile.open(builder.sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() or member.isdir() for member in members)
    files = {member.name.partition("/")[2] for member in members if member.isfile()}
    assert {f"src/{path}" for path in sources_beside(PROJECT / "src")} <= files
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "Makefile"} <= files
    assert {"tests/conftest.py", "tests/test_build.py", "benchmarks/__main__.py"} <= files
    assert not [path for path in files if path.endswith((".so", ".c", ".pyc"))]


# The wheels ----------------------------------------------------------------------------------


def test_pure_wheel(pure_wheel: Path) -> None:
    assert pure_wheel.name == f"wirekit-{VERSION}-py3-none-any.whl"
    files = {path for path in names_in(pure_wheel) if ".dist-info/" not in path}
    assert files == sources_beside(PROJECT / "src")


def test_best_wheel_has_every_module_compiled_once_and_its_sources(best_wheel: Path) -> None:
    files = names_in(best_wheel)
    libraries = [path for path in files if path.endswith((".so", ".pyd"))]
    compiled = sorted(path.partition(".")[0].replace("/", ".") for path in libraries)
    assert compiled == (sorted(MODULES) if CAN_COMPILE else [])
    assert sources_beside(PROJECT / "src") <= set(files)
    assert not [path for path in files if path.endswith(".c")]


def test_wheel_lists_nothing_outside_the_package(best_wheel: Path) -> None:
    with zipfile.ZipFile(best_wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        paths = [row[0] for row in csv.reader(archive.read(record).decode().splitlines())]
    tops = {path.partition("/")[0] for path in paths}
    assert tops == {"wirekit", f"wirekit-{VERSION}.dist-info"}


def test_installed_pure_wheel_runs(pure_wheel: Path, tmp_path: Path) -> None:
    assert_speaks(pure_wheel, tmp_path, compiled=False)


def test_installed_best_wheel_runs(best_wheel: Path, tmp_path: Path) -> None:
    assert_speaks(best_wheel, tmp_path, compiled=CAN_COMPILE)


def test_build_without_a_working_compiler_falls_back(fallback_wheel: Path, tmp_path: Path) -> None:
    assert not [path for path in names_in(fallback_wheel) if path.endswith(".so")]
    assert_speaks(fallback_wheel, tmp_path, compiled=False)


def assert_speaks(wheel: Path, directory: Path, *, compiled: bool) -> None:
    """Assert that the installed package decodes a reply, and in which form its codec is."""
    question = r"[resp.__file__, wirekit.__version__, len(resp.Codec().receive_data(b'+OK\r\n'))]"
    file, version, events = ask_installed(wheel, directory, question)
    assert Path(file).is_relative_to(directory)
    assert Path(file).suffix == (".so" if compiled else ".py")
    assert version == VERSION == wirekit.__version__
    assert events == 1


# The switches --------------------------------------------------------------------------------


def test_skip_and_require_together_are_an_error(builder: Builder) -> None:
    result = run_build(builder.unpack("both"), "wheel", {**SKIP, **REQUIRE})
    assert result.returncode != 0
    assert "both set" in result.stdout


def test_require_without_a_working_compiler_fails(builder: Builder) -> None:
    source = builder.unpack("broken")
    result = run_build(source, "wheel", {**REQUIRE, **NO_COMPILER})
    assert result.returncode != 0
    assert re.search(rf"error: command .*{NO_COMPILER['CC']}", result.stdout, re.IGNORECASE)
    assert not list(source.glob("dist/*"))


# The .pxd files ------------------------------------------------------------------------------


def test_every_compiled_module_has_its_pxd_and_no_other_has() -> None:
    declared = {path for path in sources_beside(PROJECT / "src") if path.endswith(".pxd")}
    # These stand in for the .py files in the others, inline, and are no modules themselves.
    inline = {
        module_path("wirekit.protocols._native", ".pxd"),
        module_path("wirekit.protocols.mqtt._primitives", ".pxd"),
    }
    assert declared == {module_path(name, ".pxd") for name in MODULES} | inline


def private_attributes(pxd: str) -> dict[str, list[str]]:
    """Return each extension type that a .pxd declares, with its attributes hidden from Python."""
    types: dict[str, list[str]] = {}
    attributes: list[str] = []
    for line in pxd.splitlines():
        if declared := re.match(r"cdef class (\w+)", line):
            attributes = types.setdefault(declared[1], [])
        elif attribute := re.match(
            r"    cdef (?!public|readonly)[^()]*?(\w+)$", line.split("#")[0].rstrip()
        ):
            attributes.append(attribute[1])
    return types


def test_the_pxd_took_effect(pure_wheel: Path, best_wheel: Path, tmp_path: Path) -> None:
    # A .pxd that is not found is not reported: the module compiles all the same, untyped.
    pxd = (PROJECT / "src" / module_path("wirekit.protocols.resp", ".pxd")).read_text()
    hidden = private_attributes(pxd)["Codec"]
    assert hidden
    question = f"[name for name in {hidden} if hasattr(resp.Codec(), name)]"
    seen = ask_installed(pure_wheel, tmp_path / "pure", question)
    assert seen
    assert ask_installed(best_wheel, tmp_path / "best", question) == ([] if CAN_COMPILE else seen)
