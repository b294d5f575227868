"""The SSH rows, run once and small against a real server with real targets behind it."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

import asyncssh
import pytest

from benchmarks._model import Address, Scale, Unsupported, WrongReply
from benchmarks._result import Result
from benchmarks._runner import Settings, run_adapter
from benchmarks._tunnel_server import STREAM, tunnel_server
from benchmarks.ssh import ADAPTER
from benchmarks.ssh._client import Buffer, Framing, SSHParticipant
from benchmarks.ssh._data import (
    ENDING,
    LOOPBACK,
    SUITES,
    TARGETS,
    Suite,
    client_key,
    payload_of,
    server_at,
)
from benchmarks.ssh._framing import Framed
from benchmarks.ssh._tunnel import download, upload
from tests.servers import RunningServer

SMALL = Scale(seconds=0.001, tunnel_mebibytes=1)
PACKET_LAYERS = ("wirekit", "asyncssh", "paramiko", "floor")
# sshtunnel is not in the extra "test".
PARTICIPANTS = [
    name
    for name in ADAPTER.participants
    if name != "paramiko" or importlib.util.find_spec("sshtunnel")
]
LAYERS = [name for name in PARTICIPANTS if name in PACKET_LAYERS]
TUNNELS = [name for name in PARTICIPANTS if name != "floor"]


@pytest.fixture(scope="module")
def server() -> Generator[RunningServer]:
    with tunnel_server() as running:
        yield running


@pytest.fixture
def address(server: RunningServer) -> Address:
    found = (server.host, server.port)
    ADAPTER.prepare(found, SMALL)
    return found


async def run(name: str, address: Address, keys: Sequence[str]) -> list[Result]:
    workloads: list[Any] = [
        workload for workload in ADAPTER.workloads(SMALL) if workload.rows[0].key in keys
    ]
    settings = Settings(1, "asyncio", lambda participant, row: None)
    return await run_adapter(ADAPTER, [ADAPTER.participant(name)], workloads, address, settings)


def participant(name: str) -> SSHParticipant:
    client = ADAPTER.participant(name)()
    assert isinstance(client, SSHParticipant)
    return client


@pytest.mark.parametrize("size", [1024, 32768])
def test_payloads_have_their_size_and_say_so(size: int) -> None:
    payload = payload_of(size)
    assert len(payload) == size
    assert payload[:5] == b"\x5e\0\0\0\0"
    assert int.from_bytes(payload[5:9], "big") == size - 9


def test_goals_name_peers_that_take_part() -> None:
    rows = [row for workload in ADAPTER.workloads(SMALL) for row in workload.rows]
    assert len({row.key for row in rows}) == len(rows)
    goals = [row.goal for row in rows if row.goal is not None]
    assert {(goal.factor, goal.peer) for goal in goals} == {(2, "asyncssh"), (1, "asyncssh")}


def test_server_version(address: Address) -> None:
    assert ADAPTER.server_version(address).startswith("OpenSSH ")
    assert set(server_at(address).ports) == set(TARGETS)


def test_a_server_that_does_not_tell_its_targets_is_not_for_this() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def identify() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian redis=1\r\n")

        thread = threading.Thread(target=identify)
        thread.start()
        with pytest.raises(WrongReply, match="Debian"):
            ADAPTER.prepare(listener.getsockname(), SMALL)
        thread.join()


def test_the_key_is_made_once_and_for_nobody_else() -> None:
    path = client_key()
    assert client_key() is path
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"OPENSSH PRIVATE KEY" in path.read_bytes()


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
async def test_what_is_sealed_can_be_opened(name: str, suite: Suite) -> None:
    client = participant(name)
    try:
        try:
            framing = await client.framing(suite)
        except Unsupported:
            assert (name, suite.encryption[:6]) == ("paramiko", "chacha")
            return
        payload = payload_of(1024)
        for count in (3, 5):  # so that all that counts packets goes on
            sealed = framing.seal(payload, count)
            assert sum(map(len, sealed)) >= count * len(payload)
            packets = framing.packets(payload, count, sealed)
            pieces = [packets[at : at + 700] for at in range(0, len(packets), 700)]
            assert framing.open(pieces) == [payload] * count
    finally:
        await client.close()


async def test_asyncssh_seals_another_packet_before_each() -> None:
    client = participant("asyncssh")
    try:
        sealed = (await client.framing(SUITES[0])).seal(payload_of(1024), 4)
    finally:
        await client.close()
    assert [len(packet) for packet in sealed] == [4 + 16 + 16, 4 + 1032 + 16] * 4


class Forgetful(Framing):
    """It loses what it seals."""

    def seal(self, payload: bytes, count: int) -> Sequence[Buffer]:
        return []

    def open(self, pieces: Sequence[bytes]) -> list[bytes]:
        return []


async def test_a_packet_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    client = participant("wirekit")

    async def framing(_suite: Suite) -> Framing:
        return Forgetful()

    monkeypatch.setattr(client, "framing", framing)
    with pytest.raises(WrongReply, match=r"open a packet .* aes128-gcm"):
        await Framed(SMALL, SUITES[1], 1024).warm_up(client)


@pytest.mark.parametrize("name", PARTICIPANTS)
async def test_every_kind_of_row_has_a_figure(name: str, address: Address) -> None:
    keys = ["seal-1024-aes128-gcm", "seal-32768-aes256-ctr-hmac-sha2-512"]
    keys += ["download", "upload", "redis-sequential", "redis-tasks", "postgres-sequential"]
    results = await run(name, address, keys)
    assert [result.series[0].error for result in results] == [""] * (len(keys) + 2)
    for result in results:
        series = result.series[0]
        framing = result.row.unit == "packets/s"
        can = name in (LAYERS if framing else TUNNELS)
        assert bool(series.unsupported) != can
        assert can == (bool(series.samples) and series.samples[0] > 0)


@pytest.mark.parametrize("name", TUNNELS)
async def test_all_bytes_go_through_the_tunnel(name: str, address: Address) -> None:
    client = participant(name)
    try:
        await client.connect(address)
        for size in (len(ENDING), 1_000_003):
            assert await download(client, size) == (size, ENDING)
            assert await upload(client, size) == (size, ENDING)
    finally:
        await client.close()


async def test_bytes_that_do_not_come_are_found(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.ssh._tunnel.ENDING", b"another ending..")
    (result,) = await run("wirekit", address, ["upload"])
    assert result.series[0].error == "WrongReply: 1 MiB up through the tunnel"


async def test_a_server_that_is_gone_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone: Address = listener.getsockname()
    (result,) = await run("wirekit", gone, ["redis-sequential"])
    assert result.series[0].error


# The servers


@pytest.fixture
def stream(address: Address) -> Generator[socket.socket]:
    """Connect to the server of bytes, without a tunnel."""
    port = server_at(address).ports["stream"]
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Return everything up to the end."""
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


@pytest.mark.parametrize("size", [16, 17, 262_144, 600_000])
def test_the_stream_gives(stream: socket.socket, size: int) -> None:
    stream.sendall(b"get %d\n" % size)
    data = received(stream)
    assert len(data) == size
    assert data.endswith(ENDING)


def test_the_stream_takes(stream: socket.socket) -> None:
    stream.sendall(b"put 300016\n" + bytes(300_000) + ENDING)
    assert received(stream) == b"300016 " + ENDING + b"\n"


def test_the_stream_says_what_is_missing(stream: socket.socket) -> None:
    stream.sendall(b"put 100\n" + b"too little")
    stream.shutdown(socket.SHUT_WR)
    assert received(stream) == b"10 too little\n"


def test_the_stream_answers_nothing_else(stream: socket.socket) -> None:
    stream.sendall(b"what is this?\n")
    assert received(stream) == b""


def test_the_stream_ends_with_its_input() -> None:
    command = [sys.executable, str(STREAM), LOOPBACK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert int(output) > 0


async def test_whoever_has_a_key_may_do_nothing_but_connect_to_the_targets(
    address: Address,
) -> None:
    host, port = address
    found = server_at(address)
    options: dict[str, Any] = {"known_hosts": None, "config": [], "agent_path": ""}
    async with asyncssh.connect(
        host, port, username=found.user, client_keys=[str(client_key())], **options
    ) as connection:
        assert connection.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"
        ran = await connection.run("echo hello")
        assert (ran.exit_status, ran.stdout) == (1, "")
        untyped: Any = connection  # its types are not complete
        reader, writer = await untyped.open_connection(LOOPBACK, found.ports["redis"])
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
        writer.close()
        with pytest.raises(asyncssh.ChannelOpenError, match="open failed"):
            await untyped.open_connection(LOOPBACK, port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port(LOOPBACK, 0, LOOPBACK, 1)
