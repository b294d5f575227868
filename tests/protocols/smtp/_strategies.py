"""Hypothesis strategies: replies in every spelling, conversations valid and spoilt, mail data."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.protocols.smtp._conversation import GO_ON, GREETING, OK, SENT, Step, ehlo_reply
from wirekit.protocols.smtp import Bdat, Command, Mail, MailData, Noop, Rcpt, Reply

# Mail data that is mostly line endings and dots.
MAIL_DATA = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b".", b"a", b"\0", b"\r\n.\r\n", b"Subject: x\r\n", b"\xff" * 9]
    ),
    max_size=30,
).map(b"".join) | st.binary(max_size=60)
TEXT = MAIL_DATA.map(lambda data: data.replace(b"\0", b"a"))
PLACES = st.lists(st.integers(0, 300), max_size=4)

CODES = st.integers(200, 299) | st.integers(400, 599).filter(lambda code: code != 421)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\t"), max_size=30)
REPLIES = st.builds(Reply, CODES, st.lists(TEXTS, min_size=1, max_size=4).map(tuple))


def wire_of(reply: Reply) -> bytes:
    """Return a reply as a server sends it."""
    lines = [f"{reply.code}-{line}\r\n" for line in reply.lines]
    lines[-1] = lines[-1].replace("-", " ", 1)
    return "".join(lines).encode()


SAID: list[bytes] = [
    *(GREETING, OK, GO_ON, ehlo_reply(), ehlo_reply(b"PIPELINING"), b"334 \r\n", b"235 a\r\n"),
    *(
        b"334 Zm9v\r\n",
        b"220 go\r\n",
        b"550-5.7.1 a\r\n550 5.7.1 b\r\n",
        b"421 bye\r\n",
        b"250\r\n",
    ),
    *(
        b"221 a\r\n",
        b"250-a\r\n",
        b"250 a\n",
        b"250 a\0\r\n",
        b"x\r\n",
        b"334 =\r\n",
        b"\xff",
        b"25",
    ),
    *("250 ü\r\n".encode(), OK * 3, b"250 " + b"x" * 40 + b"\r\n", b"\r", b"\n", b"354-a\r\n"),
]
ARGUMENTS = st.text(max_size=12) | st.sampled_from(["a@b", "\r\n", 'a"b', "a> b", '"a b"@c', ""])


def transaction(path: str, value: str) -> list[Command]:
    """Begin one with these arguments."""
    return [Mail(path, (("SMTPUTF8", None), ("X", value))), Rcpt(path)]


def chunk(data: bytes, last: bool) -> list[Command]:
    """Return a chunk of mail data."""
    return [Bdat(data, last)]


STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.sampled_from([*SENT, "tls"]),
        st.sampled_from(SAID),
        st.binary(max_size=8),
        MAIL_DATA.map(lambda data: [MailData(data)]),
        st.builds(chunk, MAIL_DATA, st.booleans()),
        st.builds(transaction, ARGUMENTS, ARGUMENTS),
        ARGUMENTS.map(lambda text: [Noop(text)]),
    ),
    max_size=12,
)
OPENING: list[Step] = [GREETING, "ehlo", ehlo_reply()]
CONVERSATIONS = st.one_of(STEPS, STEPS.map(lambda steps: [*OPENING, *steps]))
LIMITS = st.one_of(
    st.just(dict[str, int]()),
    st.fixed_dictionaries(
        {"max_line_length": st.integers(16, 64), "max_reply_length": st.integers(64, 300)}
    ),
)
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict[str, Any], LIMITS, lmtp=st.booleans(), allow_bare_lf=st.booleans()
)
