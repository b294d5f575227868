"""The payloads of the transport layer's messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import shown
from tests.protocols.ssh._packet import kexinit
from wirekit.protocols.ssh import (
    Debug,
    Disconnect,
    DisconnectReason,
    ExtInfo,
    Ignore,
    KexECDHInit,
    KexECDHReply,
    KexInit,
    Message,
    NewKeys,
    Packet,
    Ping,
    Pong,
    ServiceAccept,
    ServiceRequest,
    SSHProtocolError,
    Unimplemented,
)

# The message, the section that defines it, and its payload.
VECTORS: list[tuple[Message, str]] = [
    (Disconnect(11, "bye", "en"), "01 0000000b 00000003 627965 00000002 656e"),  # RFC 4253 §11.1
    (Ignore(b"ab"), "02 00000002 6162"),  # §11.2
    (Unimplemented(7), "03 00000007"),  # §11.4
    (Debug(True, "é", ""), "04 01 00000002 c3a9 00000000"),  # §11.3
    (ServiceRequest("ssh-userauth"), "05 0000000c 7373682d7573657261757468"),  # §10
    (ServiceAccept("ssh-userauth"), "06 0000000c 7373682d7573657261757468"),
    (ExtInfo({"a": b"1", "b": b""}), "07 00000002 00000001 61 00000001 31 00000001 62 00000000"),
    (NewKeys(), "15"),  # §7.3
    (KexECDHInit(b"pq"), "1e 00000002 7071"),  # RFC 5656 §4
    (KexECDHReply(b"k", b"pq", b"s"), "1f 00000001 6b 00000002 7071 00000001 73"),
    (Ping(b"x"), "c0 00000001 78"),  # OpenSSH PROTOCOL §1.8
    (Pong(b"x"), "c1 00000001 78"),
    (
        KexInit(
            bytes(range(16)),
            ("a", "b"),
            ("c",),
            ("d",),
            ("e",),
            ("f",),
            ("g",),
            ("h",),
            ("i",),
            (),
            ("j",),
            True,
        ),
        "14 000102030405060708090a0b0c0d0e0f 00000003 612c62 00000001 63 00000001 64 00000001 65"
        "00000001 66 00000001 67 00000001 68 00000001 69 00000000 00000001 6a 01 00000000",
    ),
]


@pytest.mark.parametrize(("message", "encoded"), VECTORS, ids=shown)
def test_vectors(message: Message, encoded: str) -> None:
    payload = bytes.fromhex(encoded)
    assert message.encode() == payload
    assert payload[0] == message.number
    assert type(message).decode(payload) == message


@pytest.mark.parametrize("message", [message for message, _ in VECTORS], ids=shown)
def test_truncated_and_trailing(message: Message) -> None:
    payload = message.encode()
    shortest = 5 if isinstance(message, Disconnect) else len(payload)
    for size in range(1, len(payload)):
        if size in (shortest, shortest + 4 + 3):  # a DISCONNECT without its texts
            continue
        with pytest.raises(SSHProtocolError):
            type(message).decode(payload[:size])
    with pytest.raises(SSHProtocolError, match="behind its end"):
        type(message).decode(payload + b"\0")


def test_a_disconnect_may_be_short_or_badly_written() -> None:
    assert Disconnect.decode(bytes.fromhex("01 00000002")) == Disconnect(2)
    assert Disconnect.decode(bytes.fromhex("01 00000002 00000001 ff")) == Disconnect(2, "\\xff")
    assert Disconnect(DisconnectReason.BY_APPLICATION).encode()[4] == 11


def test_reserved_is_ignored() -> None:
    message = kexinit()
    assert KexInit.decode(message.encode()[:-4] + b"\1\2\3\4") == message


def test_extensions_that_lie_about_their_number() -> None:
    with pytest.raises(SSHProtocolError):
        ExtInfo.decode(b"\7\xff\xff\xff\xff")


def test_payloads_are_in_no_repr() -> None:
    secret = b"hunter2"
    shown_together = repr([Ignore(secret), Ping(secret), Pong(secret), Packet(94, secret, 1)])
    assert "hunter2" not in shown_together
    assert "Packet(number=94, 7 bytes, sequence=1)" in shown_together


def test_what_has_no_fields_of_its_own() -> None:
    class Empty(Message):
        number = 8

    with pytest.raises(NotImplementedError):
        Empty().encode()
    with pytest.raises(NotImplementedError):
        Empty.decode(b"\x08")


@given(st.sampled_from([type(message) for message, _ in VECTORS]), st.binary(max_size=80))
def test_arbitrary_bytes(kind: type[Message], data: bytes) -> None:
    try:
        message = kind.decode(bytes((kind.number,)) + data)
    except SSHProtocolError:
        return
    assert kind.decode(message.encode()) == message
