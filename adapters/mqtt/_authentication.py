"""Enhanced authentication: challenges and responses in AUTH packets.

Source: MQTT 5.0, sections 3.15 and 4.12.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

from wirekit._errors import ConnectionLost, Error
from wirekit.protocols.mqtt import Auth, ReasonCode, Violation

from ._errors import connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from wirekit.protocols.mqtt import Packet, Properties

    from ._connection import Connection

__all__ = ["Authentication", "Conversation", "converse", "reauthenticate"]

Exchange: TypeAlias = (
    Generator[bytes | None, bytes | None, None] | AsyncGenerator[bytes | None, bytes | None]
)


@dataclass(frozen=True)
class Authentication:
    """A method of enhanced authentication, and how it is done.

    ``exchange`` is a generator function, plain or async, called for every connection and every
    re-authentication. It yields what is sent to the server, first of all with CONNECT, and gets
    what the server answers; last of all what the server sends with its consent, and then it
    returns. It raises to refuse the server.

        def scram():
            server_first = yield client_first
            server_final = yield client_final(server_first)
            verify(server_final)

        MQTT(socket, authentication=Authentication("SCRAM-SHA-256", scram))

    Attributes:
        method: its name, as the server knows it.
        exchange: makes the generator of one exchange.
    """

    method: str
    exchange: Callable[[], Exchange] = field(repr=False)


class Conversation:
    """One exchange, from our first data to the server's consent."""

    def __init__(self, authentication: Authentication) -> None:
        self._method = authentication.method
        self._exchange = authentication.exchange()
        self._ended = False

    async def first(self) -> Properties:
        """Return the properties with which to begin."""
        return self._properties(await self._step(None))

    async def answer(self, packet: Auth) -> Auth:
        """Return the response to a challenge.

        Raises:
            RemoteProtocolError: the server asks for more than the method has.
        """
        data = await self._step(packet.properties.get("authentication_data"))
        if self._ended:
            text = "the server goes on where the authentication method has come to its end"
            raise Violation(text, ReasonCode.PROTOCOL_ERROR)
        return Auth(ReasonCode.CONTINUE_AUTHENTICATION, self._properties(data))

    async def finish(self, properties: Properties) -> None:
        """Take the server's consent.

        Raises:
            RemoteProtocolError: the method is not at its end, so the server has not proved itself.
        """
        data = properties.get("authentication_data")
        if not self._ended:
            await self._step(data)
        elif data is not None:
            raise Violation("authentication data that nobody wants", ReasonCode.PROTOCOL_ERROR)
        if not self._ended:
            text = "the server ended the authentication before the method came to its end"
            raise Violation(text, ReasonCode.PROTOCOL_ERROR)

    async def aclose(self) -> None:
        """End the exchange, however far it got."""
        if isinstance(self._exchange, AsyncGenerator):
            await self._exchange.aclose()
        else:
            self._exchange.close()

    async def _step(self, data: bytes | None) -> bytes | None:
        try:
            if isinstance(self._exchange, AsyncGenerator):
                return await self._exchange.asend(data)
            return self._exchange.send(data)
        except (StopIteration, StopAsyncIteration):
            self._ended = True
            return None

    def _properties(self, data: bytes | None) -> Properties:
        properties: Properties = {"authentication_method": self._method}
        if data is not None:
            properties["authentication_data"] = data
        return properties


async def converse(
    conversation: Conversation,
    send: Callable[[Auth], None],
    receive: Callable[[], Awaitable[Packet]],
) -> Packet:
    """Answer the server's challenges; return the packet that is none."""
    while True:
        packet = await receive()
        if not isinstance(packet, Auth) or packet.reason_code != ReasonCode.CONTINUE_AUTHENTICATION:
            return packet
        send(await conversation.answer(packet))


async def reauthenticate(connection: Connection, authentication: Authentication) -> None:
    """Authenticate anew on an open connection, which ends if that fails (§4.12.1).

    Raises:
        MqttCodeError: the server refuses, and has ended the connection.
        Error: the connection is over.
    """
    conversation = Conversation(authentication)
    try:
        connection.send(Auth(ReasonCode.RE_AUTHENTICATE, await conversation.first()))
        packet = await converse(conversation, connection.send, connection.next_packet)
        await conversation.finish(cast("Auth", packet).properties)
    except BaseException as error:
        # Half way through, neither side knows who the other is.
        lost = ConnectionLost("the re-authentication failed")
        lost.__cause__ = error
        code = ReasonCode.UNSPECIFIED_ERROR
        if isinstance(error, Violation):
            code = error.reason_code
        connection.fail(lost, code)
        if isinstance(error, Error):
            raise connection_error(error) from error.__cause__
        raise
    finally:
        await conversation.aclose()
