"""Sessions in an SQLite file, so that messages of QoS 1 and 2 outlive the process.

Source: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, §4.1;
https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from wirekit._errors import LocalProtocolError
from wirekit.protocols.mqtt import Publish, Subscription

from ._errors import StoreError
from ._store import OutgoingEntry, StoredSession

if TYPE_CHECKING:
    from collections.abc import Generator

    from wirekit.protocols.mqtt import Properties

__all__ = ["SQLiteStore"]

_APPLICATION_ID = 0x774B4D51  # "wKMQ", in the file's header
_SCHEMA = 1
_PATIENCE = 5.0  # seconds to wait while another process writes

# Each table of sessions' state, and its columns after the first, which is the session; by the next
# one its rows are told apart.
_TABLES = {
    "outgoing": "position packet_id stage expires_at topic payload qos retain properties".split(),
    "incoming": "packet_id topic payload qos retain properties".split(),
    "subscriptions": (
        "topic_filter identifier qos no_local retain_as_published retain_handling".split()
    ),
}

_Row = tuple[Any, ...]


class SQLiteStore:
    """Keeps sessions in an SQLite file: of several clients, also in several processes.

    What was flushed is there after the process was killed. After a loss of power the very last
    changes may be missing, unless ``synchronous="full"`` waits at each flush until the disk has
    them. `flush` writes all changes since the last one in one transaction.

    A client's session can be open only once; a file ending in ``.lock`` beside the database, which
    stays there empty, sees to that. New files can be read by their owner only, since they hold
    messages.

    Errors are `StoreError`: another client or process uses the session, a file that cannot be
    opened or written, is damaged, is no database or not one of ours.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, synchronous: Literal["normal", "full"] = "normal"
    ) -> None:
        if synchronous not in ("normal", "full"):
            raise LocalProtocolError("synchronous is normal or full")
        self._path = Path(path).absolute()
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None
        self._session = 0
        # Changes that are not flushed: rows by what tells them apart; None removes one.
        self._changes: dict[str, dict[int | str, _Row | None]] = {table: {} for table in _TABLES}
        self._expiry: list[float | None] = []  # the latest one, if any
        self._cleared = False

    def __repr__(self) -> str:
        state = "closed" if self._connection is None else "open"
        return f"<{type(self).__name__} {str(self._path)!r}, {state}>"

    # Opening and closing.

    def open(self, client_id: str) -> StoredSession:
        """Return the session of a client; an empty one if none is stored."""
        if self._connection is not None:
            raise StoreError("the session store is in use by another client")
        try:
            with self._errors():
                self._lock = self._locked(client_id)
                self._connection = self._connected()
                return self._opened(client_id)
        except BaseException:
            self._disconnect()
            raise

    def _locked(self, client_id: str) -> sqlite3.Connection:
        """Return what keeps others from the session, be they in this process or another."""
        digest = hashlib.sha256(client_id.encode(errors="surrogatepass")).hexdigest()[:16]
        path = self._path.with_name(f"{self._path.name}-{digest}.lock")
        _create(path)
        # SQLite's own lock on an empty database: it is the same on every platform, and it is gone
        # when the process is.
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            lock.execute("PRAGMA journal_mode=MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreError(f"{self._path}: another client has this session open") from None
            raise
        return lock

    def _connected(self) -> sqlite3.Connection:
        _create(self._path)
        connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
        connection.text_factory = bytes.decode  # the usual one quotes what it cannot decode
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Of a file that is not ours nothing is changed, so this comes first.
        connection.execute("BEGIN")
        ((application_id,),) = connection.execute("PRAGMA application_id")
        ((schema,),) = connection.execute("PRAGMA user_version")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        connection.execute("COMMIT")
        if application_id != _APPLICATION_ID and (application_id or schema or tables):
            raise StoreError(f"{self._path}: the database of another application")
        if schema > _SCHEMA:
            raise StoreError(f"{self._path}: written by a newer wirekit")
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute(f"PRAGMA fullfsync={self._synchronous == 'full'}")  # for macOS
        if not schema:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS sessions"
                " (id INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, expires_at REAL)"
            )
            for table, (key, *columns) in _TABLES.items():
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY,"
                    f" session INTEGER NOT NULL, {key} NOT NULL, {', '.join(columns)},"
                    f" UNIQUE (session, {key}))"
                )
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_SCHEMA}")
            connection.execute("COMMIT")

    def _opened(self, client_id: str) -> StoredSession:
        connection = self._open_connection()
        connection.execute("INSERT OR IGNORE INTO sessions (client_id) VALUES (?)", (client_id,))
        query = "SELECT id, expires_at FROM sessions WHERE client_id = ?"
        ((self._session, expires_at),) = connection.execute(query, (client_id,))
        try:
            found = StoredSession(
                [_entry(row) for row in sorted(self._rows("outgoing"))],
                {row[0]: _message(row[1:], row[0]) for row in self._rows("incoming")},
                [_subscription(row) for row in self._rows("subscriptions")],
                expires_at,
            )
        except (LocalProtocolError, LookupError, TypeError, ValueError):
            # Without the cause, which may quote a message.
            raise StoreError(f"{self._path}: damaged") from None
        if expires_at is None or expires_at > time.time():
            return found
        self.clear()
        for entry in found.outgoing:
            self.put_outgoing(entry)
        self.flush()
        return StoredSession(found.outgoing)

    def _rows(self, table: str) -> list[_Row]:
        query = f"SELECT {', '.join(_TABLES[table])} FROM {table} WHERE session = ? ORDER BY id"
        return self._open_connection().execute(query, (self._session,)).fetchall()

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the session store is not open")
        return self._connection

    def _disconnect(self) -> None:
        for connection in (self._connection, self._lock):
            if connection is not None:
                connection.close()
        self._connection = self._lock = None
        self._forget_changes()

    def close(self) -> None:
        """Flush, and let others open the session; may be called again."""
        if self._connection is None:
            return
        try:
            self.flush()
        finally:
            self._disconnect()

    @contextlib.contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            # SQLite's texts quote no values.
            raise StoreError(f"{self._path}: {_reason(error)}") from error

    # Changes.

    def put_outgoing(self, entry: OutgoingEntry) -> None:
        """Add an entry, or replace the one with the same ``order``."""
        state = (entry.packet_id, entry.stage, entry.expires_at)
        self._change("outgoing", entry.order, (*state, *_message_columns(entry.publish)))

    def remove_outgoing(self, order: int) -> None:
        """Remove an entry: the server has acknowledged it."""
        self._change("outgoing", order, None)

    def put_incoming(self, packet_id: int, message: Publish | None) -> None:
        """Add or replace a packet identifier; the message until the application has taken it."""
        self._change("incoming", packet_id, _message_columns(message))

    def remove_incoming(self, packet_id: int) -> None:
        """Remove a packet identifier: the server has released it."""
        self._change("incoming", packet_id, None)

    def put_subscription(self, subscription: Subscription, identifier: int | None) -> None:
        """Add a subscription, or replace the one with the same filter."""
        options = (
            subscription.qos,
            subscription.no_local,
            subscription.retain_as_published,
            subscription.retain_handling,
        )
        row = (identifier, *(int(option) for option in options))
        self._change("subscriptions", str(subscription.topic_filter), row)

    def remove_subscription(self, topic_filter: str) -> None:
        """Remove a subscription."""
        self._change("subscriptions", str(topic_filter), None)

    def _change(self, table: str, key: int | str, row: _Row | None) -> None:
        self._open_connection()
        changes = self._changes[table]
        # To the end, where it would be had it not been there.
        changes.pop(key, None)
        changes[key] = row

    def set_expiry(self, expires_at: float | None) -> None:
        """Set when the server forgets the session, in seconds since the epoch."""
        self._open_connection()
        self._expiry = [expires_at]

    def clear(self) -> None:
        """Remove all of the session, which the server has forgotten."""
        self._open_connection()
        self._forget_changes()
        self._cleared = True
        self._expiry = [None]

    def _forget_changes(self) -> None:
        for changes in self._changes.values():
            changes.clear()
        self._expiry = []
        self._cleared = False

    def flush(self) -> None:
        """Make sure of all changes."""
        connection = self._open_connection()
        if not (self._cleared or self._expiry or any(self._changes.values())):
            return
        with self._errors():
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._write(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self._forget_changes()

    def _write(self, connection: sqlite3.Connection) -> None:
        session = self._session
        for table, (key, *columns) in _TABLES.items():
            if self._cleared:
                connection.execute(f"DELETE FROM {table} WHERE session = ?", (session,))
            changes = self._changes[table]
            removed = [(session, name) for name, row in changes.items() if row is None]
            if removed:
                query = f"DELETE FROM {table} WHERE session = ? AND {key} = ?"
                connection.executemany(query, removed)
            put = [(session, name, *row) for name, row in changes.items() if row is not None]
            if put:
                query = (
                    f"REPLACE INTO {table} (session, {key}, {', '.join(columns)})"
                    f" VALUES (?, ?{', ?' * len(columns)})"
                )
                connection.executemany(query, put)
        for expires_at in self._expiry:
            query = "UPDATE sessions SET expires_at = ? WHERE id = ?"
            connection.execute(query, (expires_at, session))


def _create(path: Path) -> None:
    """Create a file that only its owner can read, unless there is one."""
    # Closing one that is there would, under POSIX, end the locks that SQLite has on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let what is written be kept in a write-ahead log; that is a setting of the file."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # Where several open a new file at once SQLite does not wait by itself.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _reason(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


# Rows.


def _message_columns(message: Publish | None) -> _Row:
    if message is None:
        return (None, None, None, None, None)
    return (
        str(message.topic),
        message.payload,
        message.qos,
        int(message.retain),
        _to_json(message.properties) if message.properties else None,
    )


def _to_json(properties: Properties) -> str:
    plain: dict[str, object] = {**properties}
    if "correlation_data" in properties:
        plain["correlation_data"] = bytes(properties["correlation_data"]).hex()
    try:
        return json.dumps(plain)
    except (TypeError, ValueError):
        raise LocalProtocolError("the properties of a message cannot be stored") from None


def _from_json(text: str) -> Properties:
    properties: dict[str, Any] = dict(json.loads(text))
    if "correlation_data" in properties:
        properties["correlation_data"] = bytes.fromhex(properties["correlation_data"])
    if "user_property" in properties:
        properties["user_property"] = [(name, value) for name, value in properties["user_property"]]
    return cast("Properties", properties)


def _message(row: _Row, packet_id: int | None) -> Publish | None:
    if packet_id is not None and not 1 <= packet_id <= 65535:
        raise ValueError
    topic, payload, qos, retain, properties = row
    if topic is None:
        return None
    decoded = None if properties is None else _from_json(properties)
    return Publish(topic, payload, qos, bool(retain), packet_id=packet_id, properties=decoded)


def _entry(row: _Row) -> OutgoingEntry:
    order, packet_id, stage, expires_at, *columns = row
    message = _message(tuple(columns), packet_id)
    if stage not in ("publish", "pubrel") or (message if stage == "publish" else packet_id) is None:
        raise ValueError
    return OutgoingEntry(order, packet_id, stage, message, expires_at)


def _subscription(row: _Row) -> tuple[Subscription, int | None]:
    topic_filter, identifier, qos, no_local, retain_as_published, retain_handling = row
    options = (bool(no_local), bool(retain_as_published), retain_handling)
    return Subscription(topic_filter, qos, *options), identifier
