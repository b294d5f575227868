"""Streaming replication: what stands in CopyData, LSNs, and the messages of pgoutput.

Not in the package's face, because some of pgoutput's messages have names of the protocol's own.

Sources: https://www.postgresql.org/docs/current/protocol-replication.html and
https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

from . import _pgoutput, _pgoutput_messages, _replication
from ._pgoutput import *  # noqa: F403
from ._pgoutput_messages import *  # noqa: F403
from ._replication import *  # noqa: F403

__all__: list[str] = []
__all__ += _pgoutput.__all__
__all__ += _pgoutput_messages.__all__
__all__ += _replication.__all__
