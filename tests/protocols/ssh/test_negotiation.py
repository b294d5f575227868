"""RFC 4253 §7.1: which algorithms come of two KEXINIT."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.ssh._packet import kexinit
from wirekit.protocols.ssh import DisconnectReason, SSHProtocolError
from wirekit.protocols.ssh._negotiation import guessed_wrong, negotiate


def test_the_clients_preference_counts() -> None:
    client = kexinit(
        kex_algorithms=("a", "b"),
        server_host_key_algorithms=("c", "d"),
        encryption_algorithms_client_to_server=("e", "f"),
        encryption_algorithms_server_to_client=("g", "h"),
        mac_algorithms_client_to_server=("i", "j"),
        mac_algorithms_server_to_client=("k", "l"),
        compression_algorithms_client_to_server=("m", "n"),
        compression_algorithms_server_to_client=("o", "p"),
    )
    server = kexinit(
        kex_algorithms=("x", "b", "a"),
        server_host_key_algorithms=("d", "c"),
        encryption_algorithms_client_to_server=("f",),
        encryption_algorithms_server_to_client=("h", "g"),
        mac_algorithms_client_to_server=("j", "x"),
        mac_algorithms_server_to_client=("l", "k"),
        compression_algorithms_client_to_server=("n", "m"),
        compression_algorithms_server_to_client=("p",),
    )
    chosen = negotiate(client, server)
    assert (chosen.kex, chosen.server_host_key) == ("a", "c")
    assert chosen.encryption_client_to_server == "f"
    assert chosen.encryption_server_to_client == "g"
    assert chosen.mac_client_to_server == "j"
    assert chosen.mac_server_to_client == "k"
    assert chosen.compression_client_to_server == "m"
    assert chosen.compression_server_to_client == "p"


LISTS = {
    "kex_algorithms": "key exchange algorithm",
    "server_host_key_algorithms": "host key algorithm",
    "encryption_algorithms_client_to_server": "encryption algorithm from client to server",
    "encryption_algorithms_server_to_client": "encryption algorithm from server to client",
    "compression_algorithms_client_to_server": "compression algorithm from client to server",
    "compression_algorithms_server_to_client": "compression algorithm from server to client",
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("names", [("other",), ()])
def test_nothing_in_common(name: str, names: tuple[str, ...]) -> None:
    lists: dict[str, Any] = {name: names}
    for pair in ((kexinit(**lists), kexinit()), (kexinit(), kexinit(**lists))):
        with pytest.raises(SSHProtocolError, match=f"no {LISTS[name]} that both") as caught:
            negotiate(*pair)
        assert caught.value.reason_code is DisconnectReason.KEY_EXCHANGE_FAILED


@pytest.mark.parametrize("direction", ["client_to_server", "server_to_client"])
def test_macs_count_only_without_aead(direction: str) -> None:
    lists: dict[str, Any] = {f"mac_algorithms_{direction}": ("other",)}
    chosen = negotiate(kexinit(**lists), kexinit())
    assert chosen.mac_client_to_server == chosen.mac_server_to_client == ""
    lists[f"encryption_algorithms_{direction}"] = ("aes128-ctr",)
    server = kexinit(**{f"encryption_algorithms_{direction}": ("aes128-ctr",)})
    with pytest.raises(SSHProtocolError, match="no MAC algorithm"):
        negotiate(kexinit(**lists), server)


@pytest.mark.parametrize(
    "marker",
    ["ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"],
)
def test_markers_are_never_chosen(marker: str) -> None:
    client = kexinit(kex_algorithms=(marker, "curve25519-sha256"))
    assert negotiate(client, client).kex == "curve25519-sha256"
    client = kexinit(kex_algorithms=(marker,))
    with pytest.raises(SSHProtocolError, match="no key exchange algorithm"):
        negotiate(client, client)


def test_a_guess_is_wrong_unless_both_first_ones_are_the_same() -> None:
    client = kexinit(kex_algorithms=("a", "b"), server_host_key_algorithms=("c", "d"))
    assert not guessed_wrong(client, client)
    assert guessed_wrong(client, kexinit(kex_algorithms=("b", "a")))
    other = kexinit(kex_algorithms=("a",), server_host_key_algorithms=("d", "c"))
    assert guessed_wrong(client, other)
    assert not guessed_wrong(
        client, kexinit(kex_algorithms=("a", "x"), server_host_key_algorithms=("c",))
    )
