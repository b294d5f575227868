from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.postgres._pgoutput import (
    Field,
    encode,
    load_vectors,
    raw_decoder,
    receive_all,
)
from wirekit import RemoteProtocolError
from wirekit.protocols.postgres._pgoutput import PgOutputDecoder
from wirekit.protocols.postgres._pgoutput_messages import (
    UNCHANGED,
    Begin,
    BeginPrepare,
    Commit,
    CommitPrepared,
    Delete,
    Insert,
    Message,
    Origin,
    PgOutputMessage,
    Prepare,
    Relation,
    RelationColumn,
    RollbackPrepared,
    Row,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = load_vectors()

LSNS = st.integers(0, 2**64 - 1)
TIMES = st.datetimes(timezones=st.just(UTC))
IDS = st.integers(0, 2**32 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
NAMESPACES = NAMES.map(lambda name: name or "pg_catalog")
PREPARED = (LSNS, LSNS, TIMES, IDS, NAMES)

BEGINS = st.builds(Begin, LSNS, TIMES, IDS)
COMMITS = st.builds(Commit, LSNS, LSNS, TIMES)
ORIGINS = st.builds(Origin, LSNS, NAMES)
STREAM_STARTS = st.builds(StreamStart, IDS, st.booleans())
STREAM_COMMITS = st.builds(StreamCommit, IDS, LSNS, LSNS, TIMES)
STREAM_ABORTS = st.builds(StreamAbort, IDS, IDS, st.none(), st.none())
STREAM_ABORTS_WHERE = st.builds(StreamAbort, IDS, IDS, LSNS, TIMES)
ROLLBACKS_PREPARED = st.builds(RollbackPrepared, LSNS, LSNS, TIMES, TIMES, IDS, NAMES)
COLUMNS = st.lists(
    st.builds(RelationColumn, st.booleans(), NAMES, IDS, INT32),
    max_size=4,
    unique_by=lambda column: column.name,
).map(tuple)


def rows(relation: Relation, *, only_key: bool = False) -> st.SearchStrategy[Row]:
    def values(type_oid: int) -> st.SearchStrategy[Any]:
        fields = st.builds(Field, st.just(type_oid), st.integers(0, 1), st.binary(max_size=5))
        return st.one_of(st.none(), st.just(UNCHANGED), fields)

    columns = [column for column in relation.columns if column.is_key or not only_key]
    return st.fixed_dictionaries({column.name: values(column.type_oid) for column in columns})


def contents(xids: st.SearchStrategy[int | None]) -> st.SearchStrategy[Any]:
    """Return messages that may stand in a block, and the types of those about a relation."""
    identities, oids = st.sampled_from("dnfi"), st.integers(1, 3)
    return st.one_of(
        ORIGINS,
        st.builds(Relation, xids, oids, NAMESPACES, NAMES, identities, COLUMNS),
        st.builds(Type, xids, IDS, NAMESPACES, NAMES),
        st.builds(Message, xids, st.booleans(), LSNS, NAMES, st.binary(max_size=5)),
        st.sampled_from([Insert, Update, Delete, Truncate]),
    )


@st.composite
def streams(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[int, list[PgOutputMessage]]:
    """Return a ``proto_version`` and messages in an order that is allowed."""
    version = draw(st.integers(1, 4))
    relations: dict[int, Relation] = {}
    messages: list[PgOutputMessage] = []
    for _ in range(draw(st.integers(0, 4))):
        begin, end = draw(blocks(version))
        xids = IDS if isinstance(begin, StreamStart) else st.none()
        messages.append(begin)
        for content in draw(st.lists(contents(xids), max_size=6)):
            if isinstance(content, PgOutputMessage):
                messages.append(content)
            elif relations:
                messages.append(draw(changes(content, xids, [*relations.values()])))
            if isinstance(content, Relation):
                relations[content.oid] = content
        messages.append(end)
        messages += draw(st.lists(betweens(version), max_size=2))
    return version, messages


def blocks(version: int) -> st.SearchStrategy[tuple[PgOutputMessage, PgOutputMessage]]:
    transactions = st.tuples(BEGINS, COMMITS)
    prepared = st.tuples(st.builds(BeginPrepare, *PREPARED), st.builds(Prepare, *PREPARED))
    streamed = st.tuples(STREAM_STARTS, st.just(StreamStop()))
    return st.one_of([transactions, streamed, prepared][:version])


def betweens(version: int) -> st.SearchStrategy[PgOutputMessage]:
    message = st.builds(Message, st.none(), st.just(False), LSNS, NAMES, st.binary(max_size=5))
    choices: list[st.SearchStrategy[PgOutputMessage]] = [message]
    if version >= 2:
        choices += [STREAM_COMMITS, STREAM_ABORTS]
    if version >= 3:
        choices += [st.builds(kind, *PREPARED) for kind in (StreamPrepare, CommitPrepared)]
        choices.append(ROLLBACKS_PREPARED)
    if version >= 4:
        choices.append(STREAM_ABORTS_WHERE)
    return st.one_of(choices)


@st.composite
def changes(
    draw: Callable[[st.SearchStrategy[Any]], Any],
    kind: type[PgOutputMessage],
    xids: st.SearchStrategy[int | None],
    relations: list[Relation],
) -> PgOutputMessage:
    """Return a change of that type to one of the relations, or to some."""
    xid = draw(xids)
    some: list[Relation] = draw(st.lists(st.sampled_from(relations), min_size=1, max_size=3))
    relation = some[0]
    old = rows(relation, only_key=relation.replica_identity != "f")
    if kind is Insert:
        return Insert(xid, relation, draw(rows(relation)))
    if kind is Update:
        return Update(xid, relation, draw(st.none() | old), draw(rows(relation)))
    if kind is Delete:
        return Delete(xid, relation, draw(old))
    return Truncate(xid, tuple(some), draw(st.booleans()), draw(st.booleans()))


@given(streams())
def test_messages_come_back(stream: tuple[int, list[PgOutputMessage]]) -> None:
    version, messages = stream
    decoder = raw_decoder(version)
    for message in messages:
        assert decoder.receive(encode(message)) == message


@given(streams(), st.data())
def test_truncations_are_refused_and_change_nothing(
    stream: tuple[int, list[PgOutputMessage]], data: st.DataObject
) -> None:
    version, messages = stream
    decoder = raw_decoder(version)
    for message in messages:
        whole = encode(message)
        end = data.draw(st.integers(0, len(whole) - 1))
        # The one message that may be shorter.
        if isinstance(message, StreamAbort) and end == 9:
            end = 8
        with pytest.raises(RemoteProtocolError):
            decoder.receive(whole[:end])
        with pytest.raises(RemoteProtocolError):
            decoder.receive(whole + b"\0")
        assert decoder.receive(whole) == message


@pytest.mark.parametrize("name", VECTORS)
def test_every_truncation_of_what_servers_send(name: str) -> None:
    version, messages = VECTORS[name]
    decoder = PgOutputDecoder(version)
    for message in messages:
        for end in range(len(message)):
            if message[:1] != b"A" or end != 9:
                with pytest.raises(RemoteProtocolError):
                    decoder.receive(message[:end])
        decoder.receive(message)


@given(
    st.sampled_from(sorted(VECTORS)),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 199), st.integers(0, 255)), max_size=6),
)
def test_spoilt_messages(name: str, spoilt: list[tuple[int, int, int]]) -> None:
    version, messages = VECTORS[name]
    changed = [bytearray(message) for message in messages]
    for index, place, byte in spoilt:
        message = changed[index % len(changed)]
        message[place % len(message)] = byte
    check(version, [bytes(message) for message in changed])


KINDS = st.sampled_from(b"BCMORYIUDTSEcAbPKrp")
BODIES = st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda body: bytes(8) + body))


@given(st.integers(1, 4), st.lists(st.tuples(KINDS, BODIES)))
def test_any_bytes(version: int, data: list[tuple[int, bytes]]) -> None:
    check(version, [bytes([kind]) + body for kind, body in data])


def check(version: int, data: list[bytes]) -> None:
    """Assert that any bytes are messages that encode to what decodes the same, or refused."""
    decoder, again = raw_decoder(version), raw_decoder(version)
    for message_data in data:
        try:
            message = decoder.receive(message_data)
        except RemoteProtocolError:
            continue
        assert receive_all(again, [encode(message)]) == [message]
