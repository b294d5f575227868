"""What a connection is told when it opens."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

import asyncssh

from wirekit._errors import AddressError, Error, SocketClosed

from ._bridge import open_connection
from ._errors import connection_error
from ._host_keys import HostKeyVerification, host_and_port

if TYPE_CHECKING:
    from wirekit.sockets import Socket

    from ._bridge import Connection

__all__ = ["ClientKeys", "Password", "SessionOptions", "Settings", "make_connection"]

Names: TypeAlias = str | Sequence[str]
Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Password: TypeAlias = "str | Callable[[], str | Awaitable[str | None] | None] | None"
ClientKeys: TypeAlias = (
    str | bytes | os.PathLike[str] | asyncssh.SSHKey | asyncssh.SSHKeyPair | Sequence[object] | None
)


class SessionOptions(TypedDict, total=False):
    """Options that mean what they mean in ``asyncssh.SSHClientConnectionOptions``."""

    agent_forwarding: bool | str
    agent_identities: object
    agent_path: str | None
    client_certs: Paths
    client_factory: Callable[[], asyncssh.SSHClient]
    client_host: str
    client_host_certs: Paths
    client_host_keys: ClientKeys
    client_username: str
    client_version: str
    command: str | None
    compression_algs: Names
    disable_trivial_auth: bool
    encoding: str | None
    encryption_algs: Names
    env: Mapping[str, str] | Sequence[str]
    errors: str
    host_based_auth: bool
    ignore_encrypted: bool
    kbdint_auth: bool
    kex_algs: Names
    mac_algs: Names
    max_pktsize: int
    password_auth: bool
    pkcs11_pin: str | None
    pkcs11_provider: str | None
    preferred_auth: Names
    public_key_auth: bool
    rekey_bytes: int | str
    rekey_seconds: float | str
    request_pty: bool | str
    send_env: Sequence[str]
    server_host_key_algs: Names
    signature_algs: Names
    subsystem: str | None
    tcp_keepalive: bool
    term_modes: Mapping[int, int]
    term_size: tuple[int, int] | tuple[int, int, int, int]
    term_type: str
    utf8_decode_errors: str
    window: int
    x11_auth_path: str
    x11_display: str
    x11_forwarding: bool | str
    x11_single_connection: bool


# What would open a connection, or trust a host, behind the back of the caller.
_ELSEWHERE = {
    "connect_timeout": "give it to the connector",
    "family": "the socket is given; say it to the connector",
    "flags": "the socket is given; say it to the connector",
    "local_addr": "the socket is given; say it to the connector",
    "sock": "pass the socket itself, as the first argument",
    "tunnel": "pass connector=other_ssh.connector()",
    "proxy_command": "pass a connector",
    "host_key_alias": "say host=",
    "options": "pass the options themselves",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a connection is told when it opens; see `SSH`."""

    username: str | None
    password: Password = field(repr=False)
    client_keys: ClientKeys = field(repr=False)
    passphrase: object = field(repr=False)
    host: str | None
    port: int | None
    verification: HostKeyVerification
    config: Paths | tuple[()] | None
    keepalive_interval: float
    keepalive_count_max: int
    login_timeout: float
    timeout: float | None
    options: SessionOptions = field(repr=False)

    def __post_init__(self) -> None:
        for name in self.options:
            if name in SessionOptions.__annotations__:
                continue
            hint = _ELSEWHERE.get(name, "it is not one of SSH's")
            raise AddressError(f"no option {name}: {hint}")
        if self.keepalive_interval < 0 or self.keepalive_count_max < 1:
            raise AddressError("keepalive_interval is at least 0, keepalive_count_max at least 1")
        if self.login_timeout <= 0 or (self.timeout is not None and self.timeout <= 0):
            raise AddressError("login_timeout and timeout are seconds, more than 0")


async def make_connection(socket: Socket, settings: Settings) -> Connection:
    """Log in on a socket, which is closed if that fails.

    Raises:
        AddressError: an option is wrong, or a key cannot be read.
        SSHError: of the subclass that says why it did not come about.
    """
    try:
        host, port = host_and_port(socket.remote_address, settings.host, settings.port)
        options = await _options(settings, host, port)
        return await open_connection(
            socket,
            options,
            verification=settings.verification,
            host=host,
            port=port,
            exchange_timeout=settings.timeout,
        )
    except (Error, asyncssh.Error) as error:
        socket.close(error)
        raise connection_error(error) from error.__cause__
    except BaseException:
        socket.abort(SocketClosed("the login was given up"))
        raise


async def _options(settings: Settings, host: str, port: int) -> asyncssh.SSHClientConnectionOptions:
    given: dict[str, object] = {**settings.options}
    if settings.username is not None:
        given["username"] = settings.username
    try:
        # Reads files, and may compute long on a passphrase: asyncssh does it in a thread.
        construct = cast("Any", asyncssh.SSHClientConnectionOptions).construct
        options: asyncssh.SSHClientConnectionOptions = await construct(
            host=host,
            port=port,
            config=settings.config,
            password=settings.password,
            client_keys=settings.client_keys,
            passphrase=settings.passphrase,
            keepalive_interval=settings.keepalive_interval,
            keepalive_count_max=settings.keepalive_count_max,
            login_timeout=settings.login_timeout,
            # The socket is given, and we look after the keys of hosts: neither a config nor
            # anything else may have a say.
            tunnel=None,
            proxy_command=None,
            canonicalize_hostname=False,
            known_hosts=None,
            host_key_alias=None,
            x509_trusted_certs=None,
            client_host_keysign=False,
            gss_host=None,
            gss_kex=False,
            gss_auth=False,
            **given,
        )
    except (ValueError, TypeError, OSError) as error:
        raise AddressError(f"an option of SSH is wrong: {error}") from error
    options.host, options.port = host, port  # a config may say HostName
    return options
