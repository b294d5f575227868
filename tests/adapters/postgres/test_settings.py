"""How a connection is opened."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters import postgres as pg
from wirekit.adapters.postgres._settings import Settings, open_connection
from wirekit.sockets import DirectConnector, Socket, connect, memory_pair


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


OK = message(b"R", bytes(4))
READY = message(b"Z", b"I")
KEY = message(b"K", struct.pack("!i", 7) + b"key!")
FATAL = message(b"E", b"SFATAL\0VFATAL\0C28000\0Myou shall not pass\0\0")
CLEARTEXT = message(b"R", struct.pack("!i", 3))


class Fake:
    """The server's end of a socket, which says something to all that it hears."""

    def __init__(self) -> None:
        self.ours, self.theirs = memory_pair(allow_half_open=True)
        self.heard: list[bytes] = []
        self.task: asyncio.Task[None] | None = None

    def says(self, *answers: bytes, close: bool = False) -> Socket:
        async def serve() -> None:
            for answer in answers:
                self.heard.append(await self.theirs.read())
                await self.theirs.write(answer)
            if close:
                await self.theirs.close()

        self.task = asyncio.create_task(serve())
        return self.ours

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.ours.abort()
        self.theirs.abort()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    made = Fake()
    yield made
    await made.end()


async def gone(socket: Socket) -> None:
    async with asyncio.timeout(10):
        await socket.closed


def settings(**options: Any) -> Settings:
    given: dict[str, Any] = {"user": "me", "timeout": 5.0, **options}
    return Settings(**given)


# What is said --------------------------------------------------------------------------------


async def test_who_we_are(fake: Fake) -> None:
    socket = fake.says(OK + KEY + READY)
    opened = await open_connection(
        socket, settings(database="db", server_settings={"application_name": "test"})
    )
    assert opened.version == (3, 0)
    assert opened.key is not None
    assert (opened.key.process_id, opened.key.secret_key) == (7, b"key!")
    expected = b"user\0me\0client_encoding\0UTF8\0database\0db\0application_name\0test\0\0"
    assert fake.heard == [struct.pack("!ihh", 8 + len(expected), 3, 0) + expected]


async def test_replication_and_no_key(fake: Fake) -> None:
    opened = await open_connection(fake.says(OK + READY), settings(replication="database"))
    assert opened.key is None
    assert b"replication\0database\0" in fake.heard[0]


@pytest.mark.parametrize(
    ("server_settings", "text"),
    [
        ({"client_encoding": "latin1"}, "UTF8"),
        ({"user": "other"}, "user"),
        ({"database": "other"}, "database"),
        ({"replication": "true"}, "replication"),
        ({"_pq_.option": "x"}, "_pq_"),
    ],
)
async def test_settings_that_are_not_to_be_set(
    fake: Fake, server_settings: dict[str, str], text: str
) -> None:
    with pytest.raises(pg.ClientConfigurationError, match=text):
        await open_connection(fake.ours, settings(server_settings=server_settings))
    await gone(fake.ours)


@pytest.mark.parametrize("encoding", ["utf8", "UTF-8", "unicode", "'utf-8'", "auto"])
async def test_the_encoding_that_is_spoken(postgres15: RunningServer, encoding: str) -> None:
    async with client(postgres15, server_settings={"client_encoding": encoding}) as db:
        assert await db.fetchval("SHOW client_encoding") == "UTF8"


async def test_server_settings(postgres: RunningServer) -> None:
    options = {"search_path": "pg_catalog", "statement_timeout": "12345"}
    async with client(postgres, server_settings=options) as db:
        assert await db.fetchval("SHOW search_path") == "pg_catalog"
        assert await db.fetchval("SHOW statement_timeout") == "12345ms"
    with pytest.raises(pg.UndefinedObjectError, match="nothing"):
        async with client(postgres, server_settings={"nothing": "1"}):
            pass


# Versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "spoken"), [((3, 0), (3, 0)), ((3, 2), (3, 0))])
async def test_postgres_15_speaks_3_0(
    postgres15: RunningServer, wanted: tuple[int, int], spoken: tuple[int, int]
) -> None:
    async with login(postgres15, protocol_version=wanted) as db:
        assert db.protocol_version == spoken
        assert await db.fetchval("SELECT 1") == 1
        with pytest.raises(TimeoutError):
            await db.fetch("SELECT pg_sleep(1000)", timeout=0.02)
        assert await db.fetchval("SELECT 1", timeout=10) == 1


async def test_postgres_18_speaks_3_2(postgres18: RunningServer) -> None:
    for version in ((3, 0), (3, 2)):
        async with login(postgres18, protocol_version=version) as db:
            assert db.protocol_version == version
            with pytest.raises(TimeoutError):
                await db.fetch("SELECT pg_sleep(1000)", timeout=0.02)
            assert await db.fetchval("SELECT 1", timeout=10) == 1


async def test_a_version_that_is_too_old(postgres15: RunningServer) -> None:
    with pytest.raises(pg.UnsupportedServerFeatureError, match=r"3\.0, and at least 3\.2"):
        async with login(postgres15, protocol_version=(3, 2), min_protocol_version=(3, 2)):
            pass


def login(server: RunningServer, **options: Any) -> pg.Postgres:
    return pg.Postgres(
        connector=DirectConnector(),
        address=(server.host, server.port),
        user="trust_user",
        database="wirekit",
        **options,
    )


def negotiated(version: tuple[int, int], *options: bytes) -> bytes:
    body = struct.pack("!hhi", *version, len(options)) + b"".join(o + b"\0" for o in options)
    return message(b"v", body)


@pytest.mark.parametrize(
    "answer", [negotiated((3, 3)), negotiated((4, 0)), negotiated((3, 0), b"_pq_.x")]
)
async def test_versions_that_were_not_offered(fake: Fake, answer: bytes) -> None:
    with pytest.raises(wirekit.RemoteProtocolError):
        await open_connection(fake.says(answer + OK + READY), settings(protocol_version=(3, 2)))
    await gone(fake.ours)


# Refusals ------------------------------------------------------------------------------------


async def test_the_server_refuses(fake: Fake) -> None:
    with pytest.raises(pg.InvalidAuthorizationSpecificationError, match="you shall not pass"):
        await open_connection(fake.says(FATAL, close=True), settings())
    await gone(fake.ours)


async def test_the_password_is_for_the_server_alone(fake: Fake) -> None:
    with pytest.raises(pg.InvalidAuthorizationSpecificationError) as caught:
        await open_connection(fake.says(CLEARTEXT, FATAL), settings(password="hunter2"))
    assert fake.heard[1] == message(b"p", b"hunter2\0")
    assert "hunter2" not in f"{caught.value!r} {settings(password='hunter2')!r}"


FAULTS: dict[str, tuple[Callable[[Fake], Socket], type[Exception], str]] = {
    "closes": (lambda fake: fake.says(b"", close=True), wirekit.ConnectError, "closed"),
    "closes late": (lambda fake: fake.says(OK, close=True), wirekit.ConnectError, "closed"),
    "says nothing": (lambda fake: fake.says(b""), wirekit.ConnectTimeout, "within"),
    "says too little": (lambda fake: fake.says(OK), wirekit.ConnectTimeout, "within"),
    "speaks another protocol": (
        lambda fake: fake.says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        wirekit.RemoteProtocolError,
        "offset",
    ),
    "says too much": (
        lambda fake: fake.says(OK + KEY * 2000 + READY),
        wirekit.RemoteProtocolError,
        "too much",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(fake: Fake, fault: str) -> None:
    serve, expected, text = FAULTS[fault]
    socket = serve(fake)
    with pytest.raises(expected, match=text) as caught:
        await open_connection(socket, settings(timeout=0.1))
    assert isinstance(caught.value, wirekit.Error)
    await gone(socket)


async def test_cancelled_while_opening(fake: Fake) -> None:
    task = asyncio.create_task(open_connection(fake.says(OK), settings()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(fake.ours)


async def test_a_password_function_that_fails(fake: Fake) -> None:
    def password() -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await open_connection(fake.says(CLEARTEXT), settings(password=password))
    await gone(fake.ours)


# TLS -----------------------------------------------------------------------------------------


def starttls(server: RunningServer, authority: CertificateAuthority, **options: Any) -> Socket:
    return connect(
        (server.host, server.port),
        secure_transport="starttls",
        ssl_context=authority.client_context(),
        **options,
    )


async def test_tls_is_asked_for(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    socket = starttls(postgres15, certificate_authority)
    opened = await open_connection(
        socket, settings(user="trust_user", database="wirekit"), plain_is_accepted=True
    )
    assert opened.connection.socket.secure_transport == "on"
    await opened.connection.aclose()


async def test_without_tls_if_that_is_accepted(
    postgres18: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    plain = settings(user="trust_user", database="wirekit")
    with pytest.raises(wirekit.TLSError, match="nothing was sent in clear"):
        await open_connection(starttls(postgres18, certificate_authority), plain)
    opened = await open_connection(
        starttls(postgres18, certificate_authority), plain, plain_is_accepted=True
    )
    await opened.connection.aclose()


async def test_a_certificate_that_is_not_trusted(postgres15: RunningServer) -> None:
    socket = starttls(postgres15, CertificateAuthority())
    with pytest.raises(wirekit.TLSError):
        await open_connection(socket, settings(user="trust_user"))
    await gone(socket)


@pytest.mark.parametrize("answer", [b"X", b"E" + bytes(10), b"SS", b"N" + OK])
async def test_answers_to_the_request_for_tls(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        socket = connect((host, port), secure_transport="starttls")
        with pytest.raises(wirekit.RemoteProtocolError):
            await open_connection(socket, settings(), plain_is_accepted=True)
        await socket.closed
