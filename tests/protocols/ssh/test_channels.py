"""RFC 4254 §5.1: channels tell how large their packets may be."""

from __future__ import annotations

import pytest

from wirekit.protocols.ssh import ChannelOpen, ChannelOpenConfirmation, SSHProtocolError

OPEN = ChannelOpen("session", 1, 2, 3, b"more")
CONFIRMATION = ChannelOpenConfirmation(9, 1, 2, 3, b"more")


def test_channel_open() -> None:
    payload = bytes.fromhex("5a 00000007 73657373696f6e 00000001 00000002 00000003") + b"more"
    assert OPEN.encode() == payload
    assert ChannelOpen.decode(payload) == OPEN


def test_channel_open_confirmation() -> None:
    payload = bytes.fromhex("5b 00000009 00000001 00000002 00000003") + b"more"
    assert CONFIRMATION.encode() == payload
    assert ChannelOpenConfirmation.decode(payload) == CONFIRMATION


@pytest.mark.parametrize(
    "message", [ChannelOpen("session", 1, 2, 0), ChannelOpenConfirmation(9, 1, 2, 0)]
)
def test_a_maximum_packet_size_of_0(message: ChannelOpen | ChannelOpenConfirmation) -> None:
    with pytest.raises(SSHProtocolError, match="maximum packet size of 0"):
        type(message).decode(message.encode())


@pytest.mark.parametrize(
    "message", [ChannelOpen("x", 1, 2, 3), ChannelOpenConfirmation(9, 1, 2, 3)]
)
def test_truncated(message: ChannelOpen | ChannelOpenConfirmation) -> None:
    payload = message.encode()
    for size in range(1, len(payload)):
        with pytest.raises(SSHProtocolError):
            type(message).decode(payload[:size])


def test_data_is_in_no_repr() -> None:
    assert "more" not in repr([OPEN, CONFIRMATION])
