"""What holds for every key exchange method."""

from __future__ import annotations

import pytest

from tests.protocols.ssh._pair import randomness
from wirekit.protocols.ssh import DisconnectReason, SSHProtocolError
from wirekit.protocols.ssh._kex_algorithms import KEX_ALGORITHMS
from wirekit.protocols.ssh._key_agreement import refused

METHODS = sorted(set(KEX_ALGORITHMS.values()), key=lambda method: method.__name__)


@pytest.mark.parametrize("method", METHODS)
def test_both_sides_have_the_same_secret(method: type) -> None:
    client, server = method(randomness(1)), method(randomness(2))
    public, secret = server.respond(client.begin())
    assert client.finish(public) == secret
    assert int.from_bytes(secret[:4], "big") == len(secret) - 4
    assert len(secret) > 32


@pytest.mark.parametrize("method", METHODS)
def test_values_of_the_wrong_size_are_refused(method: type) -> None:
    client, server = method(randomness(1)), method(randomness(2))
    public = client.begin()
    reply, _ = server.respond(public)
    for wrong in (b"", reply[:-1], reply + b"\0", reply[1:]):
        with pytest.raises(SSHProtocolError):
            # A Diffie-Hellman value that is cut is another one, if it is not 0 or too large.
            client.finish(b"\0" if "Group" in method.__name__ and wrong else wrong)
    for wrong in (b"", public[:-1], public + b"\0", public[1:]):
        with pytest.raises(SSHProtocolError):
            server.respond(b"\0" if "Group" in method.__name__ and wrong else wrong)


def test_the_error() -> None:
    assert refused().reason_code is DisconnectReason.KEY_EXCHANGE_FAILED
