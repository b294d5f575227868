"""SSH errors: wirekit's, and at the same time those that asyncssh's users catch.

SSHError                   (wirekit.Error, asyncssh.Error) has ``code``, ``reason``, ``lang``
├─ SSHConnectError         (ConnectError) no connection came about
├─ SSHTimeoutError         (TimeoutError) the server did not answer in time
├─ ChannelListenError      the server does not listen for us
├─ ChannelOpenError        (ConnectError) the server opened no channel; ``code`` says why
├─ DisconnectError         (ServerError, ConnectionLost) the server said good-bye; ``reason_code``
├─ HostKeyError            (TransportError) the server's key is not one that is trusted
├─ PermissionDenied        (ServerError) the server lets this user in by nothing that was tried
└─ and each of wirekit's own errors, such as ConnectionLost, as a class that is both
"""

from __future__ import annotations

from types import new_class
from typing import TYPE_CHECKING, cast

import asyncssh

from wirekit._errors import (
    ConnectError,
    ConnectionLost,
    Error,
    ServerError,
    SocketClosed,
    TransportError,
)
from wirekit.protocols.ssh import DisconnectReason, SSHProtocolError

if TYPE_CHECKING:
    from wirekit.protocols.ssh import HostKey

__all__ = [
    "ChannelListenError",
    "ChannelOpenError",
    "DisconnectError",
    "HostKeyError",
    "PermissionDenied",
    "SSHConnectError",
    "SSHError",
    "SSHTimeoutError",
    "connection_error",
]


class SSHError(Error, asyncssh.Error):
    """Anything that went wrong with SSH.

    Attributes:
        reason: the text.
        code: a reason code of RFC 4253 §11.1, or of RFC 4254 §5.1 for a channel.
        lang: the language of the text.
    """

    def __init__(
        self,
        reason: str = "",
        /,
        *,
        code: int = DisconnectReason.BY_APPLICATION,
        lang: str = "en-US",
    ) -> None:
        self.args = (reason,)
        self.code = code
        self.reason = reason
        self.lang = lang


class SSHConnectError(SSHError, ConnectError):
    """No connection came about."""


class SSHTimeoutError(SSHError, TransportError, TimeoutError):
    """The server did not answer in time; the connection was closed."""


class ChannelListenError(SSHError, asyncssh.ChannelListenError):
    """The server does not listen for us where it was asked to."""


class ChannelOpenError(SSHError, ConnectError, asyncssh.ChannelOpenError):
    """The server opened no channel.

    ``code`` says why (RFC 4254 §5.1): 1 administratively prohibited, 2 connect failed, 3 unknown
    channel type, 4 resource shortage.
    """


class DisconnectError(SSHError, ServerError, ConnectionLost, asyncssh.DisconnectError):
    """The server ended the connection with SSH_MSG_DISCONNECT."""

    @property
    def reason_code(self) -> int:
        """The reason code of RFC 4253 §11.1."""
        return self.code


class HostKeyError(SSHError, TransportError, asyncssh.HostKeyNotVerifiable):
    """The server's key is not one that is trusted; nothing secret was sent.

    ``key`` is that key, where it is known.
    """

    def __init__(self, reason: str = "", /, *, key: HostKey | None = None) -> None:
        super().__init__(reason, code=DisconnectReason.HOST_KEY_NOT_VERIFIABLE)
        self.key = key


class PermissionDenied(SSHError, ServerError, asyncssh.PermissionDenied):
    """The server lets this user in by nothing that was tried."""

    def __init__(self, reason: str = "", /) -> None:
        super().__init__(reason, code=DisconnectReason.NO_MORE_AUTH_METHODS_AVAILABLE)


def connection_error(error: Exception) -> SSHError:
    """Return ``error``, or a copy of it, as one that is an `SSHError` as well.

    What is neither wirekit's nor asyncssh's becomes a `ConnectionLost`.
    """
    if isinstance(error, SSHError):
        copy = error.__class__.__new__(error.__class__)
        copy.args = error.args
        vars(copy).update(vars(error))
        copy.__cause__ = error.__cause__
        return copy
    if isinstance(error, asyncssh.Error):
        return _from_asyncssh(error)
    if isinstance(error, asyncssh.ChannelListenError):
        return ChannelListenError(str(error))
    if not isinstance(error, Error):
        lost = ConnectionLost(str(error))
        lost.__cause__ = error
        error = lost
    theirs, code = _theirs(error)
    return _copy(error, _joined(type(error), theirs), code)


def _from_asyncssh(error: asyncssh.Error) -> SSHError:
    """Return what asyncssh raised as one of ours."""
    made: SSHError
    if isinstance(error, asyncssh.PermissionDenied):
        made = PermissionDenied(error.reason)
    elif isinstance(error, asyncssh.HostKeyNotVerifiable):
        made = HostKeyError(error.reason)
    elif isinstance(error, asyncssh.ChannelOpenError):
        made = ChannelOpenError(error.reason, code=error.code, lang=error.lang)
    else:
        ours = SSHError
        if isinstance(error, asyncssh.ConnectionLost):
            ours = _joined(ConnectionLost, asyncssh.ConnectionLost)
        elif isinstance(error, asyncssh.DisconnectError):
            ours = _joined(DisconnectError, type(error))
        made = _copy(error, ours, error.code)
        made.lang = error.lang
    made.__cause__ = error
    return made


_BY_REASON: dict[int, type[asyncssh.Error]] = {
    DisconnectReason.KEY_EXCHANGE_FAILED: asyncssh.KeyExchangeFailed,
    DisconnectReason.MAC_ERROR: asyncssh.MACError,
    DisconnectReason.COMPRESSION_ERROR: asyncssh.CompressionError,
    DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED: asyncssh.ProtocolNotSupported,
    DisconnectReason.HOST_KEY_NOT_VERIFIABLE: asyncssh.HostKeyNotVerifiable,
}


def _theirs(error: Error) -> tuple[type[asyncssh.Error], int]:
    """Return asyncssh's class for one of our errors, and its reason code."""
    if isinstance(error, SSHProtocolError):
        kind = _BY_REASON.get(error.reason_code, asyncssh.ProtocolError)
        return kind, error.reason_code
    if isinstance(error, ConnectionLost | SocketClosed):
        return asyncssh.ConnectionLost, DisconnectReason.CONNECTION_LOST
    return asyncssh.Error, DisconnectReason.BY_APPLICATION


def _copy(error: Exception, kind: type[SSHError], code: int) -> SSHError:
    """Return the same error as another class, without that one's ``__init__``."""
    copy = kind.__new__(kind)
    copy.args = (str(error),)
    vars(copy).update({"code": code, "reason": str(error), "lang": "en-US", **vars(error)})
    copy.__cause__ = error.__cause__
    if isinstance(error, OSError) and isinstance(copy, OSError):
        copy.errno = error.errno
    return copy


_made: dict[tuple[type[Exception], type[asyncssh.Error]], type[SSHError]] = {}


def _joined(ours: type[Exception], theirs: type[asyncssh.Error]) -> type[SSHError]:
    """Return a class that is both, and an `SSHError`; it is known by wirekit's name."""
    if (ours, theirs) not in _made:
        every = (ours, *_roots(ours), theirs)
        # A class beside one that is derived from it has no place in the order of bases.
        bases = tuple(
            base
            for base in every
            if not any(other is not base and issubclass(other, base) for other in every)
        )
        namespace = {"__doc__": ours.__doc__, "__module__": __name__}
        made = bases[0]
        if len(bases) > 1:
            made = new_class(ours.__name__, bases, exec_body=lambda ns: ns.update(namespace))
        _made[ours, theirs] = cast("type[SSHError]", made)
    return _made[ours, theirs]


def _roots(ours: type[Exception]) -> tuple[type[SSHError], ...]:
    """Return those of our classes that an error of that class is, too."""
    is_connecting, is_late = issubclass(ours, ConnectError), issubclass(ours, TimeoutError)
    if is_connecting:
        return (SSHConnectError, SSHTimeoutError) if is_late else (SSHConnectError,)
    return (SSHTimeoutError,) if is_late else (SSHError,)
