"""What a connection is told when it opens: who we are and what we accept.

Source: MQTT 5.0, sections 3.1, 3.2 and 4.12.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirekit._errors import (
    AddressError,
    ConnectError,
    ConnectTimeout,
    ProtocolError,
    TransportError,
)
from wirekit.protocols.mqtt import Codec, ConnAck, Connect, ConnectReturnCode, Properties

from ._authentication import Authentication, Conversation, converse
from ._connection import Connection
from ._errors import MqttCodeError, connection_error

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import Packet, Version, Will
    from wirekit.sockets import Socket


__all__ = ["Settings", "open_connection"]


_RANGES = {
    "keep_alive": (0, 65535),
    "session_expiry_interval": (0, 0xFFFFFFFF),
    "receive_maximum": (1, 65535),
    "maximum_packet_size": (16, 268_435_460),
    "topic_alias_maximum": (0, 65535),
    "max_buffered": (1, 2**63),
}


# What CONNECT's properties say, but other arguments rule.
_ARGUMENTS = (
    "session_expiry_interval",
    "receive_maximum",
    "maximum_packet_size",
    "topic_alias_maximum",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every connection of a client is told when it opens.

    Attributes:
        version: 5, or 4 for 3.1.1.
        username: None for none.
        password: never shown.
        authentication: enhanced authentication, beside or in place of these.
        keep_alive: seconds without a packet after which the server gives us up; 0 for no limit.
        session_expiry_interval: seconds that the server keeps the session without a connection.
        will: what the server publishes when the connection is lost.
        properties: further ones of CONNECT.
        receive_maximum: messages of QoS 1 and 2 that the server may send before we answer.
        enforce_receive_maximum: whether a server that sends more is at fault.
        maximum_packet_size: bytes of the largest packet that is accepted.
        topic_alias_maximum: topic aliases that the server may use.
        automatic_topic_aliases: whether we use those that the server allows.
        timeout: seconds for the server to answer; None for no limit.
        max_buffered: bytes that are gathered before writers wait.
    """

    version: Version = 5
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    authentication: Authentication | None = None
    keep_alive: int = 60
    session_expiry_interval: int = 0
    will: Will | None = None
    properties: Properties = field(default_factory=Properties, repr=False)
    receive_maximum: int = 1000
    enforce_receive_maximum: bool = False
    maximum_packet_size: int = 16 * 1024 * 1024
    topic_alias_maximum: int = 100
    automatic_topic_aliases: bool = True
    timeout: float | None = 30.0
    max_buffered: int = 65536

    def __post_init__(self) -> None:
        """Refuse what cannot be said in CONNECT.

        Raises:
            AddressError: an option is wrong.
        """
        if self.version not in (4, 5):
            raise AddressError(f"version must be 5, or 4 for 3.1.1, not {self.version!r}")
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not lowest <= value <= highest:
                raise AddressError(f"{name} must be a whole number from {lowest} to {highest}")
        if self.timeout is not None and not _is_time(self.timeout):
            raise AddressError("timeout must be seconds above 0, or None for no limit")
        for name in _ARGUMENTS:
            if self.version == 5 and name in self.properties:
                raise AddressError(f"give {name} as an argument of its own, not in properties")
        if self.version == 4:
            new = ("authentication", "properties", "session_expiry_interval")
            for name in new:
                if getattr(self, name):
                    raise AddressError(f"3.1.1 has no {name}")

    def connect_packet(
        self, client_id: str, authentication: Properties, *, clean_start: bool
    ) -> Connect:
        """Return the CONNECT packet."""
        properties: Properties = {}
        if self.version == 5:
            properties = {
                "request_response_information": 1,
                **self.properties,
                "receive_maximum": self.receive_maximum,
                "maximum_packet_size": self.maximum_packet_size,
                "topic_alias_maximum": self.topic_alias_maximum,
                "session_expiry_interval": self.session_expiry_interval,
                **authentication,
            }
        return Connect(
            client_id,
            clean_start,
            self.keep_alive,
            self.username,
            self.password,
            self.will,
            properties,
            self.version,
        )


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds < math.inf


async def open_connection(
    socket: Socket, settings: Settings, *, client_id: str, clean_start: bool
) -> tuple[Connection, ConnAck]:
    """Open the conversation on a socket; on any failure the socket is closed.

    Returns:
        The connection, which has not been started, and the server's consent.

    Raises:
        MqttCodeError: the server refuses.
        ConnectError: there is no connection.
        LocalProtocolError: the settings are not allowed.
        RemoteProtocolError: the server does not keep to the protocol.
    """
    limit = asyncio.timeout(settings.timeout)
    connection = None
    try:
        async with limit:
            await socket.opened
            codec = Codec(
                "client",
                version=settings.version,
                maximum_packet_size=settings.maximum_packet_size,
                receive_maximum=None if settings.enforce_receive_maximum else 65535,
                automatic_topic_aliases=settings.automatic_topic_aliases,
            )
            connection = Connection(
                socket, codec, timeout=settings.timeout, max_buffered=settings.max_buffered
            )
            answer = await _introduce(connection, settings, client_id, clean_start=clean_start)
    except BaseException as error:
        if connection is not None and isinstance(error, Exception):
            connection.fail(error)  # which tells the server why, if it is at fault
        else:
            socket.abort(error)
        if isinstance(error, TimeoutError) and limit.expired():
            text = f"{socket.remote_address} did not open within {settings.timeout} s"
            if connection is not None and settings.version == 5:
                text = f"{text}; a server that is silent may know 3.1.1 alone (version=4)"
            raise connection_error(ConnectTimeout(text), sent=False) from None
        if isinstance(error, TransportError) and not isinstance(error, ConnectError):
            text = f"no conversation with {socket.remote_address} came about: {error}"
            raise connection_error(ConnectError(text), sent=False) from error
        if isinstance(error, ConnectError | ProtocolError):
            raise connection_error(error, sent=False) from error.__cause__
        raise
    return connection, answer


async def _introduce(
    connection: Connection, settings: Settings, client_id: str, *, clean_start: bool
) -> ConnAck:
    authentication = settings.authentication
    if authentication is None:
        connection.send(settings.connect_packet(client_id, {}, clean_start=clean_start))
        return _accepted(await connection.next_packet(), connection, settings)
    conversation = Conversation(authentication)
    try:
        first = await conversation.first()
        connection.send(settings.connect_packet(client_id, first, clean_start=clean_start))
        packet = await converse(conversation, connection.send, connection.next_packet)
        answer = _accepted(packet, connection, settings)
        await conversation.finish(answer.properties)
    finally:
        await conversation.aclose()
    return answer


def _accepted(packet: Packet, connection: Connection, settings: Settings) -> ConnAck:
    assert isinstance(packet, ConnAck)  # the codec lets nothing else come before it
    if not packet.reason_code.is_failure:
        return packet
    properties = packet.properties
    if settings.password and "reason_string" in properties:
        # Some servers repeat what they refuse.
        secret = settings.password.decode(errors="replace")
        properties = properties.copy()
        properties["reason_string"] = properties["reason_string"].replace(secret, "***")
    step = f"{connection.peer} refused the connection"
    if settings.version == 5 and isinstance(packet.reason_code, ConnectReturnCode):
        step = f"{step} in 3.1.1, for which there is version=4"
    raise MqttCodeError(step, packet.reason_code, properties)
