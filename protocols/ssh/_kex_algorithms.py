"""The key exchange methods by their names, in OpenSSH's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._curves import Curve25519, ECDHNistP256, ECDHNistP384, ECDHNistP521
from ._diffie_hellman import Group14SHA256, Group16SHA512, Group18SHA512
from ._mlkem import MLKEM768X25519, is_supported

if TYPE_CHECKING:
    from ._key_agreement import KeyAgreement

__all__ = ["KEX_ALGORITHMS"]

KEX_ALGORITHMS: dict[str, type[KeyAgreement]] = {
    **({"mlkem768x25519-sha256": MLKEM768X25519} if is_supported() else {}),
    "curve25519-sha256": Curve25519,
    "curve25519-sha256@libssh.org": Curve25519,
    "ecdh-sha2-nistp256": ECDHNistP256,
    "ecdh-sha2-nistp384": ECDHNistP384,
    "ecdh-sha2-nistp521": ECDHNistP521,
    "diffie-hellman-group16-sha512": Group16SHA512,
    "diffie-hellman-group18-sha512": Group18SHA512,
    "diffie-hellman-group14-sha256": Group14SHA256,
}
