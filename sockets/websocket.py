"""WebSockets (RFC 6455) as a carrier: bytes in binary frames, behind an HTTP/1.1 upgrade.

    connector = WebSocketConnector(DirectConnector(secure_transport="on"), path="/mqtt")
    socket = await connector("broker.example:443")

Needs wsproto: ``pip install wirekit[websocket]``.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Unpack

from wsproto import ConnectionType
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

from wirekit._errors import (
    AddressError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    MessageTooLarge,
)

from ._address import Address, TCPAddress, parse_address
from ._connect import Connector, DirectConnector, open_socket
from ._socket import Socket, StreamOptions
from ._transport import LayeredTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._address import AddressLike

__all__ = ["WebSocketConnector", "WebSocketRefused", "WebSocketTransport"]

_MAX_ANSWER = 16384  # bytes of the response's header
_FRAME = 65536  # bytes of payload framed at a time
_CLOSE_TIMEOUT = 5.0  # seconds that the peer has to answer our Close frame

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")  # RFC 9110 §5.5, in ASCII
_PATH = re.compile(r"/[!\"$-~]*")  # a path and a query, without fragment
_HOST = re.compile(r"[!-~]+")
_OURS = ("connection", "content-length", "host", "transfer-encoding", "upgrade")

# RFC 6455 §7.4.1: what says that the peer has sent all it had to say.
_CLEAN = (CloseReason.NORMAL_CLOSURE, CloseReason.GOING_AWAY, CloseReason.NO_STATUS_RCVD)


class WebSocketRefused(ConnectError):
    """The server answered the upgrade with an HTTP status other than 101; ``status`` is that."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class WebSocketConnector:
    """A connector that opens another connector's socket and upgrades it to a WebSocket.

    What the sockets carry are bytes: frames' bounds have no meaning. `WebSocketTransport` says how
    they end. TLS belongs below, as an option of ``connector``.

    Args:
        connector: makes the connection below; by default a plain one to any address.
        path: what is asked for, with its query if it has one; never shown, for it may be secret.
        subprotocols: those offered, best first; if there are any, the server must choose one.
        headers: further headers of the request, such as ``{"Authorization": "Bearer …"}``.
        host: the header Host; by default the address, without the port where it is HTTP's own.
        connect_timeout: seconds for everything until the socket is open; None for no limit.
        **options: those of the sockets, see `connect`.

    Raises:
        AddressError: a path, header or subprotocol that HTTP does not allow, or a header that is
            the upgrade's own.
    """

    def __init__(
        self,
        connector: Connector | None = None,
        *,
        path: str = "/",
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        host: str | None = None,
        connect_timeout: float | None = 10.0,
        **options: Unpack[StreamOptions],
    ) -> None:
        if not _PATH.fullmatch(path):
            raise AddressError("the path of a WebSocket begins with / and is printable ASCII")
        if host is not None and not _HOST.fullmatch(host):
            raise AddressError("the host of a WebSocket is printable ASCII without spaces")
        if isinstance(subprotocols, str) or not all(map(_TOKEN.fullmatch, subprotocols)):
            raise AddressError('subprotocols are a list of tokens, such as ["mqtt"]')
        self._connector = DirectConnector() if connector is None else connector
        self._path = path
        self._subprotocols = list(subprotocols)
        self._headers = [_checked_header(*header) for header in (headers or {}).items()]
        self._host = host
        self._connect_timeout = connect_timeout
        self._options = options

    async def __call__(self, address: AddressLike) -> Socket:
        """Return an open socket to the address.

        Raises:
            WebSocketRefused: the server answered, with an HTTP status that is not 101.
            ConnectError: it answered with something else, or there is no connection to it.
        """
        target = parse_address(address)
        limit = asyncio.timeout(self._connect_timeout)
        try:
            async with limit:
                return await self._open(target)
        except TimeoutError as error:
            if not limit.expired():
                raise
            seconds = self._connect_timeout
            raise ConnectTimeout(f"no WebSocket to {target} within {seconds} s") from error

    def __repr__(self) -> str:
        return f"<WebSocketConnector over {self._connector!r}>"

    async def _open(self, target: Address) -> Socket:
        inner = await open_socket(await self._connector(target))
        try:
            await self._upgrade(inner, target)

            async def carry(protocol: asyncio.BaseProtocol) -> None:
                inner.attach(WebSocketTransport(protocol).below)

            return await open_socket(
                Socket(
                    carry,
                    remote_address=inner.remote_address,
                    secure_transport="on" if inner.secure_transport == "on" else "off",
                    **self._options,
                )
            )
        except BaseException:
            inner.abort()
            raise

    async def _upgrade(self, inner: Socket, target: Address) -> None:
        """Do the opening handshake, of RFC 6455 section 4.1."""
        handshake = H11Handshake(ConnectionType.CLIENT)
        request = Request(
            host=self._host or _host_header(target, secure=inner.secure_transport == "on"),
            target=self._path,
            subprotocols=self._subprotocols,
            extra_headers=self._headers,
        )
        try:
            await inner.write(handshake.send(request))
        except UnicodeError as error:  # wsproto makes A-labels of it
            raise AddressError(f"{request.host!r} cannot be the header Host: {error}") from error
        try:
            answer = await inner.read_until(b"\r\n\r\n", _MAX_ANSWER)
            handshake.receive_data(answer)
        except MessageTooLarge as error:
            raise ConnectError(
                f"{target} answers the WebSocket upgrade with more than {_MAX_ANSWER} bytes"
            ) from error
        except ConnectionLost as error:
            raise ConnectError(
                f"{target} does not answer the WebSocket upgrade: {error}"
            ) from error
        except (RemoteProtocolError, UnicodeError) as error:
            raise ConnectError(f"{target} does not speak WebSocket: {error}") from error
        event = next(handshake.events(), None)
        if isinstance(event, RejectConnection):
            status = event.status_code
            raise WebSocketRefused(
                f"{target} refuses the WebSocket upgrade with HTTP status {status}", status=status
            )
        if not isinstance(event, AcceptConnection):
            raise ConnectError(f"{target} does not answer in HTTP")
        if self._subprotocols and event.subprotocol is None:
            raise ConnectError(f"{target} chose none of the subprotocols that were offered")


def _checked_header(name: str, value: str) -> tuple[bytes, bytes]:
    if not _TOKEN.fullmatch(name):
        raise AddressError("the name of a header is a token of letters, digits and hyphens")
    if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
        raise AddressError(f"the header {name} is the upgrade's own")
    if not _VALUE.fullmatch(value):
        # Not the value, which may be secret.
        raise AddressError(f"the value of the header {name} is not one line of printable ASCII")
    return name.encode(), value.encode()


def _host_header(target: Address, *, secure: bool) -> str:
    if not isinstance(target, TCPAddress):
        return "localhost"
    if target.port == (443 if secure else 80):
        return f"[{target.server_name}]" if ":" in target.server_name else target.server_name
    return str(TCPAddress(target.server_name, target.port))


class WebSocketTransport(LayeredTransport):
    """Bytes in binary frames, on a transport that has done the opening handshake.

    Give ``below`` to the transport below, by ``Socket.attach``; the receiver gets
    ``connection_made`` at once. Frames may be of any length and in any pieces, as they are handed
    on while they come. Pings are answered, of several that could not be answered at once only the
    last one (RFC 6455 §5.5.3). A text frame is an error, and so is every other fault of the
    peer's: it is told by a Close frame, and the receiver by ``connection_lost``.

    Each direction ends with a Close frame. ``write_eof`` sends ours; what the peer sends until its
    own is received. A receiver that keeps its direction open after the peer's Close frame may go on
    writing, but few peers go on reading: RFC 6455 §5.5.1 lets them expect our answer soon. A stream
    that ends without a Close frame is an error, as some of it may be missing, and so is a Close
    frame whose status code is not 1000, 1001 or none. ``close`` waits some seconds at most for the
    peer's Close frame.
    """

    def __init__(self, protocol: asyncio.BaseProtocol, *, client_side: bool = True) -> None:
        super().__init__(protocol)
        self._frames = FrameProtocol(client_side, [])
        self._payload = memoryview(b"")  # what the receiver has not taken of the last frame
        self._pong: bytes | None = None
        self._lower_ended = False
        self._close_sent = False
        self._close_received = False

    def close(self) -> None:
        """Send what is written and a Close frame, wait for the peer's, then end."""
        if self._closing:
            return
        self._closing = self._eof_wanted = True
        self._payload = memoryview(b"")
        self._flush()
        if self._paused:
            self._read_on()  # to find the peer's Close frame

    # Called by what is below.

    def begin(self, lower: asyncio.Transport) -> None:
        """Take the transport below."""
        self._lower = lower
        self._protocol.connection_made(self)

    def received(self, data: memoryview) -> None:
        """Take frames from below; behind a Close frame nothing counts (RFC 6455 §5.5.1)."""
        if not self._close_received and self._error is None:
            self._frames.receive_bytes(bytes(data))
            self._read()

    def eof_received(self) -> None:
        """Take the end of the stream below; only a Close frame before it makes it a clean end."""
        self._lower_ended = True
        self._read()

    # The engine.

    def _read(self) -> None:
        """Hand on what has come until the receiver pauses; after ``close`` drop it."""
        while not self._paused and not self._close_received and self._error is None:
            if self._payload:
                taken = self._deliver(self._payload)
                self._payload = self._payload[taken:]  # none of it is left if we were closed
                continue
            try:
                frame = next(self._frames.received_frames(), None)
            except ParseFailed as error:
                self._fail(error.code, f"the WebSocket peer broke the protocol: {error}")
                return
            if frame is None:
                break
            self._take(frame)
        else:
            return
        if self._lower_ended:
            self._lost_without_close()

    def _take(self, frame: Frame) -> None:
        match frame.opcode, frame.payload:
            case Opcode.BINARY, bytes(payload):
                if not self._closing:
                    self._payload = memoryview(payload)
            case Opcode.PING, bytes(payload):
                self._pong = payload
                self._flush()
            case Opcode.CLOSE, (int(code), str(reason)):
                self._take_close(code, reason)
            case Opcode.PONG, _:
                pass
            case _:
                text = "the WebSocket peer sent text, where only bytes are understood"
                self._fail(CloseReason.UNSUPPORTED_DATA, text)

    def _take_close(self, code: int, reason: str) -> None:
        self._close_received = True
        if self._closing:
            self._flush()
        elif code in _CLEAN:
            self._deliver_eof()
            self._end_if_over()
        else:
            # RFC 6455 §5.5.1: the answer typically echoes the status code.
            self._fail(code, f"the WebSocket peer closed with {int(code)}: {reason!r}")

    def _lost_without_close(self) -> None:
        if not self._closing:
            text = "the connection ended without a WebSocket Close frame; data may be missing"
            self._error = ConnectionLost(text)
        self.abort()

    def _fail(self, code: int, message: str) -> None:
        """RFC 6455 section 7.1.7: say what is wrong, and end the connection."""
        self._error = ConnectionLost(message)
        self._closing = True
        self._drop()
        if not self._close_sent:
            self._send_close(code)
        self._end_lower()

    def _drop(self) -> None:
        super()._drop()
        self._payload = memoryview(b"")

    def _flush(self) -> None:
        """Frame the backlog as far as the lower transport takes it, then what ends the stream."""
        if self._pong is not None and not self._lower_paused and not self._close_sent:
            pong, self._pong = self._pong, None
            self._send(self._frames.pong(pong))
        while self._backlog and not self._lower_paused:
            view = self._backlog.popleft()
            if len(view) > _FRAME:
                self._backlog.appendleft(view[_FRAME:])
                view = view[:_FRAME]
            self._backlog_size -= len(view)
            self._send(self._frames.send_data(bytes(view)))
        self._update_flow()
        if self._eof_wanted and not self._backlog and not self._close_sent:
            self._send_close(CloseReason.NORMAL_CLOSURE)
        self._end_if_over()

    def _send_close(self, code: int) -> None:
        self._close_sent = True
        self._send(self._frames.close(code))

    def _end_if_over(self) -> None:
        """End the connection below once both Close frames are there (RFC 6455 section 7.1.1)."""
        if self._close_sent and self._close_received:
            self._closing = True
            self._end_lower()
        elif self._close_sent and self._closing:
            self._abort_later(_CLOSE_TIMEOUT)

    def _end_lower(self) -> None:
        self._lower.close()
        self._abort_later(_CLOSE_TIMEOUT)

    def _send(self, data: bytearray) -> None:
        if not self._lower.is_closing():
            self._lower.write(bytes(data))
