"""SQLite's store with real files, real processes and real kills."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, rule

from wirekit import LocalProtocolError
from wirekit.adapters.mqtt._errors import StoreError
from wirekit.adapters.mqtt._sqlite_store import SQLiteStore
from wirekit.adapters.mqtt._store import OutgoingEntry, SessionStore, StoredSession
from wirekit.protocols.mqtt import Publish

from ._store_machine import StoreMachine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def entry(order: int, payload: bytes = b"payload") -> OutgoingEntry:
    packet_id = order % 65535 + 1
    publish = Publish("topic", payload, 1, packet_id=packet_id)
    return OutgoingEntry(order, packet_id, "publish", publish)


@contextlib.contextmanager
def opened(path: Path, client_id: str = "client") -> Generator[tuple[SQLiteStore, StoredSession]]:
    store = SQLiteStore(path)
    session = store.open(client_id)
    try:
        yield store, session
    finally:
        store.close()


def filled(path: Path, *orders: int) -> None:
    with opened(path) as (store, _):
        for order in orders:
            store.put_outgoing(entry(order))


def connection_of(store: SQLiteStore) -> sqlite3.Connection:
    return store._open_connection()  # pyright: ignore[reportPrivateUsage]


def stored_orders(path: Path, client_id: str = "client") -> list[int]:
    with opened(path, client_id) as (_, session):
        return [found.order for found in session.outgoing]


class SQLiteMachine(StoreMachine):
    """The same, and with a process that ends without a flush."""

    def made(self) -> SessionStore:
        self.folders = [tempfile.mkdtemp()]
        return SQLiteStore(Path(self.folders[-1], "sessions.db"))

    @initialize()
    def start(self) -> None:
        self.flushed = self.state()

    @rule()
    def flush(self) -> None:
        self.store.flush()
        self.flushed = self.state()

    @rule()
    def open_again(self) -> None:
        super().open_again()
        self.flushed = self.state()

    @rule()
    def lose_the_process(self) -> None:
        left = self.folders[-1]
        self.folders.append(tempfile.mkdtemp())
        shutil.copytree(left, self.folders[-1], dirs_exist_ok=True)
        self.store.close()
        self.store = SQLiteStore(Path(self.folders[-1], "sessions.db"))
        vars(self).update(self.flushed)
        self.reopened()
        self.flushed = self.state()

    def teardown(self) -> None:
        super().teardown()
        for folder in self.folders:
            shutil.rmtree(folder)


TestSQLiteStore = SQLiteMachine.TestCase
TestSQLiteStore.settings = settings(max_examples=25)


# A killed process.

WRITER = """
import itertools, os, sys
from tests.adapters.mqtt.test_sqlite_store import entry
from wirekit.adapters.mqtt._sqlite_store import SQLiteStore

store = SQLiteStore(sys.argv[1], synchronous=sys.argv[2])
session = store.open("client")
first = session.outgoing[-1].order + 1 if session.outgoing else 0
for batch in itertools.count(first // 10):
    for order in range(10 * batch, 10 * batch + 10):
        store.put_outgoing(entry(order, b"%d," % order * 200))
        store.remove_outgoing(order - 50)
        store.put_incoming(order % 1000 + 1, None)
    store.flush()
    os.write(1, b"%d\\n" % batch)
"""


@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_what_was_flushed_outlives_a_kill(path: Path, synchronous: str) -> None:
    for _ in range(2):
        command = [sys.executable, "-c", WRITER, str(path), synchronous]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(random.randint(10, 60))]
            with pytest.raises(StoreError, match="another client has this session open"):
                SQLiteStore(path).open("client")
            writer.kill()
            flushed = int([*said, *writer.stdout.read().splitlines()][-1])
        with opened(path) as (_, session):
            orders = [found.order for found in session.outgoing]
            last = orders[-1] // 10
            assert flushed <= last <= flushed + 1  # one more may have been written, but not said
            assert orders == list(range(10 * last + 10 - 50, 10 * last + 10))
            for found in session.outgoing:
                assert found == entry(found.order, b"%d," % found.order * 200)
            assert set(session.incoming) >= {order % 1000 + 1 for order in orders}


# Who may open what.


def test_one_client_at_a_time(path: Path) -> None:
    store = SQLiteStore(path)
    changes: list[Callable[[], None]] = [
        store.flush,
        store.clear,
        lambda: store.set_expiry(None),
        lambda: store.remove_incoming(1),
        lambda: store.put_outgoing(entry(1)),
    ]
    for change in changes:
        with pytest.raises(StoreError, match="not open"):
            change()
    store.close()
    store.open("client")
    with pytest.raises(StoreError, match="in use"):
        store.open("other")
    with pytest.raises(StoreError, match="another client has this session open"):
        SQLiteStore(path).open("client")
    assert repr(store) == f"<SQLiteStore {str(path)!r}, open>"
    store.close()
    store.close()
    assert repr(store) == f"<SQLiteStore {str(path)!r}, closed>"
    assert stored_orders(path) == []


def test_several_clients_in_one_file(path: Path) -> None:
    with opened(path, "a") as (first, _), opened(path, "b") as (second, _):
        for order in range(10):
            first.put_outgoing(entry(order))
            first.flush()
            second.put_outgoing(entry(100 + order))
            second.flush()
        first.clear()
    assert stored_orders(path, "a") == []
    assert stored_orders(path, "b") == list(range(100, 110))


def test_several_clients_make_the_file_at_once(path: Path) -> None:
    failures: list[StoreError] = []
    barrier = threading.Barrier(6)

    def write(client_id: str) -> None:
        barrier.wait()
        try:
            with opened(path, client_id) as (store, _):
                store.put_outgoing(entry(1))
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[f"{number}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(stored_orders(path, f"{number}") == [1] for number in range(6))


@pytest.mark.parametrize("client_id", ["", "a/b", "x" * 65535, "\N{SNOWMAN}"])
def test_client_ids_of_all_kinds(path: Path, client_id: str) -> None:
    with opened(path, client_id) as (store, _):
        store.put_outgoing(entry(1))
    assert stored_orders(path, client_id) == [1]
    assert stored_orders(path) == []


def test_others_see_nothing_of_the_files(path: Path) -> None:
    with opened(path) as (store, _):
        store.put_outgoing(entry(1))
        store.flush()
        modes = {found.name: found.stat().st_mode & 0o077 for found in path.parent.iterdir()}
    assert len(modes) == 4  # with the lock and SQLite's two
    if os.name == "posix":
        assert set(modes.values()) == {0}


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("sessions.db")
    monkeypatch.chdir("/")
    store.open("client")
    store.close()
    assert (tmp_path / "sessions.db").exists()


def test_settings_are_checked(path: Path) -> None:
    with pytest.raises(LocalProtocolError):
        SQLiteStore(path, synchronous="off")  # type: ignore[arg-type]


@pytest.mark.parametrize(("synchronous", "number"), [("normal", 1), ("full", 2)])
def test_how_sure_a_flush_is(path: Path, synchronous: Any, number: int) -> None:
    store = SQLiteStore(path, synchronous=synchronous)
    store.open("client")
    connection = connection_of(store)
    assert connection.execute("PRAGMA synchronous").fetchone() == (number,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


# Files that are not as they should be.


def refused(path: Path, match: str) -> StoreError:
    """Check that the file is refused, twice, and that nothing in it was changed."""
    before = path.read_bytes()
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match=match):
        store.open("client")
    with pytest.raises(StoreError, match=match) as caught:
        SQLiteStore(path).open("client")  # the lock is free
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert repr(store).endswith("closed>")
    return caught.value


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE theirs (x)",
        "PRAGMA user_version=7",
        "PRAGMA application_id=7",
    ],
)
def test_the_database_of_another_application(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    refused(path, "another application")


def test_a_newer_schema(path: Path) -> None:
    filled(path, 1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=2")
    refused(path, "newer wirekit")


def test_no_database(path: Path) -> None:
    path.write_bytes(b"a text, and rather a long one" * 100)
    refused(path, "not a database")


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.touch()
    filled(path, 1)
    assert stored_orders(path) == [1]


def test_a_file_cut_short(path: Path) -> None:
    filled(path, *range(1000))
    path.write_bytes(path.read_bytes()[:8192])
    refused(path, "malformed")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE outgoing SET stage = 'secret'",
        "UPDATE outgoing SET stage = 'pubrel', packet_id = NULL",
        "UPDATE outgoing SET topic = NULL",
        "UPDATE outgoing SET packet_id = 70000",
        "UPDATE outgoing SET packet_id = 'secret'",
        "UPDATE outgoing SET topic = 'secret/#'",
        "UPDATE outgoing SET topic = CAST(x'736563726574ff' AS TEXT)",
        "UPDATE outgoing SET payload = 'secret'",
        "UPDATE outgoing SET qos = 'secret'",
        "UPDATE outgoing SET properties = 'secret'",
        "UPDATE outgoing SET properties = '[\"secret\"]'",
        'UPDATE outgoing SET properties = \'{"correlation_data": "secret"}\'',
        'UPDATE outgoing SET properties = \'{"user_property": ["secret"]}\'',
    ],
)
def test_rows_that_are_damaged(path: Path, damage: str) -> None:
    filled(path, 1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    error = refused(path, "damaged")
    assert "secret" not in str(error)
    assert error.__suppress_context__


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        SQLiteStore(tmp_path / "nowhere" / "sessions.db").open("client")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match="unable to open"):
            store.open("client")


# Changes that cannot be made, yet.


def test_a_file_locked_by_another_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._sqlite_store._PATIENCE", 0.01)
    filled(path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    with contextlib.closing(other), opened(path) as (store, _):
        other.execute("BEGIN IMMEDIATE")
        store.put_outgoing(entry(2))
        store.remove_outgoing(1)
        for _ in range(2):
            with pytest.raises(StoreError, match="locked"):
                store.flush()
        other.execute("ROLLBACK")
        store.put_outgoing(entry(3))
        store.flush()
        store.flush()
    assert stored_orders(path) == [2, 3]


def test_a_full_disk(path: Path) -> None:
    with opened(path) as (store, _):
        store.put_outgoing(entry(1))
        store.flush()
        connection_of(store).execute("PRAGMA max_page_count=20")
        store.put_outgoing(entry(2, bytes(200_000)))
        store.put_outgoing(entry(3))
        with pytest.raises(StoreError, match="full"):
            store.flush()
        store.remove_outgoing(2)  # its sender was told
        store.flush()
    assert stored_orders(path) == [1, 3]


def test_closing_that_fails_closes(path: Path) -> None:
    store = SQLiteStore(path)
    store.open("client")
    connection_of(store).execute("PRAGMA max_page_count=20")
    store.put_outgoing(entry(2, bytes(200_000)))
    with pytest.raises(StoreError, match="full"):
        store.close()
    store.close()
    assert stored_orders(path) == []


def test_another_thread(path: Path) -> None:
    caught: list[BaseException] = []

    def flush() -> None:
        try:
            store.flush()
        except StoreError as error:
            caught.append(error)

    with opened(path) as (store, _):
        store.put_outgoing(entry(1))
        thread = threading.Thread(target=flush)
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert stored_orders(path) == [1]


def test_properties_that_cannot_be_stored(path: Path) -> None:
    properties: Any = {"content_type": {"secret"}}
    publish = Publish("a", qos=1, properties=properties)
    with opened(path) as (store, _):
        with pytest.raises(LocalProtocolError) as caught:
            store.put_outgoing(OutgoingEntry(1, None, "publish", publish))
        assert "secret" not in str(caught.value)
        store.put_outgoing(entry(2))
    assert stored_orders(path) == [2]


def test_a_flush_takes_few_statements_however_much_there_is(path: Path) -> None:
    statements: list[str] = []
    with opened(path) as (store, _):
        for order in range(1000):
            store.put_outgoing(entry(order))
            store.put_incoming(order + 1, None)
        connection_of(store).set_trace_callback(statements.append)
        store.flush()
        kinds = {statement.partition("(")[0] for statement in statements}
        assert len(kinds) <= 4  # BEGIN, COMMIT, and one for each table
        statements.clear()
        store.flush()
        assert not statements
