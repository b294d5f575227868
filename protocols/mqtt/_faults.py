"""What can be wrong with what a peer sends: a `Violation` with the statement that it breaks.

Rules are written once, for both directions: whoever finds one broken raises a `Violation`, and
``send`` turns it into `wirekit.LocalProtocolError`.
"""

from __future__ import annotations

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError

from ._reason_codes import ReasonCode

__all__ = [
    "PacketTooLarge",
    "Violation",
    "as_local",
    "malformed",
    "protocol_error",
]

# Where 3.1.1 numbers the same statement otherwise. What is in neither list has the same number, or
# none.
_NUMBERS_OF_3_1_1 = {
    "MQTT-1.5.4-1": "MQTT-1.5.3-1",
    "MQTT-1.5.4-2": "MQTT-1.5.3-2",
    "MQTT-2.1.3-1": "MQTT-2.2.2-1",
    "MQTT-2.2.1-2": "MQTT-2.3.1-5",
    "MQTT-2.2.1-3": "MQTT-2.3.1-1",
    "MQTT-2.2.1-4": "MQTT-2.3.1-1",
    "MQTT-2.2.1-5": "MQTT-2.3.1-6",
    "MQTT-2.2.1-6": "MQTT-2.3.1-7",
    "MQTT-3.1.2-11": "MQTT-3.1.2-13",
    "MQTT-3.1.2-12": "MQTT-3.1.2-14",
    "MQTT-3.1.2-13": "MQTT-3.1.2-15",
    "MQTT-3.1.3-11": "MQTT-3.1.3-10",
    "MQTT-3.1.3-12": "MQTT-3.1.3-11",
    "MQTT-3.2.2-2": "MQTT-3.2.2-1",
    "MQTT-3.2.2-6": "MQTT-3.2.2-4",
    "MQTT-3.2.2-7": "MQTT-3.2.2-5",
    "MQTT-3.8.3-2": "MQTT-3.8.3-3",
    "MQTT-3.8.3-5": "MQTT-3.8.3-4",
    "MQTT-4.7.0-1": "MQTT-4.7.1-1",
    "MQTT-4.7.1-1": "MQTT-4.7.1-2",
    "MQTT-4.7.1-2": "MQTT-4.7.1-3",
}
_SAME_IN_3_1_1 = frozenset(
    """
    MQTT-3.1.0-1 MQTT-3.1.0-2 MQTT-3.1.2-1 MQTT-3.1.2-2 MQTT-3.1.2-3 MQTT-3.1.2-22 MQTT-3.1.3-8
    MQTT-3.2.0-1 MQTT-3.3.1-2 MQTT-3.3.1-4 MQTT-3.3.2-1 MQTT-3.3.2-2 MQTT-3.6.1-1 MQTT-3.8.1-1
    MQTT-3.9.3-2 MQTT-3.10.1-1 MQTT-3.10.3-2 MQTT-3.14.1-1 MQTT-3.14.4-1 MQTT-4.7.3-1 MQTT-4.7.3-3
    """.split()
)


class Violation(RemoteProtocolError):
    """The peer broke a rule of the standard.

    Attributes:
        reason_code: the one to disconnect with, or to refuse a CONNECT with.
        statement: the number of the normative statement, as "MQTT-3.3.1-4"; or "" where the
            standard gives none. It is 3.1.1's number on a connection of 3.1.1.
    """

    def __init__(
        self,
        text: str,
        reason_code: ReasonCode = ReasonCode.MALFORMED_PACKET,
        statement: str = "",
        *,
        events: list[object] | None = None,
    ) -> None:
        super().__init__(f"{text} [{statement}]" if statement else text, events=events)
        self.text = text
        self.reason_code = reason_code
        self.statement = statement

    def place(self, offset: int, version: int) -> None:
        """Add the place in the stream, and take the version's own number of the statement."""
        self.text = f"{self.text} at offset {offset}"
        self.statement = _number(self.statement, version)
        self.args = (f"{self.text} [{self.statement}]" if self.statement else self.text,)

    def again(self) -> Violation:
        """Return the same anew, without what others have hung on it."""
        return type(self)(self.text, self.reason_code, self.statement)


class PacketTooLarge(Violation, MessageTooLarge):
    """The peer announced a packet of more than the Maximum Packet Size that we accept."""


def malformed(text: str, statement: str = "") -> Violation:
    """Return the error for what cannot be read (Malformed Packet)."""
    return Violation(text, ReasonCode.MALFORMED_PACKET, statement)


def protocol_error(text: str, statement: str = "") -> Violation:
    """Return the error for what can be read and is not allowed (Protocol Error)."""
    return Violation(text, ReasonCode.PROTOCOL_ERROR, statement)


def as_local(violation: Violation, version: int) -> LocalProtocolError:
    """Return the error for what we were asked to send."""
    statement = _number(violation.statement, version)
    return LocalProtocolError(f"{violation.text} [{statement}]" if statement else violation.text)


def _number(statement: str, version: int) -> str:
    """Return the number of a statement of 5.0 in that version's standard."""
    if version != 4:
        return statement
    return statement if statement in _SAME_IN_3_1_1 else _NUMBERS_OF_3_1_1.get(statement, "")
