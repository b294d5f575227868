"""Terrapin (CVE-2023-48795): whoever is in between adds and takes packets around NEWKEYS.

Without strict key exchange, an SSH_MSG_IGNORE that is put in before the keys are there lets the
first packet behind them be left out, and nobody notices. With it, both sides do.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.interop.ssh.raw import ask, log_in, relay
from tests.interop.waiting import PATIENCE
from tests.protocols.ssh._packet import clear_packet, clear_payload
from tests.protocols.ssh._pair import CHACHA, only
from tests.servers import RunningServer
from wirekit import ConnectionLost, RemoteProtocolError
from wirekit.adapters.ssh import DisconnectError, SSHError, SSHTransport
from wirekit.protocols.ssh import (
    DisconnectReason,
    Ignore,
    KexInit,
    NewKeys,
    SSHProtocolError,
)

IGNORE = clear_packet(Ignore())
ALGORITHMS = only(kex="curve25519-sha256", encryption=CHACHA)
STRICT = ("kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com")


class Between:
    """Somebody between client and server, who changes one direction.

    Args:
        insert_before: the number of the clear packet in front of which an SSH_MSG_IGNORE is put.
        drops: leave out the first packet behind NEWKEYS.
        hides_strict: take the marker of strict key exchange from KEXINIT.
    """

    def __init__(
        self, insert_before: int | None = None, *, drops: bool = False, hides_strict: bool = False
    ) -> None:
        self._insert_before = insert_before
        self._drops = drops
        self._hides_strict = hides_strict
        self._held = b""
        self._begun = False
        self._clear = True

    def __call__(self, data: bytes) -> bytes:
        """Return what goes on of what came."""
        self._held += data
        passed = b""
        if not self._begun:
            line, end, rest = self._held.partition(b"\r\n")
            if not end:
                return b""
            self._begun, self._held = True, rest
            passed = line + end
        while self._clear and (packet := self._next_packet()):
            passed += self._changed(packet)
        if not self._clear:
            passed += self._behind_newkeys()
        return passed

    def _next_packet(self) -> bytes:
        size = int.from_bytes(self._held[:4], "big") + 4
        if len(self._held) < max(size, 5):
            return b""
        packet, self._held = self._held[:size], self._held[size:]
        return packet

    def _changed(self, packet: bytes) -> bytes:
        number = packet[5]
        if number == NewKeys.number:
            self._clear = False
        if number == KexInit.number and self._hides_strict:
            payload = clear_payload(packet)
            for name in STRICT:
                payload = payload.replace(name.encode(), b"x" * len(name))
            packet = clear_packet(payload)
        return (IGNORE if number == self._insert_before else b"") + packet

    def _behind_newkeys(self) -> bytes:
        if self._drops and self._held:
            # Its length is encrypted, but whoever is in between knows what comes: EXT_INFO, or a
            # service request.
            self._drops = False
            self._held = b""
        passed, self._held = self._held, b""
        return passed


NUMBERS = {"kexinit": 20, "reply": 31, "newkeys": 21}


async def attempt(sshd: RunningServer, **changes: Between) -> SSHError:
    """Speak with sshd through somebody, and return what the client noticed."""
    async with relay(sshd.port, **changes) as socket:
        transport = SSHTransport(
            socket, algorithms=ALGORITHMS, dangerously_accept_any_host_key=True
        )
        with pytest.raises(SSHError) as caught:
            await through(transport)
        with contextlib.suppress(SSHError):
            await transport.aclose()
    return caught.value


async def through(transport: SSHTransport) -> None:
    async with asyncio.timeout(PATIENCE), transport:
        await log_in(transport)


async def test_somebody_who_changes_nothing(sshd: RunningServer) -> None:
    between = {"to_client": Between(), "to_server": Between()}
    async with (
        relay(sshd.port, **between) as socket,
        SSHTransport(
            socket, algorithms=ALGORITHMS, dangerously_accept_any_host_key=True
        ) as transport,
    ):
        assert STRICT[1] in transport.peer_kexinit.kex_algorithms
        await log_in(transport)
        await ask(transport, 3)


@pytest.mark.parametrize("name", NUMBERS)
async def test_a_packet_is_put_in(sshd: RunningServer, name: str) -> None:
    error = await attempt(sshd, to_client=Between(NUMBERS[name]))
    assert isinstance(error, SSHProtocolError)
    assert error.reason_code == DisconnectReason.PROTOCOL_ERROR


@pytest.mark.parametrize("name", NUMBERS)
async def test_a_packet_is_put_in_and_one_left_out(sshd: RunningServer, name: str) -> None:
    """The attack itself: sequence numbers fit again, but for strict key exchange."""
    error = await attempt(sshd, to_client=Between(NUMBERS[name], drops=True))
    assert isinstance(error, SSHProtocolError)
    assert error.reason_code == DisconnectReason.PROTOCOL_ERROR


async def test_a_packet_is_left_out(sshd: RunningServer) -> None:
    error = await attempt(sshd, to_client=Between(drops=True))
    assert isinstance(error, SSHProtocolError)
    # The lengths are encrypted with sequence numbers, too.
    assert error.reason_code in (DisconnectReason.PROTOCOL_ERROR, DisconnectReason.MAC_ERROR)


async def test_the_server_notices_as_well(sshd: RunningServer) -> None:
    error = await attempt(sshd, to_server=Between(NUMBERS["newkeys"], drops=True))
    assert isinstance(error, DisconnectError | ConnectionLost)


@pytest.mark.parametrize("direction", ["to_client", "to_server"])
async def test_the_marker_cannot_be_hidden(sshd: RunningServer, direction: str) -> None:
    """It is in the exchange hash, which is signed."""
    error = await attempt(sshd, **{direction: Between(NUMBERS["newkeys"], hides_strict=True)})
    assert isinstance(error, RemoteProtocolError | ConnectionLost)
    if direction == "to_client":
        assert isinstance(error, SSHProtocolError)
        assert error.reason_code == DisconnectReason.KEY_EXCHANGE_FAILED
