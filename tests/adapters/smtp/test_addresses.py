from __future__ import annotations

import email.utils
import unicodedata

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import LocalProtocolError
from wirekit.adapters.smtp._addresses import Address, parse_address
from wirekit.adapters.smtp._errors import SMTPArgumentError


@pytest.mark.parametrize(
    "text",
    [
        "a@b",
        "simple@wirekit.example",
        "first.last+tag@wirekit.example",
        "!#$%&'*+-/=?^_`{|}~@wirekit.example",
        "x@1.2.3.example",
        "x@a-b.c--d.example",
        '"with space"@wirekit.example',
        '"@"@wirekit.example',
        '"<x>"@wirekit.example',
        r'"back\\slash and \" quote"@wirekit.example',
        '""@wirekit.example',
        "x@[127.0.0.1]",
        "x@[IPv6:2001:db8::1]",
        "x@[ipv6:::ffff:192.0.2.1]",
        "x@[x400:anything!]",
        "postmaster",
        "Postmaster",
        f"{'l' * 64}@wirekit.example",
        f"l@{'d' * 63}.{'d' * 63}.{'d' * 63}.{'d' * 63}",
        "",
    ],
)
def test_ascii(text: str) -> None:
    assert parse_address(text) == Address(text, text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Alice <alice@wirekit.example>", "alice@wirekit.example"),
        ("<alice@wirekit.example>", "alice@wirekit.example"),
        ("  alice@wirekit.example ", "alice@wirekit.example"),
        ('"A. <b@c>, D" <alice@wirekit.example>', "alice@wirekit.example"),
        ("Alice B. Ärger <alice@wirekit.example>", "alice@wirekit.example"),
        ('Alice <"<x>"@wirekit.example>', '"<x>"@wirekit.example'),
        ("<>", ""),
    ],
)
def test_what_stands_around_an_address_is_left_out(text: str, sent: str) -> None:
    assert parse_address(text) == Address(sent, sent)


@pytest.mark.parametrize(
    ("text", "utf8", "ascii_form"),
    [
        ("x@bücher.example", "x@bücher.example", "x@xn--bcher-kva.example"),
        ("x@BÜCHER.example", "x@bücher.example", "x@xn--bcher-kva.example"),
        ("x@bu\u0308cher.example", "x@bücher.example", "x@xn--bcher-kva.example"),
        # IDNA of 2003 would make these fass.example, and βολοσ.example: domains of others.
        ("x@faß.example", "x@faß.example", "x@xn--fa-hia.example"),
        ("x@βόλος.example", "x@βόλος.example", "x@xn--nxasmm1c.example"),
        ("x@例え.テスト", "x@例え.テスト", "x@xn--r8jz45g.xn--zckzah"),
        ("x@نامه.example", "x@نامه.example", "x@xn--mgb4dbg.example"),
        ("δοκιμή@wirekit.example", "δοκιμή@wirekit.example", None),
        ('"δοκι μή"@wirekit.example', '"δοκι μή"@wirekit.example', None),
        ("δοκιμή@bücher.example", "δοκιμή@bücher.example", None),
        ("ü@[127.0.0.1]", "ü@[127.0.0.1]", None),
    ],
)
def test_international(text: str, utf8: str, ascii_form: str | None) -> None:
    assert parse_address(text) == Address(utf8, ascii_form)


@pytest.mark.parametrize(
    "text",
    [
        "alice",
        "@wirekit.example",
        "alice@",
        "alice@@wirekit.example",
        "alice@wirekit@example",
        "alice@.example",
        "alice@wirekit..example",
        "alice@wirekit.example.",
        "alice@-wirekit.example",
        "alice@wirekit-.example",
        "alice@wire_kit.example",
        ".alice@wirekit.example",
        "alice.@wirekit.example",
        "al..ice@wirekit.example",
        "al ice@wirekit.example",
        "alice@wirekit .example",
        "alice(comment)@wirekit.example",
        "alice,bob@wirekit.example",
        "alice@wirekit.example, bob@wirekit.example",
        "<alice@wirekit.example> BODY=8BITMIME",
        "alice@wirekit.example> BODY=8BITMIME",
        "alice@wirekit.example SIZE=1",
        "<a@b.example><c@d.example>",
        "a@b.example <c@d.example>",
        "Alice <alice@wirekit.example",
        "@relay.example:alice@wirekit.example",
        "alice@wirekit.example\r\nRCPT TO:<eve@wirekit.example>",
        "alice\r\n@wirekit.example",
        '"alice\r\n"@wirekit.example',
        '"al\\\r\nice"@wirekit.example',
        '"alice@wirekit.example',
        '"al"ice"@wirekit.example',
        '"Eve\r\n" <alice@wirekit.example>',
        "Eve\n <alice@wirekit.example>",
        "alice@wirekit.example\n",
        "\nalice@wirekit.example",
        "alice\0@wirekit.example",
        "alice@wirekit.example\0",
        "alice\x7f@wirekit.example",
        "alice\x85@wirekit.example",
        "alice\u2028@wirekit.example",
        "alice\u3000@wirekit.example",
        "alice\ud800@wirekit.example",
        "alice@wirekit\ud800.example",
        "alice@wirekit\u3002example\u2028",
        "alice@[]",
        "alice@[127.0.0.256]",
        "alice@[127.0.0.1",
        "alice@[IPv6:127.0.0.1]",
        "alice@[IPv6:fe80::1%eth0]",
        "alice@[127.0.0.1]]",
        "alice@[127.0.0.1\r\n]",
        "alice@a[127.0.0.1]",
        "x@bü cher.example",
        "x@bü\u200dcher.example",
        "x@bü\u3002cher.example",
        "x@☃.example",
        "x@\uff42ücher.example",
        "x@\u0308ü.example",
        "x@ab--ü.example",
        "x@-ü.example",
        f"{'l' * 65}@wirekit.example",
        f"{'ä' * 33}@wirekit.example",
        f"l@{'d' * 64}.example",
        f"l@{'ü' * 63}.example",
        f"l@{'d' * 63}.{'d' * 63}.{'d' * 63}.{'d' * 63}.d",
        f"{'n' * 5000} <alice@wirekit.example>",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SMTPArgumentError, match="the address") as caught:
        parse_address(text)
    assert isinstance(caught.value, LocalProtocolError)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@given(st.text() | st.text('ab.@<>[]" \\\r\nä:1'))
def test_whatever_passes_is_one_argument_on_a_line(text: str) -> None:
    try:
        address = parse_address(text)
    except SMTPArgumentError:
        return
    for form in (address.text, address.ascii):
        if form is not None:
            assert all(unicodedata.category(character) != "Cc" for character in form)
            assert parse_address(form).text in (form, address.text)
            outside = form.rpartition("@")[2] if form.startswith('"') else form
            assert not set(outside) & set(' <>"\\')
    assert address.ascii is None or address.ascii.isascii()


WORDS = st.text("abc019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9]{0,3}[a-z0-9])?", fullmatch=True)


@given(
    st.lists(WORDS, min_size=1, max_size=3).map(".".join),
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    st.text('abc äö.,<>@"\\', max_size=10),
)
def test_names_as_the_standard_library_writes_them(local: str, domain: str, name: str) -> None:
    address = f"{local}@{domain}"
    assert parse_address(email.utils.formataddr((name, address), "utf-8")).text == address


@given(st.text("abzßäéς\u03c3例え-ü1\u0663\u0627\u0308", min_size=1, max_size=6))
def test_domains_as_idna_2008_has_them(label: str) -> None:
    label = unicodedata.normalize("NFC", label)
    try:
        expected = idna.alabel(label).decode()
    except (idna.IDNAError, UnicodeError):
        return  # it knows the finer rules too
    assert parse_address(f"x@{label}").ascii == f"x@{expected}"
