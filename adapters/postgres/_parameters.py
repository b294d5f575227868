"""What describes a connection: keywords, connection string, service, environment and defaults.

Source: asyncpg's ``connect``, and libpq's connection parameters (PostgreSQL documentation §34.1.2).
"""

from __future__ import annotations

import getpass
import inspect
import math
import os
import ssl as stdlib_ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType, MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

from ._authentication import METHODS, ChannelBinding
from ._dsn import make_layer
from ._hosts import (
    Attempt,
    HostSpec,
    LoadBalanceHosts,
    SessionAttribute,
    attempt_order,
    parse_host,
    parse_hosts,
)
from ._layers import Layers, collect_layers
from ._passfile import default_passfile, find_password
from ._tls import SSLMode, TLSPlan, demands_tls, make_tls_plan, one_of
from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from ._authentication import PasswordSource

__all__ = ["ConnectParameters", "connect_parameters"]

_ProtocolVersion = Literal["3.0", "3.2", "latest"]
_VERSIONS = {"3.0": (3, 0), "3.2": (3, 2), "latest": (3, 2)}

_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class ConnectParameters:
    """Where to connect to, as whom, and how; it holds for any number of connections.

    Attributes:
        user: the database role.
        database: the database.
        password: the password, or a callable or coroutine function that is asked for it anew for
            each connection; None where only the password file may know. Not shown.
        passfile: the password file that is looked into if there is no password.
        server_settings: what goes into StartupMessage besides user and database. Not shown.
        attempts: the servers to try, as given; see `order`.
        tls: what to do about TLS with each.
        target_session_attrs: what the server has to be.
        load_balance_hosts: whether the servers are tried as given (``disable``) or in random order.
        timeout: seconds for all attempts together; None for no limit.
        connect_timeout: seconds for each attempt; None for no limit of its own.
        channel_binding: whether SCRAM is bound to the TLS connection.
        require_auth: the methods that the server may ask for; None for any.
        min_protocol_version: the oldest protocol version that the server may choose.
        max_protocol_version: the one to ask for. As in libpq 3.0, if nothing else is said, for the
            sake of servers and poolers that cannot negotiate.
    """

    user: str
    database: str
    password: PasswordSource = field(default=None, repr=False)
    passfile: Path | None = None
    server_settings: Mapping[str, str] = field(repr=False)
    attempts: tuple[Attempt, ...]
    tls: TLSPlan
    target_session_attrs: SessionAttribute = SessionAttribute.any
    load_balance_hosts: LoadBalanceHosts = "disable"
    timeout: float | None = _TIMEOUT
    connect_timeout: float | None = None
    channel_binding: ChannelBinding = "prefer"
    require_auth: frozenset[str] | None = None
    min_protocol_version: tuple[int, int] = (3, 0)
    max_protocol_version: tuple[int, int] = (3, 0)

    def order(self) -> list[Attempt]:
        """Return the servers in the order in which one connection is to try them."""
        return attempt_order(self.attempts, self.load_balance_hosts)

    def password_for(self, attempt: Attempt) -> PasswordSource:
        """Return where the password for a server comes from.

        The password file is read when the source is asked, and no server gets another's password.
        """
        passfile = self.passfile
        if self.password is not None or passfile is None:
            return self.password
        return lambda: find_password(passfile, attempt, database=self.database, user=self.user)


def connect_parameters(
    dsn: str | None = None,
    *,
    host: str | Sequence[str] | None = None,
    port: int | str | Sequence[int] | None = None,
    user: str | None = None,
    password: PasswordSource = None,
    passfile: str | os.PathLike[str] | None = None,
    service: str | None = None,
    servicefile: str | os.PathLike[str] | None = None,
    database: str | None = None,
    timeout: float | EllipsisType | None = ...,
    ssl: bool | SSLMode | stdlib_ssl.SSLContext | None = None,
    direct_tls: bool | None = None,
    server_settings: Mapping[str, str] | None = None,
    target_session_attrs: SessionAttribute | str | None = None,
    load_balance_hosts: LoadBalanceHosts | None = None,
    channel_binding: ChannelBinding | None = None,
    require_auth: str | None = None,
    krbsrvname: None = None,
    gsslib: None = None,
    environ: Mapping[str, str] | None = None,
) -> ConnectParameters:
    """Return what describes a connection.

    Keywords go before the connection string, that before the service's section, that before the
    environment, and that before the defaults; what is empty counts as not given. A port that is
    written with a host belongs to that host, and only a port from the same source or from one that
    goes before it replaces it. Parameters that libpq does not know become server settings.

    Args:
        dsn: ``postgresql://user:password@host:port/database?name=value``, or ``name=value …``.
        host: name, IP address or directory of a Unix socket, or several, tried in order; by
            default the local server.
        port: one for all hosts, or one for each; by default 5432.
        user: by default the operating system's name for the user.
        password: or a callable, or a coroutine function, asked for each connection.
        passfile: by default ``~/.pgpass``.
        service: a section of the service file.
        servicefile: by default ``~/.pg_service.conf``.
        database: by default as the user.
        timeout: seconds for everything, None for no limit; by default 60, or no limit where
            connect_timeout limits each attempt.
        ssl: one of libpq's sslmodes; False is ``disable``; True is ``verify-full`` with the
            authorities that the system trusts, or the sslrootcert of ``dsn`` or service; or a
            context, used for all connections as it is. By default ``prefer``. Unix sockets have
            no TLS: to demand it for one is an error, except by the environment.
        direct_tls: begin with TLS, without asking (PostgreSQL 17); as sslnegotiation.
        server_settings: settings of the session, as for ``SET``.
        target_session_attrs: see `SessionAttribute`.
        load_balance_hosts: ``disable``, or ``random`` for another order each time.
        channel_binding: ``disable``, ``prefer`` or ``require``.
        require_auth: libpq's list of methods, ``scram-sha-256,none`` or ``!password,!md5``.
        krbsrvname: only None, as there is no Kerberos.
        gsslib: only None.
        environ: in place of ``os.environ``.

    Raises:
        ClientConfigurationError: something in it is wrong; the text never shows a secret.
    """
    keywords = make_layer(
        _texts(
            port=_port(port),
            user=user,
            database=database,
            passfile=None if passfile is None else os.fspath(passfile),
            service=service,
            servicefile=None if servicefile is None else os.fspath(servicefile),
            sslmode=_sslmode(ssl),
            sslnegotiation=_sslnegotiation(direct_tls),
            target_session_attrs=target_session_attrs,
            load_balance_hosts=load_balance_hosts,
            channel_binding=channel_binding,
            require_auth=require_auth,
            krbsrvname=krbsrvname,
            gsslib=gsslib,
        ),
        hosts=_hosts(host),
    )
    layers = collect_layers(keywords, dsn, os.environ if environ is None else environ)
    given = layers.parameters
    user = given.get("user") or _system_user()
    attempts, tls = _attempts_and_tls(layers, ssl)
    oldest = _protocol_version(given, "min_protocol_version", (3, 0))
    newest = _protocol_version(given, "max_protocol_version", oldest)
    if newest < oldest:
        raise ClientConfigurationError("max_protocol_version is below min_protocol_version")
    return ConnectParameters(
        user=user,
        database=given.get("database", user),
        password=_password(password, given),
        passfile=Path(given["passfile"]) if "passfile" in given else default_passfile(),
        server_settings=_server_settings(layers, server_settings),
        attempts=attempts,
        tls=tls,
        target_session_attrs=_session_attribute(given.get("target_session_attrs", "any")),
        load_balance_hosts=cast(
            "LoadBalanceHosts", _word(given, "load_balance_hosts", LoadBalanceHosts) or "disable"
        ),
        timeout=_timeout(timeout, unlimited="connect_timeout" in given),
        connect_timeout=_seconds(given.get("connect_timeout")),
        channel_binding=cast(
            "ChannelBinding", _word(given, "channel_binding", ChannelBinding) or "prefer"
        ),
        require_auth=_require_auth(given.get("require_auth")),
        min_protocol_version=oldest,
        max_protocol_version=newest,
    )


# Keywords ------------------------------------------------------------------------------------


def _texts(**keywords: object) -> dict[str, str]:
    """Return the keywords that are given; callers without types may give anything."""
    texts: dict[str, str] = {}
    for name, value in keywords.items():
        if value is None:
            continue
        if not isinstance(value, str):
            raise ClientConfigurationError(f"{name} must be a str, not {type(value).__name__}")
        texts[name] = str(value)
    return texts


def _hosts(host: str | Sequence[str] | None) -> tuple[HostSpec, ...]:
    if not host:
        return ()
    if isinstance(host, str):
        return parse_hosts(host)
    if not all(isinstance(item, str) for item in host):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise ClientConfigurationError("host must be a str or a sequence of them")
    return tuple(parse_host(item) for item in host)


def _port(port: int | str | Sequence[int] | None) -> str | None:
    if port is None or isinstance(port, str):
        return port
    if isinstance(port, Sequence):
        return ",".join(str(item) for item in port)
    return str(port)


def _sslmode(ssl: object) -> object:
    match ssl:
        case True:
            return "verify-full"
        case False:
            return "disable"
        case stdlib_ssl.SSLContext():
            return None
        case str() | None:
            return ssl
        case _:
            raise ClientConfigurationError(
                f"ssl must be a bool, an sslmode or an ssl.SSLContext, not {type(ssl).__name__}"
            )


def _sslnegotiation(direct_tls: bool | None) -> str | None:
    if direct_tls is None:
        return None
    return "direct" if direct_tls else "postgres"


# The result ----------------------------------------------------------------------------------


def _attempts_and_tls(layers: Layers, ssl: object) -> tuple[tuple[Attempt, ...], TLSPlan]:
    attempts = layers.attempts()
    context = ssl if isinstance(ssl, stdlib_ssl.SSLContext) else None
    parameters = dict(layers.parameters)
    if ssl is True:
        parameters["sslrootcert"] = layers.written.get("sslrootcert", "system")
    if context is not None or demands_tls(layers.explicit):
        encryptable = tuple(attempt for attempt in attempts if not attempt.is_unix)
        if len(encryptable) < len(attempts) and layers.has_hosts:
            raise ClientConfigurationError(
                "TLS is demanded, and there is none over a Unix socket",
                hint="Leave sslmode out for Unix sockets: nobody can listen in on them.",
            )
        attempts = encryptable
    if all(attempt.is_unix for attempt in attempts):
        demands_tls(parameters)  # for its checks
        return attempts, TLSPlan()
    return attempts, make_tls_plan(parameters, context=context)


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:  # which of them, depends on Python's version
        raise ClientConfigurationError(
            "there is no user name to connect with", hint="Give user, or set PGUSER."
        ) from error


def _password(password: PasswordSource, given: Mapping[str, str]) -> PasswordSource:
    if password is None:
        return given.get("password")
    if not isinstance(password, str) and not callable(password):  # pyright: ignore[reportUnnecessaryComparison] - callers without types
        if inspect.iscoroutine(password):
            password.close()
        raise ClientConfigurationError(
            f"password must be a str or a callable, not {type(password).__name__}",
            hint="Pass a coroutine function itself, not its call: it is called for each connection",
        )
    return password


def _server_settings(layers: Layers, own: Mapping[str, str] | None) -> Mapping[str, str]:
    if own is not None and not isinstance(own, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise ClientConfigurationError("server_settings must be a mapping of str to str, or None")
    settings = {**layers.server_settings, **(own or {})}
    for name, value in settings.items():
        if not isinstance(name, str) or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise ClientConfigurationError("server_settings must be a mapping of str to str")
        if "\0" in name or "\0" in value or not name:
            raise ClientConfigurationError("a server setting is empty or holds a null character")
    if settings.keys() & {"user", "database"}:
        raise ClientConfigurationError(
            "user and database are no server settings: give them as such"
        )
    return MappingProxyType(settings)


def _session_attribute(text: str) -> SessionAttribute:
    try:
        return SessionAttribute(text)
    except ValueError:
        raise ClientConfigurationError(
            f"target_session_attrs must be one of: {', '.join(SessionAttribute)}"
        ) from None


def _word(given: Mapping[str, str], name: str, kind: object) -> str | None:
    return one_of(name, given[name], kind) if name in given else None


def _protocol_version(
    given: Mapping[str, str], name: str, default: tuple[int, int]
) -> tuple[int, int]:
    word = _word(given, name, _ProtocolVersion)
    return default if word is None else _VERSIONS[word]


def _require_auth(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    methods = frozenset(word.removeprefix("!") for word in words)
    negations = sum(word.startswith("!") for word in words)
    if not methods <= METHODS:
        raise ClientConfigurationError(
            f"require_auth must be a list of: {', '.join(sorted(METHODS))}"
        )
    if len(methods) != len(words):
        raise ClientConfigurationError("require_auth has a method twice")
    if negations not in (0, len(words)):
        raise ClientConfigurationError(
            "require_auth has methods with and without !, which contradict each other"
        )
    return METHODS - methods if negations else methods


def _seconds(text: str | None) -> float | None:
    """Return libpq's connect_timeout, where zero and less mean no limit."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ClientConfigurationError("connect_timeout must be a number of seconds") from None
    return seconds if seconds > 0 else None


def _timeout(timeout: object, *, unlimited: bool) -> float | None:
    if timeout is ...:
        return None if unlimited else _TIMEOUT
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise ClientConfigurationError("timeout must be a number that is not negative, or None")
    return float(timeout)
