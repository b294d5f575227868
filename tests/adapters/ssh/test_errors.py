from __future__ import annotations

import copy
import pickle
from typing import Any

import asyncssh
import pytest

import wirekit
from tests.protocols.ssh._pair import host_key
from wirekit._errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    Error,
    LocalProtocolError,
    ReadTimeout,
    ServerError,
    TransportError,
)
from wirekit.adapters.ssh._errors import (
    ChannelOpenError,
    DisconnectError,
    HostKeyError,
    PermissionDenied,
    SSHConnectError,
    SSHError,
    SSHTimeoutError,
    connection_error,
)
from wirekit.protocols.ssh import DisconnectReason, HostKey, SSHProtocolError

CLASSES = [
    SSHError,
    SSHConnectError,
    SSHTimeoutError,
    ChannelOpenError,
    DisconnectError,
    HostKeyError,
    PermissionDenied,
]

OURS: list[type[Error]] = [getattr(wirekit, name) for name in wirekit.__all__]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_wirekits_and_asyncsshs(kind: type[SSHError]) -> None:
    error = kind("why")
    assert isinstance(error, Error)
    assert isinstance(error, asyncssh.Error)
    assert (str(error), error.reason, error.lang) == ("why", "why", "en-US")


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        (SSHConnectError, [ConnectError, ConnectionError]),
        (SSHTimeoutError, [TransportError, TimeoutError]),
        (ChannelOpenError, [ConnectError, asyncssh.ChannelOpenError]),
        (DisconnectError, [ServerError, ConnectionLost, asyncssh.DisconnectError]),
        (HostKeyError, [TransportError, asyncssh.HostKeyNotVerifiable]),
        (PermissionDenied, [ServerError, asyncssh.PermissionDenied]),
    ],
)
def test_what_else_each_is(kind: type[SSHError], others: list[type[Exception]]) -> None:
    for other in others:
        assert issubclass(kind, other)


def test_codes() -> None:
    assert DisconnectError("bye", code=12).reason_code == 12
    assert ChannelOpenError("no", code=1).code == 1
    assert HostKeyError("no").code == DisconnectReason.HOST_KEY_NOT_VERIFIABLE
    assert PermissionDenied("no").code == DisconnectReason.NO_MORE_AUTH_METHODS_AVAILABLE


def test_the_key_that_is_not_trusted() -> None:
    key = HostKey(host_key().blob)
    assert HostKeyError("no", key=key).key is key


@pytest.mark.parametrize("kind", CLASSES)
def test_copies(kind: type[SSHError]) -> None:
    error = kind("why")
    error.code = 77
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error)), connection_error(error)):
        assert type(again) is kind
        assert again is not error
        assert (str(again), again.code) == ("why", 77)


@pytest.mark.parametrize("kind", OURS)
def test_each_of_wirekits_becomes_one_of_ours(kind: type[Error]) -> None:
    cause = ValueError("deeper")
    error = kind("why")
    error.__cause__ = cause
    joined = connection_error(error)
    assert isinstance(joined, kind)
    assert isinstance(joined, asyncssh.Error)
    assert type(joined).__name__ in (kind.__name__, f"SSH{kind.__name__}")
    assert (str(joined), joined.reason, joined.__cause__) == ("why", "why", cause)
    assert type(connection_error(kind("again"))) is type(joined)


def test_what_belongs_together_stays_together() -> None:
    assert isinstance(connection_error(ConnectTimeout("late")), SSHTimeoutError)
    assert isinstance(connection_error(ConnectTimeout("late")), SSHConnectError)
    assert isinstance(connection_error(ReadTimeout("late")), SSHTimeoutError)
    assert isinstance(connection_error(ConnectError("no", errno=7)), SSHConnectError)
    refused: Any = connection_error(ConnectError("no", errno=7))
    assert refused.errno == 7
    assert isinstance(connection_error(ConnectionLost("gone")), asyncssh.ConnectionLost)
    assert not isinstance(connection_error(LocalProtocolError("no")), asyncssh.DisconnectError)


@pytest.mark.parametrize(
    ("reason", "theirs"),
    [
        (DisconnectReason.PROTOCOL_ERROR, asyncssh.ProtocolError),
        (DisconnectReason.KEY_EXCHANGE_FAILED, asyncssh.KeyExchangeFailed),
        (DisconnectReason.MAC_ERROR, asyncssh.MACError),
        (DisconnectReason.COMPRESSION_ERROR, asyncssh.CompressionError),
        (DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED, asyncssh.ProtocolNotSupported),
        (DisconnectReason.HOST_KEY_NOT_VERIFIABLE, asyncssh.HostKeyNotVerifiable),
    ],
)
def test_a_fault_of_the_peer(reason: DisconnectReason, theirs: type[Exception]) -> None:
    joined = connection_error(SSHProtocolError("wrong", reason))
    assert isinstance(joined, SSHProtocolError)
    assert isinstance(joined, theirs)
    assert joined.reason_code == joined.code == reason


def test_what_is_nobodys_becomes_a_loss() -> None:
    cause = OSError(5, "broken")
    lost = connection_error(cause)
    assert isinstance(lost, ConnectionLost)
    assert lost.__cause__ is cause


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        (asyncssh.PermissionDenied("no"), PermissionDenied),
        (asyncssh.HostKeyNotVerifiable("no"), HostKeyError),
        (asyncssh.ChannelOpenError(2, "no"), ChannelOpenError),
        (asyncssh.ConnectionLost("no"), ConnectionLost),
        (asyncssh.ProtocolError("no"), DisconnectError),
        (asyncssh.DisconnectError(99, "no"), DisconnectError),
        (asyncssh.Error(3, "no"), SSHError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_each_of_asyncsshs_becomes_one_of_ours(
    theirs: asyncssh.Error, kind: type[Exception]
) -> None:
    ours = connection_error(theirs)
    assert isinstance(ours, kind)
    assert isinstance(ours, type(theirs))
    assert isinstance(ours, SSHError)
    assert (ours.code, ours.reason, ours.__cause__) == (theirs.code, "no", theirs)
