"""zlib@openssh.com: RFC 1950 from the end of authentication on (RFC 4253 §6.2)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ._faults import DisconnectReason, PacketTooLarge, SSHProtocolError

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["Compressor", "Decompressor"]


class Compressor:
    """Compresses the payloads of one direction, from one SSH_MSG_NEWKEYS to the next."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def compress(self, payload: Buffer) -> bytes:
        """Return what the peer needs to have all of the payload."""
        # The RFC's partial flush: each packet can be read when it is there.
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)


class Decompressor:
    """Decompresses the payloads of one direction.

    Args:
        limit: bytes that one payload may grow to.
    """

    __slots__ = ("_limit", "_stream")

    def __init__(self, limit: int) -> None:
        self._stream = zlib.decompressobj()
        self._limit = limit

    def decompress(self, payload: Buffer) -> bytes:
        """Return a payload as it was before compression.

        Raises:
            PacketTooLarge: it is larger than the limit, of which no more was made.
            SSHProtocolError: it is not compressed data, or the stream is at its end.
        """
        try:
            data = self._stream.decompress(payload, self._limit + 1)
        except zlib.error:
            reason = DisconnectReason.COMPRESSION_ERROR
            raise SSHProtocolError("a payload that is not zlib's", reason) from None
        if len(data) > self._limit:
            reason = DisconnectReason.COMPRESSION_ERROR
            raise PacketTooLarge("a payload that grows beyond maximum_packet_size", reason)
        if self._stream.eof:
            reason = DisconnectReason.COMPRESSION_ERROR
            raise SSHProtocolError("the end of the compressed stream", reason)
        return data
