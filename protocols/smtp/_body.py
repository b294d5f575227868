"""The encodings of mail data: lines that end in CRLF, and transparency (RFC 5321 §4.5.2)."""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

__all__ = ["LineEndings", "Transparency"]

_ONLY_CRLF = (None, "\r\n")


class LineEndings:
    """Turns every line ending into CRLF, as text must have it, in pieces cut anywhere.

    A CR without LF, or an LF without CR, is a line ending of its own, so neither is ever sent
    alone (RFC 5321 §2.3.8). A CR that ends a piece is kept until the next shows what it is.
    """

    __slots__ = ("_at_line_start", "_cr", "_newlines")

    def __init__(self) -> None:
        # The quickest look at all line endings that Python has: one pass, in C.
        self._newlines = IncrementalNewlineDecoder(None, translate=False)
        self._at_line_start = True
        self._cr = False  # the last piece ended in CR, which is not given out yet

    def feed(self, data: Buffer) -> bytes:
        """Return the encoded piece: ``data`` itself if it is ``bytes`` and needs no change."""
        piece = data if type(data) is bytes else bytes(memoryview(data))
        if not piece:
            return piece
        if self._cr:
            piece = b"\r" + piece
        self._cr = piece.endswith(b"\r")
        if self._cr:
            piece = piece[:-1]
            if not piece:
                return piece
        if not self._has_only_crlf(piece):
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        piece = self._encode_lines(piece)
        self._at_line_start = piece.endswith(b"\r\n")
        return piece

    def end(self) -> bytes:
        """Return what the last line lacks, and be as new."""
        missing = b"" if self._at_line_start and not self._cr else b"\r\n"
        self._at_line_start = True
        self._cr = False
        return missing

    def _has_only_crlf(self, piece: bytes) -> bool:
        """Return whether each CR is before an LF, and each LF behind a CR."""
        self._newlines.reset()
        self._newlines.decode(piece.decode("latin-1"), final=True)
        return self._newlines.newlines in _ONLY_CRLF

    def _encode_lines(self, piece: bytes) -> bytes:
        return piece


class Transparency(LineEndings):
    """The same, and what DATA needs: a dot before each line's leading dot, and the end.

    So the end of the mail data is the one and only line of a single dot, whatever the data.
    """

    __slots__ = ()

    def end(self) -> bytes:
        """Return what the last line lacks, and the end of mail data indicator."""
        return super().end() + b".\r\n"

    def _encode_lines(self, piece: bytes) -> bytes:
        # Backwards, because CPython searches faster so.
        if piece.rfind(b"\r\n.") >= 0:
            piece = piece.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and piece.startswith(b"."):
            return b"." + piece
        return piece
