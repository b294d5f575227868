from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.protocols.postgres._pgoutput import (
    Field,
    encode,
    load_vectors,
    raw_decoder,
    receive_all,
)
from wirekit import MessageTooLarge, RemoteProtocolError
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
    Prepare,
    Relation,
    RelationColumn,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
    Truncate,
    Type,
    Update,
)
from wirekit.protocols.postgres._replication import parse_lsn

VECTORS = load_vectors()
MOOD = 16385


def column(name: str, type_oid: int, *, is_key: bool = False) -> RelationColumn:
    return RelationColumn(is_key, name, type_oid, -1)


ITEM_COLUMNS = (
    column("id", 23, is_key=True),
    column("name", 25),
    column("price", 1700),
    column("mood", MOOD),
)


def item(xid: int | None = None) -> Relation:
    return Relation(xid, 16389, "public", "item", "d", ITEM_COLUMNS)


def mood(xid: int | None = None) -> Type:
    return Type(xid, MOOD, "public", "mood")


def tick(xid: int | None = None, oid: int = 16411) -> Relation:
    return Relation(xid, oid, "public", "tick", "d", (column("at", 23),))


def at(second: int, microsecond: int) -> datetime:
    return datetime(2026, 11, 23, 14, 44, second, microsecond, tzinfo=UTC)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


# What servers really send


def test_text() -> None:
    version, data = VECTORS["text"]
    tea = {"id": "1", "name": "tea", "price": "3.50", "mood": "happy"}
    second = {"id": "2", "name": None, "price": None, "mood": "sad"}
    begin, *changes, commit = receive_all(PgOutputDecoder(version), data)
    assert commit.commit_time == at(3, 728045)
    assert changes == [
        mood(),
        item(),
        Insert(None, item(), tea),
        Insert(None, item(), second),
        Update(None, item(), None, {**tea, "price": "4"}),
        Update(None, item(), {"id": "2"}, {**second, "id": "3"}),
        Delete(None, item(), {"id": "3"}),
    ]
    assert begin == Begin(parse_lsn("0/1539FD0"), commit.commit_time, 726)
    assert commit == Commit(begin.final_lsn, parse_lsn("0/153A000"), begin.commit_time)
    assert [*changes[2].new] == ["id", "name", "price", "mood"]


def test_binary() -> None:
    version, data = VECTORS["binary"]
    received = receive_all(PgOutputDecoder(version), data)
    price = bytes.fromhex("000200000000000200031388")
    tea = {"id": number(2), "name": b"tea", "price": price, "mood": b"happy"}
    log_columns = (column("at", 23, is_key=True), column("note", 25, is_key=True))
    log = Relation(None, 16397, "public", "log", "f", log_columns)
    a, b = {"at": number(1), "note": b"a"}, {"at": number(1), "note": b"b"}
    big_columns = (column("id", 23, is_key=True), column("body", 25), column("n", 23))
    big = Relation(None, 16402, "public", "big", "d", big_columns)
    assert received[1:11] == [
        mood(),
        item(),
        Insert(None, item(), tea),
        Update(None, item(), {"id": number(2)}, {**tea, "id": number(3)}),
        log,
        Insert(None, log, a),
        Update(None, log, a, b),
        Delete(None, log, b),
        big,
        Update(None, big, None, {"id": number(1), "body": UNCHANGED, "n": number(2)}),
    ]
    assert received[13:17] == [
        mood(),
        item(),
        log,
        Truncate(None, (item(), log), cascade=True, restart_identity=True),
    ]
    # From here on item has another column.
    wider = Relation(None, 16389, "public", "item", "d", (*ITEM_COLUMNS, column("extra", 16)))
    nine = {"id": number(9), "name": b"new", "price": bytes.fromhex("00010000000000000001")}
    assert received[20:22] == [wider, Insert(None, wider, {**nine, "mood": None, "extra": b"\1"})]


def test_messages() -> None:
    version, data = VECTORS["messages"]
    outside, begin, inside, commit = receive_all(PgOutputDecoder(version), data)
    assert outside == Message(None, False, parse_lsn("0/17355D0"), "audit", b"out")
    assert inside == Message(None, True, parse_lsn("0/1735590"), "audit", b"in")
    assert begin == Begin(parse_lsn("0/17355D0"), commit.commit_time, 760)
    assert commit.end_lsn == parse_lsn("0/1735600")


def test_origin() -> None:
    version, data = VECTORS["origin"]
    relation = tick(oid=16409)
    assert receive_all(PgOutputDecoder(version), data) == [
        Begin(parse_lsn("0/153D220"), datetime(2020, 1, 1, tzinfo=UTC), 734),
        Origin(0xAB, "elsewhere"),
        relation,
        Insert(None, relation, {"at": number(20)}),
        Commit(parse_lsn("0/153D220"), parse_lsn("0/153D268"), datetime(2020, 1, 1, tzinfo=UTC)),
    ]


def test_prepared() -> None:
    version, data = VECTORS["prepared"]
    relation = tick(oid=16409)
    first = (parse_lsn("0/153D2A8"), parse_lsn("0/153D3A0"), at(3, 747709), 735, "gid 1")
    second = (parse_lsn("0/153D418"), parse_lsn("0/153D510"), at(3, 747960), 736, "gid 2")
    assert receive_all(PgOutputDecoder(version), data) == [
        BeginPrepare(*first),
        relation,
        Insert(None, relation, {"at": number(30)}),
        Prepare(*first),
        CommitPrepared(first[1], parse_lsn("0/153D3D8"), at(3, 747833), 735, "gid 1"),
        BeginPrepare(*second),
        Insert(None, relation, {"at": number(31)}),
        Prepare(*second),
        RollbackPrepared(second[1], parse_lsn("0/153D548"), second[2], at(3, 748067), 736, "gid 2"),
    ]


def test_streamed() -> None:
    version, data = VECTORS["streamed"]
    received = receive_all(PgOutputDecoder(version), data)
    blocks = [message for message in received if isinstance(message, StreamStart)]
    assert blocks[0] == StreamStart(765, first_segment=True)
    assert {*blocks[1:]} == {StreamStart(765, first_segment=False)}
    assert len(blocks) == received.count(StreamStop())
    price = bytes.fromhex("000200000000000200031388")
    tea = {"id": number(1), "name": b"tea", "price": price, "mood": b"happy"}
    one = bytes.fromhex("00010000000000000001")
    contents = [m for m in received if not isinstance(m, (StreamStart, StreamStop))]
    assert contents == [
        mood(765),
        item(765),
        Insert(765, item(765), tea),
        Message(765, True, parse_lsn("0/1735CB0"), "audit", b"in"),
        Update(
            766,
            item(765),
            None,
            {"id": number(9), "name": None, "price": one, "mood": None},
        ),
        Update(766, item(765), None, {**tea, "name": None}),
        StreamAbort(765, 766, None, None),
        mood(767),
        item(767),
        Delete(767, item(767), {"id": number(9)}),
        Delete(767, item(767), {"id": number(1)}),
        tick(767),
        Truncate(767, (tick(767),), cascade=True, restart_identity=False),
        StreamCommit(765, parse_lsn("0/17360C8"), parse_lsn("0/1736148"), at(5, 814773)),
    ]


def test_streamed_in_parallel() -> None:
    version, data = VECTORS["parallel"]
    assert receive_all(PgOutputDecoder(version), data)[:8] == [
        StreamStart(768, first_segment=True),
        StreamStop(),
        StreamStart(769, first_segment=True),
        tick(769),
        Insert(769, tick(769), {"at": number(3)}),
        StreamStop(),
        StreamCommit(769, parse_lsn("0/17361C8"), parse_lsn("0/17361F8"), at(5, 848713)),
        StreamAbort(768, 768, parse_lsn("0/1736220"), at(5, 849017)),
    ]


def test_streamed_and_prepared() -> None:
    version, data = VECTORS["stream_prepared"]
    received = receive_all(PgOutputDecoder(version), data)
    prepare_lsn, end_lsn = parse_lsn("0/17362D0"), parse_lsn("0/17363C8")
    assert received[4:] == [
        StreamPrepare(prepare_lsn, end_lsn, at(5, 877792), 771, "gid 3"),
        CommitPrepared(end_lsn, parse_lsn("0/1736400"), at(5, 878027), 771, "gid 3"),
    ]


@pytest.mark.parametrize("name", VECTORS)
def test_the_encoder_of_these_tests_does_as_the_server(name: str) -> None:
    version, data = VECTORS[name]
    assert [encode(message) for message in receive_all(raw_decoder(version), data)] == data


# Values


def test_values_are_decoded_as_asked() -> None:
    version, data = VECTORS["binary"]
    calls: list[tuple[int, int, bytes]] = []

    def decode(type_oid: int, value_format: int, value: bytes) -> Any:
        calls.append((type_oid, value_format, value))
        return len(calls)

    insert = receive_all(PgOutputDecoder(version, decode=decode), data[:4])[3]
    assert insert.new == {"id": 1, "name": 2, "price": 3, "mood": 4}
    assert [call[:2] for call in calls] == [(23, 1), (25, 1), (1700, 1), (MOOD, 1)]
    assert calls[1][2] == b"tea"


def test_what_decode_raises_comes_out_and_the_stream_goes_on() -> None:
    version, data = VECTORS["text"]

    def decode(type_oid: int, value_format: int, value: bytes) -> Any:
        if value == b"3.50":
            raise OverflowError("too much")
        return Field(type_oid, value_format, value)

    decoder = PgOutputDecoder(version, decode=decode)
    receive_all(decoder, data[:3])
    with pytest.raises(OverflowError, match="too much"):
        decoder.receive(data[3])
    assert receive_all(decoder, data[4:]) == receive_all(raw_decoder(version), data)[4:]


def test_only_the_key_of_an_old_row_is_decoded() -> None:
    version, data = VECTORS["text"]
    decoder = raw_decoder(version)
    receive_all(decoder, data[:3])
    delete = bytes.fromhex("44 00004005 4b 0004 74 00000001 33 74 00000001 78 75 6e")
    assert decoder.receive(delete) == Delete(None, item(), {"id": Field(23, 0, b"3")})


def test_text_that_is_not_utf8() -> None:
    version, data = VECTORS["text"]
    decoder = PgOutputDecoder(version)
    receive_all(decoder, data[:3])
    with pytest.raises(RemoteProtocolError, match="text of type 25 that is not UTF-8") as caught:
        decoder.receive(data[3].replace(b"tea", b"t\xe9a"))
    assert caught.value.__suppress_context__


# Relations


def test_relations() -> None:
    version, data = VECTORS["binary"]
    decoder = PgOutputDecoder(version)
    assert decoder.relations == {}
    receive_all(decoder, data)
    assert [relation.name for relation in decoder.relations.values()] == ["item", "log", "big"]
    assert len(decoder.relations[16389].columns) == 5
    with pytest.raises(TypeError):
        decoder.relations[1] = item()  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def test_an_empty_namespace_is_pg_catalog() -> None:
    version, data = VECTORS["text"]
    decoder = PgOutputDecoder(version)
    decoder.receive(data[0])
    named = decoder.receive(data[1].replace(b"public\0", b"\0"))
    assert named == Type(None, MOOD, "pg_catalog", "mood")


def test_relations_are_limited() -> None:
    version, data = VECTORS["binary"]
    begin, type_message, item_message, *_, log_message = data[:6]
    decoder = PgOutputDecoder(version, max_relations_length=len(item_message) + 20)
    receive_all(decoder, [begin, type_message])
    # One that comes again counts once.
    receive_all(decoder, [item_message] * 5)
    with pytest.raises(MessageTooLarge, match=f"more than {len(item_message) + 20} bytes"):
        decoder.receive(log_message)
    assert [*decoder.relations] == [16389]


# Faults

BEGIN, TYPE, ITEM, INSERT = VECTORS["text"][1][:4]
COMMIT = VECTORS["text"][1][-1]
STREAM_START, STREAM_TYPE, STREAM_ITEM, STREAM_INSERT, STREAM_STOP = VECTORS["streamed"][1][:5]


def begun(*data: bytes, version: int = 4) -> PgOutputDecoder:
    decoder = PgOutputDecoder(version)
    receive_all(decoder, data)
    return decoder


@pytest.mark.parametrize(
    ("before", "data", "fault"),
    [
        ([], b"", "begins with b''"),
        ([], b"x", "begins with b'x'"),
        ([], BEGIN[:-1], "Begin: cut short"),
        ([], BEGIN + b"\0", "Begin: goes on after its end"),
        ([], BEGIN[:9] + b"\x70" + BEGIN[10:], "years 1 to 9999"),
        ([BEGIN], COMMIT[:1] + b"\1" + COMMIT[2:], "Commit: unknown flags 1"),
        ([BEGIN], TYPE[:-1], "Type: a string without its end"),
        ([BEGIN], TYPE.replace(b"mood", b"m\xffod"), "Type: a string that is not UTF-8"),
        ([BEGIN], ITEM.replace(b"item\0d", b"item\0x"), "Relation: 'x' where one of 'dnfi'"),
        ([BEGIN], ITEM.replace(b"d\0\4\1", b"d\0\4\3"), "Relation: unknown flags 3"),
        ([BEGIN], ITEM.replace(b"d\0\4\1", b"d\xff\xff\1"), "Relation: cut short"),
        ([BEGIN], ITEM.replace(b"mood", b"name"), "Relation: two columns of one name"),
        ([BEGIN], INSERT, "Insert: relation 16389 was not described"),
        ([BEGIN, ITEM], INSERT.replace(b"N\0\4", b"O\0\4"), "Insert: 'O' where one of 'N'"),
        ([BEGIN, ITEM], INSERT.replace(b"N\0\4", b"N\0\5"), "Insert: 5 values for 4 columns"),
        ([BEGIN, ITEM], INSERT.replace(b"\4t", b"\4x"), "b'x' where one of b'nutb'"),
        ([BEGIN, ITEM], INSERT[:8], "Insert: cut short"),
        ([BEGIN, ITEM], INSERT[:12], "Insert: cut short"),
        ([BEGIN, ITEM], INSERT[:-1], "Insert: cut short"),
        ([BEGIN, ITEM], INSERT.replace(b"\4t\0", b"\4t\xff"), "Insert: cut short"),
        ([BEGIN, ITEM], b"U\0\0\x40\x05X", "Update: 'X' where one of 'KON'"),
        ([BEGIN, ITEM], b"U\0\0\x40\x05K\0\4nnnnK", "Update: 'K' where one of 'N'"),
        ([BEGIN, ITEM], b"D\0\0\x40\x05N", "Delete: 'N' where one of 'KO'"),
        ([BEGIN, ITEM], b"T\xff\xff\xff\xff\0\0\0\x40\x05", "Truncate: cut short"),
        ([BEGIN, ITEM], b"T\0\0\0\1\4\0\0\x40\x05", "Truncate: unknown flags 4"),
        ([BEGIN, ITEM], b"T\0\0\0\1\0\0\0\x40\x06", "Truncate: relation 16390 was not described"),
        ([BEGIN], b"M\2" + bytes(13), "Message: unknown flags 2"),
        ([BEGIN], b"M\1" + bytes(9) + b"\xff\xff\xff\xff", "Message: cut short"),
        ([], b"S\0\0\0\1\2", "StreamStart: unknown flags 2"),
        ([], b"A" + bytes(8 + 15), "StreamAbort: cut short"),
    ],
)
def test_malformed(before: list[bytes], data: bytes, fault: str) -> None:
    decoder = begun(*before)
    with pytest.raises(RemoteProtocolError, match=fault):
        decoder.receive(data)


@pytest.mark.parametrize(
    ("before", "data", "fault"),
    [
        ([], COMMIT, "Commit: not allowed outside of a transaction"),
        ([BEGIN], BEGIN, "Begin: not allowed between Begin and Commit"),
        ([BEGIN], STREAM_START, "StreamStart: not allowed between Begin and Commit"),
        ([STREAM_START], COMMIT, "Commit: not allowed between StreamStart and StreamStop"),
        ([STREAM_START], BEGIN, "Begin: not allowed"),
        ([], STREAM_STOP, "StreamStop: not allowed outside"),
        ([], VECTORS["prepared"][1][3], "Prepare: not allowed outside"),
        ([VECTORS["prepared"][1][0]], COMMIT, "Commit: not allowed between BeginPrepare and"),
        ([BEGIN], VECTORS["prepared"][1][4], "CommitPrepared: not allowed between Begin"),
        ([BEGIN], VECTORS["prepared"][1][8], "RollbackPrepared: not allowed between Begin"),
        ([STREAM_START], VECTORS["streamed"][1][-1], "StreamCommit: not allowed between"),
        ([STREAM_START], VECTORS["parallel"][1][7], "StreamAbort: not allowed between"),
        ([BEGIN], VECTORS["stream_prepared"][1][4], "StreamPrepare: not allowed between"),
        ([BEGIN, ITEM, COMMIT], INSERT, "Insert: not allowed outside of a transaction"),
        ([], ITEM, "Relation: not allowed outside"),
        ([], TYPE, "Type: not allowed outside"),
        ([], VECTORS["origin"][1][1], "Origin: not allowed outside"),
        ([], VECTORS["messages"][1][2], "Message: transactional, but outside"),
    ],
)
def test_out_of_order(before: list[bytes], data: bytes, fault: str) -> None:
    decoder = begun(*before)
    with pytest.raises(RemoteProtocolError, match=fault):
        decoder.receive(data)


@pytest.mark.parametrize(
    ("name", "since"),
    [("streamed", 2), ("prepared", 3), ("stream_prepared", 3)],
)
def test_messages_of_later_versions(name: str, since: int) -> None:
    data = VECTORS[name][1]
    for version in range(since, 5):
        assert len(receive_all(PgOutputDecoder(version), data)) == len(data)
    with pytest.raises(RemoteProtocolError, match=f"not in proto_version {since - 1}"):
        receive_all(PgOutputDecoder(since - 1), data)


def test_only_version_4_says_where_an_abort_was() -> None:
    abort = VECTORS["parallel"][1][7]
    with pytest.raises(RemoteProtocolError, match="goes on after its end"):
        PgOutputDecoder(3).receive(abort)
    assert PgOutputDecoder(4).receive(abort[:9]) == StreamAbort(768, 768, None, None)


def test_an_xid_is_read_only_in_a_stream_block() -> None:
    with pytest.raises(RemoteProtocolError):
        begun(STREAM_START, STREAM_ITEM).receive(INSERT)
    with pytest.raises(RemoteProtocolError):
        begun(BEGIN, ITEM).receive(STREAM_INSERT)


def test_a_refused_message_changes_nothing() -> None:
    decoder = begun(BEGIN)
    for refused in (ITEM + b"\0", COMMIT + b"\0", STREAM_START):
        with pytest.raises(RemoteProtocolError):
            decoder.receive(refused)
    assert decoder.relations == {}
    assert decoder.receive(ITEM) == item()
    assert isinstance(decoder.receive(INSERT), Insert)


@pytest.mark.parametrize("version", [0, 5, -1])
def test_unknown_versions(version: int) -> None:
    with pytest.raises(ValueError, match=f"proto_version is 1 to 4, not {version}"):
        PgOutputDecoder(version)


def test_a_limit_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        PgOutputDecoder(1, max_relations_length=0)
