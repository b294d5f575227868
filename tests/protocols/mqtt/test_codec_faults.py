"""What a peer may not send, one by one."""

from __future__ import annotations

from functools import partial

import pytest

from tests.protocols._outcome import one_by_one
from tests.protocols.mqtt._faults import FAULTS, Fault
from tests.protocols.mqtt._pair import connecting, receiver
from wirekit import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.protocols.mqtt import Codec, ConnAck, Disconnect, PacketTooLarge, State, Violation
from wirekit.protocols.mqtt._reason_codes import CONNACK_CODES, DISCONNECT_CODES, ReasonCode


def codec_for(fault: Fault) -> Codec:
    if fault.stage == "begun":
        return Codec(fault.role, version=fault.version)
    if fault.stage == "connecting":
        return connecting(fault.version, **fault.told)
    return receiver(fault.role, fault.version, told=fault.told)


def name(fault: Fault) -> str:
    rule = fault.statement or fault.reason_code.name
    return f"{fault.role}-{fault.version}-{rule}-{fault.data[:16].hex()}"


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_it_is_answered_by_a_violation(fault: Fault) -> None:
    codec = codec_for(fault)
    with pytest.raises(Violation) as caught:
        codec.receive_data(fault.data)
    violation = caught.value
    assert (violation.statement, violation.reason_code) == (fault.statement, fault.reason_code)
    assert str(violation).endswith(f" [{fault.statement}]" if fault.statement else violation.text)
    assert " at offset " in str(violation)
    assert isinstance(violation, RemoteProtocolError)
    too_large = fault.reason_code is ReasonCode.PACKET_TOO_LARGE
    assert isinstance(violation, PacketTooLarge) == isinstance(violation, MessageTooLarge)
    assert isinstance(violation, PacketTooLarge) == too_large
    assert codec.state is State.ERROR
    assert codec.trailing_data == b""


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_it_is_the_same_byte_by_byte_and_for_good(fault: Fault) -> None:
    codec = codec_for(fault)
    with pytest.raises(Violation) as first:
        codec.receive_data(fault.data)
    other = codec_for(fault)
    events: list[object] = []

    def receive_all() -> None:
        for byte in one_by_one(fault.data):
            events.extend(other.receive_data(byte))

    with pytest.raises(Violation) as second:
        receive_all()
    assert repr(second.value) == repr(first.value)
    assert events + second.value.events == first.value.events
    for again in (partial(codec.receive_data, b"x"), codec.receive_eof):
        with pytest.raises(Violation) as later:
            again()
        assert repr(later.value) == repr(first.value)
        assert (later.value.reason_code, later.value.events) == (fault.reason_code, [])


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_the_connection_can_be_ended_with_its_reason_code(fault: Fault) -> None:
    codec = codec_for(fault)
    with pytest.raises(Violation):
        codec.receive_data(fault.data)
    codes = CONNACK_CODES if fault.stage == "begun" else DISCONNECT_CODES[fault.role]
    assert fault.reason_code in codes
    if fault.version == 5 and fault.stage == "open" and "14.4" not in fault.statement:
        assert codec.send(Disconnect(fault.reason_code)) == bytes([0xE0, 1, fault.reason_code])
        assert codec.state is State.ERROR
        with pytest.raises(LocalProtocolError):
            codec.send(Disconnect())
    with pytest.raises(LocalProtocolError):
        codec.send(ConnAck())
