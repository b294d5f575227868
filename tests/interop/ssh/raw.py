"""`SSHTransport` with a real server: logging in, traffic, and what stands between the two."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from tests.servers import SSH_PASSWORD, SSH_USER
from wirekit.adapters.ssh import SSHTransport
from wirekit.protocols.ssh import Packet, ServiceAccept, ServiceRequest
from wirekit.protocols.ssh._primitives import encode_text
from wirekit.sockets import Socket, connect, memory_pair

USERAUTH_REQUEST, USERAUTH_SUCCESS = 50, 52
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
REQUEST = b"\x50" + encode_text("unknown@wirekit.example") + b"\1"


async def log_in(transport: SSHTransport) -> None:
    """Authenticate with a password (RFC 4252 §8)."""
    await transport.send_packet(ServiceRequest("ssh-userauth"))
    assert await transport.receive_packet() == ServiceAccept("ssh-userauth")
    request = bytes((USERAUTH_REQUEST,)) + encode_text(SSH_USER) + encode_text("ssh-connection")
    await transport.send_packet(
        request + encode_text("password") + b"\0" + encode_text(SSH_PASSWORD)
    )
    received = await transport.receive_packet()
    assert isinstance(received, Packet)
    assert received.number == USERAUTH_SUCCESS


async def ask(transport: SSHTransport, count: int, size: int = 0) -> None:
    """Send requests all at once, and wait for as many answers."""

    async def send() -> None:
        for number in range(count):
            await transport.send_packet(REQUEST + bytes(size + number % 7))

    sending = asyncio.create_task(send())
    answers = 0
    try:
        while answers < count:
            received = await transport.receive_packet()
            assert isinstance(received, Packet)
            assert received.number in (REQUEST_SUCCESS, REQUEST_FAILURE, GLOBAL_REQUEST)
            answers += received.number != GLOBAL_REQUEST
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


Change = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    """Return the same."""
    return data


@contextlib.asynccontextmanager
async def relay(
    port: int,
    *,
    to_server: Change = unchanged,
    to_client: Change = unchanged,
    **delivery: Any,
) -> AsyncGenerator[Socket]:
    """Give a socket from which bytes go to a server, and back, as somebody between changes them.

    ``delivery`` says in which pieces, and with which delay, they come: see `memory_pair`.
    """
    ours, inner = memory_pair(**delivery)
    outer = connect(f"127.0.0.1:{port}")
    await outer.opened

    async def carry(source: Socket, target: Socket, change: Change) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read():
                await target.write(change(data))
            await target.close()

    carrying = [
        asyncio.create_task(carry(inner, outer, to_server)),
        asyncio.create_task(carry(outer, inner, to_client)),
    ]
    try:
        yield ours
    finally:
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
        for socket in (ours, inner, outer):
            socket.abort()
        await asyncio.gather(ours.closed, inner.closed, outer.closed)
