"""chacha20-poly1305@openssh.com, against asyncssh; paramiko has none."""

from __future__ import annotations

from tests.protocols.ssh import _suite
from tests.protocols.ssh._pair import CHACHA
from wirekit.protocols.ssh._chacha import ChaChaCipher


def test_round_trip() -> None:
    _suite.check_round_trip(CHACHA, "")


def test_asyncssh() -> None:
    _suite.check_asyncssh(CHACHA, "")


def test_changed_bits() -> None:
    _suite.check_changed_bits(CHACHA, "")


def test_wrong_keys() -> None:
    _suite.check_wrong_keys(CHACHA, "")


def test_order() -> None:
    _suite.check_order(CHACHA, "")


def test_the_nonce_is_the_sequence_number() -> None:
    pieces: list[bytes] = []
    cipher = ChaChaCipher(bytes(range(64)))
    for sequence in (7, 8, 7):
        cipher.seal(sequence, b"\0\0\0\x10", bytes(16), pieces)
    assert pieces[:2] == pieces[4:]
    assert pieces[0][:4] != pieces[2][:4]
    assert pieces[0][4:] != pieces[2][4:]


def test_the_length_has_a_key_of_its_own() -> None:
    one, other = ChaChaCipher(bytes(64)), ChaChaCipher(bytes(32) + bytes(31) + b"\1")
    sealed: list[bytes] = []
    one.seal(0, b"\0\0\0\x10", bytes(16), sealed)
    other.seal(0, b"\0\0\0\x10", bytes(16), sealed)
    assert sealed[0][:4] != sealed[2][:4]
    assert sealed[0][4:] == sealed[2][4:]
