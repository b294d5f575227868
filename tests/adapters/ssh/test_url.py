"""What an address says of a client."""

from __future__ import annotations

from typing import Any

import pytest

import wirekit
from wirekit.adapters.ssh import parse_url
from wirekit.adapters.ssh._url import client_settings
from wirekit.sockets import DirectConnector, Policy, TCPAddress


@pytest.mark.parametrize(
    ("url", "address", "settings"),
    [
        ("ssh://host", TCPAddress("host", 22), {}),
        ("ssh://host:2222/", TCPAddress("host", 2222), {}),
        ("ssh://ada@host", TCPAddress("host", 22), {"username": "ada"}),
        (
            "ssh://a%40b:p%2F%3A%20w@[::1]:2222",
            TCPAddress("::1", 2222),
            {"username": "a@b", "password": "p/: w"},
        ),
        ("ssh://ada:@host", TCPAddress("host", 22), {"username": "ada", "password": ""}),
        ("host", TCPAddress("host", 22), {}),
        ("host:2222", TCPAddress("host", 2222), {}),
        ("ada@[::1]:2222", TCPAddress("::1", 2222), {"username": "ada"}),
        ("ada@host", TCPAddress("host", 22), {"username": "ada"}),
    ],
)
def test_what_a_url_says(url: str, address: TCPAddress, settings: dict[str, Any]) -> None:
    assert parse_url(url) == (address, settings)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", "begins with ssh://"),
        ("ssh://", "names a host"),
        ("ssh://ada:secret@", "names a host"),
        ("ssh://ada:secret@host:port", "in host or port"),
        ("ssh://ada:secret@host:99999", "in host or port"),
        ("ssh://ada:secret@host/path", "ends with the port"),
        ("ssh://ada:sec?ret@host", "ends with the port|in host or port"),
        ("ssh://host#secret", "ends with the port"),
        ("ada:secret@host", "a password needs a URL"),
        ("", "host is empty"),
    ],
)
def test_what_is_none(url: str, why: str) -> None:
    with pytest.raises(wirekit.AddressError, match=why) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


def test_the_password_is_not_shown() -> None:
    assert repr(parse_url("ssh://ada:secret@host")) == "URL(host:22)"


def test_a_connector_and_a_policy_go_along() -> None:
    async def tunnel(address: object) -> Any:
        raise AssertionError

    settings = client_settings("ada@host", connector=tunnel, policy=Policy(), connect_timeout=3.0)
    assert settings.pop("address") == TCPAddress("host", 22)
    assert isinstance(settings.pop("connector"), DirectConnector)
    assert settings == {"username": "ada"}
