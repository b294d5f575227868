"""Connections of our own: resolve once, check every address, race the allowed ones."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from wirekit._errors import (
    ConnectError,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    TransportError,
)

from ._address import Address, TCPAddress, UnixAddress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ._policy import Policy

__all__ = ["held_to", "open_direct"]

_ATTEMPT_DELAY = 0.25  # RFC 8305 §5: Connection Attempt Delay
_HTTP_PORTS = (80, 443)

# The targets, with their policies, of each connect() that waits for a connector at this moment.
_held: ContextVar[tuple[tuple[Address, Policy], ...]] = ContextVar("wirekit_held", default=())

# What getaddrinfo gives: family, type, protocol, canonical name, socket address.
_AddressInfo = tuple[int, int, int, str, Any]


async def open_direct(
    address: Address, protocol: asyncio.BaseProtocol, policy: Policy
) -> asyncio.Transport:
    """Connect to the address as far as the policy allows, and make ``protocol`` the receiver.

    Raises:
        ConnectError: a subclass that says why there is no connection.
    """
    loop = asyncio.get_running_loop()
    policies = [policy, *(wanted for target, wanted in _held.get() if target == address)]
    for policy in policies:
        policy.check_address(address)
    if isinstance(address, UnixAddress):
        try:
            transport, _ = await loop.create_unix_connection(lambda: protocol, address.path)
        except OSError as error:
            raise _connect_error(address, [error]) from error
        return transport
    found = await _resolve(address)
    for policy in policies:
        allowed = policy.check_resolved(address, [info[4][0] for info in found])
        found = [info for info in found if info[4][0] in allowed]
    checked = [info[4][0] for info in found]
    sock = await _race(address, _interleave(found))
    try:
        for policy in policies:
            policy.check_peer(address, sock.getpeername()[0], checked)
        _keep_alive(sock)
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            raise _connect_error(address, [error]) from error
        raise
    return transport


@contextmanager
def held_to(address: Address, policy: Policy) -> Generator[None]:
    """Hold every direct connection to this address, made on our behalf meanwhile, to the policy."""
    token = _held.set((*_held.get(), (address, policy)))
    try:
        yield
    finally:
        _held.reset(token)


def _keep_alive(sock: socket.socket) -> None:
    """Find out within two minutes that an idle peer has vanished (RFC 9293 §3.8.4)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        option = getattr(socket, name, None)  # not every system has them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def _resolve(address: TCPAddress) -> list[_AddressInfo]:
    host, port = address.host, address.port
    kind = socket.SOCK_STREAM
    try:
        if address.is_ip:  # nobody is asked, so it takes no thread
            found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
        else:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=kind)
    except (socket.gaierror, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise ResolveError(f"cannot resolve {address.host}: {error}", errno=number) from error
    if not found:
        raise ResolveError(f"cannot resolve {address.host}: the answer is empty")
    return list(dict.fromkeys(found))


def _interleave(found: Sequence[_AddressInfo]) -> list[_AddressInfo]:
    """RFC 8305 §4: alternate the families, beginning with the resolver's first."""
    first = [info for info in found if info[0] == found[0][0]]
    rest = [info for info in found if info[0] != found[0][0]]
    mixed: list[_AddressInfo] = []
    for index in range(max(len(first), len(rest))):
        mixed += first[index : index + 1] + rest[index : index + 1]
    return mixed


async def _race(address: TCPAddress, candidates: Sequence[_AddressInfo]) -> socket.socket:
    """RFC 8305 §5: start an attempt every 250 ms, or at once when one fails; the first wins."""
    if len(candidates) == 1:
        try:
            return await _attempt(candidates[0])
        except OSError as failure:
            raise _connect_error(address, [failure]) from failure
    waiting = deque(candidates)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_attempt(waiting.popleft())))
            done, _ = await asyncio.wait(
                running,
                timeout=_ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if error is None:
                    running.remove(task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                running.remove(task)
                errors.append(error)
    finally:
        for task in running:
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(outcome, socket.socket):
                outcome.close()
    raise _connect_error(address, errors) from errors[0]


async def _attempt(info: _AddressInfo) -> socket.socket:
    family, kind, number, _, sockaddr = info
    sock = socket.socket(family, kind, number)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, sockaddr)
        if sock.getsockname() == sock.getpeername():
            # RFC 9293 §3.5: a SYN that meets itself opens a connection with nobody.
            raise OSError(errno.ECONNREFUSED, "connected to itself")
    except OSError as error:
        sock.close()
        number = error.errno or 0
        raise OSError(number, f"{sockaddr[0]}: {os.strerror(number)}") from error
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_error(address: Address, errors: Sequence[OSError]) -> ConnectError:
    numbers = {error.errno for error in errors}
    reasons = ", ".join(dict.fromkeys(error.strerror or str(error) for error in errors))
    text = f"cannot connect to {address}: {reasons}"
    if isinstance(address, TCPAddress) and address.port in _HTTP_PORTS:
        text += " (an HTTP service needs an HTTP client)"
    number = errors[0].errno
    if numbers == {errno.ECONNREFUSED}:
        return ConnectRefused(text, errno=number)
    if numbers == {errno.ETIMEDOUT}:
        return ConnectTimeout(text, errno=number)
    return ConnectError(text, errno=number)
