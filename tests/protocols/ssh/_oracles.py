"""asyncssh's and paramiko's packet layers, to seal and to open with the same keys."""

from __future__ import annotations

import hashlib
import importlib
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.encryption import get_encryption, get_encryption_params

if TYPE_CHECKING:
    from collections.abc import Iterator

paramiko: Any = importlib.import_module("paramiko")  # it has no types
Transport = paramiko.transport.Transport


def generate_key(key_type: str, bits: int = 2048) -> asyncssh.SSHKey:
    """Return a new private key; the bits are those of an RSA key."""
    module: Any = asyncssh  # its types are not complete
    settings = {"key_size": bits} if key_type == "ssh-rsa" else {}
    key: asyncssh.SSHKey = module.generate_private_key(key_type, **settings)
    return key


def derive(letter: str, size: int, seed: str = "") -> bytes:
    """Return key material; the same as in ``fixed_cipher``."""
    return hashlib.shake_128(f"{seed}{letter}".encode()).digest(size)


class AsyncSSH:
    """asyncssh's encryption objects, and the framing that its connection does around them."""

    def __init__(self, encryption: str, mac: str) -> None:
        names = encryption.encode(), mac.encode()
        key_size, iv_size, self.block, mac_key_size, self.mac_size, self.etm = (
            get_encryption_params(*names)
        )
        key, iv = derive("C", key_size), derive("A", iv_size)
        mac_key = derive("E", mac_key_size)
        self.cipher = get_encryption(names[0], key, iv, names[1], mac_key, self.etm)

    def seal(self, sequence: int, payload: bytes) -> bytes:
        padding = -(len(payload) + (1 if self.etm else 5)) % max(8, self.block)
        padding += max(8, self.block) if padding < 4 else 0
        body = bytes((padding,)) + payload + bytes(padding)
        packet, tag = self.cipher.encrypt_packet(sequence, len(body).to_bytes(4, "big"), body)
        return packet + tag

    def open(self, sequence: int, packet: bytes) -> bytes | None:
        """Return the payload of a packet, or None if its tag is wrong."""
        size = max(8, self.block)
        first, length = self.cipher.decrypt_header(sequence, packet[:size], 4)
        end = 4 + int.from_bytes(length, "big")
        rest, tag = packet[size:end], packet[end:]
        assert len(tag) == self.mac_size
        body = self.cipher.decrypt_packet(sequence, first, rest, 4, tag)
        return body[1 : -body[0]] if body else None


class _Stream:
    """What paramiko takes for a socket."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.readable = bytearray()

    def send(self, data: bytes) -> int:
        self.written += data
        return len(data)

    def recv(self, size: int) -> bytes:
        data = bytes(self.readable[:size])
        del self.readable[:size]
        return data

    def settimeout(self, timeout: float) -> None:
        pass


class _Payload:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def asbytes(self) -> bytes:
        return self.data


class Paramiko:
    """paramiko's Packetizer; it has no ChaCha20-Poly1305."""

    def __init__(self, encryption: str, mac: str) -> None:
        self.stream = _Stream()
        self.packetizer = paramiko.packet.Packetizer(self.stream)
        info = Transport._cipher_info[encryption]
        aead, block = info.get("is_aead", False), info["block-size"]
        iv = derive("A", info.get("iv-size", block))
        transport = Transport.__new__(Transport)
        names = {"name": encryption, "key": derive("C", info["key-size"]), "iv": iv, "aead": aead}
        engines = [
            transport._get_engine(**names, operation=operation)
            for operation in (Transport._ENCRYPT, Transport._DECRYPT)
        ]
        digest, size, key = None, 16, b""
        if not aead:
            digest, size = Transport._mac_info[mac]["class"], Transport._mac_info[mac]["size"]
            key = derive("E", digest().digest_size)
        settings = {"etm": "-etm@" in mac, "aead": aead}
        out = (engines[0], block, digest, size, key)
        self.packetizer.set_outbound_cipher(*out, sdctr=not aead, iv_out=iv, **settings)
        self.packetizer.set_inbound_cipher(engines[1], *out[1:], iv_in=iv, **settings)

    def seal(self, payload: bytes) -> bytes:
        self.packetizer.send_message(_Payload(payload))
        sealed = bytes(self.stream.written)
        self.stream.written.clear()
        return sealed

    def open(self, packets: bytes, count: int) -> Iterator[bytes]:
        self.stream.readable += packets
        for _ in range(count):
            number, message = self.packetizer.read_message()
            yield bytes((number,)) + message.asbytes()
