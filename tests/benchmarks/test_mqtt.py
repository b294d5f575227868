"""The MQTT rows, run once and small against a real broker."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from benchmarks._model import Address, Scale, Unsupported, WrongReply
from benchmarks._result import Result
from benchmarks._runner import Settings, run_adapter
from benchmarks.mqtt import ADAPTER, _client, _data, _wire
from benchmarks.mqtt._client import Inbox, MQTTLibrary
from benchmarks.mqtt._data import PACKET, PUBLISH, Flow, new_topic
from tests.servers import MOSQUITTO_UNLIMITED, RunningServer, mosquitto_server
from wirekit.protocols.mqtt import Codec, ConnAck, Connect, Publish

SMALL = Scale(seconds=0.001, messages=20)
# Those whose libraries are in the extra "test", and the others where they are installed.
PARTICIPANTS = [
    name
    for name in ADAPTER.participants
    if name not in {"gmqtt", "mqtt5"} or importlib.util.find_spec(name)
]
CLIENTS = [name for name in PARTICIPANTS if name != "mqtt5"]
CODECS = [name for name in PARTICIPANTS if name in {"wirekit", "mqtt5"}]


@pytest.fixture(scope="module")
def broker() -> Generator[RunningServer]:
    with mosquitto_server(config=MOSQUITTO_UNLIMITED) as server:
        yield server


@pytest.fixture
def address(broker: RunningServer) -> Address:
    found = (broker.host, broker.port)
    ADAPTER.prepare(found, SMALL)
    return found


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def run(name: str, address: Address, keys: Sequence[str] = ()) -> list[Result]:
    workloads: list[Any] = [
        workload
        for workload in ADAPTER.workloads(SMALL)
        if not keys or workload.rows[0].key in keys
    ]
    settings = Settings(1, "asyncio", lambda participant, row: None)
    return await run_adapter(ADAPTER, [ADAPTER.participant(name)], workloads, address, settings)


def test_payloads_have_their_size_and_none_is_like_another() -> None:
    for size in (16, 64, 65536):
        payloads = Flow(0, size, 30, 1).payloads()
        assert {len(payload) for payload in payloads} == {size}
        assert len(set(payloads)) == 30
        assert payloads == sorted(payloads)


def test_topics_are_of_one_length_and_none_is_like_another() -> None:
    topics = {new_topic() for _ in range(10)}
    assert len(topics) == 10
    assert len({len(topic) for topic in topics}) == 1


def test_the_packet_is_what_the_codecs_take_it_for() -> None:
    client, server = Codec("client"), Codec("server")
    server.receive_data(client.send(Connect("test")))
    client.receive_data(server.send(ConnAck()))
    [packet] = client.receive_data(PACKET)
    assert isinstance(packet, Publish)
    assert (packet.topic, packet.payload) == (PUBLISH.topic, PUBLISH.payload)
    assert (packet.qos, packet.packet_id, len(packet.payload)) == (1, PUBLISH.packet_id, 256)


@pytest.mark.parametrize("size", [5, 127, 128, 70_000])
def test_packets_are_read_to_their_end(
    size: int, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    right.sendall(_wire.packet(0x30, bytes(size)) + b"\xd0\x00")
    assert _wire.read_packet(left) == (0x30, bytes(size))
    assert _wire.read_packet(left) == (0xD0, b"")
    right.close()
    with pytest.raises(WrongReply, match="closed"):
        _wire.read_packet(left)


def test_a_refusal_is_told() -> None:
    with (
        mosquitto_server(allow_anonymous=False) as server,
        pytest.raises(WrongReply, match="CONNECT"),
    ):
        _wire.connect((server.host, server.port))


def test_a_refused_subscription_is_told(address: Address) -> None:
    with _wire.connect(address) as connection, pytest.raises(WrongReply):
        _wire.subscribe(connection, "a/#/b", 0)


def test_server_version(address: Address) -> None:
    assert ADAPTER.server_version(address).startswith("mosquitto 2.")


def test_goals_name_peers_that_take_part() -> None:
    rows = [row for workload in ADAPTER.workloads(SMALL) for row in workload.rows]
    assert len({row.key for row in rows}) == len(rows)
    goals = {row.key: row.goal for row in rows if row.goal is not None}
    assert set(goals) == {"qos0-64", "qos1-64", "codec-read", "codec-write"}
    assert {goal.peer for goal in goals.values()} <= set(ADAPTER.participants)


@pytest.mark.parametrize("name", PARTICIPANTS)
async def test_every_row_has_a_figure_or_a_reason(name: str, address: Address) -> None:
    results = await run(name, address)
    series = [result.series[0] for result in results]
    assert [one.error for one in series] == [""] * len(series)
    assert all(one.unsupported or one.samples[0] > 0 for one in series)
    with_codec, with_client = name in CODECS, name in CLIENTS
    for result, one in zip(results, series, strict=True):
        is_codec = result.row.key.startswith("codec")
        assert bool(one.unsupported) != (with_codec if is_codec else with_client)


@pytest.mark.both_loops
@pytest.mark.parametrize("name", CLIENTS)
async def test_both_loops(name: str, address: Address) -> None:
    results = await run(name, address, ["qos0-16", "qos1-65536", "qos2-64-to-10"])
    assert len(results) == 3
    assert all(result.series[0].samples[0] > 0 for result in results)


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("name", CLIENTS)
async def test_a_message_that_nobody_published_is_found(
    name: str, qos: int, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = new_topic()
    for module in ("_client", "_floor"):
        monkeypatch.setattr(f"benchmarks.mqtt.{module}.new_topic", lambda: topic)
    foreign = _wire.publish(topic, b"00000000" + bytes(8), 1, 1)
    with _wire.connect(address) as connection:
        connection.sendall(bytes([foreign[0] | 1]) + foreign[1:])  # to be retained
        _wire.read_packet(connection)
        [result] = await run(name, address, [f"qos{qos}-16"])
    # The floor takes it for a part of what it waits for, at which the broker closes the connection.
    assert result.series[0].error.startswith(("WrongReply", "ConnectionResetError"))


async def test_a_message_that_does_not_come_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "PATIENCE", 0.01)
    inbox = Inbox()
    inbox.expect(3)
    inbox.put(b"one")
    with pytest.raises(WrongReply, match="2 of 3 messages did not come"):
        await inbox.full()


@pytest.mark.parametrize("name", CODECS)
async def test_a_wrong_packet_is_found(
    name: str, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _wire.publish(PUBLISH.topic, PUBLISH.payload[:-1] + b"?", 1, PUBLISH.packet_id)
    monkeypatch.setattr("benchmarks.mqtt._workloads.PACKET", other)
    results = await run(name, address, ["codec-read", "codec-write"])
    assert len(results) == 2
    assert all(result.series[0].error.startswith("WrongReply") for result in results)


def test_a_library_without_a_codec_says_so() -> None:
    library = ADAPTER.participant("aiomqtt")()
    assert isinstance(library, MQTTLibrary)
    with pytest.raises(Unsupported):
        library.read(PACKET, 1)
    with pytest.raises(Unsupported):
        library.write(_data.PUBLISH, 1)
