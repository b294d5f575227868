"""The codes of the standard's tables."""

from __future__ import annotations

import pytest

from wirekit.protocols.mqtt import ConnectReturnCode, ReasonCode
from wirekit.protocols.mqtt import _reason_codes as codes


def test_names_share_values_as_in_the_table() -> None:
    assert ReasonCode.SUCCESS is ReasonCode.NORMAL_DISCONNECTION is ReasonCode.GRANTED_QOS_0
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
    used = codes.CONNACK_CODES | codes.PUBACK_CODES | codes.PUBREL_CODES | codes.SUBACK_CODES
    used |= codes.UNSUBACK_CODES | codes.AUTH_CODES["client"] | codes.AUTH_CODES["server"]
    used |= codes.DISCONNECT_CODES["client"] | codes.DISCONNECT_CODES["server"]
    assert used == set(ReasonCode)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(("CONNACK_CODES", 22), ("PUBACK_CODES", 9), ("PUBREL_CODES", 2), ("SUBACK_CODES", 12)),
        *(("UNSUBACK_CODES", 7), ("SUBACK_RETURN_CODES", 4)),
    ],
)
def test_the_tables_have_as_many_as_the_standards(name: str, count: int) -> None:
    assert len(getattr(codes, name)) == count


def test_who_disconnects_with_what() -> None:
    client, server = codes.DISCONNECT_CODES["client"], codes.DISCONNECT_CODES["server"]
    assert client - server == {ReasonCode.DISCONNECT_WITH_WILL_MESSAGE}
    # §3.14.2.1 has 28 with those of servers, and §2.4 one more.
    assert len(server) == 28
    assert ReasonCode.BAD_AUTHENTICATION_METHOD in server - client
    assert ReasonCode.SERVER_SHUTTING_DOWN in server - client
