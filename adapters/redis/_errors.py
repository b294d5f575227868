"""Redis errors: wirekit's, and at the same time those that redis-py's users catch.

Every error raised by this adapter is a `wirekit.Error` and a `redis.exceptions.RedisError`:

- a server's error reply is a `ResponseError` with its ``code`` (``"WRONGTYPE"``), and also the
  class that redis-py has for it (``redis.exceptions.NoScriptError``, …);
- a transport error keeps its wirekit class and is also ``redis.exceptions.ConnectionError`` or
  ``redis.exceptions.TimeoutError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import redis.exceptions
from redis._parsers.base import BaseParser

from wirekit._errors import (
    BusyError,
    ConnectionLost,
    Error,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirekit.protocols.resp import ErrorReply

__all__ = ["DataError", "ResponseError", "WatchError", "connection_error", "error_from_reply"]


class ResponseError(ServerError, redis.exceptions.RedisError):
    """The server answered with an error reply; ``code`` is its first word, such as ``"ERR"``."""

    code = "ERR"


class DataError(LocalProtocolError, redis.exceptions.DataError):
    """A command or an argument cannot be sent."""


class WatchError(ServerError, redis.exceptions.WatchError):
    """A watched key changed before the transaction was executed; nothing was done."""


def error_from_reply(reply: ErrorReply) -> ResponseError:
    """Return the exception for an error reply."""
    # "unknown command 'x', with args beginning with: …": those may be secret.
    text = str(reply).partition(", with args beginning with")[0]
    theirs = cast("Callable[[str], Exception]", cast("Any", BaseParser).parse_error)(text)
    error = cast("ResponseError", _joined(ResponseError, type(theirs))(*theirs.args))
    error.code = reply.code
    return error


def connection_error(error: Exception, *, sent: bool = True) -> Error:
    """Return ``error``, or a copy of it, as one that redis-py's users catch as well.

    Its attribute ``sent`` tells whether the command may have reached the server.
    """
    if not isinstance(error, Error):
        lost = ConnectionLost(str(error))
        lost.__cause__ = error
        error = lost
    if isinstance(error, TimeoutError):
        theirs: type[Exception] = redis.exceptions.TimeoutError
    elif isinstance(error, RemoteProtocolError):
        theirs = redis.exceptions.InvalidResponse
    elif isinstance(error, BusyError):
        theirs = redis.exceptions.RedisError
    else:
        theirs = redis.exceptions.ConnectionError
    joined = _joined(type(error), theirs)(*error.args)
    joined.__cause__ = error.__cause__
    vars(joined).update(vars(error), sent=sent)
    if isinstance(error, OSError) and isinstance(joined, OSError):
        joined.errno = error.errno
    return cast("Error", joined)


_made: dict[tuple[type[Exception], type[Exception]], type[Exception]] = {}


def _joined(ours: type[Exception], theirs: type[Exception]) -> type[Exception]:
    """Return a class that is both; it is known by wirekit's name, or redis-py's if more exact."""
    if issubclass(ours, theirs):
        return ours
    if (ours, theirs) in _made:
        return _made[ours, theirs]
    name = theirs.__name__ if ours is ResponseError else ours.__name__
    namespace = {
        # redis-py's attributes, which its __repr__ needs too and its __init__ may not get to set
        **vars(theirs()),
        "__doc__": ours.__doc__,
        "__module__": __name__,
        "__repr__": BaseException.__repr__,
    }
    joined = _made[ours, theirs] = type(name, (ours, theirs), namespace)
    return joined
