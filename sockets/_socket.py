"""The object people hold: a Socket in the shape of Cloudflare's ``cloudflare:sockets``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, Unpack, cast

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

from ._attach import replay, tap
from ._info import SocketInfo, describe
from ._stream import ReadableStream, WritableStream
from ._tls import TLSOptions, TLSTransport, make_context, server_hostname

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Promise", "SecureTransport", "Socket"]

SecureTransport = Literal["off", "on", "starttls"]
T = TypeVar("T")


class Promise(Generic[T]):
    """A result that settles once and can be awaited by anyone, any number of times.

    Cancelling a task that awaits it cancels nothing but that task's wait.
    """

    def __init__(self) -> None:
        self._future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # An outcome that nobody asks for is no fault of the program's.
        self._future.add_done_callback(lambda future: future.cancelled() or future.exception())

    def __await__(self) -> Generator[object, None, T]:
        return asyncio.shield(self._future).__await__()

    def done(self) -> bool:
        """Whether it has settled."""
        return self._future.done()

    def result(self) -> T:
        """Return or raise the outcome; `asyncio.InvalidStateError` before there is one."""
        return self._future.result()

    def exception(self) -> BaseException | None:
        """Return the error it settled with, or None."""
        return self._future.exception()

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` from the event loop once it has settled."""
        self._future.add_done_callback(lambda _: callback())

    def resolve(self, value: T) -> None:
        """Settle with a value, unless it has settled."""
        if not self._future.done():
            self._future.set_result(value)

    def reject(self, error: BaseException) -> None:
        """Settle with an error, unless it has settled."""
        if not self._future.done():
            self._future.set_exception(error)


class Socket:
    """A connection as people hold it; made by ``connect``, ``as_socket``, ``memory_pair``, connectors.

    It is usable at once: reads and writes wait until it is open. ``async with`` waits until it is
    open and closes it at the end.

    Attributes:
        opened: settles with a `SocketInfo` once connected (and, for TLS, verified), or with the
            `ConnectError` that says why not.
        closed: settles once the connection is over, however it ended; with the same error as
            ``opened`` if there never was one.
        readable: the bytes that come from the peer.
        writable: the bytes that go to the peer.
        upgraded: whether ``start_tls`` or ``attach`` has given the connection to another object.
        secure_transport: ``"off"``, ``"on"`` (it is TLS) or ``"starttls"`` (it may become TLS).
        close_reason: what ``close`` was given, or the error that ended the connection.
    """

    def __init__(
        self,
        opener: Callable[[asyncio.BaseProtocol], Awaitable[asyncio.Transport]] | asyncio.Transport,
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
        self.close_reason: object = None
        self._allow_half_open = allow_half_open
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._close_timeout = close_timeout
        self._high_water_mark = high_water_mark
        self._tls: TLSOptions = tls or {}
        self._transport: asyncio.Transport | None = None
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
        if callable(opener):
            self._task = asyncio.create_task(self._run(opener), name=f"wirekit connect {self}")
        else:
            opener.set_protocol(_Receiver(self))
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
        is dropped. Before the socket is open this gives up connecting, and ``opened`` settles with
        `SocketClosed`. Every call returns the same promise.
        """
        if not self._closing and not self.closed.done():
            self._closing = True
            self.close_reason = reason
            error = SocketClosed(f"the socket to {self.remote_address} was closed on this side")
            self.readable.failed(error)
            self.writable.failed(error)
            if self._transport is not None and self.opened.done():
                self._end(self._transport)
            elif self._task is not None:
                self._task.cancel()
        return self._close

    def abort(self, reason: object = None) -> None:
        """End the connection at once; what is not sent is dropped and the peer may see a reset."""
        self.close(reason)
        if self._transport is not None and not self.closed.done():
            self._transport.abort()

    def start_tls(self, *, trailing_data: bytes = b"", **tls: Unpack[TLSOptions]) -> Socket:
        """Upgrade to TLS and return the socket to use from now on; this one is done for.

        The certificate must match ``server_hostname``, by default the host connected to. Options
        given to ``connect`` hold unless given again. ``trailing_data`` is what a codec had left
        behind the peer's go-ahead: nothing may stand there, nor unread in this socket, for it came
        in plaintext and would be taken for something that came by TLS.

        Raises:
            AddressError: the socket is TLS already, or not made with ``secure_transport="starttls"``.
            SocketClosed: it is closed.
            BusyError: a read or a write is under way, or it was upgraded before.
            TLSError: plaintext stood behind the go-ahead; the connection is aborted.
        """
        if self.secure_transport == "on":
            raise AddressError("cannot start TLS: this is a TLS socket already")
        if self.secure_transport == "off":
            raise AddressError('cannot start TLS: connect with secure_transport="starttls"')
        if self.upgraded and not self._attached:
            raise BusyError("start_tls was called before: use the socket that it returned")
        if self._closing or self.closed.done():
            raise SocketClosed("the socket was closed before TLS could start")
        if self.readable.locked or self.writable.locked:
            raise BusyError("cannot start TLS while a read or a write is under way")
        options = cast("TLSOptions", {**self._tls, **tls})
        context = make_context(options)
        name = server_hostname(context, options, self.remote_address)
        self.upgraded, self._attached = True, False
        unread, _ = self.readable.detach()
        self.writable.detach()
        if unread or trailing_data:
            self.abort("plaintext behind the go-ahead for TLS")
            raise TLSError("the peer sent plaintext behind its go-ahead for TLS; connection aborted")
        if self._transport is not None:
            self._transport.pause_reading()  # until the TLS engine takes what comes

        async def upgrade(protocol: asyncio.BaseProtocol) -> asyncio.Transport:
            try:
                await self.opened
                lower = self._transport_or_fail()
            except BaseException:
                self.abort()
                raise
            self._transport = None
            self._cancel_closer()
            self.closed.resolve(None)
            transport = TLSTransport(lower, protocol, context, server_hostname=name)
            await transport.handshake()
            return transport

        return Socket(
            upgrade,
            remote_address=self.remote_address,
            secure_transport="on",
            allow_half_open=self._allow_half_open,
            connect_timeout=self._connect_timeout,
            timeout=self._timeout,
            close_timeout=self._close_timeout,
            high_water_mark=self._high_water_mark,
        )

    def attach(self, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
        """Hand the transport to an asyncio protocol, which speaks on it from now on.

        The protocol gets ``connection_made`` and then all that was received and not read. Reading
        and writing through the socket raise `BusyError` afterwards; ``closed``, ``close``,
        ``abort``, ``info`` and ``start_tls`` stay in use.

        Raises:
            BusyError: not open yet, in use by a read or write, or attached before.
            SocketClosed: it is closed.
        """
        if self._closing or self.closed.done():
            raise SocketClosed("cannot attach: the socket is closed")
        if self._transport is None or not self.opened.done():
            raise BusyError("cannot attach: the socket is not open yet, await socket.opened first")
        if self.upgraded or self.readable.locked or self.writable.locked:
            raise BusyError("cannot attach: the socket is in use")
        transport = self._transport
        self.upgraded = self._attached = True
        unread, eof = self.readable.detach()
        write_paused = self.writable.detach()
        transport.resume_reading()
        transport.set_protocol(tap(protocol, self._lost))
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

    async def _run(
        self, opener: Callable[[asyncio.BaseProtocol], Awaitable[asyncio.Transport]]
    ) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                await opener(_Receiver(self))
        except TimeoutError as error:
            if not isinstance(error, ConnectTimeout):
                text = f"no connection to {self.remote_address} within {self._connect_timeout} s"
                error = ConnectTimeout(text)
            self._failed(error)
        except asyncio.CancelledError:
            self._failed(SocketClosed(f"closed before {self.remote_address} was connected"))
            if not self._closing:
                raise
        except TransportError as error:
            self._failed(error)
        except OSError as error:
            text = f"cannot connect to {self.remote_address}: {error}"
            self._failed(ConnectError(text, errno=error.errno))
        except Exception as error:
            # A connector of the user's may raise anything; nobody but our callers sees it.
            self._failed(error)
        else:
            self._open()

    def _made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(self._high_water_mark)
        self.readable.made(transport)
        self.writable.made(transport)

    def _open(self) -> None:
        if self._transport is None:
            self._failed(ConnectionLost(f"{self.remote_address} ended the connection at once"))
        else:
            self.opened.resolve(describe(self.remote_address, self._transport))

    def _failed(self, error: Exception) -> None:
        if self._transport is not None:
            self._transport.abort()
        self.readable.failed(error)
        self.writable.failed(error)
        self.opened.reject(error)
        if isinstance(error, SocketClosed):
            self.closed.resolve(None)
        else:
            self.close_reason = self.close_reason or error
            self.closed.reject(error)

    def _transport_or_fail(self) -> asyncio.Transport:
        if self._transport is None:
            raise SocketClosed(f"the socket to {self.remote_address} is closed")
        return self._transport

    # Ending.

    def _end(self, transport: asyncio.Transport) -> None:
        """Close gracefully, but not for longer than ``close_timeout``."""
        transport.close()
        if self._closer is None and not self.closed.done():
            loop = asyncio.get_running_loop()
            self._closer = loop.call_later(self._close_timeout, transport.abort)

    def _cancel_closer(self) -> None:
        if self._closer is not None:
            self._closer.cancel()
            self._closer = None

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
        self._cancel_closer()
        self._transport = None
        if self._closing:
            reason: TransportError = SocketClosed("the socket was closed on this side")
        else:
            text = f"the connection to {self.remote_address} was lost"
            reason = ConnectionLost(f"{text}: {error}" if error else text)
            reason.__cause__ = error
            self.close_reason = self.close_reason or reason
        if error is not None or not self.readable.ended:
            self.readable.failed(reason)
        self.writable.failed(reason)
        if self.opened.done():
            self.closed.resolve(None)


class _Receiver(asyncio.Protocol):
    """What a Socket's transport talks to until something is attached."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket._made(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._socket.readable.received(data)

    def eof_received(self) -> bool:
        return self._socket._eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket._lost(exc)

    def pause_writing(self) -> None:
        self._socket.writable.pause()

    def resume_writing(self) -> None:
        self._socket.writable.resume()
