"""The floor of framing: the calls of `cryptography` that a packet needs, and nothing else.

Nobody speaks SSH by bare bytes, so that the tunnel has none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305

from benchmarks._model import Unsupported
from benchmarks.ssh._client import Buffer, Framing, SSHParticipant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Role
    from benchmarks.ssh._data import Suite
    from wirekit.sockets import Socket

__all__ = ["Client"]

BLOCK = 16  # bytes that a packet's length is a multiple of
LENGTH = bytes(4)


class Client(SSHParticipant):
    """Not a library: what the primitives allow."""

    name = "floor"
    role: ClassVar[Role] = "floor"
    distributions: ClassVar[tuple[str, ...]] = ("cryptography",)
    note = "the cipher's and the MAC's calls alone, on as many bytes as a packet has"

    async def framing(self, suite: Suite) -> Framing:
        if "gcm" in suite.encryption:
            return _GCM(suite)
        return _ChaCha() if "chacha" in suite.encryption else _CTR(suite)

    async def tunnel(self, port: int) -> Socket:
        raise Unsupported("a bare socket speaks no SSH")


def _body(payload: bytes) -> bytes:
    padding = BLOCK - (len(payload) + 1) % BLOCK
    return b"".join((bytes((padding,)), payload, bytes(padding)))


class _Primitives(Framing):
    """Nothing is put together, so the sealed bodies, with their tags, wait here to be opened."""

    def __init__(self) -> None:
        self._payload = b""
        self._body = b""

    def packets(self, payload: bytes, count: int, sealed: Sequence[Buffer]) -> bytes:
        self._sealed = sealed
        return b""

    def _body_of(self, payload: bytes) -> bytes:
        if payload is not self._payload:
            self._payload, self._body = payload, _body(payload)
        return self._body


class _GCM(_Primitives):
    def __init__(self, suite: Suite) -> None:
        super().__init__()
        self._aead = AESGCM(os.urandom(16 if "128" in suite.encryption else 32))
        self._nonce = bytes(12)

    def seal(self, payload: bytes, count: int) -> list[bytes]:
        body, encrypt, nonce = self._body_of(payload), self._aead.encrypt, self._nonce
        return [encrypt(nonce, body, LENGTH) for _ in range(count)]

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        decrypt, nonce = self._aead.decrypt, self._nonce
        for sealed in self._sealed:
            decrypt(nonce, sealed, LENGTH)
        return [self._payload] * len(self._sealed)


class _ChaCha(_Primitives):
    def __init__(self) -> None:
        super().__init__()
        self._nonce = bytes(16)
        self._stream = Cipher(algorithms.ChaCha20(os.urandom(32), self._nonce), None).encryptor()
        self._key = os.urandom(32)
        self._tags: list[bytes] = []

    def seal(self, payload: bytes, count: int) -> list[bytes]:
        body, stream, key = self._body_of(payload), self._stream, self._key
        sealed: list[bytes] = []
        tags: list[bytes] = []
        for _ in range(count):
            stream.reset_nonce(self._nonce)
            data = stream.update(body)
            sealed.append(data)
            tags.append(Poly1305.generate_tag(key, data))
        self._tags = tags
        return sealed

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        stream, key = self._stream, self._key
        for data, tag in zip(self._sealed, self._tags, strict=True):
            Poly1305.verify_tag(key, data, tag)
            stream.reset_nonce(self._nonce)
            stream.update(data)
        return [self._payload] * len(self._sealed)


class _CTR(_Primitives):
    def __init__(self, suite: Suite) -> None:
        super().__init__()
        key = os.urandom(int(suite.encryption[3:6]) // 8)
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        algorithm = hashes.SHA256() if "256" in suite.mac else hashes.SHA512()
        self._mac = hmac.HMAC(os.urandom(algorithm.digest_size), algorithm)

    def seal(self, payload: bytes, count: int) -> list[bytes]:
        body, update = self._body_of(payload), self._stream.update
        sealed: list[bytes] = []
        for _ in range(count):
            mac = self._mac.copy()
            data = update(body)
            mac.update(data)
            mac.finalize()
            sealed.append(data)
        return sealed

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        update = self._stream.update
        for data in self._sealed:
            mac = self._mac.copy()
            mac.update(data)
            mac.finalize()
            update(data)
        return [self._payload] * len(self._sealed)
