"""What all tests share: which codecs they run on, which event loops, and real servers."""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from . import servers
from .project import PROJECT, codec_modules

if TYPE_CHECKING:
    from .servers import CertificateAuthority, MailServer, RunningServer

# A slow machine is no fault of the code under test.
hypothesis.settings.register_profile("wirekit", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("wirekit")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wirekit")
    group.addoption(
        "--codecs",
        choices=("any", "pure", "compiled"),
        default="any",
        help="run on what is installed, on the .py files, or on the Cython modules (default: any)",
    )
    group.addoption(
        "--no-skips", action="store_true", help="count every skipped test or module as failed"
    )


def pytest_configure(config: pytest.Config) -> None:
    codecs = config.getoption("codecs")
    if codecs == "pure":
        _use_sources()
    elif codecs == "compiled":
        _demand_compiled()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return more than there are cores, as many a test waits for a server."""
    ours = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(ours(0)) if ours else os.cpu_count() or 1
    return cores + cores // 2


def pytest_report_header(config: pytest.Config) -> str:
    forms = [f"{name} {_form(name)}" for name in codec_modules()]
    return f"codecs: {config.getoption('codecs')} ({', '.join(forms)})"


# What takes longest on its own begins first, or a process may be left alone with it at the end.
FIRST = {"test_build.py"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in FIRST)


def pytest_collection_finish() -> None:
    # What has been collected stays, and is a lot to look through in every collection of garbage.
    gc.collect()
    gc.freeze()


# Codecs --------------------------------------------------------------------------------------


class PureFinder(MetaPathFinder):
    """Finds the codec modules' .py files although compiled ones lie beside them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in codec_modules():
            return None
        for entry in path or ():
            spec = FileFinder(entry, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(fullname)
            if spec is not None:
                return spec
        return None


def _use_sources() -> None:
    loaded = sorted(name for name in codec_modules() if name in sys.modules)
    if loaded:
        raise pytest.UsageError(f"--codecs=pure comes too late: {loaded} are imported already")
    sys.meta_path.insert(0, PureFinder())


def _demand_compiled() -> None:
    for name in codec_modules():
        module_file = Path(importlib.import_module(name).__file__ or "")
        if module_file.suffix == ".py":
            raise pytest.UsageError(f"--codecs=compiled: {name} is not compiled (try `make test`)")
        # Beside the sources, a module that was compiled before they changed would test old code.
        if module_file.resolve().is_relative_to(PROJECT):
            sources = PROJECT.joinpath("src", *name.split("."))
            for source in (sources.with_suffix(".py"), sources.with_suffix(".pxd")):
                if source.exists() and source.stat().st_mtime > module_file.stat().st_mtime:
                    raise pytest.UsageError(
                        f"--codecs=compiled: {module_file.name} is older than {source.name} "
                        "(try `make test`)"
                    )


def _form(name: str) -> str:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return "missing"
    return "pure" if spec.origin.endswith(".py") else "compiled"


# Skips and failures --------------------------------------------------------------------------

LOG_SIZES = pytest.StashKey[dict["RunningServer", int]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[LOG_SIZES] = {
        server: server.log_path.stat().st_size for server in servers.running_servers
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips is set: {call.excinfo}"
    if report.failed:
        for server in servers.running_servers:
            if log := server.log(since=item.stash[LOG_SIZES].get(server, 0)):
                report.sections.append((f"log of {server.name}", log))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and collector.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips is set: {report.longrepr}"
    return report


# Event loops ---------------------------------------------------------------------------------


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run async tests on asyncio's own loop; those marked ``both_loops`` on uvloop as well."""
    factories = {"asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("both_loops") and importlib.util.find_spec("uvloop"):
        factories["uvloop"] = _new_uvloop
    return factories


def _new_uvloop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    loop.set_exception_handler(_stop_after_timeout)
    return loop


def _stop_after_timeout(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio lets pass what a signal handler raises, such as pytest-timeout's; uvloop brings it
    # here and would go on.
    loop.default_exception_handler(context)
    if isinstance(context.get("exception"), pytest.fail.Exception):
        loop.stop()


# Servers -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate_authority() -> CertificateAuthority:
    """An authority, with a certificate for localhost and 127.0.0.1, and one for clients."""
    return servers.CertificateAuthority()


@pytest.fixture(scope="session")
def redis_server(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """A Redis server for the whole run, with TLS on its ``tls_port``."""
    with servers.redis_server(tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RunningServer]:
    """A Valkey server for the whole run, without TLS."""
    with servers.valkey_server() as server:
        yield server


@pytest.fixture(scope="session", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> RunningServer:
    """Redis and Valkey in turn."""
    running: RunningServer = request.getfixturevalue(f"{request.param}_server")
    return running


@pytest.fixture(scope="session")
def postgres15(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """A PostgreSQL 15 server for the whole run, with TLS."""
    with servers.postgres_server(major=15, tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[RunningServer]:
    """A PostgreSQL 18 server for the whole run, without TLS."""
    with servers.postgres_server(major=18) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18_tls(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """A PostgreSQL 18 server for the whole run, with TLS, and OAuth for ``oauth_user``."""
    with servers.postgres_server(major=18, tls=certificate_authority, oauth=True) as server:
        yield server


@pytest.fixture(scope="session", params=["postgres15", "postgres18"])
def postgres(request: pytest.FixtureRequest) -> RunningServer:
    """PostgreSQL 15 and 18 in turn."""
    running: RunningServer = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def mosquitto(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """A Mosquitto broker for the whole run: TCP and WebSocket, plain and TLS.

    Clients without a name may come in, and ``alice`` with the password ``"wonder land"``.
    """
    with servers.mosquitto_server(
        users={"alice": "wonder land"}, tls=certificate_authority
    ) as server:
        yield server


@pytest.fixture(scope="session")
def amqtt(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """An amqtt broker for the whole run: MQTT 3.1.1 on TCP and WebSocket, plain and TLS."""
    with servers.amqtt_server(tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session", params=["mosquitto", "amqtt"])
def mqtt_broker(request: pytest.FixtureRequest) -> RunningServer:
    """Mosquitto and amqtt in turn; both speak MQTT 3.1.1."""
    running: RunningServer = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def dovecot() -> Iterator[MailServer]:
    """A Dovecot for the whole run: LMTP, on its ``port`` and its Unix socket."""
    with servers.dovecot_server() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(
    dovecot: MailServer, certificate_authority: CertificateAuthority
) -> Iterator[MailServer]:
    """A Postfix for the whole run: in clear, by STARTTLS and by TLS, with Dovecot's logins."""
    with servers.postfix_server(dovecot=dovecot, tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session")
def exim(certificate_authority: CertificateAuthority) -> Iterator[MailServer]:
    """An Exim for the whole run: in clear, by STARTTLS and by TLS."""
    with servers.exim_server(tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session")
def aiosmtpd(certificate_authority: CertificateAuthority) -> Iterator[MailServer]:
    """An aiosmtpd for the whole run: in clear, by STARTTLS and by TLS."""
    with servers.aiosmtpd_server(tls=certificate_authority) as server:
        yield server


@pytest.fixture(scope="session", params=["postfix", "exim", "aiosmtpd"])
def mail_server(request: pytest.FixtureRequest) -> MailServer:
    """Postfix, Exim and aiosmtpd in turn; the first two offer PIPELINING and CHUNKING."""
    running: MailServer = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def smtp_sink() -> Iterator[RunningServer]:
    """Postfix's smtp-sink for the whole run: takes all mail and keeps none."""
    with servers.smtp_sink_server() as server:
        yield server


@pytest.fixture(scope="session")
def sshd() -> Iterator[RunningServer]:
    """An OpenSSH server for the whole run, with every algorithm that it has.

    ``tests/servers/_sshd.py`` says which keys are in its directory.
    """
    everything = {
        "KexAlgorithms": "+diffie-hellman-group14-sha256,diffie-hellman-group18-sha512",
        "HostKeyAlgorithms": "+ssh-rsa",
    }
    with servers.sshd_server(config=everything, certified=True) as server:
        yield server


@pytest.fixture(scope="session")
def dropbear() -> Iterator[RunningServer]:
    """A Dropbear server for the whole run."""
    with servers.dropbear_server() as server:
        yield server
