"""The WebSocket carrier against wsproto's server side, real brokers, and hostile servers."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
)
from wsproto.frame_protocol import FrameProtocol, Opcode
from wsproto.handshake import H11Handshake

from tests.servers import CertificateAuthority, RunningServer
from wirekit import AddressError, ConnectError, ConnectionLost, ConnectTimeout
from wirekit.sockets import DirectConnector, Socket, connect, memory_pair
from wirekit.sockets.websocket import WebSocketConnector, WebSocketRefused, WebSocketTransport

from .carriers import client_context, returning, server_context
from .protocols import Buffered, Recording, Streamed

pytestmark = pytest.mark.both_loops

MASK = b"\x01\x02\x03\x04"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes = b"",
    length: bytes | None = None,
) -> bytes:
    """Return a frame (RFC 6455 §5.2), as wrong as asked for."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    if length is None and len(payload) > 125:
        length = b"\x7e" + len(payload).to_bytes(2, "big")
    if length is None:
        length = bytes([len(payload)])
    masked = bytes([length[0] | (0x80 if mask else 0)]) + length[1:]
    return bytes([first]) + masked + mask + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason)


def accepting(request: bytes, subprotocol: str | None = None) -> bytes:
    """Return the right answer to the request."""
    handshake = H11Handshake(ConnectionType.SERVER)
    handshake.receive_data(request)
    return handshake.send(AcceptConnection(subprotocol=subprotocol))


Opened = tuple[Socket, Socket]


async def opened(
    *behind: bytes,
    answer: Callable[[bytes], bytes] = accepting,
    address: str = "example.com:80",
    fragment: int | None = None,
    **settings: Any,
) -> Opened:
    """A socket through the connector, and the plain socket at the server's end.

    ``behind`` is what the server sends at once behind its answer.
    """
    inner, server = memory_pair(fragment=fragment, allow_half_open=True)
    opening = asyncio.create_task(WebSocketConnector(returning(inner), **settings)(address))
    request = await server.read_until(b"\r\n\r\n")
    await server.write(b"".join((answer(request), *behind)))
    return await opening, server


class Sent:
    """What arrives at the server's end, by its frames."""

    def __init__(self, server: Socket) -> None:
        self._server = server
        self._frames = FrameProtocol(client=False, extensions=[])

    async def next(self) -> tuple[Opcode, Any]:
        """Return the next whole frame's opcode and payload."""
        pieces: list[Any] = []
        while True:
            received = next(self._frames.received_frames(), None)
            if received is None:
                data = await self._server.read()
                assert data, "the client ended the connection"
                self._frames.receive_bytes(data)
                continue
            pieces.append(received.payload)
            if received.frame_finished:
                whole = b"".join(pieces) if received.opcode is Opcode.BINARY else pieces[0]
                return received.opcode, whole


async def lost(socket: Socket) -> ConnectionLost:
    """Return the error by which the socket's connection was lost."""
    try:
        while await socket.read():
            pass
    except ConnectionLost as error:
        await socket.closed
        return error
    raise AssertionError("the stream came to a clean end")


# The opening handshake.


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("example.com:80", "example.com"),
        ("example.com.:8080", "example.com:8080"),
        ("[::1]:80", "[::1]"),
        ("[fe80::1%eth0]:443", "[fe80::1]:443"),
        ("unix:/run/broker", "localhost"),
    ],
)
async def test_the_request(address: str, host: str) -> None:
    requests: list[bytes] = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        return accepting(request, "mqtt")

    socket, _ = await opened(
        answer=answer,
        address=address,
        path="/mqtt?a=b",
        subprotocols=["mqtt", "mqttv3.1"],
        headers={"Authorization": "Bearer secret", "X-Empty": ""},
    )
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /mqtt?a=b HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines[1:-2])
    assert len(fields.pop("Sec-WebSocket-Key")) == 24
    assert fields == {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt, mqttv3.1",
        "Authorization": "Bearer secret",
        "X-Empty": "",
    }
    assert socket.secure_transport == "off"
    socket.abort()


async def test_the_host_may_be_another() -> None:
    requests: list[bytes] = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        return accepting(request)

    socket, _ = await opened(answer=answer, address="127.0.0.1:9", host="broker.example:8083")
    assert b"\r\nHost: broker.example:8083\r\n" in requests[0]
    socket.abort()


def status(number: int) -> Callable[[bytes], bytes]:
    return lambda request: b"HTTP/1.1 %d No\r\nWWW-Authenticate: Basic\r\n\r\n" % number


@pytest.mark.parametrize("number", [100, 200, 302, 401, 404, 503])
async def test_a_refusal_tells_the_status_and_no_secret(number: int) -> None:
    with pytest.raises(WebSocketRefused, match=rf"HTTP status {number}\b") as caught:
        await opened(
            answer=status(number), path="/secret", headers={"Authorization": "Bearer secret"}
        )
    assert caught.value.status == number
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, ConnectError)


def without(header: bytes) -> Callable[[bytes], bytes]:
    """The right answer, but for a header."""

    def answer(request: bytes) -> bytes:
        lines = accepting(request).split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.lower().startswith(header))

    return answer


def with_header(line: bytes) -> Callable[[bytes], bytes]:
    """The right answer and one more line."""
    return lambda request: accepting(request).removesuffix(b"\r\n") + line + b"\r\n\r\n"


def always(answer: bytes) -> Callable[[bytes], bytes]:
    return lambda request: answer


# The answer to somebody else.
OTHER = accepting(H11Handshake(ConnectionType.CLIENT).send(Request(host="other", target="/")))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (always(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "Bad HTTP"),
        (always(b"\r\n\r\n"), "HTTP"),
        (always(b"HTTP/1.1 101 Yes\r\nA B: c\r\n\r\n"), "Bad HTTP"),
        (always(b"HTTP/1.1 101 Yes\r\n" + b"A: b\r\n" * 4000), "more than 16384 bytes"),
        (without(b"upgrade"), "Upgrade"),
        (without(b"connection"), "Connection"),
        (without(b"sec-websocket-accept"), "accept token"),
        (always(OTHER), "accept token"),
        (with_header(b"Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
        (with_header(b"Sec-WebSocket-Protocol: soap"), "subprotocol"),
        (with_header(b"Sec-WebSocket-Protocol: \xff"), "ascii"),
        (with_header(b"Connection: \xff"), "ascii"),
        (accepting, "none of the subprotocols"),
    ],
)
async def test_another_answer_is_no_websocket(
    answer: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(ConnectError, match=message) as caught:
        await opened(answer=answer, subprotocols=["mqtt"])
    assert not isinstance(caught.value, WebSocketRefused)


async def test_no_answer_at_all() -> None:
    inner, server = memory_pair()
    opening = asyncio.create_task(WebSocketConnector(returning(inner))("example.com:80"))
    await server.read_until(b"\r\n\r\n")
    await server.close()
    with pytest.raises(ConnectError, match="does not answer the WebSocket upgrade"):
        await opening
    assert inner.closed.done()


async def test_a_silent_server_is_given_up() -> None:
    inner, server = memory_pair()
    connector = WebSocketConnector(returning(inner), connect_timeout=0.01)
    with pytest.raises(ConnectTimeout, match=r"example\.com:80 within 0\.01 s"):
        await connector("example.com:80")
    with pytest.raises(ConnectionLost):
        await server.read_exactly(1 << 20)


async def test_the_connector_below_may_time_out_by_itself() -> None:
    async def connector(address: object) -> Socket:
        raise ConnectTimeout("too late")

    with pytest.raises(ConnectTimeout, match="too late"):
        await WebSocketConnector(connector)("example.com:80")


async def test_cancelled_while_opening() -> None:
    inner, server = memory_pair()
    opening = asyncio.create_task(WebSocketConnector(returning(inner))("example.com:80"))
    await server.read_until(b"\r\n\r\n")
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await inner.closed


@pytest.mark.parametrize(
    "settings",
    [
        {"path": ""},
        {"path": "secret"},
        {"path": "/secret path"},
        {"path": "/secret\r\nX: y"},
        {"path": "/secret#fragment"},
        {"path": "/sécret"},
        {"headers": {"X-Key": "secret\r\nX: y"}},
        {"headers": {"X-Key": "secret\ny"}},
        {"headers": {"X-Key": " secret"}},
        {"headers": {"X-Key": "sécret"}},
        {"headers": {"X Key": "secret"}},
        {"headers": {"X-Key:": "secret"}},
        {"headers": {"": "secret"}},
        {"headers": {"Host": "secret"}},
        {"headers": {"UPGRADE": "secret"}},
        {"headers": {"Sec-WebSocket-Protocol": "secret"}},
        {"headers": {"Content-Length": "1"}},
        {"subprotocols": "mqtt"},
        {"subprotocols": ["mq tt"]},
        {"subprotocols": [""]},
        {"host": "a b"},
        {"host": ""},
    ],
)
def test_what_http_does_not_allow_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(AddressError) as caught:
        WebSocketConnector(**settings)
    assert "secret" not in str(caught.value)


async def test_a_host_that_is_no_name_is_refused() -> None:
    inner, _ = memory_pair()
    with pytest.raises(AddressError, match="header Host"):
        await WebSocketConnector(returning(inner), host="a..b")("example.com:80")


async def test_repr_shows_no_secret() -> None:
    connector = WebSocketConnector(path="/secret", headers={"Authorization": "secret"})
    assert "WebSocketConnector" in repr(connector)
    assert "secret" not in repr(connector)


# Against wsproto's server side.


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as wsproto says, send every message back in two fragments with a Ping between."""
    websocket = WSConnection(ConnectionType.SERVER)
    try:
        while data := await reader.read(65536):
            websocket.receive_data(data)
            for event in websocket.events():
                match event:
                    case Request():
                        writer.write(websocket.send(AcceptConnection()))
                    case BytesMessage():
                        half = len(event.data) // 2
                        first = BytesMessage(event.data[:half], message_finished=False)
                        writer.write(websocket.send(first))
                        writer.write(websocket.send(Ping(b"there?")))
                        rest = BytesMessage(event.data[half:], message_finished=True)
                        writer.write(websocket.send(rest))
                    case CloseConnection():
                        writer.write(websocket.send(event.response()))
                        return
                    case _:
                        pass
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def echo_server(authority: CertificateAuthority, *, tls: bool) -> AsyncGenerator[int]:
    context = server_context(authority) if tls else None
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)


def direct(authority: CertificateAuthority, *, tls: bool) -> DirectConnector:
    if not tls:
        return DirectConnector()
    return DirectConnector(secure_transport="on", ssl_context=client_context(authority))


@pytest.mark.parametrize("tls", [False, True])
async def test_echo(tls: bool, certificate_authority: CertificateAuthority) -> None:
    data = random.Random(1).randbytes(1_000_000)
    async with echo_server(certificate_authority, tls=tls) as port:
        connector = WebSocketConnector(direct(certificate_authority, tls=tls))
        async with await connector(f"localhost:{port}") as socket:
            assert socket.secure_transport == ("on" if tls else "off")
            assert (socket.info.tls_version is not None) == tls
            writing = asyncio.create_task(socket.write(data))
            assert await socket.read_exactly(len(data)) == data
            await writing
            await socket.write_eof()
            assert await socket.read() == b""


async def test_through_connect(certificate_authority: CertificateAuthority) -> None:
    async with (
        echo_server(certificate_authority, tls=False) as port,
        connect(f"localhost:{port}", connector=WebSocketConnector()) as socket,
    ):
        await socket.write(b"hello")
        assert await socket.read_exactly(5) == b"hello"


# Against real brokers: MQTT 3.1.1's CONNECT, CONNACK, PINGREQ and PINGRESP.

CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test"
CONNACK = b"\x20\x02\x00\x00"


@pytest.mark.parametrize("tls", [False, True])
async def test_brokers(
    tls: bool, mqtt_broker: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    port = mqtt_broker.websocket_tls_port if tls else mqtt_broker.websocket_port
    connector = WebSocketConnector(
        direct(certificate_authority, tls=tls), path="/mqtt", subprotocols=["mqtt"]
    )
    async with await connector(f"localhost:{port}") as socket:
        await socket.write(CONNECT[:7])
        await socket.write(CONNECT[7:] + b"\xc0\x00")
        assert await socket.read_exactly(6) == CONNACK + b"\xd0\x00"


async def test_amqtt_refuses_another_subprotocol(amqtt: RunningServer) -> None:
    connector = WebSocketConnector(subprotocols=["soap"])
    with pytest.raises(ConnectError):
        await connector(f"localhost:{amqtt.websocket_port}")


# What comes in.


@pytest.mark.parametrize("fragment", [None, 1, 3])
async def test_fragments_and_control_frames_between_them(fragment: int | None) -> None:
    socket, server = await opened(
        frame(Opcode.BINARY, b"one, ", fin=False),
        frame(Opcode.PING, b"1"),
        frame(Opcode.CONTINUATION, b"", fin=False),
        frame(Opcode.PONG, b"unasked"),
        frame(Opcode.CONTINUATION, b"two, "),
        frame(Opcode.BINARY),
        frame(Opcode.BINARY, b"x" * 300),
        close_frame(1000),
        fragment=fragment,
    )
    sent = Sent(server)
    assert await socket.read_exactly(310) == b"one, two, " + b"x" * 300
    assert await socket.read() == b""
    assert await sent.next() == (Opcode.PING + 1, b"1")
    assert await sent.next() == (Opcode.CLOSE, (1000, ""))
    await socket.closed


async def test_a_frame_is_handed_on_while_it_comes() -> None:
    endless = b"\x7f" + (1 << 62).to_bytes(8, "big")
    socket, server = await opened(frame(Opcode.BINARY, b"abc", length=endless))
    assert await socket.read_exactly(3) == b"abc"
    await server.write(b"def")
    assert await socket.read_exactly(3) == b"def"
    await server.close()
    assert "without a WebSocket Close frame" in str(await lost(socket))


FAULTS = {
    "text": (frame(Opcode.TEXT, b"hello"), 1003),
    "text that is not UTF-8": (frame(Opcode.TEXT, b"\xff"), 1007),
    "masked": (frame(Opcode.BINARY, b"x", mask=MASK), 1002),
    "reserved bit": (frame(Opcode.BINARY, b"x", reserved=4), 1002),
    "reserved data opcode": (frame(3, b"x"), 1002),
    "reserved control opcode": (frame(11, b"x"), 1002),
    "fragmented control frame": (frame(Opcode.PING, b"x", fin=False), 1002),
    "control frame of 126 bytes": (frame(Opcode.PING, bytes(126)), 1002),
    "length in 2 bytes for nothing": (frame(Opcode.BINARY, length=b"\x7e\x00\x7d"), 1002),
    "length in 8 bytes for nothing": (frame(2, length=b"\x7f" + (65535).to_bytes(8, "big")), 1002),
    "length of 64 bits": (frame(Opcode.BINARY, length=b"\x7f\x80" + bytes(7)), 1002),
    "continuation of nothing": (frame(Opcode.CONTINUATION, b"x"), 1002),
    "message in a message": (frame(2, b"x", fin=False) + frame(2, b"y"), 1002),
    "Close of 1 byte": (frame(Opcode.CLOSE, b"\x03"), 1002),
    "Close with status 999": (close_frame(999), 1002),
    "Close with status 1005": (close_frame(1005), 1002),
    "Close with status 1006": (close_frame(1006), 1002),
    "Close with status 5000": (close_frame(5000), 1002),
    "Close with a reason that is not UTF-8": (close_frame(1000, b"\xff"), 1007),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_peer_ends_the_connection(fault: str) -> None:
    data, code = FAULTS[fault]
    socket, server = await opened(frame(Opcode.BINARY, b"before"), data)
    assert await socket.read_exactly(6) == b"before"
    assert "the WebSocket peer" in str(await lost(socket))
    assert await Sent(server).next() == (Opcode.CLOSE, (code, ""))
    assert await server.read() == b""


@pytest.mark.parametrize(
    "data", [close_frame(1000), close_frame(1001, b"going"), frame(Opcode.CLOSE)]
)
async def test_the_peers_close_is_answered(data: bytes) -> None:
    socket, server = await opened(frame(Opcode.BINARY, b"last"), data)
    assert await socket.read_exactly(4) == b"last"
    assert await socket.read() == b""
    assert await Sent(server).next() == (Opcode.CLOSE, (1000, ""))
    await socket.closed


@pytest.mark.parametrize("code", [1002, 1003, 1008, 1011, 1013, 3000, 4999])
async def test_a_close_that_is_no_good_end_is_an_error(code: int) -> None:
    socket, server = await opened(frame(Opcode.BINARY, b"last"), close_frame(code, b"so\n"))
    assert await socket.read_exactly(4) == b"last"
    assert f"the WebSocket peer closed with {code}: 'so\\n'" in str(await lost(socket))
    assert await Sent(server).next() == (Opcode.CLOSE, (code, ""))


async def test_nothing_counts_behind_a_close_frame() -> None:
    socket, _ = await opened(close_frame(1000), frame(Opcode.BINARY, b"more"))
    assert await socket.read() == b""
    await socket.closed
    receiver = Streamed(half_open=True)
    transport, lower = engine(receiver)
    transport.received(memoryview(close_frame(1000)))
    transport.received(memoryview(bytes(1000)))
    assert receiver.calls == ["connection_made", "eof_received"]
    assert not cast("Any", transport)._frames._frame_decoder.buffer.buffer
    transport.abort()
    lower.abort()


async def test_data_may_come_in_pieces_behind_the_answer() -> None:
    for fragment in (1, 7):
        socket, _ = await opened(frame(Opcode.BINARY, b"early"), fragment=fragment)
        assert await socket.read_exactly(5) == b"early"
        socket.abort()


async def test_an_end_without_close_frame_is_an_error() -> None:
    socket, server = await opened(frame(Opcode.BINARY, b"last", fin=False))
    await server.write_eof()
    assert await socket.read_exactly(4) == b"last"
    assert "without a WebSocket Close frame" in str(await lost(socket))


async def test_an_end_without_close_frame_is_not_seen_before_the_data() -> None:
    receiver = Streamed(paused=True)
    transport, _ = engine(receiver)
    transport.received(memoryview(frame(Opcode.BINARY, b"data") + close_frame(1000)))
    transport.eof_received()
    assert not receiver.data
    transport.resume_reading()
    await receiver.lost.wait()
    assert receiver.data == b"data"
    assert receiver.error is None


# What goes out.


async def test_frames_are_masked_each_with_its_own_key() -> None:
    socket, server = await opened()
    for _ in range(3):
        await socket.write(bytes(200))
    keys: set[bytes] = set()
    for _ in range(3):
        assert await server.read_exactly(4) == b"\x82\xfe\x00\xc8"  # binary, masked, 200
        key = await server.read_exactly(4)
        assert await server.read_exactly(200) == key * 50
        keys.add(key)
    assert len(keys) == 3
    socket.abort()


async def test_a_large_write_becomes_several_frames() -> None:
    socket, server = await opened(high_water_mark=1_000_000)
    data = random.Random(2).randbytes(150_000)
    await socket.write(bytearray(data))
    await socket.write(memoryview(b"end").cast("B"))
    sent = Sent(server)
    payloads = [(await sent.next())[1] for _ in range(4)]
    assert [len(payload) for payload in payloads] == [65536, 65536, 18928, 3]
    assert b"".join(payloads) == data + b"end"
    socket.abort()


async def test_pings_that_nobody_reads_the_answers_of_do_not_pile_up() -> None:
    receiver = Streamed()
    transport, lower = engine(receiver)
    lower.block()
    for number in range(1000):
        transport.received(memoryview(frame(Opcode.PING, b"%d" % number)))
    transport.write(b"data")
    assert lower.written == []
    assert transport.get_write_buffer_size() == 4
    lower.unblock()
    frames = FrameProtocol(client=False, extensions=[])
    frames.receive_bytes(b"".join(lower.written))
    assert [(one.opcode, one.payload) for one in frames.received_frames()] == [
        (Opcode.PONG, b"999"),
        (Opcode.BINARY, b"data"),
    ]
    transport.abort()


async def test_the_peer_has_some_time_to_answer_our_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.sockets.websocket._CLOSE_TIMEOUT", 0.01)
    socket, server = await opened()
    receiver = Streamed()
    transport = socket.attach(receiver)
    transport.close()
    assert await Sent(server).next() == (Opcode.CLOSE, (1000, ""))
    await server.write(frame(Opcode.BINARY, b"never"))
    await receiver.lost.wait()
    assert not receiver.data
    assert receiver.error is None


async def test_after_a_fault_a_peer_that_reads_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wirekit.sockets.websocket._CLOSE_TIMEOUT", 0.01)
    socket, server = await opened(high_water_mark=10_000_000)
    receiver = Streamed()
    transport = socket.attach(receiver)
    server.attach(Streamed(paused=True)).write(frame(Opcode.TEXT))
    transport.write(bytes(1_000_000))
    await receiver.lost.wait()
    assert isinstance(receiver.error, ConnectionLost)


async def test_each_direction_ends_on_its_own() -> None:
    socket, server = await opened(allow_half_open=True)
    sent = Sent(server)
    await socket.write_eof()
    assert await sent.next() == (Opcode.CLOSE, (1000, ""))
    await server.write(frame(Opcode.PING) + frame(Opcode.BINARY, b"still here"))
    assert await socket.read_exactly(10) == b"still here"
    await server.write(close_frame(1000))
    assert await socket.read() == b""
    await socket.closed
    assert await server.read() == b""  # the ping behind our Close frame has no answer


async def test_writing_after_the_peers_close() -> None:
    socket, server = await opened(close_frame(1000), allow_half_open=True)
    sent = Sent(server)
    assert await socket.read() == b""
    await socket.write(b"still here")
    assert await sent.next() == (Opcode.BINARY, b"still here")
    await socket.write_eof()
    assert await sent.next() == (Opcode.CLOSE, (1000, ""))
    await socket.closed


# The transport on a lower one that the test plays.


class Lower(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self, transport: WebSocketTransport) -> None:
        super().__init__({"peername": "test"})
        self.written: list[bytes] = []
        self.reading = True
        self.ended = False
        self._above = transport
        transport.begin(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self._above.lower_lost, None)

    def block(self) -> None:
        self._above.lower_writing(paused=True)

    def unblock(self) -> None:
        self._above.lower_writing(paused=False)


def engine(receiver: Recording) -> tuple[WebSocketTransport, Lower]:
    transport = WebSocketTransport(receiver)
    return transport, Lower(transport)


async def test_the_receiver_is_told_of_back_pressure() -> None:
    receiver = Streamed()
    transport, lower = engine(receiver)
    assert transport.get_extra_info("peername") == "test"
    transport.set_write_buffer_limits(10)
    lower.block()
    transport.write(bytearray(11))
    assert receiver.write_paused
    assert transport.get_write_buffer_size() == 11
    lower.unblock()
    assert not receiver.write_paused
    assert transport.get_write_buffer_size() == 0
    transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.write(b"x")
    transport.close()
    transport.write(b"x")
    assert len(lower.written) == 2
    transport.abort()
    await receiver.lost.wait()


async def test_a_paused_receiver_gets_nothing_and_loses_nothing() -> None:
    class PausesAfterEachCall(Buffered):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            assert self.transport is not None
            self.transport.pause_reading()

    receiver = PausesAfterEachCall()
    transport, lower = engine(receiver)
    data = frame(Opcode.BINARY, b"a" * 1500) + frame(Opcode.BINARY, b"b") + close_frame(1000)
    transport.received(memoryview(data))
    for taken in (1000, 1500, 1501):
        assert len(receiver.data) == taken
        assert not lower.reading
        transport.resume_reading()
        assert lower.reading
        await asyncio.sleep(0)
    await receiver.lost.wait()
    assert receiver.data == b"a" * 1500 + b"b"
    assert "eof_received" in receiver.calls


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_the_receiver_may_end_it_while_it_is_given_bytes(end: str) -> None:
    class Ends(Buffered):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            getattr(self.transport, end)()

    receiver = Ends()
    transport, _ = engine(receiver)
    transport.received(memoryview(frame(Opcode.BINARY, bytes(5000)) + close_frame(1000)))
    await receiver.lost.wait()
    assert len(receiver.data) == 1000
    assert receiver.error is None
    assert receiver.calls[-1] == "connection_lost"


async def test_a_paused_receiver_may_close() -> None:
    receiver = Streamed(paused=True)
    transport, lower = engine(receiver)
    transport.received(memoryview(frame(Opcode.BINARY, bytes(5000)) + close_frame(1000)))
    transport.close()
    assert lower.reading
    await receiver.lost.wait()
    assert not receiver.data


async def test_the_error_of_the_transport_below_is_told() -> None:
    receiver = Streamed()
    transport, _ = engine(receiver)
    transport.lower_lost(ConnectionResetError("gone"))
    assert isinstance(receiver.error, ConnectionResetError)


@pytest.mark.parametrize("seed", range(200))
async def test_arbitrary_bytes_never_raise(seed: int) -> None:
    """Whatever comes, cut anywhere: delivered, or the connection ends with an error of ours."""
    chance = random.Random(seed)
    choices = [*(data for data, _ in FAULTS.values()), chance.randbytes(20), close_frame(1000)]
    choices += [frame(Opcode.BINARY, chance.randbytes(200)), frame(Opcode.PING, b"x")]
    choices += [frame(Opcode.BINARY, b"abc", fin=False), frame(Opcode.CONTINUATION, b"def")]
    data = b"".join(chance.choices(choices, k=chance.randrange(1, 6)))
    outcomes: set[tuple[bytes, str]] = set()
    for size in (1, 3, len(data)):
        receiver = Streamed()
        transport, _ = engine(receiver)
        for start in range(0, len(data), size):
            transport.received(memoryview(data[start : start + size]))
        transport.eof_received()
        await receiver.lost.wait()
        assert receiver.error is None or isinstance(receiver.error, ConnectionLost)
        outcomes.add((bytes(receiver.data), str(receiver.error)))
    assert len(outcomes) == 1


# Only who uses it needs wsproto.


def test_nothing_else_imports_it() -> None:
    script = "import sys, wirekit.sockets; assert 'wsproto' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
