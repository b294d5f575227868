"""Signatures of a domain on its mail: DKIM (RFC 6376), by dkimpy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

from ._addresses import parse_address
from ._errors import SMTPArgumentError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["DKIM"]

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

_LABELS = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_FIELD_NAME = re.compile(r"[A-Za-z0-9-]+")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_CANONICALIZATION = (b"relaxed", b"relaxed")  # §3.4: what relays may do to a mail leaves it valid


class _Signer(Protocol):
    """What is used of dkim.DKIM."""

    def sign(
        self,
        selector: bytes,
        domain: bytes,
        privkey: bytes,
        *,
        identity: bytes | None,
        canonicalize: tuple[bytes, bytes],
        include_headers: list[bytes] | None,
    ) -> bytes: ...


class DKIM:
    """Signs messages for a domain; needs the extra ``wirekit[dkim]``.

    Args:
        domain: that takes responsibility, in A-labels; it has to be that of From for DMARC.
        selector: names the public key: ``<selector>._domainkey.<domain>`` in the DNS.
        private_key: RSA, as PEM; or for Ed25519 (RFC 8463) its 32 bytes in base64.
        algorithm: ``"rsa-sha256"``, or ``"ed25519-sha256"``, which not every receiver knows.
        headers: names of the fields to sign; None for those of RFC 6376 §5.4.1. A name that stands
            here once more than in the message keeps another from being added (§8.15); From does.
        identity: who of the domain it was, such as ``user@domain`` (``i=``); None says nothing.

    Raises:
        SMTPArgumentError: an argument is wrong, such as a key that is none.
        ImportError: dkimpy is not installed.
    """

    def __init__(
        self,
        domain: str,
        selector: str,
        private_key: bytes | str,
        *,
        algorithm: Algorithm = "rsa-sha256",
        headers: Collection[str] | None = None,
        identity: str | None = None,
    ) -> None:
        for name, text in (("domain", domain), ("selector", selector)):
            if _LABELS.fullmatch(text) is None:
                raise SMTPArgumentError(f"the {name} of DKIM is not made of labels of the DNS")
        if algorithm not in get_args(Algorithm):
            raise SMTPArgumentError(f"the algorithm of DKIM is one of {get_args(Algorithm)}")
        if not all(map(_FIELD_NAME.fullmatch, headers or ())):
            raise SMTPArgumentError("the headers of DKIM are names of header fields")
        if identity is not None and parse_address(identity).ascii is None:
            raise SMTPArgumentError("the identity of DKIM has to be ASCII")
        self.domain = domain
        self.selector = selector
        self.algorithm = algorithm
        self._identity = identity
        self._headers = None if headers is None else _twice_from(headers)
        self._key = private_key.encode() if isinstance(private_key, str) else private_key
        self._dkim = _dkimpy()
        # What is wrong with the key is said now, and not when a mail is sent.
        self.sign(f"From: x@{domain}\r\n\r\n".encode())

    def __repr__(self) -> str:
        return f"<DKIM {self.selector}._domainkey.{self.domain} {self.algorithm}>"

    def sign(self, message: bytes) -> bytes:
        """Return the message with its signature before it, and CRLF for all ends of lines.

        It is work for the processor, some ten milliseconds for RSA with 2048 bits; a client has a
        thread do it.

        Args:
            message: as it will be sent, header and content.

        Raises:
            SMTPArgumentError: the message cannot be signed, for example because it has no From.
        """
        message = _LINE_END.sub(b"\r\n", message)
        try:
            signer = cast(
                "_Signer",
                self._dkim.DKIM(message, signature_algorithm=self.algorithm.encode()),
            )
            signature = signer.sign(
                self.selector.encode(),
                self.domain.encode(),
                self._key,
                identity=None if self._identity is None else self._identity.encode(),
                canonicalize=_CANONICALIZATION,
                include_headers=self._headers,
            )
        except self._dkim.DKIMException as error:
            raise SMTPArgumentError(f"DKIM cannot sign this: {error}") from None
        return signature + message


def _twice_from(headers: Collection[str]) -> list[bytes]:
    names = [name.lower().encode() for name in headers]
    return [*names, b"from"] if names.count(b"from") == 1 else names


def _dkimpy() -> Any:
    try:
        import dkim  # type: ignore[import-untyped]  # it has no annotations
    except ImportError as error:
        raise ImportError("DKIM needs dkimpy: pip install 'wirekit[dkim]'") from error
    return dkim
