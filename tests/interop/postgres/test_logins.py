"""Every way to log in, with and without TLS, at real servers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import wirekit
from tests.adapters.postgres._login import client, login
from tests.servers import CertificateAuthority, RunningServer
from wirekit.adapters.postgres import (
    ClientConfigurationError,
    InvalidAuthorizationSpecificationError,
    InvalidCatalogNameError,
    InvalidPasswordError,
    Postgres,
    connect,
)
from wirekit.adapters.postgres._authentication import AuthenticationRefused
from wirekit.sockets import AddressLike, Connector, DirectConnector, Socket
from wirekit.sockets import connect as connect_socket

PASSWORDS = {
    "trust_user": None,
    "scram_user": "scram secret",
    "md5_user": "md5 secret",
    "password_user": "password secret",
}
METHODS = {
    "trust_user": "none",
    "scram_user": "scram-sha-256",
    "md5_user": "md5",
    "password_user": "password",
}
WITH_PASSWORD = ("scram_user", "md5_user", "password_user")
DEMANDING = ("require", "verify-ca", "verify-full")

HAS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nobody's PGPASSWORD and ~/.postgresql have a say."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    return tmp_path


class Counter:
    """A connector that keeps the sockets it made."""

    def __init__(self, connector: Connector | None = None) -> None:
        self.sockets: list[Socket] = []
        self._connector = connector or DirectConnector()

    async def __call__(self, address: AddressLike) -> Socket:
        socket = await self._connector(address)
        self.sockets.append(socket)
        return socket


def dsn(server: RunningServer, *settings: str, user: str = "trust_user", host: str = "") -> str:
    return f"postgresql://{user}@{host or server.host}:{server.port}/wirekit?{'&'.join(settings)}"


def authority_of(server: RunningServer) -> str:
    assert server.certificates is not None
    return f"sslrootcert={server.certificates.authority}"


def certificate_of(server: RunningServer, folder: Path) -> str:
    """Return what has the client show its certificate, the files being ours."""
    assert server.certificates is not None
    certificate, key = folder / "client.pem", folder / "client.key"
    certificate.write_bytes(server.certificates.client_certificate.read_bytes())
    key.write_bytes(server.certificates.client_key.read_bytes())
    return f"sslcert={certificate}&sslkey={key}"


async def check(server: RunningServer, user: str, **options: Any) -> None:
    async with client(server, user=user, **options) as db:
        assert await db.fetchval("SELECT current_user::text") == user


# Passwords -----------------------------------------------------------------------------------


@pytest.mark.parametrize("user", PASSWORDS)
async def test_every_login(postgres: RunningServer, user: str) -> None:
    await check(postgres, user, password=PASSWORDS[user])
    assert postgres.unix_path is not None
    await check(postgres, user, password=PASSWORDS[user], host=str(postgres.directory))
    await check(postgres, user, password=PASSWORDS[user], host=str(postgres.unix_path))


async def set_scram_iterations(server: RunningServer, iterations: int) -> None:
    """Hash the password of ``scram_user`` anew."""
    async with client(server, user="postgres") as db:
        await db.execute(
            f"SET scram_iterations = {iterations};"
            f"ALTER ROLE scram_user PASSWORD '{PASSWORDS['scram_user']}'"
        )


async def test_few_scram_iterations(postgres18: RunningServer) -> None:
    password = PASSWORDS["scram_user"]
    await set_scram_iterations(postgres18, 100)
    try:
        with pytest.raises(wirekit.RemoteProtocolError, match="100 SCRAM iterations"):
            await check(postgres18, "scram_user", password=password)
        await check(postgres18, "scram_user", password=password, min_scram_iterations=100)
    finally:
        await set_scram_iterations(postgres18, 4096)


@pytest.mark.parametrize("user", PASSWORDS)
async def test_every_login_over_tls(postgres15: RunningServer, user: str) -> None:
    await check(postgres15, user, password=PASSWORDS[user], ssl="require")


@pytest.mark.parametrize("user", WITH_PASSWORD)
@pytest.mark.parametrize("password", ["wrong", "", None])
@pytest.mark.parametrize("ssl", ["disable", "require"])
async def test_wrong_password(
    postgres15: RunningServer, user: str, password: str | None, ssl: str
) -> None:
    text = f"failed for user|{'empty password' if not password else user}"
    with pytest.raises(InvalidPasswordError, match=text) as caught:
        await connect(**login(postgres15, user=user, password=password, ssl=ssl))
    assert caught.value.sqlstate == "28P01"


@pytest.mark.parametrize(("ssl", "count"), [("prefer", 2), ("require", 1), ("disable", 1)])
async def test_prefer_tries_again_without_tls(
    postgres15: RunningServer, ssl: str, count: int
) -> None:
    counter = Counter()
    with pytest.raises(InvalidPasswordError):
        await connect(
            **login(postgres15, user="md5_user", password="wrong", ssl=ssl, connector=counter)
        )
    assert len(counter.sockets) == count
    await asyncio.gather(*(socket.closed for socket in counter.sockets))


async def test_password_from_a_function(postgres15: RunningServer) -> None:
    asked = 0

    def password() -> str:
        nonlocal asked
        asked += 1
        return PASSWORDS["scram_user"] or ""

    async def soon() -> str:
        return password()

    await check(postgres15, "scram_user", password=password)
    await check(postgres15, "scram_user", password=soon)
    await check(postgres15, "trust_user", password=password)
    assert asked == 2


async def test_unknown_user_and_database(postgres15: RunningServer) -> None:
    with pytest.raises(InvalidPasswordError):
        await connect(**login(postgres15, user="nobody", password="x"))
    with pytest.raises(InvalidCatalogNameError, match="nowhere"):
        await connect(**login(postgres15, database="nowhere"))


# SCRAM-SHA-256-PLUS and require_auth ---------------------------------------------------------


@pytest.mark.parametrize("binding", ["prefer", "require", "disable"])
async def test_channel_binding(postgres15: RunningServer, binding: str) -> None:
    await check(
        postgres15,
        "scram_user",
        password="scram secret",
        ssl="require",
        channel_binding=binding,
    )
    with pytest.raises(InvalidPasswordError):
        await check(
            postgres15, "scram_user", password="wrong", ssl="require", channel_binding=binding
        )


@pytest.mark.parametrize("user", ["trust_user", "md5_user", "password_user"])
async def test_channel_binding_is_required_and_there_is_none(
    postgres15: RunningServer, user: str
) -> None:
    with pytest.raises(AuthenticationRefused, match="channel_binding=require"):
        await connect(
            **login(
                postgres15,
                user=user,
                password=PASSWORDS[user],
                ssl="require",
                channel_binding="require",
            )
        )


async def test_channel_binding_needs_tls(postgres18: RunningServer) -> None:
    options = login(postgres18, user="scram_user", password="scram secret")
    with pytest.raises(ClientConfigurationError, match="needs TLS"):
        await connect(**options, channel_binding="require")
    options["ssl"] = "prefer"
    with pytest.raises(wirekit.TLSError):
        await connect(**options, channel_binding="require")
    async with Postgres(
        connect_socket((postgres18.host, postgres18.port)),
        user="trust_user",
        database="wirekit",
        channel_binding="disable",
    ) as db:
        assert await db.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("ssl", ["disable", "require"])
async def test_require_auth(postgres15: RunningServer, user: str, ssl: str) -> None:
    method = METHODS[user]
    others = ",".join(sorted(set(METHODS.values()) - {method}))
    for allowed in (method, f"{method},gss", "!gss", "!" + others.replace(",", ",!")):
        await check(postgres15, user, password=PASSWORDS[user], ssl=ssl, require_auth=allowed)
    for allowed in (others, f"!{method}"):
        with pytest.raises(AuthenticationRefused, match="require_auth"):
            await check(postgres15, user, password=PASSWORDS[user], ssl=ssl, require_auth=allowed)


# TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ssl", "encrypted"),
    [
        ("disable", False),
        (False, False),
        ("allow", False),
        ("prefer", True),
        (None, True),
        ("require", True),
    ],
)
async def test_sslmodes(postgres15: RunningServer, ssl: Any, encrypted: bool) -> None:
    async with client(postgres15, ssl=ssl) as db:
        assert await db.fetchval(HAS_TLS) is encrypted


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer", *DEMANDING])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_sslmodes_of_the_dsn(postgres15: RunningServer, sslmode: str, host: str) -> None:
    address = dsn(postgres15, f"sslmode={sslmode}", authority_of(postgres15), host=host)
    db = await connect(address)
    assert await db.fetchval(HAS_TLS) is (sslmode not in ("disable", "allow"))
    await db.close()


@pytest.mark.parametrize("ssl", ["disable", False, "allow", "prefer", None])
async def test_server_without_tls(postgres18: RunningServer, ssl: Any) -> None:
    async with client(postgres18, ssl=ssl) as db:
        assert await db.fetchval(HAS_TLS) is False


@pytest.mark.parametrize("ssl", [True, "require", "verify-ca", "verify-full", "context"])
async def test_tls_is_demanded_and_there_is_none(
    postgres15: RunningServer,
    postgres18: RunningServer,
    certificate_authority: CertificateAuthority,
    ssl: Any,
) -> None:
    address = dsn(postgres18, authority_of(postgres15))
    if ssl == "context":
        ssl = certificate_authority.client_context()
    with pytest.raises(wirekit.TLSError, match="does not speak TLS"):
        await connect(address, ssl=ssl)


async def test_ssl_true_and_contexts(
    postgres15: RunningServer, certificate_authority: CertificateAuthority
) -> None:
    with pytest.raises(wirekit.TLSError):  # the system does not know our authority
        await connect(dsn(postgres15), ssl=True)
    context = certificate_authority.client_context()
    for address, ssl in (
        (dsn(postgres15, authority_of(postgres15)), True),
        (dsn(postgres15), context),
    ):
        db = await connect(address, ssl=ssl)
        assert await db.fetchval(HAS_TLS) is True
        await db.close()
    with pytest.raises(wirekit.TLSError):
        await connect(dsn(postgres15), ssl=CertificateAuthority().client_context())


async def test_certificate_with_another_name(postgres15: RunningServer) -> None:
    address = dsn(
        postgres15, authority_of(postgres15), f"hostaddr={postgres15.host}", host="db.example"
    )
    with pytest.raises(wirekit.TLSError):
        await connect(address, ssl="verify-full")
    with pytest.raises(wirekit.TLSError):
        await connect(address, ssl=True)
    db = await connect(address, ssl="verify-ca")
    assert await db.fetchval(HAS_TLS) is True
    await db.close()


@pytest.mark.parametrize("sslmode", DEMANDING)
async def test_certificate_of_another_authority(
    postgres15: RunningServer, sslmode: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    CertificateAuthority().authority.cert_pem.write_to_path(str(other))
    with pytest.raises(wirekit.TLSError):
        await connect(dsn(postgres15, f"sslmode={sslmode}", f"sslrootcert={other}"))


async def test_authority_in_the_home_directory(postgres15: RunningServer, home: Path) -> None:
    assert postgres15.certificates is not None
    with pytest.raises(ClientConfigurationError, match="needs a root certificate"):
        await connect(dsn(postgres15), ssl="verify-full")
    (home / ".postgresql").mkdir()
    authority = postgres15.certificates.authority.read_bytes()
    (home / ".postgresql" / "root.crt").write_bytes(authority)
    async with client(postgres15, ssl="verify-full") as db:
        assert await db.fetchval(HAS_TLS) is True


async def test_client_certificate(
    postgres15: RunningServer, certificate_authority: CertificateAuthority, home: Path
) -> None:
    context = certificate_authority.client_context(with_certificate=True)
    await check(postgres15, "cert_user", ssl=context)
    certificate = certificate_of(postgres15, home)
    # Without TLS, which is tried first, the server wants a password.
    for sslmode in ("allow", "prefer", *DEMANDING):
        settings = (f"sslmode={sslmode}", authority_of(postgres15), certificate)
        db = await connect(dsn(postgres15, *settings, user="cert_user"))
        assert await db.fetchval(HAS_TLS) is True
        await db.close()
    (home / ".postgresql").mkdir()
    for source, target in (("client.pem", "postgresql.crt"), ("client.key", "postgresql.key")):
        (home / source).rename(home / ".postgresql" / target)
    await check(postgres15, "cert_user", ssl="require")


async def test_client_certificate_is_missing(postgres15: RunningServer, home: Path) -> None:
    for sslmode in ("require", "prefer"):
        with pytest.raises(InvalidAuthorizationSpecificationError):
            await connect(dsn(postgres15, f"sslmode={sslmode}", user="cert_user"))
    settings = ("sslmode=require", certificate_of(postgres15, home), "sslcertmode=disable")
    with pytest.raises(InvalidAuthorizationSpecificationError):
        await connect(dsn(postgres15, *settings, user="cert_user"))


async def test_client_certificate_of_somebody_else(postgres15: RunningServer, home: Path) -> None:
    """A certificate alone logs nobody in who needs a password."""
    settings = ("sslmode=require", certificate_of(postgres15, home))
    with pytest.raises(InvalidPasswordError):
        await connect(dsn(postgres15, *settings, user="scram_user"), password="wrong")
    db = await connect(dsn(postgres15, *settings, user="scram_user"), password="scram secret")
    await db.close()


async def test_direct_tls_at_a_server_that_does_not_know_it(postgres15: RunningServer) -> None:
    with pytest.raises(wirekit.ConnectError):
        await connect(dsn(postgres15), ssl="require", direct_tls=True)


# Files and environment -----------------------------------------------------------------------


async def test_environment(postgres: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": postgres.host,
        "PGPORT": str(postgres.port),
        "PGUSER": "scram_user",
        "PGDATABASE": "wirekit",
        "PGPASSWORD": "scram secret",
        "PGSSLMODE": "disable",
        "PGAPPNAME": "by the environment",
        "PGOPTIONS": "-c search_path=elsewhere",
    }.items():
        monkeypatch.setenv(name, value)
    db = await connect()
    row = await db.fetchrow(
        "SELECT current_user::text, current_setting('application_name'), "
        "current_setting('search_path'), current_database()::text"
    )
    assert tuple(row) == ("scram_user", "by the environment", "elsewhere", "wirekit")
    await db.close()
    monkeypatch.setenv("PGHOST", str(postgres.directory))
    db = await connect(user="md5_user", password="md5 secret")
    assert await db.fetchval("SELECT inet_server_addr() IS NULL") is True
    await db.close()


@pytest.mark.parametrize("how", ["home", "variable", "keyword", "dsn"])
async def test_password_file(
    postgres15: RunningServer, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file = home / (".pgpass" if how == "home" else "passwords")
    file.write_text(
        "# a comment\n"
        f"elsewhere:*:*:scram_user:wrong\n"
        f"{postgres15.host}:{postgres15.port}:wirekit:md5_user:md5 secret\n"
        f"localhost:*:*:md5_user:md5 secret\n"
        f"*:*:*:scram_user:scram secret\n"
    )
    file.chmod(0o600)
    options: dict[str, Any] = {}
    if how == "variable":
        monkeypatch.setenv("PGPASSFILE", str(file))
    elif how == "keyword":
        options["passfile"] = file
    elif how == "dsn":
        options["dsn"] = f"postgresql://?passfile={file}"
    await check(postgres15, "scram_user", **options)
    await check(postgres15, "md5_user", **options)
    await check(postgres15, "md5_user", host=str(postgres15.directory), **options)
    with pytest.raises(InvalidPasswordError):
        await check(postgres15, "password_user", **options)
    file.chmod(0o640)
    with (
        pytest.warns(UserWarning, match="accessed by group"),
        pytest.raises(InvalidPasswordError),
    ):
        await check(postgres15, "scram_user", **options)


@pytest.mark.parametrize("how", ["home", "variable", "keyword", "dsn"])
async def test_service_file(
    postgres15: RunningServer, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    file = home / (".pg_service.conf" if how == "home" else "services")
    file.write_text(
        f"[other]\nhost=nowhere.invalid\n\n[ours]\nhost={postgres15.host}\n"
        f"port={postgres15.port}\nuser=scram_user\npassword=scram secret\ndbname=wirekit\n"
        "sslmode=require\napplication_name=by the service\n"
    )
    options: dict[str, Any] = {"service": "ours"}
    if how == "variable":
        monkeypatch.setenv("PGSERVICEFILE", str(file))
        monkeypatch.setenv("PGSERVICE", "ours")
        del options["service"]
    elif how == "keyword":
        options["servicefile"] = file
    elif how == "dsn":
        options = {"dsn": f"postgresql://?service=ours&servicefile={file}"}
    db = await connect(**options)
    found = await db.fetchrow("SELECT current_user::text, current_setting('application_name')")
    assert tuple(found) == ("scram_user", "by the service")
    assert await db.fetchval(HAS_TLS) is True
    await db.close()
    options["service"] = "third"
    with pytest.raises(ClientConfigurationError, match="not found"):
        await connect(**options)
