"""Replay the inputs on codecs compiled with the address sanitizer: ``python -m tests.fuzz.asan``.

Options are those of ``tests.fuzz.replay``. Needs gcc with its libasan, and Cython.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.project import PROJECT, codec_modules

FLAGS = "-fsanitize=address -fno-omit-frame-pointer -O1 -g"


def main() -> int:
    """Build into a temporary folder and replay there; return the replay's exit status."""
    with tempfile.TemporaryDirectory(prefix="wirekit-asan-") as folder:
        # A copy, because cythonize() and build_ext would take what other builds left here.
        source = Path(folder)
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            if (PROJECT / name).exists():
                shutil.copy(PROJECT / name, source)
        ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
        shutil.copytree(PROJECT / "src", source / "src", ignore=ignored)
        build(source)
        return replay(source / "src", sys.argv[1:])


def build(source: Path) -> None:
    """Compile the codecs beside their sources, and make sure that the sanitizer is in them."""
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=source,
        env={
            **os.environ,
            "CC": "gcc",
            "LDSHARED": "gcc -shared",
            "CFLAGS": FLAGS,
            "LDFLAGS": FLAGS,
            "WIREKIT_REQUIRE_CYTHON": "1",
            "WIREKIT_SKIP_CYTHON": "",
        },
        check=True,
    )
    for module in codec_modules():
        path = source.joinpath("src", *module.split("."))
        (library,) = path.parent.glob(f"{path.name}.*.so")
        if b"__asan_init" not in library.read_bytes():
            raise RuntimeError(f"{library.name} was not compiled with the address sanitizer")


def replay(packages: Path, options: list[str]) -> int:
    """Run ``tests.fuzz.replay`` on the packages in a folder, with the sanitizer's library."""
    libasan = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    command = [sys.executable, "-m", "tests.fuzz.replay", *options]
    environment = {
        **os.environ,
        "LD_PRELOAD": libasan,
        # Python frees little at its end; its own allocator would hide faults from the sanitizer.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(packages),
    }
    result = subprocess.run(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    )
    print(result.stdout, end="")
    if result.returncode == 0 and str(packages) not in result.stdout:
        raise RuntimeError("the replay ran on other codecs than those built for it")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
