from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.adapters._saslprep import saslprep


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        # RFC 4013 §3
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # ... where RFC 4013 forbids, PostgreSQL takes the password as it is
        ("\u0007", "\u0007"),
        ("\u06271", "\u06271"),
        # RFC 3454 §6: right to left throughout; a left-to-right letter within; neither
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
        ("\u0627a\u0628", "\u0627a\u0628"),
        ("\u0627\ufe8e", "\u0627\u0627"),
        ("\u0627a\ufe8e", "\u0627a\ufe8e"),
        ("a\u2168\u0627", "a\u2168\u0627"),
        # spaces, and U+200B, which PostgreSQL maps to a space
        ("a\u00a0b\u3000c", "a b c"),
        ("a\u200bb", "a b"),
        # nothing would be left; unassigned in Unicode 3.2; a control character
        ("\u00ad", "\u00ad"),
        ("\u2168\U0001f600", "\u2168\U0001f600"),
        ("\u2168\n", "\u2168\n"),
        # forbidden as it stands, although normalized it would not be
        ("\u2168\u0340", "\u2168\u0340"),
        ("", ""),
    ],
)
def test_as_postgresql_does(password: str, expected: str) -> None:
    assert saslprep(password) == expected.encode()


def test_bytes_that_are_not_utf_8_stay_as_they_are() -> None:
    assert saslprep(b"\xffab\xe2\x85\xa8".decode("utf-8", "surrogateescape")) == (
        b"\xffab\xe2\x85\xa8"
    )


@given(st.text(st.characters(codec="ascii")))
def test_ascii_stays_as_it_is(password: str) -> None:
    assert saslprep(password) == password.encode()


@given(st.text(st.characters(codec="utf-8")))
def test_is_idempotent(password: str) -> None:
    once = saslprep(password)
    assert saslprep(once.decode()) == once
