from __future__ import annotations

from typing import Any

import pytest

from wirekit import AddressError
from wirekit.adapters.redis import parse_url
from wirekit.adapters.redis._url import client_settings
from wirekit.sockets import DirectConnector, TCPAddress, UnixAddress

NO_OPTIONS: Any = {"connector": None, "policy": None, "connect_timeout": 1.0, "tls": None}


@pytest.mark.parametrize(
    ("url", "address", "tls", "settings"),
    [
        ("redis://", TCPAddress("localhost", 6379), False, {}),
        ("redis://db.internal", TCPAddress("db.internal", 6379), False, {}),
        ("rediss://db.internal:7000/3", TCPAddress("db.internal", 7000), True, {"db": 3}),
        ("redis://[::1]:7000", TCPAddress("::1", 7000), False, {}),
        (
            "redis://app:p%40ss%2Fword@h",
            TCPAddress("h", 6379),
            False,
            {"username": "app", "password": "p@ss/word"},
        ),
        ("redis://:word@h", TCPAddress("h", 6379), False, {"password": "word"}),
        ("redis://app@h", TCPAddress("h", 6379), False, {"username": "app"}),
        ("unix:///run/redis.sock?db=2", UnixAddress("/run/redis.sock"), False, {"db": 2}),
        ("unix://:word@/run/r", UnixAddress("/run/r"), False, {"password": "word"}),
        # As in redis-py, what stands behind the ? goes before the path.
        ("redis://h/1?db=2", TCPAddress("h", 6379), False, {"db": 2}),
        (
            "redis://h?protocol=3&decode_responses=yes&legacy_responses=0&timeout=none&client_name=x",
            TCPAddress("h", 6379),
            False,
            {
                "protocol": 3,
                "decode_responses": True,
                "legacy_responses": False,
                "timeout": None,
                "client_name": "x",
            },
        ),
        ("redis://h?timeout=1.5", TCPAddress("h", 6379), False, {"timeout": 1.5}),
    ],
)
def test_urls(url: str, address: object, tls: bool, settings: dict[str, Any]) -> None:
    assert parse_url(url) == (address, tls, settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@h",
        "user:hunter2@h",
        "redis://user:hunter2@h:port",
        "redis://user:hunter2@[::1",
        "redis://user:hunter2@h/name",
        "redis://user:hunter2@h/-1",
        "redis://user:hunter2@h#fragment",
        "redis://user:hunter2@h?nonsense=1",
        "redis://user:hunter2@h?db=first",
        "redis://user:hunter2@h?decode_responses=perhaps",
        "redis://user:hunter2@h?timeout=soon",
        "redis://user:pass#hunter2@h",
        "redis://user:12?hunter2=@h",
        "redis://user:pa/hunter2@h",
        "unix://user:hunter2@",
    ],
)
def test_bad_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        client_settings(url, **NO_OPTIONS)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


@pytest.mark.parametrize(
    ("plain", "address"),
    [
        ("h:7000", TCPAddress("h", 7000)),
        ("h", TCPAddress("h", 6379)),
        ("/run/redis.sock", UnixAddress("/run/redis.sock")),
    ],
)
def test_what_is_no_url(plain: str, address: object) -> None:
    settings = client_settings(plain, **NO_OPTIONS)
    assert settings["address"] == address
    assert isinstance(settings["connector"], DirectConnector)


def test_tls_options_need_tls() -> None:
    options: Any = {**NO_OPTIONS, "tls": {"server_hostname": "x"}}
    with pytest.raises(AddressError, match="rediss"):
        client_settings("redis://h", **options)
