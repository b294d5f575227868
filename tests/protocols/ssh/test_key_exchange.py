"""RFC 4253 §7.2 and §8: the exchange hash and the keys, and both sides of one exchange."""

from __future__ import annotations

import hashlib

import pytest

from tests.protocols.ssh._packet import kexinit
from tests.protocols.ssh._pair import host_key, randomness
from wirekit.protocols.ssh import KexECDHInit, KexECDHReply, SSHProtocolError
from wirekit.protocols.ssh._key_exchange import KeyExchange, derive_key, exchange_hash

LINES = b"SSH-2.0-c", b"SSH-2.0-s"


def test_the_hash_is_of_strings_and_the_secret() -> None:
    data = b"\0\0\0\1a\0\0\0\2bc" + b"secret"
    assert exchange_hash("sha256", (b"a", b"bc"), b"secret") == hashlib.sha256(data).digest()


def test_keys_of_any_size() -> None:
    """§7.2: K1 || K2 || K3, each hashed of all before."""

    def digest(data: bytes) -> bytes:
        return hashlib.sha256(b"KH" + data).digest()

    first = digest(b"Aid")
    second = digest(first)
    third = digest(first + second)
    for size in (0, 16, 32, 33, 64, 65, 96):
        key = derive_key("sha256", b"K", b"H", "A", b"id", size)
        assert key == (first + second + third)[:size]
    assert derive_key("sha256", b"K", b"H", "B", b"id", 16) != first[:16]


def exchanges() -> tuple[KeyExchange, KeyExchange]:
    client = KeyExchange("client", LINES, kexinit(), randomness(1))
    server = KeyExchange("server", LINES, kexinit(cookie=b"\1" * 16), randomness(2))
    client.negotiate(server.own, server.own.encode())
    server.negotiate(client.own, client.own.encode())
    return client, server


def test_both_sides() -> None:
    client, server = exchanges()
    reply = server.respond(client.begin(), [host_key()])
    assert client.finish(reply).blob == host_key().blob
    assert client.exchange_hash == server.exchange_hash
    pieces: list[bytes] = []
    for ciphers in (client.make_ciphers(b"id"), server.make_ciphers(b"id")):
        for cipher in ciphers:
            cipher.seal(0, b"\0\0\0\x10", bytes(16), pieces)
    assert pieces[:4] == pieces[4:]
    assert pieces[1] != pieces[3]
    assert client.compression("client") == client.compression("server") == "none"


@pytest.mark.parametrize("field", ["host_key", "public", "signature"])
def test_a_reply_that_was_changed(field: str) -> None:
    client, server = exchanges()
    reply = server.respond(client.begin(), [host_key()])
    fields = {"host_key": reply.host_key, "public": reply.public, "signature": reply.signature}
    fields[field] = fields[field][:-1] + bytes((fields[field][-1] ^ 1,))
    with pytest.raises(SSHProtocolError):
        client.finish(KexECDHReply(**fields))


def test_another_server_cannot_pass_a_reply_on() -> None:
    """All that was said is in the hash: with other KEXINITs the signature is wrong."""
    client, server = exchanges()
    server.negotiate(kexinit(languages_client_to_server=("de",)), b"another KEXINIT")
    reply = server.respond(client.begin(), [host_key()])
    with pytest.raises(SSHProtocolError, match="wrong signature"):
        client.finish(reply)


def test_a_clients_value_that_is_none() -> None:
    _, server = exchanges()
    with pytest.raises(SSHProtocolError, match="cannot use"):
        server.respond(KexECDHInit(bytes(32)), [host_key()])
