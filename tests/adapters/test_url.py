from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from wirekit import AddressError, BlockedError
from wirekit.adapters._url import (
    FLAG,
    NUMBER,
    NUMBER_OR_NONE,
    SECONDS,
    TEXT,
    direct_connector,
    login,
    query_settings,
)
from wirekit.sockets import (
    AddressLike,
    Policy,
    Socket,
    TCPAddress,
    memory_pair,
)

KNOWN = {"text": TEXT, "flag": FLAG, "number": NUMBER, "most": NUMBER_OR_NONE, "time": SECONDS}
NOTHING: Any = {"connector": None, "policy": None, "connect_timeout": 1.0}


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("", {}),
        ("text=a%20b&flag=yes&number=-5", {"text": "a b", "flag": True, "number": -5}),
        ("most=3&time=1.5", {"most": 3, "time": 1.5}),
        ("most=none&time=None", {"most": None, "time": None}),
        ("text=", {"text": ""}),
        ("text=first&text=last", {"text": "last"}),
        *[(f"flag={text}", {"flag": True}) for text in ("1", "true", "YES", "y", "t", "on")],
        *[(f"flag={text}", {"flag": False}) for text in ("", "0", "False", "no", "n", "f", "off")],
    ],
)
def test_settings(query: str, settings: dict[str, Any]) -> None:
    assert query_settings(query, KNOWN, "Test") == settings


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("secret=1", "a setting of the Test URL is not one of flag, most, number, text, time"),
        ("flag=secret", "the setting flag of the Test URL is not yes or no"),
        ("number=secret", "the setting number of the Test URL is not a number"),
        ("most=secret", "the setting most of the Test URL is not a number, or none"),
        ("time=secret", "the setting time of the Test URL is not a number of seconds, or none"),
    ],
)
def test_what_is_wrong_is_told_without_its_text(query: str, said: str) -> None:
    with pytest.raises(AddressError) as caught:
        query_settings(query, KNOWN, "Test")
    assert str(caught.value) == said
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("x://h", {}),
        ("x://a%40b:c%2Fd@h", {"username": "a@b", "password": "c/d"}),
        ("x://:word@h", {"password": "word"}),
        ("x://:@h", {"password": ""}),
        ("x://me@h", {"username": "me"}),
    ],
)
def test_login(url: str, found: dict[str, str]) -> None:
    assert login(urlsplit(url)) == found


async def test_tls_options_arrive() -> None:
    tls: Any = {"nonsense": 1}
    connector = direct_connector(**NOTHING, secure_transport="on", tls=tls)
    with pytest.raises(AddressError, match="nonsense"):
        await connector("h:1")


async def test_the_connector_goes_through_the_other_and_the_policy() -> None:
    asked: list[AddressLike] = []

    async def other(address: AddressLike) -> Socket:
        asked.append(address)
        socket, _ = memory_pair()
        return socket

    options: Any = {**NOTHING, "connector": other}
    await direct_connector(**options)("h:1")
    assert asked == [TCPAddress("h", 1)]
    options["policy"] = Policy(deny=["h"])
    with pytest.raises(BlockedError):
        await direct_connector(**options)("h:1")
    assert len(asked) == 1
