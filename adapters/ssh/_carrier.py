"""SSH as a carrier: sockets over ``direct-tcpip`` and ``direct-streamlocal`` channels."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, Unpack, cast

import asyncssh
from asyncssh.constants import OPEN_CONNECT_FAILED

from wirekit._errors import ConnectionLost, ConnectRefused, ConnectTimeout, ResolveError
from wirekit.sockets import (
    DirectConnector,
    Policy,
    SecureTransport,
    Socket,
    StreamOptions,
    TLSOptions,
    Transport,
    UnixAddress,
    parse_address,
)

from ._channel import watch
from ._errors import ChannelOpenError, connection_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from wirekit.sockets import Address, AddressLike

    from ._channel import Channel

__all__ = ["ChannelTransport", "SSHConnector", "SSHConnectorOptions"]

_PIECE = 32768  # bytes given to the channel at a time: the largest packet that most servers take
_CLOSE_TIMEOUT = 5.0  # seconds that the server has to answer our SSH_MSG_CHANNEL_CLOSE
_ORIGINATOR = ("127.0.0.1", 0)  # RFC 4254 §7.2 wants one; no listener of ours took a connection


class ChannelOpener(Protocol):
    """What opens channels, and leaves none behind if it is cancelled meanwhile: an `SSH`."""

    def create_connection(
        self,
        session_factory: Callable[[], asyncssh.SSHTCPSession[bytes]],
        remote_host: str,
        remote_port: int,
        orig_host: str,
        orig_port: int,
        /,
    ) -> Coroutine[Any, Any, object]:
        """Open a ``direct-tcpip`` channel for the session."""
        ...

    def create_unix_connection(
        self, session_factory: Callable[[], asyncssh.SSHUNIXSession[bytes]], remote_path: str, /
    ) -> Coroutine[Any, Any, object]:
        """Open a ``direct-streamlocal@openssh.com`` channel for the session."""
        ...


class SSHConnectorOptions(TLSOptions, StreamOptions, total=False):
    """The options of the sockets: those of ``wirekit.sockets.connect``, without ``connector``."""

    secure_transport: SecureTransport
    policy: Policy
    connect_timeout: float | None


class SSHConnector:
    """A connector whose sockets are channels of an SSH connection; ``SSH.connector`` makes it.

        connector = ssh.connector()
        socket = await connector("db.internal:5432")  # as the server sees it

    A host and port become a ``direct-tcpip`` channel (RFC 4254 §7.2), the path of a Unix socket a
    ``direct-streamlocal@openssh.com`` channel. Names are resolved by the server, so ``policy`` can
    check names, ports and literal addresses only.

    Args:
        opener: an `SSH`.
        **options: see `SSHConnectorOptions`.
    """

    def __init__(self, opener: ChannelOpener, **options: Unpack[SSHConnectorOptions]) -> None:
        self._opener = opener
        self._connect = DirectConnector(connector=self._open, **options)

    async def __call__(self, address: AddressLike) -> Socket:
        """Return an open socket to the address.

        Raises:
            ChannelOpenError: the server opened no channel; its ``code`` says why. It is a
                `ConnectRefused`, `ConnectTimeout` or `ResolveError` as well where the server says
                that it met with that.
            SSHError: there is no SSH connection, and none could be made.
            ConnectError: no TLS, or not in time.
            BlockedError: the policy forbids the address.
        """
        return await self._connect(address)

    def __repr__(self) -> str:
        return f"<SSHConnector over {self._opener!r}>"

    async def _open(self, address: AddressLike) -> Socket:
        target = parse_address(address)

        async def carry(protocol: asyncio.BaseProtocol) -> None:
            await _open_channel(self._opener, target, ChannelTransport(protocol))

        # Time is limited by the socket that is put on this one. Until then nothing is read, so that
        # what comes with the answer, and even the end, is for that one.
        return Socket(
            carry, remote_address=str(target), secure_transport="starttls", connect_timeout=None
        )


async def _open_channel(
    opener: ChannelOpener, target: Address, transport: ChannelTransport
) -> None:
    # The channel takes the transport for its session, as it has the methods of one.
    if isinstance(target, UnixAddress):
        unix_session = cast("asyncssh.SSHUNIXSession[bytes]", transport)
        opening = opener.create_unix_connection(lambda: unix_session, target.path)
    else:
        tcp_session = cast("asyncssh.SSHTCPSession[bytes]", transport)
        opening = opener.create_connection(
            lambda: tcp_session, target.host, target.port, *_ORIGINATOR
        )
    try:
        await opening
    except asyncssh.ChannelOpenError as error:
        raise _not_opened(target, error) from error
    except asyncssh.Error as error:
        raise connection_error(error) from error
    except BaseException:
        transport.abort()
        raise


class ChannelConnectRefused(ChannelOpenError, ConnectRefused):
    """Nobody listens at the address."""


class ChannelConnectTimeout(ChannelOpenError, ConnectTimeout):
    """The server did not reach the address in time."""


class ChannelResolveError(ChannelOpenError, ResolveError):
    """The server finds no address for the name."""


# What OpenSSH and Dropbear say beside the code 2, connect failed: their system's own words.
_BY_REASON = {
    os.strerror(errno.ECONNREFUSED): ChannelConnectRefused,
    os.strerror(errno.ETIMEDOUT): ChannelConnectTimeout,
    "Name or service not known": ChannelResolveError,
    "Temporary failure in name resolution": ChannelResolveError,
}


def _not_opened(target: Address, error: asyncssh.ChannelOpenError) -> ChannelOpenError:
    kind = ChannelOpenError
    if error.code == OPEN_CONNECT_FAILED:
        kind = _BY_REASON.get(error.reason, ChannelOpenError)
    text = f"cannot connect to {target} through SSH: {error.reason}"
    return kind(text, code=error.code, lang=error.lang)


class ChannelTransport(Transport):
    """Bytes in a channel of an SSH connection that asyncssh speaks (RFC 4254 §5).

    It is the channel's session, too: give it to ``create_connection`` as what the factory returns,
    and the receiver gets ``connection_made`` once the channel is open.

    ``write_eof`` sends SSH_MSG_CHANNEL_EOF, ``close`` that and SSH_MSG_CHANNEL_CLOSE; then it waits
    some seconds at most for the peer's. The loss of the SSH connection is an error. A channel that
    the peer closes without SSH_MSG_CHANNEL_EOF has ended, as many servers say no more than that;
    whether what the server had connected to was reset, SSH has no word for.
    ``abort`` drops what is not sent and closes without SSH_MSG_CHANNEL_EOF.
    """

    _channel: Channel  # there from the connection_made of the receiver on

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__(protocol)
        self._backlog: deque[memoryview] = deque()
        self._backlog_size = 0
        self._unread = memoryview(b"")  # what the receiver has not taken of the last packet
        self._made = False
        self._held = False
        self._eof_wanted = False
        self._eof_sent = False
        self._eof_received = False
        self._gone = False
        self._closer: asyncio.TimerHandle | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the channel under ``ssh_channel``; it has no socket and no addresses."""
        return self._channel if name == "ssh_channel" else default

    # Called by the receiver above.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send in the channel; what its window has no room for yet waits here."""
        if self._closing or not data:
            return
        if self._eof_wanted:
            raise RuntimeError("cannot write after write_eof")
        if self._gone or self._channel.is_closing():
            self._break("the peer closed the SSH channel while there was more to send")
            return
        # The channel copies what it is given; and it is given nothing while it still has some.
        if isinstance(data, bytes) and len(data) <= _PIECE and self._is_free():
            self._channel.write(data)
            self._update_flow()
            return
        view = memoryview(data)
        if not view.readonly:
            view = memoryview(bytes(view))
        self._backlog.append(view.cast("B"))
        self._backlog_size += view.nbytes
        self._flush()

    def get_write_buffer_size(self) -> int:
        """Number of bytes that are not in packets yet."""
        if not self._made:
            return 0
        return self._backlog_size + self._channel.get_write_buffer_size()

    def write_eof(self) -> None:
        """Send SSH_MSG_CHANNEL_EOF behind everything written; receiving goes on."""
        self._eof_wanted = True
        self._flush()

    def pause_reading(self) -> None:
        """Deliver nothing more; the peer can send as much as is left of our window."""
        if not self._paused and not self._closing:
            self._paused = True
            if not self._gone:
                self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was received already."""
        if self._paused and not self._closing:
            self._paused = False
            asyncio.get_running_loop().call_soon(self._read_on)

    def close(self) -> None:
        """Send what is written and the end, wait for the peer's, then end."""
        if self._closing:
            return
        self._closing = self._eof_wanted = True
        self._unread = memoryview(b"")
        if self._gone:
            self._end(None)
            return
        self._channel.resume_reading()  # what comes is dropped, so that the peer can go on
        self._flush()

    def abort(self) -> None:
        """Close the channel at once; what is not sent is dropped."""
        self._end(None)

    # Called by asyncssh.

    def connection_made(self, channel: Channel) -> None:
        """Take the channel, which is open now."""
        if self._closing:  # nobody waits for it any more
            channel.abort()
            return
        self._channel = channel
        self._made = True
        watch(channel)
        channel.set_write_buffer_limits(0, 0)
        try:
            self._protocol.connection_made(self)
        except Exception as error:
            self._receiver_failed(error)

    def session_started(self) -> None:
        """Nothing to do: the channel was open before."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Take what a packet holds."""
        if self._closing:
            return
        if self._unread:
            data = bytes(self._unread) + data
        taken = self._deliver(data)
        if taken < len(data) and not self._closing:
            self._unread = memoryview(data)[taken:]
            self._channel.pause_reading()  # asyncssh's server resumes it once by itself

    def eof_received(self) -> bool:
        """Take the end of the peer's direction."""
        self._eof_received = True
        if not self._paused and not self._unread and not self._closing:
            self._deliver_eof()
        return True  # to asyncssh: keep our direction open

    def pause_writing(self) -> None:
        """Give the channel nothing more; it cannot send what it has."""
        self._held = True

    def resume_writing(self) -> None:
        """Go on giving to the channel."""
        self._held = False
        if not self._channel.is_closing():  # the bridge calls this at the end, too
            self._flush()

    def channel_closed(self) -> None:
        """Note that the peer wants nothing more, though something received may be unread."""
        if self.get_write_buffer_size() and not self._closing:
            self._break("the peer closed the SSH channel while there was more to send")

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the channel, behind all that was received in it."""
        self._gone = True
        if not self._made:
            return
        if error is not None:
            self._break(f"the SSH connection was lost: {error}", error)
        elif self._closing:
            self._end(None)
        else:
            self._eof_received = True
            self._read_on()

    # The engine.

    def _is_free(self) -> bool:
        """Whether the channel has sent all that it was given, and could send more."""
        return not (self._held or self._backlog or self._channel.get_write_buffer_size())

    def _flush(self) -> None:
        """Give the channel what it can send, and behind all of it the end."""
        channel = self._channel
        while self._backlog and not (self._held or channel.get_write_buffer_size()):
            view = self._backlog[0]
            if len(view) > _PIECE:
                self._backlog[0] = view[_PIECE:]
            else:
                del self._backlog[0]
            piece = view[:_PIECE]
            self._backlog_size -= len(piece)
            channel.write(cast("bytes", piece))
        if self._eof_wanted and not self._backlog and not channel.get_write_buffer_size():
            self._write_end()
        try:
            self._update_flow()
        except Exception as error:  # the receiver's, which is no concern of the other channels
            self._receiver_failed(error)

    def _write_end(self) -> None:
        if not self._eof_sent:
            self._eof_sent = True
            self._channel.write_eof()
        if self._closing and self._closer is None:
            loop = asyncio.get_running_loop()
            self._closer = loop.call_later(_CLOSE_TIMEOUT, self.abort)
            self._channel.close()

    def _read_on(self) -> None:
        """Deliver what was received already, in its order, until the receiver pauses."""
        if self._unread and self.is_reading():
            self._unread = self._unread[self._deliver(self._unread) :]
        if self._unread or not self.is_reading():
            return
        if not self._gone:
            self._channel.resume_reading()
        if self._eof_received and self.is_reading() and not self._unread:
            self._deliver_eof()
            if self._gone and not self._closing:
                self._end(None)

    def _break(self, text: str, cause: Exception | None = None) -> None:
        error = ConnectionLost(text)
        error.__cause__ = cause
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        """Be done with the channel, and tell the receiver soon."""
        self._closing = True
        self._backlog.clear()
        self._backlog_size = 0
        self._unread = memoryview(b"")
        if self._closer is not None:
            self._closer.cancel()
        if self._made and not self._gone:
            self._channel.abort()
        if self._made:
            asyncio.get_running_loop().call_soon(self._deliver_lost, error)
