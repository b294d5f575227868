"""What a server says to a client that always draws the same: to be given to it again and again."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from tests.protocols.ssh._pair import (
    FixedCurve25519,
    Pair,
    accept,
    host_key,
    inside,
    make_client,
    make_server,
    only,
)
from wirekit.protocols.ssh import HostKey, Packet, SSHProtocolError, State
from wirekit.protocols.ssh._kex_algorithms import KEX_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wirekit.protocols.ssh import Algorithms, Codec, Event


class Replayed(NamedTuple):
    """What a client made of bytes."""

    events: list[object]  # in full, though payloads are in no repr
    fault: tuple[str, int] | None
    trailing_data: bytes
    end: str | None  # the fault at the end of input


METHOD = "curve25519-sha256"


@contextlib.contextmanager
def fixed_keys() -> Generator[None]:
    """Let key exchanges make the same key each time."""
    with patch.dict(KEX_ALGORITHMS, {METHOD: FixedCurve25519}):
        yield


def algorithms(encryption: str, mac: str, compression: str = "none") -> Algorithms:
    return only(kex=METHOD, encryption=encryption, mac=mac, compression=compression)


def trusting_client(chosen: Algorithms) -> Codec:
    """Return a client that has accepted the server's key before it sees it.

    So it can be given at once what a server says only after its answer.
    """
    client = make_client(algorithms=chosen)
    inside(client)._accepted = HostKey(host_key().blob)
    return client


def record(encryption: str, mac: str, compression: str = "none") -> bytes:
    """Return what a server says: an opening, packets, a key exchange, and packets."""
    chosen = algorithms(encryption, mac, compression)
    with fixed_keys():
        pair = Pair(
            trusting_client(chosen),
            make_server(algorithms=chosen, extensions={"server-sig-algs": b"ssh-ed25519"}),
        )
        pair.run()
        pair.send("server", b"\x06\0\0\0\1a", b"\x34", b"\x5e" + bytes(100), b"\x5f")
        pair.server.rekey()
        pair.run()
        pair.send("server", b"\x5e" + bytes(100), b"\x5f")
    return bytes(pair.to_client)


def replay(client: Codec, pieces: Iterable[bytes]) -> Replayed:
    """Give pieces to a client; return its events in full, and how it ended.

    Any other exception than the one is let out.
    """
    events: list[Event] = []
    fault: tuple[str, int] | None = None
    for piece in pieces:
        try:
            received = client.receive_data(piece)
        except SSHProtocolError as exc:
            events += exc.events  # type: ignore[arg-type]
            fault = (str(exc), exc.reason_code)
            break
        events += received
        if client.state is not State.CLOSED:
            accept(client, received)
        client.data_to_send()
    trailing = client.trailing_data
    end = None
    try:
        client.receive_eof()
    except SSHProtocolError as exc:
        end = str(exc)
    whole: list[object] = [tuple(event) if isinstance(event, Packet) else event for event in events]
    return Replayed(whole, fault, trailing, end)


def replay_fixed(chosen: Algorithms, pieces: Iterable[bytes]) -> Replayed:
    """Give pieces to a new client whose keys are always the same."""
    with fixed_keys():
        return replay(trusting_client(chosen), pieces)
