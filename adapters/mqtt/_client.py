"""The client: aiomqtt's habits on any socket, from any number of tasks at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from wirekit._errors import AddressError, Error, LocalProtocolError, ReadTimeout, SocketClosed
from wirekit.protocols.mqtt import Disconnect, Publish, ReasonCode
from wirekit.sockets import Backoff, as_socket

from ._authentication import reauthenticate
from ._deadlines import Deadlines
from ._errors import MessageExpired, MqttCodeError, StoreError, connection_error
from ._messages import Messages
from ._options import NEVER, Payload, client_settings_of, payload_bytes, subscriptions_of
from ._reconnecting import Reconnecting
from ._session import Session
from ._settings import Settings, open_connection
from ._subscription import SubscriptionContext
from ._url import client_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from wirekit.protocols.mqtt import Properties, Subscription, Version, Will
    from wirekit.sockets import AddressLike, Connector, Policy, Socket, SocketLike, TLSOptions

    from ._authentication import Authentication
    from ._connection import Connection
    from ._messages import Overflow
    from ._store import SessionStore
    from ._subscriptions import Answer

__all__ = ["MQTT", "connect"]

_GOODBYE = 5.0  # seconds for the server to take what is gathered when the client is closed
_REQUESTS = 512  # SUBSCRIBE and UNSUBSCRIBE under way at once
_SUCCESS = ReasonCode.SUCCESS


class MQTT:
    """An MQTT client on a socket, of version 5.0 or 3.1.1; has aiomqtt's habits.

    Any number of tasks may use it at once. ``async with`` opens and closes it.

    With a ``connector`` the connection is made again when it is lost, with the same session if the
    server still has it. Meanwhile calls wait, for their ``timeout`` at most; messages of QoS 1 and
    2 that were sent are sent again and arrive once the connection is back, and subscriptions that
    the server forgot are made again. A message that the server had not acknowledged when it forgot
    the session raises `SessionLost`. With only a ``socket`` everybody gets the error.

    A cancelled ``publish`` of QoS 1 or 2 is withdrawn if it was not sent; else it goes on to its
    end without its caller.

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
            limit. A server may set another.
        clean_start: whether to begin a new session; False goes on with that of an earlier client
            of the same ``client_id``. None is False with a ``store``, else True. In 3.1.1 a new
            session is new with each connection and ends with it.
        session_expiry_interval: seconds that the server keeps the session without a connection.
            None is 300 with a connector, else 0; and unless there is a ``store``, closing the
            client ends the session.
        will: what the server publishes when the connection is lost.
        properties: further properties of CONNECT, such as ``user_property``.
        store: keeps the session beyond the client's life; None: it ends with the client.
        receive_maximum: how many messages of QoS 1 and 2 may be unacknowledged, so at most as many
            wait in ``messages``.
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
        timeout: seconds for each call, and for opening; None for no limit.
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
