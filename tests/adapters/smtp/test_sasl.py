from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import LocalProtocolError, RemoteProtocolError
from wirekit.adapters.smtp._errors import SMTPArgumentError, SMTPNotSupported
from wirekit.adapters.smtp._login import Credentials
from wirekit.adapters.smtp._sasl import MECHANISMS, Mechanism, choose

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, MailServer

scramp = cast("Any", importlib.import_module("scramp"))

SECRET = "wonder land"
SALT = base64.b64encode(b"0123456789abcdef").decode()
HASH = hashlib.sha256(b"certificate").digest()


def by_password(*offered: str, binding: bytes | None = None, **options: Any) -> Mechanism:
    username = options.pop("username", "alice")
    password = options.pop("password", SECRET)
    credentials = Credentials(username=username, password=password, **options)
    return choose(frozenset(offered), credentials, channel_binding=binding)


def by_token(*offered: str, token: Any = "abc.def==", username: str = "alice") -> Mechanism:
    return choose(frozenset(offered), Credentials(username=username, token=token))


# Choice


@pytest.mark.parametrize(
    ("offered", "binding", "chosen"),
    [
        (MECHANISMS, HASH, "SCRAM-SHA-256-PLUS"),
        (MECHANISMS, None, "SCRAM-SHA-256"),
        ({"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256"}, HASH, "SCRAM-SHA-1-PLUS"),
        ({"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, None, "SCRAM-SHA-1"),
        ({"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1"}, None, "SCRAM-SHA-1"),
        ({"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "NTLM"}, None, "CRAM-MD5"),
        ({"LOGIN", "PLAIN"}, None, "PLAIN"),
        ({"LOGIN", "GSSAPI"}, None, "LOGIN"),
    ],
)
def test_the_strongest_is_chosen(offered: set[str], binding: bytes | None, chosen: str) -> None:
    assert by_password(*offered, binding=binding).name == chosen


def test_a_token_is_for_tokens() -> None:
    assert by_token(*MECHANISMS).name == "OAUTHBEARER"
    assert by_token("XOAUTH2", "PLAIN").name == "XOAUTH2"
    both = Credentials(username="alice", password=SECRET, token="abc")
    assert choose(frozenset({"PLAIN", "XOAUTH2"}), both).name == "XOAUTH2"
    assert choose(frozenset({"PLAIN"}), both).name == "PLAIN"


def test_mechanisms_can_be_limited() -> None:
    limited = frozenset({"PLAIN", "LOGIN"})
    assert by_password(*MECHANISMS, mechanisms=limited).name == "PLAIN"
    with pytest.raises(SMTPNotSupported, match="no mechanism for a password"):
        by_password("CRAM-MD5", mechanisms=limited)
    with pytest.raises(SMTPArgumentError, match="unknown mechanisms: NTLM"):
        by_password("PLAIN", mechanisms=frozenset({"NTLM"}))


def test_nothing_to_choose() -> None:
    with pytest.raises(SMTPNotSupported, match="does not offer AUTH"):
        by_password()
    with pytest.raises(SMTPNotSupported, match="for a token that may be used: PLAIN"):
        by_token("PLAIN")
    with pytest.raises(SMTPNotSupported, match="for a password"):
        by_password("SCRAM-SHA-256-PLUS")
    with pytest.raises(SMTPArgumentError, match="needs a password or a token"):
        choose(frozenset({"PLAIN"}), Credentials(username="alice"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("username", "", "the user name is empty"),
        ("username", "al\0ice", "the user name holds a null"),
        ("username", "al\x01ice", "the user name holds a control"),
        ("username", "\ud800", "the user name holds a lone surrogate"),
        ("password", "", "the password is empty"),
        ("password", "graphite\0", "the password holds a null"),
        ("password", "graphite\ud800", "the password holds a lone surrogate"),
    ],
)
def test_credentials_that_cannot_be_sent(name: str, value: str, text: str) -> None:
    given: dict[str, Any] = {"username": "alice", "password": SECRET, name: value}
    with pytest.raises(SMTPArgumentError, match=text) as caught:
        choose(frozenset({"PLAIN"}), Credentials(**given))
    assert "graphite" not in str(caught.value)
    assert isinstance(caught.value, LocalProtocolError)


def test_a_user_name_that_scram_forbids() -> None:
    with pytest.raises(SMTPArgumentError, match="user name"):
        by_password("SCRAM-SHA-256", username="bell\x07")


# The exchanges


async def test_plain() -> None:
    # RFC 4616 §4
    mechanism = by_password("PLAIN", username="tim", password="tanstaaftanstaaf")
    assert await mechanism.start() == b"\0tim\0tanstaaftanstaaf"
    mechanism.finish()
    assert await by_password("PLAIN", username="ä", password="ö").start() == "\0ä\0ö".encode()
    with pytest.raises(RemoteProtocolError, match="a challenge that PLAIN does not have"):
        await mechanism.respond(b"")


async def test_login() -> None:
    mechanism = by_password("LOGIN")
    assert await mechanism.start() is None
    assert await mechanism.respond(b"User Name\0") == b"alice"
    with pytest.raises(RemoteProtocolError, match="before it was over"):
        mechanism.finish()
    assert await mechanism.respond(b"whatever") == SECRET.encode()
    mechanism.finish()
    with pytest.raises(RemoteProtocolError, match="a challenge that LOGIN"):
        await mechanism.respond(b"Password:")


async def test_cram_md5() -> None:
    # RFC 2195 §2
    mechanism = by_password("CRAM-MD5", username="tim", password="tanstaaftanstaaf")
    assert await mechanism.start() is None
    with pytest.raises(RemoteProtocolError, match="before"):
        mechanism.finish()
    response = await mechanism.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert response == b"tim b913a602c7eda7a495b4e6e7334d3890"
    mechanism.finish()
    with pytest.raises(RemoteProtocolError, match="a challenge that CRAM-MD5"):
        await mechanism.respond(b"<another>")
    with pytest.raises(RemoteProtocolError, match="empty"):
        await by_password("CRAM-MD5").respond(b"")


async def test_xoauth2() -> None:
    mechanism = by_token("XOAUTH2", username="someuser@x.example", token="ya29.vF9dft4qmTc2Nvb3Rl")
    assert await mechanism.start() == (
        b"user=someuser@x.example\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3Rl\x01\x01"
    )
    mechanism.finish()


async def test_oauthbearer() -> None:
    # RFC 7628 §4.1, without host and port, which are optional
    mechanism = by_token("OAUTHBEARER", username="user@example.com", token="vF9dft4qmTc2Nvb3Rl==")
    assert await mechanism.start() == (
        b"n,a=user@example.com,\x01auth=Bearer vF9dft4qmTc2Nvb3Rl==\x01\x01"
    )
    mechanism.finish()
    assert (await by_token("OAUTHBEARER", username="a,b=c").start() or b"")[:13] == b"n,a=a=2Cb=3Dc"


@pytest.mark.parametrize(
    ("challenge", "rejection"),
    [
        (b'{"status":"invalid_token","scope":"mail"}', "invalid_token"),
        (b'{"scope":"mail"}', '{"scope":"mail"}'),
        (b'{"status":401}', "401"),
        (b"no\r\njson \xff", r"no\r\njson \\xff"),
        (b"[" * 100_000, "[" * 200),
        (b"[]", "[]"),
        (b"9" * 10_000, "9" * 200),
        (b"", ""),
    ],
)
@pytest.mark.parametrize(("name", "answer"), [("XOAUTH2", b""), ("OAUTHBEARER", b"\x01")])
async def test_a_rejected_token(name: str, answer: bytes, challenge: bytes, rejection: str) -> None:
    mechanism = by_token(name)
    await mechanism.start()
    assert mechanism.rejection is None
    assert await mechanism.respond(challenge) == answer
    assert mechanism.rejection == rejection
    with pytest.raises(RemoteProtocolError, match="rejected the token and then"):
        mechanism.finish()
    with pytest.raises(RemoteProtocolError, match="a second challenge"):
        await mechanism.respond(challenge)


@pytest.mark.parametrize("awaitable", [False, True])
async def test_a_token_is_asked_for_when_it_is_needed(awaitable: bool) -> None:
    asked = 0

    async def later() -> str:
        return "abc"

    def token() -> str | Awaitable[str]:
        nonlocal asked
        asked += 1
        return later() if awaitable else "abc"

    mechanism = by_token("XOAUTH2", token=token)
    assert asked == 0
    assert await mechanism.start() == b"user=alice\x01auth=Bearer abc\x01\x01"
    assert asked == 1


@pytest.mark.parametrize("token", ["", "a b", "a\x01b", "a\r\nb", "ä", None, b"abc"])
async def test_what_is_no_token(token: Any) -> None:
    mechanism = by_token("XOAUTH2", token=lambda: token)
    with pytest.raises(SMTPArgumentError, match="no bearer token"):
        await mechanism.start()


@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("plus", ["", "-PLUS"])
async def test_scram(name: str, plus: str) -> None:
    server_side = scramp.ScramMechanism(name + plus)
    secret = server_side.make_auth_info(SECRET)
    bound = ("tls-server-end-point", HASH) if plus else None

    def look_up(_user: str) -> object:
        return secret

    server = server_side.make_server(look_up, channel_binding=bound)
    mechanism = by_password(name + plus, binding=HASH if plus else None)
    start = await mechanism.start()
    assert start is not None
    server.set_client_first(start.decode())
    with pytest.raises(RemoteProtocolError, match="without proving"):
        mechanism.finish()
    server.set_client_final((await mechanism.respond(server.get_server_first().encode())).decode())
    with pytest.raises(RemoteProtocolError, match="without proving"):
        mechanism.finish()
    assert await mechanism.respond(server.get_server_final().encode()) == b""
    mechanism.finish()


@pytest.mark.parametrize(
    ("offered", "mechanisms", "binding", "flag"),
    [
        ({"SCRAM-SHA-256"}, None, None, b"n,,"),
        ({"SCRAM-SHA-256"}, None, HASH, b"y,,"),
        ({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, None, HASH, b"p=tls-server-end-point,,"),
        # We will not bind, although the server can: not a case for y.
        ({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, {"SCRAM-SHA-256"}, HASH, b"n,,"),
        ({"SCRAM-SHA-256"}, {"SCRAM-SHA-256"}, HASH, b"n,,"),
        ({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, None, None, b"n,,"),
    ],
)
async def test_channel_binding_flag(
    offered: set[str], mechanisms: set[str] | None, binding: bytes | None, flag: bytes
) -> None:
    limited = None if mechanisms is None else frozenset(mechanisms)
    start = await by_password(*offered, binding=binding, mechanisms=limited).start()
    assert start is not None
    assert start.startswith(flag)


async def scram_nonce(mechanism: Mechanism) -> str:
    start = await mechanism.start()
    assert start is not None
    return start.decode().partition(",r=")[2]


@pytest.mark.parametrize(
    "form",
    [
        "r=other,s={salt},i=4096",
        "r={nonce},s={salt},i=4096",
        "r={nonce}x,s={salt},i=1",
        "r={nonce}x,s={salt},i=4095",
        "r={nonce}x,s={salt},i=999999999999",
        "r={nonce}x,s=%%,i=4096",
        "",
    ],
)
async def test_a_scram_server_that_lies(form: str) -> None:
    mechanism = by_password("SCRAM-SHA-256")
    nonce = await scram_nonce(mechanism)
    challenge = form.format(nonce=nonce, salt=SALT)
    with pytest.raises(RemoteProtocolError):
        await mechanism.respond(challenge.encode())
    with pytest.raises(RemoteProtocolError):
        mechanism.finish()


@pytest.mark.parametrize("after", ["start", "first"])
async def test_a_scram_server_that_refuses(after: str) -> None:
    mechanism = by_password("SCRAM-SHA-256")
    nonce = await scram_nonce(mechanism)
    if after == "first":
        salt = SALT
        await mechanism.respond(f"r={nonce}x,s={salt},i=4096".encode())
    assert await mechanism.respond(b"e=invalid-proof") == b""
    assert mechanism.rejection == "invalid-proof"
    with pytest.raises(RemoteProtocolError, match="without proving"):
        mechanism.finish()
    with pytest.raises(RemoteProtocolError, match="after it had failed"):
        await mechanism.respond(b"e=invalid-proof")


async def test_a_scram_server_that_does_not_know_the_password() -> None:
    mechanism = by_password("SCRAM-SHA-256")
    nonce = await scram_nonce(mechanism)
    salt = SALT
    await mechanism.respond(f"r={nonce}x,s={salt},i=4096".encode())
    with pytest.raises(RemoteProtocolError, match="signature"):
        await mechanism.respond(f"v={base64.b64encode(bytes(32)).decode()}".encode())
    with pytest.raises(RemoteProtocolError, match="without proving"):
        mechanism.finish()


@given(
    st.sampled_from(MECHANISMS),
    st.lists(st.binary() | st.sampled_from([b"e=x", b"v=AAAA", b"{}", b"<a@b>"]), max_size=4),
)
def test_only_a_protocol_error_by_any_challenge(name: str, challenges: list[bytes]) -> None:
    async def go() -> None:
        credentials = Credentials(username="alice", password=SECRET, token="abc")
        mechanism = choose(frozenset({name}), credentials, channel_binding=HASH)
        shown = [repr(mechanism), repr(credentials)]
        await mechanism.start()
        try:
            for challenge in challenges:
                await mechanism.respond(challenge)
            mechanism.finish()
        except RemoteProtocolError as error:
            shown.append(str(error))
        assert SECRET not in "".join(shown)

    asyncio.run(go())


# Real servers


def log_in(
    server: MailServer,
    authority: CertificateAuthority,
    credentials: Callable[[], Credentials],
    name: str,
) -> int:
    """Log in behind TLS by one mechanism, and return the code of the last reply."""
    assert server.tls_port is not None
    context = authority.client_context()
    with smtplib.SMTP_SSL("localhost", server.tls_port, context=context, timeout=10) as client:
        client.ehlo()
        offered = frozenset(client.esmtp_features["auth"].split())
        assert name in offered
        assert isinstance(client.sock, ssl.SSLSocket)
        binding = hashlib.sha256(client.sock.getpeercert(binary_form=True) or b"").digest()
        mechanism = choose(offered, credentials(), channel_binding=binding)
        assert mechanism.name == name

        async def exchange() -> int:
            response = await mechanism.start()
            words = [name] if response is None else [name, base64.b64encode(response).decode()]
            code, text = client.docmd("AUTH", " ".join(words))
            while code == 334:
                answer = await mechanism.respond(base64.b64decode(text))
                code, text = client.docmd(base64.b64encode(answer).decode())
            if code == 235:
                mechanism.finish()
            return code

        return asyncio.run(exchange())


@pytest.mark.parametrize(
    "name", [name for name in MECHANISMS if name not in ("XOAUTH2", "OAUTHBEARER")]
)
def test_real_servers_let_in_by_password(
    mail_server: MailServer, certificate_authority: CertificateAuthority, name: str
) -> None:
    offered_by_all = ("PLAIN", "LOGIN", "CRAM-MD5")
    if name not in offered_by_all and mail_server.name == "exim":
        return
    if name.endswith("-PLUS") and mail_server.name != "aiosmtpd":
        return

    def credentials(password: str) -> Credentials:
        return Credentials(username="alice", password=password, mechanisms=frozenset({name}))

    for password, code in ((mail_server.users["alice"], 235), ("wrong", 535)):
        found = log_in(mail_server, certificate_authority, lambda: credentials(password), name)  # noqa: B023
        assert found == code


@pytest.mark.parametrize("name", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("server_name", ["postfix", "aiosmtpd"])
def test_real_servers_let_in_by_token(
    request: pytest.FixtureRequest,
    certificate_authority: CertificateAuthority,
    server_name: str,
    name: str,
) -> None:
    server: MailServer = request.getfixturevalue(server_name)

    def credentials(token: str) -> Credentials:
        return Credentials(username="alice", token=token, mechanisms=frozenset({name}))

    for token, code in ((server.tokens["alice"], 235), (server.tokens["alice"][:-4], 535)):
        found = log_in(server, certificate_authority, lambda: credentials(token), name)  # noqa: B023
        assert found == code
