"""What people do with a client: publish, subscribe, receive, acknowledge."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, overload

from wirekit._errors import Error, LocalProtocolError, ReadTimeout, ServerError
from wirekit.protocols.mqtt import Publish, ReasonCode

from ._authentication import reauthenticate
from ._deadlines import Deadlines
from ._errors import MessageExpired, MqttCodeError, connection_error
from ._expiry import lifetime_of, shortened
from ._messages import Callback, Messages
from ._options import payload_bytes, subscriptions_of
from ._subscription import OwnSubscription

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from wirekit.protocols.mqtt import Properties, Subscription

    from ._connection import Connection
    from ._messages import Overflow
    from ._options import Payload, TopicFilters
    from ._reconnecting import Reconnecting
    from ._session import Session
    from ._settings import Settings
    from ._subscriptions import Answer

__all__ = ["Calls"]

_REQUESTS = 512  # SUBSCRIBE and UNSUBSCRIBE under way at once
_NOT_ACKNOWLEDGED = "the message was not acknowledged"
_SUCCESS = ReasonCode.SUCCESS


class Calls:
    """The calls of a client; `MQTT` is the whole."""

    messages: Messages

    def __init__(
        self, settings: Settings, session: Session, link: Reconnecting, *, manual: bool
    ) -> None:
        self._settings = settings
        self._session = session
        self._link = link
        self._manual = manual
        too_late = partial(self._too_late, _NOT_ACKNOWLEDGED, settings.timeout)
        self._deadlines = Deadlines(settings.timeout, too_late)
        self._requests = asyncio.Semaphore(_REQUESTS)
        self._authenticating = asyncio.Lock()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link.current is not None

    # Publishing.

    async def publish(
        self,
        topic: str,
        payload: Payload = None,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
        *,
        timeout: float | None = None,
    ) -> ReasonCode:
        """Publish a message.

        Returns when the message is gathered for sending (QoS 0), or when the server has
        acknowledged it (QoS 1: PUBACK, QoS 2: PUBCOMP).

        Args:
            topic: without wildcards.
            payload: text is sent in UTF-8, a number as text, None as nothing.
            qos: 0, 1 or 2.
            retain: whether the server keeps it for later subscribers.
            properties: of PUBLISH; 5.0 only.
            timeout: seconds, in place of the client's.

        Returns:
            What the server said: ``SUCCESS``, or ``NO_MATCHING_SUBSCRIBERS``.

        Raises:
            MqttCodeError: the server refused the message.
            SessionLost: the server forgot the session before it had acknowledged the message.
            MessageExpired: its Message Expiry Interval passed before it could be sent.
            LocalProtocolError: it must not be sent, or not to this server.
            ReadTimeout: the server did not acknowledge it in time.
            TransportError: there is no connection; the attribute ``sent`` of the error says
                whether the message may have reached the server.
        """
        session, connection = self._session, self._link.current
        lifetime = None
        if properties is not None:
            properties = {**properties}  # the caller may change his
            lifetime = lifetime_of(properties)
        content = payload if type(payload) is bytes else payload_bytes(payload)
        try:
            message = Publish(topic, content, qos, retain, False, None, properties)
            if connection is not None and not connection.full and not qos:
                connection.send_publish(message)
                return _SUCCESS
        except LocalProtocolError as error:
            raise connection_error(error, sent=False) from None
        if not qos:
            await self._publish_later(message, lifetime, timeout)
            return _SUCCESS
        if connection is None:
            self._link.check()
        future: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        try:
            flow = session.publish(message, future, lifetime)
        except LocalProtocolError as error:
            raise connection_error(error, sent=False) from None
        deadlines = self._deadlines
        if timeout is not None:
            deadlines = Deadlines(timeout, partial(self._too_late, _NOT_ACKNOWLEDGED, timeout))
        deadlines.watch(future)
        expiry = None
        if lifetime is not None and message.packet_id is None:
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(lifetime, session.outgoing.expire, flow)
        session.begin_awaiting()
        try:
            return await future
        except BaseException:
            session.outgoing.withdraw(flow)
            raise
        finally:
            session.end_awaiting()
            deadlines.forget(future)
            if expiry is not None:
                expiry.cancel()
            if timeout is not None:
                deadlines.close()

    async def _publish_later(
        self, message: Publish, lifetime: float | None, timeout: float | None
    ) -> None:
        """Publish a message of QoS 0 as soon as there is a connection with room for it."""
        expires_at = None if lifetime is None else time.time() + lifetime
        expiry = asyncio.timeout(lifetime)
        async with self._limited("the message was not sent", timeout):
            try:
                async with expiry:
                    connection = await self._writable()
            except TimeoutError:
                if not expiry.expired():
                    raise
                raise MessageExpired("the message expired before it was sent") from None
            if expires_at is not None:
                message = shortened(message, expires_at - time.time())
            try:
                connection.send_publish(message)
            except LocalProtocolError as error:
                raise connection_error(error, sent=False) from None

    async def _writable(self) -> Connection:
        """Return the connection as soon as there is one with room."""
        link = self._link
        connection = await link.ready()
        while connection.full:
            with contextlib.suppress(Error):  # if it is lost there may be another
                await connection.writable()
            connection = await link.ready()
        return connection

    # Subscribing.

    async def subscribe(
        self,
        topic: TopicFilters,
        qos: int = 0,
        *,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        identifier: int | None = None,
        properties: Properties | None = None,
        timeout: float | None = None,
    ) -> tuple[ReasonCode, ...]:
        """Subscribe to one topic filter or several; what comes goes to ``messages``.

        Args:
            topic: a filter, a pair of a filter and its QoS, a `Subscription`, or several of these.
            qos: the highest QoS at which messages are to come.
            no_local: not what this client publishes.
            retain_as_published: with the RETAIN flag as it was published.
            retain_handling: retained messages at once (0), only if the subscription is new (1), or
                not (2).
            identifier: the Subscription Identifier that the messages are to have.
            properties: further ones of SUBSCRIBE.
            timeout: seconds, in place of the client's.

        Returns:
            The server's code for each filter: the QoS granted, or from 0x80 on why not.

        Raises:
            MqttCodeError: the server refused, and there was only one filter.
            LocalProtocolError: it is not allowed, or not by this server.
            ReadTimeout: the server did not answer in time.
            TransportError: there is no connection.
        """
        subscriptions = subscriptions_of(
            topic,
            qos,
            no_local=no_local,
            retain_as_published=retain_as_published,
            retain_handling=retain_handling,
        )
        own: Properties = {} if properties is None else {**properties}
        if identifier is not None:
            own["subscription_identifier"] = [identifier]
        known = self._session.subscriptions
        [answer] = await self._ask([lambda: known.subscribe(subscriptions, own)], timeout)
        codes = answer.reason_codes
        if len(codes) == 1 and codes[0] >= 0x80:
            step = f"the server refused to subscribe to {subscriptions[0].topic_filter!r}"
            raise MqttCodeError(step, codes[0], answer.properties)
        return codes

    async def unsubscribe(
        self,
        topic: str | Iterable[str],
        *,
        properties: Properties | None = None,
        timeout: float | None = None,
    ) -> tuple[ReasonCode, ...]:
        """Unsubscribe from one topic filter or several, whoever subscribed to them.

        Args:
            topic: the filter, or several.
            properties: of UNSUBSCRIBE.
            timeout: seconds, in place of the client's.

        Returns:
            The server's code for each filter.

        Raises:
            MqttCodeError: the server refused, and there was only one filter.
            LocalProtocolError: it is not allowed.
            ReadTimeout: the server did not answer in time.
            TransportError: there is no connection.
        """
        names = [topic] if isinstance(topic, str) else list(topic)
        own: Properties = {} if properties is None else properties
        known = self._session.subscriptions
        [answer] = await self._ask([lambda: known.unsubscribe(names, own)], timeout)
        codes = answer.reason_codes
        if len(codes) == 1 and codes[0] >= 0x80:
            step = f"the server refused to unsubscribe from {names[0]!r}"
            raise MqttCodeError(step, codes[0], answer.properties)
        return codes

    @overload
    def subscription(
        self,
        topic: TopicFilters,
        qos: int = 0,
        *,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        queue_size: int = 65536,
        queue_bytes: int = 64 * 1024 * 1024,
        overflow: Overflow = "drop-oldest",
        timeout: float | None = None,
    ) -> OwnSubscription[Messages]: ...

    @overload
    def subscription(
        self,
        topic: TopicFilters,
        qos: int = 0,
        *,
        callback: Callable[[Publish], object],
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        timeout: float | None = None,
    ) -> OwnSubscription[Callback]: ...

    def subscription(
        self,
        topic: TopicFilters,
        qos: int = 0,
        *,
        callback: Callable[[Publish], object] | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        queue_size: int = 65536,
        queue_bytes: int = 64 * 1024 * 1024,
        overflow: Overflow = "drop-oldest",
        timeout: float | None = None,
    ) -> OwnSubscription[Messages] | OwnSubscription[Callback]:
        """Return a subscription whose messages go to a consumer of its own, not to ``messages``.

            async with client.subscription("lamps/#") as messages:
                async for message in messages: ...

        It subscribes when the block begins and unsubscribes when that ends. With a ``callback``,
        a plain function, this is called with each message as it arrives.

        Args:
            topic: as for `subscribe`.
            qos: as for `subscribe`.
            callback: gets the messages.
            no_local: as for `subscribe`.
            retain_as_published: as for `subscribe`.
            retain_handling: as for `subscribe`.
            queue_size: messages of QoS 0 that may wait.
            queue_bytes: bytes that they may have.
            overflow: what happens beyond; see `Messages`.
            timeout: seconds to subscribe, in place of the client's.

        Raises:
            AddressError: an option is wrong.
            LocalProtocolError: there is no topic filter.
        """
        session = self._session
        subscriptions = subscriptions_of(
            topic,
            qos,
            no_local=no_local,
            retain_as_published=retain_as_published,
            retain_handling=retain_handling,
        )
        subscribe = partial(self._subscribe_each, timeout=timeout)
        if callback is not None:
            return OwnSubscription(
                session,
                subscriptions,
                lambda taken: Callback(callback, taken),
                subscribe,
                manual=self._manual,
            )
        return OwnSubscription(
            session,
            subscriptions,
            lambda taken: Messages(
                queue_size=queue_size,
                queue_bytes=queue_bytes,
                overflow=overflow,
                on_taken=taken,
                on_expired=session.taken,
                on_full=session.full,
            ),
            subscribe,
            manual=self._manual,
        )

    async def _subscribe_each(
        self, subscriptions: Sequence[Subscription], *, timeout: float | None
    ) -> list[ReasonCode]:
        """Subscribe to each by a packet of its own, for each has its own identifier."""
        asks = [partial(self._session.subscribe_held, entry) for entry in subscriptions]
        answers = await self._ask(asks, timeout)
        return [answer.reason_codes[0] for answer in answers]

    async def _ask(
        self, asks: Sequence[Callable[[], asyncio.Future[Answer]]], timeout: float | None
    ) -> list[Answer]:
        """Return the answers to requests; they are sent again where the connection is lost."""
        session, link = self._session, self._link
        async with self._limited("the server did not answer", timeout), self._requests:
            while True:
                connection = await link.ready()
                futures: list[asyncio.Future[Answer]] = []
                try:
                    futures.extend(ask() for ask in asks)  # keeps what came before an error
                    session.begin_awaiting()
                    try:
                        return [await future for future in futures]
                    finally:
                        session.end_awaiting()
                except LocalProtocolError as error:
                    raise connection_error(error, sent=False) from None
                except Error as error:
                    if connection.error is None or link.error is not None:
                        raise
                    if isinstance(error, ServerError):  # perhaps because of this very request
                        raise
                finally:
                    for future in futures:
                        if not future.cancel() and not future.cancelled():
                            future.exception()  # another one's error was raised

    # Receiving.

    async def acknowledge(self, message: Publish) -> None:
        """Acknowledge a message of QoS 1 or 2, with ``manual_acknowledgement``.

        It is sent when all earlier messages of the same QoS are acknowledged too, as the protocol
        demands; and on the next connection, if this one is lost before.

        Raises:
            LocalProtocolError: the message is of QoS 0.
            TransportError: there will be no connection any more.
        """
        if not message.qos:
            error = LocalProtocolError("a message of QoS 0 has no acknowledgement")
            raise connection_error(error, sent=False)
        self._link.check()
        self._session.acknowledge(message)

    async def reauthenticate(self, *, timeout: float | None = None) -> None:
        """Authenticate anew, with the same `Authentication`; the connection ends if that fails.

        Raises:
            MqttCodeError: the server refuses.
            LocalProtocolError: the client has no ``authentication``.
            ReadTimeout: the server did not answer in time.
            TransportError: there is no connection.
        """
        authentication = self._settings.authentication
        if authentication is None:
            error = LocalProtocolError("the client has no enhanced authentication [MQTT-4.12.1-1]")
            raise connection_error(error, sent=False)
        async with self._limited("the server did not answer", timeout), self._authenticating:
            await reauthenticate(await self._link.ready(), authentication)

    # Time limits.

    @asynccontextmanager
    async def _limited(self, what: str, timeout: float | None) -> AsyncGenerator[None]:
        """Bound the time that a call takes."""
        seconds = self._settings.timeout if timeout is None else timeout
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._too_late(what, seconds) from None

    def _too_late(self, what: str, seconds: float | None) -> Error:
        text = f"{what} within {seconds} s"
        if self._link.current is None and self._link.last_error is not None:
            text = f"{text}, there is no connection: {self._link.last_error}"
        elif self._session.reading_waits:
            text = f"{text}: nothing more is read until messages that arrived are taken"
        return connection_error(ReadTimeout(text))
