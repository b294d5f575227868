"""The TLS engine against the standard library's own, and the options that make its context."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from tests.servers import CertificateAuthority
from wirekit import AddressError, ConnectionLost, TLSError
from wirekit.sockets import Socket, TLSTransport, connect, memory_pair
from wirekit.sockets._attach import Receiver
from wirekit.sockets._tls import TLSOptions, make_context, server_hostname

from .carriers import Workshop, below, client_context, returning, server_context, until
from .protocols import Buffered, Streamed

pytestmark = pytest.mark.both_loops


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until it ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def echo_server(context: ssl.SSLContext) -> AsyncGenerator[int]:
    """The port of an echo server that speaks TLS by the event loop's own engine."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)


async def refused(socket: Socket) -> TLSError:
    with pytest.raises(TLSError) as caught:
        await socket.opened
    assert caught.value.cause == "tls"
    await socket.close()
    return caught.value


# Against the event loop's own TLS.


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_it_speaks_with_the_loops_own_tls(
    version: str, certificate_authority: CertificateAuthority
) -> None:
    context = certificate_authority.server_context()
    number = ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = number
    data = bytes(range(256)) * 8000
    async with echo_server(context) as port:
        socket = connect(
            f"localhost:{port}",
            secure_transport="on",
            ssl_context=client_context(certificate_authority),
        )
        async with socket:
            assert socket.info.tls_version == version
            writing = asyncio.create_task(socket.write(data))
            assert await socket.read_exactly(len(data)) == data
            await writing
            await socket.write_eof()
            assert await socket.read() == b""


@pytest.mark.parametrize("fragment", [1, 5, 1000])
async def test_records_may_be_cut_anywhere(
    fragment: int, certificate_authority: CertificateAuthority
) -> None:
    lower_client, lower_server = memory_pair(fragment=fragment)
    receiver, answering = Buffered(), Streamed()
    client = TLSTransport(
        receiver, client_context(certificate_authority), server_hostname="localhost"
    )
    server = TLSTransport(answering, server_context(certificate_authority), server_side=True)
    lower_client.attach(client.below)
    lower_server.attach(server.below)
    await asyncio.gather(client.handshake(), server.handshake())
    assert receiver.calls == answering.calls == ["connection_made"]
    server.write(bytes(5000))
    server.write(bytearray(b"end"))
    server.close()
    await receiver.lost.wait()
    assert receiver.data == bytes(5000) + b"end"
    assert receiver.calls[-2:] == ["eof_received", "connection_lost"]
    await lower_client.closed
    await lower_server.closed


async def tls_pair(
    authority: CertificateAuthority, client: Any, server: Any
) -> tuple[TLSTransport, TLSTransport, Socket, Socket]:
    lower_client, lower_server = memory_pair()
    above = TLSTransport(client, client_context(authority), server_hostname="localhost")
    other = TLSTransport(server, server_context(authority), server_side=True)
    lower_client.attach(above.below)
    lower_server.attach(other.below)
    await asyncio.gather(above.handshake(), other.handshake())
    return above, other, lower_client, lower_server


async def test_paused_reading_keeps_what_was_decrypted(
    certificate_authority: CertificateAuthority,
) -> None:
    received, sent = Streamed(paused=True), Streamed(half_open=True)
    client, server, *_ = await tls_pair(certificate_authority, received, sent)
    server.write(b"hello")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not received.data
    # close_notify cannot go out before what was received is read off the engine
    client.write_eof()
    await sent.ended.wait()
    server.write(b", world")
    client.resume_reading()
    await until(lambda: len(received.data) >= 12)
    assert received.data == b"hello, world"
    with pytest.raises(RuntimeError, match="after write_eof"):
        client.write(b"x")
    server.close()
    await received.lost.wait()
    await sent.lost.wait()


async def test_close_notify_goes_out_although_received_records_wait(
    certificate_authority: CertificateAuthority,
) -> None:
    class PausesAt(Streamed):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if len(self.data) == len(first) + 16384:
                assert self.transport is not None
                self.transport.pause_reading()

    received, sent = PausesAt(half_open=True), Streamed(half_open=True)
    client, server, *_ = await tls_pair(certificate_authority, received, sent)
    first = bytes(500_000)  # makes room below for many records at a time
    server.write(first)
    await until(lambda: len(received.data) >= len(first))
    data = first + bytes(range(256)) * 250  # several records, in one piece
    server.write(data[len(first) :])
    await until(lambda: not client.is_reading())
    assert cast("Any", client)._incoming.pending > 16384
    client.write_eof()
    await sent.ended.wait()
    server.write(b"end")
    client.resume_reading()
    await until(lambda: len(received.data) >= len(data) + 3)
    assert received.data == data + b"end"
    client.close()
    server.close()
    await received.lost.wait()
    await sent.lost.wait()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_much_may_follow_our_own_close_notify(
    version: ssl.TLSVersion, certificate_authority: CertificateAuthority
) -> None:
    context = certificate_authority.server_context()
    context.minimum_version = context.maximum_version = version
    received, sent = Buffered(), Streamed(half_open=True)
    client = TLSTransport(
        received, client_context(certificate_authority), server_hostname="localhost"
    )
    server = TLSTransport(sent, context, server_side=True)
    for socket, transport in zip(memory_pair(fragment=999), (client, server), strict=True):
        socket.attach(transport.below)
    await asyncio.gather(client.handshake(), server.handshake())
    client.write(b"request")
    client.write_eof()
    await sent.ended.wait()
    assert sent.data == b"request"
    data = bytes(range(256)) * 2000
    server.write(data)
    server.write_eof()
    await received.ended.wait()
    assert received.data == data
    await received.lost.wait()
    server.close()
    await sent.lost.wait()


async def test_a_closing_transport_keeps_nothing_of_what_still_comes(
    certificate_authority: CertificateAuthority,
) -> None:
    lower_client, lower_server = memory_pair()
    received = Streamed()
    client = TLSTransport(
        received, client_context(certificate_authority), server_hostname="localhost"
    )
    server = TLSTransport(Streamed(), server_context(certificate_authority), server_side=True)
    lower = lower_client.attach(client.below)
    other = lower_server.attach(server.below)
    await asyncio.gather(client.handshake(), server.handshake())
    other.pause_reading()
    client.write(bytes(1_000_000))
    client.close()
    server.write(bytes(1_000_000))
    for _ in range(50):
        await asyncio.sleep(0)
    assert client.get_write_buffer_size() > 0
    assert cast("Any", client)._incoming.pending == 0
    assert not received.data
    lower.abort()
    await lower_client.closed
    await lower_server.closed


async def test_both_may_close_at_once(certificate_authority: CertificateAuthority) -> None:
    one, two = Streamed(), Streamed()
    client, server, lower_client, lower_server = await tls_pair(certificate_authority, one, two)
    client.write(b"bye")
    client.close()
    server.close()
    client.close()
    await one.lost.wait()
    await two.lost.wait()
    await lower_client.closed
    await lower_server.closed
    client.write(b"ignored")
    assert client.get_write_buffer_size() == 0


async def test_a_receiver_that_fails_ends_the_connection(
    certificate_authority: CertificateAuthority,
) -> None:
    class Failing(Streamed):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    failing, other = Failing(), Streamed()
    _, server, *_ = await tls_pair(certificate_authority, failing, other)
    server.write(b"x")
    await failing.lost.wait()
    await other.lost.wait()
    assert isinstance(reports[0]["exception"], ZeroDivisionError)


# The end.


async def test_an_end_without_close_notify_is_an_error(make: Workshop) -> None:
    for data in (b"", b"cut here"):
        lower_client, lower_server = await make.tcp()
        client = connect(
            "localhost:1",
            secure_transport="on",
            ssl_context=client_context(make.authority),
            connector=returning(lower_client),
        )
        server = make.serve_tls(lower_server)
        await client.opened
        await server.opened
        await server.write(data)
        await client.write(b"x")
        await server.read()
        # Below TLS: a FIN without close_notify.
        lower_server.close()
        if data:
            assert await client.read_exactly(len(data)) == data
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="close_notify"):
                await client.read()
        await client.closed
        assert isinstance(client.close_reason, ConnectionLost)


async def test_an_end_of_tls_and_of_tcp_leaves_our_direction_open(make: Workshop) -> None:
    lower_client, lower_server = await make.tcp(allow_half_open=True)
    client = connect(
        "localhost:1",
        secure_transport="on",
        ssl_context=client_context(make.authority),
        connector=returning(lower_client),
        allow_half_open=True,
    )
    server = make.serve_tls(lower_server, allow_half_open=True)
    await client.opened
    await server.opened
    await server.write_eof()
    below(lower_server).write_eof()
    assert await client.read() == b""
    await asyncio.sleep(0.01)
    await client.write(b"still here")
    assert await server.read_exactly(10) == b"still here"
    await client.close()
    await server.closed


async def test_garbage_after_the_handshake_is_an_error(make: Workshop) -> None:
    lower_client, lower_server = memory_pair()
    client = connect(
        "localhost:1",
        secure_transport="on",
        ssl_context=client_context(make.authority),
        connector=returning(lower_client),
    )
    server = make.serve_tls(lower_server)
    await client.opened
    await server.opened
    below(lower_server).write(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ConnectionLost, match="TLS failed"):
        await client.read()
    await client.closed
    await server.closed


class Renegotiating:
    """An `ssl.SSLObject` that cannot write before it has read."""

    def __init__(self, tls: ssl.SSLObject, error: ssl.SSLError) -> None:
        self._tls = tls
        self._error: ssl.SSLError | None = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls, name)

    def write(self, data: memoryview) -> int:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._tls.write(data)


async def test_a_renegotiation_holds_writing_up_for_a_while(
    certificate_authority: CertificateAuthority,
) -> None:
    one, two = Streamed(), Streamed()
    client, server, *_ = await tls_pair(certificate_authority, one, two)
    tls: ssl.SSLObject = client.get_extra_info("ssl_object")
    cast("Any", client)._ssl = Renegotiating(tls, ssl.SSLWantReadError())
    client.write(b"held up")
    assert client.get_write_buffer_size() == 7
    server.write(b"go on")
    await until(lambda: len(two.data) >= 7)
    assert two.data == b"held up"
    client.close()
    await two.lost.wait()


async def test_what_cannot_be_encrypted_ends_the_connection(
    certificate_authority: CertificateAuthority,
) -> None:
    one, two = Streamed(), Streamed()
    client, *_ = await tls_pair(certificate_authority, one, two)
    tls: ssl.SSLObject = client.get_extra_info("ssl_object")
    error = ssl.SSLError(1, "[SSL: INTERNAL_ERROR]")
    error.reason = "INTERNAL_ERROR"
    cast("Any", client)._ssl = Renegotiating(tls, error)
    client.write(b"x")
    assert client.get_write_buffer_size() == 0
    await one.lost.wait()
    assert isinstance(one.error, ConnectionLost)
    await two.lost.wait()


async def test_a_receiver_with_a_buffer_without_room_ends_the_connection(
    certificate_authority: CertificateAuthority,
) -> None:
    class Full(Buffered):
        def get_buffer(self, sizehint: int) -> memoryview:
            room = super().get_buffer(sizehint)
            return room[:0] if self.data else room

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    full, other = Full(), Streamed()
    _, server, *_ = await tls_pair(certificate_authority, full, other)
    server.write(b"xy")
    await full.lost.wait()
    assert "empty buffer" in str(reports[0]["exception"])
    await other.lost.wait()


async def test_pausing_and_resuming_again_and_again_loses_nothing(
    certificate_authority: CertificateAuthority,
) -> None:
    class Hesitant(Streamed):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            assert self.transport is not None
            self.transport.pause_reading()
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    hesitant, other = Hesitant(), Streamed()
    _, server, *_ = await tls_pair(certificate_authority, hesitant, other)
    data = bytes(range(256)) * 2000
    server.write(data)
    server.close()
    await hesitant.lost.wait()
    assert hesitant.data == data
    assert hesitant.calls[-2:] == ["eof_received", "connection_lost"]


async def test_giving_up_the_handshake_ends_what_is_below(
    certificate_authority: CertificateAuthority,
) -> None:
    lower_client, lower_server = memory_pair()
    protocol = Streamed()
    client = TLSTransport(
        protocol, client_context(certificate_authority), server_hostname="localhost"
    )
    lower_client.attach(client.below)
    waiting = asyncio.create_task(client.handshake())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await lower_client.closed
    await lower_server.closed
    assert not protocol.calls


# Verification.


async def test_a_wrong_name_is_refused(certificate_authority: CertificateAuthority) -> None:
    async with echo_server(certificate_authority.server_context()) as port:
        context = client_context(certificate_authority)
        error = await refused(
            connect(
                f"127.0.0.1:{port}",
                secure_transport="on",
                ssl_context=context,
                server_hostname="other.example",
            )
        )
        assert "other.example" in str(error)
        assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
        # and the other way round
        async with connect(
            f"127.0.0.1:{port}",
            secure_transport="on",
            ssl_context=context,
            server_hostname="LOCALHOST.",
        ) as socket:
            assert socket.info.remote_address == f"127.0.0.1:{port}"


async def test_an_unknown_authority_is_refused_and_the_peer_told_why(
    certificate_authority: CertificateAuthority, make: Workshop
) -> None:
    for pair in (await make.tcp(), memory_pair(fragment=1)):
        client = connect("localhost:1", secure_transport="on", connector=returning(pair[0]))
        server = make.serve_tls(pair[1])
        error = await refused(client)
        assert "unable to get local issuer certificate" in str(error)
        with pytest.raises(TLSError, match=r"(?i)unknown.ca"):
            await server.opened
        await pair[0].closed


async def test_a_peer_that_never_takes_the_alert_is_left(
    make: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wirekit.sockets._tls._ALERT_TIMEOUT", 0.01)
    lower_client, lower_server = memory_pair()
    lower = lower_server.attach(Streamed(paused=True))
    client = connect(
        "localhost:1",
        secure_transport="on",
        ssl_context=client_context(make.authority),
        connector=returning(lower_client),
    )
    lower.write(b"this is no TLS\r\n")
    await refused(client)
    await lower_client.closed
    await lower_server.closed


async def test_an_expired_certificate_is_refused(
    certificate_authority: CertificateAuthority,
) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    expired = certificate_authority.authority.issue_cert("localhost", not_after=yesterday)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    cast("Any", expired).configure_cert(context)
    async with echo_server(context) as port:
        error = await refused(
            connect(
                f"localhost:{port}",
                secure_transport="on",
                ssl_context=client_context(certificate_authority),
            )
        )
    assert "expired" in str(error)


async def test_a_ca_file_replaces_the_systems_authorities(
    certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    certificate_authority.authority.cert_pem.write_to_path(str(file))
    async with echo_server(certificate_authority.server_context()) as port:
        async with connect(f"localhost:{port}", secure_transport="on", ca_file=file) as socket:
            await socket.write(b"x")
            assert await socket.read() == b"x"
        trustme.CA().cert_pem.write_to_path(str(file))
        await refused(connect(f"localhost:{port}", secure_transport="on", ca_file=str(file)))


async def test_a_context_of_ones_own_decides(certificate_authority: CertificateAuthority) -> None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    async with (
        echo_server(certificate_authority.server_context()) as port,
        connect(f"127.0.0.1:{port}", secure_transport="on", ssl_context=trusting) as socket,
    ):
        assert socket.info.peer_certificate is not None


@pytest.mark.parametrize("form", ["file", "pair", "none"])
async def test_a_client_certificate(
    form: str, certificate_authority: CertificateAuthority, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    certificate_authority.authority.cert_pem.write_to_path(str(authority))
    both, key, chain = (tmp_path / name for name in ("both.pem", "key.pem", "chain.pem"))
    certificate_authority.client.private_key_and_cert_chain_pem.write_to_path(str(both))
    certificate_authority.client.private_key_pem.write_to_path(str(key))
    certificate_authority.client.cert_chain_pems[0].write_to_path(str(chain))
    options: TLSOptions = {"ca_file": authority}
    if form == "file":
        options["client_certificate"] = both
    elif form == "pair":
        options["client_certificate"] = (chain, key)
    context = certificate_authority.server_context(require_client_certificate=True)
    async with echo_server(context) as port:
        socket = connect(f"localhost:{port}", secure_transport="on", **options)
        if form == "none":  # in TLS 1.3 the server refuses after our handshake is done
            with pytest.raises((TLSError, ConnectionLost)):
                await socket.read()
        else:
            await socket.write(b"x")
            assert await socket.read() == b"x"
        await socket.close()


async def test_alpn_is_agreed_on(certificate_authority: CertificateAuthority) -> None:
    context = certificate_authority.server_context()
    context.set_alpn_protocols(["postgresql", "smtp"])
    file = certificate_authority.authority.cert_pem
    async with echo_server(context) as port:
        with file.tempfile() as ca_file:
            for asked, agreed in ((["x", "smtp"], "smtp"), (["smtp", "postgresql"], "postgresql")):
                async with connect(
                    f"localhost:{port}", secure_transport="on", ca_file=ca_file, alpn=asked
                ) as socket:
                    assert socket.info.alpn == agreed
            async with connect(
                f"localhost:{port}", secure_transport="on", ca_file=ca_file
            ) as socket:
                assert socket.info.alpn is None


async def test_the_name_goes_out_as_sni_and_an_ip_address_does_not(
    certificate_authority: CertificateAuthority,
) -> None:
    names: list[str | None] = []
    context = certificate_authority.server_context()
    context.sni_callback = lambda _, name, __: names.append(name)
    async with echo_server(context) as port:
        for host in ("localhost", "127.0.0.1"):
            async with connect(
                f"{host}:{port}",
                secure_transport="on",
                ssl_context=client_context(certificate_authority),
            ):
                pass
    assert names == ["localhost", None]


async def test_options_of_connect_hold_for_start_tls_unless_given_again(make: Workshop) -> None:
    context = client_context(make.authority)
    cases: list[tuple[TLSOptions, bool]] = [({}, False), ({"server_hostname": "localhost"}, True)]
    for again, accepted in cases:
        plain, lower = await make.tcp(
            secure_transport="starttls", ssl_context=context, server_hostname="other.example"
        )
        server = make.serve_tls(lower)
        await plain.opened
        upgraded = plain.start_tls(**again)
        make.keep(upgraded)
        if accepted:
            await upgraded.opened
            await server.opened
        else:
            await refused(upgraded)


# The peer speaks no TLS, or ends.


@pytest.mark.parametrize("garbage", [b"220 hello\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0"])
async def test_a_peer_that_speaks_no_tls(garbage: bytes, make: Workshop) -> None:
    lower_client, lower_server = await make.tcp()
    await lower_server.write(garbage)
    client = connect(
        "localhost:1",
        secure_transport="on",
        ssl_context=client_context(make.authority),
        connector=returning(lower_client),
    )
    await lower_server.close()
    await refused(client)


@pytest.mark.parametrize("end", [Socket.close, Socket.abort])
async def test_a_peer_that_ends_during_the_handshake(
    end: Callable[[Socket], object], make: Workshop
) -> None:
    for over in (make.tcp, make.memory):
        lower_client, lower_server = await over()
        client = connect(
            "localhost:1",
            secure_transport="on",
            ssl_context=client_context(make.authority),
            connector=returning(lower_client),
        )
        await lower_server.read(1)  # its ClientHello
        end(lower_server)
        error = await refused(client)
        assert "handshake" in str(error)
        await lower_client.closed


async def test_a_transport_that_is_closing_is_not_taken_over(
    certificate_authority: CertificateAuthority,
) -> None:
    carrier, _ = memory_pair()
    lower = carrier.attach(Receiver())
    lower.close()
    transport = TLSTransport(
        Streamed(), client_context(certificate_authority), server_hostname="localhost"
    )
    transport.take_over(lower)
    with pytest.raises(TLSError, match="lost during the TLS handshake"):
        await transport.handshake()


# The options.


def test_the_default_context_verifies() -> None:
    context = make_context({})
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "beside", [{"ca_file": "ca.pem"}, {"client_certificate": "c.pem"}, {"alpn": ["x"]}]
)
def test_a_context_stands_alone(beside: TLSOptions) -> None:
    with pytest.raises(AddressError, match=f"{next(iter(beside))} cannot stand beside"):
        make_context({"ssl_context": ssl.create_default_context(), **beside})


@pytest.mark.parametrize(
    "wrong",
    [
        {"ca_file": "/nowhere/ca.pem"},
        {"client_certificate": "/nowhere/c.pem"},
        {"alpn": [""]},
        {"verify": False},
    ],
)
def test_options_that_cannot_be_used(wrong: Any) -> None:
    with pytest.raises(AddressError):
        make_context(wrong)


def test_the_name_is_checked_and_made_canonical() -> None:
    context = make_context({})
    assert server_hostname(context, {"server_hostname": "DB.Example."}, "x") == "db.example"
    assert server_hostname(context, {"server_hostname": "[::1]"}, "x") == "::1"
    for wrong in ("", ".example", "a b", "a\0b", "user@host"):
        with pytest.raises(AddressError):
            server_hostname(context, {"server_hostname": wrong}, "x")
    with pytest.raises(AddressError, match="unix:/run/x needs server_hostname"):
        server_hostname(context, {}, "unix:/run/x")
    context.check_hostname = False
    assert server_hostname(context, {}, "unix:/run/x") is None


@pytest.mark.parametrize(
    "option", [{"ca_file": "ca.pem"}, {"server_hostname": "x"}, {"alpn": ["x"]}]
)
async def test_tls_options_need_tls(option: TLSOptions) -> None:
    with pytest.raises(AddressError, match="need secure_transport"):
        connect("localhost:1", **option)


async def test_a_unix_socket_needs_a_name_for_tls() -> None:
    with pytest.raises(AddressError, match="server_hostname"):
        connect("/run/db.sock", secure_transport="on")
