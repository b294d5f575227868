"""The two messages of RFC 4254 §5.1 that tell how large a channel's packets may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ._faults import SSHProtocolError
from ._messages import Message
from ._primitives import Reader, encode_text, encode_uint32

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ChannelOpen", "ChannelOpenConfirmation"]


def _read_sizes(reader: Reader) -> tuple[int, int, int]:
    """Read sender channel, initial window size and maximum packet size."""
    channel, window, packet = reader.uint32(), reader.uint32(), reader.uint32()
    if packet == 0:  # no data could ever be sent
        raise SSHProtocolError("a channel with a maximum packet size of 0")
    return channel, window, packet


@dataclass(frozen=True, slots=True)
class ChannelOpen(Message):
    """SSH_MSG_CHANNEL_OPEN; ``data`` is what its type defines."""

    number: ClassVar[int] = 90

    channel_type: str
    sender_channel: int
    initial_window_size: int
    maximum_packet_size: int
    data: bytes = field(default=b"", repr=False)

    def _encode_fields(self) -> bytes:
        sizes = (self.sender_channel, self.initial_window_size, self.maximum_packet_size)
        numbers = b"".join(map(encode_uint32, sizes))
        return encode_text(self.channel_type) + numbers + self.data

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.name(), *_read_sizes(reader), reader.rest())


@dataclass(frozen=True, slots=True)
class ChannelOpenConfirmation(Message):
    """SSH_MSG_CHANNEL_OPEN_CONFIRMATION; ``data`` is what the channel's type defines."""

    number: ClassVar[int] = 91

    recipient_channel: int
    sender_channel: int
    initial_window_size: int
    maximum_packet_size: int
    data: bytes = field(default=b"", repr=False)

    def _encode_fields(self) -> bytes:
        numbers = (
            self.recipient_channel,
            self.sender_channel,
            self.initial_window_size,
            self.maximum_packet_size,
        )
        return b"".join(map(encode_uint32, numbers)) + self.data

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.uint32(), *_read_sizes(reader), reader.rest())
