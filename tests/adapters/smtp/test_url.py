from __future__ import annotations

from typing import Any

import pytest

from wirekit import AddressError
from wirekit.adapters.smtp._url import URL, client_settings, parse_url
from wirekit.sockets import DirectConnector, TCPAddress, UnixAddress


@pytest.mark.parametrize(
    ("url", "address", "secure_transport", "settings"),
    [
        ("smtps://mail.example", TCPAddress("mail.example", 465), "on", {}),
        ("submissions://mail.example", TCPAddress("mail.example", 465), "on", {}),
        ("smtps://mail.example:2465/", TCPAddress("mail.example", 2465), "on", {}),
        ("submission://mail.example", TCPAddress("mail.example", 587), "starttls", {}),
        ("submission://[::1]:2587", TCPAddress("::1", 2587), "starttls", {}),
        ("smtp://mail.example:2525", TCPAddress("mail.example", 2525), "off", {}),
        (
            "smtp://mail.example:2525?starttls=required",
            TCPAddress("mail.example", 2525),
            "starttls",
            {},
        ),
        ("lmtp://mail.example", TCPAddress("mail.example", 24), "off", {"lmtp": True}),
        ("lmtp:///run/dovecot/lmtp", UnixAddress("/run/dovecot/lmtp"), "off", {"lmtp": True}),
        (
            "smtps://me%40x.example:p%40ss%2Fword@h",
            TCPAddress("h", 465),
            "on",
            {"username": "me@x.example", "password": "p@ss/word"},
        ),
        ("smtps://me@x.example@h", TCPAddress("h", 465), "on", {"username": "me@x.example"}),
        (
            "smtps://h?hostname=me.example&timeout=none&data_timeout=1.5&mechanisms=PLAIN,LOGIN"
            "&pipelining=no&chunking=0&messages_per_connection=7&allow_bare_lf=yes",
            TCPAddress("h", 465),
            "on",
            {
                "hostname": "me.example",
                "timeout": None,
                "data_timeout": 1.5,
                "mechanisms": ["PLAIN", "LOGIN"],
                "pipelining": False,
                "chunking": False,
                "messages_per_connection": 7,
                "allow_bare_lf": True,
            },
        ),
        (
            "smtp://u:p@h:2525?allow_plaintext_auth=1",
            TCPAddress("h", 2525),
            "off",
            {"username": "u", "password": "p", "allow_plaintext_auth": True},
        ),
    ],
)
def test_urls(url: str, address: object, secure_transport: str, settings: dict[str, Any]) -> None:
    parsed = parse_url(url)
    assert (parsed.address, parsed.secure_transport, parsed.settings) == (
        address,
        secure_transport,
        settings,
    )


@pytest.mark.parametrize(
    "url", ["smtp://h", "smtp://h:25", "submission://h:25", "smtps://h:25", "lmtp://h:25"]
)
def test_port_25_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match=r"submission://.*smtps://.*allow_port_25"):
        parse_url(url)
    assert parse_url(url, allow_port_25=True).address == TCPAddress("h", 25)
    assert client_settings(url, allow_port_25=True)["address"] == TCPAddress("h", 25)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example:465",
        "user:hunter2@mail.example",
        "http://user:hunter2@h",
        "smtps://",
        "smtps://user:hunter2@",
        "smtps://user:hunter2@:465",
        "smtps://user:hunter2@h:port",
        "smtps://user:hunter2@[::1",
        "smtps://user:hunter2@h/path",
        "smtps://user:hunter2@h#fragment",
        "smtps://user:hunter2@h?nonsense=1",
        "smtps://user:hunter2@h?timeout=soon",
        "smtps://user:hunter2@h?pipelining=perhaps",
        "smtps://user:hunter2@h?messages_per_connection=x",
        "smtps://user:hunter2@h?starttls=required",
        "submission://user:hunter2@h?starttls=no",
        "smtp://user:hunter2@h:2525?starttls=opportunistic",
        "smtps://user:pass#hunter2@h",
        "smtps://user:12?hunter2=@h",
        "smtps://user:pa/hunter2@h",
        "lmtp://user:hunter2@",
        "lmtp:///",
        "lmtp://user:hunter2@h/path",
    ],
)
def test_bad_urls_are_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        client_settings(url)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__cause__ or shown.__context__


def test_a_url_shows_no_password() -> None:
    parsed = parse_url("smtps://user:hunter2@h")
    assert isinstance(parsed, URL)
    assert "hunter2" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "start_tls"),
    [("smtps://h", False), ("submission://h", True), ("smtp://h:2525", False)],
)
def test_client_settings(url: str, start_tls: bool) -> None:
    settings = client_settings(url)
    assert isinstance(settings.pop("connector"), DirectConnector)
    assert isinstance(settings.pop("address"), TCPAddress)
    assert settings == {"start_tls": start_tls}


def test_tls_options_need_tls() -> None:
    options: Any = {"server_hostname": "x"}
    with pytest.raises(AddressError, match="smtps"):
        client_settings("smtp://h:2525", tls=options)
    assert client_settings("submission://h", tls=options)["start_tls"]
