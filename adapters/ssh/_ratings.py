"""What is to be thought of an algorithm or a key, by what is publicly known of it.

The levels are those that ssh-audit gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from wirekit.protocols.ssh import HostKey, Reader, SSHProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "GOOD",
    "KEX_MARKERS",
    "Level",
    "Rating",
    "exposed_to_terrapin",
    "rate_host_key",
    "rate_lists",
    "rating_of",
]


class Level(IntEnum):
    """How good something is."""

    GOOD = 0
    WARN = 1
    FAIL = 2

    def __str__(self) -> str:
        """The name in lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rating:
    """A level, and why it is no better."""

    level: Level = Level.GOOD
    reasons: tuple[str, ...] = ()

    def __add__(self, other: Rating) -> Rating:
        """Return the worse level, with the reasons of both."""
        return Rating(max(self.level, other.level), (*self.reasons, *other.reasons))


GOOD = Rating()


def _warn(*reasons: str) -> Rating:
    return Rating(Level.WARN, reasons)


def _fail(*reasons: str) -> Rating:
    return Rating(Level.FAIL, reasons)


# Of key exchange and signatures
_NOT_POST_QUANTUM = _warn("whoever records it now can read it once there are quantum computers")
_NIST = _fail("a NIST curve: where its constants come from was never explained")
_NONCES = _warn("a signature made with weak random numbers gives away the key")
_SHA1 = _fail("SHA-1 is broken")
_MODP_1024 = _fail("a group of 1024 bits, which a state can compute in (Logjam)")
_MODP_2048 = _warn("a group of 2048 bits is worth 112 bits of security only")
_MODP_UNKNOWN = _warn("the server chooses the group, which was not looked at")
_RSA_1024 = _fail("an RSA key of 1024 bits is too short")
_DSA = _fail("DSA keys have 1024 bits and sign with SHA-1")
# Of encryption
_NONE = _fail("it protects nothing")
_CBC = _warn("CBC mode tells too much to whoever changes packets")
_SMALL_BLOCK = _warn("after some gigabytes its blocks of 64 bits repeat")
_3DES = _fail("3DES is deprecated")
_OLD_CIPHER = _fail("a cipher that nobody should use any more")
_RC4 = _fail("RC4 is broken")
_TERRAPIN = _warn("without strict key exchange packets can be cut off (Terrapin, CVE-2023-48795)")
# Of MACs
_AND_MAC = _warn("the MAC is of what was encrypted, not of what is sent")
_MD5 = _fail("MD5 is broken")
_RIPEMD = _fail("RIPEMD-160 is deprecated")
_TAG_64 = _warn("a tag of 64 bits is short")
_TAG_96 = _warn("a tag cut to 96 bits")
# Of compression
_ZLIB = _warn("decompresses what was sent before the login")

_UNKNOWN = _warn("not known here")

KEX_MARKERS = ("ext-info-s", "kex-strict-s-v00@openssh.com", "kexguess2@matt.ucc.asn.au")
"""Among the names of key exchange algorithms, what says something else of the server."""

_KEX = {
    "mlkem768x25519-sha256": GOOD,
    "mlkem768nistp256-sha256": _NIST,
    "mlkem1024nistp384-sha384": _NIST,
    "sntrup761x25519-sha512": GOOD,
    "sntrup761x25519-sha512@openssh.com": GOOD,
    "sntrup4591761x25519-sha512@tinyssh.org": _warn("an experiment that was replaced"),
    "curve25519-sha256": _NOT_POST_QUANTUM,
    "curve25519-sha256@libssh.org": _NOT_POST_QUANTUM,
    "curve448-sha512": _NOT_POST_QUANTUM,
    "curve448-sha512@libssh.org": _NOT_POST_QUANTUM,
    "ecdh-sha2-nistp256": _NIST + _NOT_POST_QUANTUM,
    "ecdh-sha2-nistp384": _NIST + _NOT_POST_QUANTUM,
    "ecdh-sha2-nistp521": _NIST + _NOT_POST_QUANTUM,
    "rsa1024-sha1": _RSA_1024 + _SHA1 + _NOT_POST_QUANTUM,
    "rsa2048-sha256": _MODP_2048 + _NOT_POST_QUANTUM,
    **dict.fromkeys(KEX_MARKERS, GOOD),
}
# diffie-hellman-group14-sha256 and its like; the hash may be a vendor's own.
_DIFFIE_HELLMAN = re.compile(r"diffie-hellman-group(-exchange|1|1[4-8])-(sha\d+)(?:@ssh\.com)?")
_GROUPS = {
    "1": _MODP_1024,
    "14": _MODP_2048,
    "15": GOOD,
    "16": GOOD,
    "17": GOOD,
    "18": GOOD,
    "-exchange": _MODP_UNKNOWN,
}
_HOST_KEY = {
    "ssh-ed25519": GOOD,
    "ssh-ed448": GOOD,
    "sk-ssh-ed25519@openssh.com": GOOD,
    "rsa-sha2-256": GOOD,
    "rsa-sha2-512": GOOD,
    "ssh-rsa": _SHA1,
    "ssh-dss": _DSA,
    "ssh-mldsa44-ed25519@openssh.com": GOOD,
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com": _NIST + _NONCES,
    "x509v3-ssh-rsa": _SHA1,
    "x509v3-sign-rsa": _SHA1,
    "x509v3-rsa2048-sha256": GOOD,
    "x509v3-ssh-dss": _DSA,
    "x509v3-sign-dss": _DSA,
    "x509v3-ecdsa-sha2-nistp256": _NIST + _NONCES,
    "x509v3-ecdsa-sha2-nistp384": _NIST + _NONCES,
    "x509v3-ecdsa-sha2-nistp521": _NIST + _NONCES,
    "ecdsa-sha2-nistp256": _NIST + _NONCES,
    "ecdsa-sha2-nistp384": _NIST + _NONCES,
    "ecdsa-sha2-nistp521": _NIST + _NONCES,
    "sk-ecdsa-sha2-nistp256@openssh.com": _NIST + _NONCES,
}
_ENCRYPTION = {
    "chacha20-poly1305@openssh.com": GOOD,
    "aes128-gcm@openssh.com": GOOD,
    "aes256-gcm@openssh.com": GOOD,
    "AEAD_AES_128_GCM": GOOD,
    "AEAD_AES_256_GCM": GOOD,
    "aes128-ctr": GOOD,
    "aes192-ctr": GOOD,
    "aes256-ctr": GOOD,
    "camellia128-ctr": GOOD,
    "camellia192-ctr": GOOD,
    "camellia256-ctr": GOOD,
    "twofish128-ctr": GOOD,
    "twofish192-ctr": GOOD,
    "twofish256-ctr": GOOD,
    "aes128-cbc": _CBC,
    "aes192-cbc": _CBC,
    "aes256-cbc": _CBC,
    "rijndael-cbc@lysator.liu.se": _OLD_CIPHER + _CBC,
    "camellia128-cbc": _CBC,
    "camellia192-cbc": _CBC,
    "camellia256-cbc": _CBC,
    "twofish128-cbc": _CBC,
    "twofish192-cbc": _CBC,
    "twofish256-cbc": _CBC,
    "twofish-cbc": _CBC,
    "3des-ctr": _3DES + _SMALL_BLOCK,
    "3des-cbc": _3DES + _CBC + _SMALL_BLOCK,
    "blowfish-ctr": _OLD_CIPHER + _SMALL_BLOCK,
    "blowfish-cbc": _OLD_CIPHER + _CBC + _SMALL_BLOCK,
    "cast128-ctr": _OLD_CIPHER + _SMALL_BLOCK,
    "cast128-cbc": _OLD_CIPHER + _CBC + _SMALL_BLOCK,
    "serpent128-ctr": _OLD_CIPHER,
    "serpent192-ctr": _OLD_CIPHER,
    "serpent256-ctr": _OLD_CIPHER,
    "serpent128-cbc": _OLD_CIPHER + _CBC,
    "serpent192-cbc": _OLD_CIPHER + _CBC,
    "serpent256-cbc": _OLD_CIPHER + _CBC,
    "seed-cbc@ssh.com": _OLD_CIPHER + _CBC,
    "des-cbc": _OLD_CIPHER + _CBC + _SMALL_BLOCK,
    "idea-cbc": _OLD_CIPHER + _CBC + _SMALL_BLOCK,
    "arcfour": _RC4,
    "arcfour128": _RC4,
    "arcfour256": _RC4,
    "none": _NONE,
}
_MAC = {
    "hmac-sha2-256-etm@openssh.com": GOOD,
    "hmac-sha2-512-etm@openssh.com": GOOD,
    "umac-128-etm@openssh.com": GOOD,
    "AEAD_AES_128_GCM": GOOD,
    "AEAD_AES_256_GCM": GOOD,
    "hmac-sha2-256": _AND_MAC,
    "hmac-sha2-512": _AND_MAC,
    "hmac-sha2-256-96": _AND_MAC + _TAG_96,
    "hmac-sha2-512-96": _AND_MAC + _TAG_96,
    "hmac-sha2-256-96-etm@openssh.com": _TAG_96,
    "hmac-sha2-512-96-etm@openssh.com": _TAG_96,
    "umac-128@openssh.com": _AND_MAC,
    "umac-64-etm@openssh.com": _TAG_64,
    "umac-64@openssh.com": _AND_MAC + _TAG_64,
    "hmac-sha1-etm@openssh.com": _SHA1,
    "hmac-sha1-96-etm@openssh.com": _SHA1 + _TAG_96,
    "hmac-sha1": _SHA1 + _AND_MAC,
    "hmac-sha1-96": _SHA1 + _AND_MAC + _TAG_96,
    "hmac-md5-etm@openssh.com": _MD5,
    "hmac-md5-96-etm@openssh.com": _MD5 + _TAG_96,
    "hmac-md5": _MD5 + _AND_MAC,
    "hmac-md5-96": _MD5 + _AND_MAC + _TAG_96,
    "hmac-ripemd160": _RIPEMD + _AND_MAC,
    "hmac-ripemd160@openssh.com": _RIPEMD + _AND_MAC,
    "hmac-ripemd160-etm@openssh.com": _RIPEMD,
    "none": _NONE,
}
_COMPRESSION = {
    "none": GOOD,
    "zlib@openssh.com": GOOD,
    "zlib": _ZLIB,
}
TABLES = {
    "kex_algorithms": _KEX,
    "server_host_key_algorithms": _HOST_KEY,
    "encryption_algorithms_client_to_server": _ENCRYPTION,
    "encryption_algorithms_server_to_client": _ENCRYPTION,
    "mac_algorithms_client_to_server": _MAC,
    "mac_algorithms_server_to_client": _MAC,
    "compression_algorithms_client_to_server": _COMPRESSION,
    "compression_algorithms_server_to_client": _COMPRESSION,
}
"""What is known of algorithms, by the field of SSH_MSG_KEXINIT that names them."""

_STRICT_KEX = "kex-strict-s-v00@openssh.com"
_CERTIFICATE = "-cert-v01@openssh.com"
_CHACHA = "chacha20-poly1305@openssh.com"


def rating_of(field: str, name: str) -> Rating:
    """Return what is to be thought of an algorithm by itself, named in a field of KEXINIT."""
    if field == "server_host_key_algorithms":
        # An authority's signature is no weaker for where it stands.
        name = name.replace(_CERTIFICATE, "")
        name = f"{name}@openssh.com" if name.startswith("sk-") and "@" not in name else name
    if field == "kex_algorithms" and name not in _KEX:
        return _rate_family(name)
    return TABLES[field].get(name, _UNKNOWN)


def _rate_family(name: str) -> Rating:
    """Rate a key exchange by how its name is made up."""
    if name.startswith("gss-"):
        # RFC 4462, 8732: the name ends in a hash that says with which mechanism.
        method = name.removeprefix("gss-").rpartition("-")[0].replace("gex-", "group-exchange-")
        if method.startswith("nistp"):
            return _NIST + _NOT_POST_QUANTUM
        if method.startswith("curve"):
            return _NOT_POST_QUANTUM
        name = f"diffie-hellman-{method}"
    match = _DIFFIE_HELLMAN.fullmatch(name)
    if match is None:
        return _UNKNOWN
    return _GROUPS[match[1]] + (_SHA1 if match[2] == "sha1" else GOOD) + _NOT_POST_QUANTUM


def rate_lists(lists: dict[str, tuple[str, ...]]) -> dict[str, list[tuple[str, Rating]]]:
    """Return ratings for all that a server names in its SSH_MSG_KEXINIT, by the fields' names.

    Without strict key exchange, encryption that Terrapin works on is not good.
    """
    strict = _STRICT_KEX in lists["kex_algorithms"]
    rated: dict[str, list[tuple[str, Rating]]] = {}
    for field, names in lists.items():
        rated[field] = [(name, rating_of(field, name)) for name in names]
        if not strict and field.startswith("encryption_"):
            macs = lists[field.replace("encryption_", "mac_")]
            exposed = set(exposed_to_terrapin(names, macs))
            rated[field] = [
                (name, rating + _TERRAPIN if name in exposed else rating)
                for name, rating in rated[field]
            ]
    return rated


def exposed_to_terrapin(encryption: Iterable[str], macs: Iterable[str]) -> list[str]:
    """Return the encryption algorithms of which packets can be cut off unnoticed."""
    etm = any(name.endswith("-etm@openssh.com") for name in macs)
    return [name for name in encryption if name == _CHACHA or (etm and "-cbc" in name)]


def rate_host_key(key: HostKey) -> tuple[Rating, int | None]:
    """Return what is to be thought of a key, and its size in bits where keys of its type vary."""
    rating = _rate_key_type(key.key_type)
    bits = _rsa_bits(key)
    if bits is not None:
        rating += _rate_rsa(bits)
    if key.certificate is None:
        return rating, bits
    try:
        authority = HostKey(key.certificate.signature_key)
    except SSHProtocolError:
        return rating + _warn("the authority's key is of a type not known here"), bits
    authority_bits = _rsa_bits(authority)
    if authority_bits is not None and _rate_rsa(authority_bits).level:
        rating += _warn(f"the authority's RSA key has only {authority_bits} bits")
    return rating, bits


def _rate_key_type(key_type: str) -> Rating:
    """Rate the type of a key, which signs with SHA-1 only if it is asked to."""
    return GOOD if key_type == "ssh-rsa" else _HOST_KEY.get(key_type, _UNKNOWN)


def _rate_rsa(bits: int) -> Rating:
    if bits < 2048:
        return _fail(f"an RSA key of {bits} bits is too short")
    return (
        _warn(f"an RSA key of {bits} bits is worth 112 bits of security") if bits < 3072 else GOOD
    )


def _rsa_bits(key: HostKey) -> int | None:
    if key.key_type != "ssh-rsa":
        return None
    reader = Reader(key.key_blob)
    reader.name()
    reader.mpint()
    return reader.mpint().bit_length()
