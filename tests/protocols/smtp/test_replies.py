"""Replies and enhanced status codes as values; how they are read is in test_codec.py."""

from __future__ import annotations

import pytest

from wirekit import RemoteProtocolError
from wirekit.protocols.smtp import EnhancedStatus, Reply


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((200, "is_positive"), (250, "is_positive"), (299, "is_positive")),
        *((300, "is_intermediate"), (354, "is_intermediate"), (399, "is_intermediate")),
        *((400, "is_transient"), (421, "is_transient"), (499, "is_transient")),
        *((500, "is_permanent"), (571, "is_permanent"), (599, "is_permanent")),
    ],
)
def test_the_first_digit_says_what_a_reply_is(code: int, kind: str) -> None:
    reply = Reply(code, ("",))
    kinds = ["is_positive", "is_intermediate", "is_transient", "is_permanent"]
    assert [name for name in kinds if getattr(reply, name)] == [kind]


ENHANCED: list[tuple[str, int, str, str | None]] = [
    ("RFC 3463 §2", 250, "2.1.0 Ok", "2.1.0"),
    ("RFC 3463 §2", 550, "5.7.1 refused", "5.7.1"),
    ("RFC 3463 §2", 450, "4.999.999 x", "4.999.999"),
    ("RFC 2034 §4: nothing behind it", 250, "2.0.0", "2.0.0"),
    ("RFC 2034 §4: the class is the first digit", 250, "5.7.1 Ok", None),
    ("RFC 3463 §2: three digits at most", 550, "5.1000.1 x", None),
    ("RFC 3463 §2: no leading zeros", 550, "5.07.1 x", None),
    ("RFC 3463 §2: three numbers", 550, "5.7 x", None),
    ("RFC 3463 §2: three numbers", 250, "2.0.0.1 is not known", None),
    ("RFC 3463 §2: digits", 550, "5.7.\u0661 x", None),
    ("RFC 3463 §3: no class 3", 354, "3.0.0 go on", None),
    ("none", 250, "Ok 2.1.0", None),
    ("none", 250, "", None),
    ("none", 250, " 2.1.0 Ok", None),
]


@pytest.mark.parametrize(("code", "line", "status"), [row[1:] for row in ENHANCED])
def test_enhanced_status(code: int, line: str, status: str | None) -> None:
    enhanced = Reply(code, (line,)).enhanced
    assert (None if enhanced is None else str(enhanced)) == status


def test_enhanced_status_is_three_numbers() -> None:
    enhanced = Reply(550, ("5.12.345 x",)).enhanced
    assert enhanced == EnhancedStatus(class_=5, subject=12, detail=345)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("5.7.1 Refused",), "Refused"),
        (("5.7.1",), ""),
        (("5.7.1 Refused:", "5.7.1 see there"), "Refused:\nsee there"),
        (
            ("5.7.1 Refused:", "see there", "5.7.2 and there"),
            "Refused:\nsee there\n5.7.2 and there",
        ),
        (("Refused:", "5.7.1 see there"), "Refused:\n5.7.1 see there"),
        (("",), ""),
    ],
)
def test_text_is_without_the_enhanced_status(lines: tuple[str, ...], text: str) -> None:
    reply = Reply(550, lines)
    assert reply.text == text
    assert reply.lines == lines


CHALLENGES: list[tuple[str, str, bytes]] = [
    ("RFC 4954 §4: no data", "", b""),
    ("RFC 4648 §10", "Zg==", b"f"),
    ("RFC 4648 §10", "Zm9vYmE=", b"fooba"),
    ("LOGIN", "VXNlcm5hbWU6", b"Username:"),
]


@pytest.mark.parametrize(("line", "challenge"), [row[1:] for row in CHALLENGES])
def test_challenge(line: str, challenge: bytes) -> None:
    assert Reply(334, (line,)).challenge == challenge


# RFC 4954 §4: "MUST reject (and not ignore) any character not explicitly allowed by the BASE64
# alphabet, and MUST reject any sequence […] that contains the pad character ('=') anywhere other
# than the end of the string".
NO_CHALLENGES = [
    *("=", "=AAA", "AAA=BBB", "A", "AA", "AAA", "AA=", "Zg==Zg==", "Zg=== ", "Zg==\t", " Zg=="),
    *("Z g=", "Zg==x", "Zg-_", "Zm9v\\xe4", "Zm9vä", "ok. continue", "Zg==="),
]


@pytest.mark.parametrize("line", NO_CHALLENGES)
def test_what_is_no_base64_is_no_challenge(line: str) -> None:
    with pytest.raises(RemoteProtocolError, match="a challenge that is not base64"):
        _ = Reply(334, (line,)).challenge


def test_a_challenge_has_one_line() -> None:
    with pytest.raises(RemoteProtocolError, match="more than one line"):
        _ = Reply(334, ("", "")).challenge


def test_repr_does_not_show_a_challenge() -> None:
    assert repr(Reply(334, ("c2VjcmV0",))) == "Reply(code=334, lines=...)"
    assert repr(Reply(250, ("2.0.0 Ok",))) == "Reply(code=250, lines=('2.0.0 Ok',))"


def test_replies_are_values() -> None:
    assert Reply(250, ("a",)) == Reply(250, ("a",)) != Reply(250, ("b",))
    assert len({Reply(250, ("a",)), Reply(250, ("a",))}) == 1
