"""Whatever a peer says, all builds and all ways to cut it give the same outcome.

Each codec meets the same bytes whole, one by one and cut at random places. `Violation` is the only
exception that the peer's bytes cause, LocalProtocolError what we send at a wrong moment.

An input begins with a letter of `ENDS`, for who we are. Steps follow: a letter of `LETTERS` is
something that we send; and a null is followed by a length, in one byte, and as many bytes from the
peer. Other bytes are nothing.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tests.fuzz._atheris import fuzz
from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols._pure import is_compiled
from tests.protocols.mqtt._conversation import converse
from tests.protocols.postgres._sources import load_source
from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import codec

if TYPE_CHECKING:
    from tests.protocols.mqtt._conversation import Step

SOURCE = load_source("protocols.mqtt")
BUILDS: list[Any] = [SOURCE, mqtt] if is_compiled(codec) else [mqtt]

ENDS: dict[int, dict[str, Any]] = {
    ord("c"): {"role": "client"},
    ord("d"): {"role": "client", "version": 4},
    ord("e"): {"role": "client", "maximum_packet_size": 24, "automatic_topic_aliases": False},
    ord("s"): {"role": "server", "version": None},
    ord("t"): {"role": "server", "version": 4},
    ord("u"): {"role": "server", "version": 5, "maximum_packet_size": 24},
}
LETTERS: dict[int, str] = {
    **dict(zip(b"c4lqn", ("connect", "connect 4", "connect with limits", "connect quietly",
                          "connect without name"), strict=True)),
    **dict(zip(b"wm", ("connect with all", "connect with method"), strict=True)),
    **dict(zip(b"kKLMI", ("connack", "connack 4", "connack with limits", "connack with method",
                          "connack with identifier"), strict=True)),
    **dict(zip(b"rRaAf", ("refusal", "refusal 4", "auth", "auth again", "auth done"), strict=True)),
    **dict(zip(b"p12P", ("publish", "publish 1", "publish 2", "publish much"), strict=True)),
    **dict(zip(b"eibB", ("publish with properties", "publish with identifiers",
                         "publish with alias", "publish by alias"), strict=True)),
    **dict(zip(b"3", ("three topics",), strict=True)),
    **dict(zip(b"xXyYzZ", ("puback", "puback refusing", "pubrec", "pubrec refusing", "pubrel",
                           "pubcomp"), strict=True)),
    **dict(zip(b"sSgG", ("subscribe", "subscribe to much", "suback", "unsubscribe"), strict=True)),
    **dict(zip(b"uU?!", ("unsuback", "unsuback 4", "pingreq", "pingresp"), strict=True)),
    **dict(zip(b"dDEh", ("disconnect", "disconnect with error", "disconnect to keep",
                         "half a batch"), strict=True)),
}  # fmt: skip


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    settings, steps = unpack(data)
    random = Random(crc32(data))
    places = [random.randrange(len(data) + 1) for _ in range(4)]
    whole = converse(BUILDS[0], BUILDS[0].Codec(**settings), steps)
    for build in BUILDS:
        for cut in (whole_pieces, one_by_one, partial(cut_at, places=places)):
            result = converse(build, build.Codec(**settings), steps, cut)
            if result != whole:
                raise AssertionError(f"{result} of {steps}, but {whole} of the whole")


def whole_pieces(data: bytes) -> list[bytes]:
    """Do not cut."""
    return [data]


def unpack(data: bytes) -> tuple[dict[str, Any], list[Step]]:
    """Return the settings of the codec, and the steps."""
    settings = ENDS.get(data[0], ENDS[ord("c")]) if data else ENDS[ord("c")]
    steps: list[Step] = []
    position = 1
    while position < len(data):
        kind = data[position]
        position += 1
        if kind == 0 and position < len(data):
            end = position + 1 + data[position]
            steps.append(data[position + 1 : end])
            position = end
        elif kind in LETTERS:
            steps.append(LETTERS[kind])
    return settings, steps


def pack(end: str, *steps: Step) -> bytes:
    """Return an input of these steps."""
    letters = {name: letter for letter, name in LETTERS.items()}
    packed = bytearray(end.encode())
    for step in steps:
        if isinstance(step, str):
            packed.append(letters[step])
            continue
        for start in range(0, len(step), 255):
            piece = step[start : start + 255]
            packed += bytes([0, len(piece)]) + piece
    return bytes(packed)


if __name__ == "__main__":
    names = (
        *("codec", "_sender", "_reader", "_received", "_properties", "_decoding", "_encoding"),
        *("_agreement", "_topics", "_aliases", "_packets", "_writer"),
    )
    fuzz(check, *[load_source(f"protocols.mqtt.{name}") for name in names])
