"""One network connection: packets out and in, alive as long as the server is."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    ConnectionLost,
    LocalProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    ServerError,
    SocketClosed,
    TransportError,
    WriteTimeout,
)
from wirekit.adapters._writing import LARGE, write_pieces
from wirekit.protocols.mqtt import Disconnect, PingReq, ReasonCode, Violation

from ._errors import MqttCodeError, connection_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.mqtt import Codec, Packet, Publish
    from wirekit.sockets import Promise, Socket

__all__ = ["Connection"]

_SMALLEST_READ = 4096
_LARGEST_READ = 262144
_MOST_KEPT = 4  # packets that nobody has asked for; one read may bring more
_MOST_ANSWERS = 4  # times max_buffered that are gathered for a server that does not read
_PATIENCE = 60.0  # seconds for a server to take something, where no other limit is set
_PING_AT = 0.9  # of the Keep Alive, so that the timer's own delay breaks no promise


class Connection(asyncio.BufferedProtocol):
    """One network connection: the codec on a socket; knows nothing of sessions.

    Packets of one turn of the event loop leave in one write. What is received goes to ``receive``,
    all packets of one read at once; until somebody has set it, it is kept for `next_packet`.

    Args:
        socket: an open socket; it belongs to the connection from here on.
        codec: a fresh codec.
        timeout: seconds that the server may take to show a sign of life when asked for it; without
            Keep Alive, to take something of what is written.
        max_buffered: bytes that are gathered before writers should wait.

    Attributes:
        full: whether writers should wait; `send` takes more nevertheless.
        error: why the connection is over; None as long as it is not.
        codec: the codec.
        before_write: called before anything is written, to make sure of what it depends on.
        on_writable: called when ``full`` has ended.
        on_lost: called once, when the connection is over.
    """

    def __init__(
        self, socket: Socket, codec: Codec, *, timeout: float | None, max_buffered: int
    ) -> None:
        self.full = False
        self.error: Exception | None = None
        self.codec = codec
        self.before_write: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self._receive: Callable[[list[Packet]], None] | None = None
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(_SMALLEST_READ))
        self._fault: RemoteProtocolError | None = None  # ends it when what came before is handled
        self._kept: deque[Packet] = deque()
        self._keeping = False  # whether reading waits, because so many are kept
        self._next: asyncio.Future[None] | None = None
        self._out: list[Buffer] = []
        self._gathered = 0  # bytes in it
        self._max_buffered = max_buffered
        self._congested = False
        self._answers = 0  # bytes gathered by `send` since it is congested
        self._choked = False  # whether reading waits, because these are too many
        self._flush_scheduled = False
        self._writers: deque[asyncio.Future[None]] = deque()
        self._pauses = 0
        self._patience = timeout or 0.0
        self._keep_alive = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._last_sent = self._last_heard = self._loop.time()
        self._asked: float | None = None  # when the server was, if nothing was heard since
        self._handed = 0  # bytes given to the transport …
        self._taken = 0  # … and taken from it, when last looked at
        self._piled = False  # whether some were left then
        self._transport = socket.attach(self)

    @property
    def peer(self) -> str:
        """The address of the server, as asked for."""
        return self._socket.remote_address

    # Sending.

    def send(self, packet: Packet) -> None:
        """Send a packet.

        Raises:
            LocalProtocolError: it must not be sent, or not on this connection.
            TransportError: the connection is over.
        """
        if self.error is not None:
            raise connection_error(self.error, sent=False)
        if self._fault is not None:
            return
        data = self.codec.send(packet)
        self._out.append(data)
        self._gathered += len(data)
        self._schedule()
        if self._congested:
            self._answers += len(data)
            if not self._choked and self._answers > _MOST_ANSWERS * self._max_buffered:
                self._choked = True
                self.pause_reading()

    def send_publish(self, packet: Publish) -> None:
        """Send a message; a large payload is not copied.

        Raises:
            LocalProtocolError: the server does not want it.
            TransportError: the connection is over.
        """
        if self.error is not None:
            raise connection_error(self.error, sent=False)
        if self._fault is not None:
            return
        size = len(packet.payload)
        if size < LARGE:
            data = self.codec.send(packet)
            size = len(data)
            self._out.append(data)
        else:
            self._out += self.codec.send_buffers(packet)
        self._gathered += size
        if not self._flush_scheduled:
            self._schedule()
        if self._gathered >= self._max_buffered:
            self.full = True

    def _schedule(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what was gathered, as much as there is room for."""
        self._flush_scheduled = False
        if self._congested or not self._out:
            return
        if self.before_write is not None:
            try:
                self.before_write()
            except Exception as error:
                self.fail(error)
                return
        out, self._out = self._out, []
        self._handed += sum(map(len, out))
        self._out = write_pieces(self._transport, out, self._is_congested)
        self._gathered = sum(map(len, self._out))
        self._handed -= self._gathered
        self._last_sent = self._loop.time()
        self._check_full()

    def _is_congested(self) -> bool:
        return self._congested

    def _check_full(self) -> None:
        self.full = self._congested or self._gathered >= self._max_buffered
        if not self._congested:
            self._answers = 0
            if self._choked:
                self._choked = False
                self.resume_reading()
        if not self.full:
            self._wake_writers()
            if self.on_writable is not None and self.error is None:
                self.on_writable()

    async def writable(self) -> None:
        """Wait while the server takes bytes more slowly than they are sent.

        Raises:
            TransportError: the connection is over.
        """
        while self.full and self.error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writers.append(waiter)
            await waiter
        if self.error is not None:
            raise connection_error(self.error, sent=False)

    def pause_writing(self) -> None:
        """Follow the transport's flow control."""
        self._congested = self.full = True
        self._limit_writing()

    def resume_writing(self) -> None:
        """Follow the transport's flow control."""
        self._congested = False
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self.error is None:
            self._flush()
            self._check_full()

    def _limit_writing(self) -> None:
        # Where there is a Keep Alive, PINGRESP does not come in time either.
        if self.error is None and not self._keep_alive:
            unwritten = self._transport.get_write_buffer_size()
            patience = self._patience or _PATIENCE
            self._write_timer = self._loop.call_later(patience, self._check_taken, unwritten)

    def _check_taken(self, before: int) -> None:
        """Give up a server that has taken nothing of so many bytes."""
        if self._transport.get_write_buffer_size() < before or self._pauses > self._choked:
            self._limit_writing()  # it takes something, or perhaps waits for us to listen
        elif self._keep_alive:
            self._write_timer = None  # it was set meanwhile
        else:
            self.fail(WriteTimeout(f"{self.peer} took nothing for {self._patience or _PATIENCE} s"))

    def _wake_writers(self) -> None:
        while self._writers:
            waiter = self._writers.popleft()
            if not waiter.done():
                waiter.set_result(None)

    # Receiving.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop room to receive into."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes: hand on the packets in them."""
        view = self._view
        if nbytes == len(view) < _LARGEST_READ:
            self._view = memoryview(bytearray(4 * nbytes))
        self._last_heard = self._loop.time()
        try:
            packets: list[Packet] = self.codec.receive_data(view[:nbytes])
        except RemoteProtocolError as error:
            packets = cast("list[Packet]", error.events)
            error.events = []  # they are no business of those who get the error
            self._fault = error.with_traceback(None)  # nor to be kept by its frames
        try:
            if packets and self.error is None:
                self._dispatch(packets)
        except Exception as error:
            self.fail(error)
        if self._fault is not None:
            self.fail(self._fault)

    def _dispatch(self, packets: list[Packet]) -> None:
        if self._receive is not None:
            self._receive(packets)
        else:
            self.keep(packets)

    def keep(self, packets: Iterable[Packet]) -> None:
        """Let somebody have these from `next_packet`."""
        self._kept += packets
        if not self._keeping and len(self._kept) > _MOST_KEPT:
            self._keeping = True
            self.pause_reading()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    async def next_packet(self) -> Packet:
        """Return the next packet that is kept: each, as long as nobody else gets them.

        Raises:
            Error: the connection is over.
        """
        while not self._kept:
            if self.error is not None:
                raise connection_error(self.error)
            self._next = self._loop.create_future()
            await self._next
        packet = self._kept.popleft()
        if not self._kept:
            self._keep_no_more()
        return packet

    def _keep_no_more(self) -> None:
        if self._keeping:
            self._keeping = False
            self.resume_reading()

    def start(self, receive: Callable[[list[Packet]], None], keep_alive: int) -> None:
        """Give received packets to ``receive`` from now on, those first that came already.

        Args:
            receive: gets lists of packets.
            keep_alive: seconds without a packet after which the server is asked for a sign of
                life; 0 for never.
        """
        self._receive = receive
        packets = list(self._kept)
        self._kept.clear()
        if keep_alive:
            self._keep_alive = _PING_AT * keep_alive
            self._patience = self._patience or keep_alive
            self._timer = self._loop.call_later(self._keep_alive, self._check_alive)
        if packets:
            try:
                receive(packets)
            except Exception as error:
                self.fail(error)
        self._keep_no_more()

    def pause_reading(self) -> None:
        """Read no more until `resume_reading` was called as often as this."""
        self._pauses += 1
        if self._pauses == 1 and self.error is None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take back one `pause_reading`."""
        self._pauses -= 1
        if not self._pauses and self.error is None:
            self._last_heard = self._loop.time()
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """Take the end of the server's stream."""
        try:
            self.codec.receive_eof()
        except RemoteProtocolError:  # so does a server end that crashes
            self.fail(
                ConnectionLost(f"{self.peer} closed the connection in the middle of a packet")
            )
        else:
            self.connection_lost(None)  # nothing can come any more; the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        if self.error is None:
            lost = ConnectionLost(f"{self.peer} closed the connection")
            if exc is not None:
                lost = ConnectionLost(f"the connection to {self.peer} was lost: {exc}")
                lost.__cause__ = exc
            self._over(lost)

    # Keep Alive (§3.1.2.10).

    def _check_alive(self) -> None:
        """Ask for a sign of life when it is time, and give up a server that gives none."""
        now = self._loop.time()
        patience = self._patience
        if self._pauses > self._choked or self._drains():
            self._last_heard = now  # we do not listen, or it takes what we send
        if self._asked is not None and self._last_heard > self._asked:
            self._asked = None
        if self._asked is not None and now >= self._asked + patience:
            self.fail(ReadTimeout(f"{self.peer} gave no sign of life for {patience} s"))
            return
        listened = self._last_heard if self._asked is None else now
        if now >= min(self._last_sent, listened) + self._keep_alive:
            try:
                self.send(PingReq())
            except LocalProtocolError as error:  # larger than this server's Maximum Packet Size
                self.fail(error)
                return
            self._last_sent = now
            self._asked = self._asked or now
        due = self._last_sent + self._keep_alive
        if self._asked is None:
            due = min(due, self._last_heard + self._keep_alive)
        else:
            due = min(due, self._asked + patience)
        self._timer = self._loop.call_at(due, self._check_alive)

    def _drains(self) -> bool:
        """Whether the server has taken some of what had piled up since the last time."""
        unwritten = self._transport.get_write_buffer_size()
        taken, before = self._handed - unwritten, self._taken
        piled, self._piled = self._piled, unwritten > 0
        self._taken = taken
        return piled and taken > before

    # Ending.

    def disconnected(self, packet: Disconnect) -> None:
        """Take the server's DISCONNECT."""
        if packet.reason_code < 0x80:
            self.fail(ConnectionLost(f"{self.peer} closed the connection"))
        else:
            step = f"{self.peer} ended the connection"
            self.fail(MqttCodeError(step, packet.reason_code, packet.properties))

    def fail(self, error: Exception, reason_code: ReasonCode | None = None) -> None:
        """Give the connection up; a server at fault is told why (§4.13).

        Args:
            error: for those who wait.
            reason_code: what the server is told; None: it follows from the error.
        """
        if self.error is not None:
            return
        if reason_code is None:
            reason_code = _reason_code(error)
        told = reason_code is not None and self._tell(reason_code)
        self._over(error)
        if told:
            self._socket.close(error)
        else:
            self._socket.abort(error)

    def _tell(self, reason_code: ReasonCode) -> bool:
        # Not what was gathered: it may depend on what is not stored, and nobody will read it.
        if self.codec.version == 4 or self._congested:
            return False
        try:
            self._transport.write(self.codec.send(Disconnect(reason_code)))
        except LocalProtocolError:  # the server has ended it already, or it has not begun
            return False
        return True

    def close(self, goodbye: Disconnect | None = None) -> Promise[None]:
        """Send what is gathered and DISCONNECT, then close."""
        if self.error is None:
            if goodbye is not None:
                try:
                    self.send(goodbye)
                except LocalProtocolError:  # too large for this server, which may take less
                    with contextlib.suppress(LocalProtocolError):
                        self.send(Disconnect())
            self._flush()
        if self.error is None:
            self._over(SocketClosed(f"the connection to {self.peer} was closed"))
        return self._socket.close()

    def _over(self, error: Exception) -> None:
        self.error = error
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._write_timer = None
        self._out.clear()
        self._gathered = 0
        self._wake_writers()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        if self.on_lost is not None:
            self.on_lost()


def _reason_code(error: Exception) -> ReasonCode | None:
    """Return what to tell the server; None: nothing, it is not there or knows."""
    if isinstance(error, Violation):
        return error.reason_code
    if isinstance(error, TransportError | ServerError):
        return None
    return ReasonCode.UNSPECIFIED_ERROR
