from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wirekit.adapters.postgres._dsn import Layer, make_layer, parse_dsn
from wirekit.adapters.postgres._hosts import HostSpec
from wirekit.adapters.postgres.exceptions import ClientConfigurationError


@pytest.mark.parametrize(
    ("dsn", "hosts", "parameters"),
    [
        ("postgresql://", [], {}),
        ("postgres://", [], {}),
        ("POSTGRES://db", [HostSpec("db")], {}),
        ("postgres://db/shop", [HostSpec("db")], {"database": "shop"}),
        ("postgres:///shop", [], {"database": "shop"}),
        ("postgres://app@/shop", [], {"user": "app", "database": "shop"}),
        ("postgres://app:@db/", [HostSpec("db")], {"user": "app"}),
        (
            "postgres://a%40b:p%40s%2Fs%3A%23@db:6000/a%2Fb",
            [HostSpec("db", 6000)],
            {"user": "a@b", "password": "p@s/s:#", "database": "a/b"},
        ),
        ("postgres://app:a:b+c@db", [HostSpec("db")], {"user": "app", "password": "a:b+c"}),
        (
            "postgres://a,b:1,[::1]:2,[fe80::1%25eth0]",
            [HostSpec("a"), HostSpec("b", 1), HostSpec("::1", 2), HostSpec("fe80::1%eth0")],
            {},
        ),
        (
            "postgres://%2Fvar%2Frun:6000,%2Ftmp/shop",
            [HostSpec("/var/run", 6000), HostSpec("/tmp")],
            {"database": "shop"},
        ),
        ("postgres:///?host=/tmp&port=6000", [HostSpec("/tmp")], {"port": "6000"}),
        ("postgres://:6000/shop", [HostSpec("", 6000)], {"database": "shop"}),
        # The query goes before what stands ahead of it.
        (
            "postgres://a:b@c:1/d?user=e&password=f&host=g:2&dbname=h",
            [HostSpec("g", 2)],
            {"user": "e", "password": "f", "database": "h", "port": "1"},
        ),
        ("postgres://a:1,b/?host=c,d&port=3,4", [HostSpec("c"), HostSpec("d")], {"port": "3,4"}),
        ("postgres://a,b/?host=c", [HostSpec("c")], {}),
        ("postgres://c/?user=&dbname=", [HostSpec("c")], {}),
        ("postgres:///?database=a&dbname=b&user=c&user=d", [], {"database": "b", "user": "d"}),
        # A plus is a space in the query, as quote_plus writes it, and nowhere else.
        (
            "postgres://a+b@c/d+e?options=-c+geqo%3Doff+%2B",
            [HostSpec("c")],
            {"user": "a+b", "database": "d+e", "options": "-c geqo=off +"},
        ),
        ("postgres://c?ssl=true", [HostSpec("c")], {"sslmode": "require"}),
        ("postgres://c?ssl=true&sslmode=verify-ca", [HostSpec("c")], {"sslmode": "verify-ca"}),
        ("postgres://c?requiressl=1", [HostSpec("c")], {"sslmode": "require"}),
        ("postgres://c?requiressl=0", [HostSpec("c")], {"sslmode": "prefer"}),
    ],
)
def test_uris(dsn: str, hosts: list[HostSpec], parameters: dict[str, str]) -> None:
    assert parse_dsn(dsn) == (tuple(hosts), parameters)


@pytest.mark.parametrize(
    ("dsn", "hosts", "parameters"),
    [
        ("host=db", [HostSpec("db")], {}),
        ("  host = db   port\n=\t6000  ", [HostSpec("db")], {"port": "6000"}),
        ("host=a:1,b dbname=shop", [HostSpec("a", 1), HostSpec("b")], {"database": "shop"}),
        ("host=::1", [HostSpec("::1")], {}),
        ("password='a b'", [], {"password": "a b"}),
        (r"password='a\'b\\c\d'", [], {"password": r"a'b\cd"}),
        (r"password=a\ b\'c'd user=x", [], {"password": "a b'c'd", "user": "x"}),
        ("password='' user=x", [], {"user": "x"}),
        ("user=", [], {}),
        ("user=a user=b", [], {"user": "b"}),
        ("password=postgres://x", [], {"password": "postgres://x"}),
        # As in libpq: blanks may follow the equals sign.
        ("host= port=5", [HostSpec("port=5")], {}),
        ("search_path=a", [], {"search_path": "a"}),
    ],
)
def test_pairs(dsn: str, hosts: list[HostSpec], parameters: dict[str, str]) -> None:
    assert parse_dsn(dsn) == (tuple(hosts), parameters)


@pytest.mark.parametrize(
    "dsn",
    [
        "http://user:hunter2@h",
        "postgresql+asyncpg://user:hunter2@h",
        "postgresql:user:hunter2@h",
        "hunter2",
        "host=h hunter2",
        "host=h =hunter2",
        "password='hunter2",
        "password='hunter2'x",
        "password=hunter2\\",
        "password=hunter2\0",
        "postgres://user:a@hunter2@h",
        "postgres://user:a/hunter2@h",
        "postgres://user:hunter2/a@h",
        "postgres://user:a#hunter2@h",
        "postgres://user:a?hunter2@h",
        "postgres://user:hunter2@h:port",
        "postgres://user:hunter2@h:99999",
        "postgres://user:hunter2@[::1",
        "postgres://user:hunter2@::1",
        "postgres://user:pa:hunter2/x",
        "postgres://user:hunter2@h/?a",
        "postgres://user:hunter2@h/?=a",
        "postgres://user:hunter2@h/?a=b&",
        "postgres://user:hunter2%FF@h",
        "postgres://user:hunter2%00@h",
    ],
)
def test_bad_strings_are_refused_without_showing_the_password(dsn: str) -> None:
    with pytest.raises(ClientConfigurationError) as caught:
        parse_dsn(dsn)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


def test_a_layer_does_not_show_what_is_in_it() -> None:
    layer = parse_dsn("postgres://user:hunter2@h/shop")
    assert repr(layer) == "Layer(1 hosts, database, password, user)"


def test_host_text_goes_before_parsed_hosts() -> None:
    layer = make_layer({"host": "a", "port": "1"}, hosts=(HostSpec("b"),))
    assert layer == Layer((HostSpec("a"),), {"port": "1"})


# Against libpq itself ------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
plain = {"user": texts, "password": texts, "dbname": texts, "application_name": texts}
ports = st.integers(1, 65535).map(str)


def as_libpq(layer: Layer) -> dict[str, str]:
    parameters = dict(layer.parameters)
    if "database" in parameters:
        parameters["dbname"] = parameters.pop("database")
    if layer.hosts:
        parameters["host"] = ",".join(spec.host for spec in layer.hosts)
        found = [str(spec.port or "") for spec in layer.hosts]
        if any(found):
            parameters["port"] = ",".join(found)
    return parameters


@given(st.fixed_dictionaries({}, optional=plain))
def test_pairs_as_libpq(pairs: dict[str, str]) -> None:
    text = make_conninfo("", **pairs)
    if text:
        assert as_libpq(parse_dsn(text)) == conninfo_to_dict(text) == pairs


hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9.-]{0,10}", fullmatch=True),
    st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address)),
    st.just("%2Fvar%2Frun"),
)


@given(
    user=texts,
    password=texts,
    hosts=st.lists(st.tuples(hosts, st.none() | ports), min_size=1, max_size=4),
    database=texts,
    query=st.dictionaries(
        st.sampled_from(["user", "password", "dbname", "application_name", "sslmode"]), texts
    ),
)
def test_uris_as_libpq(
    user: str,
    password: str,
    hosts: list[tuple[str, str | None]],
    database: str,
    query: dict[str, str],
) -> None:
    listed = ",".join(host if port is None else f"{host}:{port}" for host, port in hosts)
    settings = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    uri = f"postgresql://{login}@{listed}/{quote(database, safe='')}?{settings}"
    theirs = conninfo_to_dict(uri)
    if not any(port for _, port in hosts):
        theirs.pop("port", None)
    assert as_libpq(parse_dsn(uri)) == theirs


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for dsn in (text, f"postgres://{text}"):
        try:
            layer = parse_dsn(dsn)
        except ClientConfigurationError:
            continue
        assert all(layer.parameters.values())
