"""What holds for every cipher, written once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protocols.ssh._oracles import AsyncSSH, Paramiko
from tests.protocols.ssh._pair import CHACHA, fixed_cipher, randomness
from wirekit.protocols.ssh import DisconnectReason, SSHProtocolError
from wirekit.protocols.ssh._packets import PacketReader, PacketWriter

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

PAYLOADS = [bytes((94,)) + bytes(range(256)) * 200, *(b"\x5e" * size for size in range(1, 40))]


def reader(encryption: str, mac: str) -> PacketReader:
    packets = PacketReader(256 * 1024)
    packets.change_cipher(fixed_cipher(encryption, mac), reset_sequence=False)
    return packets


def writer(encryption: str, mac: str) -> PacketWriter:
    packets = PacketWriter(randomness())
    packets.change_cipher(fixed_cipher(encryption, mac), reset_sequence=False)
    return packets


def seal(packets: PacketWriter, payload: Buffer) -> bytes:
    pieces: list[bytes] = []
    packets.seal(payload, pieces)
    return b"".join(pieces)


def open_all(packets: PacketReader, data: Buffer) -> list[bytes]:
    packets.receive(data)
    payloads: list[bytes] = []
    while (payload := packets.next_payload()) is not None:
        payloads.append(payload)
    return payloads


def check_round_trip(encryption: str, mac: str) -> None:
    packets = writer(encryption, mac)
    stream = b"".join(seal(packets, payload) for payload in PAYLOADS)
    assert open_all(reader(encryption, mac), stream) == PAYLOADS
    assert PAYLOADS[0][:50] not in stream


def check_asyncssh(encryption: str, mac: str) -> None:
    ours, theirs = writer(encryption, mac), AsyncSSH(encryption, mac)
    for sequence, payload in enumerate(PAYLOADS):
        assert theirs.open(sequence, seal(ours, payload)) == payload
    theirs = AsyncSSH(encryption, mac)
    stream = b"".join(theirs.seal(sequence, data) for sequence, data in enumerate(PAYLOADS))
    assert open_all(reader(encryption, mac), stream) == PAYLOADS


def check_paramiko(encryption: str, mac: str) -> None:
    assert encryption != CHACHA
    ours, theirs = writer(encryption, mac), Paramiko(encryption, mac)
    stream = b"".join(seal(ours, payload) for payload in PAYLOADS)
    assert [*theirs.open(stream, len(PAYLOADS))] == PAYLOADS
    theirs = Paramiko(encryption, mac)
    stream = b"".join(map(theirs.seal, PAYLOADS))
    assert open_all(reader(encryption, mac), stream) == PAYLOADS


def check_changed_bits(encryption: str, mac: str) -> None:
    """Change each bit of a packet: nothing of it comes out, and the error is one of few."""
    packet = seal(writer(encryption, mac), b"\x5esecret")
    follows = bytes(2**18 + 100)  # so that a larger length does not just wait
    for position in range(len(packet) * 8):
        changed = bytearray(packet + follows)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SSHProtocolError) as caught:
            open_all(reader(encryption, mac), changed)
        fault = caught.value
        assert "packet_length" in str(fault) or fault.reason_code is DisconnectReason.MAC_ERROR
        assert position < 32 or fault.reason_code is DisconnectReason.MAC_ERROR
        assert fault.__cause__ is None


def check_wrong_keys(encryption: str, mac: str) -> None:
    packets = PacketReader(256 * 1024)
    packets.change_cipher(fixed_cipher(encryption, mac, "others"), reset_sequence=False)
    with pytest.raises(SSHProtocolError):
        open_all(packets, seal(writer(encryption, mac), b"\x5esecret") + bytes(2**18 + 100))


def check_order(encryption: str, mac: str) -> None:
    """No packet can be left out, repeated or moved."""
    packets = writer(encryption, mac)
    one, two = seal(packets, b"\x5eone"), seal(packets, b"\x5etwo")
    for stream in (two + one, one + one, two):
        with pytest.raises(SSHProtocolError):
            open_all(reader(encryption, mac), stream + bytes(2**18 + 100))
