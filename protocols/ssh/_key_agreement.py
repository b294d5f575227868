"""How two sides come to a shared secret: one key exchange method each (RFC 4253 §8, RFC 5656 §4).

All of them send one public value each way, and differ in what it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ._faults import DisconnectReason, SSHProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KeyAgreement", "refused"]


class KeyAgreement(ABC):
    """One side's part in one key exchange; a client calls `begin` and `finish`, a server `respond`.

    Public values are what is in the ``string`` of the message that carries them. The shared secret
    comes as it enters the exchange hash, an mpint or a string with its length.

    Args:
        random: returns that many random bytes; used where `cryptography` does not make the key.
    """

    hash_name: ClassVar[str]

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    @abstractmethod
    def begin(self) -> bytes:
        """Make the client's key, and return its public value."""

    @abstractmethod
    def finish(self, server_public: bytes) -> bytes:
        """Return the shared secret.

        Raises:
            SSHProtocolError: the server's value is not one, or gives a secret that is none.
        """

    @abstractmethod
    def respond(self, client_public: bytes) -> tuple[bytes, bytes]:
        """Make the server's key, and return its public value and the shared secret.

        Raises:
            SSHProtocolError: the client's value is not one, or gives a secret that is none.
        """


def refused() -> SSHProtocolError:
    """Return the error for a public value that cannot be used."""
    reason = DisconnectReason.KEY_EXCHANGE_FAILED
    return SSHProtocolError("a public value that the key exchange cannot use", reason)
