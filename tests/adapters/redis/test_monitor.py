from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wirekit
from tests.interop.redis.fake_server import OK, Command, FakeServer
from tests.interop.redis.helpers import eventually, new_client, on_socket, reconnecting
from tests.servers import RunningServer
from wirekit.adapters.redis import ResponseError
from wirekit.sockets import connect


async def test_commands_as_they_run(server: RunningServer) -> None:
    async with reconnecting(server) as client:
        async with client.monitor() as monitor:
            await client.set("k", 'say "hi"')
            seen = await monitor.next_command()
            assert seen["command"] == 'SET k say "hi"'
            assert (seen["db"], seen["client_address"], seen["client_type"]) == (
                0,
                "127.0.0.1",
                "tcp",
            )
            assert seen["client_port"].isdigit()
            assert seen["time"] > 1_600_000_000
            await client.eval("return redis.call('get', KEYS[1])", 1, "k")
            kinds = [(await monitor.next_command())["client_type"] for _ in range(2)]
            assert kinds == ["tcp", "lua"]
            await client.set("large", b"x" * 200_000)
            assert len((await monitor.next_command())["command"]) > 200_000
        assert await client.ping() is True
        assert not client._connections._lent


async def test_what_it_takes_of_the_only_connection(server: RunningServer) -> None:
    async with on_socket(server) as client, on_socket(server) as other:
        async with client.monitor() as monitor:
            with pytest.raises(wirekit.BusyError):
                await client.ping()
            await other.ping()
            async for command in monitor:
                assert command["command"] == "PING"
                break
        with pytest.raises(wirekit.SocketClosed, match="used up"):
            await client.ping()


async def test_unix_clients(server: RunningServer) -> None:
    async with (
        reconnecting(server) as client,
        new_client(connect(f"unix://{server.unix_path}")) as other,
        client.monitor() as monitor,
    ):
        await other.echo("x")
        seen = await monitor.next_command()
        assert (seen["client_address"], seen["client_type"]) == ("unix", "unix")
        assert seen["client_port"] == str(server.unix_path)


LINES = [
    (
        '1339518083.107412 [3 [::1]:60866] "keys" "*"',
        (1339518083.107412, 3, "[::1]", "60866", "tcp", "keys *"),
    ),
    ('1.5 [0 lua] "get" "a b"', (1.5, 0, "lua", "", "lua", "get a b")),
    ('1.5 [0 unix:/tmp/s] "get" ""', (1.5, 0, "unix", "/tmp/s", "unix", "get ")),
    (r'1.5 [0 h:1] "set" "\"q\"" "\\"', (1.5, 0, "h", "1", "tcp", r'set "q" \\')),
    (r'1.5 [0 h:1] "a] \"b" "c"', (1.5, 0, "h", "1", "tcp", 'a] "b c')),
]


def monitored(*lines: str) -> FakeServer:
    sent = OK + b"".join(b"+%b\r\n" % line.encode() for line in lines)
    return FakeServer(lambda command: sent if command == [b"MONITOR"] else OK)


async def test_lines() -> None:
    async with (
        monitored(*(line for line, _ in LINES)) as server,
        server.client() as client,
        client.monitor() as monitor,
    ):
        for _, expected in LINES:
            assert tuple((await monitor.next_command()).values()) == expected


async def test_what_is_no_line() -> None:
    async with (
        monitored("nonsense", LINES[1][0]) as server,
        server.client() as client,
        client.monitor() as monitor,
    ):
        with pytest.raises(wirekit.RemoteProtocolError):
            await monitor.next_command()
        assert (await monitor.next_command())["client_type"] == "lua"


@pytest.mark.parametrize("limits", [{"max_commands": 2}, {"max_bytes": 50}])
async def test_limits(limits: dict[str, Any]) -> None:
    lines = [f'{number}.0 [0 h:1] "get" "k"' for number in range(5)]
    async with (
        monitored(*lines) as server,
        server.client() as client,
        client.monitor(**limits) as monitor,
    ):
        await eventually(lambda: monitor.dropped == 3)
        assert [(await monitor.next_command())["time"] for _ in range(2)] == [3.0, 4.0]


async def test_refused() -> None:
    def answer(command: Command) -> bytes:
        return b"-NOPERM no\r\n" if command == [b"MONITOR"] else b"+PONG\r\n"

    for kind in ("client", "client_on_socket"):
        async with FakeServer(answer) as server, getattr(server, kind)() as client:
            with pytest.raises(ResponseError):
                await client.monitor().__aenter__()
            assert await client.ping() is True
            assert not client._connections._lent


async def test_misuse_and_ends() -> None:
    async with monitored() as server, server.client() as client:
        monitor = client.monitor()
        with pytest.raises(wirekit.SocketClosed, match="not open"):
            await monitor.next_command()
        async with monitor:
            with pytest.raises(wirekit.BusyError):
                await monitor.__aenter__()
            waiting = asyncio.create_task(monitor.next_command())
            await asyncio.sleep(0.01)
            server.sockets[-1].abort()
            with pytest.raises(wirekit.ConnectionLost):
                await waiting
        async with monitor:
            waiting = asyncio.create_task(monitor.next_command())
            await asyncio.sleep(0.01)
        with pytest.raises(wirekit.SocketClosed):
            await waiting
        async with client.monitor() as last:
            waiting = asyncio.create_task(last.next_command())
            await asyncio.sleep(0.01)
            await client.aclose()
            with pytest.raises(wirekit.SocketClosed):
                await waiting
