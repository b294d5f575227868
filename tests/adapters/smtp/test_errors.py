from __future__ import annotations

import pytest

import wirekit
from wirekit.adapters import smtp
from wirekit.adapters.smtp._errors import connection_error, refusal
from wirekit.protocols.smtp import EnhancedStatus, Reply


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (wirekit.ConnectRefused("x"), smtp.SMTPConnectError),
        (wirekit.TLSError("x"), smtp.SMTPConnectError),
        (wirekit.BlockedError("x"), smtp.SMTPConnectError),
        (wirekit.ConnectTimeout("x"), smtp.SMTPConnectTimeoutError),
        (wirekit.ReadTimeout("x"), smtp.SMTPReadTimeoutError),
        (wirekit.WriteTimeout("x"), smtp.SMTPTimeoutError),
        (wirekit.ConnectionLost("x"), smtp.SMTPServerDisconnected),
        (wirekit.SocketClosed("x"), smtp.SMTPServerDisconnected),
        (wirekit.RemoteProtocolError("x"), smtp.SMTPException),
        (wirekit.AddressError("x"), smtp.SMTPException),
    ],
)
def test_transport_errors_are_both(error: wirekit.Error, theirs: type[Exception]) -> None:
    error.__cause__ = OSError(5, "y")
    both = connection_error(error, sent=False)
    assert isinstance(both, type(error))
    assert isinstance(both, theirs)
    assert (str(both), both.message, both.args) == ("x", "x", ("x",))
    assert both.__cause__ is error.__cause__
    assert vars(both)["sent"] is False
    assert type(connection_error(both)) is type(both)
    assert vars(connection_error(both))["sent"] is True


def test_the_errno_is_kept_and_an_error_of_the_system_wrapped() -> None:
    refused = connection_error(wirekit.ConnectRefused("x", errno=111))
    assert isinstance(refused, OSError)
    assert refused.errno == 111
    lost = connection_error(OSError(5, "gone"))
    assert isinstance(lost, smtp.SMTPServerDisconnected)
    assert "gone" in str(lost)


def test_a_copy_of_a_refusal_is_like_it() -> None:
    error = refusal(smtp.SMTPServiceClosed, Reply(421, ("4.3.2 bye",)))
    copy = connection_error(error)
    assert isinstance(copy, smtp.SMTPServiceClosed)
    assert (copy.code, copy.text, str(copy)) == (421, "bye", "421 4.3.2 bye")
    assert isinstance(copy, ConnectionError)


def test_a_refusal_has_aiosmtplibs_attributes_and_more() -> None:
    reply = Reply(550, ("5.1.1 no such", "5.1.1 user"))
    error = refusal(smtp.SMTPRecipientRefused, reply, "a@b.example")
    assert (error.code, error.reply_code, error.recipient) == (550, 550, "a@b.example")
    assert error.message == "5.1.1 no such\n5.1.1 user"
    assert error.text == "no such\nuser"
    assert error.enhanced_status == EnhancedStatus(5, 1, 1)
    assert error.args == (550, error.message, "a@b.example")
    assert isinstance(error, wirekit.ServerError)
    assert str(error) == "550 5.1.1 no such\n5.1.1 user (recipient a@b.example)"
    together = smtp.SMTPRecipientsRefused([error])
    assert together.recipients == [error]
    assert together.args == ([error],)
    assert str(error) in str(together)
    sender = refusal(smtp.SMTPSenderRefused, Reply(553, ("no",)), "c@d.example")
    assert (sender.sender, str(sender)) == ("c@d.example", "553 no (sender c@d.example)")
    assert sender.enhanced_status is None


def test_what_is_wrong_with_arguments_is_a_value_error() -> None:
    assert issubclass(smtp.SMTPArgumentError, ValueError)
    assert issubclass(smtp.SMTPArgumentError, wirekit.LocalProtocolError)
    assert issubclass(smtp.SMTPNotSupported, wirekit.LocalProtocolError)
    assert not issubclass(smtp.Uncertain, ConnectionError | TimeoutError)
    assert smtp.SMTPConnectError("x", errno=1).errno == 1
