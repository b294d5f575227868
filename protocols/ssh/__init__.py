"""SSH's transport layer: identification, key exchange and packets, for both ends; no I/O.

Sources: RFC 4251 and RFC 4253, cited by their sections; RFC 5656, 8308, 8332, 8709 and 8731;
OpenSSH's PROTOCOL and PROTOCOL.certkeys; and the drafts draft-ietf-sshm-chacha20-poly1305 and
draft-ietf-sshm-mlkem-hybrid-kex. Needs ``wirekit[ssh]``, for `cryptography`.
"""

from __future__ import annotations

from . import _channels, _messages, _primitives, codec
from ._algorithms import Algorithms as Algorithms
from ._certificates import Certificate as Certificate
from ._certificates import check_host_certificate as check_host_certificate
from ._channels import *  # noqa: F403
from ._events import Event as Event
from ._events import Identified as Identified
from ._events import KeyExchanged as KeyExchanged
from ._faults import DisconnectReason as DisconnectReason
from ._faults import PacketTooLarge as PacketTooLarge
from ._faults import SSHProtocolError as SSHProtocolError
from ._host_keys import HostKey as HostKey
from ._host_keys import PrivateHostKey as PrivateHostKey
from ._identification import Identification as Identification
from ._identification import Role as Role
from ._messages import *  # noqa: F403
from ._negotiation import NegotiatedAlgorithms as NegotiatedAlgorithms
from ._primitives import *  # noqa: F403
from ._sender import State as State
from .codec import *  # noqa: F403

__all__ = [
    "Algorithms",
    "Certificate",
    "DisconnectReason",
    "Event",
    "HostKey",
    "Identification",
    "Identified",
    "KeyExchanged",
    "NegotiatedAlgorithms",
    "PacketTooLarge",
    "PrivateHostKey",
    "Role",
    "SSHProtocolError",
    "State",
    "check_host_certificate",
]
__all__ += _channels.__all__
__all__ += _messages.__all__
__all__ += _primitives.__all__
__all__ += codec.__all__
