"""What packets are protected with in one direction (RFC 4253 §6.3, §6.4), and in the clear.

A `PacketCipher` is made of the keys of one key exchange and serves one direction. A packet is
``uint32 packet_length``, and a body of ``byte padding_length | payload | padding``.
"""

from __future__ import annotations

from typing import Protocol

from ._faults import DisconnectReason, SSHProtocolError

__all__ = ["ClearCipher", "PacketCipher", "mac_error"]


class PacketCipher(Protocol):
    """Seals packets, or opens them; which one a given object does, it does for good.

    Packets are opened in two steps, each packet once and in order: `open_length` tells how long
    it is, `open` gives what is in it.
    """

    @property
    def block_size(self) -> int:
        """What the packet's length is a multiple of."""
        ...

    @property
    def unaligned(self) -> int:
        """Bytes of the packet that do not count for the multiple."""
        ...

    @property
    def header_size(self) -> int:
        """Bytes of a packet that `open_length` needs."""
        ...

    @property
    def tag_size(self) -> int:
        """Bytes that follow a packet."""
        ...

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the pieces of a packet as it stands on the wire, with its MAC, to ``output``."""
        ...

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length of the packet that begins with these ``header_size`` bytes.

        It is not authenticated yet.
        """
        ...

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body of a packet as it stood on the wire.

        Raises:
            SSHProtocolError: its MAC is wrong; nothing of it is returned then.
        """
        ...


class ClearCipher:
    """No protection: packets before the first SSH_MSG_NEWKEYS."""

    __slots__ = ()

    block_size = 8
    unaligned = 0
    header_size = 4
    tag_size = 0

    def seal(self, sequence: int, length: bytes, body: bytes, output: list[bytes]) -> None:
        """Add the packet as it is."""
        output += length, body

    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length."""
        return int.from_bytes(header, "big")

    def open(self, sequence: int, packet: memoryview) -> bytes:
        """Return the body."""
        return bytes(packet[4:])


def mac_error() -> SSHProtocolError:
    """Return the one error for whatever is wrong with a sealed packet."""
    return SSHProtocolError("a packet with a wrong MAC", DisconnectReason.MAC_ERROR)
