from __future__ import annotations

import base64
import importlib
import smtplib
import sys
from collections.abc import Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.interop.waiting import eventually
from wirekit.adapters.smtp._dkim import DKIM
from wirekit.adapters.smtp._errors import SMTPArgumentError

if TYPE_CHECKING:
    from tests.servers import MailServer

dkim = cast("Any", importlib.import_module("dkim"))

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
RSA_RECORD = b"v=DKIM1; k=rsa; p=" + base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
MESSAGE = b"From: a@wirekit.example\r\nTo: b@x.example\r\nSubject: hi\r\n\r\nHello\r\n"


def is_valid(message: bytes, record: bytes = RSA_RECORD) -> bool:
    asked: list[bytes] = []

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    valid = bool(dkim.verify(message, dnsfunc=look_up))
    assert asked in ([], [b"selector._domainkey.wirekit.example."])
    return valid


def signer(**options: Any) -> DKIM:
    return DKIM("wirekit.example", "selector", PEM, **options)


@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        MESSAGE.replace(b"\r\n", b"\n"),
        b"From: a@wirekit.example\r\n\r\n",
        b"From: a@wirekit.example\r\n\r\nlone \r and \n, dots\r\n.\r\n..\r\n \t\r\n\r\n\r\n",
        b"From: a@wirekit.example\r\nX: Gr\xc3\xbc\xc3\x9fe\r\n\r\n\xff\x00\r\n",
        MESSAGE * 2000,
    ],
)
def test_what_is_signed_is_valid(message: bytes) -> None:
    signed = signer().sign(message)
    assert is_valid(signed)
    header, _, rest = signed.partition(b"From:")
    assert b"\nFrom:" in signed
    assert header.startswith(b"DKIM-Signature: ")
    assert all(line[:1] in b" \t" for line in header.split(b"\r\n")[1:])
    assert signed.count(b"\n") == signed.count(b"\r\n") == signed.count(b"\r")
    assert rest


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "content": lambda signed: signed.replace(b"Hello", b"Hallo"),
    "field": lambda signed: signed.replace(b"Subject: hi", b"Subject: ho"),
    "another From": lambda signed: b"From: eve@wirekit.example\r\n" + signed,
    "more content": lambda signed: signed + b"more\r\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_not(change: str) -> None:
    signed = signer().sign(MESSAGE)
    assert is_valid(signed)
    assert not is_valid(CHANGES[change](signed))


def test_what_relays_do_leaves_it_valid() -> None:
    signed = signer().sign(MESSAGE)
    assert is_valid(b"Received: from x\r\n\tby y; now\r\n" + signed + b"\r\n\r\n")
    assert is_valid(signed.replace(b"Subject: hi", b"Subject:\r\n  hi  "))


def test_ed25519() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    private = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    signed = DKIM("wirekit.example", "selector", private.decode(), algorithm="ed25519-sha256").sign(
        MESSAGE
    )
    assert is_valid(signed, b"v=DKIM1; k=ed25519; p=" + public)


def test_which_fields_are_signed() -> None:
    signed = signer(headers=["From", "To"]).sign(MESSAGE)
    assert b";h=from:to:from;" in b"".join(signed.split())
    assert is_valid(signed.replace(b"Subject: hi", b"Subject: ho"))


def test_identity() -> None:
    assert b"i=me@wirekit.example;" in signer(identity="me@wirekit.example").sign(MESSAGE)


def test_a_message_of_the_standard_library() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "Ä <a@wirekit.example>", "b@x.example"
    message["Subject"] = "Grüße " * 40
    message.set_content("Grüße\n" * 40)
    assert is_valid(signer().sign(message.as_bytes()))


async def test_a_signature_survives_real_servers(mail_server: MailServer) -> None:
    recipient = f"alice+dkim@{mail_server.domain}"
    content = b"From: a@wirekit.example\r\nTo: x@x.example\r\n\r\n..\r\n.\r\nend \r\n\r\n"
    with smtplib.SMTP(mail_server.host, mail_server.port, timeout=10) as client:
        client.sendmail("a@wirekit.example", [recipient], signer().sign(content))
    await eventually(lambda: mail_server.delivered(recipient))
    (mail,) = mail_server.delivered(recipient)
    assert is_valid(mail.content)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_forms_of_the_key(form: PrivateFormat) -> None:
    pem = KEY.private_bytes(Encoding.PEM, form, NoEncryption())
    assert is_valid(DKIM("wirekit.example", "selector", pem).sign(MESSAGE))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"domain": "x.example\r\nBcc: y"}, "the domain"),
        ({"domain": "x.example; i=y"}, "the domain"),
        ({"domain": "bücher.example"}, "the domain"),
        ({"domain": ""}, "the domain"),
        ({"selector": "a;b"}, "the selector"),
        ({"selector": "a b"}, "the selector"),
        ({"algorithm": "rsa-sha1"}, "the algorithm"),
        ({"identity": "δ@wirekit.example"}, "the identity"),
        ({"identity": "a@wirekit.example; x=y"}, "the address"),
        ({"identity": "a@elsewhere.example"}, "identity must end"),
        ({"headers": ["To"]}, "From"),
        ({"headers": ["From", "X\r\nBcc: y"]}, "names of header fields"),
        ({"headers": ["From", "Received"]}, "SHOULD NOT"),
        ({"private_key": b"graphite"}, "[Pp]rivate key"),
        ({"private_key": PEM[:400]}, "[Pp]rivate key"),
        ({"private_key": PEM.replace(b"M", b"N")}, "DKIM cannot sign|private key"),
        ({"private_key": "graphite", "algorithm": "ed25519-sha256"}, "DKIM cannot sign"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], complaint: str) -> None:
    given: dict[str, Any] = {
        "domain": "wirekit.example",
        "selector": "selector",
        "private_key": PEM,
        **options,
    }
    with pytest.raises(SMTPArgumentError, match=complaint) as caught:
        DKIM(**given).sign(MESSAGE)
    assert "graphite" not in str(caught.value)


def test_a_message_without_from() -> None:
    with pytest.raises(SMTPArgumentError, match="From"):
        signer().sign(b"To: x@x.example\r\n\r\n")


def test_the_key_is_not_shown() -> None:
    assert repr(signer()) == "<DKIM selector._domainkey.wirekit.example rsa-sha256>"


def test_without_dkimpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dkim", None)
    with pytest.raises(ImportError, match=r"wirekit\[dkim\]"):
        signer()
