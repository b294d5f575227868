from __future__ import annotations

import asyncio

import pytest

from tests.interop.waiting import turns
from wirekit import BusyError
from wirekit.adapters.ssh._errors import SSHError
from wirekit.adapters.ssh._inbox import Inbox, Received
from wirekit.protocols.ssh import Debug, Packet, Pong, ServiceAccept


@pytest.mark.parametrize(
    ("received", "size"),
    [
        (Packet(94, bytes(1000), 0), 1128),
        (Debug(True, "x" * 100), 228),
        (Pong(bytes(10)), 138),
        (ServiceAccept("ssh-userauth"), 128),
    ],
)
async def test_size(received: Received, size: int) -> None:
    inbox = Inbox(asyncio.get_running_loop())
    inbox.put(received)
    inbox.put(received)
    assert inbox.size == 2 * size
    assert inbox.take() is received
    assert inbox.size == size
    assert not inbox.is_empty
    inbox.take()
    assert inbox.is_empty


async def test_one_waits_at_a_time() -> None:
    inbox = Inbox(asyncio.get_running_loop())
    waiting = asyncio.create_task(inbox.wait())
    await turns(1)
    with pytest.raises(BusyError) as caught:
        await inbox.wait()
    assert isinstance(caught.value, SSHError)
    inbox.put(Packet(94, b"", 0))
    inbox.put(Packet(94, b"", 1))
    await waiting
    waiting = asyncio.create_task(inbox.wait())
    await turns(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    waiting = asyncio.create_task(inbox.wait())
    await turns(1)
    inbox.wake()
    await waiting
