from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import smtplib
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage, Message
from typing import TYPE_CHECKING, Any, ClassVar, cast

import aiosmtplib
import aiosmtplib.email
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit import LocalProtocolError
from wirekit.adapters.smtp._errors import SMTPArgumentError, SMTPNotSupported
from wirekit.adapters.smtp._messages import Prepared, prepare
from wirekit.protocols.smtp import Capabilities

if TYPE_CHECKING:
    from tests.servers import MailServer

FULL = Capabilities("mail.example", eightbitmime=True, smtputf8=True)
BARE = Capabilities("mail.example")
EIGHT = Capabilities("mail.example", eightbitmime=True)
BINARY = Capabilities("mail.example", eightbitmime=True, binarymime=True, chunking=True)


def mail(content: str = "Hello.\n", **fields: str) -> EmailMessage:
    message = EmailMessage()
    values = {"From": "alice@wirekit.example", "To": "bob@wirekit.example", **fields}
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    message.set_content(content)
    return message


def prepared(
    message: Message,
    capabilities: Capabilities = FULL,
    *,
    sender: str | None = None,
    recipients: list[str] | None = None,
) -> Prepared:
    return prepare(message, sender=sender, recipients=recipients, capabilities=capabilities)


def read(body: bytes) -> EmailMessage:
    return email.message_from_bytes(body, policy=email.policy.default)


# The envelope


def resent() -> EmailMessage:
    message = mail(Cc="cc@wirekit.example", Bcc="bcc@wirekit.example")
    message["Resent-Date"] = "Mon, 23 Nov 2026 18:00:00 +0000"
    message["Resent-From"] = "again@wirekit.example"
    message["Resent-To"] = "one@wirekit.example, two@wirekit.example"
    message["Resent-Bcc"] = "three@wirekit.example"
    return message


def parsed(text: str) -> Message:
    return email.message_from_string(text)


MESSAGES: dict[str, Callable[[], Message]] = {
    "plain": mail,
    "names": lambda: mail(From='"A. <x@y>, B" <alice@wirekit.example>', To="Bob <b@x>, Eve <e@x>"),
    "many": lambda: mail(Cc="c@x, d@x", Bcc="e@x"),
    "sender": lambda: mail(Sender="sender@wirekit.example"),
    "groups": lambda: mail(To="friends: a@x, b@x;, c@x", Cc="nobody: ;"),
    "quoted": lambda: mail(To='"with space"@wirekit.example'),
    "resent": resent,
    "8bit": lambda: mail("Grüße\n"),
    "long": lambda: mail("x" * 5000 + "\n", Subject="ä" * 300),
    "compat32": lambda: parsed("From: A <a@x>\nTo: b@x, C <c@x>\nBcc: d@x\nSubject: s\n\nHi\n"),
    "compat32 twice": lambda: parsed("From: a@x\nTo: b@x\nTo: c@x\n\nHi\n"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_as_aiosmtplib_and_smtplib(name: str) -> None:
    message = MESSAGES[name]()
    before = message.as_bytes()
    found = prepared(message)
    assert found.sender == aiosmtplib.email.extract_sender(cast("Any", message))
    assert list(found.recipients) == aiosmtplib.email.extract_recipients(cast("Any", message))
    flat = aiosmtplib.email.flatten_message(cast("Any", message), utf8=False, cte_type="8bit")
    assert found.body == flat.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert message.as_bytes() == before

    class Client(smtplib.SMTP):
        sent: ClassVar[list[Any]] = []

        def ehlo_or_helo_if_needed(self) -> None:
            pass

        def sendmail(self, *arguments: Any, **_options: Any) -> Any:
            self.sent.append(arguments)

    # smtplib takes the first field of each name only, and no groups.
    if name not in ("compat32 twice", "groups"):
        Client().send_message(message)
        ((sender, recipients, *_),) = Client.sent
        assert sender == found.sender
        assert sorted(recipients) == sorted(found.recipients)


def test_bcc_is_not_sent() -> None:
    message = resent()
    message.replace_header("Bcc", "Secret <hidden@wirekit.example>")
    found = prepared(message)
    assert b"bcc" not in found.body.lower()
    assert b"hidden" not in found.body
    assert b"three" not in found.body
    assert "three@wirekit.example" in found.recipients
    assert "Secret" in message["Bcc"]


def test_bcc_in_any_case_and_number() -> None:
    message = parsed("From: a@x\nTo: b@x\nBCC: one@x\nbcc: two@x\nBcc : three@x\n\nbcc: text\n")
    found = prepared(message)
    assert {"one@x", "two@x"} < set(found.recipients)
    assert b"one@x" not in found.body
    assert b"two@x" not in found.body


def test_sender_and_recipients_go_before_the_header() -> None:
    found = prepared(mail(), sender="", recipients=["x@wirekit.example"])
    assert (found.sender, found.recipients) == ("", ("x@wirekit.example",))
    found = prepared(EmailMessage(), sender="a@x.example", recipients=["b@x.example"])
    assert found.body == b"\r\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("To: b@x\n\n", "no address in Sender or From"),
        ("From: a@x\n\n", "no address in To, Cc, Bcc"),
        ("From:\nTo: b@x\n\n", "no address in Sender or From"),
        ("From: a@x\nTo: nobody: ;\n\n", "no address in To"),
        (
            "From: a@x\nTo: b@x\nResent-Date: x\nResent-To: c@x\n\n",
            "in Resent-Sender or Resent-From",
        ),
        ("From: a@x\nTo: b@x\nResent-Date: x\nResent-Date: y\n\n", "resent more than once"),
        ("From: @@@\nTo: b@x\n\n", "the addresses in From cannot be read"),
        ("From: a@x\nTo: <b@x\n\n", "the addresses in To cannot be read"),
        ("From: a@x\nTo: b@x; c@x\n\n", "the addresses in To cannot be read"),
        ("From: a@x\nTo: b@x c@x\n\n", "the addresses in To cannot be read"),
        ("From: alice\nTo: b@x\n\n", "the addresses in From cannot be read"),
    ],
)
@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default])
def test_an_envelope_that_cannot_be_told(text: str, complaint: str, policy: Any) -> None:
    message = email.message_from_string(text, policy=policy)
    with pytest.raises(SMTPArgumentError, match=complaint) as caught:
        prepared(message)
    assert isinstance(caught.value, ValueError)  # which the standard library's users catch


# International mail


@pytest.mark.parametrize("field", ["From", "To", "Cc", "Reply_To"])
def test_smtputf8_where_a_local_part_needs_it(field: str) -> None:
    message = mail(**{field: "Δ <δοκιμή@bücher.example>"})
    found = prepared(message)
    assert found.smtputf8
    assert found.body_type == "8BITMIME"
    assert "<δοκιμή@bücher.example>".encode() in found.body
    with pytest.raises(SMTPNotSupported, match="SMTPUTF8"):
        prepared(message, EIGHT)


def test_smtputf8_where_the_envelope_needs_it() -> None:
    found = prepared(mail(), recipients=["δοκιμή@wirekit.example"])
    assert found.smtputf8
    assert found.body.isascii()
    with pytest.raises(SMTPNotSupported, match="SMTPUTF8"):
        prepared(mail(), EIGHT, recipients=["δοκιμή@wirekit.example"])


def test_a_display_name_does_not_need_smtputf8() -> None:
    found = prepared(mail(From="Ärger <alice@wirekit.example>", Subject="Grüße"), BARE)
    assert not found.smtputf8
    assert found.body.isascii()
    assert read(found.body)["From"].addresses[0].display_name == "Ärger"


@pytest.mark.parametrize("capabilities", [FULL, BARE])
def test_domains_are_written_in_a_labels(capabilities: Capabilities) -> None:
    message = mail(
        To="Bü <bob@bücher.example>, friends: c@faß.example;, d@x.example", Subject="Grüße"
    )
    before = message.as_string()
    found = prepared(message, capabilities)
    assert not found.smtputf8
    assert found.body.isascii()
    assert found.recipients == ("bob@bücher.example", "c@faß.example", "d@x.example")
    header = read(found.body)["To"]
    assert [str(address.addr_spec) for address in header.addresses] == [
        "bob@xn--bcher-kva.example",
        "c@xn--fa-hia.example",
        "d@x.example",
    ]
    assert header.addresses[0].display_name == "Bü"
    assert header.groups[1].display_name == "friends"
    assert read(found.body).keys() == message.keys()
    assert message.as_string() == before


def test_the_older_message_with_international_addresses() -> None:
    message = Message()
    message["From"] = "a@x.example"
    message["To"] = "b@bücher.example"
    assert b"\r\nTo: b@xn--bcher-kva.example\r\n" in prepared(message).body
    message.replace_header("To", "Bü <δοκιμή@x.example>")
    with pytest.raises(SMTPArgumentError, match="EmailMessage"):
        prepared(message)


# The content


def test_with_and_without_8bitmime() -> None:
    message = mail("Grüße aus Köln\n")
    found = prepared(message, EIGHT)
    assert found.body_type == "8BITMIME"
    assert "Grüße aus Köln\r\n".encode() in found.body
    found = prepared(message, BARE)
    assert found.body_type == "7BIT"
    assert found.body.isascii()
    assert read(found.body).get_content() == "Grüße aus Köln\n"
    assert read(found.body)["Content-Transfer-Encoding"] in ("base64", "quoted-printable")


def test_8_bit_that_has_no_charset_cannot_be_encoded() -> None:
    message = email.message_from_bytes(b"From: a@x\nTo: b@x\n\nGr\xfc\xdfe\n")
    assert prepared(message, EIGHT).body.endswith(b"\r\n\r\nGr\xfc\xdfe\r\n")
    with pytest.raises(SMTPNotSupported, match="8BITMIME"):
        prepared(message, BARE)


@pytest.mark.parametrize("policy", [email.policy.compat32, email.policy.default])
def test_8_bit_in_a_header_that_was_read(policy: Any) -> None:
    source = b"From: a@x\nTo: b@x\nSubject: Gr\xc3\xbc\xc3\x9fe\n\nHi\n"
    message = email.message_from_bytes(source, policy=policy)
    found = prepared(message, EIGHT)
    assert found.body.isascii()
    assert found.body_type == "7BIT"
    assert b"Subject: =?" in found.body


DATA = b"\0\r\n.\r\nlone \r and \n and \xff\x80" * 3


def with_attachment(cte: str) -> EmailMessage:
    message = mail("Grüße\n")
    message.add_attachment(
        DATA, maintype="application", subtype="octet-stream", filename="x", cte=cte
    )
    return message


def attachment(body: bytes) -> bytes:
    (part,) = read(body).iter_attachments()
    return cast("bytes", cast("Any", part).get_payload(decode=True))


def test_binary_parts() -> None:
    message = with_attachment("binary")
    before = message.as_bytes()
    found = prepared(message, BINARY)
    assert found.body_type == "BINARYMIME"
    assert found.body.count(DATA) == 1
    for capabilities in (FULL, BARE, Capabilities("mail.example", binarymime=True)):
        found = prepared(message, capabilities)
        assert found.body_type == ("8BITMIME" if capabilities.eightbitmime else "7BIT")
        assert attachment(found.body) == DATA
    assert message.as_bytes() == before


def test_other_parts_are_no_binary_ones() -> None:
    found = prepared(with_attachment("base64"), BINARY)
    assert found.body_type == "8BITMIME"
    assert attachment(found.body) == DATA


def test_nested_messages() -> None:
    inner = mail("Grüße\n", Subject="inner", Bcc="x@wirekit.example")
    message = mail("outer\n")
    message.add_attachment(inner)
    found = prepared(message, BARE)
    (part,) = read(found.body).iter_attachments()
    forwarded = cast("EmailMessage", cast("Any", part).get_content())
    assert forwarded["Bcc"] == "x@wirekit.example"  # what is forwarded is content
    assert forwarded.get_content() == "Grüße\n"


def test_from_at_the_start_of_a_line_stays() -> None:
    message = parsed("From: a@x\nTo: b@x\n\nFrom here on\n")
    assert prepared(message).body.endswith(b"\r\n\r\nFrom here on\r\n")


def test_a_message_that_cannot_be_written() -> None:
    message = mail()
    cast("Any", message).set_payload(7)
    with pytest.raises(SMTPArgumentError, match="the message cannot be written"):
        prepared(message)


# Header injection

BREAKS = ["\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\0", "\n \n", "\r \n"]
STRANGE = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def by_set_raw(name: str, value: str) -> Message:
    message = mail()
    del message[name]
    message.set_raw(name, value)
    return message


def by_the_older_message(name: str, value: str) -> Message:
    message = Message()
    message["From"], message["To"] = "alice@wirekit.example", "bob@wirekit.example"
    del message[name]
    message[name] = value
    return message


def by_a_header_object(name: str, value: str) -> Message:
    message = Message()
    message["From"], message["To"] = "alice@wirekit.example", "bob@wirekit.example"
    del message[name]
    message[name] = cast("Any", email.header.Header(value, "utf-8"))
    return message


def by_its_own_class(name: str, value: str) -> Message:
    class Lying(str):
        name = "anything"

        def fold(self, *, policy: object) -> str:
            return f"{name}: {self}\r\n"

    message = mail()
    del message[name]
    message.set_raw(name, Lying(value))
    return message


WAYS = [by_set_raw, by_the_older_message, by_a_header_object, by_its_own_class]
FIELDS = [
    *("From", "Sender", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To"),
    *("References", "Comments", "Keywords", "Resent-From", "Resent-To", "List-Unsubscribe"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "X-Any"),
]


def assert_harmless(message: Message, *, sender: str | None = None) -> None:
    """Either it is refused, or it has the fields that it had, and no more."""
    recipients = ["bob@wirekit.example"]
    try:
        body = prepared(message, sender=sender, recipients=recipients).body
    except LocalProtocolError:
        return
    header, _, content = body.partition(b"\r\n\r\n")
    names = [
        line.partition(b":")[0].decode() for line in header.split(b"\r\n") if line[:1] not in b" \t"
    ]
    assert names == list(message.keys())
    assert not set(header.replace(b"\r\n", b"")) & set(b"\r\n\0")
    assert b"EVIL" not in content


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FIELDS)
def test_no_field_becomes_two(way: Callable[[str, str], Message], name: str) -> None:
    for separator in (*BREAKS, *STRANGE):
        for start in ("alice@wirekit.example", "ä", "word " * 30):
            message = way(name, f"{start}{separator}Bcc: EVIL@wirekit.example")
            assert_harmless(message, sender="alice@wirekit.example")


@pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\0"])
def test_a_line_break_is_refused_with_the_name_of_its_field(separator: str) -> None:
    message = by_set_raw("Subject", f"hi{separator}Bcc: EVIL@wirekit.example")
    with pytest.raises(SMTPArgumentError, match="the header field 'Subject'") as caught:
        prepared(message)
    assert isinstance(caught.value, LocalProtocolError)
    assert "EVIL" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", " ", "X Y", "X:", "X\r\nBcc", "X\nBcc: y\nZ", "Ä", "X\0", ":", "\tX", "X" * 99 + "\n"],
)
def test_names_that_are_none(name: str) -> None:
    message = mail()
    message.set_raw(name, "value")
    with pytest.raises(SMTPArgumentError, match="no name of a header field"):
        prepared(message)


@pytest.mark.parametrize("separator", [*BREAKS, *STRANGE])
def test_parameters_and_display_names(separator: str) -> None:
    evil = f"x{separator}Bcc: EVIL@wirekit.example"

    def attached(**options: Any) -> EmailMessage:
        message = mail()
        message.add_attachment(b"data", maintype="image", subtype="png", **options)
        return message

    def built(build: Callable[[EmailMessage], object]) -> EmailMessage:
        message = mail()
        build(message)
        return message

    ways: list[Callable[[], Message]] = [
        lambda: attached(filename=evil),
        lambda: attached(cid=evil),
        lambda: attached(params={"x": evil}),
        lambda: attached(headers=[f"X-Any: {evil}"]),
        lambda: built(lambda message: message.set_param("x", evil)),
        lambda: built(lambda message: message.set_boundary(evil)),
        lambda: built(lambda message: message.set_charset(evil)),
        lambda: built(lambda message: message.set_type(f"text/{evil}")),
        lambda: built(lambda message: message.add_header("X-Any", "v", x=evil)),
        lambda: built(lambda message: message.replace_header("To", evil)),
        lambda: mail(To=cast("Any", [Address(evil, "a", "x.example")])),
        lambda: mail(To=cast("Any", [Address("n", evil, "x.example")])),
    ]
    for way in ways:
        try:
            message = way()
        except (ValueError, LookupError, TypeError, email.errors.MessageError):
            continue  # the standard library has refused it
        try:
            body = prepared(message, recipients=["bob@wirekit.example"]).body
        except SMTPArgumentError:
            continue
        fields = [line for line in body.split(b"\r\n") if line.lower().startswith(b"bcc")]
        assert fields == []


@given(
    st.text(st.sampled_from('ab:ä \t\r\n\0\x0b\x85\u2028=?<>@,;"\\'), max_size=20),
    st.sampled_from(WAYS),
    st.sampled_from(FIELDS),
    st.booleans(),
)
def test_no_text_makes_another_field(
    text: str, way: Callable[[str, str], Message], name: str, eight: bool
) -> None:
    message = way(name, text)
    recipients = ["bob@wirekit.example"]
    sender = "alice@wirekit.example"
    try:
        body = prepared(message, FULL if eight else BARE, sender=sender, recipients=recipients).body
    except (SMTPArgumentError, SMTPNotSupported):
        return
    header = body.partition(b"\r\n\r\n")[0]
    lines = [line for line in header.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert [line.partition(b":")[0].decode() for line in lines] == list(message.keys())


# A real server


async def test_a_message_arrives_as_it_was(aiosmtpd: MailServer) -> None:
    message = mail("Grüße\n.\n..dots\n", To=f"Bob <bob+message@{aiosmtpd.domain}>", Subject="Ä")
    message.add_attachment(DATA, maintype="application", subtype="x", filename="ä.bin")
    found = prepared(message)
    with smtplib.SMTP(aiosmtpd.host, aiosmtpd.port, timeout=10) as client:
        client.sendmail(found.sender, found.recipients, found.body, ["BODY=8BITMIME"])
    (delivered,) = aiosmtpd.delivered(f"bob+message@{aiosmtpd.domain}")
    assert delivered.content == found.body
    arrived = read(delivered.content)
    assert arrived["Subject"] == "Ä"
    assert attachment(delivered.content) == DATA
