"""The session: what outlives a network connection, and what every packet does to it.

Source: MQTT 5.0, section 4.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, SocketClosed
from wirekit.protocols.mqtt import (
    Auth,
    Disconnect,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    UnsubAck,
)

from ._errors import StoreError, connection_error
from ._incoming import Incoming
from ._messages import Callback, Messages
from ._outgoing import Outgoing
from ._packet_ids import PacketIds
from ._routing import Router
from ._store import StoredSession
from ._subscriptions import Subscriptions

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Mapping, Sequence

    from wirekit.protocols.mqtt import (
        ConnAck,
        Packet,
        Properties,
        ReasonCode,
        Subscription,
        Version,
    )

    from ._connection import Connection
    from ._messages import Consumer
    from ._outgoing import Flow
    from ._store import OutgoingEntry, SessionStore
    from ._subscriptions import Answer

__all__ = ["Session"]

# How many messages a server gets before it has acknowledged them, where it cannot say how many it
# wants. It is mosquitto's own default, which loses further ones of QoS 2 (2.0.11), and paho's.
_WINDOW_OF_3_1_1 = 20
_WITH_REASON = 5  # bytes of an acknowledgement that gives a reason


class Session:
    """The state of a client's session, on one network connection after the other.

    Args:
        version: 5, or 4 for 3.1.1.
        receive_maximum: how many messages of QoS 1 and 2 may be unacknowledged before reading
            waits; None for any number.
        store: keeps the state on disk, or wherever; None: it ends with this object.

    Attributes:
        connection: the present one; None while there is none.
        outgoing: the messages that we send.
        incoming: those that we receive.
        subscriptions: which those are.
        router: which consumers have subscriptions of their own.
        unclaimed: the consumer of all other messages.
    """

    unclaimed: Messages

    def __init__(
        self,
        *,
        version: Version,
        receive_maximum: int | None = None,
        store: SessionStore | None = None,
    ) -> None:
        self.connection: Connection | None = None
        self.router = Router()
        self._version = version
        self._store = store
        ids = PacketIds()
        self.outgoing = Outgoing(ids, store)
        self.incoming = Incoming(self._answer, store)
        self.subscriptions = Subscriptions(
            ids, self._send, self._refused, store, changed=self.router.known
        )
        self._most_unacknowledged = receive_maximum
        self._pausing = False  # whether reading waits, because of it or of full consumers
        self._awaiting = 0  # calls that wait for what the server answers
        self._ended = False
        self._restored = False  # whether the store is open, and so ours to close
        self._full = 0  # consumers that want reading to wait
        self._control: dict[type[object], Callable[[Any], None]] = {
            PubRec: self._pubrec,
            PubRel: self.incoming.released,
            PubComp: self.outgoing.completed,
            SubAck: self.subscriptions.answered,
            UnsubAck: self.subscriptions.answered,
            PingResp: _ignore,
            Disconnect: self._disconnect,
            Auth: self._auth,
        }

    def restore(self, client_id: str, *, clean_start: bool) -> None:
        """Open the store, and go on with what it has.

        With ``clean_start`` these are only messages that were not sent: they are no part of the
        session state (§4.1).
        """
        if self._store is None:
            return
        stored = self._store.open(client_id)
        self._restored = True
        if clean_start:
            self._store.clear()
            unsent = [entry for entry in stored.outgoing if entry.packet_id is None]
            for entry in unsent:
                self._store.put_outgoing(entry)
            stored = StoredSession(unsent)
        self.subscriptions.restore(stored.subscriptions)
        self._go_on(stored.outgoing, stored.incoming)

    def close_store(self) -> None:
        """Let others open the store; may be called again."""
        if self._store is not None and self._restored:
            self._restored = False
            self._store.close()

    def inherit(self, older: Session) -> None:
        """Go on with what an earlier life of the client has left, as if it came from a store."""
        self.subscriptions.inherit(older.subscriptions)
        # What the server still sends for the blocks of then nobody takes.
        nobody = Callback(_ignore, self.taken)
        for name in self.subscriptions.stray:
            identifiers: Collection[int | None] = older.router.identifiers(name)
            for identifier in [None] if self._version == 4 else identifiers:
                self.router.add(nobody, name, identifier)
        self.router.leave(nobody)
        self.subscriptions.when_gone(partial(self._remove, nobody))
        self._go_on(older.outgoing.kept(), older.incoming.kept())

    def _go_on(
        self, outgoing: Sequence[OutgoingEntry], incoming: Mapping[int, Publish | None]
    ) -> None:
        self.outgoing.restore(outgoing)
        if messages := self.incoming.restore(incoming):
            self.unclaimed.put(messages)

    # The connection.

    def opened(self, connection: Connection, answer: ConnAck, keep_alive: int) -> None:
        """Go on with a connection that the server has consented to."""
        present = answer.session_present
        limits = connection.codec
        self.connection = connection
        connection.on_writable = self.pump
        if self._store is not None:
            connection.before_write = self._store.flush
            self._store.set_expiry(None)
        self.incoming.opened(session_present=present)
        self._check_reading()
        identifiers = limits.peer_subscription_identifier_available
        self.router.told_apart = identifiers and self._version == 5
        window = limits.peer_receive_maximum if self._version == 5 else _WINDOW_OF_3_1_1
        for packet in self.outgoing.opened(window, session_present=present):
            connection.send(packet)
        self.subscriptions.opened(session_present=present, identifiers=identifiers)
        self.pump()
        connection.start(self.receive, keep_alive)

    def lost(self, error: Exception, expires_at: float | None) -> None:
        """Note that the connection is over; what depends on it alone gets the error."""
        self.connection = None
        self._pausing = False
        self.outgoing.lost()
        self.incoming.lost()
        self.subscriptions.lost(error)
        if self._store is not None:
            self._store.set_expiry(expires_at)

    def end(self, error: Exception | None) -> None:
        """Tell everyone who waits that there will be no other connection; None: we closed."""
        self._ended = True
        self.outgoing.fail(error or SocketClosed("the client was closed"))
        for consumer in (self.unclaimed, *self.router.consumers):
            consumer.end(None if error is None else connection_error(error))

    def _send(self, packet: Packet) -> None:
        if self.connection is None:
            raise connection_error(SocketClosed("there is no connection"), sent=False)
        self.connection.send(packet)

    def _answer(self, packet: PubAck | PubRec | PubRel | PubComp) -> None:
        """Send the answer to a packet; the connection ends if the server takes none that small."""
        connection = self.connection
        if connection is None:
            return
        if isinstance(packet, PubRel | PubComp) and (
            self._version == 4 or connection.codec.peer_maximum_packet_size < _WITH_REASON
        ):
            packet = type(packet)(packet.packet_id)  # 3.1.1 knows no reason codes
        try:
            connection.send(packet)
        except LocalProtocolError as error:
            connection.fail(connection_error(error))

    # Sending.

    def publish(
        self, message: Publish, future: asyncio.Future[ReasonCode], lifetime: float | None = None
    ) -> Flow:
        """Send a message of QoS 1 or 2, or let it wait for its turn."""
        connection = self.connection
        at_once = connection is not None and not connection.full
        flow = self.outgoing.add(message, future, lifetime=lifetime, at_once=at_once)
        if connection is not None and message.packet_id is not None:
            try:
                connection.send_publish(message)
            except LocalProtocolError as error:
                self.outgoing.refuse(message, connection_error(error, sent=False))
        return flow

    def pump(self) -> None:
        """Send of the messages that wait what the server and the connection will take."""
        connection = self.connection
        while connection is not None and not connection.full:
            try:
                message = self.outgoing.next()
            except StoreError as error:
                connection.fail(error)
                return
            if message is None:
                return
            try:
                connection.send_publish(message)
            except LocalProtocolError as error:
                self.outgoing.refuse(message, connection_error(error, sent=message.duplicate))

    # Receiving.

    def receive(self, packets: list[Packet]) -> None:
        """Take what one read brought.

        Raises:
            RemoteProtocolError: the server does not keep to the protocol.
        """
        # The hot loop: one turn a packet.
        incoming, outgoing, router = self.incoming, self.outgoing, self.router
        unclaimed: list[Publish] = []
        claimed: dict[Consumer, list[Publish]] = {}
        try:
            for packet in packets:
                if type(packet) is Publish:
                    if packet.qos and not incoming.received(packet):
                        continue
                    if router.empty:
                        unclaimed.append(packet)
                    else:
                        self._route(packet, unclaimed, claimed)
                elif type(packet) is PubAck:
                    outgoing.acknowledged(packet)
                else:
                    self._control[type(packet)](packet)
                    if self.connection is None:
                        break
        finally:
            for consumer, messages in claimed.items():
                consumer.put(messages)
            if unclaimed:
                self.unclaimed.put(unclaimed)
        self.pump()
        self._check_reading()

    def _route(
        self,
        message: Publish,
        unclaimed: list[Publish],
        claimed: dict[Consumer, list[Publish]],
    ) -> None:
        consumers = self.router.route(message)
        if not consumers:
            unclaimed.append(message)
        if len(consumers) > 1 and message.qos:
            self.incoming.share(message, len(consumers))
        for consumer in consumers:
            claimed.setdefault(consumer, []).append(message)

    def _pubrec(self, packet: PubRec) -> None:
        answer = self.outgoing.received(packet)
        if answer is not None:
            self._answer(answer)

    def _disconnect(self, packet: Disconnect) -> None:
        if self.connection is not None:
            self.connection.disconnected(packet)

    def _auth(self, packet: Auth) -> None:
        if self.connection is not None:
            self.connection.keep([packet])  # for whoever asked; the codec lets no other come

    def _refused(self, topic_filter: str, error: Exception) -> None:
        """Tell who gets the messages of a subscription that there will be no more."""
        consumers = self.router.subscribers(topic_filter)
        for consumer in consumers:
            consumer.end(error)
        if not consumers:
            self.unclaimed.interrupt(error)  # for there may be others that it gets messages of

    # Consumers with subscriptions of their own.

    def hold(self, consumer: Consumer, subscriptions: Sequence[Subscription]) -> None:
        """Give a consumer the messages of these, which are yet to be subscribed to."""
        names = [subscription.topic_filter for subscription in subscriptions]
        self.subscriptions.hold(names)
        for name in names:
            identifier = self.subscriptions.identifier_for(name) if self._version == 5 else None
            self.router.add(consumer, name, identifier)
        # A session that goes on brings messages before there is anybody to claim them.
        waiting = self.unclaimed.claim(partial(self.router.is_for, consumer))
        if waiting:
            consumer.put(waiting)

    def subscribe_held(self, subscription: Subscription) -> asyncio.Future[Answer]:
        """Subscribe to one that is held, so that its messages say what they are for."""
        connection = self.connection
        properties: Properties = {}
        if (
            self._version == 5
            and connection is not None
            and connection.codec.peer_subscription_identifier_available
        ):
            identifier = self.subscriptions.identifier_for(subscription.topic_filter)
            properties = {"subscription_identifier": [identifier]}
        return self.subscriptions.subscribe([subscription], properties, kept=False)

    def let_go(self, consumer: Consumer, subscriptions: Sequence[Subscription]) -> None:
        """Take back one `hold`; what is still under way goes to the consumer as well."""
        names = [subscription.topic_filter for subscription in subscriptions]
        unwanted = self.subscriptions.let_go(names)
        if unwanted and not self._ended:
            self.router.leave(consumer)
            self.subscriptions.drop(unwanted, partial(self._remove, consumer))
        else:
            self._remove(consumer)

    def _remove(self, consumer: Consumer) -> None:
        self.router.remove(consumer)

    # What the application has taken.

    def taken(self, message: Publish) -> None:
        """Acknowledge a message of QoS 1 or 2 as soon as all its consumers have it."""
        self.incoming.taken(message)
        if self._pausing:
            self._check_reading()

    def acknowledge(self, message: Publish) -> None:
        """Acknowledge a message of QoS 1 or 2."""
        self.incoming.acknowledge(message)
        if self._pausing:
            self._check_reading()

    # Reading waits for the application.

    def full(self, is_full: bool) -> None:
        """Let reading wait as long as a consumer is full."""
        self._full += 1 if is_full else -1
        self._check_reading()

    def begin_awaiting(self) -> None:
        """Note that a call waits for the server: its answer comes behind what is not read."""
        self._awaiting += 1
        if self._pausing:
            self._check_reading()

    def end_awaiting(self) -> None:
        """Take back one `begin_awaiting`."""
        self._awaiting -= 1
        if not self._awaiting:
            self._check_reading()

    @property
    def reading_waits(self) -> bool:
        """Whether nothing is read because of messages that are not taken."""
        return self._pausing

    def _check_reading(self) -> None:
        if self.connection is None:
            return
        pausing = self._full > 0 and (not self._awaiting or self._is_overfull())
        most = self._most_unacknowledged
        # Where somebody waits, packet identifiers and the consumers' bytes are limits enough.
        if most is not None and not pausing and not self._awaiting:
            pausing = self.incoming.unacknowledged > most
        if pausing != self._pausing:
            self._pausing = pausing
            if pausing:
                self.connection.pause_reading()
            else:
                self.connection.resume_reading()

    def _is_overfull(self) -> bool:
        consumers = (self.unclaimed, *self.router.consumers)
        return any(isinstance(each, Messages) and each.overfull for each in consumers)


def _ignore(packet: object) -> None:
    """Take a PINGRESP, for that something came was noted already, or what nobody wants."""
