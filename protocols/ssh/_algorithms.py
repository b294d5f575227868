"""The algorithms that there are, and which of them to offer in which order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from ._chacha import ChaChaCipher
from ._ctr import CTRCipher, EncryptThenMACCipher
from ._gcm import GCMCipher
from ._host_keys import HOST_KEY_ALGORITHMS
from ._kex_algorithms import KEX_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ._ciphers import PacketCipher

__all__ = ["Algorithms", "is_aead", "make_cipher"]

_ETM = "-etm@openssh.com"


class _Encryption(NamedTuple):
    key_size: int
    iv_size: int
    aead: Callable[[bytes, bytes], PacketCipher] | None  # else it needs a MAC


_ENCRYPTION = {
    "aes128-gcm@openssh.com": _Encryption(16, 12, GCMCipher),
    "aes256-gcm@openssh.com": _Encryption(32, 12, GCMCipher),
    "chacha20-poly1305@openssh.com": _Encryption(64, 0, ChaChaCipher),
    "aes128-ctr": _Encryption(16, 16, None),
    "aes192-ctr": _Encryption(24, 16, None),
    "aes256-ctr": _Encryption(32, 16, None),
}
_MAC_KEY_SIZES = {
    f"hmac-sha2-256{_ETM}": 32,
    f"hmac-sha2-512{_ETM}": 64,
    "hmac-sha2-256": 32,
    "hmac-sha2-512": 64,
}
_COMPRESSION = ("none", "zlib@openssh.com")

# Only where somebody asks for them: SHA-1.
_DEPRECATED = ("ssh-rsa", "ssh-rsa-cert-v01@openssh.com")


@dataclass(frozen=True, kw_only=True)
class Algorithms:
    """What to offer in SSH_MSG_KEXINIT, the preferred first; the same in both directions.

    The order is OpenSSH's, but for AES-GCM, which comes before ChaCha20-Poly1305 because it is
    quicker here. Of what is implemented, only ``ssh-rsa`` (SHA-1) is not offered unless named.

    Raises:
        ValueError: one of them is not implemented, comes twice, or none is named.
    """

    kex_algorithms: tuple[str, ...] = tuple(KEX_ALGORITHMS)
    server_host_key_algorithms: tuple[str, ...] = tuple(
        name for name in HOST_KEY_ALGORITHMS if name not in _DEPRECATED
    )
    encryption_algorithms: tuple[str, ...] = tuple(_ENCRYPTION)
    mac_algorithms: tuple[str, ...] = tuple(_MAC_KEY_SIZES)
    compression_algorithms: tuple[str, ...] = _COMPRESSION

    def __post_init__(self) -> None:
        known: dict[str, Collection[str]] = {
            "kex_algorithms": KEX_ALGORITHMS,
            "server_host_key_algorithms": HOST_KEY_ALGORITHMS,
            "encryption_algorithms": _ENCRYPTION,
            "mac_algorithms": _MAC_KEY_SIZES,
            "compression_algorithms": _COMPRESSION,
        }
        for item in fields(self):
            names: tuple[str, ...] = getattr(self, item.name)
            if not names or len(set(names)) < len(names) or not set(names) <= set(known[item.name]):
                raise ValueError(f"{item.name} are some of {', '.join(known[item.name])}")


def is_aead(encryption: str) -> bool:
    """Whether the encryption algorithm authenticates, so that no MAC is negotiated for it."""
    found = _ENCRYPTION.get(encryption)
    return found is not None and found.aead is not None


def make_cipher(
    encryption: str, mac: str, derive: Callable[[str, int], bytes], letters: str
) -> PacketCipher:
    """Return the cipher of one direction.

    Args:
        encryption: the negotiated encryption algorithm.
        mac: the negotiated MAC algorithm; of no account where the encryption authenticates.
        derive: gives so many bytes of key material for a letter of §7.2.
        letters: the direction's letters for IV, encryption key and integrity key.
    """
    key_size, iv_size, aead = _ENCRYPTION[encryption]
    iv, key = derive(letters[0], iv_size), derive(letters[1], key_size)
    if aead is not None:
        return aead(key, iv)
    mac_key = derive(letters[2], _MAC_KEY_SIZES[mac])
    kind = EncryptThenMACCipher if mac.endswith(_ETM) else CTRCipher
    return kind(key, iv, mac.removesuffix(_ETM), mac_key)
