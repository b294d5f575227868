"""Requests and the responses to them, which are messages like others.

Source: MQTT 5.0, sections 3.2.2.3.15 and 4.10.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from wirekit._errors import BusyError, LocalProtocolError, SocketClosed
from wirekit.protocols.mqtt import ReasonCode, Subscription, check_topic_name

from ._calls import Calls
from ._errors import MqttCodeError, connection_error
from ._subscription import OwnSubscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.mqtt import Properties, Publish

    from ._options import Payload
    from ._reconnecting import Reconnecting
    from ._session import Session
    from ._settings import Settings

__all__ = ["Requests"]

_KEPT = 16  # response topics that stay subscribed to while nobody waits there


class Requests(Calls):
    """The calls by which clients ask one another; `MQTT` is the whole.

    Attributes:
        client_id: the one in use.
        response_information: what the server says that response topics are to begin with.
    """

    client_id: str
    response_information: str | None = None

    def __init__(
        self, settings: Settings, session: Session, link: Reconnecting, *, manual: bool
    ) -> None:
        super().__init__(settings, session, link, manual=manual)
        self._opening = asyncio.Lock()
        # By topic; in the order of their last use.
        self._responses: dict[str, tuple[Responses, OwnSubscription[Responses]]] = {}

    async def request(
        self,
        topic: str,
        payload: Payload = None,
        qos: int = 0,
        *,
        properties: Properties | None = None,
        timeout: float | None = None,
    ) -> Publish:
        """Publish a request, and return the first response to it; 5.0 only.

        Responses come to one topic for all requests of this client, which it subscribes to with
        the first and leaves when it is closed: what the server's Response Information says, or
        ``response/<client_id>``. A ``response_topic`` in ``properties`` goes before that, and so
        does ``correlation_data``. Nobody gets the request when its time is over: its Message
        Expiry Interval is the timeout, unless ``properties`` have another.

        Args:
            topic: where those who respond are subscribed.
            payload: as for `publish`.
            qos: as for `publish`.
            properties: as for `publish`.
            timeout: seconds for everything, in place of the client's.

        Raises:
            ReadTimeout: no response came in time.
            MqttCodeError: the server refused the request, or the subscription to the responses, or
                it said that nobody is subscribed to the topic.
            BusyError: another request with the same ``correlation_data`` is under way.
            LocalProtocolError: it must not be sent, or not to this server.
            TransportError: there is no connection.
        """
        if self._settings.version == 4:
            raise connection_error(LocalProtocolError("3.1.1 has no requests"), sent=False)
        given: Properties = {} if properties is None else properties
        async with self._limited(f"no response from {topic!r}", timeout):
            response_topic = given.get("response_topic") or self._response_topic()
            if not _is_topic_name(response_topic):
                error = LocalProtocolError("the Response Topic is no topic name [MQTT-3.3.2-14]")
                raise connection_error(error, sent=False)
            correlation_data = given.get("correlation_data") or secrets.token_bytes(16)
            own: Properties = {
                **self._expiring(timeout),
                **given,
                "response_topic": response_topic,
                "correlation_data": correlation_data,
            }
            session = self._session
            responses = await self._subscribed(response_topic, timeout)
            future = responses.expect(correlation_data)
            try:
                code = await self.publish(topic, payload, qos, False, own, timeout=timeout)
                if code == ReasonCode.NO_MATCHING_SUBSCRIBERS:
                    raise MqttCodeError(f"a request to {topic!r}", code)
                session.begin_awaiting()
                try:
                    return await future
                finally:
                    session.end_awaiting()
            finally:
                responses.forget(correlation_data)
                await self._leave_unused()

    async def respond(
        self,
        request: Publish,
        payload: Payload = None,
        qos: int | None = None,
        *,
        properties: Properties | None = None,
        timeout: float | None = None,
    ) -> ReasonCode:
        """Publish the response to a request that was received.

        Args:
            request: says in its properties where to, and which one it is.
            payload: as for `publish`.
            qos: as for `publish`; None is that of the request.
            properties: as for `publish`.
            timeout: as for `publish`.

        Returns:
            What the server said, as `publish` does.

        Raises:
            LocalProtocolError: the message wants no response.
            Error: as `publish`.
        """
        wanted = request.properties
        if "response_topic" not in wanted:
            error = LocalProtocolError("the message wants no response: it has no Response Topic")
            raise connection_error(error, sent=False)
        own: Properties = {} if properties is None else {**properties}
        if "correlation_data" in wanted:
            own["correlation_data"] = wanted["correlation_data"]
        qos = request.qos if qos is None else qos
        return await self.publish(
            wanted["response_topic"], payload, qos, False, own, timeout=timeout
        )

    def _response_topic(self) -> str:
        """Return the topic for the responses to this client."""
        information = self.response_information
        if information:
            topic = f"{information.removesuffix('/')}/responses"
            if _is_topic_name(topic):  # what it may be is not specified
                return topic
        topic = f"response/{self.client_id}"
        if self.client_id and _is_topic_name(topic):
            return topic
        return f"response/{hashlib.sha256(self.client_id.encode()).hexdigest()}"

    def _expiring(self, timeout: float | None) -> Properties:
        seconds = self._settings.timeout if timeout is None else timeout
        return {} if seconds is None else {"message_expiry_interval": max(1, ceil(seconds))}

    async def _subscribed(self, topic: str, timeout: float | None) -> Responses:
        """Return who gets the responses on a topic."""
        found = self._responses.get(topic)
        if found is None or found[0].ended:
            async with self._opening:
                await self._subscribe_to_responses(topic, timeout)
        found = self._responses[topic] = self._responses.pop(topic)
        return found[0]

    async def _subscribe_to_responses(self, topic: str, timeout: float | None) -> None:
        found = self._responses.get(topic)
        if found is not None:
            if not found[0].ended:
                return  # another request did it meanwhile
            await self._leave(topic)
        subscription = OwnSubscription(
            self._session,
            [Subscription(topic, 2, retain_handling=2)],
            Responses,
            partial(self._subscribe_each, timeout=timeout),
            manual=False,
        )
        self._responses[topic] = (await subscription.__aenter__(), subscription)

    async def _leave_unused(self) -> None:
        for topic, (responses, _) in list(self._responses.items()):
            if len(self._responses) > _KEPT and not responses.waiting:
                await self._leave(topic)

    async def _leave(self, topic: str) -> None:
        _, subscription = self._responses.pop(topic)
        await subscription.__aexit__(None, None, None)

    async def _end_requests(self) -> None:
        """Unsubscribe everywhere, as the client is being closed; does not wait for the server."""
        for topic in list(self._responses):
            await self._leave(topic)


class Responses:
    """The consumer of a response topic: hands each response to who waits for it.

    One that nobody waits for, or that is not the first to its request, is dropped.

    Attributes:
        waiting: who waits, by Correlation Data.
        ended: whether no more responses come.
    """

    def __init__(self, on_taken: Callable[[Publish], None]) -> None:
        self.waiting: dict[bytes, asyncio.Future[Publish]] = {}
        self.ended = False
        self._on_taken = on_taken

    def expect(self, correlation_data: bytes) -> asyncio.Future[Publish]:
        """Return what gets the response with this Correlation Data, until `forget`.

        Raises:
            BusyError: it is expected already.
        """
        if correlation_data in self.waiting:
            error = BusyError("a request with the same Correlation Data is under way")
            raise connection_error(error, sent=False)
        future: asyncio.Future[Publish] = asyncio.get_running_loop().create_future()
        self.waiting[correlation_data] = future
        return future

    def forget(self, correlation_data: bytes) -> None:
        """Expect that response no longer."""
        future = self.waiting.pop(correlation_data)
        if not future.cancel() and not future.cancelled():
            future.exception()  # the request itself may have failed before

    def put(self, messages: list[Publish]) -> None:
        """Hand out responses that arrived together."""
        for message in messages:
            future = self.waiting.get(message.properties.get("correlation_data", b""))
            if future is not None and not future.done():
                future.set_result(message)
            if message.qos:
                self._on_taken(message)

    def discard(self) -> None:
        """End, because nobody wants the responses."""
        self.end(None)

    def end(self, error: Exception | None) -> None:
        """End, because the connection or the subscription ended."""
        self.ended = True
        for future in self.waiting.values():
            if not future.done():
                reason = SocketClosed("the client was closed") if error is None else error
                future.set_exception(connection_error(reason))


def _is_topic_name(text: str) -> bool:
    try:
        check_topic_name(text)
    except LocalProtocolError:
        return False
    return True
