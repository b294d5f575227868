"""AES in counter mode with HMAC, in both orders, against asyncssh and paramiko."""

from __future__ import annotations

import pytest

from tests.protocols.ssh import _suite
from tests.protocols.ssh._pair import CTR, MACS

pytestmark = pytest.mark.parametrize(
    ("encryption", "mac"), [(encryption, mac) for encryption in CTR for mac in MACS]
)


def test_round_trip(encryption: str, mac: str) -> None:
    _suite.check_round_trip(encryption, mac)


def test_asyncssh(encryption: str, mac: str) -> None:
    _suite.check_asyncssh(encryption, mac)


def test_paramiko(encryption: str, mac: str) -> None:
    _suite.check_paramiko(encryption, mac)


def test_changed_bits(encryption: str, mac: str) -> None:
    _suite.check_changed_bits(encryption, mac)


def test_wrong_keys(encryption: str, mac: str) -> None:
    _suite.check_wrong_keys(encryption, mac)


def test_order(encryption: str, mac: str) -> None:
    _suite.check_order(encryption, mac)
