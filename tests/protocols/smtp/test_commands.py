"""Commands as they stand on the wire, their limits, and injection through every argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.protocols._outcome import shown
from wirekit import LocalProtocolError
from wirekit.protocols.smtp import (
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    ExtensionCommand,
    Helo,
    Help,
    Lhlo,
    Mail,
    MailData,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    Vrfy,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WIRE: list[tuple[str, Command, bytes]] = [
    ("RFC 5321 §4.1.1.1", Ehlo("me.example"), b"EHLO me.example\r\n"),
    ("RFC 5321 §4.1.3", Ehlo("[192.0.2.1]"), b"EHLO [192.0.2.1]\r\n"),
    ("RFC 5321 §4.1.3", Ehlo("[IPv6:2001:db8::1]"), b"EHLO [IPv6:2001:db8::1]\r\n"),
    ("RFC 5321 §4.1.1.1", Helo("me_2.example"), b"HELO me_2.example\r\n"),
    ("RFC 2033 §4.1", Lhlo("localhost"), b"LHLO localhost\r\n"),
    ("RFC 3207 §4", StartTLS(), b"STARTTLS\r\n"),
    ("RFC 5321 §4.1.1.10", Quit(), b"QUIT\r\n"),
    ("RFC 4954 §4", Auth("PLAIN"), b"AUTH PLAIN\r\n"),
    ("RFC 4954 §4", Auth("PLAIN", b"\0u\0p"), b"AUTH PLAIN AHUAcA==\r\n"),
    ("RFC 4954 §4: zero length", Auth("EXTERNAL", b""), b"AUTH EXTERNAL =\r\n"),
    ("RFC 4954 §4", AuthResponse(b"user"), b"dXNlcg==\r\n"),
    ("RFC 4954 §4", AuthResponse(b""), b"\r\n"),
    ("RFC 4954 §4", AuthCancel(), b"*\r\n"),
    ("RFC 5321 §4.1.1.2", Mail("a@b.example"), b"MAIL FROM:<a@b.example>\r\n"),
    ("RFC 5321 §4.5.5: null reverse-path", Mail(""), b"MAIL FROM:<>\r\n"),
    (
        "RFC 5321 §4.1.1.11",
        Mail("a@b", (("SIZE", "5"), ("BODY", "8BITMIME"), ("REQUIRETLS", None))),
        b"MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME REQUIRETLS\r\n",
    ),
    ("RFC 5321 §4.1.2: quoted", Mail('"a > \\" b"@c'), b'MAIL FROM:<"a > \\" b"@c>\r\n'),
    ("RFC 5321 §4.1.2: quoted", Rcpt('""@c'), b'RCPT TO:<""@c>\r\n'),
    ("RFC 5321 §4.1.3", Rcpt("a@[192.0.2.1]"), b"RCPT TO:<a@[192.0.2.1]>\r\n"),
    ("RFC 5321 App. C", Rcpt("@a,@b:c@d"), b"RCPT TO:<@a,@b:c@d>\r\n"),
    ("RFC 5321 App. C", Rcpt('@a,@b:"c"@d'), b'RCPT TO:<@a,@b:"c"@d>\r\n'),
    ("RFC 5321 §4.1.1.3", Rcpt("Postmaster"), b"RCPT TO:<Postmaster>\r\n"),
    (
        "RFC 3461 §4",
        Rcpt("a@b", (("NOTIFY", "SUCCESS,DELAY"), ("ORCPT", "rfc822;a+2Bb@c"))),
        b"RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c\r\n",
    ),
    (
        "RFC 6531 §3.3",
        Mail("ü@b", (("smtputf8", None), ("AUTH", "ü"))),
        "MAIL FROM:<ü@b> smtputf8 AUTH=ü\r\n".encode(),
    ),
    ("RFC 5321 §4.1.1.4", Data(), b"DATA\r\n"),
    ("RFC 5321 §4.1.1.5", Rset(), b"RSET\r\n"),
    ("RFC 5321 §4.1.1.6", Vrfy("Crispin"), b"VRFY Crispin\r\n"),
    ("RFC 6531 §3.7.4.2", Vrfy("ü", smtputf8=True), "VRFY ü SMTPUTF8\r\n".encode()),
    ("RFC 5321 §4.1.1.7", Expn("staff"), b"EXPN staff\r\n"),
    ("RFC 5321 §4.1.1.8", Help(), b"HELP\r\n"),
    ("RFC 5321 §4.1.1.8", Help("MAIL"), b"HELP MAIL\r\n"),
    ("RFC 5321 §4.1.1.9", Noop(), b"NOOP\r\n"),
    ("RFC 5321 §4.1.1.9", Noop("are you there?"), b"NOOP are you there?\r\n"),
    ("RFC 1985 §5", ExtensionCommand("ETRN", "@example.com"), b"ETRN @example.com\r\n"),
    ("RFC 5321 §4.1.5", ExtensionCommand("XFORWARD"), b"XFORWARD\r\n"),
]


@pytest.mark.parametrize(("command", "wire"), [row[1:] for row in WIRE], ids=shown)
def test_wire(command: Command, wire: bytes) -> None:
    assert command.encode() == wire


def test_utf8_in_a_recipient_is_the_transactions_matter() -> None:
    assert Rcpt("ü@b").encode(smtputf8=True) == "RCPT TO:<ü@b>\r\n".encode()
    with pytest.raises(LocalProtocolError, match="the path or a parameter of RCPT is not ASCII"):
        Rcpt("ü@b").encode()


# Injection -----------------------------------------------------------------------------------

ARGUMENTS: list[tuple[str, Callable[[Any], Command]]] = [
    ("the domain of EHLO", Ehlo),
    ("the domain of LHLO", Lhlo),
    ("the domain of HELO", Helo),
    ("the mechanism of AUTH", Auth),
    ("the path of MAIL", Mail),
    ("the path of MAIL", lambda text: Mail(text, (("SMTPUTF8", None),))),
    ("the path of MAIL", lambda text: Mail(f'"{text}"@b', (("SMTPUTF8", None),))),
    ("the path of RCPT", Rcpt),
    ("the path of RCPT", lambda text: Rcpt(f"a{text}@b")),
    ("the keyword of a parameter of MAIL", lambda text: Mail("a@b", ((text, None),))),
    ("the keyword of a parameter of RCPT", lambda text: Rcpt("a@b", ((f"X{text}", "1"),))),
    ("the parameter ENVID of MAIL", lambda text: Mail("a@b", (("ENVID", text),))),
    ("the parameter ORCPT of RCPT", lambda text: Rcpt("a@b", (("ORCPT", f"rfc822;{text}"),))),
    ("the argument of NOOP", Noop),
    ("the argument of HELP", Help),
    ("the string of VRFY", Vrfy),
    ("the string of EXPN", lambda text: Expn(text, smtputf8=True)),
    ("the name of a command", ExtensionCommand),
    ("the argument of an extension's command", lambda text: ExtensionCommand("X", text)),
]
CONTROLS = [chr(number) for number in (*range(32), *range(0x7F, 0xA0))]


@pytest.mark.parametrize(("what", "make"), ARGUMENTS)
def test_no_argument_takes_a_control_character(what: str, make: Callable[[str], Command]) -> None:
    injected = [*CONTROLS, "\r\nDATA", "\nRSET", "\r\n.\r\n", "a\r\n"]
    for text in [form for char in injected for form in (char, f"a{char}b", f"{char}a", f"a{char}")]:
        with pytest.raises(LocalProtocolError) as caught:
            make(text).encode(smtputf8=True)
        assert str(caught.value).startswith(what)
        assert "control character" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("a@b> SIZE=1", "a@b>", "<a@b", "a b@c", "a@b c", 'a"b@c', '"a@b', '"a" b@c', '"a\\"@b'),
        *("\\ @b", '"a"x" y"@c\\', 'a"@b> "', "a@b\xa0\\", '@"a>":b', '"a""b"@c', '"a"b'),
    ],
)
def test_nothing_ends_a_path_early(text: str) -> None:
    for command in (Mail(text), Rcpt(text), Mail(text, (("SMTPUTF8", None),))):
        with pytest.raises(LocalProtocolError) as caught:
            command.encode(smtputf8=True)
        assert str(caught.value) == f"the path of {command.verb} does not follow the grammar"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Ehlo(""), "the domain of EHLO does not follow the grammar"),
        (Ehlo("a b"), "the domain of EHLO does not follow the grammar"),
        (Ehlo("ü"), "the domain of EHLO does not follow the grammar"),
        (Ehlo("[::1"), "the domain of EHLO does not follow the grammar"),
        (Ehlo("-a"), "the domain of EHLO does not follow the grammar"),
        (Rcpt(""), "the path of RCPT is empty"),
        (Mail("a", (("", "1"),)), "the keyword of a parameter of MAIL does not follow the grammar"),
        (Mail("a", (("A=B", "1"),)), "the keyword of a parameter of MAIL does not follow"),
        (Mail("a", (("A B", None),)), "the keyword of a parameter of MAIL does not follow"),
        (Mail("a", (("A", ""),)), "the parameter A of MAIL does not follow the grammar"),
        (Mail("a", (("A", "1 B"),)), "the parameter A of MAIL does not follow the grammar"),
        (Mail("a", (("A", "1=2"),)), "the parameter A of MAIL does not follow the grammar"),
        (Mail("ü"), "the path or a parameter of MAIL is not ASCII, and SMTPUTF8 is not asked for"),
        (Mail("a", (("A", "ü"),)), "the path or a parameter of MAIL is not ASCII"),
        (Mail("\ud800", (("SMTPUTF8", None),)), "the path or a parameter of MAIL is not valid Uni"),
        (Auth("plain"), "the mechanism of AUTH does not follow the grammar"),
        (Auth(""), "the mechanism of AUTH does not follow the grammar"),
        (Auth("A" * 21), "the mechanism of AUTH does not follow the grammar"),
        (Auth("PLAIN x"), "the mechanism of AUTH does not follow the grammar"),
        (Vrfy(""), "the string of VRFY is empty or has a control character"),
        (Vrfy("ü"), "the string of VRFY is not ASCII"),
        (Noop("ü"), "the argument of NOOP is not ASCII"),
        (ExtensionCommand(""), "the name of a command does not follow the grammar"),
        (ExtensionCommand("A B"), "the name of a command does not follow the grammar"),
        (ExtensionCommand("data"), "the name of a command that has a class of its own"),
        (ExtensionCommand("BDAT", "5"), "the name of a command that has a class of its own"),
        (ExtensionCommand("X", "ü"), "the argument of an extension's command is not ASCII"),
    ],
    ids=shown,
)
def test_refused(command: Command, message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        command.encode()
    assert str(caught.value).startswith(message)


# Limits (RFC 5321 §4.5.3.1.4, and what each extension adds) ----------------------------------

LIMITS: list[tuple[str, Callable[[str], Command], int]] = [
    ("RFC 5321 §4.5.3.1.4", Ehlo, 512),
    ("RFC 5321 §4.5.3.1.4", Mail, 512),
    ("RFC 5321 §4.5.3.1.4", Rcpt, 512),
    ("RFC 5321 §4.5.3.1.4", Vrfy, 512),
    ("RFC 5321 §4.5.3.1.4", Noop, 512),
    ("RFC 5321 §4.5.3.1.4", lambda text: ExtensionCommand("X", text), 512),
    ("RFC 5321 §4.5.3.1.4", lambda text: Mail("a", (("X", text),)), 512),
    ("RFC 1870 §3", lambda text: Mail(text, (("SIZE", "1"),)), 538),
    ("RFC 6152 §2", lambda text: Mail(text, (("BODY", "7BIT"),)), 529),
    ("RFC 6531 §3.1", lambda text: Mail(text, (("SMTPUTF8", None),)), 522),
    ("RFC 6531 §3.7.4.2", lambda text: Vrfy(text, smtputf8=True), 522),
    ("RFC 8689 §2", lambda text: Mail(text, (("REQUIRETLS", None),)), 523),
    ("RFC 4954 §3", lambda text: Mail("a", (("AUTH", text),)), 1012),
    ("RFC 2852 §3", lambda text: Mail(text, (("BY", "120;R"),)), 529),
    ("RFC 4865 §3", lambda text: Mail(text, (("HOLDFOR", "1"),)), 546),
    ("RFC 6710 §3", lambda text: Mail(text, (("MT-PRIORITY", "3"),)), 527),
    ("RFC 3461 §5", lambda text: Rcpt("a", (("ORCPT", text),)), 1013),
    ("together", lambda text: Mail(text, (("SIZE", "1"), ("BODY", "7BIT"))), 555),
]


@pytest.mark.parametrize(("make", "limit"), [row[1:] for row in LIMITS])
def test_a_line_is_not_too_long(make: Callable[[str], Command], limit: int) -> None:
    around = len(make("a").encode()) - 1
    assert len(make("a" * (limit - around)).encode()) == limit
    with pytest.raises(LocalProtocolError, match=f"makes a line of more than {limit} bytes"):
        make("a" * (limit - around + 1)).encode()


def test_bytes_are_counted_and_not_characters() -> None:
    parameters = (("SMTPUTF8", None),)
    assert len(Mail("ü" * 249 + "a", parameters).encode()) == 522
    with pytest.raises(LocalProtocolError, match="522 bytes"):
        Mail("ü" * 250, parameters).encode()


def test_an_initial_response_fits_or_has_to_wait_for_a_challenge() -> None:
    # RFC 4954 §4: "If use of the initial response argument would cause the AUTH command to exceed
    # this length, the client MUST NOT use the initial response parameter".
    fitting = Auth("XOAUTH2", b"x" * 372)
    assert fitting.fits
    assert len(fitting.encode()) == 511
    longer = Auth("XOAUTH2", b"x" * 375)
    assert not longer.fits
    with pytest.raises(LocalProtocolError, match="the initial response of AUTH makes a line of"):
        longer.encode()
    assert Auth("XOAUTH2").fits


def test_a_response_to_a_challenge_may_be_long() -> None:
    assert len(AuthResponse(b"x" * 9213).encode()) == 12286
    with pytest.raises(LocalProtocolError, match="more than 12288 bytes"):
        AuthResponse(b"x" * 9216).encode()


# Secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *(Auth("PLAIN", b"secret"), AuthResponse(b"secret"), MailData(b"secret")),
        *(Bdat(b"secret"), Bdat(b"secret", last=True)),
    ],
)
def test_repr_shows_no_secret(command: Command) -> None:
    assert "secret" not in repr(command)
    assert "c2VjcmV0" not in repr(command)


def test_errors_show_no_argument() -> None:
    for command in (
        *(Auth("PLAIN", b"secret" * 99), AuthResponse(b"secret" * 2000), Mail("secret\n")),
        *(Mail("secrét"), Rcpt("secret>"), Mail("a", (("ENVID", "secret="),)), Noop("secret\0")),
        *(Mail("\ud800secret", (("SMTPUTF8", None),)), Ehlo("secret!"), Vrfy("secret\r")),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            command.encode()
        assert "secr" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_commands_are_values() -> None:
    assert Mail("a", (("SIZE", "1"),)) == Mail("a", (("SIZE", "1"),))
    assert len({Rcpt("a"), Rcpt("a"), Rcpt("b")}) == 2
    with pytest.raises(AttributeError):
        Rcpt("a").path = "b"  # type: ignore[misc]


def test_has_looks_for_a_parameter() -> None:
    mail = Mail("a", (("body", "BinaryMIME"), ("X", None)))
    assert mail.has("BODY")
    assert mail.has("BODY", "BINARYMIME")
    assert not mail.has("BODY", "7BIT")
    assert not mail.has("X", "1")
    assert not mail.has("SIZE")
