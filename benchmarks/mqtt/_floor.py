"""The floor: bare blocking sockets with prebuilt bytes.

It publishes everything at once and looks now and then what has come, since to wake a reader for
each message costs the broker as much as the message does. It acknowledges by identifiers that are
copied at even distances from what came, and compares bytes; no message becomes an object. The
distance to it is the price of a client library, and of being told at once.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar

from benchmarks._model import Role, Unsupported, WrongReply
from benchmarks.mqtt._client import MQTTParticipant
from benchmarks.mqtt._data import Message, new_topic
from benchmarks.mqtt._wire import connect, publish, subscribe

if TYPE_CHECKING:
    from benchmarks._model import Address
    from benchmarks.mqtt._data import Flow

__all__ = ["Client"]

PUBACK, PUBREC, PUBREL, PUBCOMP = 0x40, 0x50, 0x62, 0x70
ACKNOWLEDGEMENT = 4  # bytes of each of these
PATIENCE = 60.0  # seconds
PAUSE = 0.0005  # seconds

Bytes = bytes | bytearray


class Client(MQTTParticipant):
    """Not a library: what the machine, the kernel and the broker allow."""

    name = "floor"
    role: ClassVar[Role] = "floor"
    note = (
        "blocking sockets, prebuilt bytes out, bytes looked for every half a millisecond and "
        "compared; no objects made"
    )

    def __init__(self) -> None:
        self._topic = new_topic()
        self._stack = ExitStack()
        self._subscribers: list[_Subscriber] = []

    @classmethod
    def version(cls) -> str:
        return "standard library"

    async def connect(self, address: Address) -> None:
        self._address = address
        self._publisher = self._stack.enter_context(connect(address))
        self._publisher.setblocking(True)

    async def close(self) -> None:
        self._stack.close()

    async def deliver(self, flow: Flow) -> list[list[bytes]]:
        if not self._subscribers:
            self._prepare(flow)
        (self._at_most_once, self._at_least_once, self._exactly_once)[flow.qos]()
        for subscriber in self._subscribers:
            subscriber.check()
        return [self._payloads for _ in self._subscribers]

    def _prepare(self, flow: Flow) -> None:
        self._payloads = flow.payloads()
        numbers = range(1, flow.count + 1)
        packets = [
            publish(self._topic, payload, flow.qos, number)
            for number, payload in zip(numbers, self._payloads, strict=True)
        ]
        self._request = b"".join(packets)
        identifiers = b"".join(number.to_bytes(2, "big") for number in numbers)
        self._acknowledged = {
            first: _acknowledgements(first, identifiers[::2], identifiers[1::2])
            for first in (PUBACK, PUBREC, PUBREL, PUBCOMP)
        }
        for _ in range(flow.subscribers):
            connection = self._stack.enter_context(connect(self._address))
            subscribe(connection, self._topic, flow.qos)
            connection.setblocking(True)
            expected = [publish(self._topic, payload, flow.qos, 0) for payload in self._payloads]
            self._subscribers.append(_Subscriber(connection, expected, flow))

    # The flows of section 4.3. The broker reads on while nobody takes what it writes.

    def _at_most_once(self) -> None:
        self._publisher.sendall(self._request)
        for subscriber in self._subscribers:
            _fill(subscriber.connection, subscriber.room)

    def _at_least_once(self) -> None:
        self._publisher.sendall(self._request)
        _expect(self._publisher, self._acknowledged[PUBACK])
        for subscriber in self._subscribers:
            _fill(subscriber.connection, subscriber.room)
        for subscriber in self._subscribers:
            subscriber.connection.sendall(subscriber.acknowledgements(PUBACK))

    def _exactly_once(self) -> None:
        self._publisher.sendall(self._request)
        _expect(self._publisher, self._acknowledged[PUBREC])
        self._publisher.sendall(self._acknowledged[PUBREL])
        _expect(self._publisher, self._acknowledged[PUBCOMP])
        for subscriber in self._subscribers:
            _fill(subscriber.connection, subscriber.room)
        for subscriber in self._subscribers:
            subscriber.connection.sendall(subscriber.acknowledgements(PUBREC))
        for subscriber in self._subscribers:
            _expect(subscriber.connection, subscriber.acknowledgements(PUBREL))
            subscriber.connection.sendall(subscriber.acknowledgements(PUBCOMP))

    def read(self, packet: bytes, times: int) -> Message:
        raise Unsupported("there are bytes only")

    def write(self, message: Message, times: int) -> bytes:
        raise Unsupported("there are bytes only")


class _Subscriber:
    """A socket, the PUBLISH packets that must come, and room for them.

    The broker chooses their packet identifiers, so these are not compared.
    """

    def __init__(self, connection: socket.socket, expected: list[bytes], flow: Flow) -> None:
        self.connection = connection
        self.room = bytearray(sum(map(len, expected)))
        self._expected = bytearray(b"".join(expected))
        self._size = len(expected[0])
        # Where it stands in a packet: behind it come the property length, a byte, and the payload.
        self._identifier = self._size - flow.size - 3 if flow.qos else None
        self._nothing = bytes(len(expected))

    def acknowledgements(self, first: int) -> bytearray:
        """Return an acknowledgement of each packet that came."""
        assert self._identifier is not None
        high = self.room[self._identifier :: self._size]
        low = self.room[self._identifier + 1 :: self._size]
        return _acknowledgements(first, high, low)

    def check(self) -> None:
        """Compare what came, once the identifiers are wiped out."""
        if self._identifier is not None:
            self.room[self._identifier :: self._size] = self._nothing
            self.room[self._identifier + 1 :: self._size] = self._nothing
        if self.room != self._expected:
            raise WrongReply("other messages came")


def _acknowledgements(first: int, high: Bytes, low: Bytes) -> bytearray:
    """Return an acknowledgement of success for each packet identifier."""
    packets = bytearray([first, 2, 0, 0]) * len(high)
    packets[2::ACKNOWLEDGEMENT] = high
    packets[3::ACKNOWLEDGEMENT] = low
    return packets


def _fill(connection: socket.socket, room: bytearray) -> None:
    view = memoryview(room)
    deadline = time.monotonic() + PATIENCE
    while view:
        try:
            count = connection.recv_into(view, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise WrongReply(f"{len(view)} of {len(room)} bytes did not come") from None
            time.sleep(PAUSE)
            continue
        if not count:
            raise WrongReply("the broker closed the connection")
        view = view[count:]


def _expect(connection: socket.socket, packets: bytearray) -> None:
    room = bytearray(len(packets))
    _fill(connection, room)
    if room != packets:
        raise WrongReply("other acknowledgements came")
