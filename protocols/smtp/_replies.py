"""Replies (RFC 5321 §4.2) and their enhanced status codes (RFC 2034, RFC 3463)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import NamedTuple

from wirekit._errors import RemoteProtocolError

__all__ = ["EnhancedStatus", "Reply"]

# class "." subject "." detail, without leading zeros (RFC 3463 §2)
_ENHANCED_STATUS = re.compile(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?: |\Z)")


class EnhancedStatus(NamedTuple):
    """An enhanced mail system status code, ``str`` of which is such as ``"5.7.1"``."""

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A whole reply.

    Attributes:
        code: 200 to 599.
        lines: the text of each line as it came, one at least; it may hold the enhanced status.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def enhanced(self) -> EnhancedStatus | None:
        """The enhanced status in front of the text, if its class is the code's first digit."""
        found = _ENHANCED_STATUS.match(self.lines[0])
        if found is None or int(found[1]) != self.code // 100:
            return None
        return EnhancedStatus(*map(int, found.groups()))

    @property
    def text(self) -> str:
        """The lines, each without the enhanced status, joined by newlines."""
        enhanced = self.enhanced
        if enhanced is None:
            return "\n".join(self.lines)
        return "\n".join(_without(str(enhanced), line) for line in self.lines)

    @property
    def is_positive(self) -> bool:
        """2yz: done."""
        return self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """3yz: go on (354 to DATA, 334 to AUTH)."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: refused for now; the same may be tried later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: refused for good."""
        return self.code >= 500

    @property
    def challenge(self) -> bytes:
        """What the server asks in a 334 (RFC 4954 §4).

        Raises:
            RemoteProtocolError: it is not base64; never for a reply that a `Codec` gave.
        """
        return decode_challenge(self.lines)

    def __repr__(self) -> str:
        # A challenge is authentication data.
        lines = "..." if self.code == 334 else repr(self.lines)
        return f"Reply(code={self.code}, lines={lines})"


def decode_challenge(lines: tuple[str, ...]) -> bytes:
    """Return the bytes of a 334 reply's only line: base64, without anything else in it.

    Raises:
        RemoteProtocolError: there are more lines, or it is not base64.
    """
    if len(lines) != 1:
        raise RemoteProtocolError("a challenge of more than one line")
    try:
        return binascii.a2b_base64(lines[0], strict_mode=True)
    except ValueError:  # its message may tell of the data
        raise RemoteProtocolError("a challenge that is not base64") from None


def _without(prefix: str, line: str) -> str:
    word, _, rest = line.partition(" ")
    return rest if word == prefix else line
