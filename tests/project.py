"""The project as a tree of files: its modules, those that setup.py compiles, and whether it can.

``python -m tests.project`` exits with 1, and says why, where nothing can be compiled.
"""

from __future__ import annotations

import ast
import functools
import glob
import os
import platform
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import cast

PROJECT = Path(__file__).parent.parent


def source_modules() -> dict[str, Path]:
    """Return every module of wirekit by its dotted name; packages end in ``.__init__``."""
    # Not Path.rglob, which does not follow the links to the three rooms before Python 3.13.
    paths = glob.glob("src/wirekit/**/*.py", root_dir=PROJECT, recursive=True)
    return {
        ".".join(Path(path).with_suffix("").parts[1:]): PROJECT / path for path in sorted(paths)
    }


@functools.cache
def codec_modules() -> tuple[str, ...]:
    """Return setup.py's ``MODULES``, read from its syntax tree because importing it would build."""
    for statement in ast.parse((PROJECT / "setup.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "MODULES":
            return cast("tuple[str, ...]", ast.literal_eval(statement.value))
    raise LookupError("setup.py assigns no MODULES")


def why_nothing_compiles() -> str | None:
    """Return what is missing for compiling an extension module, or None if nothing is."""
    if platform.python_implementation() != "CPython":
        return "only CPython loads the compiled codecs"
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(shlex.split(compiler)[0]) is None:
        return f"there is no C compiler ({compiler})"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        return f"there are no Python headers ({header})"
    return None


if __name__ == "__main__":
    reason = why_nothing_compiles()
    if reason is not None:
        print(reason)
    sys.exit(reason is not None)
