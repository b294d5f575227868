"""A codec on a plain blocking socket, to speak with real servers and clients."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from tests.interop.waiting import PATIENCE
from wirekit.protocols.ssh import (
    Codec,
    Event,
    KeyExchanged,
    Message,
    Packet,
    PrivateHostKey,
    ServiceAccept,
    ServiceRequest,
    State,
)
from wirekit.protocols.ssh._primitives import encode_string, encode_text

USERAUTH_REQUEST, USERAUTH_SUCCESS = 50, 52
T = TypeVar("T")


class Wire:
    """A connection to a peer.

    Args:
        connection: the socket, or the port on this machine to connect to.
        role: which end we are.
        step: bytes that are written and read at once; None for as many as there are.
        settings: of the codec.
    """

    def __init__(
        self,
        connection: socket.socket | int,
        role: Any = "client",
        *,
        step: int | None = None,
        **settings: Any,
    ) -> None:
        if isinstance(connection, int):
            connection = socket.create_connection(("127.0.0.1", connection))
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.step = step
        self.codec = Codec(role, random=os.urandom, **settings)
        self.events: list[Event] = []
        self.sent = 0
        self.received = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: Message | bytes) -> None:
        """Send messages, and what the codec has to say."""
        self.write(self.codec.send(*messages))

    def write(self, data: bytes) -> None:
        """Write bytes, in steps if they are to be."""
        step = self.step or max(len(data), 1)
        for start in range(0, len(data), step):
            self.socket.sendall(data[start : start + step])
        self.sent += len(data)

    def read(self) -> list[Event]:
        """Wait for bytes, and return what they complete; all host keys are accepted."""
        self.write(self.codec.data_to_send())
        data = self.socket.recv(self.step or 65536)
        self.received += len(data)
        events = self.codec.receive_data(data) if data else self.codec.receive_eof()
        for event in events:
            if isinstance(event, KeyExchanged):
                self.codec.accept_host_key()
        self.events += events
        self.write(self.codec.data_to_send())
        return events

    def wait_for(self, kind: type[T], *, count: int = 1) -> T:
        """Read until there are so many more events of a kind, and return the last."""
        while True:
            for event in self.read():
                if isinstance(event, kind):
                    count -= 1
                    if count == 0:
                        return event

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Read until the condition holds."""
        self.write(self.codec.data_to_send())
        while not condition():
            self.read()

    def open(self) -> KeyExchanged:
        """Exchange keys, and ask for the authentication service."""
        exchanged = self.wait_for(KeyExchanged)
        self.wait_until(lambda: self.codec.state is State.OPEN)
        self.send(ServiceRequest("ssh-userauth"))
        accepted = self.wait_for(ServiceAccept)
        assert accepted.service_name == "ssh-userauth"
        return exchanged

    def rekey(self) -> KeyExchanged:
        """Change keys, and return what comes of it."""
        self.codec.rekey()
        exchanged = self.wait_for(KeyExchanged)
        self.wait_until(lambda: self.codec.state is State.OPEN)
        return exchanged

    def log_in(self, user: str, key_path: Path) -> None:
        """Authenticate with a key (RFC 4252 §7)."""
        private = load_ssh_private_key(key_path.read_bytes(), None)
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        key = PrivateHostKey(private)
        request = bytes((USERAUTH_REQUEST,)) + encode_text(user) + encode_text("ssh-connection")
        request += encode_text("publickey") + b"\1" + encode_text("ssh-ed25519")
        request += encode_string(key.blob)
        signature = key.sign("ssh-ed25519", encode_string(self.codec.session_id) + request)
        self.send(request + encode_string(signature))
        packet = self.wait_for(Packet)
        while packet.number != USERAUTH_SUCCESS:
            assert packet.number == 53, f"message {packet.number} in answer to a login"
            packet = self.wait_for(Packet)
