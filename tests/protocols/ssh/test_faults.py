"""The errors that a peer can cause."""

from __future__ import annotations

from wirekit import MessageTooLarge, RemoteProtocolError
from wirekit.protocols.ssh import DisconnectReason, PacketTooLarge, SSHProtocolError


def test_reason_codes_are_rfc_4253s() -> None:
    assert [reason.value for reason in DisconnectReason] == [*range(1, 16)]
    assert DisconnectReason(3) is DisconnectReason.KEY_EXCHANGE_FAILED
    assert DisconnectReason(11) is DisconnectReason.BY_APPLICATION


def test_a_fault_says_its_reason() -> None:
    fault = SSHProtocolError("broken")
    assert isinstance(fault, RemoteProtocolError)
    assert fault.reason_code is DisconnectReason.PROTOCOL_ERROR
    assert fault.events == []


def test_a_fault_again_is_another_without_events() -> None:
    fault = SSHProtocolError("broken", DisconnectReason.MAC_ERROR, events=[1])
    again = fault.again()
    assert again is not fault
    assert type(again) is SSHProtocolError
    assert (str(again), again.reason_code, again.events) == ("broken", fault.reason_code, [])


def test_what_is_too_large_is_both() -> None:
    fault = PacketTooLarge("large").again()
    assert isinstance(fault, MessageTooLarge)
    assert isinstance(fault, SSHProtocolError)
