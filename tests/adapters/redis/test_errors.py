from __future__ import annotations

import pytest
import redis.exceptions

import wirekit
from wirekit.adapters.redis import ResponseError
from wirekit.adapters.redis._errors import DataError, connection_error, error_from_reply
from wirekit.protocols.resp import SimpleError


@pytest.mark.parametrize(
    ("text", "kind", "code", "shown"),
    [
        (b"ERR no such key", redis.exceptions.ResponseError, "ERR", "no such key"),
        (b"WRONGTYPE bad", redis.exceptions.ResponseError, "WRONGTYPE", "WRONGTYPE bad"),
        (b"NOSCRIPT none", redis.exceptions.NoScriptError, "NOSCRIPT", "none"),
        (b"NOPERM no", redis.exceptions.NoPermissionError, "NOPERM", "no"),
        (b"WRONGPASS no", redis.exceptions.AuthenticationError, "WRONGPASS", "no"),
        (b"LOADING wait", redis.exceptions.BusyLoadingError, "LOADING", "wait"),
        (b"READONLY no", redis.exceptions.ReadOnlyError, "READONLY", "no"),
        (b"\xff\xfe", redis.exceptions.ResponseError, "\ufffd\ufffd", "\ufffd\ufffd"),
    ],
)
def test_error_replies(text: bytes, kind: type[Exception], code: str, shown: str) -> None:
    error = error_from_reply(SimpleError(text))
    assert isinstance(error, ResponseError)
    assert isinstance(error, wirekit.ServerError)
    assert isinstance(error, kind)
    assert error.code == code
    assert str(error) == shown
    assert type(error) is type(error_from_reply(SimpleError(text)))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (wirekit.ConnectionLost("gone"), redis.exceptions.ConnectionError),
        (wirekit.SocketClosed("closed"), redis.exceptions.ConnectionError),
        (wirekit.ConnectRefused("no", errno=111), redis.exceptions.ConnectionError),
        (wirekit.ConnectTimeout("late"), redis.exceptions.TimeoutError),
        (wirekit.ReadTimeout("late"), redis.exceptions.TimeoutError),
        (wirekit.RemoteProtocolError("bad"), redis.exceptions.InvalidResponse),
        (wirekit.BusyError("busy"), redis.exceptions.RedisError),
    ],
)
def test_transport_errors_are_of_both_libraries(
    error: wirekit.Error, kind: type[Exception]
) -> None:
    cause = error.__cause__ = OSError("why")
    joined = connection_error(error, sent=False)
    assert isinstance(joined, type(error))
    assert isinstance(joined, kind)
    assert joined is not error
    assert str(joined) == str(error)
    assert joined.__cause__ is cause
    assert vars(joined)["sent"] is False
    assert getattr(joined, "errno", None) == getattr(error, "errno", None)
    # Once more keeps it as it is.
    assert type(connection_error(joined)) is type(joined)


def test_other_errors_become_a_lost_connection() -> None:
    error = OSError("broken")
    joined = connection_error(error)
    assert isinstance(joined, wirekit.ConnectionLost)
    assert joined.__cause__ is error
    assert vars(joined)["sent"] is True


def test_data_error() -> None:
    error = DataError("no")
    assert isinstance(error, wirekit.LocalProtocolError)
    assert isinstance(error, redis.exceptions.DataError)
