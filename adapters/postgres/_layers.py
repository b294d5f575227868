"""Where connection parameters come from, and which of them wirekit knows.

Source: libpq's connection parameters and environment variables (PostgreSQL documentation §34.1.2
and §34.15).
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, NamedTuple

from ._dsn import Layer, make_layer, parse_dsn
from ._hosts import Attempt, make_attempts, parse_ports
from ._service import read_service
from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Layers", "collect_layers"]

# libpq's; PGPORT and PGSYSCONFDIR have places of their own below.
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
# They tune the carrier, which is the connector's matter, or have no effect in libpq any more.
_IGNORED = {
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("tcp_user_timeout", "sslcompression"),
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
_FOR_THE_SERVER = {"application_name", "options"}
_FOR_THE_CLIENT = {*_VARIABLES, *_WITHOUT_VARIABLE, *_IGNORED, *_UNSUPPORTED} - _FOR_THE_SERVER


class Layers(NamedTuple):
    """All sources, the one that goes before the others first."""

    keywords: Layer
    dsn: Layer
    service: Layer
    environment: Layer
    port_variable: Layer  # PGPORT: behind a port that is written with a host, even in PGHOST

    @property
    def parameters(self) -> Mapping[str, str]:
        """What holds in the end."""
        return ChainMap(*(layer.parameters for layer in self))

    @property
    def explicit(self) -> Mapping[str, str]:
        """What is said for this connection, by the caller or the service, with no environment."""
        return ChainMap(*(layer.parameters for layer in self[:3]))

    @property
    def written(self) -> Mapping[str, str]:
        """What the connection string and the service say."""
        return ChainMap(self.dsn.parameters, self.service.parameters)

    @property
    def server_settings(self) -> dict[str, str]:
        """The parameters that go to the server as its settings."""
        given = self.parameters
        settings = {name: text for name, text in given.items() if name not in _FOR_THE_CLIENT}
        if "fallback_application_name" in given:
            settings.setdefault("application_name", given["fallback_application_name"])
        return settings

    @property
    def has_hosts(self) -> bool:
        """Whether any source names a server."""
        return any(layer.hosts or "hostaddr" in layer.parameters for layer in self)

    def attempts(self) -> tuple[Attempt, ...]:
        """Return the servers that the first source to name any names.

        A port or address of a source behind that one was not meant for its hosts: it holds for
        those alone that have none.

        Raises:
            ClientConfigurationError: they are not well formed, or do not match each other.
        """
        naming = [bool(layer.hosts or "hostaddr" in layer.parameters) for layer in self]
        count = naming.index(True) + 1 if True in naming else len(self)
        above, below = self[:count], self[count:]
        hostaddr = _first(above, "hostaddr")
        return make_attempts(
            above[-1].hosts,
            ports=parse_ports(_first(above, "port")),
            default_ports=parse_ports(_first(below, "port")),
            hostaddrs=[item.strip() for item in hostaddr.split(",")] if hostaddr else (),
        )


def _first(layers: Iterable[Layer], name: str) -> str:
    return next((layer.parameters[name] for layer in layers if name in layer.parameters), "")


def collect_layers(keywords: Layer, dsn: str | None, environ: Mapping[str, str]) -> Layers:
    """Read the connection string, the service's section and the environment.

    Raises:
        ClientConfigurationError: one of them is not well formed, the service is unknown, or they
            ask for what wirekit has not.
    """
    from_dsn = parse_dsn(dsn) if dsn else make_layer({})
    environment = make_layer(
        {name: environ.get(variable, "") for name, variable in _VARIABLES.items()}
    )
    port_variable = make_layer({"port": environ.get("PGPORT", "")})
    ahead = ChainMap(keywords.parameters, from_dsn.parameters, environment.parameters)
    service = make_layer({})
    if name := ahead.get("service"):
        service = make_layer(read_service(name, ahead.get("servicefile"), environ=environ))
    layers = Layers(keywords, from_dsn, service, environment, port_variable)
    _check_supported(layers.parameters)
    return layers


def _check_supported(parameters: Mapping[str, str]) -> None:
    for name, harmless in _UNSUPPORTED.items():
        if name in parameters and parameters[name] not in harmless:
            hint = f"Leave it out, or write {' or '.join(harmless)}." if harmless else None
            raise ClientConfigurationError(f"{name} is not supported", hint=hint or "Leave it out.")
