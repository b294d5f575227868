"""PostgreSQL's frontend/backend protocol 3.0 and 3.2: bytes in, events and rows out, no I/O.

Source: https://www.postgresql.org/docs/current/protocol.html
"""

from __future__ import annotations

from . import _backend, _codecs, _columns, _copy, _frontend, _query, _rows, codec
from ._backend import *  # noqa: F403
from ._builtin_types import TypeInfo as TypeInfo
from ._codecs import *  # noqa: F403
from ._columns import *  # noqa: F403
from ._copy import *  # noqa: F403
from ._faults import OutdatedType as OutdatedType
from ._frontend import *  # noqa: F403
from ._query import *  # noqa: F403
from ._record import Record as Record
from ._record import RecordKeys as RecordKeys
from ._requests import State as State
from ._rows import *  # noqa: F403
from ._scalars import PlainTextCodec as PlainTextCodec
from ._type_map import TypeMap as TypeMap
from ._type_map import builtin_type as builtin_type
from .codec import *  # noqa: F403

__all__ = [
    "OutdatedType",
    "PlainTextCodec",
    "Record",
    "RecordKeys",
    "State",
    "TypeInfo",
    "TypeMap",
    "builtin_type",
]
__all__ += _backend.__all__
__all__ += _codecs.__all__
__all__ += _columns.__all__
__all__ += _copy.__all__
__all__ += _frontend.__all__
__all__ += _query.__all__
__all__ += _rows.__all__
__all__ += codec.__all__
