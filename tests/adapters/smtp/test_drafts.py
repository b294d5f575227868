from __future__ import annotations

import base64
import threading
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from wirekit.adapters.smtp import DKIM, Mail, Options, SMTPArgumentError, SMTPNotSupported
from wirekit.adapters.smtp._bodies import Source
from wirekit.adapters.smtp._drafts import Draft, Sendable
from wirekit.adapters.smtp._transaction import Transaction

from ._script import PIPELINING, open_queue


def email() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "a@example.org"
    message["To"] = "b@example.org, c@example.org"
    message.set_content("Hello\n")
    return message


async def test_what_may_be_sent() -> None:
    queue, _ = await open_queue(*PIPELINING)
    given: Sendable
    for given in (
        Mail("a@example.org", ["b@example.org", "c@example.org"], b"x"),
        ("a@example.org", ["b@example.org", "c@example.org"], b"x"),
        email(),
    ):
        envelope, body = await Draft(given).ready(queue)
        assert envelope.sender == "a@example.org"
        assert list(envelope.recipients) == ["b@example.org", "c@example.org"]
        assert body.data is not None
    with pytest.raises(SMTPArgumentError, match="not int"):
        Draft(5)  # type: ignore[arg-type]


async def test_sender_recipients_and_options_of_a_message() -> None:
    queue, _ = await open_queue(*PIPELINING, "DSN")
    draft = Draft(
        email(),
        sender="x@example.org",
        recipients="y@example.org",
        options=Options(ret="HDRS", all_recipients=True),
    )
    envelope, _ = await draft.ready(queue)
    assert (envelope.sender, list(envelope.recipients)) == ("x@example.org", ["y@example.org"])
    assert envelope.mail.has("RET", "HDRS")
    assert draft.all_recipients
    assert draft.size > 100


async def test_a_file_is_looked_at_once(tmp_path: Path) -> None:
    queue, _ = await open_queue(*PIPELINING)
    path = tmp_path / "mail"
    path.write_bytes(b"Hello\r\n")
    draft = Draft(Mail("a@example.org", "b@example.org", path))
    assert (await draft.ready(queue))[1].data == b"Hello\r\n"
    path.unlink()
    assert (await draft.ready(queue))[1].data == b"Hello\r\n"
    assert draft.size == 7


async def test_whether_it_can_be_sent_again() -> None:
    queue, _ = await open_queue(*PIPELINING)
    sources: list[tuple[Source, bool]] = [(b"x", True), (iter([b"x"]), False), ([b"x"], True)]
    for body, again in sources:
        draft = Draft(Mail("a@example.org", "b@example.org", body))
        assert draft.is_repeatable
        envelope, content = await draft.ready(queue)
        draft.transaction = Transaction(queue, envelope, content)
        assert draft.is_repeatable
        draft.transaction.content_begun = True
        assert draft.is_repeatable is again
        draft.renew(["c@example.org"])
        assert draft.is_repeatable
        assert list((await draft.ready(queue))[0].recipients) == ["c@example.org"]


async def test_what_the_server_cannot_do() -> None:
    queue, _ = await open_queue()
    with pytest.raises(SMTPNotSupported):
        await Draft(("a@example.org", "δοκιμή@example.org", b"x")).ready(queue)


async def pieces() -> AsyncIterator[bytes]:
    yield b"Hello"


async def test_signatures() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    raw = base64.b64encode(key.private_bytes_raw()).decode()
    signer = DKIM("example.org", "selector", raw, algorithm="ed25519-sha256")
    queue, _ = await open_queue(*PIPELINING, "8BITMIME", "BINARYMIME", "CHUNKING")
    options = Options(dkim=signer)
    message = email()
    message.add_attachment(b"\n\0", maintype="x", subtype="x", cte="binary")
    draft = Draft(message, options=options)
    for _ in range(2):
        envelope, body = await draft.ready(queue)
        assert body.data is not None
        assert body.data.count(b"DKIM-Signature:") == 1
        assert not envelope.mail.has("BODY", "BINARYMIME")
    text = "From: a@example.org\n\nHello\n"
    draft = Draft(Mail("a@example.org", "b@example.org", text, options=options))
    for _ in range(2):
        _, body = await draft.ready(queue)
        assert body.data is not None
        assert body.data.startswith(b"DKIM-Signature:")
        assert body.data.count(b"DKIM-Signature:") == 1
        assert body.size == len(body.data)
    for mail in (
        Mail("a@example.org", "b@example.org", pieces(), options=options),
        Mail("a@example.org", "b@example.org", b"From: a", "BINARYMIME", options=options),
    ):
        with pytest.raises(SMTPArgumentError, match="DKIM signs what is in memory"):
            await Draft(mail).ready(queue)
    with pytest.raises(SMTPArgumentError, match="DKIM cannot sign"):
        await Draft(Mail("a@example.org", "b@example.org", b"x", options=options)).ready(queue)


async def test_signing_holds_up_nobody() -> None:
    """It is work for the processor, and is done by a thread."""

    class Signer:
        def sign(self, message: bytes) -> bytes:
            assert threading.current_thread() is not threading.main_thread()
            return b"DKIM-Signature: x\r\n" + message

    queue, _ = await open_queue(*PIPELINING)
    options = Options(dkim=Signer())  # type: ignore[arg-type]
    draft = Draft(Mail("a@example.org", "b@example.org", b"x\r\n", options=options))
    _, body = await draft.ready(queue)
    assert body.data == b"DKIM-Signature: x\r\nx\r\n"


async def test_as_many_recipients_as_the_server_takes() -> None:
    queue, _ = await open_queue(*PIPELINING, "LIMITS RCPTMAX=3 RCPTDOMAINMAX=1")
    names = ["a@x.example", "b@y.example", "c@X.example", "d@x.example", "e@x.example"]
    draft = Draft(Mail("a@example.org", names, b"x\r\n"))
    envelope, _ = await draft.ready(queue)
    assert list(envelope.recipients) == ["a@x.example", "c@X.example", "d@x.example"]
    assert draft.left == ["b@y.example", "e@x.example"]
    draft.renew(draft.left)
    envelope, _ = await draft.ready(queue)
    assert (list(envelope.recipients), draft.left) == (["b@y.example"], ["e@x.example"])
    draft = Draft(email())
    envelope, _ = await draft.ready(queue)
    assert list(envelope.recipients) == ["b@example.org", "c@example.org"]
    assert draft.left == []
