"""Packets made by hand, right and wrong ones."""

from __future__ import annotations

from typing import Any

from wirekit.protocols.ssh import KexInit
from wirekit.protocols.ssh._messages import Message


def clear_packet(payload: bytes | Message, *, padding: int | None = None) -> bytes:
    """Return a payload in a packet in the clear; with ``padding``, of so many bytes."""
    data = payload.encode() if isinstance(payload, Message) else payload
    if padding is None:
        padding = 4 + -(len(data) + 9) % 8
    size = len(data) + 1 + padding
    return size.to_bytes(4, "big") + bytes((padding,)) + data + bytes(padding)


def clear_payload(packet: bytes) -> bytes:
    """Return the payload of a packet in the clear."""
    return packet[5 : len(packet) - packet[4]]


def raw_packet(packet_length: int, padding_length: int, rest: bytes) -> bytes:
    """Return a packet that says of itself what one wants."""
    return packet_length.to_bytes(4, "big") + bytes((padding_length,)) + rest


def kexinit(**fields: Any) -> KexInit:
    """Return a KEXINIT that a codec of `QUICK` can agree with, but for what is given."""
    defaults: dict[str, Any] = {
        "cookie": bytes(16),
        "kex_algorithms": ("curve25519-sha256",),
        "server_host_key_algorithms": ("ssh-ed25519",),
        "encryption_algorithms_client_to_server": ("aes128-gcm@openssh.com",),
        "encryption_algorithms_server_to_client": ("aes128-gcm@openssh.com",),
        "mac_algorithms_client_to_server": ("hmac-sha2-256",),
        "mac_algorithms_server_to_client": ("hmac-sha2-256",),
        "compression_algorithms_client_to_server": ("none",),
        "compression_algorithms_server_to_client": ("none",),
    }
    return KexInit(**{**defaults, **fields})
