"""What can be wrong with a value."""

from __future__ import annotations

from wirekit import LocalProtocolError
from wirekit.protocols.postgres._faults import OutdatedType, UnknownType


def test_what_is_known_is_outdated() -> None:
    fault = OutdatedType("pair", "it has three")
    assert isinstance(fault, LocalProtocolError)
    assert str(fault) == "what is known of type pair is outdated: it has three"
    assert fault.type_name == "pair"


def test_a_type_is_unknown() -> None:
    fault = UnknownType("record", 77)
    assert isinstance(fault, LocalProtocolError)
    assert str(fault) == "a value of type record holds one of the unknown type 77"
    assert fault.oid == 77
