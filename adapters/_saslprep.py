"""SASLprep (RFC 4013) of passwords, as forgiving as PostgreSQL's."""

from __future__ import annotations

import unicodedata
from stringprep import (
    in_table_a1,
    in_table_b1,
    in_table_c3,
    in_table_c4,
    in_table_c5,
    in_table_c6,
    in_table_c7,
    in_table_c8,
    in_table_c9,
    in_table_c12,
    in_table_c21_c22,
    in_table_d1,
    in_table_d2,
)

__all__ = ["saslprep"]

_PROHIBITED = (
    in_table_a1,
    in_table_c12,
    in_table_c21_c22,
    in_table_c3,
    in_table_c4,
    in_table_c5,
    in_table_c6,
    in_table_c7,
    in_table_c8,
    in_table_c9,
)


def saslprep(password: str) -> bytes:
    """Return the bytes that a server hashed when the password was set.

    As in PostgreSQL, and for servers that know no SASLprep: a password that it forbids is taken as
    it is, ASCII always, and what is forbidden is looked for before normalizing, where RFC 4013 §2.3
    says after (src/common/saslprep.c). Lone surrogates stand for bytes that are not UTF-8, as
    Python reads them from the environment.

    Raises:
        UnicodeEncodeError: a surrogate stands for no byte.
    """
    raw = password.encode("utf-8", "surrogateescape")
    if password.isascii():
        return raw
    # U+200B is in both tables, and a space is what PostgreSQL makes of it.
    mapped = "".join(
        " " if in_table_c12(character) else character
        for character in password
        if in_table_c12(character) or not in_table_b1(character)
    )
    if not mapped or _forbidden(mapped):
        return raw
    return unicodedata.normalize("NFKC", mapped).encode()


def _forbidden(text: str) -> bool:
    if any(in_table(character) for character in text for in_table in _PROHIBITED):
        return True
    if not any(map(in_table_d1, text)):
        return False
    # RFC 3454 §6: right to left from the first to the last, and nothing left to right between.
    return not in_table_d1(text[0]) or not in_table_d1(text[-1]) or any(map(in_table_d2, text))
