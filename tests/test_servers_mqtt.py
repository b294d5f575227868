"""The MQTT brokers of tests/servers, spoken to in bytes of MQTT 3.1.1."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
import wsproto
from wsproto.events import AcceptConnection, BytesMessage, Event, Request

from tests import servers

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, RunningServer

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
ACCEPTED, BAD_LOGIN, NOT_AUTHORIZED = 0, 4, 5
PUBACK, SUBACK, PUBLISH = 0x40, 0x90, 0x30


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def packet(kind: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


def connect_packet(client_id: str, login: tuple[str, str] | None, *, clean: bool) -> bytes:
    flags = (0xC0 if login else 0) | (2 if clean else 0)
    return packet(
        0x10, text("MQTT"), bytes([4, flags, 0, 60]), *map(text, (client_id, *(login or ())))
    )


def subscribe_packet(topic_filter: str, qos: int) -> bytes:
    return packet(0x82, b"\x00\x01", text(topic_filter), bytes([qos]))


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    """Return a PUBLISH of QoS 1."""
    return packet(PUBLISH | 2, text(topic), packet_id.to_bytes(2, "big"), payload)


def exactly(sock: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = sock.recv(count - len(received))
        assert piece, "the broker closed the connection"
        received += piece
    return received


def read_packet(sock: socket.socket) -> tuple[int, bytes]:
    kind, length = exactly(sock, 2)
    assert length < 128
    return kind, exactly(sock, length)


def log_in(
    sock: socket.socket,
    login: tuple[str, str] | None = None,
    *,
    client_id: str = "tester",
    clean: bool = True,
) -> tuple[int, int]:
    """Send CONNECT and return what CONNACK says: session present, return code."""
    sock.sendall(connect_packet(client_id, login, clean=clean))
    kind, body = read_packet(sock)
    assert kind == 0x20
    return body[0], body[1]


@contextlib.contextmanager
def connected(server: RunningServer, port: int | None = None) -> Generator[socket.socket]:
    with socket.create_connection((server.host, port or server.port), timeout=5) as sock:
        yield sock


@contextlib.contextmanager
def connected_by_tls(
    server: RunningServer, port: int | None, authority: CertificateAuthority
) -> Generator[socket.socket]:
    with (
        connected(server, port) as plain,
        authority.client_context().wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        yield sock


def return_code(server: RunningServer, login: tuple[str, str] | None = None) -> int:
    with connected(server) as sock:
        return log_in(sock, login)[1]


def ping(sock: socket.socket) -> bytes:
    sock.sendall(PINGREQ)
    return exactly(sock, 2)


def ping_by_websocket(sock: socket.socket) -> bytes:
    """Connect and ping in binary frames; return what comes after CONNACK."""
    websocket = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)

    def events() -> Iterator[Event]:
        while True:
            yield from websocket.events()
            websocket.receive_data(sock.recv(65536) or None)

    sock.sendall(websocket.send(Request(host="localhost", target="/mqtt", subprotocols=["mqtt"])))
    for event in events():
        if isinstance(event, AcceptConnection):
            assert event.subprotocol == "mqtt"
            sock.sendall(websocket.send(BytesMessage(connect_packet("w", None, clean=True))))
        elif isinstance(event, BytesMessage):
            if event.data == PINGRESP:
                break
            assert event.data == packet(0x20, bytes(2))
            sock.sendall(websocket.send(BytesMessage(PINGREQ)))
        else:
            raise AssertionError(event)
    return PINGRESP


def test_brokers_answer_and_say_who_they_are(mqtt_broker: RunningServer) -> None:
    with connected(mqtt_broker) as sock:
        assert log_in(sock) == (0, ACCEPTED)
        assert ping(sock) == PINGRESP
    assert mqtt_broker.version[0].isdigit()
    assert mqtt_broker.is_running


def test_tls(mqtt_broker: RunningServer, certificate_authority: CertificateAuthority) -> None:
    with connected_by_tls(mqtt_broker, mqtt_broker.tls_port, certificate_authority) as sock:
        assert log_in(sock) == (0, ACCEPTED)
        assert ping(sock) == PINGRESP


def test_websocket(mqtt_broker: RunningServer, certificate_authority: CertificateAuthority) -> None:
    with connected(mqtt_broker, mqtt_broker.websocket_port) as sock:
        assert ping_by_websocket(sock) == PINGRESP
    port = mqtt_broker.websocket_tls_port
    with connected_by_tls(mqtt_broker, port, certificate_authority) as sock:
        assert ping_by_websocket(sock) == PINGRESP


def test_a_message_goes_from_one_client_to_another(mqtt_broker: RunningServer) -> None:
    with connected(mqtt_broker) as subscriber, connected(mqtt_broker) as publisher:
        log_in(subscriber, client_id="subscriber")
        log_in(publisher, client_id="publisher")
        subscriber.sendall(subscribe_packet("servers/#", 0))
        assert read_packet(subscriber) == (SUBACK, b"\x00\x01\x00")
        publisher.sendall(publish_packet("servers/test", b"hello", 7))
        assert read_packet(publisher) == (PUBACK, b"\x00\x07")
        assert read_packet(subscriber) == (PUBLISH, text("servers/test") + b"hello")


def test_mosquitto_on_a_unix_socket(mosquitto: RunningServer) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(mosquitto.unix_path))
        assert log_in(sock) == (0, ACCEPTED)


def test_mosquitto_users(mosquitto: RunningServer) -> None:
    assert return_code(mosquitto, ("alice", "wonder land")) == ACCEPTED
    assert return_code(mosquitto, ("alice", "wrong")) == NOT_AUTHORIZED
    assert return_code(mosquitto, ("bob", "wonder land")) == NOT_AUTHORIZED


def test_mosquitto_without_anonymous_clients() -> None:
    with servers.mosquitto_server(users={"bob": "s:e$cret"}, allow_anonymous=False) as server:
        assert return_code(server) == NOT_AUTHORIZED
        assert return_code(server, ("bob", "s:e$cret")) == ACCEPTED
        assert "s:e$cret" not in repr(server)
        files = [path for path in server.directory.iterdir() if path.is_file()]
        assert not any(b"s:e$cret" in path.read_bytes() for path in files)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_mosquitto_persists_sessions_over_a_restart(end: str) -> None:
    with servers.mosquitto_server(persistence=True) as server:
        with connected(server) as sock:
            assert log_in(sock, client_id="kept", clean=False) == (0, ACCEPTED)
            sock.sendall(subscribe_packet("kept/#", 1))
            assert read_packet(sock) == (SUBACK, b"\x00\x01\x01")
        with connected(server) as sock:
            log_in(sock)
            sock.sendall(publish_packet("kept/a", b":one", 1))
            assert read_packet(sock) == (PUBACK, b"\x00\x01")
            assert ping(sock) == PINGRESP  # a turn later, so that the broker has saved it
        getattr(server, end)()
        with pytest.raises(ConnectionRefusedError), connected(server):
            pass
        server.start()
        with connected(server) as sock:
            assert log_in(sock, client_id="kept", clean=False) == (1, ACCEPTED)
            sock.sendall(PINGREQ)
            assert read_packet(sock) == (PUBLISH | 2, text("kept/a") + b"\x00\x01:one")


def test_mosquitto_forgets_without_persistence() -> None:
    with servers.mosquitto_server() as server:
        with connected(server) as sock:
            log_in(sock, clean=False)
        server.restart()
        with connected(server) as sock:
            assert log_in(sock, clean=False) == (0, ACCEPTED)


def test_mosquitto_directives() -> None:
    config = {"max_inflight_messages": "7", "max_queued_messages": "2"}
    with (
        servers.mosquitto_server(config=config, listener_config={"max_topic_alias": "3"}) as server,
        connected(server) as sock,
    ):
        sock.sendall(packet(0x10, text("MQTT"), b"\x05\x02\x00\x3c\x00", text("five")))
        kind, body = read_packet(sock)
    assert (kind, body[:2]) == (0x20, b"\x00\x00")
    assert b"\x21\x00\x07" in body  # Receive Maximum
    assert b"\x22\x00\x03" in body  # Topic Alias Maximum


@pytest.mark.parametrize("place", [0, 1])
def test_a_taken_port_of_mosquitto_is_given_up(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    free_port = servers.free_port
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        taken = occupied.getsockname()[1]
        offered = [free_port() for _ in range(4)]
        offered.insert(place, taken)
        ports = iter(offered)
        monkeypatch.setattr("tests.servers._mosquitto.free_port", lambda: next(ports))
        with servers.mosquitto_server() as server:
            assert taken not in {server.port, server.websocket_port}
            assert return_code(server) == ACCEPTED


def test_mosquitto_as_another_user_where_we_may_choose() -> None:
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with servers.mosquitto_server(user=user, persistence=True) as server:
        assert server.unix_path is not None
        assert server.unix_path.owner() == user
        assert return_code(server) == ACCEPTED


def test_amqtt_restarts() -> None:
    with servers.amqtt_server() as server:
        assert (server.tls_port, server.websocket_tls_port) == (None, None)
        server.kill()
        with pytest.raises(ConnectionRefusedError), connected(server):
            pass
        server.start()
        assert return_code(server) == ACCEPTED
