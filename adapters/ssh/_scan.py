"""Looking at what a server can do, and at all of its host keys."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import AddressError, Error
from wirekit.protocols.ssh import Algorithms, Codec, DisconnectReason, SSHProtocolError
from wirekit.sockets import as_socket, connect, parse_address

from ._connection import Connection
from ._errors import SSHError, connection_error
from ._host_keys import DEFAULT_PORT
from ._ratings import (
    GOOD,
    KEX_MARKERS,
    Level,
    exposed_to_terrapin,
    rate_host_key,
    rate_lists,
    rating_of,
)
from ._report import Finding, RatedAlgorithm, Report, ScannedHostKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from wirekit.protocols.ssh import HostKey, Identified, KexInit
    from wirekit.sockets import AddressLike, Connector, Socket, SocketLike

__all__ = ["scan"]

# All that there are, SHA-1 too.
_OFFERED = (
    *Algorithms().server_host_key_algorithms,
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
)
_CERTIFICATE = "-cert-v01@openssh.com"
_FIELDS = (
    "kex_algorithms",
    "server_host_key_algorithms",
    "encryption_algorithms_client_to_server",
    "encryption_algorithms_server_to_client",
    "mac_algorithms_client_to_server",
    "mac_algorithms_server_to_client",
    "compression_algorithms_client_to_server",
    "compression_algorithms_server_to_client",
)


async def scan(
    socket: SocketLike | None = None,
    *,
    connector: Connector | None = None,
    address: AddressLike | None = None,
    timeout: float = 30.0,
) -> Report:
    """Find out what a server says of itself, what it can do and which host keys it has.

    Nobody logs in. For each type of host key there is one key exchange: on a connection of its own
    if an address is given, or else on the socket's, as far as the server exchanges keys again
    before a login (OpenSSH does not). Nothing is verified.

    Args:
        socket: a connection to the server; or else:
        connector: makes the connections, by default directly.
        address: where the server is; without a port it is 22.
        timeout: seconds for each key exchange.

    Raises:
        AddressError: there is neither a socket nor an address, or both.
        SSHError: the server could not be reached, or did not say what it can do.
    """
    if (socket is None) == (address is None):
        raise AddressError("say either which socket to scan on, or which address")
    if socket is not None:
        return await _Scanner(timeout).scan(as_socket(socket))

    async def again() -> Socket:
        target = parse_address(cast("AddressLike", address), default_port=DEFAULT_PORT)
        return connect(target) if connector is None else await connector(target)

    return await _Scanner(timeout, again).scan(await again())


class _Scanner:
    """Looks at one server.

    Args:
        timeout: seconds for each key exchange.
        again: makes another connection to it, where that is possible.
    """

    def __init__(
        self, timeout: float, again: Callable[[], Coroutine[Any, Any, Socket]] | None = None
    ) -> None:
        self._timeout = timeout
        self._again = again
        self._keys: dict[str, HostKey] = {}
        self._not_seen: dict[str, str] = {}

    async def scan(self, socket: Socket) -> Report:
        """Return what there is to be known, beginning on this socket."""
        connection = await self._open(socket, _OFFERED)
        try:
            failure = await _outcome(connection.ready())
            if connection.identified is None or connection.kexinit is None:
                raise failure or connection_error(SSHProtocolError("nothing was said"))
            names = connection.kexinit.server_host_key_algorithms
            if failure is None and self._again is None:
                await self._look_for_keys(names, partial(_rekey, connection))
        finally:
            await connection.close(DisconnectReason.BY_APPLICATION, "")
        if failure is not None:
            self._not_seen = dict.fromkeys(names, str(failure))
        elif self._again is not None:
            await self._look_for_keys(names, partial(self._visit, self._again))
        return self._report(socket.remote_address, connection.identified, connection.kexinit)

    async def _look_for_keys(
        self, names: tuple[str, ...], look: Callable[[str], Coroutine[Any, Any, None]]
    ) -> None:
        """Look for one key of each type that these algorithms are for."""
        for name in names:
            if _key_type(name) in self._keys:
                continue
            if name not in _OFFERED:
                self._not_seen[name] = "keys of this type are not known here"
            elif failure := await _outcome(look(name)):
                self._not_seen[name] = str(failure)

    async def _visit(self, again: Callable[[], Coroutine[Any, Any, Socket]], name: str) -> None:
        """See the key of one algorithm on a connection of its own."""
        connection = await self._open(await again(), (name,))
        try:
            await connection.ready()
        finally:
            await connection.close(DisconnectReason.BY_APPLICATION, "")

    async def _open(self, socket: Socket, names: tuple[str, ...]) -> Connection:
        try:
            await socket.opened
            algorithms = Algorithms(server_host_key_algorithms=names)
            codec = Codec("client", random=os.urandom, algorithms=algorithms)
            return Connection(socket, codec, verify=self._note, timeout=self._timeout)
        except Error as error:
            raise connection_error(error) from error.__cause__
        except BaseException:
            socket.abort()
            raise

    def _note(self, key: HostKey) -> None:
        suffix = "" if key.certificate is None else _CERTIFICATE
        self._keys[f"{key.key_type}{suffix}"] = key

    def _report(self, address: str, identified: Identified, kexinit: KexInit) -> Report:
        rated = rate_lists({name: getattr(kexinit, name) for name in _FIELDS})
        return Report(
            address=address,
            identification=str(identified.identification),
            lines=tuple(line.decode(errors="backslashreplace") for line in identified.lines),
            algorithms={
                name: tuple(RatedAlgorithm(*one) for one in names) for name, names in rated.items()
            },
            host_keys=tuple(map(_scanned, self._keys.values())),
            host_keys_not_seen=self._not_seen,
            findings=tuple(_findings(identified, kexinit)),
        )


async def _outcome(step: Coroutine[Any, Any, None]) -> SSHError | None:
    """Return what went wrong, if anything did."""
    try:
        await step
    except Error as error:
        return connection_error(error)
    return None


async def _rekey(connection: Connection, name: str) -> None:
    await connection.rekey(Algorithms(server_host_key_algorithms=(name,)))


def _key_type(algorithm: str) -> str:
    """Return the type of the keys that an algorithm is for; certificates have their own."""
    plain = algorithm.removesuffix(_CERTIFICATE)
    if plain in ("rsa-sha2-512", "rsa-sha2-256"):
        return f"ssh-rsa{algorithm.removeprefix(plain)}"
    return algorithm


def _scanned(key: HostKey) -> ScannedHostKey:
    rating, bits = rate_host_key(key)
    certificate = None if key.certificate is None else key.certificate.key_id
    return ScannedHostKey(key.key_type, key.fingerprint, bits, certificate, rating)


def _findings(identified: Identified, kexinit: KexInit) -> Iterator[Finding]:
    """Say what is to be said of the server as a whole."""
    if identified.identification.protoversion == "1.99":
        yield Finding(Level.FAIL, "it also speaks SSH 1, which is broken")
    strict = "kex-strict-s-v00@openssh.com" in kexinit.kex_algorithms
    exposed = exposed_to_terrapin(
        kexinit.encryption_algorithms_server_to_client, kexinit.mac_algorithms_server_to_client
    )
    if strict:
        yield Finding(Level.GOOD, "strict key exchange, so no Terrapin with whoever has it too")
    elif exposed:
        names = ", ".join(exposed)
        yield Finding(Level.WARN, f"no strict key exchange: Terrapin (CVE-2023-48795) by {names}")
    else:
        yield Finding(Level.GOOD, "no strict key exchange, but nothing that Terrapin works on")
    if not any(rating_of("kex_algorithms", name) == GOOD for name in _real(kexinit)):
        yield Finding(Level.WARN, "no key exchange that stands up to quantum computers")


def _real(kexinit: KexInit) -> list[str]:
    """Return key exchange algorithms without the markers among them."""
    return [name for name in kexinit.kex_algorithms if name not in KEX_MARKERS]
