"""What the bytes of a replication stream become, and where its transactions end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import RemoteProtocolError
from wirekit.protocols.postgres.replication import (
    Begin,
    BeginPrepare,
    Commit,
    CommitPrepared,
    Message,
    PgOutputDecoder,
    PgOutputMessage,
    Prepare,
    Relation,
    RollbackPrepared,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
)

if TYPE_CHECKING:
    from ._walsender import Walsender

__all__ = ["BytesReader", "PgOutputReader"]

_BEGINNINGS = (Begin, BeginPrepare, StreamStart)
_ENDS = (Commit, Prepare, StreamStop)
_COMPLETE = (Commit, Prepare, CommitPrepared, StreamCommit, StreamPrepare)


class PgOutputReader:
    """Messages of pgoutput, with values as queries give them.

    A value that came in a format for which its type has no codec is `str` or `bytes`, as it came.

    Attributes:
        is_inside: whether what was given out last is a part of a transaction, or of a block of it.
    """

    def __init__(self, walsender: Walsender, proto_version: int) -> None:
        self.is_inside = False
        self._walsender = walsender
        self._types = walsender.types
        self._decoder = PgOutputDecoder(proto_version, decode=self._decode)

    async def read(self, data: bytes) -> PgOutputMessage:
        """Return a message, after learning about the types of a Relation that are not known."""
        message = self._decoder.receive(data)
        if isinstance(message, Relation):
            await self._walsender.learn([column.type_oid for column in message.columns])
        return message

    def given(self, lsn: int, message: PgOutputMessage) -> int:
        """Return the end of what is complete with a message."""
        if isinstance(message, _BEGINNINGS):
            self.is_inside = True
        elif isinstance(message, _ENDS):
            self.is_inside = False
        if isinstance(message, _COMPLETE):
            return message.end_lsn
        if isinstance(message, RollbackPrepared):
            return message.rollback_end_lsn
        if isinstance(message, Message) and not message.transactional:
            return message.lsn
        return 0

    def _decode(self, type_oid: int, value_format: Literal[0, 1], data: bytes) -> Any:
        codec = self._types.codec(type_oid)
        if codec is not None and codec.format == value_format:
            return codec.decode(data)
        if value_format == 1:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:  # its message would show the value
            raise RemoteProtocolError(f"text of type {type_oid} that is not UTF-8") from None


class BytesReader:
    """Messages of any plugin as they are; what is complete, only the plugin's user knows."""

    is_inside = False

    async def read(self, data: bytes) -> bytes:
        """Return the message."""
        return data

    def given(self, lsn: int, message: bytes) -> int:
        """Return where the message stands."""
        return lsn
