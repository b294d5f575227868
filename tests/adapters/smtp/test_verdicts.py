from __future__ import annotations

from wirekit.adapters.smtp import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from wirekit.adapters.smtp._bodies import Body
from wirekit.adapters.smtp._envelope import Mail, Options, make_envelope
from wirekit.adapters.smtp._verdicts import Verdict
from wirekit.protocols.smtp import Capabilities, Reply

OK, UNKNOWN, LATER = Reply(250, ("ok",)), Reply(550, ("5.1.1 unknown",)), Reply(450, ("later",))


def verdict(mail: Reply, *rcpts: Reply, all_recipients: bool = False) -> Verdict:
    recipients = [f"{name}@example.org" for name, _ in zip("bcd", rcpts, strict=False)]
    options = Options(all_recipients=all_recipients)
    given = Mail("a@example.org", recipients or "b@example.org", b"", options=options)
    return Verdict(make_envelope(given, Body(b""), Capabilities()), mail, rcpts)


def test_the_envelope() -> None:
    assert verdict(OK, OK, UNKNOWN).envelope_refused() is None
    assert verdict(OK, OK, UNKNOWN).accepted == 1
    assert verdict(OK).envelope_refused() is None  # given up before the first RCPT
    sender = verdict(LATER, UNKNOWN).envelope_refused()
    assert isinstance(sender, SMTPSenderRefused)
    assert (sender.code, sender.sender) == (450, "a@example.org")
    for got in (
        verdict(OK, LATER, UNKNOWN).envelope_refused(),
        verdict(OK, OK, LATER, UNKNOWN, all_recipients=True).envelope_refused(),
    ):
        assert isinstance(got, SMTPRecipientsRefused)
        assert [refused.code for refused in got.recipients] == [450, 550]


def test_the_message() -> None:
    got = verdict(OK, OK, UNKNOWN, OK)
    assert isinstance(got.content_refused([LATER], lmtp=False), SMTPDataError)
    result = got.result([OK], lmtp=False)
    assert result.errors == {"c@example.org": (550, "5.1.1 unknown")}


def test_the_message_by_lmtp() -> None:
    got = verdict(OK, OK, UNKNOWN, OK)
    error = got.content_refused([LATER, UNKNOWN], lmtp=True)
    assert isinstance(error, SMTPRecipientsRefused)
    assert [refused.code for refused in error.recipients] == [450, 550, 550]
    result = got.result([LATER, OK], lmtp=True)
    assert [reply.code for reply in result.recipients.values()] == [450, 550, 250]
    assert result.message == "ok"
