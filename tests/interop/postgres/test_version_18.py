"""What came with PostgreSQL 17 and 18, at a real 18: direct TLS, and logging in by OAuth."""

from __future__ import annotations

import os

import pytest

import wirekit
from tests.adapters.postgres._login import client, login
from tests.servers import OAUTH_TOKEN, CertificateAuthority, RunningServer
from wirekit.adapters.postgres import (
    ClientConfigurationError,
    InvalidAuthorizationSpecificationError,
    InvalidPasswordError,
    OAuthRequest,
    OAuthTokenRejected,
    Postgres,
    connect,
)
from wirekit.adapters.postgres._authentication import AuthenticationRefused

IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

both_ways = pytest.mark.parametrize("direct", [False, True], ids=["asked for", "direct"])


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's PGPASSWORD has a say."""
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)


# TLS -----------------------------------------------------------------------------------------


@both_ways
async def test_tls(postgres18_tls: RunningServer, direct: bool) -> None:
    async with client(postgres18_tls, ssl="require", direct_tls=direct) as db:
        assert db.get_server_version().major == 18
        assert await db.fetchval(IS_ENCRYPTED) is True


async def test_direct_tls_by_the_dsn(postgres18_tls: RunningServer) -> None:
    server = postgres18_tls
    assert server.certificates is not None
    settings = "sslmode=verify-full&sslnegotiation=direct"
    address = f"postgresql://trust_user@{server.host}:{server.port}/wirekit?{settings}"
    db: Postgres = await connect(f"{address}&sslrootcert={server.certificates.authority}")
    assert await db.fetchval(IS_ENCRYPTED) is True
    await db.close()


async def test_direct_tls_with_a_context(
    postgres18_tls: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    context = certificate_authority.client_context()
    with pytest.raises(wirekit.TLSError, match="ALPN"):
        await connect(**login(postgres18_tls, ssl=context, direct_tls=True))
    context.set_alpn_protocols(["postgresql"])
    async with client(postgres18_tls, ssl=context, direct_tls=True) as db:
        assert await db.fetchval(IS_ENCRYPTED) is True


@both_ways
async def test_channel_binding(postgres18_tls: RunningServer, direct: bool) -> None:
    options = login(postgres18_tls, user="scram_user", ssl="require", direct_tls=direct)
    options["channel_binding"] = "require"
    db: Postgres = await connect(**options, password="scram secret")
    assert await db.fetchval("SELECT current_user::text") == "scram_user"
    await db.close()
    with pytest.raises(InvalidPasswordError):
        await connect(**options, password="wrong")


@both_ways
async def test_cancelling(postgres18_tls: RunningServer, direct: bool) -> None:
    """The CancelRequest goes the same way as the connection."""
    async with client(postgres18_tls, ssl="require", direct_tls=direct) as db:
        with pytest.raises(TimeoutError):
            await db.fetchval("SELECT pg_sleep(60)", timeout=0.1)
        assert await db.fetchval("SELECT 1", timeout=10) == 1


# OAuth ---------------------------------------------------------------------------------------


@both_ways
async def test_oauth(postgres18_tls: RunningServer, direct: bool) -> None:
    asked: list[OAuthRequest] = []

    async def token(request: OAuthRequest) -> str:
        asked.append(request)
        return OAUTH_TOKEN

    async with client(
        postgres18_tls,
        user="oauth_user",
        ssl="require",
        direct_tls=direct,
        oauth_token=token,
        require_auth="oauth",
    ) as db:
        assert await db.fetchval("SELECT system_user") == "oauth:oauth_user"
    address = f"{postgres18_tls.host}:{postgres18_tls.port}"
    assert asked == [OAuthRequest("oauth_user", address)]


async def test_oauth_token_is_rejected(postgres18_tls: RunningServer) -> None:
    options = login(postgres18_tls, user="oauth_user", ssl="require")
    with pytest.raises(InvalidAuthorizationSpecificationError) as caught:
        await connect(**options, oauth_token=lambda _request: "not.that.one")
    rejection = caught.value.__cause__
    assert isinstance(rejection, OAuthTokenRejected)
    assert (rejection.status, rejection.scope) == ("invalid_token", "wirekit")
    configuration = "https://issuer.example/.well-known/openid-configuration"
    assert rejection.openid_configuration == configuration
    assert "not.that.one" not in f"{caught.value!r} {rejection!r}"


async def test_oauth_is_wanted_and_there_is_no_token(postgres18_tls: RunningServer) -> None:
    options = login(postgres18_tls, user="oauth_user", password="secret", ssl="require")
    with pytest.raises(ClientConfigurationError, match="asks for an OAuth token"):
        await connect(**options)
    with pytest.raises(AuthenticationRefused, match="require_auth"):
        await connect(
            **options, require_auth="scram-sha-256", oauth_token=lambda _request: OAUTH_TOKEN
        )
