"""The names of the key exchange methods."""

from __future__ import annotations

from wirekit.protocols.ssh._kex_algorithms import KEX_ALGORITHMS
from wirekit.protocols.ssh._mlkem import is_supported


def test_names() -> None:
    names = [*KEX_ALGORITHMS]
    assert (names[0] == "mlkem768x25519-sha256") is is_supported()
    assert KEX_ALGORITHMS["curve25519-sha256"] is KEX_ALGORITHMS["curve25519-sha256@libssh.org"]
    assert len(names) == 8 + is_supported()


def test_hashes_are_those_of_the_names() -> None:
    for name, method in KEX_ALGORITHMS.items():
        expected = {"nistp256": "sha256", "nistp384": "sha384", "nistp521": "sha512"}
        hash_name = (
            expected.get(name.rpartition("-")[2]) or name.partition("@")[0].rpartition("-")[2]
        )
        assert method.hash_name == hash_name
