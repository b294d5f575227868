"""Mail addresses: the grammar of RFC 5321 §4.1.2, and that of RFC 6531 §3.3 for SMTPUTF8."""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from ._errors import SMTPArgumentError

__all__ = ["domain_of", "parse_address"]

_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\U0010ffff]"
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_QUOTED_STRING = r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"'
_MAILBOX = re.compile(rf"({_DOT_STRING}|{_QUOTED_STRING})@(\[[!-Z^-~]+\]|[^\[\]@]+)")
# A display name, which goes no further: words, quoted strings, and dots, as people write them. No
# repetition within the repetition, which a long word would turn into hours.
_NAMED = re.compile(rf'(?:{_ATEXT}|[. \t]|{_QUOTED_STRING})*<([^<>"]*|{_QUOTED_STRING}@[^<>"]*)>')
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
_GENERAL_LITERAL = re.compile(r"[A-Za-z0-9\-]*[A-Za-z0-9]:[!-Z^-~]+")

_MOST_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1
_MOST_DOMAIN = 255  # §4.5.3.1.2
_MOST_LABEL = 63  # RFC 1035 §2.3.4
_MOST_TEXT = 4096  # nothing longer is looked at; a display name may be part of it
_SHOWN = 60

# What no mailbox is called, and what would look like something else in a log.
_NOT_IN_LOCAL_PARTS = {"Cc", "Cs", "Zs", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox, without angle brackets; both forms are empty for the null reverse-path.

    Attributes:
        text: as it goes over a wire with SMTPUTF8.
        ascii: as it goes over any wire, the domain in A-labels (RFC 5890); None if the local part
            is not ASCII, and the mail needs SMTPUTF8.
    """

    text: str
    ascii: str | None


@functools.lru_cache(maxsize=4096)
def parse_address(text: str) -> Address:
    """Parse ``local@domain``, also with a name before it: ``Name <local@domain>``.

    Empty stands for the null reverse-path. The only mailbox without a domain is ``postmaster``
    (RFC 5321 §4.1.1.3).

    Raises:
        SMTPArgumentError: it is no address.
    """
    if len(text) > _MOST_TEXT:
        raise _wrong(text, "is too long")
    named = _NAMED.fullmatch(text.strip(" "))
    mailbox = text.strip(" ") if named is None else named[1]
    if not mailbox:
        return Address("", "")
    if mailbox.lower() == "postmaster":
        return Address(mailbox, mailbox)
    found = _MAILBOX.fullmatch(mailbox)
    if found is None:
        raise _wrong(text, "is not of the form local-part@domain (RFC 5321 §4.1.2)")
    local_part, domain = found.groups()
    _check_local_part(text, local_part)
    if domain.startswith("["):
        _check_literal(text, domain[1:-1])
        a_labels = domain
    else:
        domain, a_labels = _domains(text, domain)
    ascii_form = f"{local_part}@{a_labels}" if local_part.isascii() else None
    return Address(f"{local_part}@{domain}", ascii_form)


def domain_of(path: str) -> str:
    """Return the domain of a path in lower case; empty if it has none."""
    return path.rpartition("@")[2].lower() if "@" in path else ""


def _check_local_part(text: str, local_part: str) -> None:
    try:
        size = len(local_part.encode())
    except UnicodeEncodeError:
        raise _wrong(text, "holds a lone surrogate") from None
    if size > _MOST_LOCAL_PART:
        raise _wrong(text, f"has a local part of more than {_MOST_LOCAL_PART} bytes")
    if not local_part.isascii() and _NOT_IN_LOCAL_PARTS.intersection(
        unicodedata.category(character) for character in local_part if not character.isascii()
    ):
        raise _wrong(text, "has a space or control character in its local part")


def _check_literal(text: str, literal: str) -> None:
    """RFC 5321 §4.1.3."""
    try:
        if literal[:5].lower() == "ipv6:":
            if ipaddress.IPv6Address(literal[5:]).scope_id is not None:
                raise ValueError
        elif _GENERAL_LITERAL.fullmatch(literal) is None:
            ipaddress.IPv4Address(literal)
    except ValueError:
        raise _wrong(text, "has no IP address between its brackets") from None


def _domains(text: str, domain: str) -> tuple[str, str]:
    """Return a domain with U-labels and with A-labels."""
    if domain.isascii():
        u_labels, a_labels = [domain], domain.split(".")
    else:
        # RFC 5895 §2: what is left of mapping where a wrong guess would be another's domain.
        u_labels = unicodedata.normalize("NFC", domain.lower()).split(".")
        a_labels = [_a_label(text, label) for label in u_labels]
    if any(len(label) > _MOST_LABEL or not _LABEL.fullmatch(label) for label in a_labels):
        raise _wrong(text, "has no domain name behind its @")
    found = ".".join(a_labels)
    if len(found) > _MOST_DOMAIN:
        raise _wrong(text, f"has a domain of more than {_MOST_DOMAIN} bytes")
    return ".".join(u_labels), found


def _a_label(text: str, label: str) -> str:
    """Return a label's ASCII form (RFC 5891 §4), without the registry's finer rules.

    Not by Python's codec, which knows IDNA of 2003 only: ß would become ss, another domain.
    """
    if label.isascii():
        return label
    if (
        unicodedata.normalize("NFKC", label) != label
        or label[2:4] == "--"
        or label.strip("-") != label
        or unicodedata.category(label[0])[0] == "M"
        or not all(
            unicodedata.category(character)[0] in "LMN" or character == "-" for character in label
        )
    ):
        raise _wrong(text, "has a domain that is no internationalized one (RFC 5891 §4)")
    return f"xn--{label.encode('punycode').decode('ascii')}"


def _wrong(text: str, why: str) -> SMTPArgumentError:
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
    return SMTPArgumentError(f"the address {shown} {why}")
