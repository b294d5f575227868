"""AES-GCM, against asyncssh and paramiko."""

from __future__ import annotations

import pytest

from tests.protocols.ssh import _suite
from tests.protocols.ssh._pair import GCM
from wirekit.protocols.ssh._gcm import GCMCipher

pytestmark = pytest.mark.parametrize("encryption", GCM)


def test_round_trip(encryption: str) -> None:
    _suite.check_round_trip(encryption, "")


def test_asyncssh(encryption: str) -> None:
    _suite.check_asyncssh(encryption, "")


def test_paramiko(encryption: str) -> None:
    _suite.check_paramiko(encryption, "")


def test_changed_bits(encryption: str) -> None:
    _suite.check_changed_bits(encryption, "")


def test_wrong_keys(encryption: str) -> None:
    _suite.check_wrong_keys(encryption, "")


def test_order(encryption: str) -> None:
    _suite.check_order(encryption, "")


def test_the_invocation_counter_has_64_bits(encryption: str) -> None:
    """RFC 5647 §7.1: 4 fixed octets, and 8 that count the packets, whatever these begin with."""
    key = bytes(16 if "128" in encryption else 32)
    wrapping = GCMCipher(key, b"four" + b"\xff" * 8)
    wrapped = GCMCipher(key, b"four" + bytes(8))
    pieces: list[bytes] = []
    wrapping.seal(0, b"\0\0\0\x10", bytes(16), pieces)
    wrapping.seal(1, b"\0\0\0\x10", bytes(16), pieces)
    wrapped.seal(0, b"\0\0\0\x10", bytes(16), pieces)
    assert pieces[1] != pieces[3] == pieces[5]
    assert "four" not in repr(wrapping)
