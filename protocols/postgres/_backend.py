"""What the server sends, by the names of the protocol's "Message Formats".

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html. Rows are no messages
here: those of one statement stand in the `CommandComplete` or `PortalSuspended` that ends them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = [
    "Authentication",
    "AuthenticationCleartextPassword",
    "AuthenticationGSS",
    "AuthenticationGSSContinue",
    "AuthenticationKerberosV5",
    "AuthenticationMD5Password",
    "AuthenticationOk",
    "AuthenticationSASL",
    "AuthenticationSASLContinue",
    "AuthenticationSASLFinal",
    "AuthenticationSSPI",
    "BackendKeyData",
    "BindComplete",
    "CloseComplete",
    "Column",
    "CommandComplete",
    "CopyBothResponse",
    "CopyInResponse",
    "CopyOutResponse",
    "CopyProgress",
    "CopyResponse",
    "EmptyQueryResponse",
    "EncryptionResponse",
    "ErrorResponse",
    "Event",
    "FunctionCallResponse",
    "NegotiateProtocolVersion",
    "NoData",
    "NoticeResponse",
    "NotificationResponse",
    "ParameterDescription",
    "ParameterStatus",
    "ParseComplete",
    "PortalSuspended",
    "ReadyForQuery",
    "RowDescription",
    "TransactionStatus",
]


class TransactionStatus(Enum):
    """The status indicator of `ReadyForQuery`."""

    IDLE = "I"
    IN_TRANSACTION = "T"
    FAILED = "E"


class Event:
    """Root of all that `Codec.receive_data` returns."""

    __slots__ = ()


# Opening


@dataclass(frozen=True, slots=True)
class EncryptionResponse(Event):
    """The one byte that answers SSLRequest or GSSENCRequest (SSL Session Encryption)."""

    accepted: bool


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion(Event):
    """The server speaks an older minor version, or does not know some ``_pq_.`` options."""

    version: tuple[int, int]
    unrecognized: tuple[str, ...]


class Authentication(Event):
    """Root of the messages of type 'R'."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AuthenticationOk(Authentication):
    """The server is satisfied."""


@dataclass(frozen=True, slots=True)
class AuthenticationKerberosV5(Authentication):
    """Kerberos V5 is wanted; no server of today sends it."""


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword(Authentication):
    """The password itself is wanted."""


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password(Authentication):
    """The password hashed with MD5 and this salt is wanted."""

    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationGSS(Authentication):
    """A GSSAPI exchange is wanted."""


@dataclass(frozen=True, slots=True)
class AuthenticationGSSContinue(Authentication):
    """A GSSAPI or SSPI exchange goes on."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationSSPI(Authentication):
    """An SSPI exchange is wanted."""


@dataclass(frozen=True, slots=True)
class AuthenticationSASL(Authentication):
    """A SASL exchange is wanted, by one of these mechanisms, the server's favourite first."""

    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue(Authentication):
    """A SASL challenge."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal(Authentication):
    """The end of a SASL exchange."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BackendKeyData(Event):
    """What a CancelRequest for this connection must show; 4 to 256 bytes of key."""

    process_id: int
    secret_key: bytes = field(repr=False)


# At any moment


@dataclass(frozen=True, slots=True)
class ParameterStatus(Event):
    """A setting's value, at the beginning and whenever it changes."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ErrorResponse(Event):
    """An error; ``fields`` by their one-letter codes (Error and Notice Message Fields)."""

    fields: dict[str, str]

    @property
    def fatal(self) -> bool:
        """Whether the server ends the connection after it."""
        return self.fields.get("V", self.fields.get("S")) in ("FATAL", "PANIC")


@dataclass(frozen=True, slots=True)
class NoticeResponse(Event):
    """A notice; ``fields`` as in `ErrorResponse`."""

    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class NotificationResponse(Event):
    """A NOTIFY on a channel that this connection listens to."""

    process_id: int
    channel: str
    payload: str


@dataclass(frozen=True, slots=True)
class ReadyForQuery(Event):
    """The answer to a Sync or Query is complete."""

    status: TransactionStatus


# Answers


@dataclass(frozen=True, slots=True)
class ParseComplete(Event):
    """Answers Parse."""


@dataclass(frozen=True, slots=True)
class BindComplete(Event):
    """Answers Bind."""


@dataclass(frozen=True, slots=True)
class CloseComplete(Event):
    """Answers Close."""


@dataclass(frozen=True, slots=True)
class NoData(Event):
    """Answers Describe for what returns no rows."""


@dataclass(frozen=True, slots=True)
class ParameterDescription(Event):
    """The types of a statement's parameters, by OID."""

    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a `RowDescription`.

    ``table`` and ``attribute`` are 0 if it is no table's column; ``format`` is 0 for text and 1
    for binary.
    """

    name: str
    table: int
    attribute: int
    type: int
    type_size: int
    type_modifier: int
    format: int


@dataclass(frozen=True, slots=True)
class RowDescription(Event):
    """The columns of the rows that follow; ``body`` is the message as it came."""

    columns: tuple[Column, ...]
    body: bytes = field(repr=False)


@dataclass(slots=True)
class CommandComplete(Event):
    """A command ran to its end.

    Attributes:
        tag: such as ``"INSERT 0 1"``.
        rows: what its row reader made of the rows; an empty list if there was none.
        error: the exception that a value could not be made because of; ``rows`` is then empty.
    """

    tag: str
    rows: Any
    error: Exception | None


@dataclass(slots=True)
class PortalSuspended(Event):
    """An Execute's row limit is reached; ``rows`` and ``error`` as in `CommandComplete`."""

    rows: Any
    error: Exception | None


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(Event):
    """A query without a command ran."""


@dataclass(frozen=True, slots=True)
class FunctionCallResponse(Event):
    """The result of a FunctionCall."""

    value: bytes | None


# COPY


@dataclass(frozen=True, slots=True)
class CopyResponse(Event):
    """COPY begins; ``format`` is 0 for text and 1 for binary, of the whole and of each column."""

    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyInResponse(CopyResponse):
    """The server waits for CopyData."""


@dataclass(frozen=True, slots=True)
class CopyOutResponse(CopyResponse):
    """CopyData follows."""


@dataclass(frozen=True, slots=True)
class CopyBothResponse(CopyResponse):
    """Both at once: streaming replication."""


@dataclass(frozen=True, slots=True)
class CopyProgress(Event):
    """Data of a COPY came and is with the `CopySink` that was asked for."""
