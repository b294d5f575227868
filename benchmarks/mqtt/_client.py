"""What an MQTT participant does; for a library most of it is the same around its own calls."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING

from benchmarks._model import Participant, Unsupported, WrongReply
from benchmarks.mqtt._data import new_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._model import Address
    from benchmarks.mqtt._data import Flow, Message

__all__ = ["Inbox", "MQTTLibrary", "MQTTParticipant"]

PATIENCE = 60.0  # seconds after which a message that did not come is lost


class MQTTParticipant(Participant):
    """The work of the MQTT rows; each participant is given one flow only."""

    @abstractmethod
    async def deliver(self, flow: Flow) -> list[list[bytes]]:
        """Publish every payload of the flow, and return what each subscriber received.

        It is over when each has received as many as were published and, above QoS 0, the
        publisher has its acknowledgements. The subscribers are made by the first call.
        """

    @abstractmethod
    def read(self, packet: bytes, times: int) -> Message:
        """Read a packet so many times, and return what the last one says."""

    @abstractmethod
    def write(self, message: Message, times: int) -> bytes:
        """Write a message so many times as a packet, and return the last one."""


class Inbox:
    """What one subscriber receives."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._wanted = 0

    def expect(self, count: int) -> None:
        """Begin anew, and wait for so many payloads."""
        self.payloads = []
        self._wanted = count
        self._loop = asyncio.get_running_loop()
        self._full: asyncio.Future[None] = self._loop.create_future()

    def put(self, payload: bytes) -> None:
        """Take a payload; libraries call it for every message."""
        self.payloads.append(payload)
        if len(self.payloads) == self._wanted:
            self.fill()

    def fill(self) -> None:
        """Say that all is there."""
        self._full.set_result(None)

    async def full(self) -> list[bytes]:
        """Return the payloads when all are there.

        Raises:
            WrongReply: some are missing after a long time.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._full
        except TimeoutError:
            missing = self._wanted - len(self.payloads)
            raise WrongReply(f"{missing} of {self._wanted} messages did not come") from None
        return self.payloads


class MQTTLibrary(MQTTParticipant):
    """A library: a client that publishes and, for each subscriber, one that receives."""

    inbox: type[Inbox] = Inbox

    def __init__(self) -> None:
        self.address: Address = ("", 0)
        self.topic = new_topic()
        self._inboxes: list[Inbox] = []
        self._payloads: list[bytes] = []

    async def connect(self, address: Address) -> None:
        self.address = address
        await self.open_publisher()

    async def deliver(self, flow: Flow) -> list[list[bytes]]:
        for inbox in self._inboxes:
            inbox.expect(flow.count)
        if not self._inboxes:
            await self._open(flow)
        await self.publish(self._payloads, flow.qos)
        return [await inbox.full() for inbox in self._inboxes]

    async def _open(self, flow: Flow) -> None:
        self._payloads = flow.payloads()
        for _ in range(flow.subscribers):
            inbox = self.inbox()
            inbox.expect(flow.count)
            await self.open_subscriber(flow.qos, inbox)
            self._inboxes.append(inbox)

    @abstractmethod
    async def open_publisher(self) -> None:
        """Connect the client that publishes."""

    @abstractmethod
    async def open_subscriber(self, qos: int, inbox: Inbox) -> None:
        """Connect and subscribe a client that puts every payload into ``inbox``."""

    @abstractmethod
    async def publish(self, payloads: Sequence[bytes], qos: int) -> None:
        """Publish all of them to `topic`; above QoS 0 return when all are acknowledged."""

    def read(self, packet: bytes, times: int) -> Message:
        raise Unsupported("its codec is not for others to call")

    def write(self, message: Message, times: int) -> bytes:
        raise Unsupported("its codec is not for others to call")
