"""The few packets of MQTT 5.0 that are sent and read by hand."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from benchmarks._model import WrongReply

if TYPE_CHECKING:
    from benchmarks._model import Address

__all__ = ["connect", "publish", "read_packet", "server_version", "subscribe"]

CONNACK, SUBACK = 0x20, 0x90
VERSION_TOPIC = "$SYS/broker/version"


def packet(first: int, *parts: bytes) -> bytes:
    """Encode a packet: its first byte, the Remaining Length and what follows (section 2.1)."""
    body = b"".join(parts)
    length, rest = bytearray(), len(body)
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    return bytes([first]) + length + body


def text(value: str) -> bytes:
    """Encode a UTF-8 Encoded String (section 1.5.4)."""
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def publish(topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    """Encode a PUBLISH without properties (section 3.3); QoS 0 has no packet identifier."""
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, text(topic), identifier, b"\0", payload)


def connect(address: Address) -> socket.socket:
    """Return a blocking socket on which the broker has accepted a client."""
    connection = socket.create_connection(address, timeout=120)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Clean Start, a minute of Keep Alive, no properties, an identifier of the broker's choice.
        connection.sendall(packet(0x10, text("MQTT"), b"\x05\x02\x00\x3c\x00", text("")))
        first, body = read_packet(connection)
        if first != CONNACK or body[1]:
            raise WrongReply(f"the broker answered CONNECT with {first:#x} {body.hex()}")
    except BaseException:
        connection.close()
        raise
    return connection


def subscribe(connection: socket.socket, topic_filter: str, qos: int) -> None:
    """Subscribe with packet identifier 1 and wait until the broker has done it."""
    connection.sendall(packet(0x82, b"\x00\x01\x00", text(topic_filter), bytes([qos])))
    first, body = read_packet(connection)
    if first != SUBACK or body[-1] != qos:
        raise WrongReply(f"the broker answered SUBSCRIBE with {first:#x} {body.hex()}")


def read_packet(connection: socket.socket) -> tuple[int, bytes]:
    """Read one packet and no byte more; return its first byte and what follows its length."""
    first = _exactly(connection, 1)[0]
    length, shift = 0, 0
    while True:
        byte = _exactly(connection, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        piece = connection.recv(count - len(received))
        if not piece:
            raise WrongReply("the broker closed the connection")
        received += piece
    return bytes(received)


def server_version(address: Address) -> str:
    """Return the broker's name and version, such as ``"mosquitto 2.0.11"``."""
    with connect(address) as connection:
        subscribe(connection, VERSION_TOPIC, 0)
        _, body = read_packet(connection)
    # Behind the topic stand the properties, which are none.
    return body[2 + len(VERSION_TOPIC) + 1 :].decode().replace(" version", "")
