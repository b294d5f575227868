from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.exceptions

import wirekit
from tests.interop.redis.fake_server import OK, FakeServer
from tests.interop.redis.helpers import Client, new_client, on_socket, reconnecting
from tests.servers import RunningServer
from wirekit.adapters.redis import Cache, Redis, ResponseError, connect
from wirekit.sockets import DirectConnector, Policy


@pytest.fixture(params=[on_socket, reconnecting], ids=["socket", "connector"])
async def client(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[Any]:
    async with request.param(server, timeout=10.0) as opened:
        await opened.flushall()
        yield opened


# Making and closing.


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "pass a socket"),
        ({"address": "h:1"}, "pass a socket"),
        ({"connector": DirectConnector()}, "go together"),
        ({"protocol": 4}, "protocol must be 2, 3 or None"),
        ({"protocol": 2, "cache": Cache()}, "RESP3"),
        ({"max_dedicated": 0}, "at least 1"),
        ({"reconnect_attempts": 0}, "at least 1"),
        ({"encoding": "latin-1"}, "utf-8"),
        ({"encoding": "no such"}, "no such"),
        ({"encoding_errors": "no such"}, "no such"),
        ({"password": "x", "credentials": lambda: ("a", "b")}, "credentials"),
    ],
)
def test_wrong_settings(settings: Any, text: str) -> None:
    if "connector" not in settings and text != "pass a socket":
        settings = {"connector": DirectConnector(), "address": "h:1", **settings}
    with pytest.raises(wirekit.AddressError, match=text):
        Redis(**settings)


def test_what_is_no_socket() -> None:
    wrong: Any = "redis://127.0.0.1"
    with pytest.raises(TypeError, match="socket"):
        Redis(wrong)


def test_a_socket_without_a_running_loop() -> None:
    left, right = socket.socketpair()
    with left, right, pytest.raises(RuntimeError, match="within a coroutine"):
        Redis(left)


async def test_a_stdlib_socket_and_streams(server: RunningServer) -> None:
    async with new_client(socket.create_connection((server.host, server.port))) as client:
        assert await client.ping() is True
    streams = await asyncio.open_connection(server.host, server.port)
    async with new_client(streams) as client:
        assert await client.ping() is True


USES: list[Callable[[Client], Any]] = [
    lambda client: client.ping(),
    lambda client: client.execute("PING"),
    lambda client: client.blpop("l", timeout=1),
    lambda client: client.pipeline().ping().execute(),
    lambda client: client.pipeline().watch("k"),
    lambda client: client.pubsub().subscribe("a"),
    lambda client: client.monitor().__aenter__(),
]


async def test_use_before_opening_and_after_closing(server: RunningServer) -> None:
    for client in (on_socket(server), reconnecting(server)):
        assert repr(client) == "<Redis not open>"
        for use in USES:
            with pytest.raises(wirekit.SocketClosed, match="not open: use `async with`"):
                await use(client)
        assert await client.open() is client
        assert await client.ping() is True
        assert repr(client) == f"<Redis {server.host}:{server.port} db=0 open>"
        await client.close()
        await client.aclose()
        for use in USES:
            with pytest.raises(wirekit.SocketClosed, match="the client was closed") as caught:
                await use(client)
            assert isinstance(caught.value, redis.exceptions.ConnectionError)
        assert "closed" in repr(client)
        with pytest.raises(wirekit.SocketClosed, match="the client was closed"):
            async with client:
                raise AssertionError("not to be entered")


async def test_closed_without_having_been_opened(server: RunningServer) -> None:
    client = on_socket(server)
    await client.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await client.open()


async def test_closing_gives_everyone_an_error() -> None:
    async with FakeServer(lambda command: b"") as server:
        for client in (server.client(), server.client_on_socket()):
            await client.open()
            tasks = [asyncio.create_task(client.get("k")) for _ in range(10)]
            tasks.append(asyncio.create_task(client.pipeline().get("k").execute()))
            await asyncio.sleep(0.01)
            await client.aclose()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, wirekit.SocketClosed)


async def test_refused(server: RunningServer) -> None:
    with pytest.raises(wirekit.ConnectRefused) as caught:
        await connect("redis://:hunter2@127.0.0.1:1")
    assert isinstance(caught.value, redis.exceptions.ConnectionError)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ResponseError):
        await connect(f"redis://{server.host}:{server.port}/9999")


async def test_lost() -> None:
    async with FakeServer(lambda command: OK) as server:
        client = server.client_on_socket()
        async with client:
            server.sockets[0].abort()
            with pytest.raises(wirekit.ConnectionLost):
                await client.ping()
            assert "lost" in repr(client)


# By URL.


def test_from_url_needs_no_loop() -> None:
    client: Client = Redis.from_url(
        "redis://app:hunter2@db.internal:7000/3?protocol=3", timeout=5.0
    )
    assert repr(client) == "<Redis not open>"
    assert (client._settings.db, client._settings.protocol, client._settings.timeout) == (3, 3, 5.0)
    assert "hunter2" not in repr(client._settings)


async def test_urls(server: RunningServer) -> None:
    address = f"{server.host}:{server.port}"
    async with Redis.from_url(f"redis://{address}/2", decode_responses=True) as client:
        await client.set("k", "v")
        assert await client.get("k") == "v"
    opened: Client = await Redis.from_url(address).open()
    assert await opened.ping() is True
    await opened.aclose()
    other: Client = await connect(f"redis://{address}/1?db=2", client_name="me")
    async with other:
        assert await other.get("k") == b"v"
        assert await other.client_getname() == "me"


async def test_the_policy_holds(server: RunningServer) -> None:
    with pytest.raises(wirekit.BlockedError):
        await connect(f"redis://{server.host}:{server.port}", policy=Policy.public_only())


class Mine(Redis):
    pass


async def test_subclasses() -> None:
    client = Mine.from_url("redis://h")
    assert type(client) is Mine
    assert type(client.idempotent) is Mine


# Sessions.


async def test_transaction(client: Any, server: RunningServer) -> None:
    await client.set("n", 1)
    runs = 0

    async def double(pipe: Any) -> str:
        nonlocal runs
        runs += 1
        number = int(await pipe.get("n"))
        if runs == 1:
            async with on_socket(server) as other:
                await other.set("n", 10)
        pipe.multi()
        pipe.set("n", 2 * number)
        return "mine"

    assert await client.transaction(double, "n") == [True]
    assert (runs, await client.get("n")) == (2, b"20")
    assert await client.transaction(double, "n", value_from_callable=True) == "mine"

    def add(pipe: Any) -> None:
        pipe.incr("n")

    def fail(pipe: Any) -> None:
        raise ZeroDivisionError

    assert await client.transaction(add) == [41]
    with pytest.raises(ZeroDivisionError):
        await client.transaction(fail, "n")
    assert await client.ping() is True


async def test_lock(client: Any) -> None:
    async with client.lock("lock", timeout=5) as lock:
        assert await lock.owned()
        other = client.lock("lock", blocking=False)
        assert not await other.acquire()
        assert await lock.extend(5)
    assert not await lock.locked()


async def test_script(client: Any) -> None:
    script = client.register_script("return {KEYS[1], ARGV[1]}")
    assert await script(keys=["k"], args=["a"]) == [b"k", b"a"]
    assert await client.idempotent.register_script(b"return 1")() == 1


def shaped(reply: Any) -> Any:
    return "shaped", reply


async def test_the_idempotent_view_is_the_client(client: Any) -> None:
    view = client.idempotent
    assert await view.set("k", "v") is True
    assert await client.get("k") == b"v"
    assert repr(view) == repr(client)
    client.set_response_callback("GET", shaped)
    assert await view.get("k") == ("shaped", b"v")
    await view.aclose()
    with pytest.raises(wirekit.SocketClosed):
        await client.get("k")


async def test_what_redis_py_asks(client: Any) -> None:
    assert client.get_encoder().encode("\u00e9") == "\u00e9".encode()
    assert client.get_connection_kwargs() == {
        "db": 0,
        "protocol": None,
        "decode_responses": False,
    }
