"""What a server says it can do, in its reply to EHLO (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._replies import Reply

__all__ = ["Capabilities", "FutureRelease", "Limits"]

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*", re.ASCII)
# AUTH=LOGIN is how some servers offered it before RFC 2554, and after it as well.
_OLD_AUTH = re.compile(r"^AUTH=", re.ASCII | re.IGNORECASE)


class Limits(NamedTuple):
    """The limits of one session (RFC 9422 §4); None where the server names none."""

    mailmax: int | None = None
    rcptmax: int | None = None
    rcptdomainmax: int | None = None


class FutureRelease(NamedTuple):
    """How long a message may be held (RFC 4865 §3); None where the server's word is unreadable.

    Attributes:
        max_seconds: the greatest HOLDFOR.
        max_date: the latest HOLDUNTIL, with its timezone.
    """

    max_seconds: int | None = None
    max_date: datetime | None = None


def _no_keywords() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions that a server offers; none of them if it was greeted with HELO.

    A parameter that breaks its extension's grammar is taken as missing.

    Attributes:
        domain: what the server calls itself.
        size: bytes of the largest message (RFC 1870 §4), 0 if there is no fixed limit, None if
            SIZE is not offered.
        pipelining: RFC 2920.
        chunking: BDAT (RFC 3030).
        binarymime: RFC 3030.
        eightbitmime: RFC 6152.
        smtputf8: RFC 6531.
        dsn: delivery status notifications (RFC 3461).
        starttls: RFC 3207.
        auth: the SASL mechanisms, in upper case (RFC 4954).
        enhanced_status_codes: RFC 2034.
        requiretls: RFC 8689.
        limits: RFC 9422; None if not offered.
        deliverby: seconds that BY must ask for at least (RFC 2852 §4), 0 if there is no fixed
            minimum, None if not offered.
        futurerelease: RFC 4865; None if not offered.
        keywords: the parameters of every keyword as they came, by the keyword in upper case.
    """

    domain: str = ""
    size: int | None = None
    pipelining: bool = False
    chunking: bool = False
    binarymime: bool = False
    eightbitmime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    starttls: bool = False
    auth: frozenset[str] = frozenset()
    enhanced_status_codes: bool = False
    requiretls: bool = False
    limits: Limits | None = None
    deliverby: int | None = None
    futurerelease: FutureRelease | None = None
    keywords: Mapping[str, str] = field(default_factory=_no_keywords)


def read_capabilities(reply: Reply) -> Capabilities:
    """Return what a positive reply to EHLO, LHLO or HELO tells.

    Lines that are no keyword with parameters are left out.
    """
    keywords: dict[str, str] = {}
    for line in reply.lines[1:]:
        word, _, parameters = _OLD_AUTH.sub("AUTH ", line).partition(" ")
        if _KEYWORD.fullmatch(word) is None:
            continue
        keyword = word.upper()
        if keyword == "AUTH" and keyword in keywords:
            keywords[keyword] += f" {parameters}"
        else:
            keywords.setdefault(keyword, parameters)
    return Capabilities(
        domain=reply.lines[0].partition(" ")[0],
        size=_number(keywords.get("SIZE"), 20),
        pipelining="PIPELINING" in keywords,
        chunking="CHUNKING" in keywords,
        binarymime="BINARYMIME" in keywords,
        eightbitmime="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        dsn="DSN" in keywords,
        starttls="STARTTLS" in keywords,
        auth=frozenset(keywords.get("AUTH", "").upper().split()),
        enhanced_status_codes="ENHANCEDSTATUSCODES" in keywords,
        requiretls="REQUIRETLS" in keywords,
        limits=_limits(keywords["LIMITS"].split()) if "LIMITS" in keywords else None,
        deliverby=_number(keywords.get("DELIVERBY"), 9),
        futurerelease=_future_release(keywords.get("FUTURERELEASE")),
        keywords=MappingProxyType(keywords),
    )


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits


def _number(text: str | None, digits: int) -> int | None:
    """Return a parameter of so many digits at most, 0 if it is none, None if not offered."""
    if text is None:
        return None
    text = text.strip()
    return int(text) if _is_number(text, digits) else 0


def _limits(parameters: Iterable[str]) -> Limits:
    found: dict[str, int] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name = name.lower()
        # "%x31-39 0*5DIGIT": never zero
        if name in Limits._fields and _is_number(value, 6) and value[0] != "0":
            found.setdefault(name, int(value))
    return Limits(**found)


def _future_release(parameters: str | None) -> FutureRelease | None:
    if parameters is None:
        return None
    seconds, _, date = parameters.strip().partition(" ")
    return FutureRelease(int(seconds) if _is_number(seconds, 9) else None, _date(date))


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else None
