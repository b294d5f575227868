from __future__ import annotations

import dataclasses
import os
import re
import socket
import sys
from pathlib import Path, PurePosixPath
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wirekit import AddressError
from wirekit.sockets._address import (
    Address,
    AddressLike,
    TCPAddress,
    UnixAddress,
    parse_address,
)

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])
LONGEST_PATH = "/" + "p" * ((107 if sys.platform == "linux" else 103) - 1)


@pytest.mark.parametrize(
    ("spelling", "host", "port"),
    [
        ("localhost:19001", "localhost", 19001),
        ("db.internal:5432", "db.internal", 5432),
        ("DB.Internal:5432", "db.internal", 5432),
        ("example.com.:1", "example.com.", 1),
        ("_sip._tcp.example:5060", "_sip._tcp.example", 5060),
        ("tcp://db.internal:5432", "db.internal", 5432),
        ("TCP://db.internal:5432", "db.internal", 5432),
        ("h:65535", "h", 65535),
        ("h:00080", "h", 80),
        ("3com.example:1", "3com.example", 1),
        ("127.0.0.1.example:1", "127.0.0.1.example", 1),
        ("0x7f.example:1", "0x7f.example", 1),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:19009", "::1", 19009),
        ("[2606:4700:0:0::1111]:1", "2606:4700::1111", 1),
        ("[FE80::1%eth0]:1", "fe80::1%eth0", 1),
        ("tcp://[::1]:1", "::1", 1),
        (("::1", 1), "::1", 1),
        (("[::1]", 1), "::1", 1),
        (("fe80::1%2", 1), "fe80::1%2", 1),
        (("LOCALHOST", 1), "localhost", 1),
        (("10.0.0.5", 5432), "10.0.0.5", 5432),
        ("münchen.example:80", "xn--mnchen-3ya.example", 80),
        ("MÜNCHEN.example:80", "xn--mnchen-3ya.example", 80),
        ("xn--mnchen-3ya.example:80", "xn--mnchen-3ya.example", 80),
        ("straße.example:80", "strasse.example", 80),
        ("例え。テスト:80", "xn--r8jz45g.xn--zckzah", 80),
        (f"{LONGEST_NAME}:1", LONGEST_NAME, 1),
        (f"{LONGEST_NAME}.:1", LONGEST_NAME + ".", 1),
    ],
)
def test_tcp_spellings(spelling: AddressLike, host: str, port: int) -> None:
    address = parse_address(spelling)
    assert address == TCPAddress(host, port)
    assert isinstance(address, TCPAddress)
    assert (address.host, address.port) == (host, port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        ("/run/db.sock", "/run/db.sock"),
        ("unix:/run/db.sock", "/run/db.sock"),
        ("unix:///run/db.sock", "/run/db.sock"),
        ("UNIX:/run/db.sock", "/run/db.sock"),
        ("/run//./db.sock", "/run/db.sock"),
        ("//run/db.sock", "/run/db.sock"),
        ("unix:/run/my db?#@100%.sock:1", "/run/my db?#@100%.sock:1"),
        (PurePosixPath("/run/db.sock"), "/run/db.sock"),
        (LONGEST_PATH, LONGEST_PATH),
    ],
)
def test_unix_spellings(spelling: AddressLike, path: str) -> None:
    address = parse_address(spelling)
    assert address == UnixAddress(path)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (TCPAddress("Example.COM", 1), "example.com:1"),
        (TCPAddress("::1", 1), "[::1]:1"),
        (TCPAddress("fe80::1%eth0", 1), "[fe80::1%eth0]:1"),
        (UnixAddress("/run/x"), "unix:/run/x"),
    ],
)
def test_str(address: Address, text: str) -> None:
    assert str(address) == text


def test_an_address_is_returned_as_it_is() -> None:
    address = TCPAddress("db", 1)
    assert parse_address(address) is address


def test_default_port_is_for_strings_that_name_none() -> None:
    assert parse_address("db", default_port=5432) == TCPAddress("db", 5432)
    assert parse_address("[::1]", default_port=5432) == TCPAddress("::1", 5432)
    assert parse_address("tcp://db", default_port=5432) == TCPAddress("db", 5432)
    assert parse_address("db:1", default_port=5432) == TCPAddress("db", 1)


@pytest.mark.parametrize("default_port", [0, 65536, -1, True, "5432"])
def test_default_port_is_checked(default_port: int) -> None:
    with pytest.raises(AddressError, match="port"):
        parse_address("db:1", default_port=default_port)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        # no port, or none that is one
        ("localhost", "'localhost' has no port: write host:port"),
        ("[::1]", "has no port"),
        ("tcp://localhost", "has no port"),
        ("localhost:", "no port follows"),
        ("[::1]:", "no port follows"),
        ("h:0", "below 1"),
        ("h:65536", "too large"),
        ("h:99999", "too large"),
        ("h:123456", "not a port"),
        ("h:-1", "'-1' is not a port"),
        ("h:+1", "not a port"),
        ("h:5432 ", "'5432 ' is not a port"),
        ("h: 5432", "not a port"),
        ("h:5432\n", "not a port"),
        ("h:5_432", "not a port"),
        ("h:http", "'http' is not a port"),
        ("h:５４３２", "not a port"),  # noqa: RUF001
        ("h:٥٤٣٢", "not a port"),
        (("h", 0), "below 1"),
        (("h", -1), "below 1"),
        (("h", 65536), "too large"),
        (("h", 10**5000), "too large"),
        (("h", 80.0), "not float"),
        (("h", float("nan")), "not float"),
        (("h", True), "not bool"),
        (("h", "80"), "not str"),
        (("h", None), "not NoneType"),
        # no host, or none that is one
        ("", "has no port"),
        (":19001", "the host is empty"),
        ("tcp://:1", "the host is empty"),
        (("", 1), "the host is empty"),
        (("[]", 1), "not an IPv6 address"),
        ((None, 1), "a host is a str, not NoneType"),
        ((b"h", 1), "a host is a str, not bytes"),
        (("h:1", 1), "the port goes outside the host"),
        (("localhost:1", 1), "the port goes outside the host"),
        ("loc alhost:80", "space or a control character"),
        (" localhost:1", "space or a control character"),
        ("h\t:1", "space or a control character"),
        ("h\r\n:1", "space or a control character"),
        ("h\0:1", "space or a control character"),
        ("127.0.0.1\0.example:1", "space or a control character"),
        ("h\x7f:1", "space or a control character"),
        ("h\u00a0:1", "space or a control character"),
        ("local\u00adhost:1", "space or a control character"),
        ("h\u202e:1", "space or a control character"),
        ("\ud800:1", "space or a control character"),
        ("a" * 256 + ":1", "longer than 255 bytes"),
        ("ü" * 128 + ":1", "longer than 255 bytes"),
        (LONGEST_NAME + "a:1", "longer than 253"),
        ("a" * 64 + ".example:1", "1 to 63 letters"),
        ("a..example:1", "1 to 63 letters"),
        (".example:1", "1 to 63 letters"),
        ("example..:1", "1 to 63 letters"),
        (".:1", "1 to 63 letters"),
        ("-oProxyCommand=x:1", "1 to 63 letters"),
        ("-h:1", "1 to 63 letters"),
        ("h-:1", "1 to 63 letters"),
        ("h*:1", "1 to 63 letters"),
        ("*.example.com:1", "1 to 63 letters"),
        ("a,b:1", "1 to 63 letters"),
        ("ü..example:1", "IDNA 2003"),
        ("ü" + "a" * 62 + ".example:1", "IDNA 2003"),
        ("\u2100.example:1", "1 to 63 letters"),  # nameprep makes it a/c
        # parts of a URL
        ("user:secret@h:1", "no place for a user"),
        ("good.example@127.0.0.1:1", "no place for a user"),
        (("good.example@127.0.0.1", 1), "no place for a user"),
        ("tcp://user@h:1", "no place for a user"),
        ("h:1/", "no place for a path"),
        ("h:1/path", "no place for a path"),
        ("tcp://h:1/", "no place for a path"),
        ("h\\x:1", "no place for a path"),
        ("h:1?q", "no place for a query"),
        ("h:1#f", "no place for a fragment"),
        ("h%61:1", "percent sign"),
        ("127%2e0.0.1:1", "percent sign"),
        ("h%00:1", "percent sign"),
        ("http://localhost:19001", "a URL is no address"),
        ("postgres://app:secret@h/db", "a URL is no address"),
        # IPv6
        ("::1:19009", "IPv6 in brackets"),
        ("::1", "IPv6 in brackets"),
        ("fe80::1%eth0:1", "IPv6 in brackets"),
        ("[::1:1", "brackets out of place"),
        ("[::1]1", "brackets out of place"),
        ("[::1]]:1", "brackets out of place"),
        ("[127.0.0.1]:1", "not an IPv6 address"),
        ("[localhost]:1", "not an IPv6 address"),
        ("[::g]:1", "not an IPv6 address"),
        ("[::1]:0", "below 1"),
        (("[::1]:1", 1), "the port goes outside the host"),
        ("[::1%lo]:1", "zone"),
        ("[2606:4700::1111%eth0]:1", "zone"),
        ("[fe80::1%]:1", "zone"),
        ("[fe80::1%an-interface-name]:1", "zone"),
        ("[fe80::1%25%32]:1", "zone"),
        # what getaddrinfo takes for IPv4
        ("127.1:1", "ends in a number"),
        ("0x7f.1:1", "ends in a number"),
        ("0177.0.0.1:1", "ends in a number"),
        ("127.0.0.01:1", "ends in a number"),
        ("2130706433:1", "ends in a number"),
        ("0x7f000001:1", "ends in a number"),
        ("0X7F000001:1", "ends in a number"),
        ("0x:1", "ends in a number"),
        ("0:1", "ends in a number"),
        ("127.0.0.1.:1", "ends in a number"),
        ("127.0.0.0x1:1", "ends in a number"),
        ("256.0.0.1:1", "ends in a number"),
        ("1.2.3.4.5:1", "ends in a number"),
        ("example.1:1", "ends in a number"),
        ("１２７.0.0.1:1", "ends in a number"),  # noqa: RUF001
        ("127。0。0。1:1", "ends in a number"),
        ("①②⑦.0.0.1:1", "ends in a number"),
        ("2130706433．:1", "ends in a number"),  # noqa: RUF001
        # Unix
        ("unix:run/db.sock", "not an absolute path"),
        ("unix:5432", "not an absolute path"),
        ("unix:", "not an absolute path"),
        ("unix://run/db.sock", "two slashes"),
        (PurePosixPath("run/db.sock"), "not an absolute path"),
        ("/", "no Unix socket"),
        ("unix:///", "no Unix socket"),
        ("/run/../etc/x", "holds '..'"),
        ("/run/\0x", "control character"),
        ("/run/x\n", "control character"),
        ("@name", "abstract"),
        ("unix:@name", "abstract"),
        ("unix:\0name", "abstract"),
        (LONGEST_PATH + "p", "use a shorter path"),
        ("/" + "ü" * 60, "use a shorter path"),
        ("/\ud800", "cannot be a file name"),
        # something else
        (None, "NoneType is no address"),
        (80, "int is no address"),
        (b"h:1", "bytes is no address"),
        (["h", 1], "list is no address"),
        ((), "0 items"),
        (("h",), "1 items"),
        (("::1", 80, 0, 0), "4 items"),
    ],
)
def test_what_is_no_address(address: object, message: str) -> None:
    with pytest.raises(AddressError, match=re.escape(message)):
        parse_address(cast("AddressLike", address))


@pytest.mark.parametrize(
    "address",
    [
        "app:hunter2@db:5432",
        "postgres://app:hunter2@db/shop",
        "tcp://app:hunter2@db:5432",
        ("app:hunter2@db", 5432),
        "db:5432?password=hunter2",
        "db/hunter2:1",
        "[::1]:hunter2@db",
    ],
)
def test_errors_show_no_secret(address: AddressLike) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(address)
    assert "hunter2" not in str(caught.value)


def test_errors_escape_and_cut_what_they_show() -> None:
    with pytest.raises(AddressError) as caught:
        parse_address("h\r\nx:1")
    assert r"'h\r\nx'" in str(caught.value)
    with pytest.raises(AddressError) as caught:
        parse_address("a" * 100_000)
    assert len(str(caught.value)) < 200


def test_constructors_canonicalise_too() -> None:
    assert TCPAddress("[::0001]", 1).host == "::1"
    assert UnixAddress("/a//b").path == "/a/b"
    with pytest.raises(AddressError):
        TCPAddress("127.1", 1)
    with pytest.raises(AddressError):
        TCPAddress("h", cast("int", "1"))
    with pytest.raises(AddressError):
        UnixAddress("a")


def test_addresses_are_values() -> None:
    assert len({TCPAddress("A", 1), TCPAddress("a", 1), TCPAddress("a", 2)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        TCPAddress("a", 1).host = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("host", "is_ip", "server_name"),
    [
        ("example.com", False, "example.com"),
        ("example.com.", False, "example.com"),
        ("h2", False, "h2"),
        ("10.0.0.1", True, "10.0.0.1"),
        ("::1", True, "::1"),
        ("fe80::1%eth0", True, "fe80::1"),
    ],
)
def test_views_of_the_host(host: str, is_ip: bool, server_name: str) -> None:
    address = TCPAddress(host, 1)
    assert address.is_ip is is_ip
    assert address.server_name == server_name


def test_a_zone_works_with_getaddrinfo() -> None:
    name = socket.if_indextoname(socket.if_nameindex()[0][0])
    address = TCPAddress(f"fe80::1%{name}", 80)
    (*_, sockaddr) = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    *_, scope = cast("tuple[str, int, int, int]", sockaddr)
    assert scope == socket.if_nametoindex(name)


def test_a_unix_path_of_full_length_can_be_bound(tmp_path: Path) -> None:
    room = len(os.fsencode(LONGEST_PATH)) - len(os.fsencode(tmp_path)) - 1
    address = parse_address(tmp_path / ("s" * room))
    assert isinstance(address, UnixAddress)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address.path)
    with pytest.raises(AddressError, match="shorter path"):
        parse_address(tmp_path / ("s" * (room + 1)))


ODD = st.sampled_from(":@[]/%.-0x127１。ü~\0\r\n unixtcp")  # noqa: RUF001
TEXT = st.one_of(st.text(), st.text(ODD), st.from_regex(r"[^:]{0,20}:[0-9]{1,6}", fullmatch=True))
ANYTHING = st.one_of(TEXT, st.integers(), st.floats(), st.none(), st.booleans(), st.binary())


def parsed(address: object) -> Address | None:
    try:
        return parse_address(cast("AddressLike", address), default_port=1)
    except AddressError:
        return None


@given(TEXT | st.tuples(TEXT, st.integers(-1, 65537)) | st.lists(ANYTHING).map(tuple) | ANYTHING)
@example("127.0.0.1:80")
@example("/run/%:@?")
@example(("fe80::1%eth0", 80))
def test_either_an_address_error_or_an_address_that_parses_to_itself(given: object) -> None:
    address = parsed(given)
    if address is not None:
        assert parse_address(str(address)) == address


@given(TEXT)
def test_a_canonical_host_is_ascii_and_canonical(host: str) -> None:
    try:
        canonical = TCPAddress(host, 1).host
    except AddressError:
        return
    assert canonical.isascii()
    assert canonical.isprintable()
    assert TCPAddress(canonical, 1).host == canonical


@given(st.ip_addresses())
def test_every_ip_address_is_a_host(ip: object) -> None:
    address = TCPAddress(str(ip), 1)
    assert address.is_ip
    assert address.host == str(ip)
