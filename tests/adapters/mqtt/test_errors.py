from __future__ import annotations

import wirekit
from wirekit.adapters.mqtt import MqttCodeError, MqttError, SessionLost
from wirekit.adapters.mqtt._errors import connection_error
from wirekit.protocols.mqtt import ConnectReturnCode, ReasonCode, Violation


def test_a_code_error_has_what_the_server_said() -> None:
    error = MqttCodeError(
        "the broker refused the message",
        ReasonCode.QUOTA_EXCEEDED,
        {"reason_string": "too many", "server_reference": "other:1883"},
    )
    assert str(error) == "the broker refused the message: quota exceeded (0x97), 'too many'"
    assert error.rc is error.reason_code is ReasonCode.QUOTA_EXCEEDED
    assert error.reason_string == "too many"
    assert error.server_reference == "other:1883"
    assert isinstance(error, MqttError)
    assert isinstance(error, wirekit.ServerError)


def test_a_code_error_of_3_1_1() -> None:
    error = MqttCodeError("refused", ConnectReturnCode.NOT_AUTHORIZED)
    assert str(error) == "refused: not authorized (0x05)"
    assert error.reason_string is error.server_reference is None


def test_wirekits_errors_become_mqtt_errors_as_well() -> None:
    cause = OSError("reset")
    lost = wirekit.ConnectionLost("gone")
    lost.__cause__ = cause
    error = connection_error(lost, sent=True)
    assert isinstance(error, wirekit.ConnectionLost)
    assert isinstance(error, MqttError)
    assert isinstance(error, ConnectionError)
    assert type(error).__name__ == "ConnectionLost"
    assert str(error) == "gone"
    assert error.__cause__ is cause
    assert vars(error)["sent"] is True
    assert type(connection_error(wirekit.ConnectionLost("again"))) is type(error)


def test_every_waiter_gets_a_copy_of_its_own() -> None:
    error = MqttCodeError("ended", ReasonCode.SERVER_BUSY, {"reason_string": "later"})
    copies = [connection_error(error) for _ in range(2)]
    assert copies[0] is not copies[1]
    assert all(type(copy) is MqttCodeError for copy in copies)
    assert vars(copies[0]) == vars(error)
    assert copies[0].args == error.args


def test_errors_with_constructors_of_their_own() -> None:
    violation = connection_error(Violation("bad", ReasonCode.PROTOCOL_ERROR, "MQTT-3.3.1-4"))
    assert isinstance(violation, Violation)
    assert violation.statement == "MQTT-3.3.1-4"
    refused = wirekit.ConnectRefused("refused", errno=111)
    copy = connection_error(refused)
    assert isinstance(copy, wirekit.ConnectRefused)
    assert copy.errno == 111
    assert copy.cause == "refused"


def test_what_is_no_error_of_wirekit_becomes_one() -> None:
    failure = ValueError("a bug")
    error = connection_error(failure)
    assert isinstance(error, wirekit.ConnectionLost)
    assert isinstance(error, MqttError)
    assert error.__cause__ is failure


def test_what_is_an_mqtt_error_stays_of_its_class() -> None:
    assert type(connection_error(SessionLost("lost"))) is SessionLost
