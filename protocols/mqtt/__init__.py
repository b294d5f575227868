"""MQTT 5.0 and 3.1.1: bytes in, packets out, and back, for a client and for a server; no I/O.

Source: https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html, cited by its sections, and
https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html, cited as 3.1.1.
"""

from __future__ import annotations

from . import _control_packets, codec
from ._control_packets import *  # noqa: F403
from ._faults import PacketTooLarge as PacketTooLarge
from ._faults import Violation as Violation
from ._packets import Acknowledgement as Acknowledgement
from ._packets import PubAck as PubAck
from ._packets import PubComp as PubComp
from ._packets import Publish as Publish
from ._packets import PubRec as PubRec
from ._packets import PubRel as PubRel
from ._properties import Properties as Properties
from ._reason_codes import ConnectReturnCode as ConnectReturnCode
from ._reason_codes import ReasonCode as ReasonCode
from ._reason_codes import Role as Role
from ._sender import State as State
from ._topics import Topic as Topic
from ._topics import check_topic_filter as check_topic_filter
from ._topics import check_topic_name as check_topic_name
from ._topics import topic_matches as topic_matches
from .codec import *  # noqa: F403

__all__ = [
    "Acknowledgement",
    "ConnectReturnCode",
    "PacketTooLarge",
    "Properties",
    "PubAck",
    "PubComp",
    "PubRec",
    "PubRel",
    "Publish",
    "ReasonCode",
    "Role",
    "State",
    "Topic",
    "Violation",
    "check_topic_filter",
    "check_topic_name",
    "topic_matches",
]
__all__ += _control_packets.__all__
__all__ += codec.__all__
