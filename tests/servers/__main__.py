"""Find or install every program, and say which it is."""

from __future__ import annotations

from ._programs import PROGRAMS, find_library, find_program

for name in PROGRAMS:
    program = find_program(name)
    print(f"{program.path.name} {program.version} ({program.path})", flush=True)
print(find_library("libnss_wrapper.so", "libnss-wrapper"))
