from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest

import wirekit
from wirekit.adapters.mqtt import MQTT, Authentication, MqttCodeError
from wirekit.adapters.mqtt._authentication import Conversation
from wirekit.protocols.mqtt import Auth, Disconnect, Properties, ReasonCode, Violation

from ._peer import Server, opened, reconnecting

CONTINUE = ReasonCode.CONTINUE_AUTHENTICATION
Steps = Generator[bytes | None, bytes | None, None]


def method(data: bytes | None = None) -> Properties:
    properties: Properties = {"authentication_method": "m"}
    if data is not None:
        properties["authentication_data"] = data
    return properties


def auth(data: bytes | None = None) -> Auth:
    return Auth(CONTINUE, method(data))


def two_steps() -> Steps:
    assert (yield b"one") == b"a"
    assert (yield b"two") == b"b"


def token() -> Steps:
    yield b"token"


def nothing() -> Steps:
    yield from ()


# A conversation.


async def test_all_steps() -> None:
    conversation = Conversation(Authentication("m", two_steps))
    assert await conversation.first() == method(b"one")
    assert await conversation.answer(auth(b"a")) == auth(b"two")
    await conversation.finish(method(b"b"))
    await conversation.aclose()


@pytest.mark.parametrize("exchange", [token, nothing])
async def test_few_steps(exchange: type) -> None:
    conversation = Conversation(Authentication("m", exchange))
    first = await conversation.first()
    assert first == method(b"token" if exchange is token else None)
    await conversation.finish(method())


async def test_a_server_that_asks_too_much() -> None:
    conversation = Conversation(Authentication("m", token))
    await conversation.first()
    with pytest.raises(Violation, match="come to its end"):
        await conversation.answer(auth(b"more"))


async def test_a_server_that_is_content_too_early() -> None:
    conversation = Conversation(Authentication("m", two_steps))
    await conversation.first()
    with pytest.raises(Violation, match="ended the authentication before"):
        await conversation.finish(method(b"a"))


async def test_a_server_that_says_too_much() -> None:
    conversation = Conversation(Authentication("m", nothing))
    await conversation.first()
    with pytest.raises(Violation, match="nobody wants"):
        await conversation.finish(method(b"a"))


async def test_the_generator_is_closed() -> None:
    closed: list[str] = []

    def plain() -> Steps:
        try:
            yield None
        finally:
            closed.append("plain")

    async def asynchronous() -> AsyncGenerator[bytes | None, bytes | None]:
        try:
            yield None
        finally:
            closed.append("async")

    for exchange in (plain, asynchronous):
        conversation = Conversation(Authentication("m", exchange))
        await conversation.first()
        await conversation.aclose()
    assert closed == ["plain", "async"]


def test_no_data_is_shown() -> None:
    assert repr(Authentication("m", two_steps)) == "Authentication(method='m')"


# Again, on an open connection.

CONSENT = method()


def with_token() -> Authentication:
    return Authentication("m", token)


async def reauthenticated(client: MQTT, server: Server, *answers: Auth) -> asyncio.Task[None]:
    """Begin to authenticate anew, and answer."""
    calling = asyncio.create_task(client.reauthenticate())
    begun = await server.receive(Auth)
    assert begun.reason_code is ReasonCode.RE_AUTHENTICATE
    for answer in answers:
        await server.send(answer)
    return calling


async def test_reauthentication() -> None:
    exchanges = [two_steps, token]
    authentication = Authentication("m", lambda: exchanges.pop()())
    async with opened(CONSENT, authentication=authentication) as (client, server):
        calling = await reauthenticated(client, server, auth(b"a"))
        assert await server.receive(Auth) == auth(b"two")
        await server.send(Auth(ReasonCode.SUCCESS, method(b"b")))
        await calling
        assert client.connected


async def test_only_one_at_a_time() -> None:
    async with opened(CONSENT, authentication=with_token()) as (client, server):
        first = await reauthenticated(client, server)
        second = asyncio.create_task(client.reauthenticate())
        await asyncio.sleep(0)
        await server.silent()
        await server.send(Auth(ReasonCode.SUCCESS, CONSENT))
        await first
        assert (await server.receive(Auth)).reason_code is ReasonCode.RE_AUTHENTICATE
        await server.send(Auth(ReasonCode.SUCCESS, CONSENT))
        await second


async def test_without_enhanced_authentication() -> None:
    async with opened() as (client, _):
        with pytest.raises(wirekit.LocalProtocolError, match=r"MQTT-4\.12\.1-1"):
            await client.reauthenticate()


async def test_a_server_that_refuses() -> None:
    async with opened(CONSENT, authentication=with_token()) as (client, server):
        calling = await reauthenticated(client, server)
        await server.send(Disconnect(ReasonCode.NOT_AUTHORIZED))
        with pytest.raises(MqttCodeError, match="not authorized"):
            await calling
        assert not client.connected


async def test_a_server_that_asks_too_much_again() -> None:
    async with opened(CONSENT, authentication=with_token()) as (client, server):
        calling = await reauthenticated(client, server, auth(b"more"))
        assert (await server.receive(Disconnect)).reason_code is ReasonCode.PROTOCOL_ERROR
        with pytest.raises(Violation, match="come to its end"):
            await calling


async def test_giving_up_half_way_ends_the_connection() -> None:
    async with reconnecting(CONSENT, authentication=with_token()) as (client, network, server):
        calling = await reauthenticated(client, server)
        calling.cancel()
        assert isinstance(await server.receive(Disconnect), Disconnect)
        with pytest.raises(asyncio.CancelledError):
            await calling
        server = await network.server()
        await server.accept(CONSENT, session_present=True)


async def test_a_server_that_does_not_answer() -> None:
    async with opened(CONSENT, authentication=with_token()) as (client, server):
        with pytest.raises(wirekit.ReadTimeout, match="did not answer"):
            await client.reauthenticate(timeout=0.01)
        assert not client.connected
        assert isinstance(await server.receive(Auth), Auth)
