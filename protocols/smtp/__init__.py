"""SMTP, submission and LMTP, the client's side: bytes in, replies out, no I/O.

Source: RFC 5321, and the RFCs of the extensions, each named where it is used.
"""

from __future__ import annotations

from . import _body, _capabilities, _commands, _replies, codec
from ._body import *  # noqa: F403
from ._capabilities import *  # noqa: F403
from ._commands import *  # noqa: F403
from ._replies import *  # noqa: F403
from ._requests import State as State
from .codec import *  # noqa: F403

__all__ = ["State"]
__all__ += _body.__all__
__all__ += _capabilities.__all__
__all__ += _commands.__all__
__all__ += _replies.__all__
__all__ += codec.__all__
