from __future__ import annotations

from wirekit.adapters.smtp import SendResult, SMTPResponse
from wirekit.protocols.smtp import Reply


def test_a_response_unpacks_as_aiosmtplibs() -> None:
    response = SMTPResponse.of(Reply(250, ("2.1.5 ok", "2.1.5 then")))
    code, message = response
    assert (code, message) == response == (250, "2.1.5 ok\n2.1.5 then")
    assert response.text == "ok\nthen"
    assert str(response.enhanced_status) == "2.1.5"
    assert str(response) == "250 2.1.5 ok\n2.1.5 then"
    assert SMTPResponse(250, "fine").enhanced_status is None


def test_a_result_unpacks_as_aiosmtplibs() -> None:
    good, bad = SMTPResponse(250, "ok"), SMTPResponse(450, "later")
    result = SendResult.of({"a": good, "b": bad}, SMTPResponse(250, "queued"))
    errors, message = result
    assert (errors, message) == tuple(result) == ({"b": (450, "later")}, "queued")
    assert result.recipients == {"a": good, "b": bad}
    assert result.response.code == 250
