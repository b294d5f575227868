"""One connection of SSH's transport layer: packets out, packets in, and new keys in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from wirekit._errors import (
    ConnectionLost,
    Error,
    LocalProtocolError,
    RemoteProtocolError,
    SocketClosed,
)
from wirekit.protocols.ssh import (
    Debug,
    Disconnect,
    DisconnectReason,
    ExtInfo,
    Identified,
    KexInit,
    KeyExchanged,
    Packet,
    Pong,
    ServiceAccept,
    ServiceRequest,
    SSHProtocolError,
    State,
    Unimplemented,
)

from ._errors import DisconnectError, HostKeyError, SSHTimeoutError, connection_error
from ._exchanges import Exchanges
from ._inbox import Inbox
from ._outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.ssh import Algorithms, Codec, Event, HostKey, Message
    from wirekit.sockets import Socket

    from ._inbox import Received

__all__ = ["Connection"]

_SMALLEST_READ, _LARGEST_READ = 4096, 262144
_HIGH_WATER, _LOW_WATER = 262144, 65536  # bytes received that nobody has taken
# What a peer may send before it takes part in a key exchange; reading goes on until then.
_MAX_BEFORE_KEXINIT = 16 * 1024 * 1024
_MAX_ANSWERS = 1024 * 1024  # bytes of answers that it does not take
_LINGER = 1.0  # seconds in which a peer can read why we go


class Connection(asyncio.BufferedProtocol):
    """One connection: the codec on a socket, with what was received and nobody has taken yet.

    What is sent in one turn of the event loop leaves in one write. Reading stops while nobody
    takes what came, but never during a key exchange, which would otherwise wait for whoever may
    be waiting for it.

    Args:
        socket: an open socket; it belongs to the connection from here on.
        codec: a fresh codec of a client.
        verify: raises a `HostKeyError` for a host key that is not trusted.
        timeout: seconds for each key exchange, the first with the identification before it, and
            in which a peer that takes no bytes has to take some.
        rekey_interval: seconds after which keys are exchanged again; None for never.

    Attributes:
        identified: what the peer said it is, and the lines before that.
        kexinit: the peer's latest SSH_MSG_KEXINIT.
        exchanged: the latest key exchange.
        extensions: what the peer told by SSH_MSG_EXT_INFO.
        error: why the connection is over.
    """

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        *,
        verify: Callable[[HostKey], None],
        timeout: float = 30.0,
        rekey_interval: float | None = 3600.0,
    ) -> None:
        self.identified: Identified | None = None
        self.kexinit: KexInit | None = None
        self.exchanged: KeyExchanged | None = None
        self.extensions: dict[str, bytes] = {}
        self.error: Exception | None = None
        self._latest_extensions: dict[str, bytes] = {}
        self._socket = socket
        self._codec = codec
        self._verify = verify
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()  # no byte can come any more
        self._waiters: deque[asyncio.Future[None]] = deque()  # until keys or the peer are ready
        self._view = memoryview(bytearray(_SMALLEST_READ))
        self._inbox = Inbox(self._loop)
        self._outbox: Outbox
        self._answers = 0  # bytes of answers while the peer took none
        self._paused = False
        self._exchanges = Exchanges(
            self._loop,
            timeout,
            rekey_interval,
            on_late=self._exchange_is_late,
            on_due=self._exchange_is_due,
        )
        self._linger: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        socket.attach(self)

    @property
    def peer(self) -> str:
        """The address of the peer, as asked for."""
        return self._socket.remote_address

    # Sending

    async def ready(self) -> None:
        """Wait until keys have been exchanged and the peer takes what is sent.

        Raises:
            SSHError: the connection is over.
        """
        while self.error is None and (
            self._outbox.is_congested or self._codec.state is not State.OPEN
        ):
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self.error is not None:
            raise connection_error(self.error)

    async def send(self, *messages: Message | Buffer) -> None:
        """Send messages; see `Codec.send`.

        Raises:
            SSHError: the connection is over, or (a `LocalProtocolError`) they cannot be sent.
        """
        await self.ready()
        try:
            pieces = self._codec.send_buffers(*messages)
        except LocalProtocolError as error:
            raise connection_error(error) from None
        self._outbox.put(pieces)
        self._exchanges.has_data()
        if self._codec.state is State.CLOSED:
            self._leave(self._closed_here())  # the last was a good-bye
        self._after()

    async def rekey(self, algorithms: Algorithms | None = None) -> None:
        """Exchange keys, or wait for the end of the key exchange that is going on.

        Args:
            algorithms: what to offer from now on, by default the same as before.
        """
        if algorithms is not None:
            await self.ready()
        elif self.error is not None:
            raise connection_error(self.error)
        count = self._exchanges.count
        if self._codec.state is State.OPEN:
            self._begin_exchange(algorithms)
        while self._exchanges.count == count and self.error is None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
        if self.error is not None:
            raise connection_error(self.error)

    def _begin_exchange(self, algorithms: Algorithms | None = None) -> None:
        self._codec.rekey(algorithms)
        self._exchanges.is_ours = True
        self._after()

    def _exchange_is_due(self) -> None:
        if self._codec.state is State.OPEN:
            self._begin_exchange()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the codec has something to say from the start."""
        self._transport = cast("asyncio.Transport", transport)
        self._outbox = Outbox(self._transport, self._loop, self._timeout, self._writing_is_late)
        self._after()

    def pause_writing(self) -> None:
        """Follow the transport's flow control."""
        self._outbox.pause()

    def resume_writing(self) -> None:
        """Follow the transport's flow control."""
        self._outbox.resume()
        self._answers = 0
        self._update_reading()
        self._wake()

    def _writing_is_late(self) -> None:
        late = SSHTimeoutError(f"{self.peer} took no bytes for {self._timeout} s")
        self._fail(late, DisconnectReason.CONNECTION_LOST)

    # Receiving

    async def receive(self) -> Received:
        """Wait for what the peer sends.

        Raises:
            SSHError: the connection is over, and all that came before was taken.
            BusyError: somebody waits for that already.
        """
        while self._inbox.is_empty:
            if self.error is not None:
                raise connection_error(self.error)
            await self._inbox.wait()
        received = self._inbox.take()
        if self._paused:
            self._update_reading()
        return received

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop room to receive into."""
        # Of few bytes that are compressed come many, and only then does reading stop.
        return self._view[:_SMALLEST_READ] if self._is_compressed() else self._view

    def _is_compressed(self) -> bool:
        exchanged = self.exchanged
        return exchanged is not None and (
            exchanged.algorithms.compression_server_to_client != "none"
        )

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes."""
        if self.error is not None:
            return  # it only lingers
        view = self._view
        if nbytes == len(view) < _LARGEST_READ:
            self._view = memoryview(bytearray(4 * nbytes))
        try:
            events = self._codec.receive_data(view[:nbytes])
        except SSHProtocolError as fault:
            self._take_all(fault.events)
            fault.events = []  # they belong to whoever takes them, not to all who get the error
            self._fail(fault, fault.reason_code)
        else:
            self._take_all(events)
            self._after()

    def _take_all(self, events: list[Event] | list[object]) -> None:
        for event in events:
            if self.error is not None:
                return
            match event:
                case Packet() | ServiceAccept() | ServiceRequest() | Unimplemented():
                    self._take_packet(event)
                case Debug() | Pong():
                    self._take_packet(event)
                case KexInit():
                    self._take_kexinit(event)
                case KeyExchanged():
                    self._take_keys(event)
                case ExtInfo():
                    self._take_extensions(event)
                case Identified():
                    self.identified = event
                case Disconnect():
                    self._take_disconnect(event)
                case _:
                    raise AssertionError(f"{type(event).__name__} is no event")

    def _take_packet(self, received: Received) -> None:
        self._exchanges.has_data()
        self._inbox.put(received)

    def _take_extensions(self, message: ExtInfo) -> None:
        # There may be two (RFC 8308 §2.4), and more of a peer that wants to fill the memory.
        latest = dict(message.extensions)
        self.extensions = {**self._latest_extensions, **latest}
        self._latest_extensions = latest

    def _take_kexinit(self, message: KexInit) -> None:
        self.kexinit = message
        if self._exchanges.peer_takes_part():
            self._fail(RemoteProtocolError("one key exchange after the other, and nothing between"))

    def _take_keys(self, event: KeyExchanged) -> None:
        before, self.exchanged = self.exchanged, event
        if before is not None and before.host_key == event.host_key:
            return  # the codec has accepted it by itself
        try:
            self._verify(event.host_key)
        except Error as error:
            self._fail(error, DisconnectReason.HOST_KEY_NOT_VERIFIABLE)
        except Exception as error:
            refusal = HostKeyError("the host key could not be verified", key=event.host_key)
            refusal.__cause__ = error
            self._fail(refusal, DisconnectReason.HOST_KEY_NOT_VERIFIABLE)
        else:
            # Right behind it there may have been a fault, or a good-bye.
            if self._codec.state not in (State.ERROR, State.CLOSED):
                self._codec.accept_host_key()

    def _take_disconnect(self, message: Disconnect) -> None:
        text = f"{self.peer} disconnected"
        text += f": {message.description!r}" if message.description else ""
        self._end(DisconnectError(text, code=message.reason_code))
        self._socket.close()

    def _update_reading(self) -> None:
        """Stop reading while too much was received, or go on."""
        if self.error is not None:
            return
        size, is_open = self._inbox.size, self._codec.state is State.OPEN
        limit = _LOW_WATER if self._paused else _HIGH_WATER
        pause = (is_open and size > limit) or self._answers > _MAX_ANSWERS
        if not is_open and size > _MAX_BEFORE_KEXINIT:
            self._fail(RemoteProtocolError("too many packets instead of a key exchange"))
        elif pause != self._paused and not self._transport.is_closing():
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def eof_received(self) -> None:
        """Take the end of the peer's stream."""
        if self.error is None:
            try:
                self._codec.receive_eof()
            except RemoteProtocolError as fault:  # so does a peer end that crashes
                self._end(ConnectionLost(f"{self.peer} closed the connection: {fault}"))
            else:
                self._end(ConnectionLost(f"{self.peer} closed the connection"))
        self._set_over()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        if self.error is None:
            lost = ConnectionLost(f"{self.peer} closed the connection")
            if exc is not None:
                lost = ConnectionLost(f"the connection to {self.peer} was lost: {exc}")
                lost.__cause__ = exc
            self._end(lost)
        self._set_over()

    # What follows from each call of the codec

    def _after(self) -> None:
        """Send what the codec has to say, and follow its state."""
        if self.error is not None:
            return
        if self._codec.needs_rekey:
            self._codec.rekey()
            self._exchanges.is_ours = True
        data = self._codec.data_to_send()
        if data:
            if self._outbox.is_congested:
                self._answers += len(data)
            self._outbox.put([data])
        if self._codec.state is not State.OPEN:
            self._exchanges.going_on()
        elif self._exchanges.ended():
            self._wake()
        self._update_reading()

    def _exchange_is_late(self) -> None:
        step = "identify itself" if self.identified is None else "exchange keys"
        late = SSHTimeoutError(f"{self.peer} did not {step} within {self._timeout} s")
        self._fail(late, DisconnectReason.KEY_EXCHANGE_FAILED)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # Ending

    async def close(self, reason: int, text: str) -> None:
        """Say good-bye and close; whoever still waits gets `SocketClosed`."""
        if self.error is None:
            self._disconnect(self._closed_here(), reason, text)
        await self.closed()

    async def closed(self) -> None:
        """Wait until it is over; for a connection that has ended."""
        try:
            await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.abort()
            raise
        await self._socket.close()

    def abort(self) -> None:
        """Close without a good-bye."""
        if self.error is None:
            self._end(self._closed_here())
        self._set_over()
        self._socket.abort()

    def _closed_here(self) -> SocketClosed:
        return SocketClosed(f"the connection to {self.peer} was closed")

    def _fail(
        self, error: Error, reason: DisconnectReason = DisconnectReason.PROTOCOL_ERROR
    ) -> None:
        """Give the connection up, and tell the peer why."""
        if self.error is None:
            said = str(error) if isinstance(error, RemoteProtocolError) else ""
            self._disconnect(error, reason, said)

    def _disconnect(self, error: Exception, reason: int, text: str) -> None:
        if self._codec.state is not State.CLOSED:
            self._outbox.put(self._codec.send_buffers(Disconnect(reason, text)))
        self._leave(error)

    def _leave(self, error: Exception) -> None:
        """End our direction, behind the good-bye, and wait a little for the peer to end its."""
        self._end(error)
        # Closing while bytes of the peer are unread would take from it what it has not read yet.
        if self._transport.is_closing():
            self._set_over()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused:
            self._transport.resume_reading()
        self._linger = self._loop.call_later(_LINGER, self._set_over)

    def _end(self, error: Exception) -> None:
        """Let everybody who waits have the error."""
        self.error = error
        self._exchanges.close()
        self._outbox.close()
        self._wake()
        self._inbox.wake()

    def _set_over(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not self._over.done():
            self._over.set_result(None)
            self._socket.close()
