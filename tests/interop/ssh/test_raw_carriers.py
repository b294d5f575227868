"""`SSHTransport` on everything that carries bytes, and with bits that change on their way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop import carriers
from tests.interop.ssh.listening import CARRIERS, listening
from tests.interop.ssh.raw import ask, log_in, relay
from tests.protocols.ssh._pair import KINDS, only
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.ssh import HostKeyError, SSHError, SSHTransport, scan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("sshd")
@pytest.mark.parametrize("name", CARRIERS)
async def test_on_everything_that_carries_bytes(
    name: str, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with listening(tmp_path, certificate_authority) as (server, places):
        known_hosts = b"localhost " + server.host_key.export_public_key()
        async with (
            carriers.CARRIERS[name](places, certificate_authority) as way,
            SSHTransport(
                await socket_of(way), host="localhost", known_hosts=known_hosts, rekey_packets=30
            ) as transport,
        ):
            await log_in(transport)
            await ask(transport, 100, 5000)
        async with carriers.CARRIERS[name](places, certificate_authority) as way:
            with pytest.raises(HostKeyError):
                await SSHTransport(await socket_of(way), known_hosts=b"").__aenter__()


async def socket_of(way: dict[str, Any]) -> Any:
    return way["socket"] if "socket" in way else await way["connector"](way["address"])


async def test_scanning_through_a_tunnel(sshd: RunningServer, dropbear: RunningServer) -> None:
    async with carriers.through_sshd() as ssh:
        report = await scan(connector=ssh.connector(), address=("127.0.0.1", dropbear.port))
    assert report.identification.startswith("SSH-2.0-dropbear_")
    assert len(report.host_keys) == 3


class Flip:
    """Changes a bit of the byte at a position; ``done`` says whether it came."""

    def __init__(self, position: int) -> None:
        self._left = position
        self.done = False

    def __call__(self, data: bytes) -> bytes:
        position, self._left = self._left, self._left - len(data)
        if not 0 <= position < len(data):
            return data
        self.done = True
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        return bytes(changed)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind))
async def test_a_bit_that_changes_anywhere(sshd: RunningServer, kind: tuple[str, str]) -> None:
    """It ends the connection, unless it was in padding in the clear; nobody takes it for data."""
    algorithms = only(kex="curve25519-sha256", encryption=kind[0], mac=kind[1])

    async def minded(direction: str, position: int) -> bool | None:
        """Return whether somebody minded, or None if the stream does not go so far."""
        flip = Flip(position)
        async with relay(sshd.port, **{direction: flip}) as socket:
            transport = SSHTransport(
                socket, algorithms=algorithms, dangerously_accept_any_host_key=True, timeout=1.0
            )
            # The server may wait for more, as a length says.
            with contextlib.suppress(SSHError, TimeoutError):
                async with asyncio.timeout(1), transport:
                    await log_in(transport)
                    await ask(transport, 3)
                return False if flip.done else None
        return True

    for direction in ("to_server", "to_client"):
        changes = (minded(direction, position) for position in range(0, 2400, 60))
        outcomes = await asyncio.gather(*changes)
        assert outcomes.count(True) >= 15
        assert outcomes.count(False) <= 3
