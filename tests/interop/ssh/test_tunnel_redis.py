"""Redis through SSH: whatever is lost comes back, and nothing is sent twice or mixed up."""

from __future__ import annotations

import asyncio
import random

import pytest

import wirekit
from tests.interop.redis.helpers import connections_named, eventually, new_client, oracle
from tests.interop.redis.proxy import Proxy
from tests.interop.redis.test_cancellation import Storm
from tests.interop.redis.test_reconnect import AT_ONCE, assert_counters, at_least, traffic
from tests.interop.ssh.sessions import running
from tests.interop.ssh.tunnels import address_of, cuttable
from tests.servers import RunningServer
from wirekit.adapters.ssh import ChannelOpenError

pytestmark = pytest.mark.both_loops


async def test_the_ssh_connection_is_cut(sshd: RunningServer, redis_server: RunningServer) -> None:
    with oracle(redis_server, flush=True) as admin:
        async with cuttable(sshd) as (ssh, proxy):
            client = new_client(
                connector=ssh.connector(),
                address=address_of(redis_server),
                backoff=AT_ONCE,
                reconnect_attempts=100,
            )
            async with client, traffic(client) as tallies:
                for _ in range(6):
                    await at_least(tallies, 50)
                    proxy.cut_all()
            assert proxy.connections > 3
        assert_counters(admin, tallies)


async def test_what_is_tunnelled_is_cut_at_any_byte(
    sshd: RunningServer, redis_server: RunningServer
) -> None:
    rng = random.Random(7)
    with oracle(redis_server, flush=True) as admin:
        async with (
            running("openssh", sshd).client() as ssh,
            Proxy(redis_server, lambda: rng.randrange(300, rng.choice((1000, 9000)))) as proxy,
        ):
            client = new_client(
                connector=ssh.connector(),
                address=proxy.address,
                backoff=AT_ONCE,
                reconnect_attempts=1000,
            )
            async with client, traffic(client) as tallies:
                await eventually(lambda: proxy.cuts >= 60)
                proxy.lifetime = lambda: None
                proxy.cut_all()
            assert ssh.is_connected
        assert_counters(admin, tallies)


async def test_cancelled_callers_disturb_no_other(
    sshd: RunningServer, redis_server: RunningServer
) -> None:
    with oracle(redis_server, flush=True) as admin:
        for key in range(500):
            admin.set(f"fixed:{key}", f"value {key}")
        async with (
            running("openssh", sshd).client() as ssh,
            new_client(connector=ssh.connector(), address=address_of(redis_server)) as client,
        ):
            storm = Storm(client, 2000)
            await storm.run()
            assert await client.echo("still in order") == b"still in order"


async def test_subscriptions_come_back(sshd: RunningServer, redis_server: RunningServer) -> None:
    with oracle(redis_server) as admin:
        async with cuttable(sshd) as (ssh, proxy):
            client = new_client(
                connector=ssh.connector(),
                address=address_of(redis_server),
                backoff=AT_ONCE,
                reconnect_attempts=100,
            )
            async with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe("tunnel")
                proxy.cut_all()
                await eventually(lambda: dict(admin.pubsub_numsub("tunnel"))[b"tunnel"] == 0)
                heard = asyncio.create_task(anext(pubsub.listen()))
                await eventually(lambda: dict(admin.pubsub_numsub("tunnel"))[b"tunnel"] == 1)
                admin.publish("tunnel", "again")
                assert (await heard)["data"] == b"again"


async def test_nothing_stays_behind(sshd: RunningServer, redis_server: RunningServer) -> None:
    """Neither a blocked command that is given up nor a client that is closed."""
    with oracle(redis_server) as admin:
        async with running("openssh", sshd).client() as ssh:
            client = new_client(
                connector=ssh.connector(), address=address_of(redis_server), client_name="tunnelled"
            )
            async with client:
                blocked = asyncio.create_task(client.blpop(["no such list"], timeout=0))
                await eventually(lambda: len(connections_named(admin, "tunnelled")) == 2)
                blocked.cancel()
                await eventually(lambda: len(connections_named(admin, "tunnelled")) <= 2)
                assert await client.ping()
            await eventually(lambda: not connections_named(admin, "tunnelled"))
            assert ssh.is_connected


async def test_a_server_that_is_not_there(sshd: RunningServer) -> None:
    async with running("openssh", sshd).client() as ssh:
        client = new_client(connector=ssh.connector(), address=("127.0.0.1", 1))
        with pytest.raises(ChannelOpenError, match="Connection refused") as caught:
            await client.open()
        assert isinstance(caught.value, wirekit.ConnectRefused)
        assert ssh.is_connected
