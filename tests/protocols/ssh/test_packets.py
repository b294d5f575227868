"""RFC 4253 §6: packets in the clear and protected, their rules and limits, and any cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols._outcome import cut_at, one_by_one
from tests.protocols.ssh._packet import clear_packet, raw_packet
from tests.protocols.ssh._pair import KINDS, SUITES, fixed_cipher, inside, randomness
from tests.protocols.ssh._suite import open_all, reader, seal, writer
from wirekit import LocalProtocolError
from wirekit.protocols.ssh import PacketTooLarge, SSHProtocolError
from wirekit.protocols.ssh._compression import Compressor, Decompressor
from wirekit.protocols.ssh._packets import MAX_PACKETS, PacketReader, PacketWriter

LIMIT = 35000


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
@pytest.mark.parametrize("size", [*range(1, 40), 32768])
def test_lengths_and_padding(encryption: str, mac: str, size: int) -> None:
    """§6: at least 16 bytes, a multiple of the block, from 4 to 255 of padding."""
    packets = writer(encryption, mac)
    cipher = fixed_cipher(encryption, mac)
    packet = seal(packets, b"\x5e" * size)
    clear = len(packet) - cipher.tag_size
    assert clear >= 16
    assert (clear - cipher.unaligned) % cipher.block_size == 0
    assert 4 <= clear - 5 - size <= 255
    assert packets.sequence == packets.packets == 1
    assert packets.bytes_sealed == clear - 4


def test_padding_is_drawn_in_large_pieces_and_not_used_twice() -> None:
    drawn: list[int] = []

    def draw(size: int) -> bytes:
        drawn.append(size)
        return randomness(len(drawn))(size)

    packets = PacketWriter(draw)
    paddings = {seal(packets, b"\x5e" * 3)[-8:] for _ in range(2000)}
    assert len(drawn) == 4
    assert len(paddings) == 2000


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (raw_packet(0, 0, b""), "below 5"),
        (raw_packet(4, 4, bytes(3)), "below 5"),
        (raw_packet(LIMIT + 1, 4, b""), "above maximum_packet_size"),
        (raw_packet(2**32 - 1, 4, b""), "above maximum_packet_size"),
        (raw_packet(13, 4, bytes(12)), "multiple"),
        (raw_packet(12, 3, bytes(11)), "padding_length below 4"),
        (raw_packet(12, 0, bytes(11)), "padding_length below 4"),
        (raw_packet(12, 12, bytes(11)), "beyond the packet"),
        (raw_packet(12, 255, bytes(11)), "beyond the packet"),
        (raw_packet(12, 11, bytes(11)), "without a payload"),
    ],
)
def test_faults(packet: bytes, message: str) -> None:
    with pytest.raises(SSHProtocolError, match=message):
        open_all(PacketReader(LIMIT), packet)


def test_a_length_is_judged_when_its_last_byte_is_there() -> None:
    packets = PacketReader(LIMIT)
    assert open_all(packets, b"\0\1\0") == []
    with pytest.raises(PacketTooLarge):
        open_all(packets, b"\0")


def test_the_largest_packet() -> None:
    payload = bytes(LIMIT - 4 - 5 - 4)
    packet = clear_packet(payload, padding=4 + -(len(payload) + 9) % 8)
    assert len(packet) - 4 <= LIMIT
    assert open_all(PacketReader(LIMIT), packet) == [payload]


def test_input_is_not_kept_and_may_change_afterwards() -> None:
    packet = clear_packet(b"\x5epayload")
    data = bytearray(packet + packet[:7])
    packets = PacketReader(LIMIT)
    assert open_all(packets, data) == [b"\x5epayload"]
    packets.receive(b"")
    data[:] = bytes(len(data))
    data.clear()
    assert packets.trailing_data == packet[:7]
    assert open_all(packets, packet[7:]) == [b"\x5epayload"]


def test_cost_grows_with_the_bytes_and_not_with_the_pieces() -> None:
    """A packet that comes byte by byte is joined once: the buffer grows in place."""
    packet = clear_packet(bytes(30000))
    packets = PacketReader(LIMIT)
    seen: set[int] = set()
    for byte in one_by_one(packet[:-1]):
        assert open_all(packets, byte) == []
        seen.add(id(inside(packets)._pending))
    assert len(seen) == 1


@pytest.mark.parametrize(("encryption", "mac"), SUITES)
def test_any_size_of_pieces_gives_the_same(encryption: str, mac: str) -> None:
    packets = writer(encryption, mac)
    payloads = [bytes((94,)) * size for size in (1, 100, 3000, 7, 16, 1, 1)]
    stream = b"".join(seal(packets, payload) for payload in payloads)
    for size in (1, 2, 3, 5, 16, 17, 33, 1000):
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        opened = reader(encryption, mac)
        assert [payload for piece in pieces for payload in open_all(opened, piece)] == payloads
        assert opened.sequence == len(payloads)


SUITE = st.sampled_from([("none", ""), *KINDS])


def make_pair(suite: tuple[str, str]) -> tuple[PacketWriter, PacketReader]:
    if suite[0] == "none":
        return PacketWriter(randomness()), PacketReader(LIMIT)
    return writer(*suite), reader(*suite)


def outcome(packets: PacketReader, pieces: list[bytes]) -> tuple[list[bytes], object]:
    payloads: list[bytes] = []
    for piece in pieces:
        packets.receive(piece)
        try:
            while (payload := packets.next_payload()) is not None:
                payloads.append(payload)
        except SSHProtocolError as exc:
            return payloads, (str(exc), exc.reason_code)
    return payloads, (packets.trailing_data, packets.sequence)


@given(SUITE, st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.data())
def test_any_cut(suite: tuple[str, str], payloads: list[bytes], data: st.DataObject) -> None:
    sealer, _ = make_pair(suite)
    stream = b"".join(seal(sealer, payload) for payload in payloads)
    stream = stream[: data.draw(st.integers(0, len(stream)))]
    if data.draw(st.booleans()) and stream:
        position = data.draw(st.integers(0, len(stream) - 1))
        changed = stream[position] ^ 1 << data.draw(st.integers(0, 7))
        stream = stream[:position] + bytes((changed,)) + stream[position + 1 :]
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=5))
    whole = outcome(make_pair(suite)[1], [stream])
    assert outcome(make_pair(suite)[1], cut_at(stream, places)) == whole
    assert outcome(make_pair(suite)[1], one_by_one(stream)) == whole
    received = whole[0]
    assert received == payloads[: len(received)] or suite[0] == "none"


@given(SUITE, st.binary(max_size=400))
def test_arbitrary_bytes(suite: tuple[str, str], data: bytes) -> None:
    received = outcome(make_pair(suite)[1], [data])[0]
    assert received == [] or suite[0] == "none"


@pytest.mark.parametrize("suite", KINDS)
def test_every_truncation_waits(suite: tuple[str, str]) -> None:
    packet = seal(writer(*suite), b"\x5epayload")
    for size in range(len(packet)):
        packets = reader(*suite)
        assert open_all(packets, packet[:size]) == []
        assert packets.trailing_data == packet[:size]


def test_sequence_numbers_wrap_and_are_reset_only_when_told() -> None:
    sealer, opener = make_pair(KINDS[0])
    sealer.sequence = opener.sequence = 2**32 - 1
    assert open_all(opener, seal(sealer, b"\x5e")) == [b"\x5e"]
    assert sealer.sequence == opener.sequence == 0
    sealer.sequence = opener.sequence = 7
    for reset, expected in ((False, 7), (True, 0)):
        sealer.change_cipher(fixed_cipher(*KINDS[1]), reset_sequence=reset)
        opener.change_cipher(fixed_cipher(*KINDS[1]), reset_sequence=reset)
        assert sealer.sequence == opener.sequence == expected
        assert sealer.packets == sealer.bytes_sealed == 0


def test_no_sequence_number_comes_again_under_the_same_keys() -> None:
    sealer, opener = make_pair(KINDS[1])
    packet = seal(sealer, b"\x5e")
    sealer.packets = opener.packets = MAX_PACKETS
    with pytest.raises(LocalProtocolError):
        seal(sealer, b"\x5e")
    with pytest.raises(SSHProtocolError, match="more packets than sequence numbers"):
        open_all(opener, packet)


def test_compressed() -> None:
    sealer, opener = make_pair(KINDS[0])
    sealer.compressor, opener.decompressor = Compressor(), Decompressor(LIMIT)
    packet = seal(sealer, b"\x5e" * 30000)
    assert len(packet) < 200
    assert open_all(opener, packet) == [b"\x5e" * 30000]
    with pytest.raises(PacketTooLarge):
        open_all(opener, seal(sealer, b"\x5e" * (LIMIT + 1)))


def test_compressed_to_nothing() -> None:
    opener = PacketReader(LIMIT)
    opener.decompressor = Decompressor(LIMIT)
    with pytest.raises(SSHProtocolError, match="without a payload"):
        open_all(opener, clear_packet(b"\x78\x9c"))
