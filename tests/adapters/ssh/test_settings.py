"""What a connection is told, and which options there are."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import asyncssh
import pytest

import wirekit
from wirekit.adapters.ssh import HostKeyVerification
from wirekit.adapters.ssh._settings import SessionOptions, Settings, make_connection
from wirekit.sockets import memory_pair

DEFAULTS: dict[str, Any] = {
    "username": "ada",
    "password": "secret",
    "client_keys": None,
    "passphrase": "secret",
    "host": "host",
    "port": 22,
    "verification": HostKeyVerification(known_hosts=b""),
    "config": None,
    "keepalive_interval": 30.0,
    "keepalive_count_max": 3,
    "login_timeout": 1.0,
    "timeout": 1.0,
    "options": {},
}


def settings(**options: Any) -> Settings:
    return Settings(**{**DEFAULTS, **options})


def test_nothing_secret_is_shown() -> None:
    assert "secret" not in repr(settings(options={"pkcs11_pin": "secret"}))


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("tunnel", r"other_ssh\.connector\(\)"),
        ("proxy_command", "pass a connector"),
        ("sock", "the socket itself"),
        ("family", "the connector"),
        ("host_key_alias", "host="),
        ("gss_auth", "not one of SSH's"),
        ("pasword", "not one of SSH's"),
    ],
)
def test_options_that_are_none(option: str, hint: str) -> None:
    with pytest.raises(wirekit.AddressError, match=f"no option {option}: .*{hint}"):
        settings(options={option: "secret"})


@pytest.mark.parametrize(
    "option",
    [
        {"keepalive_interval": -1.0},
        {"keepalive_count_max": 0},
        {"login_timeout": 0.0},
        {"timeout": 0.0},
    ],
    ids=lambda option: next(iter(option)),
)
def test_numbers_that_are_out_of_range(option: dict[str, Any]) -> None:
    with pytest.raises(wirekit.AddressError):
        settings(**option)


def test_every_option_is_one_of_asyncsshs() -> None:
    prepare = vars(asyncssh.SSHClientConnectionOptions)["prepare"]
    theirs = set(inspect.signature(prepare).parameters)
    assert set(SessionOptions.__annotations__) < theirs
    ours = {field.name for field in dataclasses.fields(Settings)}
    withheld = theirs - ours - set(SessionOptions.__annotations__)
    assert withheld == {
        # asyncssh's own
        "self", "loop", "last_config", "reload", "canonical", "final",
        # what would open connections
        "tunnel", "proxy_command", "family", "local_addr", "connect_timeout",
        "canonicalize_hostname", "canonical_domains", "canonicalize_fallback_local",
        "canonicalize_max_dots", "canonicalize_permitted_cnames",
        "gss_host", "gss_store", "gss_kex", "gss_auth", "gss_delegate_creds",
        # the keys of hosts, which we look after; and what needs a socket of the system's
        "known_hosts", "host_key_alias", "server_host_keys_handler",
        "x509_trusted_certs", "x509_trusted_cert_paths", "x509_purposes",
        "client_host_keysign",
    }  # fmt: skip


@pytest.mark.parametrize(
    "option",
    [
        {"client_keys": "/no/such/key"},
        {"client_keys": b"no key"},
        {"options": {"kex_algs": "no-such-algorithm"}},
        {"options": {"window": "large"}, "username": ""},
    ],
    ids=["file", "bytes", "algorithm", "username"],
)
async def test_what_only_asyncssh_can_tell(option: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = memory_pair()
    with pytest.raises(wirekit.Error) as refused:
        await make_connection(ours, settings(**option, login_timeout=0.05))
    assert isinstance(refused.value, asyncssh.Error)
    assert await theirs.read() is not None
    await ours.closed
