"""The keywords of EHLO's reply, each with its section."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.protocols._outcome import shown
from wirekit.protocols.smtp import Capabilities, FutureRelease, Limits, Reply
from wirekit.protocols.smtp._capabilities import read_capabilities


def capabilities(*lines: str) -> Capabilities:
    return read_capabilities(Reply(250, ("mx.example greets you", *lines)))


OFFERED: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("RFC 5321 §4.1.1.1", (), {}),
    ("RFC 5321 §4.1.1.1: in any case", ("pipelining",), {"pipelining": True}),
    ("RFC 5321 §4.1.1.1: others", ("X-ONE a b", "HELP"), {}),
    ("RFC 5321 §4.1.1.1: no keyword", ("", " SIZE 1", "-PIPELINING", "DSN:", "STARTTLS\t"), {}),
    ("RFC 1870 §3", ("SIZE 10240000",), {"size": 10240000}),
    ("RFC 1870 §3: no fixed limit", ("SIZE 0",), {"size": 0}),
    ("RFC 1870 §3: no information", ("SIZE",), {"size": 0}),
    ("RFC 1870 §3: 20 digits", ("SIZE 99999999999999999999",), {"size": 10**20 - 1}),
    ("RFC 1870 §3: too many", ("SIZE 100000000000000000000",), {"size": 0}),
    ("RFC 1870 §3: no digits", ("SIZE -1",), {"size": 0}),
    ("RFC 1870 §3: no digits", ("SIZE 1_0",), {"size": 0}),
    ("RFC 1870 §3: no digits", ("SIZE \\xb2",), {"size": 0}),
    ("RFC 1870 §3: no digits", ("SIZE ²",), {"size": 0}),
    ("RFC 1870 §3: the first counts", ("SIZE 1", "SIZE 2"), {"size": 1}),
    ("RFC 2920", ("PIPELINING",), {"pipelining": True}),
    ("RFC 3030", ("CHUNKING", "BINARYMIME"), {"chunking": True, "binarymime": True}),
    ("RFC 6152", ("8BITMIME",), {"eightbitmime": True}),
    ("RFC 6531 §3.1: parameters are ignored", ("SMTPUTF8 x",), {"smtputf8": True}),
    ("RFC 3461", ("DSN",), {"dsn": True}),
    ("RFC 3207", ("STARTTLS",), {"starttls": True}),
    ("RFC 2034", ("ENHANCEDSTATUSCODES",), {"enhanced_status_codes": True}),
    ("RFC 8689", ("REQUIRETLS",), {"requiretls": True}),
    ("RFC 4954 §3", ("AUTH PLAIN scram-sha-256",), {"auth": frozenset({"PLAIN", "SCRAM-SHA-256"})}),
    ("RFC 4954 §3: empty", ("AUTH",), {"auth": frozenset()}),
    ("before RFC 2554", ("AUTH=LOGIN PLAIN",), {"auth": frozenset({"LOGIN", "PLAIN"})}),
    ("both", ("AUTH PLAIN", "auth=LOGIN"), {"auth": frozenset({"LOGIN", "PLAIN"})}),
    ("not a parameter", ("X-AUTH AUTH=LOGIN",), {}),
    ("RFC 9422 §4", ("LIMITS",), {"limits": Limits()}),
    (
        "RFC 9422 §4",
        ("LIMITS MAILMAX=5 RCPTMAX=100 rcptdomainmax=3",),
        {"limits": Limits(5, 100, 3)},
    ),
    ("RFC 9422 §4: unknown limits", ("LIMITS XMAX=5 RCPTMAX=1",), {"limits": Limits(rcptmax=1)}),
    ("RFC 9422 §4: never zero", ("LIMITS MAILMAX=0 RCPTMAX=01",), {"limits": Limits()}),
    ("RFC 9422 §4: six digits", ("LIMITS MAILMAX=1000000",), {"limits": Limits()}),
    ("RFC 9422 §4: no number", ("LIMITS MAILMAX= RCPTMAX=x RCPTDOMAINMAX",), {"limits": Limits()}),
    ("RFC 2852 §4", ("DELIVERBY 120",), {"deliverby": 120}),
    ("RFC 2852 §4: no minimum", ("DELIVERBY",), {"deliverby": 0}),
    (
        "RFC 4865 §3",
        ("FUTURERELEASE 86400 2030-01-02T03:04:05Z",),
        {"futurerelease": FutureRelease(86400, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))},
    ),
    (
        "RFC 4865 §3",
        ("FUTURERELEASE 1 2030-01-02T03:04:05+01:00",),
        {
            "futurerelease": FutureRelease(
                1, datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
            )
        },
    ),
    (
        "RFC 4865 §3: unreadable",
        ("FUTURERELEASE 1e9 1209600",),
        {"futurerelease": FutureRelease()},
    ),
    (
        "RFC 4865 §3: without a timezone",
        ("FUTURERELEASE 1 2030-01-02T03:04:05",),
        {"futurerelease": FutureRelease(1)},
    ),
    ("RFC 4865 §3: empty", ("FUTURERELEASE",), {"futurerelease": FutureRelease()}),
]


@pytest.mark.parametrize(("lines", "expected"), [row[1:] for row in OFFERED], ids=shown)
def test_offered(lines: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = capabilities(*lines)
    assert found == Capabilities(domain="mx.example", keywords=found.keywords, **expected)


def test_keywords_are_kept_with_their_parameters() -> None:
    found = capabilities("size 5", "X-ONE  a b", "HELP", "AUTH A", "AUTH=B")
    assert found.keywords == {"SIZE": "5", "X-ONE": " a b", "HELP": "", "AUTH": "A B"}


def test_keywords_cannot_be_changed() -> None:
    keywords: Any = capabilities("HELP").keywords
    with pytest.raises(TypeError):
        keywords["STARTTLS"] = ""


def test_nothing_is_offered_by_default() -> None:
    assert Capabilities() == Capabilities(domain="", keywords={})
    assert Capabilities().limits is None
