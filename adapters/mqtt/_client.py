"""The client: aiomqtt's habits on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import AddressError, BusyError, Error, SocketClosed
from wirekit.adapters._client import Client
from wirekit.protocols.mqtt import Disconnect
from wirekit.sockets import Backoff, as_socket

from ._errors import StoreError, connection_error
from ._messages import Messages
from ._options import NEVER, random_client_id, will_of
from ._reconnecting import Reconnecting
from ._requests import Requests
from ._session import Session
from ._settings import Settings, open_connection
from ._url import client_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.mqtt import Properties, Version, Will
    from wirekit.sockets import AddressLike, Connector, Policy, Socket, SocketLike, TLSOptions

    from ._authentication import Authentication
    from ._connection import Connection
    from ._messages import Overflow
    from ._store import SessionStore

__all__ = ["MQTT", "connect"]

_GOODBYE = 5.0  # seconds for the server to take what is gathered when the client is closed
_WHILE_WE_LIVE = 300  # seconds that a session outlives a lost connection
_BEYOND_US = 86_400  # the same where a store keeps our part of it


class MQTT(Client, Requests):
    """An MQTT client on a socket, of version 5.0 or 3.1.1; has aiomqtt's habits.

    Any number of tasks may use it at once. ``async with`` opens and closes it. With a
    ``connector`` it may be opened again after that; what it then has of its session is what the
    store has, or without one what the last time has left, if the session did not end with that.
    Each time it is opened it has new ``messages``.

    With a ``connector`` the connection is made again when it is lost, with the same session if the
    server still has it. Meanwhile calls wait, for their ``timeout`` at most; messages of QoS 1 and
    2 that were sent are sent again and arrive once the connection is back, and subscriptions that
    the server forgot are made again. A message that the server had not acknowledged when it forgot
    the session raises `SessionLost`. With only a ``socket`` everybody gets the error.

    A cancelled ``publish`` of QoS 1 or 2 is withdrawn if it was not sent; else it goes on to its
    end without its caller, as do the messages of a ``store``. What comes to a bad end with nobody
    waiting is told to the event loop's exception handler, which logs it.

    Args:
        socket: anything that `wirekit.sockets.as_socket` takes.
        connector: makes sockets to ``address``, the first one too if ``socket`` is not given.
        address: where the connector connects to.
        client_id: None lets the server choose, or is a random one where a session is to survive a
            connection.
        version: 5, or 4 for 3.1.1.
        username: None for none.
        password: of the user.
        authentication: enhanced authentication, in place of these or beside them.
        keep_alive: seconds without a packet after which each side may give the other up; 0 for no
            limit, but a server that takes nothing of what is sent is given up all the same, after
            ``timeout``. A server may set another.
        clean_start: whether to begin a new session; False goes on with that of an earlier client
            of the same ``client_id``. None is False with a ``store``, else True; but the session
            goes on when a client whose session did not end with it is opened again. In 3.1.1 a new
            session is new with each connection and ends with it.
        session_expiry_interval: seconds that the server keeps the session without a connection.
            None is a day with a ``store``, 300 with only a connector, else 0; and unless there is
            a store, closing the client ends the session.
        will: what the server publishes when the connection is lost.
        properties: further properties of CONNECT, such as ``user_property``.
        store: keeps the session beyond the client's life; None: it ends with the client. What it
            has of messages that were never sent goes out even with ``clean_start``.
        receive_maximum: how many messages of QoS 1 and 2 may be unacknowledged, so how many of
            them wait in ``messages``. Nothing more is read while a server has sent more than that,
            as one of 3.1.1, which cannot be told, may.
        enforce_receive_maximum: whether a server of 5.0 that does so is disconnected from, as the
            standard has it. Mosquitto before 2.0.13 does, as soon as a consumer is slow.
        maximum_packet_size: bytes of the largest packet that is accepted.
        topic_alias_maximum: topic aliases that the server may use.
        automatic_topic_aliases: whether we use those that the server allows.
        manual_acknowledgement: messages of QoS 1 and 2 are acknowledged by ``acknowledge``, not
            when they are taken from ``messages``.
        queue_size: messages of QoS 0 that may wait in ``messages``.
        queue_bytes: bytes that they may have.
        overflow: what happens beyond: ``"drop-oldest"``, ``"drop-newest"``, ``"error"``, or
            ``"wait"``: nothing is read.
        max_buffered: bytes that are gathered before ``publish`` waits.
        timeout: seconds for each call, and for opening, which is tried once; None for no limit.
        reconnect_attempts: how often to try in a row to connect again; None for no limit.
        backoff: how long to wait before each attempt.
        follow_server_reference: whether to go to another server when this one says so, through the
            same connector, with the same credentials.

    Attributes:
        messages: what arrives for no ``subscription`` of its own: ``async for message in
            client.messages``.
        client_id: the one in use; "" as long as the server has not chosen.
        session_present: whether the server had the session when the connection was made.

    Raises:
        AddressError: an option is wrong, or two do not go together.
        RuntimeError: no event loop runs, and the socket needs one.
    """

    client_id: str
    session_present: bool

    def __init__(
        self,
        socket: SocketLike | None = None,
        *,
        connector: Connector | None = None,
        address: AddressLike | None = None,
        client_id: str | None = None,
        version: Version = 5,
        username: str | None = None,
        password: str | bytes | None = None,
        authentication: Authentication | None = None,
        keep_alive: int = 60,
        clean_start: bool | None = None,
        session_expiry_interval: int | None = None,
        will: Will | None = None,
        properties: Properties | None = None,
        store: SessionStore | None = None,
        receive_maximum: int = 1000,
        enforce_receive_maximum: bool = False,
        maximum_packet_size: int = 16 * 1024 * 1024,
        topic_alias_maximum: int = 100,
        automatic_topic_aliases: bool = True,
        manual_acknowledgement: bool = False,
        queue_size: int = 65536,
        queue_bytes: int = 64 * 1024 * 1024,
        overflow: Overflow = "drop-oldest",
        max_buffered: int = 65536,
        timeout: float | None = 30.0,
        reconnect_attempts: int | None = None,
        backoff: Backoff | None = None,
        follow_server_reference: bool = False,
    ) -> None:
        if socket is None and connector is None:
            raise AddressError("pass a socket, or a connector and an address")
        if (connector is None) != (address is None):
            raise AddressError("connector and address go together")
        if store is not None and not client_id:
            raise AddressError("a store needs the client_id whose session it keeps")
        if reconnect_attempts is not None and reconnect_attempts < 1:
            raise AddressError("reconnect_attempts must be at least 1")
        expiry = session_expiry_interval
        if store is not None and expiry == 0 and version == 5:
            raise AddressError("a store needs a session_expiry_interval above 0")
        if expiry is None and version == 5:
            without_store = 0 if connector is None else _WHILE_WE_LIVE
            expiry = without_store if store is None else _BEYOND_US
        expiry = expiry or 0
        # A session of our own making is of no use to anyone when we are gone.
        self._ends_session = session_expiry_interval is None and expiry > 0 and store is None
        self._clean_start = store is None if clean_start is None else clean_start
        settings = Settings(
            version=version,
            username=username,
            password=password.encode() if isinstance(password, str) else password,
            authentication=authentication,
            keep_alive=keep_alive,
            session_expiry_interval=expiry,
            will=None if will is None else will_of(will),
            properties={} if properties is None else properties,
            receive_maximum=receive_maximum,
            enforce_receive_maximum=enforce_receive_maximum,
            maximum_packet_size=maximum_packet_size,
            topic_alias_maximum=topic_alias_maximum,
            automatic_topic_aliases=automatic_topic_aliases,
            timeout=timeout,
            max_buffered=max_buffered,
        )
        survives = expiry > 0 if version == 5 else not self._clean_start
        self._goes_on = survives and not self._ends_session and clean_start is not True
        self.client_id = client_id or (random_client_id() if survives else "")
        self.session_present = False
        self._expiry = expiry
        self._connected_before = False
        self._restored = False
        self._entered = self._closed = False
        self._reusable = connector is not None
        self._store = store
        waits = version == 4 or not enforce_receive_maximum
        self._new_session = partial(
            Session,
            version=version,
            receive_maximum=receive_maximum if waits else None,
            store=store,
        )
        self._new_messages = partial(
            Messages, queue_size=queue_size, queue_bytes=queue_bytes, overflow=overflow
        )
        self._new_link = partial(
            Reconnecting,
            connector=connector,
            address=address,
            attempts=reconnect_attempts,
            backoff=backoff or Backoff(),
            timeout=timeout,
            follow_server_reference=follow_server_reference,
        )
        session = self._fresh_session(manual=manual_acknowledgement)
        first = None if socket is None else _adopted(socket)
        connect = partial(self._connect, session)
        link = self._new_link(connect, socket=first, on_end=session.end)
        super().__init__(settings, session, link, manual=manual_acknowledgement)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        connector: Connector | None = None,
        policy: Policy | None = None,
        connect_timeout: float | None = 10.0,
        tls: TLSOptions | None = None,
        headers: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Self:
        """Return a client for a URL, not open yet: use ``async with``, or ``await client.open()``.

        It reconnects by itself.

        Args:
            url: see `parse_url`; ``host:port`` and the path of a Unix socket serve as well.
            connector: makes the connections, for example through a tunnel; directly by default.
            policy: which addresses may be connected to; any by default.
            connect_timeout: seconds for each connection.
            tls: options for ``mqtts://`` and ``wss://``.
            headers: of the HTTP request, for ``ws://`` and ``wss://``.
            **settings: see `MQTT`; they go before those in the URL.

        Raises:
            AddressError: the URL or an option is wrong.
        """
        found = client_settings(
            url,
            connector=connector,
            policy=policy,
            connect_timeout=connect_timeout,
            tls=tls,
            headers=headers,
        )
        return cls(**{**found, **settings})

    # Opening and closing.

    async def open(self) -> Self:
        """Open the connection; ``async with`` does this. It is tried once.

        Raises:
            ConnectError: there is no connection.
            MqttCodeError: the server refuses us.
            SocketClosed: it was closed, and has no connector to make another connection.
        """
        if self._closed:
            self._begin_again()
        if not self._restored:
            self._session.restore(self.client_id, clean_start=self._clean_start)
            self._restored = True
        await self._link.open()
        return self

    def _begin_again(self) -> None:
        """Be as if new, but for a session that goes on."""
        if not self._reusable:
            text = "the client was closed, and had only one socket; give it a connector for another"
            raise connection_error(SocketClosed(text), sent=False)
        older, manual = self._session, self._manual
        session = self._fresh_session(manual=manual)
        if self._goes_on and self._store is None:
            session.inherit(older)
            self._clean_start = False
        link = self._new_link(partial(self._connect, session), socket=None, on_end=session.end)
        super().__init__(self._settings, session, link, manual=manual)
        self._connected_before = self._restored = self._closed = False
        self.session_present = False

    def _fresh_session(self, *, manual: bool) -> Session:
        session = self._new_session()
        self.messages = session.unclaimed = self._new_messages(
            on_taken=None if manual else session.taken,
            on_expired=session.taken,
            on_full=session.full,
        )
        return session

    async def aclose(self) -> None:
        """Say goodbye and close; may be called again.

        Whoever still waits gets `SocketClosed`. Messages of QoS 1 and 2 that are not acknowledged
        stay in the session, if that goes on.
        """
        link, session, connection = self._link, self._session, self._link.current
        try:
            await self._end_requests()
            await link.aclose()
            if connection is not None and connection.error is None:
                try:
                    async with asyncio.timeout(_GOODBYE):
                        await connection.writable()
                except (Error, TimeoutError):
                    connection.fail(SocketClosed("the client was closed"))
                goodbye = Disconnect(properties={"session_expiry_interval": 0})
                await connection.close(goodbye if self._ends_session else Disconnect())
        finally:
            if connection is not None:
                connection.fail(SocketClosed("the client was closed"))  # if this was cancelled
            if link is self._link and not self._closed:  # else somebody else has done it
                session.end(None)
                self._deadlines.close()
                self._closed = True
                session.close_store()

    async def __aenter__(self) -> Self:
        if self._entered:
            text = "the client is in an `async with` already; one after the other is fine"
            raise connection_error(BusyError(text), sent=False)
        self._entered = True
        try:
            return await super().__aenter__()
        except BaseException:
            self._entered = False
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        finally:
            self._entered = False

    def __repr__(self) -> str:
        connection = self._link.current
        name = f" {self.client_id!r}" if self.client_id else ""
        if connection is not None:
            return f"<MQTT {connection.peer}{name} connected>"
        error = self._link.error or self._link.last_error
        if isinstance(error, SocketClosed):
            return f"<MQTT{name} closed>"
        return f"<MQTT{name} not connected{f': {error}' if error else ''}>"

    # The connection.

    async def _connect(self, session: Session, socket: Socket) -> Connection:
        """Begin a conversation, and go on with the session on it."""
        settings = self._settings
        # Later ones go on with the session of the first; but 3.1.1 keeps no session that was clean.
        clean_start = self._clean_start
        if settings.version == 5 and self._connected_before:
            clean_start = False
        connection, answer = await open_connection(
            socket, settings, client_id=self.client_id, clean_start=clean_start
        )
        if session is not self._session:  # the client was closed meanwhile, and opened again
            connection.fail(SocketClosed("the client was closed"))
        if connection.error is not None:
            return connection
        properties = answer.properties
        self._connected_before = True
        self.client_id = properties.get("assigned_client_identifier", self.client_id)
        self.session_present = answer.session_present
        self.response_information = properties.get("response_information")
        self._expiry = properties.get("session_expiry_interval", settings.session_expiry_interval)
        connection.on_lost = partial(self._lost, connection)
        try:
            keep_alive = properties.get("server_keep_alive", settings.keep_alive)
            session.opened(connection, answer, keep_alive)
        except Exception as error:
            connection.fail(error)
            raise
        return connection

    def _lost(self, connection: Connection) -> None:
        try:
            self._session.lost(cast("Exception", connection.error), self._expires_at())
        except StoreError as error:
            connection.error = error
        self._link.lost(connection)

    def _expires_at(self) -> float | None:
        """Return when the server forgets the session if no connection follows."""
        if self._settings.version == 4:
            return time.time() if self._clean_start else None
        return None if self._expiry == NEVER else time.time() + self._expiry


async def connect(url: str = "mqtt://localhost:1883", **settings: Any) -> MQTT:
    """Return an open client for a URL; takes the arguments of `MQTT.from_url`.

    Raises:
        AddressError: the URL or an option is wrong.
        ConnectError: there is no connection.
        MqttCodeError: the server refuses us.
    """
    client = MQTT.from_url(url, **settings)
    try:
        return await client.open()
    except BaseException:
        await client.aclose()
        raise


def _adopted(socket: SocketLike) -> Socket:
    try:
        return as_socket(socket)
    except RuntimeError:
        text = "make the client within a coroutine: to take over a socket needs a running loop"
        raise RuntimeError(text) from None
