"""A client and a server codec joined to each other, and codecs that are open from the start."""

from __future__ import annotations

import functools
import hashlib
from random import Random
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from wirekit.protocols.ssh import (
    Algorithms,
    Codec,
    Event,
    KeyExchanged,
    PrivateHostKey,
    State,
)
from wirekit.protocols.ssh._algorithms import make_cipher
from wirekit.protocols.ssh._curves import Curve25519
from wirekit.protocols.ssh._messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.ssh import Role
    from wirekit.protocols.ssh._ciphers import PacketCipher

GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
CHACHA = "chacha20-poly1305@openssh.com"
CTR = ("aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
# Every protection of packets: the encryption, and the MAC where it has one.
SUITES = [(name, "") for name in (*GCM, CHACHA)] + [(name, mac) for name in CTR for mac in MACS]
# One of each kind.
KINDS = [(GCM[0], ""), (CHACHA, ""), (CTR[2], MACS[0]), (CTR[0], MACS[3])]


def inside(owner: object) -> Any:
    """Return the same, for a test that looks at or sets what is private."""
    return owner


def randomness(seed: int = 0) -> Callable[[int], bytes]:
    """Return what gives the same bytes each time."""
    return Random(seed).randbytes


@functools.cache
def host_key(key_type: str = "ssh-ed25519") -> PrivateHostKey:
    """Return a host key of that type, the same for the whole run."""
    if key_type == "ssh-ed25519":
        return PrivateHostKey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    if key_type == "ssh-rsa":
        return PrivateHostKey(rsa.generate_private_key(65537, 2048))
    curves: dict[str, ec.EllipticCurve] = {
        "ecdsa-sha2-nistp256": ec.SECP256R1(),
        "ecdsa-sha2-nistp384": ec.SECP384R1(),
        "ecdsa-sha2-nistp521": ec.SECP521R1(),
    }
    return PrivateHostKey(ec.generate_private_key(curves[key_type]))


def only(**names: str) -> Algorithms:
    """Return algorithms with only one of what is named, such as ``kex``, and of the rest all."""
    fields = {
        "kex": "kex_algorithms",
        "host_key": "server_host_key_algorithms",
        "encryption": "encryption_algorithms",
        "mac": "mac_algorithms",
        "compression": "compression_algorithms",
    }
    return Algorithms(**{fields[name]: (value,) for name, value in names.items() if value})


QUICK = only(kex="curve25519-sha256")


def make_client(**settings: Any) -> Codec:
    """Return a client that draws the same random bytes each time."""
    defaults: dict[str, Any] = {"random": randomness(1), "algorithms": QUICK}
    return Codec("client", **{**defaults, **settings})


def make_server(**settings: Any) -> Codec:
    """Return a server that draws the same random bytes each time."""
    defaults: dict[str, Any] = {
        "random": randomness(2),
        "algorithms": QUICK,
        "host_keys": [host_key()],
    }
    return Codec("server", **{**defaults, **settings})


class Pair:
    """A client and a server, with the events that they had and the bytes that they were sent."""

    def __init__(
        self, client: Codec | None = None, server: Codec | None = None, *, accepts: bool = True
    ) -> None:
        self.client = make_client() if client is None else client
        self.server = make_server() if server is None else server
        self.accepts = accepts
        self.client_events: list[Event] = []
        self.server_events: list[Event] = []
        self.to_client = bytearray()
        self.to_server = bytearray()

    def run(self) -> None:
        """Carry bytes until nobody has anything to say."""
        while True:
            to_server, to_client = self.client.data_to_send(), self.server.data_to_send()
            if not to_server and not to_client:
                return
            if to_server:
                self.tell_server(to_server)
            if to_client:
                self.tell_client(to_client)

    def tell_server(self, data: bytes) -> list[Event]:
        """Carry bytes to the server, and return its events."""
        self.to_server += data
        events = self.server.receive_data(data)
        self.server_events += events
        return events

    def tell_client(self, data: bytes) -> list[Event]:
        """Carry bytes to the client, and return its events."""
        self.to_client += data
        events = self.client.receive_data(data)
        self.client_events += events
        if self.accepts:
            accept(self.client, events)
        return events

    def send(self, sender: Role, *messages: Message | Buffer) -> list[Event]:
        """Send messages, and return the other end's events."""
        if sender == "client":
            return self.tell_server(self.client.send(*messages))
        return self.tell_client(self.server.send(*messages))


def accept(client: Codec, events: list[Event]) -> None:
    """Accept whatever host key waits for that."""
    for event in events:
        if isinstance(event, KeyExchanged):
            client.accept_host_key()


def open_pair(client: Codec | None = None, server: Codec | None = None) -> Pair:
    """Return a pair that has exchanged keys, and nothing else yet."""
    pair = Pair(client, server)
    pair.run()
    assert pair.client.state is State.OPEN
    assert pair.server.state is State.OPEN
    pair.client_events.clear()
    pair.server_events.clear()
    pair.to_client.clear()
    pair.to_server.clear()
    return pair


def fixed_cipher(encryption: str, mac: str, seed: str = "") -> PacketCipher:
    """Return a cipher whose keys are the same each time."""

    def derive(letter: str, size: int) -> bytes:
        return hashlib.shake_128(f"{seed}{letter}".encode()).digest(size)

    return make_cipher(encryption, mac, derive, "ACE")


def open_codec(role: Role, encryption: str, mac: str = "", **settings: Any) -> Codec:
    """Return a codec that is open, with the same keys each time, and in both directions."""
    codec = make_client(**settings) if role == "client" else make_server(**settings)
    codec.data_to_send()
    inside(codec)._reader.change_cipher(fixed_cipher(encryption, mac), reset_sequence=True)
    inside(codec)._change_writer(fixed_cipher(encryption, mac), compresses=False, reset=True)
    inside(codec)._own = None
    inside(codec)._initial = inside(codec)._peer_in_exchange = False
    inside(codec)._state = inside(codec)._stage = State.OPEN
    return codec


class FixedCurve25519(Curve25519):
    """A key exchange whose key is the same each time, so that it can be replayed."""

    def begin(self) -> bytes:
        self._private = x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))
        return self._private.public_key().public_bytes_raw()
