"""The connection service file, ``~/.pg_service.conf``.

Source: PostgreSQL documentation §34.17, "The Connection Service File".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ._home import user_file
from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_service"]


def read_service(
    service: str, servicefile: str | None, *, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return what the service's section sets, from the user's file, else from the system's.

    Args:
        service: name of the section.
        servicefile: the user's file; by default ``~/.pg_service.conf``.
        environ: PGSYSCONFDIR is where the system's ``pg_service.conf`` is.

    Raises:
        ClientConfigurationError: no file has the service, the file given cannot be read, or one
            is not well formed.
    """
    files: list[Path] = []
    if servicefile:
        files.append(Path(servicefile))
    elif (own := user_file(".pg_service.conf")) is not None:
        files.append(own)
    if folder := environ.get("PGSYSCONFDIR"):
        files.append(Path(folder, "pg_service.conf"))
    for file in files:
        found = _parse_section(file, service, must_exist=str(file) == servicefile)
        if found is not None:
            return found
    places = ", ".join(str(file) for file in files) or "no file, as there is no home directory"
    raise ClientConfigurationError(
        f"the definition of service {service!r} is not found", detail=f"Looked into {places}."
    )


def _parse_section(file: Path, service: str, *, must_exist: bool) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    inside = False
    for number, line in enumerate(_read(file, must_exist=must_exist).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break  # as in libpq, the first section of a name counts
            inside = line == f"[{service}]"
            found = {} if inside else None
        elif inside and found is not None:
            name, value = _setting(line, file, number)
            found.setdefault(name, value)
    return found


def _setting(line: str, file: Path, number: int) -> tuple[str, str]:
    """Split ``name=value``; the line, which may hold a password, never stands in the error."""
    if line.startswith("ldap"):
        raise ClientConfigurationError(
            f"line {number} of service file {str(file)!r} asks an LDAP server, which is not"
            " supported",
            hint="Write the settings into the file.",
        )
    name, equals, value = line.partition("=")
    name = name.strip()
    if not equals or not name:
        raise ClientConfigurationError(
            f"line {number} of service file {str(file)!r} is not name=value"
        )
    if name in ("service", "servicefile"):
        raise ClientConfigurationError(
            f"line {number} of service file {str(file)!r} names another service: they do not nest"
        )
    return name, value.strip()


def _read(file: Path, *, must_exist: bool) -> str:
    try:
        return file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return ""
        raise ClientConfigurationError(f"the service file {str(file)!r} does not exist") from error
    except OSError as error:
        raise ClientConfigurationError(
            f"the service file {str(file)!r} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        # Without its cause, which has the whole file in it.
        raise ClientConfigurationError(f"the service file {str(file)!r} is not UTF-8") from None
