"""Packets in the clear, and the one error of all ciphers."""

from __future__ import annotations

from wirekit.protocols.ssh import DisconnectReason
from wirekit.protocols.ssh._ciphers import ClearCipher, mac_error


def test_in_the_clear() -> None:
    cipher = ClearCipher()
    pieces: list[bytes] = []
    cipher.seal(0, b"\0\0\0\x0c", b"\4payload" + bytes(4), pieces)
    packet = b"".join(pieces)
    assert packet == b"\0\0\0\x0c\4payload" + bytes(4)
    assert cipher.open_length(0, memoryview(packet)[:4]) == 12
    assert cipher.open(0, memoryview(packet)) == packet[4:]


def test_the_error() -> None:
    fault = mac_error()
    assert fault.reason_code is DisconnectReason.MAC_ERROR
    assert str(fault) == "a packet with a wrong MAC"
