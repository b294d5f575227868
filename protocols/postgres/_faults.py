# cython: annotation_typing=False
"""What can be wrong with a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit._errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from ._codecs import TypeCodec

__all__ = ["OutdatedType", "UnknownType", "malformed", "only_text", "wrong_length"]


class OutdatedType(LocalProtocolError):
    """A value is not of the parts that its type was known to have; the type was changed.

    Attributes:
        type_name: which type.
    """

    def __init__(self, type_name: str, fault: str) -> None:
        super().__init__(f"what is known of type {type_name} is outdated: {fault}")
        self.type_name = type_name


class UnknownType(LocalProtocolError):
    """A value holds another whose type is not known.

    Attributes:
        oid: of that type.
    """

    def __init__(self, type_name: str, oid: int) -> None:
        super().__init__(f"a value of type {type_name} holds one of the unknown type {oid}")
        self.oid = oid


def malformed(name: str, fault: str) -> RemoteProtocolError:
    """Return the error for bytes that are no value of the type."""
    return RemoteProtocolError(f"a value of type {name} {fault}")


def wrong_length(name: str, length: int) -> RemoteProtocolError:
    """Return the error for a value that cannot be as long as it is."""
    return malformed(name, f"in {length} bytes")


def only_text(name: str, codec: TypeCodec) -> ValueError:
    """Return the error for a value within a binary one whose type we know in text only."""
    fault = f"a value of type {name} holds one of type {codec.name}, which is read as text only"
    return ValueError(f"{fault}: cast that to text in the query")
