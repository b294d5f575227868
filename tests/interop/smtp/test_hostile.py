"""A server that breaks the protocol harms those it concerns, with a typed error; nothing hangs."""

from __future__ import annotations

import asyncio
import socket as stdlib_socket
import struct
from collections.abc import AsyncGenerator

import pytest

import wirekit
from wirekit import RemoteProtocolError
from wirekit.adapters.smtp import (
    SMTP,
    SMTPConnectError,
    SMTPRecipientsRefused,
    SMTPServiceClosed,
    SMTPTimeoutError,
    Uncertain,
)
from wirekit.sockets import connect

from .errors import assert_typed, everything_in
from .fake_server import END, GREETING, WAYS, Cut, FakeServer
from .helpers import SENDER, eventually, outcomes, turns

TO = "to@example.org"
BODY = b"Subject: confidential\r\n\r\nthe secret of the mail\r\n"

FAULTS = {
    "garbage": b"\x00\xff garbage\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46\r\n",
    "two digits": b"25 ok\r\n",
    "four digits": b"2500 ok\r\n",
    "signed": b"+25 ok\r\n",
    "indented": b" 250 ok\r\n",
    "other digits": "٢٥٠ ok\r\n".encode(),
    "1yz": b"150 ok\r\n",
    "6yz": b"650 ok\r\n",
    "codes that change": b"250-a\r\n550 b\r\n",
    "codes that change later": b"550-a\r\n550-b\r\n250 c\r\n",
    "bare LF": b"250 ok\n",
    "bare CR": b"250 ok\rno\r\n",
    "NUL": b"250 o\0k\r\n",
    "endless line": b"250 " + b"x" * 100_000,
    "endless reply": b"250-x\r\n" * 100_000,
    "go on": b"399 go on\r\n",
    "354": b"354 go\r\n",
    "334": b"334 AAAA\r\n",
}
STEPS = {"greeting": GREETING, "EHLO": b"EHLO", "MAIL": b"MAIL", "RCPT": b"RCPT", "end": END}


class Answering:
    """Says something else at one step, the first times."""

    def __init__(self, step: bytes, reply: bytes, *, only: int = 1) -> None:
        self.step, self.reply, self.left = step, reply, only

    def __call__(self, line: bytes) -> bytes | None:
        if (line[: len(self.step)] == self.step if self.step else not line) and self.left:
            self.left -= 1
            return self.reply
        return None


async def opened_and_sent(smtp: SMTP) -> list[object]:
    """Open, and send two mails at the same time; return what became of them."""
    (opening,) = await outcomes(smtp.open())
    if isinstance(opening, Exception):
        return [opening]
    return await outcomes(*(smtp.sendmail(SENDER, TO, BODY) for _ in range(2)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_at_each_step(fault: str, step: str, way: str) -> None:
    reply = FAULTS[fault]
    async with FakeServer(Answering(STEPS[step], reply), keywords=WAYS[way]) as server:
        client = server.client_on_socket()
        got = await opened_and_sent(client)
        for error in got:
            assert_typed(error)
            assert isinstance(error, SMTPConnectError | RemoteProtocolError | Uncertain | OSError)
            assert "the secret of the mail" not in everything_in(error)
        await client.aclose()
        # Whoever has no Uncertain can be sure.
        assert len(server.mails) <= sum(isinstance(error, Uncertain) for error in got)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("fragment", [None, 1])
async def test_a_session_that_ends_at_every_byte(
    way: str, *, reset: bool, fragment: int | None
) -> None:
    kinds: set[type] = set()
    length = 0
    while True:
        length += 1 if fragment is None else 3
        cut = Cut(length, reset=reset)
        async with FakeServer(keywords=WAYS[way], cut=cut, fragment=fragment) as server:
            client = server.client_on_socket()
            got = await opened_and_sent(client)
            await client.aclose()
            for outcome in got:
                kinds.add(type(outcome))
                if isinstance(outcome, Exception):
                    assert_typed(outcome)
            reported = sum(not isinstance(outcome, Exception) for outcome in got)
            uncertain = sum(isinstance(outcome, Uncertain) for outcome in got)
            assert reported <= len(server.mails) <= reported + uncertain
            if cut.left > 0:
                break
    assert Uncertain in kinds
    assert len(kinds) >= 3


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.both_loops
async def test_the_end_behind_the_final_dot_by_tcp(how: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        async for line in reader:
            if line == b".\r\n":
                break
            if line != b"\r\n" and line not in BODY:
                writer.write(b"354 go\r\n" if line == b"DATA\r\n" else b"250 ok\r\n")
        if how == "reset":
            sock: stdlib_socket.socket = writer.get_extra_info("socket")
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger)
        writer.close()

    tcp = await asyncio.start_server(serve, "127.0.0.1")
    async with tcp, SMTP(connect(tcp.sockets[0].getsockname())) as smtp:
        with pytest.raises(Uncertain) as caught:
            await smtp.sendmail(SENDER, TO, BODY)
        assert isinstance(caught.value.__cause__, wirekit.ConnectionLost)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [*STEPS, "DATA"])
async def test_421_at_each_step(step: str, way: str) -> None:
    reply = b"421 4.3.2 going down\r\n"
    answer = Answering(STEPS.get(step, b"DATA"), reply)
    async with FakeServer(answer, keywords=WAYS[way]) as server:
        client = server.client_on_socket()
        got = await opened_and_sent(client)
        if step == "DATA" and way == "chunking":
            assert not any(isinstance(outcome, Exception) for outcome in got)
        else:
            assert isinstance(got[0], SMTPServiceClosed | SMTPConnectError)
            for error in got:
                assert_typed(error)
                assert not isinstance(error, Uncertain)
            assert not server.mails
        await client.aclose()


async def test_421_when_nothing_was_asked() -> None:
    async with FakeServer() as server, server.client() as smtp:
        await smtp.noop()
        await server.write(b"421 idle\r\n")
        await eventually(lambda: not smtp.is_connected)
        await smtp.sendmail(SENDER, TO, BODY)
        assert len(server.sockets) == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [*STEPS, "DATA"])
async def test_silence_at_each_step(step: str, way: str) -> None:
    waited_for = Answering(STEPS.get(step, b"DATA"), b"")

    def answer(line: bytes) -> bytes | None:
        waited_for(line)
        return None if waited_for.left else b""  # from then on

    async with FakeServer(answer, keywords=WAYS[way]) as server:
        client = server.client_on_socket(timeout=0.05, data_timeout=0.06)
        got = await opened_and_sent(client)
        if not (step == "DATA" and way == "chunking"):
            for error in got:
                assert_typed(error)
            cause = got[0].__cause__ if isinstance(got[0], Uncertain) else got[0]
            assert isinstance(cause, SMTPTimeoutError | TimeoutError), repr(got[0])
            assert len(server.mails) <= sum(isinstance(error, Uncertain) for error in got)
        await client.aclose()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("extra", [b"250 and more\r\n", b"220 hello\r\n", b"5", b"354 go\r\n"])
@pytest.mark.parametrize("step", ["greeting", "EHLO", "end"])
async def test_replies_that_nobody_waits_for(step: str, extra: bytes, way: str) -> None:
    usual = {"greeting": b"220 hi\r\n", "end": b"250 ok\r\n"}
    usual["EHLO"] = b"250-fake\r\n" + b"".join(b"250-%b\r\n" % k.encode() for k in WAYS[way])
    usual["EHLO"] += b"250 HELP\r\n"
    answer = Answering(STEPS[step], usual[step] + extra)
    async with FakeServer(answer, keywords=WAYS[way]) as server:
        client = server.client_on_socket(timeout=0.2, data_timeout=0.2)
        got = await opened_and_sent(client)
        accepted = [outcome for outcome in got if not isinstance(outcome, Exception)]
        # Where more replies are due, what comes too much is taken for the next of them.
        assert (
            len(accepted) in ((1, 2) if way == "chunking" else (1,))
            if step == "end"
            else not accepted
        )
        for error in got[len(accepted) :]:
            assert_typed(error)
        if not isinstance(got[0], Exception):
            # It is nobody's: the next to ask is not given it.
            (error,) = await outcomes(client.noop())
            assert_typed(error)
        await client.aclose()


async def test_pipelining_is_offered_and_what_comes_early_is_dropped() -> None:
    async with FakeServer(hasty=True) as server:
        client = server.client_on_socket(timeout=0.1, data_timeout=0.1)
        for error in await opened_and_sent(client):
            assert_typed(error)
        assert not server.mails
        await client.aclose()
    async with FakeServer(hasty=True) as server:
        async with server.client_on_socket(pipelining=False, chunking=False) as smtp:
            await smtp.sendmail(SENDER, TO, BODY)
        assert server.mails == [BODY]


@pytest.mark.parametrize("after", [b"250 fine\r\n", b"554 no recipients\r\n", b"354 go on\r\n"])
@pytest.mark.parametrize("way", WAYS)
async def test_mail_data_is_wanted_for_nobody(way: str, after: bytes) -> None:
    refused = 2

    def answer(line: bytes) -> bytes | None:
        nonlocal refused
        if line.startswith(b"RCPT") and refused:
            refused -= 1
            return b"550 unknown\r\n"
        if line == b"DATA" and not refused and len(server.lines) < 6:
            return b"354 go\r\n"
        return after if line == END and len(server.lines) < 7 else None

    async with FakeServer(answer, keywords=WAYS[way]) as server:
        client = server.client_on_socket()
        await client.open()
        first, second = await outcomes(
            client.sendmail(SENDER, [TO, "b@example.org"], BODY),
            client.sendmail(SENDER, TO, b"second\r\n"),
        )
        if after.startswith(b"354") and way != "steps":
            assert_typed(first)
        else:
            assert isinstance(first, SMTPRecipientsRefused), repr(first)
            assert second.errors == {}
            assert server.mails[-1] == b"second\r\n"
        await client.aclose()
        assert BODY not in server.mails


@pytest.mark.parametrize("reply", [b"250 got it\r\n", b"552 too much\r\n", b"354 go\r\n"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [4_000_000, 900_000])
async def test_replies_before_the_end_of_the_message(way: str, reply: bytes, size: int) -> None:
    """The server has not read it all, so it cannot have accepted it: no success is reported."""
    async with FakeServer(keywords=WAYS[way]) as server:
        client = server.client_on_socket(timeout=0.5, data_timeout=0.5)
        await client.open()
        sockets = server.sockets

        async def early() -> None:
            go = b"DATA" if way != "chunking" else b"RCPT"
            await eventually(lambda: any(line.startswith(go) for line in server.lines))
            await sockets[0].write(reply)

        pieces = asyncio.Event()

        async def stream() -> AsyncGenerator[bytes]:
            for number in range(size // 1000):
                yield b"x" * 998 + b"\r\n"
                if number == 300:
                    await eventually(pieces.is_set)

        sending = asyncio.create_task(outcomes(client.sendmail(SENDER, TO, stream())))
        await early()
        await turns(20)
        pieces.set()
        (error,) = await sending
        if way == "chunking" and reply.startswith(b"2"):
            # It is taken for the reply to a chunk; what comes too much is a fault.
            assert isinstance(error, wirekit.Error | tuple), repr(error)
        else:
            assert_typed(error)
        assert not server.mails or isinstance(error, Uncertain | tuple)
        await client.aclose()


async def test_a_chunk_is_refused_and_the_last_one_accepted() -> None:
    """A message with a hole is not a success."""
    refused = False

    def answer(line: bytes) -> bytes | None:
        nonlocal refused
        if line.startswith(b"BDAT") and not refused:
            refused = True
            return b"452 4.3.1 no space\r\n"
        return None

    async with FakeServer(answer) as server, server.client_on_socket() as smtp:
        pieces = [b"x" * 998 + b"\r\n"] * 100
        (error,) = await outcomes(smtp.sendmail(SENDER, TO, pieces))
        assert_typed(error)
        if server.mails:
            assert isinstance(error, Uncertain | RemoteProtocolError), repr(error)


async def test_a_server_that_takes_nothing_does_not_keep_us() -> None:
    """Neither the mail nor ``aclose`` waits for a server that stopped reading."""
    over = asyncio.Event()
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readline()
        writer.write(b"250-hi\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
        for _ in range(3):
            await reader.readline()
        writer.write(b"250 ok\r\n250 ok\r\n354 go\r\n")
        await over.wait()
        writer.transport.abort()
        gone.set()

    tcp = await asyncio.start_server(serve, "127.0.0.1", limit=1000)
    socket = connect(tcp.sockets[0].getsockname(), close_timeout=0.1)
    async with tcp:
        async with asyncio.timeout(10):
            async with SMTP(socket, timeout=0.2, data_timeout=0.2) as smtp:
                with pytest.raises(wirekit.WriteTimeout) as caught:
                    await smtp.sendmail(SENDER, TO, b"x" * 20_000_000)
                assert_typed(caught.value)
        over.set()
        await gone.wait()
