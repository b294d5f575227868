"""What describes a connection: keywords, connection string, service, environment and defaults.

Source: asyncpg's ``connect`` and libpq's connection parameters and environment variables
(PostgreSQL documentation §34.1.2 and §34.15).
"""

from __future__ import annotations

import getpass
import inspect
import math
import os
import ssl as stdlib_ssl
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType, MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

from ._authentication import METHODS, ChannelBinding
from ._dsn import Layer, make_layer, parse_dsn
from ._hosts import (
    Attempt,
    HostSpec,
    LoadBalanceHosts,
    SessionAttribute,
    attempt_order,
    make_attempts,
    parse_hosts,
    parse_ports,
)
from ._passfile import default_passfile, find_password
from ._service import read_service
from ._tls import SSLMode, TLSPlan, make_tls_plan, one_of
from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from ._authentication import PasswordSource

__all__ = ["ConnectParameters", "ProtocolVersion", "connect_parameters"]

ProtocolVersion = Literal["3.0", "3.2", "latest"]

DEFAULT_TIMEOUT = 60.0

# libpq's variables; PGPORT, PGSERVICE and PGSYSCONFDIR are looked at where they are needed.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "sslkeylogfile": "SSLKEYLOGFILE",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "channel_binding": "PGCHANNELBINDING",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "gssencmode": "PGGSSENCMODE",
    "min_protocol_version": "PGMINPROTOCOLVERSION",
    "max_protocol_version": "PGMAXPROTOCOLVERSION",
    "application_name": "PGAPPNAME",
    "options": "PGOPTIONS",
}
_WITHOUT_VARIABLE = {"port", "sslpassword", "fallback_application_name"}
_SERVER_SETTINGS = {"application_name", "options"}
# They tune the carrier, which is the connector's matter, or have no effect in libpq any more.
_IGNORED = {
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
}
# What wirekit has not, with the values that do not ask for it.
_UNSUPPORTED: dict[str, tuple[str, ...]] = {
    "krbsrvname": (),
    "gsslib": (),
    "gssdelegation": ("0",),
    "gssencmode": ("disable", "prefer"),
    "requirepeer": (),
    "sslsni": ("1",),
    "sslcertmode": ("disable", "allow"),
    "scram_client_key": (),
    "scram_server_key": (),
    "oauth_issuer": (),
    "oauth_client_id": (),
    "oauth_client_secret": (),
    "oauth_scope": (),
}
# All other parameters become server settings, except for what libpq means for itself.
_KNOWN = {*_VARIABLES, *_WITHOUT_VARIABLE, *_IGNORED, *_UNSUPPORTED} - _SERVER_SETTINGS


@dataclass(frozen=True, kw_only=True)
class ConnectParameters:
    """Where to connect to, as whom, and how; it holds for any number of connections.

    Attributes:
        user: the database role.
        database: the database.
        password: the password, or a callable or coroutine function that is asked for it anew for
            each connection; None where only the password file may know. Never shown.
        passfile: the password file that is looked into if there is no password.
        server_settings: what goes into StartupMessage besides user and database. Not shown.
        attempts: the servers to try, as given; see `order`.
        tls: what to do about TLS with each.
        target_session_attrs: what the server has to be.
        load_balance_hosts: whether the servers are tried as given (``disable``) or in random order.
        timeout: seconds for all attempts together; None for no limit.
        connect_timeout: seconds for each attempt; None for no limit of its own.
        channel_binding: whether SCRAM is bound to the TLS connection.
        require_auth: the ways to authenticate that the server may ask for; None for any.
        min_protocol_version: the lowest protocol version that is accepted, if said.
        max_protocol_version: the protocol version to ask for, if said.
    """

    user: str
    database: str
    password: PasswordSource = field(default=None, repr=False)
    passfile: Path | None = None
    server_settings: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    attempts: tuple[Attempt, ...]
    tls: TLSPlan = field(default_factory=TLSPlan)
    target_session_attrs: SessionAttribute = SessionAttribute.any
    load_balance_hosts: LoadBalanceHosts = "disable"
    timeout: float | None = DEFAULT_TIMEOUT
    connect_timeout: float | None = None
    channel_binding: ChannelBinding = "prefer"
    require_auth: frozenset[str] | None = None
    min_protocol_version: ProtocolVersion | None = None
    max_protocol_version: ProtocolVersion | None = None

    def order(self) -> list[Attempt]:
        """Return the servers in the order in which one connection is to try them."""
        return attempt_order(self.attempts, self.load_balance_hosts)

    def password_for(self, attempt: Attempt) -> PasswordSource:
        """Return where the password for a server comes from.

        The password file is read when the source is asked, and each server gets its own line's.
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
    written with a host belongs to that host, and only a port from the same place or one that goes
    before it replaces it. Parameters that libpq does not know become server settings.

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
            no TLS: demanding it for one is an error, except by PGSSLMODE.
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
    environ = os.environ if environ is None else environ
    keywords = _keyword_layer(
        host,
        port,
        user=user,
        database=database,
        passfile=None if passfile is None else os.fspath(passfile),
        service=service,
        servicefile=None if servicefile is None else os.fspath(servicefile),
        sslmode=_sslmode(ssl),
        sslnegotiation=None if direct_tls is None else ("direct" if direct_tls else "postgres"),
        target_session_attrs=target_session_attrs,
        load_balance_hosts=load_balance_hosts,
        channel_binding=channel_binding,
        require_auth=require_auth,
        krbsrvname=krbsrvname,
        gsslib=gsslib,
    )
    layers = _layers(keywords, dsn, environ)
    given = ChainMap(*(layer.parameters for layer in layers))
    _check_supported(given)
    attempts, tls = _attempts_and_tls(layers, ssl)
    login = _login(given, password)
    connect_timeout = _connect_timeout(given.get("connect_timeout"))
    least, most = (_protocol_version(f"{end}_protocol_version", given) for end in ("min", "max"))
    if (least or "3.0") > (most or "latest"):  # "3.0" < "3.2" < "latest"
        raise ClientConfigurationError("max_protocol_version is below min_protocol_version")
    return ConnectParameters(
        user=login.user,
    )
