"""The rarer types against real servers: what asyncpg makes of a value, we make of its bytes.

The bytes come by libpq, through psycopg, which for addresses is an oracle too, like pg8000.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.pq import DiagnosticField, ExecStatus

from tests.protocols.postgres._rare import FLOAT4, HALF, INTERFACES, TEXT, UINT32, UINT64
from tests.servers import RunningServer
from wirekit.protocols.postgres import (
    _bits,
    _extensions,
    _geometric,
    _identifiers,
    _network,
    _text_search,
)
from wirekit.protocols.postgres._functions import TypeFunctions

asyncpg: Any = importlib.import_module("asyncpg")
pg8000: Any = importlib.import_module("pg8000.native")

TYPES: dict[str, TypeFunctions] = {
    **_bits.TYPES,
    **_extensions.TYPES,
    **_geometric.TYPES,
    **_identifiers.TYPES,
    **_network.TYPES,
    **_text_search.TYPES,
}
# These have codecs of their own.
HOT = set(
    """
    bool bytea char name int2 int4 int8 float4 float8 text varchar bpchar xml oid uuid date time
    timetz timestamp timestamptz interval numeric json jsonb
    """.split()
)


@dataclass
class Oracle:
    """One server, reached by asyncpg and, for the bytes, by psycopg."""

    server: RunningServer
    runner: asyncio.Runner
    connection: Any
    libpq: psycopg.Connection[Any]

    def values(self, query: str, *arguments: Any) -> list[Any]:
        """Return the first column as asyncpg decodes it."""
        rows = self.runner.run(self.connection.fetch(query, *arguments))
        return [row[0] for row in rows]

    def create(self, extension: str) -> None:
        """Create the extension unless it is there."""
        self.libpq.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}".encode())

    def fields(
        self,
        query: str,
        arguments: list[bytes],
        parameter_format: int,
        result_format: int,
        *,
        refusals: tuple[bytes, ...] = (),
    ) -> list[bytes]:
        """Return the first column as the server sends it, without its nulls.

        It is empty if the server answers with an error of one of the codes in ``refusals``.
        """
        formats = [parameter_format] * len(arguments)
        connection = self.libpq.pgconn
        result = connection.exec_params(query.encode(), arguments, None, formats, result_format)
        if result.error_field(DiagnosticField.SQLSTATE) in refusals:
            return []
        assert result.status == ExecStatus.TUPLES_OK, result.get_error_message()
        found = [result.get_value(row, 0) for row in range(result.ntuples)]
        return [field for field in found if field is not None]


@pytest.fixture(scope="module", params=["postgres15", "postgres18"])
def oracle(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    """PostgreSQL 15 and 18 in turn."""
    server: RunningServer = request.getfixturevalue(request.param)
    where: dict[str, Any] = {"host": server.host, "port": server.port, "user": "postgres"}
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(**where, database="wirekit"))
        with psycopg.connect(**where, dbname="wirekit", autocommit=True) as libpq:
            yield Oracle(server, runner, connection, libpq)
        runner.run(connection.close())


# Values as text ------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=True).map(str)
FINITE = st.floats(-1e9, 1e9).map(str)
POINTS = st.builds("({},{})".format, NUMBERS, NUMBERS)
POINT_LISTS = st.lists(POINTS, min_size=1, max_size=4).map(",".join)
WORDS = TEXT.filter(bool).map(
    lambda word: "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
)
PLACES = st.builds("{}{}".format, st.integers(1, 2**14 - 1), st.sampled_from(["", *"ABCD"]))
LEXEMES = st.builds("{}:{}".format, WORDS, st.lists(PLACES, min_size=1, max_size=4).map(",".join))
OPTIONS = st.sampled_from(["", ":*", ":A", ":*BCD", ":ABCD"])
QUERIES = st.recursive(
    st.builds("{}{}".format, WORDS, OPTIONS),
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from("& | <-> <0> <7>".split()), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from("& | <-> <7>".split()), inner),
    ),
    max_leaves=8,
)
PATHS = ["$", "strict $.a[*] ? (@.x > 1)", "$.a[1 to last].*", "lax $.**{2}.size()"]
# The lower half of such a transaction's number is never 0.
XID8 = st.integers(1, 2**62).filter(lambda xid: xid % 2**32 != 0)
XIDS = st.lists(XID8, min_size=2, max_size=6, unique=True).map(sorted)
OBJECTS = {
    "regproc": ["now", "-"],
    "regprocedure": ["now()", "abs(integer)"],
    "regoper": ["|/"],
    "regoperator": ["+(integer,integer)"],
    "regclass": ["pg_class", "pg_type"],
    "regtype": ["int4", "text[]", "timestamptz"],
    "regconfig": ["english", "simple"],
    "regdictionary": ["simple"],
    "regnamespace": ["pg_catalog"],
    "regrole": ["postgres"],
    "regcollation": ['"C"'],
    "aclitem": ["=r/postgres", "postgres=arw*/postgres"],
    "money": ["0", "-12.345", "1234567.89"],
}


def _snapshot(xids: list[int]) -> str:
    xmin, *between, xmax = xids
    return f"{xmin}:{xmax}:{','.join(map(str, between))}"


def _numbers(values: st.SearchStrategy[int], separator: str) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=4).map(lambda numbers: separator.join(map(str, numbers)))


SPELLINGS: dict[str, st.SearchStrategy[str]] = {
    "point": POINTS,
    "lseg": st.builds("[{},{}]".format, POINTS, POINTS),
    "box": st.builds("{},{}".format, POINTS, POINTS),
    "line": st.builds("{{{},{},{}}}".format, FINITE, st.just("1.5"), FINITE),
    "circle": st.builds("<{},{}>".format, POINTS, st.floats(0).map(str)),
    "path": st.builds("{0[0]}{1}{0[1]}".format, st.sampled_from(["()", "[]"]), POINT_LISTS),
    "polygon": st.builds("({})".format, POINT_LISTS),
    "inet": INTERFACES.map(str),
    "cidr": INTERFACES.map(lambda interface: str(interface.network)),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex("-")),
    "macaddr8": st.binary(min_size=6, max_size=8).filter(lambda o: len(o) != 7).map(bytes.hex),
    "bit": st.text("01", max_size=20),
    "varbit": st.text("01", max_size=20),
    "int2vector": _numbers(st.integers(-(2**15), 2**15 - 1), " "),
    "oidvector": _numbers(UINT32, " "),
    "tid": st.builds("({},{})".format, UINT32, st.integers(0, 2**16 - 1)),
    "xid": UINT32.map(str),
    "cid": UINT32.map(str),
    "xid8": UINT64.map(str),
    "pg_lsn": st.builds("{:X}/{:X}".format, UINT32, UINT32),
    "refcursor": TEXT,
    "jsonpath": st.sampled_from(PATHS) | TEXT.map(lambda key: "$." + json.dumps(key)),
    "pg_snapshot": XIDS.map(_snapshot),
    "txid_snapshot": XIDS.map(_snapshot),
    "tsvector": st.lists(WORDS | LEXEMES, max_size=5).map(" ".join),
    "tsquery": st.just("") | QUERIES,
    **{name: st.sampled_from(texts) for name, texts in OBJECTS.items()},
}
SQL_NAMES = {"bit": "bit(20)"}


def plain(value: Any) -> Any:
    """Return what says all about a value and can be compared, NaN too."""
    kind = type(value).__name__
    if kind == "BitString":
        return kind, value.bytes, len(value)
    if kind in ("Path", "Polygon"):
        return kind, plain(value.points), value.is_closed
    if isinstance(value, float):
        return repr(value)
    if issubclass(type(value), tuple):
        # asyncpg's circle has a plain tuple for a centre.
        return tuple(plain(item) for item in value)
    return value


# Tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPELLINGS)
@settings(max_examples=20)
@given(data=st.data())
def test_values_are_asyncpgs(oracle: Oracle, name: str, data: st.DataObject) -> None:
    entry, sql_name = TYPES[name], SQL_NAMES.get(name, name)
    for text in data.draw(st.lists(SPELLINGS[name], min_size=1, max_size=10)):
        query = f"SELECT $1::text::{sql_name}"
        (theirs,) = oracle.values(query, text)
        (field,) = oracle.fields(query, [text.encode()], 0, entry.format)
        ours = entry.decode(field)
        assert plain(ours) == plain(theirs)
        assert type(ours).__name__ == type(theirs).__name__
        # The server takes our bytes for the same value. It has no binary empty oidvector.
        if name in ("int2vector", "oidvector") and not ours:
            continue
        assert entry.encode is not None
        echo = f"SELECT $1::{sql_name}"
        formats = entry.parameter_format, entry.format
        (again,) = oracle.fields(echo, [entry.encode(ours)], *formats)
        # The text of a query does not say how 'a' | 'b' | 'c' is nested.
        assert again == field or (name == "tsquery" and entry.decode(again) == ours)


def test_every_built_in_type_is_known(oracle: Oracle) -> None:
    known = dict(
        oracle.runner.run(
            oracle.connection.fetch(
                "SELECT typname, oid FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace"
                " AND typtype = 'b' AND typinput <> 'array_in'::regproc"
            )
        )
    )
    assert set(known) - HOT <= set(TYPES)
    assert {name: TYPES[name].oid for name in known if name in TYPES} == {
        name: oid for name, oid in known.items() if name in TYPES
    }


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("pg_node_tree", "SELECT ev_action FROM pg_rewrite LIMIT 3"),
        ("pg_ndistinct", "SELECT stxdndistinct FROM pg_statistic_ext_data"),
        ("pg_dependencies", "SELECT stxddependencies FROM pg_statistic_ext_data"),
        ("pg_mcv_list", "SELECT stxdmcv FROM pg_statistic_ext_data"),
        ("oidvector", "SELECT proargtypes FROM pg_proc LIMIT 20"),
        ("int2vector", "SELECT indkey FROM pg_index LIMIT 20"),
    ],
)
def test_what_stands_in_the_catalogs(oracle: Oracle, name: str, query: str) -> None:
    for statement in (
        "CREATE TABLE IF NOT EXISTS rare_types AS"
        " SELECT i % 3 AS a, i % 3 AS b FROM generate_series(1, 99) i",
        "CREATE STATISTICS IF NOT EXISTS rare_statistics ON a, b FROM rare_types",
        "ANALYZE rare_types",
    ):
        oracle.libpq.execute(statement.encode())
    theirs = oracle.values(query)
    fields = oracle.fields(query, [], 0, TYPES[name].format)
    assert theirs
    assert [TYPES[name].decode(field) for field in fields] == theirs


@settings(max_examples=30)
@given(st.lists(INTERFACES, min_size=1, max_size=10))
def test_addresses_are_psycopgs_and_pg8000s(oracle: Oracle, interfaces: list[Any]) -> None:
    server = oracle.server
    texts = {"inet": [str(i) for i in interfaces], "cidr": [str(i.network) for i in interfaces]}
    with pg8000.Connection(
        "postgres", host=server.host, port=server.port, database="wirekit"
    ) as other:
        for name, spelled in texts.items():
            query = f"SELECT text::{name} FROM unnest({{}}::text[]) AS text"
            fields = oracle.fields(
                query.format("$1"), [("{" + ",".join(spelled) + "}").encode()], 0, 1
            )
            ours = [TYPES[name].decode(field) for field in fields]
            cursor = oracle.libpq.execute(query.format("%s").encode(), [spelled])
            assert ours == [row[0] for row in cursor]
            theirs = [row[0] for row in other.run(query.format(":texts"), texts=spelled)]
            # pg8000 has an inet with a shorter prefix for a network, without the host's part.
            assert [ip_network(str(x), strict=False) for x in ours] == list(map(ip_network, theirs))


MACS = (
    ["08:00:2b:01:02:03", "08-00-2b-01-02-03", "08002b:010203", "08002b-010203", "0800.2b01.0203"],
    ["0800-2b01-0203", "08002b010203", " 08002B010203\n"],
)


@pytest.mark.parametrize("name", ["macaddr", "macaddr8"])
def test_spellings_of_mac_addresses(oracle: Oracle, name: str) -> None:
    encode = TYPES[name].encode
    assert encode is not None
    for text in [*MACS[0], *MACS[1], "8:0:2b:1:2:3" if name == "macaddr" else "0800:2b:0102030405"]:
        assert oracle.fields(f"SELECT $1::text::{name}", [text.encode()], 0, 1) == [encode(text)]


OCTETS = st.lists(st.sampled_from(["08", "Ff", "00"]), min_size=5, max_size=9)


@pytest.mark.parametrize("name", ["macaddr", "macaddr8"])
@given(OCTETS, st.sampled_from(":-."), st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 3), (9, 9)]))
def test_mac_addresses_that_we_take_and_refuse(
    oracle: Oracle, name: str, octets: list[str], separator: str, lengths: tuple[int, int]
) -> None:
    if name == "macaddr":  # with fewer of them the server takes 080808-0808 for a whole address
        octets = [*octets, "7f"][:6]
    first, others = lengths  # of the groups that the octets are written in
    groups = ["".join(octets[:first])]
    groups += ["".join(octets[at : at + others]) for at in range(first, len(octets), others)]
    text = separator.join(groups)
    encode = TYPES[name].encode
    assert encode is not None
    try:
        expected = [encode(text)]
    except ValueError:
        expected = []
    query = f"SELECT $1::text::{name}"
    refusals = (b"22P02", b"22003")  # the syntax, or an octet above FF
    assert oracle.fields(query, [text.encode()], 0, 1, refusals=refusals) == expected


PAIRS = st.dictionaries(TEXT, st.none() | TEXT, max_size=5)


def quoted(text: str | None) -> str:
    """Return a part of an hstore as text."""
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Debian's PostgreSQL 15 has hstore, the wheel's 18 has pgvector.


@pytest.mark.parametrize("oracle", ["postgres15"], indirect=True)
@given(PAIRS)
def test_hstore_is_asyncpgs(oracle: Oracle, pairs: dict[str, str | None]) -> None:
    oracle.create("hstore")
    register = oracle.connection.set_builtin_type_codec("hstore", codec_name="pg_contrib.hstore")
    oracle.runner.run(register)
    entry = TYPES["hstore"]
    text = ",".join(f"{quoted(key)}=>{quoted(value)}" for key, value in pairs.items())
    query = "SELECT $1::text::hstore"
    (field,) = oracle.fields(query, [text.encode()], 0, 1)
    assert oracle.values(query, text) == [entry.decode(field)] == [pairs]
    assert entry.encode is not None
    assert oracle.fields("SELECT $1::hstore", [entry.encode(pairs)], 1, 1) == [field]


@pytest.mark.parametrize("oracle", ["postgres18"], indirect=True)
@pytest.mark.parametrize(
    ("name", "numbers", "cast"),
    [
        ("vector", FLOAT4, "real[]"),
        ("halfvec", HALF, "real[]"),
        ("sparsevec", FLOAT4, "vector::real[]"),
    ],
)
@given(data=st.data())
def test_vectors_are_the_servers(
    oracle: Oracle, name: str, numbers: Any, cast: str, data: st.DataObject
) -> None:
    oracle.create("vector")
    elements = data.draw(st.lists(numbers, min_size=1, max_size=6))
    entry = TYPES[name]
    assert entry.encode is not None
    text = f"{{{str(elements)[1:-1]}}}"
    (field,) = oracle.fields(f"SELECT $1::real[]::vector::{name}", [text.encode()], 0, 1)
    decoded = entry.decode(field)
    assert (decoded.to_list() if name == "sparsevec" else decoded) == elements
    assert oracle.fields(f"SELECT $1::{name}", [entry.encode(elements)], 1, 1) == [field]
    assert oracle.values(f"SELECT $1::text::{name}::{cast}", json_like(decoded)) == [elements]


def json_like(vector: Any) -> str:
    """Return a vector as text; the indices of a sparse one begin with 1."""
    if isinstance(vector, list):
        return json.dumps(vector)
    pairs = zip(vector.indices, vector.values, strict=True)
    return "{" + ",".join(f"{i + 1}:{v!r}" for i, v in pairs) + f"}}/{vector.dimensions}"
