"""What CONNECT and CONNACK settle: who may send what, and when.

The rules hold for both directions; who finds one broken raises a `Violation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ._control_packets import Auth, ConnAck, Connect, Disconnect, SubAck, Subscribe, UnsubAck
from ._faults import Violation, malformed, protocol_error
from ._limits import Limits
from ._reason_codes import AUTH_CODES, DISCONNECT_CODES, ReasonCode
from ._topics import is_shared

if TYPE_CHECKING:
    from ._reason_codes import Role

__all__ = ["CHANGING", "NAMES", "Agreement", "other"]

# By the Control Packet type (§2.1.2).
NAMES = (
    *("", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE"),
    *("SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"),
)


def _kinds(*names: str) -> int:
    return sum(1 << NAMES.index(name) for name in names)


# Sets of kinds of packets, with a bit for each: the direction of flow in §2.1.2.
_BOTH = _kinds("PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP")
_OF: dict[Role, int] = {
    "client": _BOTH | _kinds("SUBSCRIBE", "UNSUBSCRIBE", "PINGREQ", "DISCONNECT"),
    "server": _BOTH | _kinds("SUBACK", "UNSUBACK", "PINGRESP"),
}
_CONNECT = _kinds("CONNECT")
_CONNACK = _kinds("CONNACK")
_DISCONNECT = _kinds("DISCONNECT")
_AUTH = _kinds("AUTH")


# The packets after which something is different.
CHANGING = frozenset((Connect, ConnAck, Disconnect, Auth))


def other(role: Role) -> Role:
    """Return the other end's role."""
    return "server" if role == "client" else "client"


@dataclass(slots=True)
class Agreement:
    """How the two ends stand to each other.

    Args:
        version: 5, 4, or None until CONNECT tells.

    Attributes:
        may_send: the kinds of packets that each end may send now, with a bit for each.
        accepts: what each end told of what it accepts.
        connected: CONNACK was sent, and said so.
    """

    version: int | None
    may_send: dict[Role, int] = field(default_factory=lambda: {"client": _CONNECT, "server": 0})
    accepts: dict[Role, Limits] = field(
        default_factory=lambda: {"client": Limits({}), "server": Limits({})}
    )
    connected: bool = False
    ended_by: str = ""  # DISCONNECT or CONNACK
    _begun: bool = False  # there was a CONNECT
    _clean_start: bool = False
    _needs_identifier: bool = False
    _session_expires: bool = False  # at once, when the connection ends
    _method: str | None = None  # the Authentication Method
    _authenticating: bool = False
    _explains: bool = True  # Request Problem Information
    _responds: bool = False  # Request Response Information

    def copy(self) -> Agreement:
        """Return one that does not change with this one."""
        return replace(self, may_send=dict(self.may_send), accepts=dict(self.accepts))

    # Who may send what

    def out_of_place(self, kind: int, sender: Role) -> Violation:
        """Return the fault of a packet that ``may_send`` does not have."""
        if kind == 0 or (kind == 15 and self.version == 4):
            return malformed(f"a packet of the reserved type {kind}")
        name = NAMES[kind]
        bit = 1 << kind
        if not self._begun:
            statement = "MQTT-3.1.0-1" if sender == "client" else ""
            return protocol_error(f"{name} before CONNECT", statement)
        if self.ended_by == "CONNACK":
            return protocol_error(f"{name} after the connection was refused", "MQTT-3.2.2-7")
        if sender == "client" and bit == _CONNECT:
            return protocol_error("a second CONNECT", "MQTT-3.1.0-2")
        if bit == _AUTH and self._method is None:
            statement = "MQTT-4.12.0-7" if sender == "client" else "MQTT-4.12.0-6"
            return protocol_error("AUTH without an authentication method", statement)
        if bit == _CONNACK and sender == "server" and self.connected:
            return protocol_error("a second CONNACK", "MQTT-3.2.0-2")
        allowed = _OF[sender] | _AUTH | (_DISCONNECT if self.version == 5 else 0)
        if not allowed & bit:
            return protocol_error(f"{name} from a {sender}")
        if self.connected:
            return protocol_error(f"{name} after DISCONNECT", "MQTT-3.14.4-1")
        if sender == "client":
            statement = "" if self._method is None else "MQTT-3.1.2-30"
            return protocol_error(f"{name} before CONNACK", statement)
        if bit == _DISCONNECT:
            return protocol_error("DISCONNECT before CONNACK", "MQTT-3.14.0-1")
        return protocol_error(f"{name} before CONNACK", "MQTT-3.2.0-1")

    # What may stand in it

    def check(self, packet: Any, sender: Role) -> None:
        """Check a packet against what the two ends agreed on.

        Raises:
            Violation: it breaks a rule.
        """
        if isinstance(packet, Connect):
            self._check_connect(packet)
        elif isinstance(packet, ConnAck):
            self._check_connack(packet)
        elif isinstance(packet, Subscribe):
            self._check_subscribe(packet)
        elif isinstance(packet, Disconnect):
            self._check_disconnect(packet, sender)
        elif isinstance(packet, Auth):
            self._check_auth(packet, sender)
        if isinstance(packet, (SubAck, UnsubAck, Auth)):
            self.check_explanation(packet.properties, sender)

    def check_explanation(self, properties: Any, sender: Role) -> None:
        """Check that a packet explains itself only if that is wanted (§3.1.2.11.7)."""
        if self._explains or sender == "client":
            return
        if "reason_string" in properties or "user_property" in properties:
            raise protocol_error("an explanation that is not wanted", "MQTT-3.1.2-29")

    def _check_connect(self, packet: Connect) -> None:
        if self.version not in (None, packet.version):
            raise Violation(
                f"protocol version {packet.version}",
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
                "MQTT-3.1.2-2",
            )
        if packet.version == 4:
            if packet.password is not None and packet.username is None:
                raise malformed("a password without a user name", "MQTT-3.1.2-22")
            if not packet.client_id and not packet.clean_start:
                raise Violation(
                    "a session that is kept without a client identifier",
                    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
                    "MQTT-3.1.3-8",
                )
        _check_method(packet.properties)

    def _check_connack(self, packet: ConnAck) -> None:
        if packet.session_present:
            if packet.reason_code:
                raise protocol_error("a session present that is refused", "MQTT-3.2.2-6")
            if self._clean_start:
                raise protocol_error("a session present after a clean start", "MQTT-3.2.2-2")
        if self.version == 4:
            return
        properties = packet.properties
        _check_method(properties)
        if "response_information" in properties and not self._responds:
            raise protocol_error("response information that is not wanted", "MQTT-3.1.2-28")
        method = properties.get("authentication_method")
        if self._method is None and method is not None:
            raise protocol_error("an authentication method that is not wanted", "MQTT-4.12.0-6")
        if packet.reason_code:
            return
        if method != self._method:
            raise protocol_error("another authentication method", "MQTT-4.12.0-5")
        if self._needs_identifier and not properties.get("assigned_client_identifier"):
            raise protocol_error("no assigned client identifier", "MQTT-3.2.2-16")

    def _check_subscribe(self, packet: Subscribe) -> None:
        accepts = self.accepts["server"]
        if "subscription_identifier" in packet.properties and (
            not accepts.subscription_identifier_available
        ):
            raise Violation(
                "a subscription identifier where there are none",
                ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
            )
        for subscription in packet.subscriptions:
            topic_filter = subscription.topic_filter
            # 3.1.1 knows no shared subscriptions: there it is a filter as any other.
            if is_shared(topic_filter) and self.version == 5:
                if subscription.no_local:
                    raise protocol_error("No Local of a shared subscription", "MQTT-3.8.3-4")
                if not accepts.shared_subscription_available:
                    raise Violation(
                        "a shared subscription where there are none",
                        ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
                    )
            if not accepts.wildcard_subscription_available and (
                "+" in topic_filter or "#" in topic_filter
            ):
                raise Violation(
                    "a wildcard subscription where there are none",
                    ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
                )

    def _check_disconnect(self, packet: Disconnect, sender: Role) -> None:
        code = packet.reason_code
        if code not in DISCONNECT_CODES[sender]:
            text = f"a DISCONNECT of a {sender} with reason code 0x{code:02x}"
            raise protocol_error(text, "MQTT-3.14.2-1")
        expiry = packet.properties.get("session_expiry_interval")
        if expiry is None:
            return
        if sender == "server":
            raise protocol_error("a server's Session Expiry Interval", "MQTT-3.14.2-2")
        if expiry and self._session_expires:
            raise protocol_error("a Session Expiry Interval that CONNECT had as 0")

    def _check_auth(self, packet: Auth, sender: Role) -> None:
        code = packet.reason_code
        if code not in AUTH_CODES[sender]:
            text = f"an AUTH of a {sender} with reason code 0x{code:02x}"
            raise protocol_error(text, "MQTT-3.15.2-1")
        if packet.properties.get("authentication_method") != self._method:
            statement = "MQTT-4.12.1-1" if self.connected else "MQTT-4.12.0-5"
            raise protocol_error("an AUTH of another authentication method", statement)
        if sender == "client":
            if (code == ReasonCode.RE_AUTHENTICATE) != (
                self.connected and not self._authenticating
            ):
                raise protocol_error("an AUTH that nothing asked for", "MQTT-4.12.0-3")
        elif not self._authenticating:
            raise protocol_error("an AUTH that nothing asked for")
        elif code == ReasonCode.SUCCESS and not self.connected:
            raise protocol_error("an AUTH in place of CONNACK", "MQTT-4.12.0-2")

    # What it changes

    def take(self, packet: Any, sender: Role) -> None:
        """Go on after a packet that was sent or received."""
        if isinstance(packet, Connect):
            self._take_connect(packet)
        elif isinstance(packet, ConnAck):
            self._take_connack(packet)
        elif isinstance(packet, Disconnect):
            self.may_send[sender] = 0
            self.ended_by = "DISCONNECT"
        elif isinstance(packet, Auth):
            self._authenticating = packet.reason_code != ReasonCode.SUCCESS

    def _take_connect(self, packet: Connect) -> None:
        properties = packet.properties
        self.version = packet.version
        self._begun = True
        self._clean_start = packet.clean_start
        self._needs_identifier = not packet.client_id
        self._session_expires = properties.get("session_expiry_interval", 0) == 0
        self._method = properties.get("authentication_method")
        self._authenticating = self._method is not None
        self._explains = properties.get("request_problem_information", 1) == 1
        self._responds = properties.get("request_response_information", 0) == 1
        self.accepts["client"] = Limits(properties)
        if self._method is None:
            # It need not wait for CONNACK (§3.1.4).
            self.may_send["client"] = _OF["client"]
            self.may_send["server"] = _CONNACK
        else:
            self.may_send["client"] = _AUTH | _DISCONNECT  # [MQTT-3.1.2-30]
            self.may_send["server"] = _AUTH | _CONNACK

    def _take_connack(self, packet: ConnAck) -> None:
        if packet.reason_code:
            self.may_send = {"client": 0, "server": 0}
            self.ended_by = "CONNACK"
            return
        self.connected = True
        self._authenticating = False
        self.accepts["server"] = Limits(packet.properties)
        authentication = 0 if self._method is None else _AUTH
        if self.may_send["client"]:
            self.may_send["client"] = _OF["client"] | authentication
        self.may_send["server"] = _OF["server"] | authentication
        if self.version == 5:
            self.may_send["server"] |= _DISCONNECT


def _check_method(properties: Any) -> None:
    if "authentication_data" in properties and "authentication_method" not in properties:
        raise protocol_error("authentication data without an authentication method")
