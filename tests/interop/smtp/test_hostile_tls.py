"""STARTTLS and AUTH with a server, or somebody in between, that does not mean well."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

import wirekit
from tests.servers import CertificateAuthority
from wirekit.adapters.smtp import (
    SMTP,
    SMTPArgumentError,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPNotSupported,
)
from wirekit.sockets import DirectConnector, connect, memory_pair

from .errors import assert_typed, everything_in
from .helpers import SENDER, outcomes, turns

USER, PASSWORD = "alice", "wonder land"
IN_CLEAR = ("250-fake", "250-PIPELINING", "250-AUTH PLAIN LOGIN", "250 STARTTLS")
INSIDE = ("250-fake", "250 AUTH PLAIN")
REPLIES = {
    **dict.fromkeys((b"MAIL", b"RCPT", b"RSET", b"NOOP", b"."), b"250 ok\r\n"),
    b"DATA": b"354 go\r\n",
    b"HELO": b"250 fake\r\n",
    b"QUIT": b"221 bye\r\n",
}
INJECTED = b"250-fake\r\n250 AUTH PLAIN\r\n"


class Endpoint:
    """A server on TCP that follows a script; what it got in clear and inside TLS is kept apart."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.clear: list[bytes] = []
        self.inside: list[bytes] = []
        self.greeting = b"220 fake\r\n"
        self.hello = _lines(IN_CLEAR)
        self.go_ahead = [b"220 go ahead\r\n"]  # in as many pieces
        self.hello_inside = _lines(INSIDE)
        self.auth: Callable[[bytes], bytes] = lambda line: b"235 in\r\n"
        self.handshakes = True
        self._context = context
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def ended(self) -> None:
        """Wait until nobody is served any more."""
        await turns(3)  # somebody may just have come
        for writer in self._serving.values():
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        del self._serving[task]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        secure = False
        while line := await reader.readline():
            (self.inside if secure else self.clear).append(line)
            verb = line[:4].upper().strip()
            if verb == b"STAR":
                if not await self._start_tls(writer):
                    continue
                secure = True
            elif verb == b"EHLO":
                writer.write(self.hello_inside if secure else self.hello)
            elif (reply := REPLIES.get(verb)) is not None:
                writer.write(reply)
            elif verb == b"AUTH" or self.auth_goes_on:
                reply = self.auth(line.strip())
                self.auth_goes_on = reply.startswith(b"334")
                writer.write(reply)

    async def _start_tls(self, writer: asyncio.StreamWriter) -> bool:
        transport = cast("asyncio.Transport", writer.transport)
        transport.pause_reading()  # the handshake is not for us
        for number, piece in enumerate(self.go_ahead):
            if number:
                await asyncio.sleep(0.002)
            writer.write(piece)
        if not self.go_ahead[0].startswith(b"220"):
            transport.resume_reading()
            return False
        if not self.handshakes:
            raise ConnectionError("enough")
        await writer.start_tls(self._context, ssl_handshake_timeout=5)
        return True

    auth_goes_on = False


def _lines(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


@pytest.fixture(scope="module")
def contexts(certificate_authority: CertificateAuthority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate_authority.server_context(), certificate_authority.client_context()


@pytest.fixture
def endpoint(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Endpoint:
    return Endpoint(contexts[0])


@pytest.fixture
def tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> dict[str, Any]:
    return {"secure_transport": "starttls", "ssl_context": contexts[1]}


@asynccontextmanager
async def listening(endpoint: Endpoint) -> AsyncGenerator[tuple[str, int]]:
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1")
    async with server:
        yield server.sockets[0].getsockname()
        await endpoint.ended()


def nothing_went_in_clear(endpoint: Endpoint) -> None:
    sent = b"".join(endpoint.clear).upper()
    assert b"AUTH" not in sent
    assert b"MAIL" not in sent
    assert b"WONDER" not in sent


async def attempt(
    endpoint: Endpoint, tls: dict[str, Any], *, send: bool = True, **settings: Any
) -> Exception | None:
    """Log in and send a mail, through TLS only; return why not."""
    settings = {"username": USER, "password": PASSWORD, "timeout": 2.0, **settings}
    async with listening(endpoint) as address:
        connector = DirectConnector(**tls)
        smtp = SMTP(connector=connector, address=address, hostname="me.example", **settings)
        try:
            async with asyncio.timeout(20), smtp:
                if send:
                    await smtp.sendmail(SENDER, "to@example.org", b"Subject: x\r\n\r\n")
        except SMTPException as error:
            failure = error
        else:
            return None
    assert PASSWORD not in everything_in(failure)
    assert b64(f"\0{USER}\0{PASSWORD}".encode()).decode() not in everything_in(failure)
    return failure


@pytest.mark.both_loops
async def test_all_goes_well(endpoint: Endpoint, tls: dict[str, Any]) -> None:
    assert await attempt(endpoint, tls) is None
    nothing_went_in_clear(endpoint)
    assert any(line.startswith(b"AUTH PLAIN") for line in endpoint.inside)
    # It was asked anew what the server offers, and what it said in clear is forgotten.
    assert endpoint.inside[0] == b"EHLO me.example\r\n"


@pytest.mark.parametrize("cut", range(0, len(b"220 go ahead\r\n" + INJECTED) + 1, 3))
async def test_plaintext_behind_the_go_ahead(
    endpoint: Endpoint, tls: dict[str, Any], cut: int
) -> None:
    data = b"220 go ahead\r\n" + INJECTED
    endpoint.go_ahead = [data[:cut], data[cut:]] if cut else [data]
    error = await attempt(endpoint, tls)
    assert isinstance(error, SMTPConnectError | wirekit.RemoteProtocolError | wirekit.TLSError)
    nothing_went_in_clear(endpoint)
    assert not endpoint.inside


@pytest.mark.parametrize(
    "injected", [b"220 go\r\n", INJECTED, b"250 ok\r\n", b"2", b"\x16\x03\x01"]
)
@pytest.mark.parametrize("place", ["greeting", "hello"])
async def test_plaintext_before_the_go_ahead(
    endpoint: Endpoint, tls: dict[str, Any], place: str, injected: bytes
) -> None:
    setattr(endpoint, place, getattr(endpoint, place) + injected)
    error = await attempt(endpoint, tls)
    assert_typed(error)
    nothing_went_in_clear(endpoint)
    assert not endpoint.inside


STRIPPED = {
    "gone": b"250-fake\r\n250 AUTH PLAIN LOGIN\r\n",
    "misspelt": b"250-fake\r\n250-AUTH PLAIN LOGIN\r\n250 XTARTTLS\r\n",
    "no EHLO": b"502 not known\r\n",
    "alone": b"250 fake\r\n",
    "refused": b"550 go away\r\n",
}


@pytest.mark.parametrize("hello", STRIPPED)
@pytest.mark.parametrize("asked", ["by the socket", "by start_tls"])
async def test_starttls_is_stripped(
    endpoint: Endpoint, tls: dict[str, Any], hello: str, asked: str
) -> None:
    endpoint.hello = STRIPPED[hello]
    settings: dict[str, Any] = {} if asked == "by the socket" else {"start_tls": True}
    error = await attempt(endpoint, tls, allow_plaintext_auth=True, **settings)
    assert_typed(error)
    nothing_went_in_clear(endpoint)


@pytest.mark.parametrize("refusal", [b"454 no TLS now\r\n", b"501 what\r\n", b"250 ok\r\n"])
async def test_starttls_is_refused(endpoint: Endpoint, tls: dict[str, Any], refusal: bytes) -> None:
    endpoint.go_ahead = [refusal]
    assert_typed(await attempt(endpoint, tls, allow_plaintext_auth=True))
    nothing_went_in_clear(endpoint)


async def test_the_end_instead_of_the_handshake(endpoint: Endpoint, tls: dict[str, Any]) -> None:
    endpoint.handshakes = False
    assert_typed(await attempt(endpoint, tls, allow_plaintext_auth=True))
    nothing_went_in_clear(endpoint)


async def test_a_certificate_that_is_not_trusted(endpoint: Endpoint, tls: dict[str, Any]) -> None:
    tls["ssl_context"] = CertificateAuthority().client_context()
    error = await attempt(endpoint, tls, allow_plaintext_auth=True)
    assert isinstance(error, wirekit.TLSError)
    nothing_went_in_clear(endpoint)
    assert not endpoint.inside


async def test_capabilities_shrink_inside_tls(endpoint: Endpoint, tls: dict[str, Any]) -> None:
    endpoint.hello_inside = b"250 fake\r\n"
    error = await attempt(endpoint, tls)
    assert isinstance(error, SMTPNotSupported)
    nothing_went_in_clear(endpoint)
    assert not any(line.startswith(b"AUTH") for line in endpoint.inside)


async def test_pipelining_is_gone_inside_tls(endpoint: Endpoint, tls: dict[str, Any]) -> None:
    async with listening(endpoint) as address:
        smtp = SMTP(connect(address, **tls), start_tls=False, hostname="me.example")
        async with smtp:
            assert smtp.capabilities.pipelining
            await smtp.starttls()
            assert not smtp.capabilities.pipelining
            assert smtp.capabilities.auth == {"PLAIN"}
            await smtp.sendmail(SENDER, "to@example.org", b"Subject: x\r\n\r\n")
    nothing_went_in_clear(endpoint)


async def test_tls_is_wanted_of_a_socket_that_cannot(endpoint: Endpoint) -> None:
    async with listening(endpoint) as address:
        (error,) = await outcomes(SMTP(connect(address), start_tls=True).open())
        assert_typed(error)
    assert [line for line in endpoint.clear if not line.startswith(b"EHLO")] == []


async def test_no_login_in_clear(endpoint: Endpoint) -> None:
    async with listening(endpoint) as address:
        smtp = SMTP(connect(address), username=USER, password=PASSWORD)
        (error,) = await outcomes(smtp.open())
        assert isinstance(error, SMTPArgumentError), error
        async with SMTP(connect(address)) as smtp:
            (error,) = await outcomes(smtp.login(USER, PASSWORD))
            assert isinstance(error, SMTPArgumentError), error
    nothing_went_in_clear(endpoint)


# AUTH --------------------------------------------------------------------------------------------


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def scram(first: Callable[[bytes], bytes], last: bytes = b"v=AAAA") -> Callable[[bytes], bytes]:
    """Answer SCRAM: ``first`` makes the first message of the client's nonce."""
    said = 0

    def answer(line: bytes) -> bytes:
        nonlocal said
        said += 1
        if said > 2:
            return b"235 welcome\r\n"
        nonce = base64.b64decode(line.rpartition(b" ")[2]).rpartition(b"r=")[2]
        return b"334 %b\r\n" % b64(first(nonce) if said == 1 else last)

    return answer


def asking_for(count: str) -> Callable[[bytes], bytes]:
    return scram(lambda nonce: b"r=%bx,s=%b,i=%b" % (nonce, SALT, count.encode()))


SALT = b64(b"salt" * 4)
LIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "no base64": ("CRAM-MD5", lambda line: b"334 ???\r\n"),
    "half base64": ("CRAM-MD5", lambda line: b"334 abcde\r\n"),
    "base64 and more": ("CRAM-MD5", lambda line: b"334 YWJj YWJj\r\n"),
    "lines": ("CRAM-MD5", lambda line: b"334-YWJj\r\n334 YWJj\r\n"),
    "empty": ("CRAM-MD5", lambda line: b"334 \r\n"),
    "never enough": ("CRAM-MD5", lambda line: b"334 YWJj\r\n"),
    "endless": ("CRAM-MD5", lambda line: b"334 " + b"YWJj" * 10_000 + b"\r\n"),
    "PLAIN goes on": ("PLAIN", lambda line: b"334 YWJj\r\n"),
    "at once": ("CRAM-MD5", lambda line: b"235 welcome\r\n"),
    "LOGIN at once": ("LOGIN", lambda line: b"235 welcome\r\n"),
    "LOGIN never enough": ("LOGIN", lambda line: b"334 VXNlcm5hbWU6\r\n"),
    "354": ("PLAIN", lambda line: b"354 go\r\n"),
    "250": ("LOGIN", lambda line: b"250 ok\r\n"),
    "SCRAM at once": ("SCRAM-SHA-256", lambda line: b"235 welcome\r\n"),
    "SCRAM garbage": ("SCRAM-SHA-256", scram(lambda nonce: b"\xff\xfe\x00")),
    "SCRAM wrong nonce": ("SCRAM-SHA-256", scram(lambda nonce: b"r=x,s=%b,i=4096" % SALT)),
    "SCRAM same nonce": ("SCRAM-SHA-256", scram(lambda nonce: b"r=%b,s=%b,i=4096" % (nonce, SALT))),
    "SCRAM bad salt": ("SCRAM-SHA-256", scram(lambda nonce: b"r=%bx,s=?,i=4096" % nonce)),
    "SCRAM extension": (
        "SCRAM-SHA-256",
        scram(lambda nonce: b"m=x,r=%bx,s=%b,i=4096" % (nonce, SALT)),
    ),
    "SCRAM wrong signature": (
        "SCRAM-SHA-256",
        scram(lambda nonce: b"r=%bx,s=%b,i=4096" % (nonce, SALT), b"v=" + b64(b"x" * 32)),
    ),
    "SCRAM bad signature": (
        "SCRAM-SHA-256",
        scram(lambda nonce: b"r=%bx,s=%b,i=4096" % (nonce, SALT), b"v=\xff"),
    ),
    "SCRAM error then success": (
        "SCRAM-SHA-256",
        scram(lambda nonce: b"r=%bx,s=%b,i=4096" % (nonce, SALT), b"e=other-error"),
    ),
    **{
        f"SCRAM {count[:20]} iterations": ("SCRAM-SHA-256", asking_for(count))
        for count in ("0", "1", "-5", "4095", "1000001", "9" * 30, "9" * 3000, "4096x", "٤٠٩٦")
    },
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_login_with_a_liar(endpoint: Endpoint, tls: dict[str, Any], lie: str) -> None:
    mechanism, answer = LIES[lie]
    endpoint.hello_inside = b"250-fake\r\n250 AUTH %b\r\n" % mechanism.encode()
    endpoint.auth = answer
    error = await attempt(endpoint, tls, send=False)
    assert_typed(error)
    assert not isinstance(error, SMTPAuthenticationError), repr(error)
    nothing_went_in_clear(endpoint)


@pytest.mark.parametrize("code", [b"535", b"421", b"454", b"501", b"235"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1"])
async def test_what_the_server_repeats_is_not_shown(
    endpoint: Endpoint, tls: dict[str, Any], mechanism: str, code: bytes
) -> None:
    """Neither as it came nor in clear."""
    endpoint.hello_inside = b"250-fake\r\n250 AUTH %b\r\n" % mechanism.encode()
    steps = iter([b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"] if mechanism == "LOGIN" else [])

    def answer(line: bytes) -> bytes:
        step = next(steps, None)
        return step or b"%b 5.7.8 %b is %b\r\n" % (code, line, PASSWORD.encode())

    endpoint.auth = answer
    error = await attempt(endpoint, tls, send=False)
    shown = everything_in(error)
    assert PASSWORD not in shown
    assert base64.b64encode(PASSWORD.encode()).decode() not in shown
    assert error is not None or code == b"235"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("form", ["json", "text", "base64"])
async def test_a_token_that_the_server_repeats_is_not_shown(
    endpoint: Endpoint, tls: dict[str, Any], mechanism: str, form: str
) -> None:
    token = "ya29.a-secret-token"
    endpoint.hello_inside = b"250-fake\r\n250 AUTH %b\r\n" % mechanism.encode()
    told = {
        "json": b'{"status":"%b is bad"}' % token.encode(),
        "text": b"bad token " + token.encode(),
        "base64": b"bad token " + b64(token.encode()),
    }[form]
    steps = iter([b"334 %b\r\n" % b64(told)])
    endpoint.auth = lambda line: next(steps, b"535 no: %b\r\n" % token.encode())
    error = await attempt(endpoint, tls, send=False, password=None, token=token)
    assert isinstance(error, SMTPAuthenticationError)
    assert token not in everything_in(error)


async def test_secrets_are_in_no_repr() -> None:
    ours, theirs = memory_pair()
    smtp = SMTP(ours, username=USER, password=PASSWORD)
    assert PASSWORD not in repr([smtp, vars(smtp), *map(vars, vars(smtp).values())])
    await smtp.aclose()
    theirs.abort()
    with pytest.raises(wirekit.AddressError) as caught:
        SMTP.from_url(f"smtps://alice:{PASSWORD}@[::1/?hostname=x")
    assert PASSWORD not in everything_in(caught.value)
