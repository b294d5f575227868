"""Diffie-Hellman in RFC 3526's groups, whose primes are asyncssh's."""

from __future__ import annotations

import asyncssh.kex_dh
import pytest

from tests.protocols.ssh._pair import inside, randomness
from wirekit.protocols.ssh import SSHProtocolError
from wirekit.protocols.ssh._diffie_hellman import Group14SHA256, Group16SHA512, Group18SHA512
from wirekit.protocols.ssh._primitives import encode_mpint

GROUPS = {Group14SHA256: "_group14_p", Group16SHA512: "_group16_p", Group18SHA512: "_group18_p"}


@pytest.mark.parametrize("method", GROUPS)
def test_primes(method: type[Group14SHA256]) -> None:
    prime = inside(method(randomness()))._prime()
    assert prime == getattr(asyncssh.kex_dh, GROUPS[method])
    assert prime.bit_length() == method.bits


def test_a_public_value_is_a_power_of_2() -> None:
    client, server = Group14SHA256(randomness(1)), Group14SHA256(randomness(2))
    public = int.from_bytes(client.begin(), "big")
    prime: int = inside(client)._prime()
    exponent: int = inside(client)._exponent
    assert public == pow(2, exponent, prime)
    assert exponent.bit_length() == client.exponent_bits
    reply, secret = server.respond(encode_mpint(public)[4:])
    other = int.from_bytes(reply, "big")
    assert secret == encode_mpint(pow(other, exponent, prime))


@pytest.mark.parametrize("method", GROUPS)
def test_values_outside_the_group_are_refused(method: type[Group14SHA256]) -> None:
    """RFC 4253 §8 and RFC 8268 §4: more than 1 and less than p - 1."""
    client = method(randomness())
    client.begin()
    prime: int = inside(client)._prime()
    for wrong in (-prime, -2, -1, 0, 1, prime - 1, prime, prime + 1, prime + 2, 2**9000):
        with pytest.raises(SSHProtocolError):
            client.finish(encode_mpint(wrong)[4:])
    client.finish(encode_mpint(2)[4:])
    client.finish(encode_mpint(prime - 2)[4:])


def test_a_value_that_is_no_mpint() -> None:
    client = Group14SHA256(randomness())
    client.begin()
    with pytest.raises(SSHProtocolError, match="mpint"):
        client.finish(b"\0\0\2")
