"""What is due from the server: the answer to each message sent, or to a part of it."""

from __future__ import annotations

from ._backend import BindComplete, CloseComplete, EmptyQueryResponse, NoData, ParseComplete
from ._frontend import (
    Bind,
    Close,
    CopyDone,
    Execute,
    FunctionCall,
    Parse,
    Query,
    Sync,
)

__all__ = [
    "ANSWERED_BY",
    "BARE",
    "BOUND",
    "COPY_BOTH",
    "COPY_IN",
    "COPY_OUT",
    "DESCRIBE_PORTAL",
    "DESCRIBE_STATEMENT",
    "DUE",
    "ENCRYPTION",
    "EXECUTE",
    "FUNCTION_CALL",
    "GSS_ENCRYPTION",
    "NAMES",
    "NOTHING",
    "QUERY",
    "STARTUP",
    "SYNC",
]

# Numbers, because they are compared with every message that comes.
NOTHING = 0
_PARSE = 1
_BIND = 2
DESCRIBE_STATEMENT = 3
DESCRIBE_PORTAL = 4
EXECUTE = 5
BOUND = 6  # pairs of Bind and Execute
_CLOSE = 7
SYNC = 8
QUERY = 9
FUNCTION_CALL = 10
STARTUP = 11
ENCRYPTION = 12
GSS_ENCRYPTION = 13

NAMES = {
    NOTHING: "nothing",
    _PARSE: "ParseComplete",
    _BIND: "BindComplete",
    DESCRIBE_STATEMENT: "ParameterDescription",
    DESCRIBE_PORTAL: "RowDescription or NoData",
    EXECUTE: "the result of Execute",
    BOUND: "the result of Bind and Execute",
    _CLOSE: "CloseComplete",
    SYNC: "ReadyForQuery",
    QUERY: "the result of Query",
    FUNCTION_CALL: "FunctionCallResponse",
    STARTUP: "the answer to StartupMessage",
    ENCRYPTION: "the answer to SSLRequest",
    GSS_ENCRYPTION: "the answer to GSSENCRequest",
}

# Directions in which CopyData may go, as bits; the third one stays until the command ends.
COPY_IN = 1
COPY_OUT = 2
COPY_BOTH = 4

# By the type of the message sent; that of Describe depends on what it describes.
DUE: dict[type[object], int] = {
    Parse: _PARSE,
    Bind: _BIND,
    Execute: EXECUTE,
    Close: _CLOSE,
    Sync: SYNC,
    Query: QUERY,
    FunctionCall: FUNCTION_CALL,
}

# By the type byte of the message that is the whole answer.
ANSWERED_BY = {
    ord("1"): _PARSE,
    ord("2"): _BIND,
    ord("3"): _CLOSE,
    ord("n"): DESCRIBE_PORTAL,
}

# Messages without a body, by their type bytes; PortalSuspended, which brings rows, is made anew.
BARE = {
    ord("1"): ("ParseComplete", ParseComplete()),
    ord("2"): ("BindComplete", BindComplete()),
    ord("3"): ("CloseComplete", CloseComplete()),
    ord("n"): ("NoData", NoData()),
    ord("I"): ("EmptyQueryResponse", EmptyQueryResponse()),
    ord("s"): ("PortalSuspended", None),
    ord("c"): ("CopyDone", CopyDone()),
}
