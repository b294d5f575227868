from __future__ import annotations

from pathlib import Path

import pytest

from wirekit.adapters.postgres._dsn import Layer, make_layer
from wirekit.adapters.postgres._hosts import HostSpec
from wirekit.adapters.postgres._layers import Layers, collect_layers
from wirekit.adapters.postgres.exceptions import ClientConfigurationError

# On Unix; where the local server is tried.
LOCAL = ["/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost"]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pg_service.conf").write_text(
        "[shop]\nhost=from_service\nport=3000\nuser=service\ndbname=service\nwork_mem=3MB\n"
        "[only_port]\nport=3000\n"
        "[odd]\nkeepalives=1\nkrbsrvname=x\n"
    )
    return tmp_path


def collect(dsn: str | None = None, keywords: Layer | None = None, **environ: str) -> Layers:
    return collect_layers(make_layer({}) if keywords is None else keywords, dsn, environ)


def test_which_source_goes_before_which() -> None:
    environ = {"PGUSER": "environment", "PGDATABASE": "environment", "PGAPPNAME": "environment"}
    environ |= {"PGHOST": "from_environment", "PGSERVICE": "shop", "PGPASSWORD": "environment"}
    keywords = make_layer({"user": "keyword", "work_mem": "1MB"})
    dsn = "postgres://dsn:dsn@from_dsn?search_path=dsn&work_mem=2MB"
    layers = collect(dsn, keywords, **environ)
    assert dict(layers.parameters) == {
        "user": "keyword",
        "password": "dsn",
        "database": "service",
        "port": "3000",
        "service": "shop",
        "application_name": "environment",
        "search_path": "dsn",
        "work_mem": "1MB",
    }
    assert layers.explicit["database"] == "service"
    assert "application_name" not in layers.explicit
    assert dict(layers.written)["user"] == "dsn"
    assert [attempt.host for attempt in layers.attempts()] == ["from_dsn"]
    assert layers.has_hosts


def test_empty_variables_count_as_unset() -> None:
    assert dict(collect(PGUSER="", PGHOST="", PGPORT="", PGSERVICE="").parameters) == {}
    assert not collect(PGHOST="").has_hosts


def test_the_service_is_found_without_a_connection_string(home: Path) -> None:
    assert collect(PGSERVICE="shop").parameters["user"] == "service"
    assert collect("service=shop").parameters["user"] == "service"
    (home / "other").write_text("[shop]\nuser=other\n")
    other = str(home / "other")
    assert collect("service=shop", PGSERVICEFILE=other).parameters["user"] == "other"
    keywords = make_layer({"service": "shop", "servicefile": other})
    assert collect("service=odd", keywords).parameters["user"] == "other"


@pytest.mark.parametrize(
    ("dsn", "keywords", "environ", "expected"),
    [
        ("postgres://a", {}, {"PGPORT": "9"}, ["a:9"]),
        ("postgres://a:1,b", {}, {"PGPORT": "9"}, ["a:1", "b:9"]),
        ("postgres://a:1,b", {"port": "8"}, {"PGPORT": "9"}, ["a:8", "b:8"]),
        ("postgres://a:1,b", {"port": "7,8"}, {}, ["a:7", "b:8"]),
        ("postgres://a:1,b", {"host": "c"}, {"PGPORT": "9"}, ["c:9"]),
        ("postgres://a:1?port=2", {}, {}, ["a:2"]),
        ("postgres:///?port=2", {"host": "c:4"}, {}, ["c:4"]),
        ("postgres:///?port=2", {"host": "c"}, {"PGPORT": "9"}, ["c:2"]),
        ("postgres:///?port=2", {}, {"PGHOST": "a:1,b"}, ["a:2", "b:2"]),
        (None, {}, {"PGHOST": "a:1,b", "PGPORT": "9"}, ["a:1", "b:9"]),
        (None, {}, {"PGHOST": "a,b", "PGPORT": "8,9"}, ["a:8", "b:9"]),
        ("service=shop", {}, {"PGPORT": "9"}, ["from_service:3000"]),
        ("postgres://a?service=shop", {}, {"PGPORT": "9"}, ["a:3000"]),
        ("service=only_port", {}, {"PGHOST": "b", "PGPORT": "9"}, ["b:3000"]),
        ("hostaddr=10.0.0.1", {}, {"PGHOST": "b"}, ["10.0.0.1:5432"]),
        (None, {}, {"PGHOST": "b", "PGHOSTADDR": "10.0.0.1"}, ["10.0.0.1:5432"]),
        # An address of the environment is not that of another source's host.
        ("host=a", {}, {"PGHOST": "b", "PGHOSTADDR": "10.0.0.1"}, ["a:5432"]),
    ],
)
def test_servers(
    dsn: str | None, keywords: dict[str, str], environ: dict[str, str], expected: list[str]
) -> None:
    layers = collect(dsn, make_layer(keywords), **environ)
    assert [str(attempt) for attempt in layers.attempts()] == expected


def test_the_local_server() -> None:
    found = collect(PGPORT="6000").attempts()
    assert [attempt.host for attempt in found] == LOCAL
    assert {attempt.port for attempt in found} == {6000}
    for wrong in ("1,2", "x"):
        with pytest.raises(ClientConfigurationError):
            collect(PGPORT=wrong).attempts()


def test_the_name_beside_an_address_is_kept_for_the_certificate() -> None:
    (attempt,) = collect("host=db.internal hostaddr=10.0.0.1").attempts()
    assert attempt.host == "db.internal"
    assert collect("host=a").dsn == Layer((HostSpec("a"),), {})


def test_what_libpq_does_not_know_is_for_the_server() -> None:
    dsn = (
        "postgres://a:b@c/d?application_name=app&options=-c%20a%3Db&search_path=x&replication=database"
        "&sslmode=require&sslpassword=x&connect_timeout=5&keepalives=0&tcp_user_timeout=5"
        "&gssencmode=prefer&sslsni=1&min_protocol_version=3.0&passfile=x&hostaddr=10.0.0.1"
    )
    assert collect(dsn, PGOPTIONS="lost").server_settings == {
        "application_name": "app",
        "options": "-c a=b",
        "search_path": "x",
        "replication": "database",
    }
    assert collect(PGOPTIONS="-c a=b", PGAPPNAME="app").server_settings == {
        "application_name": "app",
        "options": "-c a=b",
    }


def test_the_fallback_application_name() -> None:
    dsn = "fallback_application_name=psql"
    assert collect(dsn).server_settings == {"application_name": "psql"}
    assert collect(dsn, PGAPPNAME="mine").server_settings == {"application_name": "mine"}


@pytest.mark.parametrize(
    "dsn",
    [
        "krbsrvname=postgres",
        "gsslib=gssapi",
        "gssdelegation=1",
        "gssencmode=require",
        "requirepeer=postgres",
        "sslsni=0",
        "sslcertmode=require",
        "scram_client_key=x",
        "oauth_issuer=x",
        "service=odd",
    ],
)
def test_what_is_not_supported_is_said(dsn: str) -> None:
    with pytest.raises(ClientConfigurationError, match=r"is not supported\nHINT:  Leave it out"):
        collect(dsn)


def test_the_environment_cannot_ask_for_what_is_not_supported() -> None:
    with pytest.raises(ClientConfigurationError, match="requirepeer"):
        collect(PGREQUIREPEER="postgres")
    with pytest.raises(ClientConfigurationError, match="gssencmode"):
        collect(PGGSSENCMODE="require")
    # Which library to use says nothing about whether to use one.
    assert dict(collect(PGKRBSRVNAME="x", PGGSSLIB="gssapi").parameters) == {}
