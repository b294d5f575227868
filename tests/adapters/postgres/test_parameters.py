from __future__ import annotations

import getpass
import importlib
import os
import ssl
from pathlib import Path
from typing import Any, cast
from unittest import mock
from urllib.parse import quote

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from wirekit.adapters.postgres._authentication import METHODS
from wirekit.adapters.postgres._hosts import SessionAttribute
from wirekit.adapters.postgres._parameters import ConnectParameters, connect_parameters
from wirekit.adapters.postgres.exceptions import ClientConfigurationError
from wirekit.sockets import TCPAddress, UnixAddress

asyncpg_utils: Any = importlib.import_module("asyncpg.connect_utils")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in os.environ:
        if name.startswith("PG") or name == "SSLKEYLOGFILE":
            monkeypatch.delenv(name)
    return tmp_path


def connect(dsn: str | None = None, **keywords: Any) -> ConnectParameters:
    return connect_parameters(dsn, **keywords)


# Against asyncpg -----------------------------------------------------------------------------

WITHOUT = dict.fromkeys(
    "host port user password passfile database ssl direct_tls server_settings service servicefile "
    "target_session_attrs krbsrvname gsslib command_timeout".split()
)
CACHE = {
    "statement_cache_size": 100,
    "max_cached_statement_lifetime": 300,
    "max_cacheable_statement_size": 15360,
}


def theirs(dsn: str | None, keywords: dict[str, Any]) -> dict[str, Any]:
    addresses, parameters, _ = asyncpg_utils._parse_connect_arguments(
        dsn=dsn, **{**WITHOUT, **CACHE, **keywords}
    )
    tls: ssl.SSLContext | None = parameters.ssl or None
    only_unix = all(isinstance(address, str) for address in addresses)
    return {
        "addresses": [
            address if isinstance(address, str) else tuple(address) for address in addresses
        ],
        "user": parameters.user,
        "password": parameters.password,
        "database": parameters.database,
        "server_settings": parameters.server_settings or {},
        "sslmode": "disable" if only_unix else parameters.sslmode.name.replace("_", "-"),
        "negotiation": parameters.ssl_negotiation.value,
        "verification": None if tls is None or only_unix else (tls.verify_mode, tls.check_hostname),
        "target_session_attrs": parameters.target_session_attrs.value,
    }


def ours(dsn: str | None, keywords: dict[str, Any]) -> dict[str, Any]:
    found = connect(dsn, **keywords)
    password = found.password_for(found.attempts[0])
    tls = found.tls.context
    return {
        "addresses": [
            attempt.address.path
            if isinstance(attempt.address, UnixAddress)
            else (attempt.address.host, attempt.address.port)
            for attempt in found.attempts
        ],
        "user": found.user,
        "password": password() if callable(password) else password,
        "database": found.database,
        "server_settings": dict(found.server_settings),
        "sslmode": found.tls.sslmode,
        "negotiation": found.tls.negotiation,
        "verification": None if tls is None else (tls.verify_mode, tls.check_hostname),
        "target_session_attrs": found.target_session_attrs.value,
    }


@pytest.mark.parametrize(
    ("dsn", "keywords", "environ"),
    [
        (None, {}, {}),
        (None, {"host": "db"}, {}),
        (None, {"host": ["a", "b"], "port": [1, 2]}, {}),
        (None, {"host": ("a", "/run/pg"), "port": 6000, "user": "u", "password": "p"}, {}),
        (None, {"host": "/run/pg", "database": "d"}, {"PGPORT": "6000", "PGUSER": "u"}),
        (None, {"host": "/run/pg/.s.PGSQL.7"}, {}),
        (None, {"host": "::1", "port": "6000"}, {}),
        (None, {}, {"PGHOST": "a:1,b", "PGPORT": "9", "PGUSER": "u", "PGPASSWORD": "p"}),
        (None, {}, {"PGHOST": "a,b", "PGPORT": "8,9", "PGDATABASE": "d"}),
        (None, {}, {"PGHOST": "a", "PGSSLMODE": "require", "PGTARGETSESSIONATTRS": "standby"}),
        ("postgres://u:p@h:1/d", {}, {"PGHOST": "x", "PGUSER": "x", "PGPASSWORD": "x"}),
        ("postgres://u:p@h:1/d", {"host": "x", "user": "y"}, {"PGPORT": "9"}),
        ("postgres://u:p@h:1/d", {"port": 2, "database": "e", "password": "q"}, {}),
        ("postgres://a,b:1,%2Frun%2Fpg/d", {}, {"PGPORT": "9"}),
        ("postgres://[fe80::1ff:fe23:4567:890a%25eth0]/d", {}, {}),
        ("postgres://h/d?sslmode=allow", {}, {}),
        ("postgres://h/d?sslmode=disable", {"ssl": "require"}, {"PGSSLMODE": "prefer"}),
        ("postgres://h/d?sslmode=require&sslnegotiation=direct", {}, {}),
        ("postgres://h/d?sslmode=require", {"direct_tls": True}, {}),
        ("postgres://h/d?sslmode=require&sslnegotiation=direct", {"direct_tls": False}, {}),
        ("postgres://h/d", {"ssl": True}, {}),
        ("postgres://h/d?sslmode=require", {"ssl": False}, {}),
        ("postgres://h/d", {"ssl": ssl.create_default_context()}, {}),
        ("postgres://h/d?a=1&b=2&a=3", {"server_settings": {"b": "4", "c": "5"}}, {}),
        ("postgres://h/d?options=-c+a%3Db&application_name=x", {}, {}),
        ("postgres:///d?host=/run/pg&port=6000&user=u&password=p", {}, {}),
        ("postgres://?host=a:1,b&dbname=d", {}, {"PGPORT": "9"}),
        ("postgres://h/d?target_session_attrs=read-only", {}, {}),
        ("postgres://h/d?target_session_attrs=any", {"target_session_attrs": "primary"}, {}),
        ("postgres://u@h/d", {}, {"PGPASSFILE": "pgpass"}),
        ("postgres://u@other/d", {}, {"PGPASSFILE": "pgpass"}),
        ("postgres://u@h/d?passfile=pgpass", {}, {}),
        ("postgres://u@%2Frun%2Fpg/d", {"passfile": "pgpass"}, {}),
        ("postgres://u@h/d", {"passfile": "absent"}, {}),
        ("postgres://u@h/d", {"passfile": "pgpass", "password": "x"}, {}),
        ("postgres://?service=shop", {"servicefile": "services"}, {}),
        ("postgres://u:q@/e?service=shop", {}, {"PGSERVICEFILE": "services"}),
    ],
)
def test_as_asyncpg(
    dsn: str | None,
    keywords: dict[str, Any],
    environ: dict[str, str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(home)
    (home / "pgpass").touch(0o600)
    (home / "pgpass").write_text("h:*:d:u:from_tcp\nlocalhost:*:d:*:from_unix\n")
    (home / "services").write_text(
        "[shop]\nhost=a:1,b\nport=3\nuser=s\npassword=w\ndbname=d\nsslmode=require\n"
    )
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ours(dsn, keywords) == theirs(dsn, keywords)


@pytest.mark.parametrize(
    ("dsn", "keywords"),
    [
        ("mysql://h", {}),
        ("postgres://h:port", {}),
        ("postgres://a,b", {"port": [1, 2, 3]}),
        ("postgres://a,b:2?x", {}),
        ("postgres://h?sslmode=nonsense", {}),
        ("postgres://h?sslmode=verify-full", {}),
        ("postgres://h?sslnegotiation=nonsense", {}),
        ("postgres://h?sslnegotiation=direct", {}),
        ("postgres://h?sslmode=require&ssl_min_protocol_version=TLSv9", {}),
        ("postgres://h?target_session_attrs=nonsense", {}),
        ("postgres://h", {"server_settings": {"a": 1}}),
        ("postgres://h", {"server_settings": "a=b"}),
        ("postgres://h", {"direct_tls": True}),
        ("postgres://h", {"direct_tls": True, "ssl": "prefer"}),
    ],
)
def test_both_refuse(dsn: str, keywords: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OSError)):
        theirs(dsn, keywords)
    with pytest.raises(ClientConfigurationError):
        ours(dsn, keywords)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
names = st.from_regex(r"[a-z][a-z0-9]{0,5}(\.[a-z]{1,4})?", fullmatch=True)
folders = st.just("/run/pg") | st.just("/tmp")
ports = st.integers(1, 65535)
sslmodes = st.sampled_from(["disable", "allow", "prefer"])
attributes = st.sampled_from([attribute.value for attribute in SessionAttribute])
# What the environment may hold everywhere.
ascii_words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@st.composite
def uris(draw: st.DrawFn) -> str:
    def encoded(text: str) -> str:
        return quote(text, safe="")

    login = ""
    if draw(st.booleans()):
        login = encoded(draw(words))
        if draw(st.booleans()):
            login += f":{encoded(draw(words))}"
        login += "@"
    hosts = draw(
        st.lists(st.tuples(names | folders.map(encoded), st.none() | ports), max_size=3)
        | st.just([("[::1]", None)])
    )
    listed = ",".join(host if port is None else f"{host}:{port}" for host, port in hosts)
    database = draw(st.just("") | words.map(lambda word: f"/{encoded(word)}"))
    optional: dict[str, st.SearchStrategy[str]] = {
        "sslmode": sslmodes,
        "target_session_attrs": attributes,
        "application_name": words,
        "search_path": words,
    }
    # What is in both places is where libpq and asyncpg differ.
    if not login:
        optional |= {"user": words, "password": words}
    if not database:
        optional |= {"dbname": words}
    if not hosts:
        optional |= {"port": ports.map(str), "host": names | folders}
    query = draw(st.fixed_dictionaries({}, optional=optional))
    settings = "&".join(f"{name}={encoded(value)}" for name, value in query.items())
    return f"postgresql://{login}{listed}{database}" + (f"?{settings}" if settings else "")


given_keywords = st.fixed_dictionaries(
    {},
    optional={
        "host": names | folders | st.lists(names | folders, min_size=1, max_size=3),
        "port": ports,
        "user": words,
        "password": words,
        "database": words,
        "ssl": sslmodes | st.just(False),
        "target_session_attrs": attributes,
        "server_settings": st.dictionaries(st.sampled_from(["search_path", "work_mem"]), words),
    },
)
environments = st.fixed_dictionaries(
    {},
    optional={
        "PGHOST": names
        | folders
        | st.tuples(names, ports).map(lambda pair: f"{pair[0]}:{pair[1]}"),
        "PGPORT": ports.map(str),
        "PGUSER": ascii_words,
        "PGPASSWORD": ascii_words,
        "PGDATABASE": ascii_words,
        "PGSSLMODE": sslmodes,
        "PGTARGETSESSIONATTRS": attributes,
    },
)


@given(dsn=st.none() | uris(), keywords=given_keywords, environ=environments)
@example(dsn="postgresql://a:1,b", keywords={}, environ={"PGPORT": "2"})
@example(dsn=None, keywords={"host": ["a", "/tmp"]}, environ={"PGPORT": "2"})
def test_generated_descriptions_as_asyncpg(
    dsn: str | None, keywords: dict[str, Any], environ: dict[str, str]
) -> None:
    with mock.patch.dict(os.environ, environ):
        assert ours(dsn, keywords) == theirs(dsn, keywords)


# Beyond asyncpg ------------------------------------------------------------------------------


def test_a_connection_string_of_libpq() -> None:
    found = connect(
        "host=db.internal port=6000 dbname=shop user=app password='a b' sslmode=require"
    )
    (attempt,) = found.attempts
    assert attempt.address == TCPAddress("db.internal", 6000)
    assert (found.database, found.user, found.password) == ("shop", "app", "a b")
    assert found.tls.sslmode == "require"


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "me")
    found = connect(host="db")
    assert (found.user, found.database, found.password) == ("me", "me", None)
    assert found.tls.sslmode == "prefer"
    assert found.target_session_attrs is SessionAttribute.any
    assert (found.load_balance_hosts, found.channel_binding) == ("disable", "prefer")
    assert (found.require_auth, found.timeout, found.connect_timeout) == (None, 60.0, None)
    assert found.min_protocol_version == found.max_protocol_version == (3, 0)
    assert connect(host="db", database="shop").database == "shop"


def test_without_a_user_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def getuser() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", getuser)
    with pytest.raises(ClientConfigurationError, match="PGUSER"):
        connect(host="db")
    assert connect("postgres://app@db").user == "app"


def test_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "process")
    assert connect(host="db", environ={"PGUSER": "given"}).user == "given"


def test_host_keyword_as_a_list_in_text() -> None:
    found = connect(host="a,[::1]:6000", port=None)
    assert [str(attempt) for attempt in found.attempts] == ["a:5432", "[::1]:6000"]


def test_the_query_goes_before_what_stands_ahead_of_it() -> None:
    found = connect("postgres://a:b@localhost:1/d?host=/cloudsql/p:r:i&user=e&port=2")
    (attempt,) = found.attempts
    assert attempt.address == UnixAddress("/cloudsql/p:r:i/.s.PGSQL.2")
    assert found.user == "e"


# Passwords


def test_passwords_are_asked_for_anew() -> None:
    given_passwords = iter(["first", "second"])
    found = connect("postgres://a:b@db", password=lambda: next(given_passwords))
    source = found.password_for(found.attempts[0])
    assert callable(source)
    assert [source(), source()] == ["first", "second"]


async def test_a_coroutine_function_for_the_password() -> None:
    async def password() -> str:
        return "word"

    found = connect(host="db", password=password)
    source = found.password_for(found.attempts[0])
    assert source is password
    assert await password() == "word"


async def test_what_is_no_password() -> None:
    async def password() -> str:
        return "hunter2"

    for wrong in (password(), b"hunter2", 2):
        with pytest.raises(ClientConfigurationError, match="a str or a callable") as caught:
            connect(host="db", password=wrong)
        assert "hunter2" not in str(caught.value)


def test_every_server_gets_its_own_password(home: Path) -> None:
    passfile = home / ".pgpass"
    passfile.touch(0o600)
    passfile.write_text("a:*:*:app:for_a\nb:*:*:app:for_b\n")
    found = connect(host=["a", "b", "c"], user="app")

    def passwords() -> list[object]:
        sources = [found.password_for(attempt) for attempt in found.attempts]
        return [source() if callable(source) else source for source in sources]

    assert passwords() == ["for_a", "for_b", None]
    passfile.write_text("*:*:*:app:changed\n")
    assert passwords() == ["changed"] * 3


def test_an_empty_password_is_one_only_as_a_keyword(home: Path) -> None:
    environ = {"PGPASSWORD": "environment"}
    assert connect("postgres://a:@db", environ=environ).password == "environment"
    assert connect("postgres://a:b@db", password="", environ=environ).password == ""
    assert connect(host="db", environ={"PGPASSWORD": ""}).password is None


def test_secrets_are_not_shown() -> None:
    found = connect(
        "postgres://app:hunter2@db/shop?sslpassword=hunter2&my.token=hunter2", ssl="require"
    )
    assert found.password == "hunter2"
    assert found.server_settings == {"my.token": "hunter2"}
    assert "hunter2" not in repr(found)
    assert "user='app'" in repr(found)


# TLS


def test_tls_cannot_be_demanded_of_a_unix_socket(home: Path) -> None:
    authority = home / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    demands: list[dict[str, Any]] = [
        {"ssl": True},
        {"ssl": "require"},
        {"ssl": ssl.create_default_context()},
        {"dsn": "sslmode=verify-ca", "environ": {"PGSSLROOTCERT": str(authority)}},
        {"dsn": "sslrootcert=system"},
        {"channel_binding": "require"},
    ]
    for demand in demands:
        for host in ("/run/pg", ["db", "/run/pg"]):
            with pytest.raises(ClientConfigurationError, match="none over a Unix socket"):
                connect(host=host, **demand)
        # The local server can be reached otherwise.
        assert [attempt.host for attempt in connect(**demand).attempts] == ["localhost"]
        assert connect(host="db", **demand).tls.demanded


def test_the_environment_speaks_of_tcp() -> None:
    environ = {"PGSSLMODE": "verify-full"}  # without a root certificate, no TCP either
    found = connect(host="/run/pg", environ=environ)
    assert found.tls.steps(found.attempts[0]) == ("plain",)
    with pytest.raises(ClientConfigurationError, match="root certificate"):
        connect(host="db", environ=environ)
    both = connect(host=["/run/pg", "db"], environ={"PGSSLMODE": "require"})
    assert [both.tls.steps(attempt) for attempt in both.attempts] == [("plain",), ("tls",)]
    with pytest.raises(ClientConfigurationError, match="sslmode must be one of"):
        connect(host="/run/pg", environ={"PGSSLMODE": "nonsense"})


def test_true_trusts_the_system_or_what_is_written(home: Path) -> None:
    authority = home / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    system = len(ssl.create_default_context().get_ca_certs())
    for keywords, count in (
        ({}, system),
        ({"environ": {"PGSSLROOTCERT": str(authority)}}, system),
        ({"dsn": f"sslrootcert={authority}"}, 1),
    ):
        context = connect(host="db", ssl=True, **cast("dict[str, Any]", keywords)).tls.context
        assert context is not None
        assert context.check_hostname
        assert len(context.get_ca_certs()) == count


@pytest.mark.parametrize("value", [1, 0, b"require", "nonsense", object()])
def test_what_ssl_may_not_be(value: object) -> None:
    with pytest.raises(ClientConfigurationError, match="ssl"):
        connect(host="db", ssl=value)


# The rest


def test_order() -> None:
    found = connect("postgres://a,b,c,d,e,f,g,h?load_balance_hosts=random")
    orders = [found.order() for _ in range(30)]
    assert all(sorted(order, key=str) == list(found.attempts) for order in orders)
    assert any(order != list(found.attempts) for order in orders)
    assert connect(host=["b", "a"]).order() == list(connect(host=["b", "a"]).attempts)
    assert (
        connect(host="a", environ={"PGLOADBALANCEHOSTS": "random"}).load_balance_hosts == "random"
    )


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("scram-sha-256", {"scram-sha-256"}),
        ("md5, none", {"md5", "none"}),
        ("!password,!md5", METHODS - {"password", "md5"}),
        ("", None),
    ],
)
def test_require_auth(text: str, methods: set[str] | None) -> None:
    assert connect(host="db", require_auth=text).require_auth == methods
    assert connect(host="db", environ={"PGREQUIREAUTH": text}).require_auth == methods


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2", "must be a list of: gss, md5"),
        ("md5,", "must be a list of"),
        ("md5,md5", "twice"),
        ("!md5,none", "contradict"),
    ],
)
def test_require_auth_that_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ClientConfigurationError, match=message) as caught:
        connect(host="db", require_auth=text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "keywords", "timeout", "connect_timeout"),
    [
        ("", {}, 60.0, None),
        ("", {"timeout": 5}, 5.0, None),
        ("", {"timeout": None}, None, None),
        ("connect_timeout=3", {}, None, 3.0),
        ("connect_timeout=3", {"timeout": 60}, 60.0, 3.0),
        ("connect_timeout=0", {}, None, None),
        ("connect_timeout=-1", {"timeout": 5}, 5.0, None),
        ("", {"environ": {"PGCONNECT_TIMEOUT": "2.5"}}, None, 2.5),
    ],
)
def test_timeouts(
    dsn: str, keywords: dict[str, Any], timeout: float | None, connect_timeout: float | None
) -> None:
    found = connect(dsn, host="db", **keywords)
    assert (found.timeout, found.connect_timeout) == (timeout, connect_timeout)


def test_timeouts_that_are_wrong() -> None:
    for wrong in (-1, "5", True, float("nan")):
        with pytest.raises(ClientConfigurationError, match="timeout must be"):
            connect(host="db", timeout=wrong)
    for text in ("soon", "nan", "inf"):
        with pytest.raises(ClientConfigurationError, match="connect_timeout must be"):
            connect(f"connect_timeout={text}")


def test_protocol_versions() -> None:
    found = connect("host=db min_protocol_version=3.0", environ={"PGMAXPROTOCOLVERSION": "latest"})
    assert (found.min_protocol_version, found.max_protocol_version) == ((3, 0), (3, 2))
    assert connect("host=db min_protocol_version=3.2").max_protocol_version == (3, 2)
    assert connect("host=db max_protocol_version=3.2").max_protocol_version == (3, 2)
    for wrong in ("max_protocol_version=3.1", "min_protocol_version=4"):
        with pytest.raises(ClientConfigurationError, match=r"must be one of: 3\.0, 3\.2, latest"):
            connect(f"host=db {wrong}")
    with pytest.raises(ClientConfigurationError, match="below"):
        connect("host=db min_protocol_version=3.2 max_protocol_version=3.0")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("channel_binding", "hunter2"),
        ("load_balance_hosts", "hunter2"),
        ("target_session_attrs", "hunter2"),
    ],
)
def test_words_that_are_wrong(name: str, wrong: str) -> None:
    with pytest.raises(ClientConfigurationError, match=f"{name} must be one of: ") as caught:
        connect(host="db", **{name: wrong})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "keywords",
    [
        {"user": b"app"},
        {"user": "a\0b"},
        {"database": 1},
        {"service": 1},
        {"host": [b"db"]},
        {"host": "db", "port": True},
        {"host": "db", "port": 0},
        {"host": "db", "port": [1, 2]},
        {"host": "db", "server_settings": {"a": "b\0c"}},
        {"host": "db", "server_settings": {"": "b"}},
        {"host": "db", "server_settings": {"user": "root"}},
        {"host": "db", "server_settings": ["a"]},
        {"host": "db", "krbsrvname": "postgres"},
        {"host": "db", "gsslib": "gssapi"},
    ],
)
def test_keywords_that_are_wrong(keywords: dict[str, Any]) -> None:
    with pytest.raises(ClientConfigurationError):
        connect(**keywords)


def test_paths_as_keywords(home: Path) -> None:
    (home / "services").write_text("[shop]\nhost=db\npassfile=lost\n")
    found = connect(service="shop", servicefile=home / "services", passfile=home / "words")
    assert found.passfile == home / "words"
    assert connect(host="db").passfile == home / ".pgpass"


def test_server_settings_cannot_be_changed() -> None:
    settings = {"a": "b"}
    found = connect(host="db", server_settings=settings)
    settings["a"] = "c"
    assert found.server_settings == {"a": "b"}
    with pytest.raises(TypeError):
        cast("dict[str, str]", found.server_settings)["a"] = "c"
