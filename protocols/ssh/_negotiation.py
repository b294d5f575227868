"""Which algorithms come of two SSH_MSG_KEXINIT (RFC 4253 §7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._algorithms import is_aead
from ._faults import DisconnectReason, SSHProtocolError

if TYPE_CHECKING:
    from ._identification import Role
    from ._messages import KexInit

__all__ = [
    "EXT_INFO",
    "STRICT_KEX",
    "NegotiatedAlgorithms",
    "guessed_wrong",
    "negotiate",
]

STRICT_KEX: dict[Role, str] = {
    "client": "kex-strict-c-v00@openssh.com",
    "server": "kex-strict-s-v00@openssh.com",
}
"""By whom it is sent: OpenSSH PROTOCOL §1.9, against prefix truncation (CVE-2023-48795)."""

EXT_INFO: dict[Role, str] = {"client": "ext-info-c", "server": "ext-info-s"}
"""By whom it is sent: the peer may send SSH_MSG_EXT_INFO (RFC 8308 §2.1)."""

_MARKERS = frozenset([*STRICT_KEX.values(), *EXT_INFO.values()])


@dataclass(frozen=True, slots=True)
class NegotiatedAlgorithms:
    """The algorithms in force; a MAC is "" where the encryption algorithm authenticates."""

    kex: str
    server_host_key: str
    encryption_client_to_server: str
    encryption_server_to_client: str
    mac_client_to_server: str
    mac_server_to_client: str
    compression_client_to_server: str
    compression_server_to_client: str


def negotiate(client: KexInit, server: KexInit) -> NegotiatedAlgorithms:
    """Return what both sides have, by the client's preference.

    Raises:
        SSHProtocolError: they have nothing in common somewhere.
    """
    encryption = (
        _choose(
            "encryption algorithm from client to server",
            client.encryption_algorithms_client_to_server,
            server.encryption_algorithms_client_to_server,
        ),
        _choose(
            "encryption algorithm from server to client",
            client.encryption_algorithms_server_to_client,
            server.encryption_algorithms_server_to_client,
        ),
    )
    return NegotiatedAlgorithms(
        # Every key exchange here needs a signature, and every host key here can sign.
        _choose("key exchange algorithm", _real(client.kex_algorithms), server.kex_algorithms),
        _choose(
            "host key algorithm",
            client.server_host_key_algorithms,
            server.server_host_key_algorithms,
        ),
        *encryption,
        _choose_mac(
            encryption[0],
            client.mac_algorithms_client_to_server,
            server.mac_algorithms_client_to_server,
        ),
        _choose_mac(
            encryption[1],
            client.mac_algorithms_server_to_client,
            server.mac_algorithms_server_to_client,
        ),
        _choose(
            "compression algorithm from client to server",
            client.compression_algorithms_client_to_server,
            server.compression_algorithms_client_to_server,
        ),
        _choose(
            "compression algorithm from server to client",
            client.compression_algorithms_server_to_client,
            server.compression_algorithms_server_to_client,
        ),
    )


def guessed_wrong(client: KexInit, server: KexInit) -> bool:
    """Whether a packet sent on a guess is to be dropped (§7)."""
    return (
        client.kex_algorithms[:1] != server.kex_algorithms[:1]
        or client.server_host_key_algorithms[:1] != server.server_host_key_algorithms[:1]
    )


def _real(kex_algorithms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in kex_algorithms if name not in _MARKERS)


def _choose(what: str, client: tuple[str, ...], server: tuple[str, ...]) -> str:
    for name in client:
        if name in server:
            return name
    reason = DisconnectReason.KEY_EXCHANGE_FAILED
    raise SSHProtocolError(f"no {what} that both sides have", reason)


def _choose_mac(encryption: str, client: tuple[str, ...], server: tuple[str, ...]) -> str:
    return "" if is_aead(encryption) else _choose("MAC algorithm", client, server)
