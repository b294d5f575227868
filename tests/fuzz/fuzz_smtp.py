"""Whatever a server says and wherever it is cut, the SMTP codec gives the same outcome.

RemoteProtocolError is the only exception that the server's bytes cause, LocalProtocolError what we
send at a wrong moment. Whatever the arguments, commands are one line each; whatever the mail data,
a strict server reads it, and its end at the end.

An input is a list of steps: a letter of `LETTERS` is something that the client sends, or the end of
the TLS handshake; a null is followed by a length, in one byte, and as many bytes from the server;
and the numbers of `PARTS` by the same, which then is part of what the client sends.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tests.fuzz._atheris import fuzz
from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.smtp._conversation import (
    GREETING,
    converse,
    ehlo_reply,
    is_one_line_each,
    naive_line_endings,
    naive_transparency,
    read_mail_data,
    whole,
)
from wirekit.protocols.smtp import (
    Bdat,
    Codec,
    Ehlo,
    EndOfMailData,
    Mail,
    MailData,
    Noop,
    Rcpt,
    Transparency,
    Vrfy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.protocols.smtp._conversation import Step
    from wirekit.protocols.smtp import Command

LETTERS: dict[int, str] = {
    **dict(zip(b"elhsTq", ("ehlo", "lhlo", "helo", "starttls", "tls", "quit"), strict=True)),
    **dict(zip(b"abpc", ("auth", "bare auth", "response", "cancel"), strict=True)),
    **dict(zip(b"muBrRd", ("mail", "utf8 mail", "binary mail", "rcpt", "utf8 rcpt", "data"),
               strict=True)),
    **dict(zip(b"EtzN", ("end", "transaction", "rset", "nothing"), strict=True)),
    **dict(zip(b"nHvxX", ("noop", "help", "vrfy", "expn", "etrn"), strict=True)),
}  # fmt: skip


def text_of(data: bytes) -> str:
    """Return any argument, lone surrogates included."""
    return data.decode("utf-8", "surrogateescape")


PARTS: dict[int, Callable[[bytes], Sequence[Command]]] = {
    1: lambda data: [MailData(data)],
    2: lambda data: [MailData(data), EndOfMailData()],
    3: lambda data: [Bdat(data)],
    4: lambda data: [Bdat(data, last=True)],
    5: lambda data: [Mail(text_of(data)), Rcpt(text_of(data))],
    6: lambda data: [Mail("", (("SMTPUTF8", None), ("X", text_of(data)))), Rcpt(text_of(data))],
    7: lambda data: [Noop(text_of(data))],
    8: lambda data: [Ehlo(text_of(data))],
    9: lambda data: [Vrfy(text_of(data), smtputf8=True)],
}
OPENED: list[Step] = [GREETING, "ehlo", ehlo_reply()]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"lmtp": True, "allow_bare_lf": True, "max_line_length": 32, "max_reply_length": 300},
]
BODIES = (MailData, EndOfMailData, Bdat)


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    random = Random(crc32(data))
    places = [random.randrange(len(data) + 1) for _ in range(4)]
    steps = unpack(data)
    for settings in SETTINGS:
        reference = converse(Codec(**settings), steps)
        for cut in (whole, one_by_one, partial(cut_at, places=places)):
            result = converse(Codec(**settings), steps, cut)
            if result != reference:
                raise AssertionError(f"{result} of {steps}, but {reference} of the whole")
        for commands, wire in reference.sent:
            has_body = any(isinstance(command, BODIES) for command in commands)
            if not has_body and not is_one_line_each(commands, wire):
                raise AssertionError(f"{wire!r} of {commands}")
    encoder = Transparency()
    wire = b"".join(map(encoder.feed, cut_at(data, places))) + encoder.end()
    if wire != naive_transparency(data):
        raise AssertionError(f"{wire!r} of {data!r} cut at {places}")
    if read_mail_data(wire) != (naive_line_endings(data), b""):
        raise AssertionError(f"a server reads {wire!r} as something else")


def unpack(data: bytes) -> list[Step]:
    """Return the steps; ``.`` stands for all of an opening, and other bytes for nothing."""
    steps: list[Step] = []
    position = 0
    while position < len(data):
        kind = data[position]
        position += 1
        if kind == ord("."):
            steps += OPENED
        elif (kind == 0 or kind in PARTS) and position < len(data):
            end = position + 1 + data[position]
            piece = data[position + 1 : end]
            steps.append(PARTS[kind](piece) if kind else piece)
            position = end
        elif kind in LETTERS:
            steps.append(LETTERS[kind])
    return steps


def pack(*steps: str | bytes | tuple[int, bytes]) -> bytes:
    """Return an input of these steps; a tuple is one of `PARTS`, "opened" all of an opening."""
    letters = {name: letter for letter, name in LETTERS.items()}
    packed = bytearray()
    for step in steps:
        if isinstance(step, str):
            packed.append(ord(".") if step == "opened" else letters[step])
            continue
        kind, said = (0, step) if isinstance(step, bytes) else step
        for start in range(0, len(said), 255):
            piece = said[start : start + 255]
            packed += bytes([kind, len(piece)]) + piece
    return bytes(packed)


if __name__ == "__main__":
    names = ("codec", "_requests", "_replies", "_commands", "_capabilities", "_body")
    fuzz(check, *[import_module(f"wirekit.protocols.smtp.{name}") for name in names])
