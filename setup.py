"""Build hook: compile the codecs with Cython where that is possible.

``WIREKIT_SKIP_CYTHON=1`` builds pure Python; ``WIREKIT_REQUIRE_CYTHON=1`` fails if anything does
not compile; otherwise what does not compile stays Python.
"""

import os
import platform

from setuptools import Extension, setup

# Ordinary Python that also compiles; tests/test_build.py compares the list with the .pxd files.
MODULES = (
    "wirekit.protocols.mqtt._aliases",
    "wirekit.protocols.mqtt._limits",
    "wirekit.protocols.mqtt._packets",
    "wirekit.protocols.mqtt._properties",
    "wirekit.protocols.mqtt._reader",
    "wirekit.protocols.mqtt._received",
    "wirekit.protocols.mqtt._sender",
    "wirekit.protocols.mqtt._topics",
    "wirekit.protocols.mqtt._writer",
    "wirekit.protocols.mqtt.codec",
    "wirekit.protocols.resp",
    "wirekit.protocols.postgres._arrays",
    "wirekit.protocols.postgres._codecs",
    "wirekit.protocols.postgres._columns",
    "wirekit.protocols.postgres._composites",
    "wirekit.protocols.postgres._copy",
    "wirekit.protocols.postgres._faults",
    "wirekit.protocols.postgres._numeric",
    "wirekit.protocols.postgres._query",
    "wirekit.protocols.postgres._ranges",
    "wirekit.protocols.postgres._record",
    "wirekit.protocols.postgres._requests",
    "wirekit.protocols.postgres._rows",
    "wirekit.protocols.postgres._scalars",
    "wirekit.protocols.postgres._temporal",
    "wirekit.protocols.postgres.codec",
)

skip = bool(os.environ.get("WIREKIT_SKIP_CYTHON"))
require = bool(os.environ.get("WIREKIT_REQUIRE_CYTHON"))
if skip and require:
    raise RuntimeError("WIREKIT_SKIP_CYTHON and WIREKIT_REQUIRE_CYTHON are both set: choose one")
if require and platform.python_implementation() != "CPython":
    raise RuntimeError("WIREKIT_REQUIRE_CYTHON is set, but only CPython can load compiled codecs")

ext_modules = []
if not skip and platform.python_implementation() == "CPython":
    try:
        from Cython.Build import cythonize
    except ImportError:
        if require:
            raise
    else:
        ext_modules = cythonize(
            [Extension(name, [f"src/{name.replace('.', '/')}.py"]) for name in MODULES],
            build_dir="build/cython",
            compiler_directives={"language_level": "3"},
        )
        for extension in ext_modules:
            # cythonize() drops Extension.optional, so it is set here.
            extension.optional = not require

setup(ext_modules=ext_modules, options={"build_ext": {"parallel": os.cpu_count()}})
