"""MQTT errors: every one is a `wirekit.Error` and an `MqttError`.

MqttError
├─ MqttCodeError    (ServerError) the server refused, with its reason code
├─ SessionLost      the server forgot the session, and with it what it had not acknowledged
├─ MessageExpired   a message's expiry interval passed before it could be sent
├─ StoreError       the session store failed
└─ and each of wirekit's own errors, such as ConnectionLost, as a class that is both

aiomqtt's users catch `MqttError` and look at ``MqttCodeError.rc``.
"""

from __future__ import annotations

from types import new_class
from typing import TYPE_CHECKING, cast

from wirekit._errors import ConnectionLost, Error, ServerError

if TYPE_CHECKING:
    from wirekit.protocols.mqtt import ConnectReturnCode, Properties, ReasonCode

__all__ = [
    "MessageExpired",
    "MqttCodeError",
    "MqttError",
    "SessionLost",
    "StoreError",
    "connection_error",
]


class MqttError(Error):
    """Anything that went wrong with MQTT."""


class MqttCodeError(MqttError, ServerError):
    """The server refused with a reason code; in 3.1.1, CONNECT with a return code.

    Attributes:
        reason_code: the wire's number.
        reason_string: what the server says to it, for people; None in most cases.
        server_reference: the server to use in place of this one, if it named one.
    """

    def __init__(
        self,
        step: str,
        reason_code: ReasonCode | ConnectReturnCode,
        properties: Properties | None = None,
    ) -> None:
        """Make the error for what ``step`` says."""
        found: Properties = {} if properties is None else properties
        self.reason_code = reason_code
        self.reason_string = found.get("reason_string")
        self.server_reference = found.get("server_reference")
        text = f"{step}: {reason_code.name.lower().replace('_', ' ')} (0x{reason_code.value:02X})"
        if self.reason_string is not None:
            text = f"{text}, {self.reason_string!r}"
        super().__init__(text)

    @property
    def rc(self) -> ReasonCode | ConnectReturnCode:
        """Same as ``reason_code``, as aiomqtt names it."""
        return self.reason_code


class SessionLost(MqttError):
    """The server no longer has the session: whether the message arrived is not known."""


class MessageExpired(MqttError):
    """The message expiry interval passed before the message could be sent."""


class StoreError(MqttError):
    """The session store failed."""


def connection_error(error: Exception, *, sent: bool | None = None) -> Error:
    """Return a copy of ``error`` that is an `MqttError` as well, for one of those who wait.

    Its attribute ``sent`` tells whether the packet may have reached the server.
    """
    if not isinstance(error, Error):
        lost = ConnectionLost(str(error))
        lost.__cause__ = error
        error = lost
    kind = _joined(type(error))
    copy = kind.__new__(kind, *error.args)  # without __init__, which may want other arguments
    copy.args = error.args
    copy.__cause__ = error.__cause__
    vars(copy).update(vars(error))
    if isinstance(error, OSError) and isinstance(copy, OSError):
        copy.errno = error.errno
    if sent is not None:
        vars(copy).update(sent=sent)
    return copy


_made: dict[type[Error], type[Error]] = {}


def _joined(ours: type[Error]) -> type[Error]:
    """Return a class that is both, known by wirekit's name."""
    if issubclass(ours, MqttError):
        return ours
    if ours not in _made:
        namespace = {"__doc__": ours.__doc__, "__module__": __name__}
        joined = new_class(
            ours.__name__, (ours, MqttError), None, lambda own: own.update(namespace)
        )
        _made[ours] = cast("type[Error]", joined)
    return _made[ours]
