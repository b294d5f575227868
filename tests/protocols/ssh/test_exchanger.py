"""The order of a key exchange: the first one, later ones, and who may say what in between."""

from __future__ import annotations

import pytest

from tests.protocols.ssh._packet import clear_packet, clear_payload, kexinit
from tests.protocols.ssh._pair import (
    Pair,
    host_key,
    inside,
    make_client,
    make_server,
    only,
    open_pair,
)
from wirekit import LocalProtocolError
from wirekit.protocols.ssh import (
    Algorithms,
    DisconnectReason,
    ExtInfo,
    HostKey,
    Identified,
    KexInit,
    KeyExchanged,
    Packet,
    SSHProtocolError,
    State,
    Unimplemented,
)


def test_both_speak_at_once() -> None:
    client, server = make_client(), make_server()
    for codec in (client, server):
        greeting = codec.data_to_send()
        line, packet = greeting.split(b"\r\n", 1)
        assert line == b"SSH-2.0-wirekit"
        offered = KexInit.decode(clear_payload(packet))
        assert offered.kex_algorithms[0] == "curve25519-sha256"
        marker = codec.role[0]
        assert offered.kex_algorithms[-2:] == (
            f"ext-info-{marker}",
            f"kex-strict-{marker}-v00@openssh.com",
        )
        assert not offered.first_kex_packet_follows
        assert codec.state is State.IDENTIFICATION


def test_states() -> None:
    pair = Pair(accepts=False)
    pair.run()
    states = [pair.client.state, pair.server.state]
    pair.client.accept_host_key()
    states.append(pair.client.state)
    pair.run()
    states.append(pair.server.state)
    assert [state.name for state in states] == ["KEY_EXCHANGE", "KEY_EXCHANGE", "OPEN", "OPEN"]


def test_a_server_offers_only_keys_that_it_has() -> None:
    server = make_server(host_keys=[host_key("ssh-rsa"), host_key("ecdsa-sha2-nistp384")])
    _, packet = server.data_to_send().split(b"\r\n", 1)
    offered = KexInit.decode(clear_payload(packet))
    expected = ("ecdsa-sha2-nistp384", "rsa-sha2-512", "rsa-sha2-256")
    assert offered.server_host_key_algorithms == expected


def test_accept_host_key_is_for_one_that_waits() -> None:
    client = make_client()
    with pytest.raises(LocalProtocolError, match="no host key to accept"):
        client.accept_host_key()
    pair = open_pair(client)
    pair.client.accept_host_key()  # once more, which is nothing
    assert pair.client.data_to_send() == b""
    pair.client.receive_eof()
    with pytest.raises(LocalProtocolError, match="no host key to accept"):
        pair.client.accept_host_key()


@pytest.mark.parametrize("who", ["client", "server", "both"])
def test_rekey(who: str) -> None:
    pair = open_pair()
    if who in ("client", "both"):
        pair.client.rekey()
    if who in ("server", "both"):
        pair.server.rekey()
    pair.run()
    assert pair.client.state is pair.server.state is State.OPEN
    for events in (pair.client_events, pair.server_events):
        offered, exchanged = events
        assert isinstance(offered, KexInit)
        assert not [name for name in offered.kex_algorithms if "-v00" in name or "ext-" in name]
        assert isinstance(exchanged, KeyExchanged)
        assert not exchanged.first
    assert pair.send("client", b"\x5e") == [Packet(94, b"\x5e", 0)]


def test_rekey_is_for_open_connections() -> None:
    client = make_client()
    with pytest.raises(LocalProtocolError, match="IDENTIFICATION"):
        client.rekey()
    pair = open_pair()
    pair.client.rekey()
    with pytest.raises(LocalProtocolError, match="KEY_EXCHANGE"):
        pair.client.rekey()
    assert not pair.client.needs_rekey


def test_rekey_with_other_algorithms() -> None:
    pair = open_pair(server=make_server(algorithms=Algorithms()))
    for kex in ("ecdh-sha2-nistp256", "ecdh-sha2-nistp384"):
        pair.client.rekey(only(kex=kex))
        pair.run()
        exchanged = pair.client_events[-1]
        assert isinstance(exchanged, KeyExchanged)
        assert exchanged.algorithms.kex == kex
    pair.client.rekey()
    pair.run()
    exchanged = pair.client_events[-1]
    assert isinstance(exchanged, KeyExchanged)
    assert exchanged.algorithms.kex == "ecdh-sha2-nistp384"


def test_a_peer_that_does_not_implement_a_key_exchange_now() -> None:
    pair = open_pair()
    pair.send("client", b"\x5e")
    pair.client.rekey()
    pair.client.data_to_send()
    # It means another packet, and may have been on its way.
    assert pair.send("server", Unimplemented(0)) == [Unimplemented(0)]
    with pytest.raises(SSHProtocolError, match="does not implement") as caught:
        pair.send("server", Unimplemented(1))
    assert caught.value.reason_code is DisconnectReason.KEY_EXCHANGE_FAILED
    assert caught.value.events == [Unimplemented(1)]


def test_packets_go_on_until_the_peers_kexinit() -> None:
    pair = open_pair()
    pair.client.rekey()
    kex = pair.client.send(b"\x5eheld")
    pair.tell_client(pair.server.send(b"\x5e1", b"\x5e2"))  # it has not seen our KEXINIT
    assert [event.payload for event in pair.client_events if isinstance(event, Packet)] == [
        *(b"\x5e1", b"\x5e2")
    ]
    pair.tell_server(kex)
    pair.run()
    assert Packet(94, b"\x5eheld", 0) in pair.server_events


@pytest.mark.parametrize("accepted", [False, True])
def test_a_host_key_that_changes_is_to_be_accepted_anew(accepted: bool) -> None:
    """RFC 4253 §9: host keys may change too."""
    pair = open_pair()
    inside(pair.server)._host_keys = (host_key("ssh-rsa"),)
    pair.accepts = accepted
    pair.server.rekey()
    pair.run()
    exchanged = pair.client_events[-1]
    assert isinstance(exchanged, KeyExchanged)
    assert exchanged.host_key == HostKey(host_key("ssh-rsa").blob)
    assert pair.client.state is (State.OPEN if accepted else State.KEY_EXCHANGE)


def test_a_host_key_that_came_before_is_accepted_by_itself() -> None:
    pair = open_pair()
    pair.accepts = False
    pair.client.rekey()
    pair.run()
    assert pair.client.state is State.OPEN


@pytest.mark.parametrize("role", ["client", "server"])
def test_ext_info_goes_to_who_takes_it(role: str) -> None:
    extensions = {"server-sig-algs": b"ssh-ed25519", "ping@openssh.com": b"0"}
    pair = Pair(
        make_client(extensions=extensions if role == "client" else None),
        make_server(extensions=extensions if role == "server" else None),
    )
    pair.run()
    events = pair.server_events if role == "client" else pair.client_events
    assert events[-1] == ExtInfo(extensions)
    pair.server.rekey()
    pair.run()
    assert isinstance(pair.client_events[-1], KeyExchanged)  # only behind the first


def test_ext_info_is_not_sent_to_who_does_not_ask() -> None:
    server = make_server(extensions={"server-sig-algs": b""})
    server.data_to_send()
    server.receive_data(b"SSH-2.0-x\r\n" + clear_packet(kexinit()))
    before = inside(server)._writer.packets
    client_public = bytes(31) + b"\x09"
    server.receive_data(clear_packet(b"\x1e\0\0\0\x20" + client_public))
    assert inside(server)._writer.packets == 0  # under new keys
    assert before == 1


def test_a_rekey_may_change_algorithms() -> None:
    pair = open_pair()
    inside(pair.client)._algorithms = only(encryption="aes128-ctr", mac="hmac-sha2-256")
    pair.client.rekey()
    pair.run()
    exchanged = pair.client_events[-1]
    assert isinstance(exchanged, KeyExchanged)
    assert exchanged.algorithms.encryption_client_to_server == "aes128-ctr"
    assert pair.send("client", b"\x5e") == [Packet(94, b"\x5e", 0)]


def test_when_nothing_is_in_common_the_events_tell_what_there_is() -> None:
    one, other = only(encryption="aes128-ctr"), only(encryption="aes256-ctr")
    pair = Pair(make_client(algorithms=one), make_server(algorithms=other))
    with pytest.raises(SSHProtocolError, match="no encryption algorithm") as caught:
        pair.run()
    assert caught.value.reason_code is DisconnectReason.KEY_EXCHANGE_FAILED
    identified, offered = caught.value.events
    assert isinstance(identified, Identified)
    assert isinstance(offered, KexInit)


def test_secrets_are_forgotten_when_keys_are_made() -> None:
    pair = open_pair()
    assert inside(pair.client)._exchange is None
    assert inside(pair.client)._held is None
    assert inside(pair.client)._incoming is None
