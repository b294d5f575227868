"""As much of SQL's lexical structure as one must know to touch a query's text.

Source: PostgreSQL, "Lexical Structure" (4.1); COPY's synopsis.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["is_client_copy", "may_copy", "quote_identifier", "quote_literal", "with_literals"]

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n\r]* )
    | (?P<comment> /\* )
    | (?P<quoted>
          [eE]'(?: [^'\\] | \\. | '' )*'
        | '(?: [^'] | '' )*'
        | "(?: [^"] | "" )*"
        | \$\$ .*? \$\$
        | (?P<tag> \$[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*\$ ) .*? (?P=tag)
      )
    | \$(?P<parameter> [0-9]+ )
    | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def _tokens(query: str) -> Iterator[tuple[str, str]]:
    """Find the tokens of a query: what each is, and its text."""
    position = 0
    while (match := _TOKEN.match(query, position)) is not None:
        kind = match.lastgroup or ""
        end = _comment_end(query, match.end()) if kind == "comment" else match.end()
        yield kind, query[position:end]
        position = end


def _comment_end(query: str, position: int) -> int:
    """Return where a block comment ends; "nested as specified in the SQL standard" (4.1.5)."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(query, position)) is not None:
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(query) if depth else position


def with_literals(query: str, literals: Sequence[str]) -> str:
    """Return a query with an expression in place of each parameter ``$1``, ``$2``, …."""
    pieces: list[str] = []
    for kind, text in _tokens(query):
        number = int(text[1:]) if kind == "parameter" else 0
        pieces.append(literals[number - 1] if 0 < number <= len(literals) else text)
    return "".join(pieces)


def may_copy(query: str) -> bool:
    """Return whether there may be a COPY from or to the client among some commands."""
    words = query.lower()
    return "copy" in words and ("stdin" in words or "stdout" in words)


def is_client_copy(query: str) -> bool:
    """Return whether a single command is COPY from or to the client."""
    if not may_copy(query):
        return False
    depth = 0
    words: list[str] = []
    for kind, text in _tokens(query):
        depth += (text == "(") - (text == ")")
        if depth or kind in ("space", "comment") or (text == ";" and not words):
            continue
        word = text.lower() if kind == "word" else ""
        if not words and word != "copy":
            return False
        if words and words[-1] in ("from", "to"):
            # The grammar takes either for both directions.
            return word in ("stdin", "stdout")
        words.append(word)
    return False


def quote_identifier(name: str) -> str:
    """Return a name as SQL spells it whatever its characters."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return a string as SQL spells it, whatever ``standard_conforming_strings`` is."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted
