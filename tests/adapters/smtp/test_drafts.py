from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from wirekit.adapters.smtp import Mail, Options, SMTPArgumentError, SMTPNotSupported
from wirekit.adapters.smtp._drafts import Draft
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
    for body, again in ((b"x", True), (iter([b"x"]), False), ([b"x"], True)):
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
