from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Collection
from typing import Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wirekit
from wirekit.adapters.postgres._authentication import (
    METHODS,
    Authentication,
    AuthenticationRefused,
    ChannelBinding,
    PasswordSource,
)
from wirekit.adapters.postgres._oauth import OAuthRequest
from wirekit.adapters.postgres.exceptions import (
    ClientConfigurationError,
    InterfaceError,
    UnsupportedClientFeatureError,
)
from wirekit.protocols.postgres import (
    Authentication as Request,
)
from wirekit.protocols.postgres import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSSPI,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)

ScramMechanism = cast("Any", importlib.import_module("scramp")).ScramMechanism

PLAIN, PLUS, BEARER = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"
SALT = b"0123456789abcdef"
HASH = hashlib.sha256(b"certificate").digest()
SECRET = "graphite-7Q"


class Server:
    """scramp's side of a SCRAM login, which knows a password, and may be behind TLS."""

    def __init__(
        self, password: str = SECRET, *, tls: bool = False, iterations: int = 4096
    ) -> None:
        mechanism = ScramMechanism(PLAIN)
        self.secret = mechanism.make_auth_info(password, iterations, SALT)
        self.tls = tls
        self.mechanisms = (PLUS, PLAIN) if tls else (PLAIN,)
        self.exchange: Any = None

    def look_up(self, _username: str) -> Any:
        return self.secret

    def first(self, message: object) -> AuthenticationSASLContinue:
        assert isinstance(message, SASLInitialResponse)
        assert message.data is not None
        binding = ("tls-server-end-point", HASH) if self.tls else None
        self.exchange = ScramMechanism(message.mechanism).make_server(
            self.look_up, channel_binding=binding
        )
        self.exchange.set_client_first(message.data.decode())
        return AuthenticationSASLContinue(self.exchange.get_server_first().encode())

    def final(self, message: object) -> AuthenticationSASLFinal:
        assert isinstance(message, SASLResponse)
        self.exchange.set_client_final(message.data.decode())
        return AuthenticationSASLFinal(self.exchange.get_server_final().encode())


async def log_in(authentication: Authentication, server: Server) -> SASLInitialResponse:
    initial = await authentication.receive(AuthenticationSASL(server.mechanisms))
    response = await authentication.receive(server.first(initial))
    assert await authentication.receive(server.final(response)) is None
    assert not authentication.complete
    assert await authentication.receive(AuthenticationOk()) is None
    assert authentication.complete
    assert isinstance(initial, SASLInitialResponse)
    return initial


def bound(
    channel_binding: ChannelBinding = "prefer", require_auth: Collection[str] | None = None
) -> Authentication:
    return Authentication(
        "app",
        SECRET,
        channel_binding=channel_binding,
        require_auth=require_auth,
        tls=True,
        channel_binding_data=HASH,
    )


# What works


async def test_trust() -> None:
    authentication = Authentication("app")
    assert authentication.method is None
    assert await authentication.receive(AuthenticationOk()) is None
    assert authentication.complete
    assert authentication.method == "none"


@pytest.mark.parametrize("tls", [False, True])
async def test_cleartext(tls: bool) -> None:
    authentication = Authentication("app", "pässwort", tls=tls)
    answer = await authentication.receive(AuthenticationCleartextPassword())
    assert answer == PasswordMessage("pässwort".encode())
    assert await authentication.receive(AuthenticationOk()) is None
    assert authentication.complete


async def test_md5() -> None:
    authentication = Authentication("app", SECRET)
    answer = await authentication.receive(AuthenticationMD5Password(b"\x01\x02\x03\x04"))
    inner = hashlib.md5(SECRET.encode() + b"app").hexdigest().encode()
    expected = b"md5" + hashlib.md5(inner + b"\x01\x02\x03\x04").hexdigest().encode()
    assert answer == PasswordMessage(expected)
    assert await authentication.receive(AuthenticationOk()) is None
    assert authentication.complete


@pytest.mark.parametrize(
    ("tls", "data", "channel_binding", "offers_plus", "mechanism", "flag"),
    [
        (False, None, "prefer", False, PLAIN, b"n,,"),
        (False, None, "disable", False, PLAIN, b"n,,"),
        (True, HASH, "prefer", True, PLUS, b"p=tls-server-end-point,,"),
        (True, HASH, "require", True, PLUS, b"p=tls-server-end-point,,"),
        # RFC 5802 §6: we could, and the server does not say that it can
        (True, HASH, "prefer", False, PLAIN, b"y,,"),
        (True, HASH, "disable", True, PLAIN, b"n,,"),
        # a certificate with no hash of its own, as Ed25519
        (True, None, "prefer", True, PLAIN, b"n,,"),
        # TLS ends before the server's own begins, in a proxy
        (False, None, "prefer", True, PLAIN, b"n,,"),
        (False, HASH, "prefer", True, PLAIN, b"n,,"),
    ],
)
async def test_scram(
    tls: bool,
    data: bytes | None,
    channel_binding: ChannelBinding,
    offers_plus: bool,
    mechanism: str,
    flag: bytes,
) -> None:
    authentication = Authentication(
        "app", SECRET, channel_binding=channel_binding, tls=tls, channel_binding_data=data
    )
    initial = await log_in(authentication, Server(tls=offers_plus))
    assert initial.mechanism == authentication.method == mechanism
    assert initial.data is not None
    assert initial.data.startswith(flag + b"n=*,r=")


async def test_the_server_notices_that_its_offer_was_tampered_with() -> None:
    server = Server(tls=True)
    server.mechanisms = (PLAIN,)
    initial = await bound().receive(AuthenticationSASL((PLAIN,)))
    with pytest.raises(Exception, match="server-does-support-channel-binding"):
        server.first(initial)


async def test_the_server_notices_another_certificate() -> None:
    server = Server(tls=True)
    authentication = Authentication("app", SECRET, tls=True, channel_binding_data=b"other")
    initial = await authentication.receive(AuthenticationSASL(server.mechanisms))
    response = await authentication.receive(server.first(initial))
    with pytest.raises(Exception, match="channel-bindings-dont-match"):
        server.final(response)


async def test_a_password_that_saslprep_changes() -> None:
    await log_in(Authentication("app", "\u2168\u00a0pencil"), Server("IX pencil"))


async def test_iterations_in_a_thread() -> None:
    await log_in(Authentication("app", SECRET), Server(iterations=20_000))


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("request_", [AuthenticationCleartextPassword(), None])
async def test_the_password_is_asked_for_once(
    asynchronous: bool, request_: AuthenticationCleartextPassword | None
) -> None:
    asked = 0

    def give() -> str:
        nonlocal asked
        asked += 1
        return SECRET

    async def give_later() -> str:
        await asyncio.sleep(0)
        return give()

    authentication = Authentication("app", give_later if asynchronous else give)
    if request_ is None:
        await log_in(authentication, Server())
    else:
        assert await authentication.receive(request_) == PasswordMessage(SECRET.encode())
    assert asked == 1


async def test_the_password_is_not_asked_for_in_vain() -> None:
    def give() -> str:
        raise AssertionError("nobody wants it")

    assert await Authentication("app", give).receive(AuthenticationOk()) is None
    authentication = Authentication("app", give, require_auth={"scram-sha-256"})
    with pytest.raises(AuthenticationRefused):
        await authentication.receive(AuthenticationCleartextPassword())


@pytest.mark.parametrize("password", [None, "", lambda: None])
async def test_no_password_is_an_empty_one(password: PasswordSource) -> None:
    authentication = Authentication("app", password)
    assert await authentication.receive(AuthenticationCleartextPassword()) == PasswordMessage(b"")


async def test_bytes_of_the_environment_that_are_not_utf_8() -> None:
    password = b"\xff\xfe".decode("utf-8", "surrogateescape")
    answer = await Authentication("app", password).receive(AuthenticationCleartextPassword())
    assert answer == PasswordMessage(b"\xff\xfe")


# OAUTHBEARER


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_oauth(asynchronous: bool) -> None:
    requests: list[OAuthRequest] = []

    def give(request: OAuthRequest) -> str:
        requests.append(request)
        return "token-1.x~/+="

    async def give_later(request: OAuthRequest) -> str:
        await asyncio.sleep(0)
        return give(request)

    authentication = Authentication(
        "app", oauth_token=give_later if asynchronous else give, remote_address="db:5432"
    )
    answer = await authentication.receive(AuthenticationSASL((BEARER,)))
    assert answer == SASLInitialResponse(BEARER, b"n,,\x01auth=Bearer token-1.x~/+=\x01\x01")
    assert await authentication.receive(AuthenticationOk()) is None
    assert authentication.complete
    assert authentication.method == BEARER
    assert authentication.oauth_rejection is None
    assert requests == [OAuthRequest("app", "db:5432")]


async def rejected() -> Authentication:
    authentication = Authentication("app", oauth_token=lambda _request: SECRET)
    await authentication.receive(AuthenticationSASL((BEARER,)))
    error = b'{"status": "invalid_token", "scope": "openid"}'
    answer = await authentication.receive(AuthenticationSASLContinue(error))
    assert answer == SASLResponse(b"\x01")
    return authentication


async def test_oauth_token_rejected() -> None:
    authentication = await rejected()
    rejection = authentication.oauth_rejection
    assert rejection is not None
    assert "'invalid_token'" in str(rejection)
    assert rejection.scope == "openid"
    assert SECRET not in repr(rejection) + repr(authentication)


@pytest.mark.parametrize(
    "event",
    [
        AuthenticationOk(),
        AuthenticationSASLContinue(b'{"status": "invalid_token"}'),
        AuthenticationSASLFinal(b""),
        AuthenticationSASL((BEARER,)),
    ],
)
async def test_a_server_that_goes_on_after_rejecting(event: Request) -> None:
    authentication = await rejected()
    with pytest.raises(wirekit.RemoteProtocolError):
        await authentication.receive(event)
    assert not authentication.complete


@pytest.mark.parametrize("token", ["", "a b", "a\x01auth=Bearer b", "tökén", "=", "a=b", 5])
async def test_a_token_that_is_none(token: Any) -> None:
    authentication = Authentication("app", oauth_token=lambda _request: token)
    with pytest.raises(ClientConfigurationError) as caught:
        await authentication.receive(AuthenticationSASL((BEARER,)))
    assert str(caught.value) == "oauth_token gave no bearer token (RFC 6750 §2.1)"


async def test_no_token() -> None:
    authentication = Authentication("app", SECRET)
    with pytest.raises(ClientConfigurationError, match="there is no oauth_token"):
        await authentication.receive(AuthenticationSASL((BEARER,)))


@pytest.mark.parametrize(
    ("password", "require_auth", "mechanism"),
    [
        (SECRET, None, PLAIN),
        (None, None, BEARER),
        (SECRET, {"oauth"}, BEARER),
        (None, {"scram-sha-256"}, PLAIN),
    ],
)
async def test_scram_and_oauth_offered(
    password: str | None, require_auth: set[str] | None, mechanism: str
) -> None:
    authentication = Authentication(
        "app", password, require_auth=require_auth, oauth_token=lambda _request: "token"
    )
    await authentication.receive(AuthenticationSASL((BEARER, PLAIN)))
    assert authentication.method == mechanism


# What is refused

OFFERS: list[tuple[str, Request]] = [
    ("none", AuthenticationOk()),
    ("password", AuthenticationCleartextPassword()),
    ("md5", AuthenticationMD5Password(b"salt")),
    ("scram-sha-256", AuthenticationSASL((PLAIN,))),
    ("scram-sha-256", AuthenticationSASL((PLUS, PLAIN))),
    ("oauth", AuthenticationSASL((BEARER,))),
]


@pytest.mark.parametrize("allowed", sorted(METHODS))
@pytest.mark.parametrize(("method", "event"), OFFERS)
async def test_require_auth(method: str, event: Request, allowed: str) -> None:
    authentication = Authentication(
        "app",
        SECRET,
        require_auth=[allowed],
        oauth_token=lambda _request: "token",
        remote_address="db:5432",
    )
    if method == allowed:
        await authentication.receive(event)
        return
    with pytest.raises(AuthenticationRefused, match=f"^db:5432 .*require_auth allows {allowed}$"):
        await authentication.receive(event)
    assert not authentication.complete


async def test_require_auth_that_allows_nothing() -> None:
    authentication = Authentication("app", SECRET, require_auth=set[str]())
    with pytest.raises(AuthenticationRefused, match="allows nothing"):
        await authentication.receive(AuthenticationOk())


async def test_a_refusal_is_no_failure_to_connect() -> None:
    assert issubclass(AuthenticationRefused, InterfaceError)
    assert not issubclass(AuthenticationRefused, OSError)


@pytest.mark.parametrize(("method", "event"), OFFERS)
async def test_channel_binding_required(method: str, event: Request) -> None:
    authentication = bound("require")
    if isinstance(event, AuthenticationSASL) and PLUS in event.mechanisms:
        await authentication.receive(event)
        assert authentication.method == PLUS
        return
    with pytest.raises(AuthenticationRefused, match="channel_binding=require"):
        await authentication.receive(event)


@pytest.mark.parametrize(("tls", "data"), [(False, None), (False, HASH), (True, None)])
async def test_channel_binding_required_and_impossible(tls: bool, data: bytes | None) -> None:
    authentication = Authentication(
        "app", SECRET, channel_binding="require", tls=tls, channel_binding_data=data
    )
    with pytest.raises(AuthenticationRefused, match="needs TLS and a certificate"):
        await authentication.receive(AuthenticationSASL((PLUS, PLAIN)))


@pytest.mark.parametrize("channel_binding", ["prefer", "disable"])
async def test_only_plus_offered_without_binding(
    channel_binding: Literal["prefer", "disable"],
) -> None:
    authentication = Authentication("app", SECRET, channel_binding=channel_binding)
    with pytest.raises(AuthenticationRefused, match="offers only SCRAM-SHA-256-PLUS"):
        await authentication.receive(AuthenticationSASL((PLUS,)))


@pytest.mark.parametrize("mechanisms", [(), ("SCRAM-SHA-1", "\x1b[2J"), ("x" * 100_000,)])
async def test_unknown_mechanisms(mechanisms: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedClientFeatureError, match="unknown SASL mechanisms") as caught:
        await Authentication("app", SECRET).receive(AuthenticationSASL(mechanisms))
    assert len(str(caught.value)) < 300
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (AuthenticationGSS(), "GSSAPI"),
        (AuthenticationSSPI(), "SSPI"),
        (AuthenticationKerberosV5(), "Kerberos V5"),
    ],
)
async def test_unsupported(event: Request, name: str) -> None:
    with pytest.raises(UnsupportedClientFeatureError, match=f"asks for {name}, which is not supp"):
        await Authentication("app", SECRET).receive(event)
    with pytest.raises(AuthenticationRefused, match="require_auth allows md5"):
        await Authentication("app", SECRET, require_auth={"md5"}).receive(event)


# The server breaks the rules


async def test_no_proof_of_the_server() -> None:
    server = Server()
    for due in range(2):
        authentication = Authentication("app", SECRET, require_auth={"scram-sha-256", "none"})
        initial = await authentication.receive(AuthenticationSASL(server.mechanisms))
        if due:
            await authentication.receive(server.first(initial))
        with pytest.raises(wirekit.RemoteProtocolError, match="before SCRAM-SHA-256 was complete"):
            await authentication.receive(AuthenticationOk())
        assert not authentication.complete


async def test_a_wrong_proof_of_the_server() -> None:
    server = Server()
    authentication = Authentication("app", SECRET)
    initial = await authentication.receive(AuthenticationSASL(server.mechanisms))
    await authentication.receive(server.first(initial))
    with pytest.raises(wirekit.RemoteProtocolError, match="signature"):
        await authentication.receive(AuthenticationSASLFinal(b"v=" + b"A" * 43 + b"="))
    assert not authentication.complete


EVENTS: list[Request] = [
    AuthenticationOk(),
    AuthenticationCleartextPassword(),
    AuthenticationMD5Password(b"salt"),
    AuthenticationSASL((PLUS, PLAIN)),
    AuthenticationSASL((BEARER,)),
    AuthenticationSASL(()),
    AuthenticationSASLContinue(b"x"),
    AuthenticationSASLFinal(b"v=x"),
    AuthenticationGSS(),
    AuthenticationGSSContinue(b"x"),
    AuthenticationSSPI(),
    AuthenticationKerberosV5(),
]


@pytest.mark.parametrize(
    "event", [AuthenticationSASLContinue(b"x"), AuthenticationSASLFinal(b"x"), EVENTS[9]]
)
async def test_begins_in_the_middle(event: Request) -> None:
    with pytest.raises(wirekit.RemoteProtocolError, match="out of order"):
        await Authentication("app", SECRET).receive(event)


@pytest.mark.parametrize("event", EVENTS[1:])
@pytest.mark.parametrize("first", EVENTS[1:5])
async def test_a_second_request(first: Request, event: Request) -> None:
    authentication = Authentication("app", SECRET, oauth_token=lambda _request: "token")
    await authentication.receive(first)
    with pytest.raises(wirekit.RemoteProtocolError):
        await authentication.receive(event)
    assert not authentication.complete


@pytest.mark.parametrize("event", EVENTS)
async def test_anything_after_ok(event: Request) -> None:
    authentication = Authentication("app", SECRET)
    await authentication.receive(AuthenticationOk())
    with pytest.raises(wirekit.RemoteProtocolError, match="after AuthenticationOk"):
        await authentication.receive(event)


@pytest.mark.parametrize("salt", [b"", b"abc", b"abcde"])
async def test_md5_salt(salt: bytes) -> None:
    with pytest.raises(wirekit.RemoteProtocolError, match="salt"):
        await Authentication("app", SECRET).receive(AuthenticationMD5Password(salt))


async def test_too_much_data() -> None:
    authentication = Authentication("app", SECRET)
    await authentication.receive(AuthenticationSASL((PLAIN,)))
    with pytest.raises(wirekit.MessageTooLarge):
        await authentication.receive(AuthenticationSASLContinue(b"r=" + b"x" * 20_000))


@pytest.mark.parametrize(
    ("bounds", "iterations", "name"),
    [
        ({}, 1_000_001, "max_iterations"),
        ({"max_iterations": 5000}, 5001, "max_iterations"),
        ({"min_iterations": 10_000}, 9999, "min_iterations"),
    ],
)
async def test_iterations_are_bounded(bounds: Any, iterations: int, name: str) -> None:
    authentication = Authentication("app", SECRET, **bounds)
    initial = await authentication.receive(AuthenticationSASL((PLAIN,)))
    text = Server().first(initial).data.decode().replace("i=4096", f"i={iterations}")
    with pytest.raises(wirekit.RemoteProtocolError, match=name):
        await authentication.receive(AuthenticationSASLContinue(text.encode()))


BLOBS = st.binary(max_size=64)
HOSTILE: st.SearchStrategy[Request] = st.one_of(
    st.sampled_from(EVENTS),
    st.builds(AuthenticationMD5Password, BLOBS),
    st.builds(AuthenticationSASLContinue, BLOBS),
    st.builds(AuthenticationSASLFinal, BLOBS),
)


@given(st.lists(HOSTILE))
def test_any_sequence_of_messages(events: list[Request]) -> None:
    async def go() -> None:
        authentication = Authentication("app", SECRET, require_auth=METHODS - {"none"})
        errors: list[wirekit.Error] = []
        for event in events:
            try:
                await authentication.receive(event)
            except (wirekit.RemoteProtocolError, wirekit.LocalProtocolError) as error:
                errors.append(error)
            except InterfaceError as error:
                assert not errors
                errors.append(error)
        assert SECRET not in repr(errors)
        # After the first error there is nothing but errors, and no success.
        assert not errors or authentication.complete or "failed" in repr(authentication)
        # Nothing that a server can make up proves that it knows the password.
        assert not (authentication.complete and authentication.method == PLAIN)
        assert authentication.method != "none"

    asyncio.run(go())


# Settings and secrets


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"channel_binding": "always"}, "unknown channel_binding 'always'"),
        ({"require_auth": {"scram", "md5"}}, r"unknown methods in require_auth: \['scram'\]"),
        ({"min_iterations": 0}, "min_iterations"),
        ({"min_iterations": 5000, "max_iterations": 4999}, "min_iterations"),
        ({"max_iterations": 10_000_001}, "max_iterations"),
    ],
)
def test_settings_that_are_wrong(settings: Any, text: str) -> None:
    with pytest.raises(ClientConfigurationError, match=text):
        Authentication("app", SECRET, **settings)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (f"{SECRET}\0", "null character"),
        (f"{SECRET}\ud800", "lone surrogate"),
        (SECRET.encode(), "of type bytes"),
        (lambda: 5, "of type int"),
    ],
)
@pytest.mark.parametrize("event", [AuthenticationCleartextPassword(), OFFERS[2][1]])
async def test_passwords_that_cannot_be_sent(password: Any, text: str, event: Request) -> None:
    with pytest.raises(ClientConfigurationError, match=text) as caught:
        await Authentication("app", password).receive(event)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def held(authentication: Authentication) -> str:
    return repr(vars(authentication))


async def test_secrets_do_not_show_and_are_dropped() -> None:
    authentication = Authentication("app", SECRET, oauth_token=lambda _request: SECRET)
    assert repr(authentication) == "<Authentication user='app' method=None open>"
    answer = await authentication.receive(AuthenticationCleartextPassword())
    assert SECRET not in repr(answer)
    await authentication.receive(AuthenticationOk())
    assert SECRET not in held(authentication)
    assert "lambda" not in held(authentication)
    assert repr(authentication) == "<Authentication user='app' method='password' complete>"


async def test_secrets_are_dropped_after_a_failure() -> None:
    authentication = Authentication("app", SECRET)
    with pytest.raises(wirekit.RemoteProtocolError):
        await authentication.receive(AuthenticationSASLFinal(b""))
    assert SECRET not in held(authentication)
    assert repr(authentication) == "<Authentication user='app' method=None failed>"
    with pytest.raises(wirekit.LocalProtocolError, match="failed before"):
        await authentication.receive(AuthenticationCleartextPassword())


async def test_the_callers_own_error_passes() -> None:
    async def give() -> str:
        raise KeyError("vault")

    authentication = Authentication("app", give)
    with pytest.raises(KeyError, match="vault"):
        await authentication.receive(AuthenticationCleartextPassword())
    assert "failed" in repr(authentication)


async def test_cancelled_while_asking() -> None:
    asked = asyncio.Event()

    async def give() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    authentication = Authentication("app", give)
    task = asyncio.create_task(authentication.receive(AuthenticationCleartextPassword()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(wirekit.LocalProtocolError):
        await authentication.receive(AuthenticationCleartextPassword())
