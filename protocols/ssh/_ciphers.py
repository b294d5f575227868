"""What packets are protected with in one direction (RFC 4253 §6.3, §6.4), and in the clear.

A `PacketCipher` is made of the keys of one key exchange and serves one direction. It sees whole
packets: ``uint32 packet_length | byte padding_length | payload | padding``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ._faults import DisconnectReason, SSHProtocolError

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["ClearCipher", "PacketCipher", "mac_error"]


class PacketCipher(ABC):
    """Seals packets, or opens them; which one a given object does, it does for good.

    Packets have to be opened in two steps, each packet once and in order: `open_length` tells how
    long it is, `open` gives what is in it.

    Attributes:
        name: the algorithms, which are no secret.
        block_size: what the packet's length is a multiple of.
        header_size: bytes of a packet that `open_length` needs.
        unaligned: bytes of the packet that do not count for the multiple.
        tag_size: bytes that follow a packet.
    """

    __slots__ = ()

    name: ClassVar[str]
    block_size: int
    header_size: int
    unaligned: int
    tag_size: int

    @abstractmethod
    def seal(self, sequence: int, packet: bytes) -> bytes:
        """Return a packet as it stands on the wire, with its MAC.

        Args:
            sequence: its sequence number.
            packet: all of it, in the clear.
        """

    @abstractmethod
    def open_length(self, sequence: int, header: memoryview) -> int:
        """Return the packet_length of the packet that begins with these ``header_size`` bytes.

        It is not authenticated yet.
        """

    @abstractmethod
    def open(self, sequence: int, packet: memoryview) -> Buffer:
        """Return ``padding_length | payload | padding`` of a packet as it stood on the wire.

        Raises:
            SSHProtocolError: its MAC is wrong; nothing of it is returned then.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class ClearCipher(PacketCipher):
    """No protection: packets before the first SSH_MSG_NEWKEYS."""

    __slots__ = ()

    name = "none"
    block_size = 8
    header_size = 4
    unaligned = 0
    tag_size = 0

    def seal(self, sequence: int, packet: bytes) -> bytes:
        return packet

    def open_length(self, sequence: int, header: memoryview) -> int:
        return int.from_bytes(header, "big")

    def open(self, sequence: int, packet: memoryview) -> Buffer:
        return packet[4:]


def mac_error() -> SSHProtocolError:
    """Return the one error for whatever is wrong with a sealed packet."""
    return SSHProtocolError("a packet with a wrong MAC", DisconnectReason.MAC_ERROR)
