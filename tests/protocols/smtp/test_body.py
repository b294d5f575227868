"""The encodings of mail data, against vectors and against the known smuggling sequences."""

from __future__ import annotations

import re
from array import array
from typing import Any

import pytest

from tests.protocols._outcome import one_by_one, shown
from tests.protocols.smtp._conversation import (
    naive_line_endings,
    naive_transparency,
    read_mail_data,
)
from wirekit.protocols.smtp import LineEndings, Transparency

VECTORS: list[tuple[str, bytes, bytes]] = [
    ("RFC 5321 §4.1.1.4: nothing", b"", b".\r\n"),
    ("RFC 5321 §4.1.1.4: the last line ends", b"a\r\n", b"a\r\n.\r\n"),
    ("RFC 5321 §4.1.1.4: the last line does not end", b"a", b"a\r\n.\r\n"),
    ("RFC 5321 §4.5.2: the first dot", b".", b"..\r\n.\r\n"),
    ("RFC 5321 §4.5.2: a leading dot", b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
    ("RFC 5321 §4.5.2: two dots", b"..\r\n..\r\n", b"...\r\n...\r\n.\r\n"),
    ("RFC 5321 §4.5.2: the end", b"a\r\n.\r\nb", b"a\r\n..\r\nb\r\n.\r\n"),
    ("RFC 5321 §4.5.2: a dot inside", b"a.\r\nb.c\r\n", b"a.\r\nb.c\r\n.\r\n"),
    ("RFC 5321 §4.5.2: after an empty line", b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
    ("RFC 5321 §2.3.8: LF", b"a\nb\n\n.c\n", b"a\r\nb\r\n\r\n..c\r\n.\r\n"),
    ("RFC 5321 §2.3.8: CR", b"a\rb\r\r.c\r", b"a\r\nb\r\n\r\n..c\r\n.\r\n"),
    ("RFC 5321 §2.3.8: CR CR LF", b"a\r\r\n.b", b"a\r\n\r\n..b\r\n.\r\n"),
    ("RFC 5321 §2.3.8: LF CR", b"a\n\r.b", b"a\r\n\r\n..b\r\n.\r\n"),
    ("RFC 5321 §2.3.8: mixed", b"a\r\nb\n", b"a\r\nb\r\n.\r\n"),
    ("RFC 5321 §2.3.8: a CR at the end", b"a\r\nb\r", b"a\r\nb\r\n.\r\n"),
    ("all bytes", bytes(range(256)), b"".join([
        bytes(range(10)), b"\r\n\x0b\x0c\r\n", bytes(range(14, 256)), b"\r\n.\r\n",
    ])),
]  # fmt: skip


def encode(encoder: LineEndings, pieces: list[bytes]) -> bytes:
    return b"".join(map(encoder.feed, pieces)) + encoder.end()


@pytest.mark.parametrize(("data", "encoded"), [row[1:] for row in VECTORS], ids=shown)
def test_transparency(data: bytes, encoded: bytes) -> None:
    encoder = Transparency()
    assert encode(encoder, [data]) == encoded
    assert encode(encoder, [data]) == encoded  # as new after its end
    assert naive_transparency(data) == encoded


@pytest.mark.parametrize("data", [row[1] for row in VECTORS], ids=shown)
def test_line_endings(data: bytes) -> None:
    assert encode(LineEndings(), [data]) == naive_line_endings(data)
    assert encode(LineEndings(), one_by_one(data)) == naive_line_endings(data)


@pytest.mark.parametrize("data", [row[1][:20] for row in VECTORS], ids=shown)
def test_every_cut_in_two_and_three(data: bytes) -> None:
    encoded = naive_transparency(data)
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            pieces = [data[:first], data[first:second], data[second:]]
            assert encode(Transparency(), pieces) == encoded
    assert encode(Transparency(), one_by_one(data)) == encoded


def test_what_needs_no_change_is_given_back_itself() -> None:
    data = b"Subject: x\r\n\r\nNo dots, no bare line endings.\r\n" * 1000
    for encoder in (Transparency(), LineEndings()):
        assert encoder.feed(data) is data
        assert encoder.feed(data) is data
    assert Transparency().feed(b"x") == b"x"


@pytest.mark.parametrize(
    "data", [bytearray(b"a\n.b"), memoryview(b"a\n.b"), memoryview(array("B", b"a\n.b"))], ids=shown
)
def test_any_buffer(data: Any) -> None:
    assert Transparency().feed(data) == b"a\r\n..b"


def test_what_is_given_out_does_not_change_with_the_buffer() -> None:
    buffer = bytearray(b"abc\r\n")
    encoded = Transparency().feed(buffer)
    buffer[:] = b"xxxxx"
    assert encoded == b"abc\r\n"


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
def test_what_is_no_buffer_is_refused_and_harms_nothing(data: Any) -> None:
    encoder = Transparency()
    encoder.feed(b"a\r")
    with pytest.raises(TypeError):
        encoder.feed(data)
    assert encoder.feed(b"\n") + encoder.end() == b"\r\n.\r\n"


# Sequences that one server or another has taken for the end of mail data ("SMTP smuggling",
# CVE-2023-51764, CVE-2023-51765, CVE-2023-51766, and what was tried beside them).
NEWLINES = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b"\n\n", b"\r\r")
ENDS = [
    *(before + b"." + after for before in NEWLINES for after in NEWLINES),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\r\0\n.\r\n", b"\r\n\0.\n", b"\n\0.\r\n"),
    *(b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n .\r\n", b"\r\n..\r\n", b"\r\n.\r\n.\r\n", b".\r\n"),
    *(b"\x0b.\x0b", b"\x0c.\x0c", b"\x85.\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\x1a.\x1a"),
    *(b"\x8d\x8a.\x8d\x8a", b"\r\n\xae\r\n", b"\xe2\x80\xa4\r\n", b"\r\n\xff.\r\n"),
]
INJECTED = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n"
# Every line ending that a server may know, around a dot alone.
ANY_END = re.compile(rb"(?:\A|\r\n|\r|\n)\.(?:\r\n|\r|\n)")


@pytest.mark.parametrize("sequence", ENDS, ids=shown)
def test_nothing_ends_the_mail_data_but_its_end(sequence: bytes) -> None:
    for before in (b"", b"x", b"Subject: x\r\n\r\nfirst", b"first\r\n", b"a\r"):
        for after in (b"", INJECTED, b"x"):
            data = before + sequence + after
            for cut in range(len(before), len(before + sequence) + 1):
                wire = encode(Transparency(), [data[:cut], data[cut:]])
                received, rest = read_mail_data(wire)
                assert rest == b""
                assert received == naive_line_endings(data)
                (end,) = ANY_END.finditer(wire)
                assert end.end() == len(wire)
