from __future__ import annotations

from typing import Any

import pytest
import redis.credentials
import redis.exceptions

import wirekit
from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import Client, new_client
from tests.servers import RunningServer, redis_server
from wirekit.adapters.redis import Cache, Redis, ResponseError, connect
from wirekit.adapters.redis._settings import Settings
from wirekit.protocols.resp import encode
from wirekit.sockets import TLSOptions
from wirekit.sockets import connect as open_socket

SECRET = "hunter2 \u00e9"


def scripted(*answers: tuple[bytes, bytes]) -> tuple[FakeServer, list[Command]]:
    """Return a server that answers the opening by first words, and what it is told."""
    told: list[Command] = []

    def opening(command: Command) -> bytes:
        told.append(command)
        line = b" ".join(command)
        return next((reply for start, reply in answers if line.startswith(start)), OK)

    return FakeServer(lambda command: OK, opening=opening), told


HELLO = (b"HELLO", encode({b"server": b"redis", b"proto": 3, b"id": 7}))


async def test_what_is_said_in_resp3() -> None:
    server, told = scripted(HELLO)
    async with (
        server,
        server.client_on_socket(username="app", password=SECRET, db=3, client_name="me") as client,
    ):
        shared = client._connections.shared
        assert shared is not None
        assert (shared.protocol, shared.client_id) == (3, 7)
    assert told == [
        [b"HELLO", b"3", b"AUTH", b"app", SECRET.encode(), b"SETNAME", b"me"],
        [b"SELECT", b"3"],
        [b"CLIENT", b"SETINFO", b"LIB-NAME", b"wirekit"],
        [b"CLIENT", b"SETINFO", b"LIB-VER", wirekit.__version__.encode()],
        [b"PING"],
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        b"-NOPROTO unsupported protocol version\r\n",
        b"-ERR unknown command `HELLO`, with args beginning with: `3` `AUTH` `app`\r\n",
    ],
)
async def test_an_old_server_is_spoken_to_in_resp2(refusal: bytes) -> None:
    server, told = scripted(
        (b"HELLO", refusal), (b"CLIENT ID", b":9\r\n"), (b"CLIENT SETINFO", b"-ERR unknown\r\n")
    )
    async with (
        server,
        server.client_on_socket(username="app", password="hunter2", client_name="me") as client,
    ):
        shared = client._connections.shared
        assert shared is not None
        assert (shared.protocol, shared.client_id) == (2, 9)
    assert told[1:4] == [
        [b"AUTH", b"app", b"hunter2"],
        [b"CLIENT", b"SETNAME", b"me"],
        [b"CLIENT", b"ID"],
    ]


@pytest.mark.parametrize("settings", [{"protocol": 3}, {"cache": Cache()}])
async def test_resp3_was_demanded(settings: dict[str, Any]) -> None:
    refusal = b"-ERR unknown command `HELLO`, with args beginning with: `3` `AUTH` `hunter2`\r\n"
    server, _ = scripted((b"HELLO", refusal))
    client = server.client_on_socket(password="hunter2", **settings)
    async with server:
        with pytest.raises(ResponseError, match="does not speak RESP3") as caught:
            await client.open()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_resp2_by_choice() -> None:
    server, told = scripted((b"CLIENT ID", b"-NOPERM no\r\n"))
    async with server, server.client_on_socket(protocol=2, password=SECRET) as client:
        shared = client._connections.shared
        assert shared is not None
        assert (shared.protocol, shared.client_id) == (2, None)
    assert told[0] == [b"AUTH", SECRET.encode()]


@pytest.mark.parametrize(
    ("command", "settings"),
    [(b"SELECT", {"db": 3}), (b"CLIENT SETNAME", {"protocol": 2, "client_name": "x"})],
)
async def test_what_is_wanted_must_succeed(command: bytes, settings: dict[str, Any]) -> None:
    server, _ = scripted(HELLO, (command, b"-ERR no such thing\r\n"))
    async with server:
        client = server.client_on_socket(**settings)
        with pytest.raises(ResponseError, match="no such thing"):
            await client.open()


class Provider(redis.credentials.CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        return "app", SECRET


async def later() -> tuple[str, str]:
    return "app", SECRET


@pytest.mark.parametrize("source", [Provider(), lambda: ("app", SECRET), later])
async def test_sources_of_credentials(source: Any) -> None:
    server, told = scripted(HELLO)
    async with server, server.client_on_socket(credentials=source):
        assert told[0][2:] == [b"AUTH", b"app", SECRET.encode()]


async def test_credentials_are_asked_for_each_connection() -> None:
    server, told = scripted(HELLO)
    passwords = iter(["first", "second"])
    client = server.client(credentials=lambda: (next(passwords),))
    async with server, client:
        server.sockets[0].abort()
        await client.ping()
    assert [words[4] for words in told if words[0] == b"HELLO"] == [b"first", b"second"]


async def test_credentials_that_fail() -> None:
    def fail() -> tuple[str, str]:
        raise KeyError("no such secret")

    server, _ = scripted(HELLO)
    async with server:
        client = server.client_on_socket(credentials=fail)
        with pytest.raises(KeyError):
            await client.open()


async def test_a_user_without_password() -> None:
    server, told = scripted(HELLO)
    async with server, server.client_on_socket(username="app"):
        assert told[0][2:] == [b"AUTH", b"app", b""]


async def test_the_end_while_opening() -> None:
    server, _ = scripted(HELLO)
    async with server:
        socket = server.socket()
        server.sockets[0].abort()
        with pytest.raises(wirekit.ConnectError) as caught:
            await Redis(socket).open()
    assert isinstance(caught.value, redis.exceptions.ConnectionError)


async def test_silence_while_opening() -> None:
    server = FakeServer(lambda command: OK, opening=lambda command: b"")
    async with server:
        with pytest.raises(wirekit.ConnectTimeout, match=r"within 0\.05 s") as caught:
            await server.client_on_socket(timeout=0.05).open()
    assert isinstance(caught.value, redis.exceptions.TimeoutError)


def test_secrets_are_not_shown() -> None:
    settings = Settings(password="hunter2", credentials=lambda: ("app", "hunter2"))
    assert "hunter2" not in repr(settings)
    assert "lambda" not in repr(settings)


async def test_password_name_and_database(server: RunningServer) -> None:
    program = "valkey" if server.name == "valkey" else "redis"
    with redis_server(program=program, password=SECRET, users={"app": "on >pw ~* &* +@all"}) as own:
        address = (own.host, own.port)
        for settings in ({"password": SECRET}, {"username": "app", "password": "pw"}):
            for protocol in (None, 2, 3):
                options: Any = {**settings, "protocol": protocol, "client_name": "me", "db": 5}
                async with new_client(open_socket(address), **options) as client:
                    about = await client.client_info()
                    assert (about["name"], about["db"]) == ("me", 5)
                    assert about["user"] == settings.get("username", "default")
                    assert about["id"] == await client.client_id()
        with pytest.raises(redis.exceptions.AuthenticationError) as caught:
            await Redis(open_socket(address), password="wrong hunter2").open()
        assert "hunter2" not in str(caught.value)
        with pytest.raises(redis.exceptions.AuthenticationError):
            await Redis(open_socket(address)).open()


async def test_tls_and_unix_by_url(redis_server: RunningServer) -> None:
    certificates = redis_server.certificates
    assert certificates is not None
    tls = TLSOptions(ca_file=str(certificates.authority))
    url = f"rediss://localhost:{redis_server.tls_port}/2"
    client: Client = await connect(url, tls=tls)
    async with client:
        assert await client.ping() is True
    with pytest.raises(wirekit.TLSError):
        await connect(url)
    client = await connect(f"unix://{redis_server.unix_path}?db=2")
    async with client:
        assert await client.ping() is True
