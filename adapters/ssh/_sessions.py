"""asyncssh's ways to use a connection, each on a connection that stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import asyncssh

from wirekit._errors import Error

from ._errors import SSHTimeoutError, connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from types import TracebackType

    from ._bridge import Connection

    Streams = tuple[asyncssh.SSHReader[Any], asyncssh.SSHWriter[Any]]
    SessionStreams = tuple[
        asyncssh.SSHWriter[Any], asyncssh.SSHReader[Any], asyncssh.SSHReader[Any]
    ]

__all__ = ["Pending", "Sessions"]

_THEIRS = (
    asyncssh.ChannelOpenError,
    asyncssh.ChannelListenError,
    asyncssh.DisconnectError,
    OSError,
)


class _Closing(Protocol):
    async def __aenter__(self) -> Any: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


_Made = TypeVar("_Made")


class Pending(Generic[_Made]):
    """What is being opened: await it, or open and close it with ``async with``."""

    def __init__(self, opening: Coroutine[Any, Any, _Made]) -> None:
        self._opening = opening
        self._made: _Made | None = None

    def __await__(self) -> Generator[Any, Any, _Made]:
        return self._opening.__await__()

    async def __aenter__(self) -> _Made:
        self._made = await self._opening
        return cast("_Made", await cast("_Closing", self._made).__aenter__())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await cast("_Closing", self._made).__aexit__(exc_type, exc_value, traceback)


class Sessions:
    """The methods of ``asyncssh.SSHClientConnection`` that open something.

    They take its arguments and return its objects; its documentation describes them. The server
    has ``timeout`` seconds to answer. Whoever is cancelled meanwhile leaves nothing open behind.

    Raises, all of them:
        ChannelOpenError: the server refuses; ``code`` says why.
        ConnectionLost: the connection was lost, and could not be made anew.
        SSHTimeoutError: the server did not answer in time.
    """

    _timeout: float | None

    async def _ready(self) -> Connection:
        """Return a connection that can be used."""
        raise NotImplementedError

    # Programs.

    async def run(
        self, *args: object, check: bool = False, timeout: float | None = None, **kwargs: Any
    ) -> asyncssh.SSHCompletedProcess:
        """Run a command and return what it wrote, all of which is kept in memory.

        ``timeout`` is for the command itself, in seconds; by default it may take for ever. Where
        the caller gives up, the command's channel is closed.

        Raises:
            asyncssh.ProcessError: with ``check``, it did not end with status 0.
            asyncssh.TimeoutError: it did not end in time.
        """
        process = await self.create_process(*args, **kwargs)
        try:
            return await process.wait(check, timeout)
        except BaseException:
            process.channel.abort()
            raise

    def create_process(
        self, *args: object, **kwargs: Any
    ) -> Pending[asyncssh.SSHClientProcess[Any]]:
        """Start a command, a shell or a subsystem, with streams for its input and output."""
        return self._open("create_process", *args, **kwargs)

    async def create_subprocess(
        self,
        protocol_factory: Callable[[], asyncssh.SSHSubprocessProtocol[Any]],
        *args: object,
        **kwargs: Any,
    ) -> tuple[asyncssh.SSHSubprocessTransport[Any], asyncssh.SSHSubprocessProtocol[Any]]:
        """Start a command with a receiver as asyncio's ``SubprocessProtocol``."""
        made: tuple[
            asyncssh.SSHSubprocessTransport[Any], asyncssh.SSHSubprocessProtocol[Any]
        ] = await self._open("create_subprocess", protocol_factory, *args, **kwargs)
        return made

    async def create_session(
        self,
        session_factory: Callable[[], asyncssh.SSHClientSession[Any]],
        *args: object,
        **kwargs: Any,
    ) -> tuple[asyncssh.SSHClientChannel[Any], asyncssh.SSHClientSession[Any]]:
        """Open a session with a receiver of one's own."""
        made: tuple[
            asyncssh.SSHClientChannel[Any], asyncssh.SSHClientSession[Any]
        ] = await self._open("create_session", session_factory, *args, **kwargs)
        return made

    async def open_session(self, *args: object, **kwargs: Any) -> SessionStreams:
        """Open a session as three streams: for its input, its output and its errors."""
        made: SessionStreams = await self._open("open_session", *args, **kwargs)
        return made

    def start_sftp_client(self, *args: object, **kwargs: Any) -> Pending[asyncssh.SFTPClient]:
        """Start SFTP: files and directories on the server."""
        return self._open("start_sftp_client", *args, **kwargs)

    # Connections that the server makes for us; `connector` gives them as sockets.

    async def create_connection(
        self,
        session_factory: Callable[[], asyncssh.SSHTCPSession[Any]],
        *args: object,
        **kwargs: Any,
    ) -> tuple[asyncssh.SSHTCPChannel[Any], asyncssh.SSHTCPSession[Any]]:
        """Have the server connect to a host and port, with a receiver of one's own."""
        made: tuple[asyncssh.SSHTCPChannel[Any], asyncssh.SSHTCPSession[Any]] = await self._open(
            "create_connection", session_factory, *args, **kwargs
        )
        return made

    async def open_connection(self, *args: object, **kwargs: Any) -> Streams:
        """Have the server connect to a host and port; returns two streams."""
        made: Streams = await self._open("open_connection", *args, **kwargs)
        return made

    async def create_unix_connection(
        self,
        session_factory: Callable[[], asyncssh.SSHUNIXSession[Any]],
        *args: object,
        **kwargs: Any,
    ) -> tuple[asyncssh.SSHUNIXChannel[Any], asyncssh.SSHUNIXSession[Any]]:
        """Have the server connect to a Unix socket there, with a receiver of one's own."""
        made: tuple[asyncssh.SSHUNIXChannel[Any], asyncssh.SSHUNIXSession[Any]] = await self._open(
            "create_unix_connection", session_factory, *args, **kwargs
        )
        return made

    async def open_unix_connection(self, *args: object, **kwargs: Any) -> Streams:
        """Have the server connect to a Unix socket there; returns two streams."""
        made: Streams = await self._open("open_unix_connection", *args, **kwargs)
        return made

    # Connections that the server accepts for us.

    def create_server(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a port, with a receiver of one's own for each connection."""
        return self._listen("create_server", *args, **kwargs)

    def start_server(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a port, with two streams for each connection."""
        return self._listen("start_server", *args, **kwargs)

    def create_unix_server(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a Unix socket there, with a receiver of one's own."""
        return self._listen("create_unix_server", *args, **kwargs)

    def start_unix_server(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a Unix socket there, with two streams for each connection."""
        return self._listen("start_unix_server", *args, **kwargs)

    # Forwarding: to the server's side (local) and from it (remote), ports and paths of Unix
    # sockets. What arrives from the server's side is connected to here by asyncssh itself.

    def forward_local_port(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Listen on a port here; the server connects on."""
        return self._listen("forward_local_port", *args, **kwargs)

    def forward_local_path(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Listen on a path here; the server connects on to a path."""
        return self._listen("forward_local_path", *args, **kwargs)

    def forward_local_port_to_path(
        self, *args: Any, **kwargs: Any
    ) -> Pending[asyncssh.SSHListener]:
        """Listen on a port here; the server connects on to a path."""
        return self._listen("forward_local_port_to_path", *args, **kwargs)

    def forward_local_path_to_port(
        self, *args: Any, **kwargs: Any
    ) -> Pending[asyncssh.SSHListener]:
        """Listen on a path here; the server connects on to a port."""
        return self._listen("forward_local_path_to_port", *args, **kwargs)

    def forward_socks(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Listen on a port here as a SOCKS proxy; the server connects on."""
        return self._listen("forward_socks", *args, **kwargs)

    def forward_remote_port(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a port; asyncssh connects on from here."""
        return self._listen("forward_remote_port", *args, **kwargs)

    def forward_remote_path(self, *args: Any, **kwargs: Any) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a path; asyncssh connects on from here to a path."""
        return self._listen("forward_remote_path", *args, **kwargs)

    def forward_remote_port_to_path(
        self, *args: Any, **kwargs: Any
    ) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a port; asyncssh connects on from here to a path."""
        return self._listen("forward_remote_port_to_path", *args, **kwargs)

    def forward_remote_path_to_port(
        self, *args: Any, **kwargs: Any
    ) -> Pending[asyncssh.SSHListener]:
        """Have the server listen on a path; asyncssh connects on from here to a port."""
        return self._listen("forward_remote_path_to_port", *args, **kwargs)

    def _open(self, name: str, *args: object, **kwargs: object) -> Pending[Any]:
        return Pending(self._opened(name, args, kwargs))

    def _listen(self, name: str, *args: object, **kwargs: object) -> Pending[asyncssh.SSHListener]:
        return Pending(self._opened(name, args, kwargs, _unless_given_up))

    async def _opened(
        self,
        name: str,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        wait_for: Callable[[Awaitable[Any]], Awaitable[Any]] | None = None,
    ) -> Any:
        connection = await self._ready()
        method: Callable[..., Awaitable[Any]] = getattr(connection, name)
        limit = asyncio.timeout(self._timeout)
        try:
            with connection.unless_it_fails():
                async with limit:
                    opening = method(*args, **kwargs)
                    return await (opening if wait_for is None else wait_for(opening))
        except Error:
            raise
        except TimeoutError as error:
            if not limit.expired():
                raise
            text = f"{connection.socket.remote_address} did not answer within {self._timeout} s"
            raise SSHTimeoutError(text) from error
        except _THEIRS as error:
            if not connection.is_usable:
                raise connection_error(connection.error or error) from error
            if isinstance(error, OSError):
                raise  # of a file or port of ours
            raise connection_error(error) from None


async def _unless_given_up(
    opening: Awaitable[asyncssh.SSHListener],
) -> asyncssh.SSHListener:
    """Wait for a listener; if whoever wants it gives up, it is closed once it is there.

    A server that is asked to listen does so whether we still want it or not.
    """
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_close)
        raise


def _close(opening: asyncio.Future[asyncssh.SSHListener]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
