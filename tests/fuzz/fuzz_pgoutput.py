"""Whatever the bytes, pgoutput is refused, or decodes to messages that encode to what decodes so.

RemoteProtocolError is the only exception, and a refused message changes nothing.
"""

from __future__ import annotations

import contextlib

from tests.fuzz._atheris import fuzz
from tests.protocols.postgres._pgoutput import Field, encode
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres import _pgoutput, _replication

MAX_RELATIONS_LENGTH = 300


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    version, messages = unpack(data)
    decoder = _pgoutput.PgOutputDecoder(
        version, decode=Field, max_relations_length=MAX_RELATIONS_LENGTH
    )
    plain = _pgoutput.PgOutputDecoder(version)
    again = _pgoutput.PgOutputDecoder(version, decode=Field)
    for received in messages:
        with contextlib.suppress(RemoteProtocolError):
            _replication.read_replication_message(received)
        with contextlib.suppress(RemoteProtocolError):
            plain.receive(received)
        try:
            message = decoder.receive(received)
        except RemoteProtocolError:
            continue
        # It has not seen what was refused.
        encoded = encode(message)
        result = again.receive(encoded)
        if result != message:
            raise AssertionError(f"{result} of {encoded!r}, but {message} of {received!r}")


def unpack(data: bytes) -> tuple[int, list[bytes]]:
    """Return the ``proto_version`` and the messages, each of which follows its length."""
    version = 1 + data[0] % 4 if data else 1
    messages: list[bytes] = []
    position = 1
    while position < len(data):
        end = position + 1 + data[position]
        messages.append(data[position + 1 : end])
        position = end
    return version, messages


if __name__ == "__main__":
    fuzz(check, _pgoutput, _replication)
