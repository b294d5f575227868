"""A client's codec and a server's, opened; and packets by hand, so that they may be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirekit.protocols import mqtt
from wirekit.protocols.mqtt import ConnAck, Connect

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Codec, Properties, Role, Version


def opened(
    version: Version = 5,
    *,
    client: Properties | None = None,
    server: Properties | None = None,
    package: Any = mqtt,
    **settings: Any,
) -> tuple[Codec, Codec]:
    """Return the codecs of a client and a server after CONNECT and CONNACK.

    Args:
        version: of both.
        client: the properties of CONNECT.
        server: the properties of CONNACK.
        package: ``wirekit.protocols.mqtt``, or what stands in its place.
        settings: of both codecs.
    """
    ends: tuple[Codec, Codec] = (
        package.Codec("client", version=version, **settings),
        package.Codec("server", version=version, **settings),
    )
    connect = package.Connect("me", properties=client or {}, version=version)
    ends[1].receive_data(ends[0].send(connect))
    if client and "authentication_method" in client:
        method: Properties = {"authentication_method": client["authentication_method"]}
        server = {**method, **(server or {})}
    ends[0].receive_data(ends[1].send(accepting(version, server, package)))
    return ends


def accepting(
    version: Version = 5, properties: Properties | None = None, package: Any = mqtt
) -> ConnAck:
    """Return a CONNACK that accepts."""
    code = package.ReasonCode.SUCCESS if version == 5 else package.ConnectReturnCode.ACCEPTED
    connack: ConnAck = package.ConnAck(False, code, properties or {})
    return connack


def receiver(
    role: Role, version: Version = 5, *, told: Properties | None = None, **settings: Any
) -> Codec:
    """Return one of the two, which told the other end these properties."""
    if role == "client":
        return opened(version, client=told, **settings)[0]
    return opened(version, server=told, **settings)[1]


def connecting(version: Version = 5, **properties: Any) -> Codec:
    """Return a client's codec that waits for CONNACK."""
    codec = mqtt.Codec("client", version=version)
    codec.send(Connect("me", version=version, properties=properties))  # type: ignore[arg-type]
    return codec


def packet(first: int, *parts: bytes | int | str) -> bytes:
    """Return a packet: its first byte, the length, and the parts.

    A number is a byte; a text is a UTF-8 Encoded String, with its length.
    """
    body = b"".join(part_bytes(part) for part in parts)
    return bytes([first]) + integer(len(body)) + body


def block(*parts: bytes | int | str) -> bytes:
    """Return parts with their length before them, as properties are."""
    body = b"".join(part_bytes(part) for part in parts)
    return integer(len(body)) + body


def part_bytes(part: bytes | int | str) -> bytes:
    if isinstance(part, int):
        return bytes([part])
    if isinstance(part, str):
        data = part.encode()
        return len(data).to_bytes(2, "big") + data
    return part


def integer(number: int) -> bytes:
    """Return a Variable Byte Integer."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def identifier(number: int) -> bytes:
    """Return a Packet Identifier."""
    return number.to_bytes(2, "big")
