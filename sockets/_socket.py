"""The object people hold: a Socket in the shape of Cloudflare's ``cloudflare:sockets``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, Unpack, cast

from wirekit._errors import (
    AddressError,
    BusyError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    SocketClosed,
    TLSError,
    TransportError,
)

from ._attach import Receiver, hand_over, replay
from ._info import SocketInfo, describe
from ._promise import Promise
from ._stream import ReadableStream, WritableStream
from ._tls import TLSOptions, TLSTransport, make_context, server_hostname

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Opener", "SecureTransport", "Socket", "StreamOptions"]

Opener: TypeAlias = "Callable[[asyncio.BaseProtocol], Awaitable[object]]"
SecureTransport = Literal["off", "on", "starttls"]


class StreamOptions(TypedDict, total=False):
    """The options of ``connect`` that have nothing to do with connecting; see there."""

    allow_half_open: bool
    timeout: float | None
    close_timeout: float
    high_water_mark: int


class Socket:
    """A connection as people hold it; ``connect``, ``as_socket`` and connectors make it.

    It is usable at once: reads and writes wait until it is open. ``async with`` waits until it is
    open and closes it at the end. Left alone it stays open: the event loop keeps it alive.

    When the peer ends its direction, ours is ended too, unless ``allow_half_open``: what is
    written is sent, ``closed`` settles, writes raise `ConnectionLost`, and what was received stays
    readable. The end is noticed when it arrives, read or not, as long as less than 256 KiB are
    unread; on a ``"starttls"`` socket only a read notices it.

    Attributes:
        opened: settles with a `SocketInfo` once connected (and, for TLS, verified), or with the
            `ConnectError` that says why not.
        closed: settles once the connection is over, however it ended; with the same error as
            ``opened`` if there never was one.
        readable: the bytes that come from the peer.
        writable: the bytes that go to the peer.
        upgraded: whether ``start_tls`` or ``attach`` has given the connection to another object.
        secure_transport: ``"off"``, ``"on"`` (it is TLS) or ``"starttls"`` (it may become TLS).
        successor: the TLS socket that ``start_tls`` returned, if it was called.
        close_reason: what ``close`` was given, or the error that ended the connection.
    """

    def __init__(
        self,
        opener: Opener | asyncio.Transport,
        *,
        remote_address: str,
        secure_transport: SecureTransport = "off",
        allow_half_open: bool = False,
        connect_timeout: float | None = 10.0,
        timeout: float | None = None,
        close_timeout: float = 5.0,
        high_water_mark: int = 65536,
        tls: TLSOptions | None = None,
    ) -> None:
        self.remote_address = remote_address
        self.secure_transport: SecureTransport = secure_transport
        self.upgraded = False
        self.successor: Socket | None = None
        self.close_reason: object = None
        self._allow_half_open = allow_half_open
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._close_timeout = close_timeout
        self._high_water_mark = high_water_mark
        self._tls: TLSOptions = tls or {}
        self._transport: asyncio.Transport | None = None
        self._info: SocketInfo | None = None
        self._attached = False
        self._closing = False
        self._closer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.opened: Promise[SocketInfo] = Promise()
        self.closed: Promise[None] = Promise()
        self._close: Promise[None] = Promise()
        self.closed.add_done_callback(lambda: self._close.resolve(None))
        self.readable = ReadableStream(
            opened=self.opened, timeout=timeout, on_demand=secure_transport == "starttls"
        )
        self.writable = WritableStream(
            opened=self.opened, timeout=timeout, on_ended=self._direction_ended
        )
        receiver = Receiver(
            connection_made=self._made,
            data_received=self.readable.received,
            eof_received=self._eof_received,
            connection_lost=self._lost,
            pause_writing=self.writable.pause,
            resume_writing=self.writable.resume,
        )
        if callable(opener):
            run = self._run(opener, receiver)
            self._task = asyncio.create_task(run, name=f"wirekit connect {remote_address}")
            self._task.add_done_callback(self._never_ran)
        else:
            hand_over(opener, receiver)
            self._made(opener)
            self._open()

    @property
    def info(self) -> SocketInfo:
        """What is known of the open connection.

        Raises:
            ConnectError: it did not come about.
            BusyError: it is not open yet; await ``opened`` first.
        """
        if not self.opened.done():
            raise BusyError("the socket is not open yet: await socket.opened first")
        return self.opened.result()

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Short for ``readable.read``."""
        return await self.readable.read(max_bytes)

    async def read_exactly(self, count: int) -> bytes:
        """Short for ``readable.read_exactly``."""
        return await self.readable.read_exactly(count)

    async def read_until(self, separator: bytes = b"\r\n", max_bytes: int = 65536) -> bytes:
        """Short for ``readable.read_until``."""
        return await self.readable.read_until(separator, max_bytes)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Short for ``writable.write``."""
        await self.writable.write(data)

    async def write_eof(self) -> None:
        """Short for ``writable.write_eof``."""
        await self.writable.write_eof()

    def close(self, reason: object = None) -> Promise[None]:
        """Send what is written, then end the connection; await the result to see it done.

        Never raises and never hangs: what the peer does not take within ``close_timeout`` seconds
        is dropped, and so is what was received and not read. Before the socket is open this gives
        up connecting, and ``opened`` settles with `SocketClosed`. Every call returns the same
        promise.
        """
        self._shut(reason)
        if self._transport is not None and self.opened.done():
            self._end(self._transport)
        return self._close

    def abort(self, reason: object = None) -> None:
        """End the connection at once; what is not sent is dropped and the peer may see a reset."""
        self._shut(reason)
        if self._transport is not None:
            self._transport.abort()

    def start_tls(self, *, trailing_data: bytes = b"", **tls: Unpack[TLSOptions]) -> Socket:
        """Upgrade to TLS and return the socket to use from now on; this one is done for.

        The certificate must match ``server_hostname``, by default the host connected to. Options
        given to ``connect`` hold unless given again. ``trailing_data`` is what a codec had left
        behind the peer's go-ahead: nothing may stand there, nor unread in this socket, for it came
        in plaintext and would be taken for something that came by TLS.

        Raises:
            AddressError: the socket is TLS already, or not made with
                ``secure_transport="starttls"``, or an option is wrong.
            SocketClosed: it was closed on this side.
            ConnectError: it never came to be open.
            ConnectionLost: the peer has ended it, or one direction has ended.
            BusyError: a read or a write is under way, or it was upgraded before.
            TLSError: plaintext stood behind the go-ahead; the connection is aborted.
        """
        if self.secure_transport == "on":
            raise AddressError("cannot start TLS: this is a TLS socket already")
        if self.secure_transport == "off":
            raise AddressError('cannot start TLS: connect with secure_transport="starttls"')
        if self.upgraded and not self._attached:
            raise BusyError("start_tls was called before: use the socket that it returned")
        self._check_alive("start TLS")
        if self.readable.locked or self.writable.locked:
            raise BusyError("cannot start TLS while a read or a write is under way")
        if self.readable.ended or self.writable.ended:
            raise ConnectionLost("cannot start TLS: one direction has ended already")
        options = cast("TLSOptions", {**self._tls, **tls})
        context = make_context(options)
        name = server_hostname(context, options, self.remote_address)
        unread, _ = self.readable.detach()
        self.writable.detach()
        if unread or trailing_data:
            error = TLSError("the peer sent plaintext behind its go-ahead for TLS; aborted")
            self.abort(error)
            raise error
        self.upgraded, self._attached = True, False
        carrier = self._release() if self.opened.done() else None

        async def upgrade(protocol: asyncio.BaseProtocol) -> None:
            lower = carrier
            if lower is None:
                try:
                    await self.opened
                    lower = self._release()
                except BaseException:
                    self.abort()
                    raise
            transport = TLSTransport(protocol, context, server_hostname=name)
            transport.take_over(lower)
            await transport.handshake()

        self.successor = Socket(
            upgrade,
            remote_address=self.remote_address,
            secure_transport="on",
            allow_half_open=self._allow_half_open,
            connect_timeout=self._connect_timeout,
            timeout=self._timeout,
            close_timeout=self._close_timeout,
            high_water_mark=self._high_water_mark,
        )
        return self.successor

    def attach(self, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        """Hand the transport to an asyncio protocol, which speaks on it from now on.

        The protocol gets ``connection_made`` and then all that was received and not read. Reading
        and writing through the socket raise `BusyError` afterwards; ``closed``, ``close``,
        ``abort``, ``info`` and ``start_tls`` stay in use.

        Raises:
            SocketClosed: it was closed on this side.
            ConnectError: it never came to be open.
            ConnectionLost: the peer has ended it.
            BusyError: not open yet, in use by a read or write, or attached before.
        """
        if self.upgraded:
            raise BusyError("cannot attach: something else has taken over this socket")
        self._check_alive("attach")
        if self._transport is None or not self.opened.done():
            raise BusyError("cannot attach: the socket is not open yet, await socket.opened first")
        if self.readable.locked or self.writable.locked:
            raise BusyError("cannot attach while a read or a write is under way")
        transport = self._transport
        self.upgraded = self._attached = True
        unread, eof = self.readable.detach()
        write_paused = self.writable.detach()
        if not eof and not transport.is_closing():
            transport.resume_reading()
        hand_over(transport, protocol, self._lost)
        protocol.connection_made(transport)
        if write_paused:
            protocol.pause_writing()
        replay(protocol, unread)
        if eof and not cast("asyncio.Protocol", protocol).eof_received():
            transport.close()
        return transport

    async def __aenter__(self) -> Self:
        await self.opened
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(exc_value)

    def __repr__(self) -> str:
        if self.closed.done():
            state = "upgraded" if self.upgraded else "closed"
        elif self._closing:
            state = "closing"
        elif not self.opened.done():
            state = "connecting"
        else:
            state = "attached" if self._attached else "open"
        tls = " tls" if self.secure_transport == "on" else ""
        return f"<Socket {self.remote_address} {state}{tls}>"

    # Opening.

    async def _run(self, opener: Opener, receiver: asyncio.BaseProtocol) -> None:
        limit = asyncio.timeout(self._connect_timeout)
        try:
            async with limit:
                await opener(receiver)
        except BaseException as error:
            self._failed(self._why(error, expired=limit.expired()))
            # Whoever cancelled the task itself, as asyncio.run does at its end, sees it cancelled.
            if not isinstance(error, Exception) and not self._closing:
                raise
        else:
            self._open()

    def _never_ran(self, task: asyncio.Task[None]) -> None:
        if not self.opened.done():  # cancelled before its first step
            self._failed(self._closed_here())

    def _why(self, error: BaseException, *, expired: bool) -> Exception:
        if self._closing or isinstance(error, asyncio.CancelledError):
            return self._closed_here()
        if expired and isinstance(error, TimeoutError):
            text = f"no connection to {self.remote_address} within {self._connect_timeout} s"
            return ConnectTimeout(text)
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            kind = ConnectTimeout if isinstance(error, TimeoutError) else ConnectError
            text = f"cannot connect to {self.remote_address}: {error}"
            reason = kind(text, errno=error.errno)
            reason.__cause__ = error
            return reason
        # A connector of the user's may raise anything; nobody but our callers sees it.
        return error if isinstance(error, Exception) else self._closed_here()

    def _made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._info = describe(self.remote_address, transport)
        self._transport.set_write_buffer_limits(self._high_water_mark)
        self.readable.made(self._transport)
        self.writable.made(self._transport)

    def _open(self) -> None:
        if self._closing:
            self._failed(self._closed_here())
        elif self._info is None:
            self._failed(ConnectError(f"the connector to {self.remote_address} opened nothing"))
        else:
            self.opened.resolve(self._info)
            if self._transport is None:  # and lost again
                self.closed.resolve(None)

    def _failed(self, error: Exception) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.readable.failed(error)
        self.writable.failed(error)
        self.opened.reject(error)
        if isinstance(error, SocketClosed):
            self.closed.resolve(None)
        else:
            self.close_reason = error
            self.closed.reject(error)

    # Ending.

    def _shut(self, reason: object) -> None:
        """Note that this side is done with it, and give up connecting."""
        if self._closing:
            return
        self._closing = True
        if self.close_reason is None:
            self.close_reason = reason
        self.readable.shut(self._closed_here())
        self.writable.failed(self._closed_here())
        if not self.opened.done() and self._task is not None:
            # Not before its first step: a task that is cancelled then never runs at all.
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def _closed_here(self) -> SocketClosed:
        return SocketClosed(f"the socket to {self.remote_address} was closed on this side")

    def _check_alive(self, step: str) -> None:
        if self._closing:
            raise SocketClosed(f"cannot {step}: the socket was closed on this side")
        if self.opened.done():
            self.opened.result()
        if self.closed.done() or (self.readable.ended and not self._allow_half_open):
            raise ConnectionLost(f"cannot {step}: {self.remote_address} ended the connection")

    def _release(self) -> asyncio.Transport:
        """Give the transport to another socket."""
        if self._transport is None:
            raise ConnectionLost(f"the connection to {self.remote_address} was lost")
        transport, self._transport = self._transport, None
        self.closed.resolve(None)
        if not transport.is_closing():
            transport.pause_reading()  # until the next one takes what comes
        return transport

    def _end(self, transport: asyncio.Transport) -> None:
        """Close gracefully, but not for longer than ``close_timeout``."""
        transport.close()
        if self._closer is None and not self.closed.done():
            loop = asyncio.get_running_loop()
            self._closer = loop.call_later(self._close_timeout, transport.abort)

    def _direction_ended(self) -> None:
        """Our direction was ended by ``write_eof``: with the peer's ended too, that is all."""
        if self.readable.ended and self._transport is not None:
            self._end(self._transport)

    def _eof_received(self) -> bool:
        self.readable.end()
        if self._allow_half_open and not self.writable.ended:
            return True
        self.writable.failed(ConnectionLost(f"{self.remote_address} ended the connection"))
        if self._transport is not None:
            self._end(self._transport)
        return True

    def _lost(self, error: Exception | None) -> None:
        if self._closer is not None:
            self._closer.cancel()
        self._transport = None
        if self._closing:
            reason: TransportError = self._closed_here()
        else:
            text = f"the connection to {self.remote_address} was lost"
            reason = ConnectionLost(f"{text}: {error}" if error else text)
            reason.__cause__ = error
            if self.close_reason is None and not self.readable.ended:
                self.close_reason = reason
        self.readable.failed(reason)
        self.writable.failed(reason)
        if self.opened.done():
            self.closed.resolve(None)
