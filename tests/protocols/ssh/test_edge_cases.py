"""The 32 cases in which implementations differ, each by its number and with the right outcome.

What OpenSSH, Go, asyncssh and paramiko make of them stands beside the numbers in the project's
notes; most comments here name one that does otherwise.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.protocols._outcome import one_by_one
from tests.protocols.ssh._packet import clear_packet, kexinit, raw_packet
from tests.protocols.ssh._pair import (
    GCM,
    KINDS,
    SUITES,
    Pair,
    inside,
    make_client,
    make_server,
    only,
    open_codec,
    open_pair,
    randomness,
)
from wirekit.protocols.ssh import (
    Algorithms,
    ChannelOpen,
    ChannelOpenConfirmation,
    Codec,
    Debug,
    DisconnectReason,
    ExtInfo,
    Identified,
    Ignore,
    KexInit,
    KeyExchanged,
    Packet,
    PacketTooLarge,
    Ping,
    Pong,
    SSHProtocolError,
    State,
    Unimplemented,
)
from wirekit.protocols.ssh._packets import MAX_PACKETS
from wirekit.protocols.ssh._primitives import encode_text

VERSION = b"SSH-2.0-x\r\n"
STRICT_SERVER = ("curve25519-sha256", "kex-strict-s-v00@openssh.com")
STRICT_CLIENT = ("curve25519-sha256", "kex-strict-c-v00@openssh.com")


def refused(codec: Codec, data: bytes) -> SSHProtocolError:
    """Give bytes to a codec that has to refuse them."""
    with pytest.raises(SSHProtocolError) as caught:
        codec.receive_data(data)
    assert codec.state is State.ERROR
    return caught.value


def identified(data: bytes, role: str = "client") -> Identified:
    codec = make_client() if role == "client" else make_server()
    (event,) = codec.receive_data(data)
    assert isinstance(event, Identified)
    return event


def test_01_lines_before_a_servers_version_are_taken_and_bounded() -> None:
    """paramiko has no limit on their length."""
    assert identified(b"a\r\n" * 1024 + VERSION).lines == (b"a",) * 1024
    assert isinstance(refused(make_client(), b"a\r\n" * 1025), PacketTooLarge)
    assert len(identified(b"x" * 8190 + b"\r\n" + VERSION).lines[0]) == 8190
    assert isinstance(refused(make_client(), b"x" * 8193), PacketTooLarge)


def test_02_lines_before_a_clients_version_are_refused() -> None:
    refused(make_server(), b"hello\r\n" + VERSION)
    refused(make_server(), b"GET / HTTP/1.1\r\n")


def test_03_a_version_may_end_in_lf_alone() -> None:
    assert identified(b"SSH-2.0-x\n").identification.line == b"SSH-2.0-x"


def test_04_1_99_is_2_0() -> None:
    assert identified(b"SSH-1.99-x\r\n").identification.protoversion == "1.99"


@pytest.mark.parametrize("role", ["client", "server"])
def test_05_1_5_is_refused(role: str) -> None:
    codec = make_client() if role == "client" else make_server()
    fault = refused(codec, b"SSH-1.5-x\r\n")
    assert fault.reason_code is DisconnectReason.PROTOCOL_VERSION_NOT_SUPPORTED


def test_06_nul_in_a_version_is_refused() -> None:
    """asyncssh and paramiko take it."""
    refused(make_client(), b"SSH-2.0-x\0y\r\n")


@pytest.mark.parametrize("line", [b"SSH-2.0-x\ry\r\n", b"SSH-2.0-x\r\r\n", b"a\rb\n"])
def test_07_cr_without_lf_is_refused(line: bytes) -> None:
    """asyncssh and paramiko take it."""
    refused(make_client(), line)


def test_08_a_version_of_more_than_255_bytes_is_refused() -> None:
    """asyncssh takes 256, paramiko any."""
    longest = b"SSH-2.0-" + b"x" * 245 + b"\r\n"
    assert len(longest) == 255
    assert identified(longest).identification.line == longest[:-2]
    assert isinstance(refused(make_client(), longest[:-2] + b"x\r\n"), PacketTooLarge)
    assert isinstance(refused(make_client(), longest[:-2] + b"x\n"), PacketTooLarge)


def test_09_a_byte_beyond_ascii_in_a_version_is_let_in() -> None:
    """asyncssh has an internal error."""
    assert identified(b"SSH-2.0-\xff\xe4\r\n").identification.softwareversion == r"\xff\xe4"


@pytest.mark.parametrize("length", [0, 1, 4])
def test_10_a_packet_length_below_5_is_refused(length: int) -> None:
    """paramiko takes 4 for a message of type 0."""
    assert "below 5" in str(refused(make_client(), VERSION + length.to_bytes(4, "big")))


@pytest.mark.parametrize("length", [256 * 1024 + 1, 2**31, 2**32 - 1])
def test_11_a_packet_length_above_the_limit_is_refused_at_once(length: int) -> None:
    """paramiko waits for 4 GiB."""
    fault = refused(make_client(), VERSION + length.to_bytes(4, "big"))
    assert isinstance(fault, PacketTooLarge)
    for suite in KINDS:
        codec = open_codec("client", *suite)
        sealed = make_length(suite, length)
        assert isinstance(refused(codec, sealed), PacketTooLarge)


def make_length(suite: tuple[str, str], length: int) -> bytes:
    """Return how a packet with that packet_length begins."""
    pieces: list[bytes] = []
    cipher = inside(open_codec("client", *suite))._reader._cipher
    cipher.seal(0, length.to_bytes(4, "big"), bytes(28), pieces)
    return b"".join(pieces)[: cipher.header_size]


@pytest.mark.parametrize("suite", [("none", ""), *SUITES])
def test_12_a_length_that_is_no_multiple_of_the_block_is_refused(suite: tuple[str, str]) -> None:
    """asyncssh does not check it in the clear, paramiko not under EtM and AEAD."""
    if suite[0] == "none":
        fault = refused(make_client(), VERSION + raw_packet(13, 4, bytes(12)))
    else:
        fault = refused(open_codec("client", *suite), make_length(suite, 41))
    assert "multiple of the block size" in str(fault)


def sealed_body(suite: tuple[str, str], body: bytes) -> bytes:
    """Return a packet whose body is this, right or wrong."""
    if suite[0] == "none":
        return VERSION + len(body).to_bytes(4, "big") + body
    pieces: list[bytes] = []
    cipher = inside(open_codec("client", *suite))._reader._cipher
    cipher.seal(0, len(body).to_bytes(4, "big"), body, pieces)
    return b"".join(pieces)


def body_size(suite: tuple[str, str]) -> int:
    """Return the packet_length of a packet of 32 bytes, or of 36 where these do not count."""
    if suite[0] == "none":
        return 28
    unaligned: int = inside(open_codec("client", *suite))._reader._cipher.unaligned
    return 28 + unaligned


ALL = [("none", ""), *KINDS]


def receiver(suite: tuple[str, str]) -> Codec:
    return make_client() if suite[0] == "none" else open_codec("client", *suite)


@pytest.mark.parametrize("suite", ALL)
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_13_a_padding_length_below_4_is_refused(suite: tuple[str, str], padding: int) -> None:
    """asyncssh takes 3, paramiko also 0."""
    packet = sealed_body(suite, bytes((padding,)) + bytes(body_size(suite) - 1))
    assert "padding_length below 4" in str(refused(receiver(suite), packet))


@pytest.mark.parametrize("suite", ALL)
def test_14_a_padding_length_of_the_packet_length_or_more_is_refused(
    suite: tuple[str, str],
) -> None:
    size = body_size(suite)
    for padding in (size, size + 1, 255):
        packet = sealed_body(suite, bytes((padding,)) + bytes(size - 1))
        assert "beyond the packet" in str(refused(receiver(suite), packet))


@pytest.mark.parametrize("suite", ALL)
def test_15_no_payload_and_type_0_are_refused(suite: tuple[str, str]) -> None:
    """RFC types begin at 1; paramiko passes type 0 on."""
    size = body_size(suite)
    packet = sealed_body(suite, bytes((size - 1,)) + bytes(size - 1))
    assert "without a payload" in str(refused(receiver(suite), packet))
    packet = sealed_body(suite, bytes((4,)) + bytes(size - 1))
    assert "message 0" in str(refused(receiver(suite), packet))


@pytest.mark.parametrize("suite", SUITES)
def test_16_a_wrong_mac_is_one_error_and_no_plaintext(suite: tuple[str, str]) -> None:
    packet = open_codec("server", *suite).send(b"\x5e" + b"secret" * 4)
    faults: set[tuple[str, DisconnectReason]] = set()
    for position in range(4, len(packet)):
        changed = packet[:position] + bytes((packet[position] ^ 1,)) + packet[position + 1 :]
        fault = refused(open_codec("client", *suite), changed)
        faults.add((str(fault), fault.reason_code))
        assert fault.events == []
        assert fault.__cause__ is None
    assert faults == {("a packet with a wrong MAC", DisconnectReason.MAC_ERROR)}


@pytest.mark.parametrize("suite", SUITES)
def test_17_before_the_tag_only_the_limits_of_a_length_count(suite: tuple[str, str]) -> None:
    """A length within the limits is waited for; then the tag decides."""
    codec = open_codec("client", *suite)
    unaligned = inside(codec)._reader._cipher.unaligned
    head = make_length(suite, 256 * 1024 - 16 + (12 if unaligned == 0 else 16))
    assert codec.receive_data(head) == []
    assert refused(codec, bytes(256 * 1024 + 100)).reason_code is DisconnectReason.MAC_ERROR


@pytest.mark.parametrize("role", ["client", "server"])
def test_18_sequence_numbers_that_wrap_in_the_first_key_exchange_are_refused(role: str) -> None:
    codec = make_client() if role == "client" else make_server()
    codec.receive_data(VERSION)
    inside(codec)._reader.sequence, inside(codec)._reader.packets = 0, MAX_PACKETS
    assert "more packets than sequence numbers" in str(refused(codec, clear_packet(Ignore(b""))))


def test_19_sequence_numbers_that_wrap_later_go_on() -> None:
    pair = open_pair()
    for codec in (pair.client, pair.server):
        inside(codec)._reader.sequence = inside(codec)._writer.sequence = 2**32 - 1
    for sequence in (2**32 - 1, 0, 1):
        assert pair.send("client", b"\x5e") == [Packet(94, b"\x5e", sequence)]
        assert pair.send("server", b"\x5e") == [Packet(94, b"\x5e", sequence)]


@pytest.mark.parametrize("message", [Ignore(b""), Debug(False, ""), Unimplemented(0), b"\x08"])
def test_20_strict_key_exchange_has_no_other_packets(message: Any) -> None:
    strict = clear_packet(kexinit(kex_algorithms=STRICT_SERVER))
    refused(make_client(), VERSION + strict + clear_packet(message))
    fault = refused(make_client(), VERSION + clear_packet(message) + strict)
    assert fault.reason_code is DisconnectReason.PROTOCOL_ERROR
    # Without it, messages 2 to 4 may come, and others may not.
    client = make_client()
    lax = VERSION + clear_packet(message) + clear_packet(kexinit()) + clear_packet(message)
    if isinstance(message, bytes):
        refused(client, lax)
    else:
        client.receive_data(lax)


def test_21_the_strict_marker_counts_only_in_the_first_kexinit() -> None:
    """paramiko looks at every one."""
    for first in (True, False):
        pair = strict_pair() if first else lax_pair()
        assert inside(pair.client)._strict is inside(pair.server)._strict is first
        for codec in (pair.client, pair.server):
            if not first:
                inside(codec)._algorithms = cast("Algorithms", _Marked())
        pair.client.rekey()
        pair.run()
        assert pair.client.state is State.OPEN
        assert inside(pair.client)._strict is inside(pair.server)._strict is first


class _Marked:
    """Algorithms with the markers among them, as they must not be in a later KEXINIT."""

    def __getattr__(self, name: str) -> Any:
        if name == "kex_algorithms":
            return (*STRICT_CLIENT, *STRICT_SERVER[1:])
        return getattr(only(kex="curve25519-sha256"), name)


def strict_pair() -> Pair:
    return open_pair()


def lax_pair() -> Pair:
    """Return a pair that has exchanged keys without the markers."""
    pair = Pair()
    for codec in (pair.client, pair.server):
        own = kexinit(cookie=randomness(5)(16))
        inside(codec)._own = own
        inside(codec)._output[-2:] = [clear_packet(own)[:4], clear_packet(own)[4:]]
    pair.run()
    assert pair.client.state is pair.server.state is State.OPEN
    return pair


def test_22_sequence_numbers_begin_anew_with_newkeys_if_strict() -> None:
    for pair, expected in ((strict_pair(), 0), (lax_pair(), 3)):
        # KEXINIT, the message of the method and NEWKEYS each way.
        for codec in (inside(pair.client), inside(pair.server)):
            assert codec._writer.sequence == codec._reader.sequence == expected
        pair.send("client", b"\x5e", b"\x5e")
        pair.server.rekey()
        pair.run()
        assert inside(pair.client)._reader.sequence == (0 if expected == 0 else 6)
        assert inside(pair.client)._writer.sequence == (0 if expected == 0 else 8)


@pytest.mark.parametrize("role", ["client", "server"])
def test_23_a_second_kexinit_before_newkeys_is_refused(role: str) -> None:
    codec = make_client() if role == "client" else make_server()
    packet = clear_packet(kexinit())
    assert "second SSH_MSG_KEXINIT" in str(refused(codec, VERSION + packet + packet))
    pair = open_pair()
    sender, receiver_ = (
        (pair.server, pair.client) if role == "client" else (pair.client, pair.server)
    )
    sender.rekey()
    receiver_.receive_data(sender.data_to_send())
    inside(sender)._writer.seal(kexinit().encode(), inside(sender)._output)
    assert "second SSH_MSG_KEXINIT" in str(refused(receiver_, sender.data_to_send()))


def test_24_a_wrong_guess_is_exactly_one_packet() -> None:
    for guess, dropped in ((("ecdh-sha2-nistp256", "curve25519-sha256"), True), (None, False)):
        server = make_server()
        offered = kexinit(
            kex_algorithms=guess or ("curve25519-sha256",), first_kex_packet_follows=True
        )
        public = clear_packet(b"\x1e\0\0\0\x20" + b"\x09" + bytes(31))
        events = server.receive_data(VERSION + clear_packet(offered) + public)
        assert isinstance(events[-1], KexInit if dropped else KeyExchanged)
        if dropped:
            assert isinstance(server.receive_data(public)[-1], KeyExchanged)
        else:
            refused(server, public)


def test_25_other_messages_in_a_rekey_wait_and_the_peers_are_taken_until_its_kexinit() -> None:
    pair = open_pair()
    pair.client.rekey()
    sent = pair.client.send(b"\x5eheld")
    assert pair.send("server", b"\x5epeer") == [Packet(94, b"\x5epeer", 0)]
    pair.tell_server(sent)
    assert not [event for event in pair.server_events if isinstance(event, Packet)]
    pair.run()
    assert pair.server_events[-1] == Packet(94, b"\x5eheld", 0)
    # Behind its KEXINIT the peer may not send them either.
    pair.server.rekey()
    inside(pair.server)._holds = False
    with pytest.raises(SSHProtocolError, match="message 94 in a key exchange"):
        pair.send("server", b"\x5e")


def test_26_kexinit_truncated_trailing_bad_names_and_reserved() -> None:
    payload = kexinit().encode()
    for size in range(1, len(payload)):
        refused(make_client(), VERSION + clear_packet(payload[:size]))
    refused(make_client(), VERSION + clear_packet(payload + b"\0"))
    for names in ("a,", ",a", "a,,b", "é", "a\0", "a b"):
        bad = payload.replace(encode_text("curve25519-sha256"), encode_text(names))
        refused(make_client(), VERSION + clear_packet(bad))
    reserved = payload[:-4] + b"\xff" * 4
    make_client().receive_data(VERSION + clear_packet(reserved))


@pytest.mark.parametrize("encryption", [*GCM, "chacha20-poly1305@openssh.com"])
def test_27_aead_needs_no_mac_in_common(encryption: str) -> None:
    pair = open_pair(
        make_client(algorithms=only(encryption=encryption, mac="hmac-sha2-256")),
        make_server(algorithms=only(encryption=encryption, mac="hmac-sha2-512")),
    )
    assert pair.send("client", b"\x5e") == [Packet(94, b"\x5e", 0)]


def test_28_keys_change_before_a_nonce_comes_again() -> None:
    pair = open_pair()
    assert not pair.client.needs_rekey
    inside(pair.client)._writer.packets = 2**31
    assert pair.client.needs_rekey
    pair.client.rekey()
    pair.run()
    assert inside(pair.client)._writer.packets < 10
    inside(pair.server)._reader.packets = 2**31
    assert pair.server.needs_rekey
    inside(pair.server)._reader.packets = MAX_PACKETS
    with pytest.raises(SSHProtocolError, match="more packets than sequence numbers"):
        pair.send("client", b"\x5e")


def test_29_the_inflated_size_is_bounded() -> None:
    """asyncssh and paramiko inflate whatever comes."""
    zlib = only(kex="curve25519-sha256", compression="zlib@openssh.com")
    pair = open_pair(make_client(algorithms=zlib), make_server(algorithms=zlib))
    pair.send("server", b"\x34")
    inside(pair.server)._writer.seal(bytes((94,)) * 10**7, inside(pair.server)._output)
    bomb = pair.server.data_to_send()
    assert len(bomb) < 20000
    fault = refused(pair.client, bomb)
    assert isinstance(fault, PacketTooLarge)
    assert fault.reason_code is DisconnectReason.COMPRESSION_ERROR


def test_30_ping_ext_info_and_userauth_banner_are_handled() -> None:
    pair = open_pair()
    assert pair.send("server", Ping(b"data")) == []
    pair.run()
    assert pair.server_events == [Pong(b"data")]
    info = ExtInfo({"server-sig-algs": b"ssh-ed25519"})
    banner = b"\x35\0\0\0\2hi\0\0\0\0"
    assert pair.send("server", info, banner) == [info, Packet(53, banner, 2)]


@pytest.mark.parametrize("size", [0, 1])
def test_31_a_maximum_packet_size_of_0_is_refused(size: int) -> None:
    for message in (ChannelOpen("session", 1, 2, size), ChannelOpenConfirmation(1, 1, 2, size)):
        if size:
            assert type(message).decode(message.encode()) == message
        else:
            with pytest.raises(SSHProtocolError, match="maximum packet size of 0"):
                type(message).decode(message.encode())


def test_32_byte_by_byte_and_all_at_once() -> None:
    whole, single = make_server(), make_server()
    client = make_client()
    opening = client.data_to_send()
    assert opening.startswith(b"SSH-2.0-wirekit\r\n")
    events = whole.receive_data(opening)
    assert [type(event) for event in events] == [Identified, KexInit]
    assert [event for byte in one_by_one(opening) for event in single.receive_data(byte)] == events
    answer = single.data_to_send()
    received = [event for byte in one_by_one(answer) for event in client.receive_data(byte)]
    assert [type(event) for event in received] == [Identified, KexInit]
    last = [
        event for byte in one_by_one(client.data_to_send()) for event in single.receive_data(byte)
    ]
    assert [type(event) for event in last] == [KeyExchanged]
    received = [
        event for byte in one_by_one(single.data_to_send()) for event in client.receive_data(byte)
    ]
    assert [type(event) for event in received] == [KeyExchanged]
    client.accept_host_key()
    last = [
        event for byte in one_by_one(client.send(b"\x5e")) for event in single.receive_data(byte)
    ]
    assert last == [Packet(94, b"\x5e", 0)]
