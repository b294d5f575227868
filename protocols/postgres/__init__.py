"""PostgreSQL's frontend/backend protocol 3.0 and 3.2: bytes in, events and rows out, no I/O.

Source: https://www.postgresql.org/docs/current/protocol.html
"""

from __future__ import annotations

from . import _backend, _codecs, _frontend, _query, _rows, codec
from ._backend import *  # noqa: F403
from ._codecs import *  # noqa: F403
from ._frontend import *  # noqa: F403
from ._query import *  # noqa: F403
from ._record import Record as Record
from ._record import RecordKeys as RecordKeys
from ._rows import *  # noqa: F403
from ._type_map import TypeInfo as TypeInfo
from ._type_map import TypeMap as TypeMap
from .codec import *  # noqa: F403

__all__ = ["Record", "RecordKeys", "TypeInfo", "TypeMap"]
__all__ += _backend.__all__
__all__ += _codecs.__all__
__all__ += _frontend.__all__
__all__ += _query.__all__
__all__ += _rows.__all__
__all__ += codec.__all__
