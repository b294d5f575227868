"""Violations, and the statements they name."""

from __future__ import annotations

import pytest

from wirekit import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.protocols.mqtt import PacketTooLarge, ReasonCode, Violation
from wirekit.protocols.mqtt._faults import as_local, malformed, protocol_error


def test_the_text_ends_with_the_statement() -> None:
    fault = protocol_error("what it is", "MQTT-3.2.0-1")
    assert str(fault) == "what it is [MQTT-3.2.0-1]"
    assert (fault.statement, fault.reason_code) == ("MQTT-3.2.0-1", ReasonCode.PROTOCOL_ERROR)
    assert isinstance(fault, RemoteProtocolError)
    assert fault.events == []
    bare = malformed("what it is")
    assert (str(bare), bare.statement) == ("what it is", "")
    assert bare.reason_code is ReasonCode.MALFORMED_PACKET


def test_too_large_is_both() -> None:
    fault = PacketTooLarge("text", ReasonCode.PACKET_TOO_LARGE, "MQTT-3.1.2-24")
    assert isinstance(fault, Violation)
    assert isinstance(fault, MessageTooLarge)
    assert type(fault.again()) is PacketTooLarge


@pytest.mark.parametrize(
    ("statement", "of_3_1_1"),
    [
        ("MQTT-1.5.4-1", "MQTT-1.5.3-1"),
        ("MQTT-3.3.1-4", "MQTT-3.3.1-4"),
        ("MQTT-4.7.1-1", "MQTT-4.7.1-2"),
        ("MQTT-3.3.2-8", ""),
        ("", ""),
    ],
)
def test_3_1_1_has_numbers_of_its_own(statement: str, of_3_1_1: str) -> None:
    for version, number in ((5, statement), (4, of_3_1_1)):
        fault = malformed("text", statement)
        fault.place(7, version)
        ending = f" [{number}]" if number else ""
        assert str(fault) == f"text at offset 7{ending}"
        assert fault.statement == number
        local = as_local(malformed("text", statement), version)
        assert type(local) is LocalProtocolError
        assert str(local) == f"text{ending}"


def test_again_is_the_same_without_what_hangs_on_it() -> None:
    fault = malformed("text", "MQTT-1.5.4-1")
    fault.place(3, 5)
    fault.events = [1]
    again = fault.again()
    assert (str(again), again.reason_code, again.statement) == (
        *(str(fault), fault.reason_code, fault.statement),
    )
    assert again.events == []
    assert again is not fault
