"""RFC 4253 §4.2: identification strings, and what a server says before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.protocols.ssh import DisconnectReason, PacketTooLarge, SSHProtocolError
from wirekit.protocols.ssh._identification import (
    Identification,
    IdentificationReader,
    Role,
    check_identification,
)


def read(data: bytes, role: Role = "client") -> tuple[IdentificationReader, int]:
    reader = IdentificationReader(role)
    return reader, reader.receive(data)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2", ("2.0", "OpenSSH_9.2p1", "Debian-2")),
        ("SSH-2.0-dropbear_2022.83", ("2.0", "dropbear_2022.83", "")),
        ("SSH-1.99-Cisco-1.25", ("1.99", "Cisco-1.25", "")),  # a minus where none may be
        ("SSH-2.0-x ", ("2.0", "x", "")),
        ("SSH-2.0-x a b", ("2.0", "x", "a b")),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_identifications(line: str, parts: tuple[str, str, str], end: str) -> None:
    reader, size = read(f"{line}{end}more".encode())
    identification = reader.identification
    assert identification is not None
    assert size == len(line) + len(end)
    assert str(identification) == line
    assert identification.protoversion == parts[0]
    assert identification.softwareversion == parts[1]
    assert identification.comments == parts[2]


def test_bytes_beyond_ascii_are_shown_escaped() -> None:
    reader, _ = read(b"SSH-2.0-x\xe4 \xff\r\n")
    assert str(reader.identification) == r"SSH-2.0-x\xe4 \xff"
    assert reader.identification == Identification(b"SSH-2.0-x\xe4 \xff")


def test_lines_before_it() -> None:
    reader, _ = read(b"hello\r\n\nS\nSSH\r\nSSH-2.0-x\n")
    assert reader.lines == [b"hello", b"", b"S", b"SSH"]
    assert reader.identification is not None


@pytest.mark.parametrize("data", [b"hello\r\n", b"h", b"SSX", b"\n", b"\0"])
def test_a_client_says_nothing_before_it(data: bytes) -> None:
    with pytest.raises(SSHProtocolError, match="does not begin with its identification"):
        read(data, "server")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-1.5-x\r\n", DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED),
        (b"SSH-3.0-x\r\n", DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED),
        (b"SSH-2.00-x\r\n", DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED),
        (b"SSH-2.0\r\n", DisconnectReason.PROTOCOL_ERROR),
        (b"SSH-2.0-\r\n", DisconnectReason.PROTOCOL_ERROR),
        (b"SSH-2.0- x\r\n", DisconnectReason.PROTOCOL_ERROR),
        (b"SSH-2.0-x\x1b[2J\r\n", DisconnectReason.PROTOCOL_ERROR),
        (b"SSH-2.0-x \x07\r\n", DisconnectReason.PROTOCOL_ERROR),
        (b"SSH-\r\n", DisconnectReason.PROTOCOL_ERROR),
    ],
)
def test_others_are_refused(data: bytes, reason: DisconnectReason) -> None:
    with pytest.raises(SSHProtocolError) as caught:
        read(data)
    assert caught.value.reason_code is reason


def test_limits_are_checked_before_the_line_ends() -> None:
    read(b"SSH-2.0-" + b"x" * 247)
    with pytest.raises(PacketTooLarge):
        read(b"SSH-2.0-" + b"x" * 248)
    read(b"x" * 8192)
    with pytest.raises(PacketTooLarge):
        read(b"x" * 8193)


def test_lines_are_bounded_together() -> None:
    reader, _ = read(b"x" * 8000 + b"\n")
    with pytest.raises(PacketTooLarge, match="too many lines"):
        reader.receive((b"x" * 8000 + b"\n") * 32)


LINES = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=4)


@given(LINES, st.sampled_from([b"", b"SSH-2.0-x\r\n", b"SSH-2.0-x\n", b"SSH-9-x\r\n"]), st.data())
def test_any_cut_gives_the_same(lines: list[bytes], last: bytes, data: st.DataObject) -> None:
    stream = b"".join(line + b"\r\n" for line in lines) + last + b"rest"
    whole = outcome([stream])
    place = data.draw(st.integers(0, len(stream)))
    assert outcome([stream[:place], stream[place:]]) == whole
    assert outcome([stream[index : index + 1] for index in range(len(stream))]) == whole


def outcome(chunks: list[bytes]) -> tuple[object, ...]:
    reader = IdentificationReader("client")
    size = 0
    fault = None
    for chunk in chunks:
        try:
            size += reader.receive(chunk)
        except SSHProtocolError as exc:
            fault = (str(exc), exc.reason_code)
            size = 0
            break
    trailing = reader.trailing_data if fault is None else b""
    return reader.lines, reader.identification, size, fault, trailing


def test_nothing_is_taken_behind_it() -> None:
    reader, _ = read(b"SSH-2.0-x\r\n")
    assert reader.receive(b"more") == 0
    assert reader.trailing_data == b""


def test_our_own() -> None:
    assert check_identification("SSH-2.0-wirekit_1 a-b") == b"SSH-2.0-wirekit_1 a-b"
    for text in (
        "SSH-2.0-",
        "SSH-2.0-a-b",
        "SSH-1.99-a",
        "SSH-2.0-é",
        "SSH-2.0-a\n",
        "SSH-2.0-" + "x" * 246,
        "wirekit",
    ):
        with pytest.raises(ValueError, match="an identification is"):
            check_identification(text)
