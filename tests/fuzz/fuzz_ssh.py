"""Whatever the bytes and wherever they are cut, the SSH codec gives the same events and fault.

It does in the clear and under each cipher, as a client and as a server, and SSHProtocolError is the
only exception. The first byte says which of these it is, and whether what follows is the stream
itself or payloads, each behind its length, to make packets of: under a cipher no fuzzer would find
the right tags.
"""

from __future__ import annotations

from importlib import import_module
from random import Random
from zlib import crc32

from tests.fuzz._atheris import fuzz
from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.ssh._packet import clear_packet
from tests.protocols.ssh._pair import KINDS, inside, make_server, only, open_codec
from tests.protocols.ssh._replay import METHOD, fixed_keys, replay, trusting_client
from wirekit.protocols.ssh import Codec, Role

IN_THE_CLEAR = ("none", "")
# The end, the protection, and whether there are payloads.
CASES: list[tuple[Role, tuple[str, str], bool]] = [
    (role, kind, has_payloads)
    for kind in (IN_THE_CLEAR, *KINDS)
    for role in ("client", "server")
    for has_payloads in (False, True)
]


def check(data: bytes) -> None:
    """Raise if the invariant above does not hold for ``data``."""
    role, kind, has_payloads = CASES[data[0] % len(CASES)] if data else CASES[0]
    rest = data[1:]
    stream = make_stream(role, kind, rest) if has_payloads else rest
    random = Random(crc32(data))
    places = [random.randrange(len(stream) + 1) for _ in range(4)]
    with fixed_keys():
        whole = replay(make_codec(role, kind), [stream])
        for chunks in (one_by_one(stream), cut_at(stream, places)):
            result = replay(make_codec(role, kind), chunks)
            if result != whole:
                raise AssertionError(f"{result} of {chunks}, but {whole} of the whole")


def make_codec(role: Role, kind: tuple[str, str]) -> Codec:
    """Return a codec that draws the same random bytes and keys each time."""
    if kind != IN_THE_CLEAR:
        return open_codec(role, *kind)
    algorithms = only(kex=METHOD)
    return trusting_client(algorithms) if role == "client" else make_server(algorithms=algorithms)


def make_stream(role: Role, kind: tuple[str, str], data: bytes) -> bytes:
    """Return packets with the payloads, each of which follows its length in two bytes."""
    payloads: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        payloads.append(data[start:position])
    if kind == IN_THE_CLEAR:
        return b"SSH-2.0-x\r\n" + b"".join(map(clear_packet, payloads))
    peer = open_codec("server" if role == "client" else "client", *kind)
    output: list[bytes] = []
    for payload in payloads:
        inside(peer)._writer.seal(payload, output)
    return b"".join(output)


if __name__ == "__main__":
    names = "_certificates _exchanger _host_keys _identification _key_exchange _messages _packets"
    names += " _negotiation _primitives _public_keys _sender codec"
    fuzz(check, *[import_module(f"wirekit.protocols.ssh.{name}") for name in names.split()])
