"""The client: asyncssh's sessions on any socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from wirekit._errors import AddressError, Error, SocketClosed
from wirekit.adapters._client import Client
from wirekit.sockets import as_socket

from ._errors import connection_error
from ._host_keys import HostKeyVerification
from ._sessions import Sessions
from ._settings import ClientKeys, Password, SessionOptions, Settings, make_connection
from ._url import client_settings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Self

    from wirekit.sockets import AddressLike, Connector, Policy, Socket, SocketLike

    from ._bridge import Connection
    from ._carrier import SSHConnector, SSHConnectorOptions
    from ._host_keys import KnownHostsArgument, PublicKeyArgument, VerifyHostKey

__all__ = ["SSH", "connect"]


class SSH(Client, Sessions):
    """SSH sessions on a socket; has the methods of asyncssh's connection.

    Any number of tasks may use it at once. ``async with`` logs in, and says good-bye at the end.
    With a ``connector``, the next use after a loss connects and logs in anew; what was open is
    gone. The server's host key is verified before anything secret is sent.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        username: by default that of whoever runs this.
        password: or a callable, which may be a coroutine function, that gives it when it is asked
            for.
        client_keys: private keys, as paths, contents or asyncssh's objects; a pair is a key and
            its certificate. By default those in ``~/.ssh`` and those of the agent at
            ``SSH_AUTH_SOCK``, with None neither.
        passphrase: of encrypted keys.
        host: by which name to look up the server's key; by default that in the socket's address.
        port: the same for the port.
        known_hosts, fingerprints, certificate_authorities, verify_host_key,
            dangerously_accept_any_host_key: which host keys are accepted, see
            `HostKeyVerification`; by default those in OpenSSH's own files.
        config: files in the format of ssh_config to take options from, with ``()`` that of the
            user. By default none is read. What they say of addresses, proxies and known hosts is
            never followed.
        keepalive_interval: seconds without a byte from the server after which to ask whether it is
            there; 0 never asks.
        keepalive_count_max: how often to ask before the connection is given up.
        login_timeout: seconds for key exchange and login.
        timeout: seconds for the server to answer when something is opened, and for later key
            exchanges.
        **options: see `SessionOptions`.

    Raises:
        AddressError: an option is wrong, or two do not go together.
        RuntimeError: no event loop runs, and the socket needs one.
    """

    def __init__(
        self,
        socket: SocketLike | None = None,
        *,
        connector: Connector | None = None,
        address: AddressLike | None = None,
        username: str | None = None,
        password: Password = None,
        client_keys: ClientKeys = (),
        passphrase: object = None,
        host: str | None = None,
        port: int | None = None,
        known_hosts: KnownHostsArgument = (),
        fingerprints: str | Sequence[str] = (),
        certificate_authorities: PublicKeyArgument | Sequence[PublicKeyArgument] = (),
        verify_host_key: VerifyHostKey | None = None,
        dangerously_accept_any_host_key: bool = False,
        config: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        keepalive_interval: float = 30.0,
        keepalive_count_max: int = 3,
        login_timeout: float = 120.0,
        timeout: float | None = 30.0,
        **options: Unpack[SessionOptions],
    ) -> None:
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        self._settings = Settings(
            username=username,
            password=password,
            client_keys=client_keys,
            passphrase=passphrase,
            host=host,
            port=port,
            verification=HostKeyVerification(
                known_hosts=known_hosts,
                fingerprints=fingerprints,
                certificate_authorities=certificate_authorities,
                verify_host_key=verify_host_key,
                dangerously_accept_any_host_key=dangerously_accept_any_host_key,
            ),
            config=config,
            keepalive_interval=keepalive_interval,
            keepalive_count_max=keepalive_count_max,
            login_timeout=login_timeout,
            timeout=timeout,
            options=options,
        )
        self._timeout = timeout
        self._socket = None if socket is None else _adopted(socket)
        self._connector, self._address = connector, address
        self._current: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._used = self._closed = False

    async def open(self) -> Self:
        """Connect and log in; ``async with`` does this.

        Raises:
            HostKeyError: the server's key is not trusted.
            PermissionDenied: the server lets this user in by nothing that was tried.
            ConnectError: there is no connection.
        """
        self._refuse_closed()
        if self._current is None:
            await self._connected()
            self._used = True
        return self

    async def aclose(self) -> None:
        """Say good-bye and close the connection; may be called again.

        Whoever still waits for something on it gets `SocketClosed`.
        """
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        current = self._current
        if current is not None:
            if not current.is_usable:
                current.socket.abort()
            current.close()
            await current.wait_closed()
            await current.socket.close()
        elif self._socket is not None:
            await self._socket.close()

    async def close(self) -> None:
        """Same as ``aclose``."""
        await self.aclose()

    def __repr__(self) -> str:
        current = self._current
        if current is None:
            return "<SSH not open>"
        state = "open" if current.is_usable else f"lost: {current.error}"
        if self._closed:
            state = "closed"
        name = current.get_extra_info("username")
        return f"<SSH {name}@{current.socket.remote_address} {state}>"

    @property
    def connection(self) -> Connection:
        """The connection as it stands, which is an ``asyncssh.SSHClientConnection``.

        Raises:
            SocketClosed: there is none yet.
        """
        if self._current is None:
            raise self._not_open()
        return self._current

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that can be used at once."""
        return self._current is not None and self._current.is_usable

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection: ``"username"``, ``"send_cipher"``, ….

        Raises:
            SocketClosed: there is none yet.
        """
        return self.connection.get_extra_info(name, default)

    def connector(self, **options: Unpack[SSHConnectorOptions]) -> SSHConnector:
        """Return a connector: its sockets are connections that this server makes.

        See `SSHConnector` for the options.
        """
        from ._carrier import SSHConnector

        return SSHConnector(self, **options)

    async def _ready(self) -> Connection:
        self._refuse_closed()
        if not self._used:
            raise self._not_open()
        current = self._current
        if current is not None and current.is_usable:
            return current
        return await self._connected()

    async def _connected(self) -> Connection:
        """Return a new connection, the same to all who ask meanwhile."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="wirekit ssh connect")
            self._connecting.add_done_callback(self._settled)
        connecting = self._connecting
        await asyncio.wait([connecting])  # one of those who wait giving up stops it for none
        self._refuse_closed()
        return connecting.result()

    async def _connect(self) -> Connection:
        socket, self._socket = self._socket, None
        if socket is None:
            if self._connector is None or self._address is None:
                raise self._lost()
            try:
                socket = await self._connector(self._address)
            except Error as error:
                raise connection_error(error) from error.__cause__
        self._current = await make_connection(socket, self._settings)
        return self._current

    def _settled(self, connecting: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # taken, in case that nobody waits for it any more

    def _lost(self) -> Exception:
        if self._current is not None and self._current.error is not None:
            return connection_error(self._current.error)
        return connection_error(
            SocketClosed("the only socket was used up by an attempt to log in that failed")
        )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise connection_error(SocketClosed("the client was closed"))

    def _not_open(self) -> Error:
        text = "the client is not open: use `async with`, or `await client.open()` first"
        return connection_error(SocketClosed(text))


async def connect(
    url: str,
    *,
    connector: Connector | None = None,
    policy: Policy | None = None,
    connect_timeout: float | None = 10.0,
    **settings: Any,
) -> SSH:
    """Return an open client for a URL; it reconnects by itself.

    Args:
        url: ``ssh://[user[:password]@]host[:port]``, or ``[user@]host[:port]``.
        connector: makes the connections, for example through another server; directly by default.
        policy: which addresses may be connected to; any by default.
        connect_timeout: seconds for each connection.
        **settings: see `SSH`; they go before those in the URL.

    Raises:
        AddressError: the URL or an option is wrong.
        SSHError: of the subclass that says why it did not come about.
    """
    found = client_settings(
        url, connector=connector, policy=policy, connect_timeout=connect_timeout
    )
    return await SSH(**{**found, **settings}).__aenter__()


def _adopted(socket: SocketLike) -> Socket:
    try:
        return as_socket(socket)
    except RuntimeError:
        text = "make the client within a coroutine: to take over a socket needs a running loop"
        raise RuntimeError(text) from None
