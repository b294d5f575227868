"""The codes of the standard's tables."""

from __future__ import annotations

import pytest

from wirekit.protocols.mqtt import ConnectReturnCode, ReasonCode
from wirekit.protocols.mqtt._reason_codes import (
    AUTH_CODES,
    CONNACK_CODES,
    DISCONNECT_CODES,
    PUBACK_CODES,
    PUBREL_CODES,
    SUBACK_CODES,
    SUBACK_RETURN_CODES,
    UNSUBACK_CODES,
)


def test_names_share_values_as_in_the_table() -> None:
    names = ("SUCCESS", "NORMAL_DISCONNECTION", "GRANTED_QOS_0")
    assert {ReasonCode[name] for name in names} == {ReasonCode.SUCCESS}
    assert len(ReasonCode) == 43
    assert len(ReasonCode.__members__) == 45
    assert ReasonCode(0x9C) is ReasonCode.USE_ANOTHER_SERVER
    with pytest.raises(ValueError, match="163 is not a valid ReasonCode"):
        ReasonCode(0xA3)


def test_from_128_on_it_is_a_failure() -> None:
    failures = [code for code in ReasonCode if code.is_failure]
    assert [*failures] == [code for code in ReasonCode if code >= 0x80]
    assert [code.is_failure for code in ConnectReturnCode] == [False, *[True] * 5]


def test_every_code_has_a_packet() -> None:
    used = CONNACK_CODES | PUBACK_CODES | PUBREL_CODES | SUBACK_CODES
    used |= UNSUBACK_CODES | AUTH_CODES["client"] | AUTH_CODES["server"]
    used |= DISCONNECT_CODES["client"] | DISCONNECT_CODES["server"]
    assert used == set(ReasonCode)


def test_the_tables_have_as_many_as_the_standards() -> None:
    assert [len(CONNACK_CODES), len(PUBACK_CODES), len(PUBREL_CODES)] == [22, 9, 2]
    assert [len(SUBACK_CODES), len(UNSUBACK_CODES), len(SUBACK_RETURN_CODES)] == [12, 7, 4]


def test_who_disconnects_with_what() -> None:
    client, server = DISCONNECT_CODES["client"], DISCONNECT_CODES["server"]
    assert client - server == {ReasonCode.DISCONNECT_WITH_WILL_MESSAGE}
    assert len(server) == 28 + 1  # those of §3.14.2.1, and one of §2.4
    assert ReasonCode.BAD_AUTHENTICATION_METHOD in server - client
    assert ReasonCode.SERVER_SHUTTING_DOWN in server - client
