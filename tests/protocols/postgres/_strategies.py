"""Hypothesis strategies: conversations that a server may have with a client, and that none has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.protocols.postgres import _server as server
from tests.protocols.postgres._conversation import COLUMNS, SENT, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACES = st.lists(st.integers(0, 2000), max_size=8)

# What may come between any two messages of an open session.
ASIDES = st.one_of(
    st.builds(
        server.notice_response,
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    ),
    st.just(server.notification_response()),
    st.just(server.parameter_status("DateStyle", "ISO, MDY")),
)

OPENINGS: list[list[Step]] = [
    ["startup", server.LET_IN],
    ["startup", server.notice_response() + server.LET_IN],
    ["startup", server.AUTHENTICATION_CLEARTEXT_PASSWORD, "password", server.LET_IN],
    ["startup", server.authentication_md5_password(), "password", server.LET_IN],
    [
        "startup",
        server.authentication_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
        "sasl",
        server.authentication_sasl_continue(b"r=ab,s=Yg==,i=4096"),
        "sasl response",
        server.authentication_sasl_final(b"v=Yg==") + server.LET_IN,
    ],
    ["ssl", b"N", "gss encryption", b"N", "startup", server.LET_IN],
    ["ssl", b"S", "startup", server.LET_IN],
    ["startup 3.2", server.negotiate_protocol_version(0x30000, "_pq_.x") + server.LET_IN],
    [
        "startup 3.2",
        server.AUTHENTICATION_OK
        + server.parameter_status("server_version", "18.1")
        + server.backend_key_data(7, b"k" * 256)
        + server.ready_for_query(),
    ],
]

INT4_ROWS = st.lists(
    st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)).map(server.data_row), max_size=4
)
TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=9).map(str.encode))
TEXT_ROWS = st.lists(TEXTS.map(server.data_row), max_size=4)
STATUS = st.sampled_from("ITE")


@st.composite
def tables(draw: st.DrawFn) -> list[bytes]:
    """Return a described result: RowDescription, rows, CommandComplete."""
    columns = draw(st.lists(st.sampled_from([server.INT4, server.TEXT]), max_size=3))
    described = [
        server.column(f"c{number}", oid, format=draw(st.integers(0, 1)))
        for number, oid in enumerate(columns)
    ]
    text = st.one_of(st.none(), st.just(b""), st.just("é".encode()))
    values = st.tuples(
        *[
            # A column that is in text is read as such, whatever its type.
            st.one_of(st.none(), st.just(b"\0\0\0\x05")) if oid == server.INT4 else text
            for oid in columns
        ]
    )
    rows = draw(st.lists(values.map(lambda row: server.data_row(*row)), max_size=3))
    return [server.row_description(*described), *rows, server.command_complete()]


@st.composite
def query_answers(draw: st.DrawFn) -> list[bytes]:
    """Return the answer to a Query, with any number of results, perhaps an error behind them."""
    copy_out = [server.copy_out_response(), server.copy_data(b"1\n"), server.COPY_DONE]
    results = st.one_of(
        tables(),
        st.just([server.command_complete("BEGIN")]),
        st.just([*copy_out, server.command_complete("COPY 1")]),
        st.just([server.EMPTY_QUERY_RESPONSE]),
    )
    messages = [message for result in draw(st.lists(results, max_size=3)) for message in result]
    if draw(st.booleans()):
        messages.append(server.error_response())
    return [*messages, server.ready_for_query(draw(STATUS))]


def _error_or(end: Sequence[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.sampled_from([[*end], [server.error_response()]])


@st.composite
def row_answers(draw: st.DrawFn, rows: st.SearchStrategy[list[bytes]]) -> list[bytes]:
    """Return the answer to Bind, Execute and Sync."""
    done = [server.command_complete(), server.PORTAL_SUSPENDED, server.EMPTY_QUERY_RESPONSE]
    ended = [server.BIND_COMPLETE, *draw(rows), draw(st.sampled_from(done))]
    return [*draw(_error_or(ended)), server.ready_for_query(draw(STATUS))]


@st.composite
def three_answers(draw: st.DrawFn) -> list[bytes]:
    messages: list[bytes] = []
    for _ in range(3):
        messages += [server.BIND_COMPLETE, *draw(INT4_ROWS), server.command_complete()]
    fails = draw(st.integers(0, 20))
    if fails < len(messages):
        messages[fails:] = [server.error_response()]
    return [*messages, server.ready_for_query(draw(STATUS))]


@st.composite
def prepare_answers(draw: st.DrawFn) -> list[bytes]:
    messages = [server.PARSE_COMPLETE, server.parameter_description(23, 25)]
    messages.append(draw(st.sampled_from([server.NO_DATA, server.row_description()])))
    fails = draw(st.integers(0, 6))
    if fails <= len(messages):
        messages[fails:] = [server.error_response()]
    return [*messages, server.ready_for_query(draw(STATUS))]


# One thing sent, and its whole answer: these may be sent without waiting for each other.
EXCHANGES: st.SearchStrategy[tuple[str, list[bytes]]] = st.one_of(
    st.tuples(st.just("query"), query_answers()),
    st.tuples(st.just("dropping query"), query_answers()),
    st.tuples(st.just("prepare"), prepare_answers()),
    st.tuples(st.just("int4"), row_answers(INT4_ROWS)),
    st.tuples(st.just("drop"), row_answers(INT4_ROWS)),
    st.tuples(st.just("raising"), row_answers(INT4_ROWS)),
    st.tuples(st.just("text"), row_answers(TEXT_ROWS)),
    st.tuples(st.just("three"), three_answers()),
    st.tuples(
        st.just("function call"),
        st.sampled_from(
            [
                [server.function_call_response(b"x"), server.ready_for_query()],
                [server.function_call_response(None), server.ready_for_query("T")],
                [server.error_response(), server.ready_for_query()],
            ]
        ),
    ),
)

_END = server.command_complete("COPY 1") + server.ready_for_query()
_FAILED = server.error_response() + server.ready_for_query()
# Exchanges of several turns, for which nothing else may be under way.
TURNS: list[list[Step]] = [
    ["text query", server.copy_in_response(), "copy data", "copy data", "copy done", _END],
    ["query", server.copy_in_response(1, (1, 1)), "copy fail", _FAILED],
    ["query", server.copy_in_response(), "copy data", server.error_response(), _FAILED],
    ["drop", server.BIND_COMPLETE + server.copy_in_response(), "copy done", "sync", _END],
    ["drop", server.BIND_COMPLETE + server.copy_in_response(), "copy fail", "sync", _FAILED],
    [
        "copy chunks",
        server.copy_out_response() + server.copy_data(b"1\n"),
        server.copy_data(b"2\n"),
        server.COPY_DONE + _END,
    ],
    [
        "copy rows",
        server.copy_out_response(1, (1, 1))
        + server.copy_data(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        + server.copy_data(b"\0\2\0\0\0\4\0\0\0\5\xff\xff\xff\xff"),
        server.copy_data(b"\xff\xff") + server.COPY_DONE + _END,
    ],
    [
        "query",
        server.copy_both_response() + server.copy_data(b"w"),
        "copy data",
        server.copy_data(b"w") + server.COPY_DONE,
        "copy data",
        "copy done",
        _END,
    ],
    [
        "query",
        server.copy_both_response(),
        "copy done",
        server.copy_data(b"w") + server.COPY_DONE,
        _END,
    ],
    [
        "portal",
        server.BIND_COMPLETE,
        "flush",
        server.NO_DATA + server.PORTAL_SUSPENDED,
        "close",
        "sync",
        server.CLOSE_COMPLETE + server.ready_for_query(),
    ],
    ["portal", server.error_response(), "execute", "close", "sync", server.ready_for_query()],
]


@st.composite
def sessions(draw: st.DrawFn) -> list[Step]:
    """Return what can follow an opening, with asides between the messages."""
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.integers(0, 4)) == 0:
            steps += draw(st.sampled_from(TURNS))
            continue
        exchanges = draw(st.lists(EXCHANGES, min_size=1, max_size=3))
        messages = [message for _, answer in exchanges for message in answer]
        for aside in draw(st.lists(ASIDES, max_size=2)):
            messages.insert(draw(st.integers(0, len(messages))), aside)
        steps += [name for name, _ in exchanges]
        steps.append(b"".join(messages))
    return steps


def _joined(opening: list[Step], session: list[Step]) -> list[Step]:
    return [*opening, *session]


CONVERSATIONS = st.builds(_joined, st.sampled_from(OPENINGS), sessions())

# Anything at all.
MESSAGES = st.builds(
    server.message,
    st.sampled_from([bytes([kind]) for kind in b"RKvSNAEZ123nItTDCsGHWdcVX\0\xff"]),
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"", b"\0", b"\0\0", b"\0\0\0\0", b"\0\x01\0\0\0\x04\0\0\0\x05", b"I"]),
    ),
)
ROWS = st.builds(server.data_row, *[st.one_of(st.none(), st.binary(max_size=20)) for _ in range(2)])
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from([*SENT]),
    MESSAGES,
    ROWS,
    ASIDES,
    st.binary(max_size=12),
    st.sampled_from([server.BIND_COMPLETE, server.command_complete(), server.ready_for_query()]),
)


@st.composite
def row_conversations(draw: st.DrawFn) -> list[Step]:
    """Return a query whose rows have as many columns as its reader wants, of any bytes."""
    name = draw(st.sampled_from([*COLUMNS]))
    columns = draw(st.sampled_from(["", "columns of "]))
    fields = st.one_of(st.none(), st.binary(max_size=40), st.integers(0, 2**31 - 1))
    row = draw(st.tuples(*[fields] * len(COLUMNS[name])))
    return [*OPENINGS[0], columns + name, server.extended_answer(server.data_row(*row))]


@st.composite
def spoilt(draw: st.DrawFn) -> list[Step]:
    """Return a conversation with changes in what the server says, or followed by anything."""
    steps = draw(st.one_of(CONVERSATIONS, row_conversations()))
    for _ in range(draw(st.integers(0, 2))):
        number = draw(st.integers(0, len(steps) - 1))
        step = steps[number]
        if isinstance(step, bytes) and step:
            place = draw(st.integers(0, len(step) - 1))
            new = draw(st.binary(max_size=2))
            steps[number] = step[:place] + new + step[place + draw(st.integers(0, 2)) :]
        else:
            steps[number] = draw(STEPS)
    return steps + draw(st.lists(STEPS, max_size=6))
