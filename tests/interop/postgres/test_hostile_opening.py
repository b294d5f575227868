"""What a server can do before the session begins: nothing is given away, nothing hangs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import wirekit
from tests.interop.postgres.fake_server import PASSWORD, FakeServer, Recorder, Session, trust
from tests.interop.postgres.helpers import assert_typed, eventually, outcome
from tests.protocols.postgres import _server as wire
from wirekit import RemoteProtocolError
from wirekit.adapters import postgres

READY = wire.backend_key_data() + wire.ready_for_query()

# What the server says in the place of its answer to StartupMessage, and what the error says.
SAYINGS: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\x00\xff garbage\r\n", "bytes, and the limit is 65536"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "bytes, and the limit is 65536"),
    "SSH": (b"SSH-2.0-OpenSSH_9.9\r\n", "bytes, and the limit is 65536"),
    "SMTP": (b"220 mail.example ESMTP\r\n", "bytes, and the limit is 65536"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", "bytes, and the limit is 65536"),
    "protocol 2": (b"EFATAL:  unsupported frontend protocol\n\0", "and the limit is 65536"),
    "the answer to SSLRequest": (b"S" + wire.AUTHENTICATION_OK, "and the limit is 65536"),
    "ready at once": (wire.ready_for_query(), "ReadyForQuery where the answer to Startup"),
    "a key at once": (READY, "BackendKeyData where the answer to StartupMessage is due"),
    "a setting at once": (wire.parameter_status("a", "b"), "ParameterStatus where the answer to"),
    "a row": (wire.data_row(1), "DataRow where the answer to StartupMessage is due"),
    "let in twice": (wire.AUTHENTICATION_OK * 2, "AuthenticationOk where the answer to Startup"),
    "a password afterwards": (
        wire.AUTHENTICATION_OK + wire.AUTHENTICATION_CLEARTEXT_PASSWORD + READY,
        "AuthenticationCleartextPassword where the answer",
    ),
    "two requests": (
        wire.AUTHENTICATION_CLEARTEXT_PASSWORD * 2,
        "before the last request was|too late",
    ),
    "unknown authentication": (wire.authentication(77), "unknown authentication request 77"),
    "Kerberos": (wire.authentication(2), "Kerberos V5, which is not supported"),
    "GSSAPI": (wire.authentication(7), "GSSAPI, which is not supported"),
    "SSPI": (wire.authentication(9), "SSPI, which is not supported"),
    "no mechanism": (wire.authentication_sasl(), "only unknown SASL mechanisms"),
    "unknown mechanisms": (wire.authentication_sasl("A" * 60000), "only unknown SASL mechanisms"),
    "PLUS without TLS": (wire.authentication_sasl("SCRAM-SHA-256-PLUS"), "which needs TLS"),
    "SASL from the middle": (wire.authentication_sasl_continue(b"r=x"), "Continue"),
    "SASL from the end": (wire.authentication_sasl_final(b"v=x"), "Final"),
    "a key of 3 bytes": (wire.AUTHENTICATION_OK + wire.backend_key_data(7, b"abc"), "3 bytes"),
    "a newer protocol": (wire.negotiate_protocol_version(0x30063), "was not offered"),
    "protocol 4": (wire.negotiate_protocol_version(0x40000), "was not offered"),
    "an unknown option": (wire.negotiate_protocol_version(0x30000, "_pq_.x"), "was not sent"),
    "another encoding": (
        wire.AUTHENTICATION_OK + wire.parameter_status("client_encoding", "LATIN1") + READY,
        "LATIN1",
    ),
    "an error": (wire.error_response("no such thing", severity="FATAL"), "no such thing"),
    "an error that is not fatal": (wire.error_response("no such thing"), "no such thing"),
    "an error of 60000 bytes": (wire.error_response("x" * 60000, severity="FATAL"), "xxxxx"),
    "an error of 70000 bytes": (wire.error_response("x" * 70000), "and the limit is 65536"),
    "an error behind being let in": (
        wire.AUTHENTICATION_OK + wire.error_response("no such thing", severity="FATAL"),
        "no such thing",
    ),
    "endless keys": (
        wire.AUTHENTICATION_OK + wire.backend_key_data() * 100_000,
        "says too much before it is ready",
    ),
    "endless errors": (wire.error_response("no such thing") * 100_000, "no such thing|too much"),
    "endless versions": (
        wire.negotiate_protocol_version() * 100_000,
        "says too much before it is ready",
    ),
}


# What may come any number of times: the time for the opening ends it.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "notices": (b"", wire.notice_response()),
    "a setting": (wire.AUTHENTICATION_OK, wire.parameter_status("a", "b")),
}


def saying(data: bytes) -> Any:
    """Return a login that says this and waits for what comes."""

    async def login(session: Session) -> None:
        await session.write(data)
        while await session.socket.read():
            pass

    return login


@pytest.mark.parametrize("fragment", [None, 3])
@pytest.mark.parametrize("name", SAYINGS)
async def test_what_no_server_says(name: str, fragment: int | None) -> None:
    data, match = SAYINGS[name]
    if fragment and len(data) > 1000:
        fragment = 997
    async with FakeServer(login=saying(data), fragment=fragment) as server:
        with pytest.raises(wirekit.Error, match=match) as caught:
            await server.connect()
        assert_typed(caught.value)
        assert PASSWORD not in str(caught.value)
        await eventually(lambda: all(socket.closed.done() for socket in server.sockets))


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends(name: str) -> None:
    async def login(session: Session) -> None:
        begin, again = ENDLESS[name]
        await session.write(begin)
        while True:
            await session.write(again)
            await asyncio.sleep(0)

    async with FakeServer(login=login) as server:
        error = await outcome(server.connect(timeout=0.2))
        assert isinstance(error, wirekit.ConnectTimeout), repr(error)


async def test_settings_without_end() -> None:
    """More settings than any server has are refused, at the opening and later."""
    many = b"".join(wire.parameter_status(f"s{number}", "x") for number in range(1001))
    large = b"".join(wire.parameter_status(f"s{number}", "x" * 60000) for number in range(20))
    for data in (many, large):
        async with FakeServer(login=saying(wire.AUTHENTICATION_OK + data)) as server:
            with pytest.raises(
                wirekit.Error, match="the server reports too many settings"
            ) as error:
                await server.connect()
            assert_typed(error.value)
        async with FakeServer() as server:
            db = await server.connect()
            await server.write(data)
            await eventually(db.is_closed)
            assert_typed(await outcome(db.fetchval("SELECT $1", 1)))


async def test_the_end_of_the_connection_says_where() -> None:
    async def login(session: Session) -> None:
        await session.socket.close()

    async with FakeServer(login=login) as server:
        error = await outcome(server.connect())
        assert isinstance(error, wirekit.ConnectError), repr(error)
        assert_typed(error)


# Logins ------------------------------------------------------------------------------------------


async def _passwords_without_end(session: Session) -> None:
    for _ in range(100):
        await session.write(wire.AUTHENTICATION_CLEARTEXT_PASSWORD)
        await session.message()
    await trust(session)


async def test_a_password_is_given_once() -> None:
    async with FakeServer(login=_passwords_without_end) as server:
        error = await outcome(server.connect())
        assert isinstance(error, RemoteProtocolError), repr(error)
        assert_typed(error)


WEAKER: dict[str, bytes] = {
    "none": wire.LET_IN,
    "password": wire.AUTHENTICATION_CLEARTEXT_PASSWORD,
    "md5": wire.authentication_md5_password(),
}


@pytest.mark.parametrize("method", WEAKER)
async def test_methods_that_require_auth_forbids(method: str) -> None:
    heard = b""

    async def login(session: Session) -> None:
        nonlocal heard
        await session.write(WEAKER[method])
        while data := await session.socket.read():
            heard += data

    async with FakeServer(login=login) as server:
        error = await outcome(server.connect(require_auth="scram-sha-256"))
        assert_typed(error)
        assert "require_auth allows scram-sha-256" in str(error)
    assert heard == b""


@pytest.mark.parametrize("method", WEAKER)
async def test_methods_that_channel_binding_forbids(method: str) -> None:
    async with FakeServer(login=saying(WEAKER[method])) as server:
        error = await outcome(server.connect(channel_binding="require"))
        assert_typed(error)
        assert "channel_binding=require" in str(error)


def exchange(*says: bytes | Callable[[bytes], bytes]) -> Any:
    """Return a SCRAM login; functions make what is said from the nonce of the client."""

    async def login(session: Session) -> None:
        await session.write(wire.authentication_sasl("SCRAM-SHA-256"))
        _, body = await session.message()
        nonce = body[body.index(b"r=") + 2 :]
        for saying in says:
            await session.write(saying(nonce) if callable(saying) else saying)
        while await session.socket.read():
            pass

    return login


def first(nonce: bytes, iterations: bytes = b"4096", salt: bytes = b"c2FsdHNhbHQ=") -> bytes:
    text = b"r=" + nonce + b"more,s=" + salt + b",i=" + iterations
    return wire.authentication_sasl_continue(text)


EXCHANGES: dict[str, Any] = {
    "let in at once": exchange(wire.LET_IN),
    "let in without the final message": exchange(first, wire.LET_IN),
    "the final message at once": exchange(wire.authentication_sasl_final(b"v=eA==") + wire.LET_IN),
    "a wrong signature": exchange(first, wire.authentication_sasl_final(b"v=eA==") + wire.LET_IN),
    "an error in the final message": exchange(
        first, wire.authentication_sasl_final(b"e=invalid-proof") + wire.LET_IN
    ),
    "no signature": exchange(first, wire.authentication_sasl_final(b"") + wire.LET_IN),
    "two first messages": exchange(first, first),
    "another nonce": exchange(lambda nonce: first(b"another")),
    "the same nonce": exchange(
        lambda nonce: wire.authentication_sasl_continue(b"r=" + nonce + b",s=c2FsdA==,i=4096")
    ),
    "no salt": exchange(lambda nonce: first(nonce, salt=b"")),
    "a salt that is none": exchange(lambda nonce: first(nonce, salt=b"*")),
    "no iterations": exchange(lambda nonce: first(nonce, b"0")),
    "one iteration": exchange(lambda nonce: first(nonce, b"1")),
    "few iterations": exchange(lambda nonce: first(nonce, b"4095")),
    "many iterations": exchange(lambda nonce: first(nonce, b"1000001")),
    "hostile iterations": exchange(lambda nonce: first(nonce, b"9" * 5000)),
    "negative iterations": exchange(lambda nonce: first(nonce, b"-1")),
    "iterations in Arabic digits": exchange(lambda nonce: first(nonce, "٤٠٩٦".encode())),
    "nothing": exchange(wire.authentication_sasl_continue(b"")),
    "no UTF-8": exchange(wire.authentication_sasl_continue(b"\xff")),
    "17 KiB": exchange(lambda nonce: first(nonce + b"x" * 17000)),
    "the password after all": exchange(wire.AUTHENTICATION_CLEARTEXT_PASSWORD),
    "the hash after all": exchange(first, wire.authentication_md5_password()),
    "another exchange": exchange(wire.authentication_sasl("SCRAM-SHA-256")),
}


@pytest.mark.parametrize("name", EXCHANGES)
async def test_a_server_that_does_not_know_the_password(name: str) -> None:
    async with FakeServer(login=EXCHANGES[name]) as server:
        error = await outcome(server.connect())
        assert isinstance(error, RemoteProtocolError), repr(error)
        assert_typed(error)
        assert PASSWORD not in str(error)


# TLS ---------------------------------------------------------------------------------------------


async def refused(encryption: bytes, sslmode: str = "require", **settings: Any) -> Any:
    """Return the error where SSLRequest is answered so; nothing is said in clear behind it."""
    recorder = Recorder()
    async with FakeServer(encryption=encryption, spoil=lambda: recorder) as server:
        error = await outcome(server.connect(ssl=sslmode, **settings))
        assert_typed(error)
        assert server.startups == []
        assert server.cancelled == []
    return error


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
async def test_tls_is_not_stripped(sslmode: str) -> None:
    error = await refused(b"N", "require" if sslmode != "require" else sslmode)
    assert isinstance(error, wirekit.TLSError), repr(error)
    assert "nothing was sent in clear" in str(error)


async def test_tls_is_not_stripped_where_a_context_was_given() -> None:
    recorder = Recorder()
    async with FakeServer(encryption=b"N", spoil=lambda: recorder) as server:
        error = await outcome(server.connect(ssl=ssl.create_default_context()))
        assert isinstance(error, wirekit.TLSError), repr(error)
        assert server.startups == []


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
@pytest.mark.parametrize("answer", [b"S", b"N"])
async def test_plaintext_behind_the_answer_is_injected(answer: bytes, sslmode: str) -> None:
    error = await refused(answer + wire.LET_IN, sslmode)
    assert isinstance(error, RemoteProtocolError), repr(error)
    assert "data that was not asked for" in str(error)


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
async def test_an_error_in_place_of_the_answer_is_not_shown(sslmode: str) -> None:
    error = await refused(wire.error_response("call 555-0100"), sslmode)
    assert isinstance(error, RemoteProtocolError), repr(error)
    assert "555" not in str(error)


@pytest.mark.parametrize("answer", [b"G", b"X", b"\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_an_answer_that_is_none(answer: bytes) -> None:
    assert_typed(await refused(answer, timeout=0.3))


async def test_no_answer_at_all() -> None:
    error = await refused(b"", timeout=0.1)
    assert isinstance(error, TimeoutError), repr(error)


async def test_plaintext_in_place_of_the_handshake() -> None:
    """It comes too late to be seen with the answer, and is no handshake."""

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(wire.LET_IN)
        while await reader.read(65536):
            pass
        writer.close()

    listener = await asyncio.start_server(late, "127.0.0.1")
    async with listener:
        host, port = listener.sockets[0].getsockname()
        error = await outcome(
            postgres.connect(host=host, port=port, user="u", password=PASSWORD, ssl="require")
        )
        assert_typed(error)


async def test_prefer_goes_on_in_clear() -> None:
    """As with libpq: who wants more asks for it."""
    async with FakeServer(encryption=b"N") as server:
        db = await server.connect(ssl="prefer")
        assert await db.fetchval("SELECT $1", 1) == 42
        await db.close()
