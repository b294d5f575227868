"""asyncssh's client connection on any socket, with the flow control that it lacks.

asyncssh 2.24 ignores ``pause_writing``: as long as a peer grants windows, a channel hands over all
that it is given, whether the transport takes it or not. And it goes on reading, and answering,
when the peer does not take its answers. This module overrides methods of asyncssh that begin with
an underscore; ``tests/adapters/ssh/test_bridge.py`` notices when they change.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any, cast

import asyncssh
from asyncssh.constants import (
    MSG_DISCONNECT,
    MSG_IGNORE,
    MSG_USERAUTH_LAST,
    MSG_USERAUTH_REQUEST,
    OPEN_RESOURCE_SHORTAGE,
)

from wirekit._errors import (
    ConnectionLost,
    ConnectTimeout,
    Error,
    RemoteProtocolError,
    SocketClosed,
)
from wirekit.protocols.ssh import DisconnectReason, HostKey, SSHProtocolError

from ._errors import DisconnectError, SSHError, connection_error
from ._flow import Inflater, with_flow_control
from ._host_keys import in_openssh_order
from ._process import Process

if TYPE_CHECKING:
    from collections.abc import Generator

    from asyncssh.channel import SSHChannel
    from asyncssh.packet import SSHPacket, SSHPacketLogger

    from wirekit.sockets import Socket

    from ._flow import Channel
    from ._host_keys import HostKeyVerification

__all__ = ["Connection", "open_connection"]

_SLICE = 65536  # asyncssh copies what is left of a chunk for each packet in it
_BEFORE_LOGIN = 1 << 22  # bytes that a server may send until then
_UNSENT = 1 << 18  # bytes of answers, beyond what a channel may fill, that the peer does not take
_WAITING = 10_000  # packets of ours that wait for keys, or requests of the peer's for an answer
_CHANNELS = 10_000  # open at once, beyond which the server may open no more
_EMPTY_STRING = bytes(4)
_TEXT = 8192  # characters of what a server says to people
_CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # but tabs and ends of lines
# RFC 4253 §11.1: what we say of the peer's faults, not it of ours.
_FAULTS = {
    DisconnectReason.PROTOCOL_ERROR,
    DisconnectReason.KEY_EXCHANGE_FAILED,
    DisconnectReason.MAC_ERROR,
    DisconnectReason.COMPRESSION_ERROR,
    DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED,
}


async def open_connection(
    socket: Socket,
    options: asyncssh.SSHClientConnectionOptions,
    *,
    verification: HostKeyVerification,
    host: str,
    port: int,
    exchange_timeout: float | None,
) -> Connection:
    """Log in on a socket.

    Raises:
        SSHError: of the subclass that says why it did not come about; the socket is closed.
    """
    await socket.opened
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[None] = loop.create_future()
    options.waiter = opened
    connection = Connection(
        loop,
        options,
        socket=socket,
        verification=verification,
        host=host,
        port=port,
        exchange_timeout=exchange_timeout,
    )
    try:
        socket.attach(connection)
    except BaseException:
        connection.never_began()
        raise
    try:
        await opened
    except BaseException:
        connection.abort()
        await connection.wait_closed()
        raise
    return connection


class Connection(asyncssh.SSHClientConnection):
    """asyncssh's connection, as the receiver of a socket's transport.

    Channels hand over data only while the transport takes more and no keys are exchanged; whoever
    was held back goes on in turn. The peer is not read from while it does not take our answers.
    What ends the connection reaches everyone who waits as one of our errors.

    Attributes:
        socket: what it is on.
        error: why it is over, if it is.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHClientConnectionOptions,
        *,
        socket: Socket,
        verification: HostKeyVerification,
        host: str,
        port: int,
        exchange_timeout: float | None,
    ) -> None:
        super().__init__(loop, options, wait="auth")
        self.socket = socket
        self._host, self._port = host or socket.remote_address, port
        self._verification = verification
        self._looked_up = host, port
        self._exchange_timeout = exchange_timeout
        self._exchange_timer: asyncio.TimerHandle | None = None
        self._lower: asyncio.Transport | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._receiving = False
        self._before_login = 0
        self._dismissed = False
        self._callback_failed = False
        self.error: Exception | None = None
        self._held: dict[Channel[Any], None] = {}
        self._opened: dict[asyncio.Task[Any] | None, list[Channel[Any]]] = {}

    # The transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak."""
        self._lower = cast("asyncio.Transport", transport)
        super().connection_made(cast("asyncio.Transport", _Face(self._lower, self.socket)))

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take what has arrived."""
        if not self._auth_complete:
            self._before_login += len(data)
            if self._before_login > _BEFORE_LOGIN:
                self._refuse("the server sends too much before the login")
                return
        for start in range(0, len(data), _SLICE):
            if self._transport is None:
                return
            super().data_received(data[start : start + _SLICE])
            if max(len(self._deferred_packets), len(self._global_request_queue)) > _WAITING:
                self._refuse("the server asks for more than it lets us answer")
        self._update_reading()

    def eof_received(self) -> None:
        """Give up: SSH knows no half-closed connections."""
        self._lost_by(f"{self._peer()} ended the connection", None)

    def connection_lost(self, exc: Exception | None = None) -> None:
        """Give up, because of the transport or of asyncssh itself."""
        if isinstance(exc, asyncssh.Error) and not isinstance(exc, Error):
            super().connection_lost(exc)
        else:
            text = f"the connection to {self._peer()} was lost"
            self._lost_by(f"{text}: {exc}" if exc else text, exc)

    def pause_writing(self) -> None:
        """Hold the channels back."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Let the channels go on, but soon: transports may call this within a write of ours.

        asyncssh counts a packet only after that write, and another one would get its number.
        """
        self._writing_paused = False
        self._loop.call_soon(self._go_on)
        self._update_reading()

    def _recv_data(self) -> None:
        self._receiving = True
        try:
            super()._recv_data()
        finally:
            self._receiving = False

    def _update_reading(self) -> None:
        """Read only as long as answers can be sent."""
        lower = self._lower
        if lower is None or lower.is_closing():
            return
        pause = self._writing_paused and lower.get_write_buffer_size() > _UNSENT
        if pause != self._reading_paused:
            self._reading_paused = pause
            if pause:
                lower.pause_reading()
            else:
                lower.resume_reading()

    # The channels.

    @property
    def is_usable(self) -> bool:
        """Whether it is logged in and not over."""
        return self._auth_complete and self._transport is not None

    @property
    def may_send(self) -> bool:
        """Whether channels may hand over data."""
        return self._kex_complete and not self._writing_paused

    def hold(self, channel: Channel[Any]) -> None:
        """Let a channel go on when data can be sent again."""
        self._held[channel] = None

    def _go_on(self) -> None:
        while self._held and self.may_send:
            channel = next(iter(self._held))
            del self._held[channel]
            channel.go_on()

    def add_channel(self, chan: SSHChannel[Any]) -> int:
        """Number a channel that is being made, and add our flow control to it.

        Raises:
            asyncssh.ChannelOpenError: the server wants it, and has too many.
        """
        open_channels: dict[int, object] = vars(self)["_channels"]
        if self._receiving and len(open_channels) >= _CHANNELS:
            raise asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, "too many channels")
        number = super().add_channel(chan)
        chan.__class__ = with_flow_control(type(chan))
        if not self._receiving:
            opened = self._opened.get(asyncio.current_task())
            if opened is not None:
                opened.append(cast("Channel[Any]", chan))
        return number

    async def create_session(self, session_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """Open a session, for a process one of ours."""
        if session_factory is asyncssh.SSHClientProcess:
            session_factory = Process
        theirs = cast("Any", super())
        return await theirs.create_session(session_factory, *args, **kwargs)

    @contextlib.contextmanager
    def unless_it_fails(self) -> Generator[None]:
        """Close what this task opens within the block if an error, or being cancelled, ends it."""
        task = asyncio.current_task()
        outer = self._opened.get(task)
        opened = self._opened[task] = []
        try:
            yield
        except BaseException:
            for channel in opened:
                channel.abandon()
            raise
        finally:
            if outer is None:
                del self._opened[task]
            else:
                self._opened[task] = outer

    # Packets.

    def send_packet(
        self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None
    ) -> None:
        """Send a packet.

        asyncssh puts an empty SSH_MSG_IGNORE before each, against an attack on CBC (RFC 4251
        §9.3.1), in all other modes too. There it doubles the work and is left out here.
        """
        if (
            pkttype == MSG_IGNORE
            and args == (_EMPTY_STRING,)
            and not self._enc_alg_cs.endswith(b"-cbc")
        ):
            return
        if MSG_USERAUTH_REQUEST <= pkttype <= MSG_USERAUTH_LAST:
            handler = None  # then it is logged by us
        super().send_packet(pkttype, *args, handler=handler)

    def log_sent_packet(
        self, pkttype: int, pktid: int | None, packet: bytes | SSHPacket, note: str = ""
    ) -> None:
        """Log a packet, but nothing of it that may be a password."""
        if MSG_USERAUTH_REQUEST <= pkttype <= MSG_USERAUTH_LAST:
            packet, note = b"", note or "not shown"
        super().log_sent_packet(pkttype, pktid, packet, note)

    def _decode_utf8(self, msg_bytes: bytes) -> str:
        # It is for logs and terminals, which would obey it (RFC 4253 §11.1, RFC 4254 §5.1).
        text: str = super()._decode_utf8(msg_bytes)  # pyright: ignore[reportUnknownMemberType] - asyncssh's parameter has no type
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text[:_TEXT])

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:  # as asyncssh
        """Handle a packet."""
        if pkttype == MSG_DISCONNECT:
            self._dismissed = True
        return super().process_packet(pkttype, pktid, packet)

    # Keys.

    def _connection_made(self) -> None:
        super()._connection_made()
        names = [name.decode() for name in self._server_host_key_algs or ()]
        asked_for = self._options.server_host_key_algs
        if not asked_for and not self._options.config.get("HostKeyAlgorithms"):
            names = in_openssh_order(names)
        ordered = self._verification.order(names, *self._looked_up)
        self._server_host_key_algs = [name.encode() for name in ordered]

    def validate_server_host_key(self, key_data: bytes) -> asyncssh.SSHKey:
        """Make sure that the server's key is trusted.

        Raises:
            HostKeyError: it is not.
        """
        try:
            key = HostKey(key_data)
        except SSHProtocolError as error:
            raise connection_error(error) from None
        host_key = asyncssh.public_key.decode_ssh_public_key(key.key_blob)
        if host_key != self._server_host_key:  # else it was verified by an earlier key exchange
            self._verification.verify(*self._looked_up, key)
            self._server_host_key = host_key
        return host_key

    def _send_kexinit(self) -> None:
        super()._send_kexinit()
        # The first one is part of the login, which has its own time limit.
        if self._auth_complete and self._exchange_timer is None and self._exchange_timeout:
            self._exchange_timer = self._loop.call_later(
                self._exchange_timeout, self._exchange_expired
            )

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """Take the new keys into use."""
        super().send_newkeys(k, h)
        if self._next_decompressor is not None:
            self._next_decompressor = Inflater(self._max_recv_pktlen)

    def _send_deferred_packets(self) -> None:
        if self._kex_complete and self._exchange_timer is not None:
            self._exchange_timer.cancel()
            self._exchange_timer = None
        super()._send_deferred_packets()
        self._go_on()

    # The end.

    def _login_timer_callback(self) -> None:
        self._login_timer = None
        text = f"no login on {self._peer()} within {self._options.login_timeout} s"
        super().connection_lost(connection_error(ConnectTimeout(text)))

    def _exchange_expired(self) -> None:
        text = f"{self._peer()} did not exchange keys within {self._exchange_timeout} s"
        super().connection_lost(connection_error(ConnectionLost(text)))

    def _lost_by(self, text: str, cause: Exception | None) -> None:
        error = ConnectionLost(text)
        error.__cause__ = cause
        super().connection_lost(connection_error(error))

    def _refuse(self, text: str) -> None:
        self._send_disconnect(DisconnectReason.PROTOCOL_ERROR, text, "")
        self._force_close(connection_error(SSHProtocolError(text)))

    def _send_disconnect(self, code: int, reason: str, lang: str) -> None:
        if code == DisconnectReason.HOST_KEY_NOT_VERIFIABLE:
            reason = "the host key is not trusted"  # what is, is none of a stranger's business
        super()._send_disconnect(code, reason, lang)

    def _force_close(self, exc: Exception | None) -> None:
        super()._force_close(None if exc is None else self._ours(exc))

    def _cleanup(self, exc: Exception | None) -> None:
        self.error = exc or self.error or connection_error(self._ended())
        if self._exchange_timer is not None:
            self._exchange_timer.cancel()
        self._held.clear()
        super()._cleanup(exc)

    def never_began(self) -> None:
        """Let go of what was made for a connection that has no transport."""
        self._cleanup(None)

    def internal_error(
        self, exc_info: Any = None, error_logger: asyncssh.logging.SSHLogger | None = None
    ) -> None:
        """Give up after an error that asyncssh did not expect."""
        # It is in tasks that the caller's functions run: to log in, or (with a logger) in channels.
        logging_in = self._auth is not None and not self._receiving
        self._callback_failed = logging_in or error_logger is not None
        super().internal_error(exc_info, error_logger)

    def _ended(self) -> Error:
        if self._dismissed:
            return DisconnectError(f"{self._peer()} said good-bye")
        return SocketClosed(f"the connection to {self._peer()} was closed on this side")

    def _ours(self, error: Exception) -> Exception:
        """Return the error that everyone who waits gets."""
        if isinstance(error, asyncssh.DisconnectError) and not self._dismissed:
            if error.code in _FAULTS:
                fault = SSHProtocolError(error.reason, DisconnectReason(error.code))
                fault.__cause__ = error
                return connection_error(fault)
        elif self._callback_failed:
            failure = SSHError(f"{type(error).__name__} in a function that asyncssh called")
            failure.__cause__ = error
            return failure
        elif not isinstance(error, asyncssh.Error | Error | OSError):
            text = f"{type(error).__name__} while handling what {self._peer()} sent"
            unexpected = RemoteProtocolError(text)
            unexpected.__cause__ = error
            return connection_error(unexpected)
        return connection_error(error)

    def _peer(self) -> str:
        return self.socket.remote_address


class _Face:
    """What asyncssh sees of the transport."""

    def __init__(self, lower: asyncio.Transport, socket: Socket) -> None:
        self.write = lower.write
        self._lower = lower
        self._socket = socket

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of the transport; of names only those that asyncssh can read."""
        info: object = self._lower.get_extra_info(name, default)
        if name in ("sockname", "peername") and isinstance(info, str | bytes):
            return default  # the path of a Unix socket
        return info

    def abort(self) -> None:
        """End the connection, but send SSH_MSG_DISCONNECT first if the peer takes it."""
        self._socket.close()
