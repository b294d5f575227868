# cython: annotation_typing=False
"""What is sent to the server, and which answers are due for it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError

from ._due import (
    BOUND,
    COPY_IN,
    DESCRIBE_PORTAL,
    DESCRIBE_STATEMENT,
    DUE,
    ENCRYPTION,
    EXECUTE,
    FUNCTION_CALL,
    GSS_ENCRYPTION,
    NOTHING,
    QUERY,
    STARTUP,
    SYNC,
)
from ._frontend import (
    CancelRequest,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Flush,
    GSSENCRequest,
    GSSResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    SSLRequest,
    StartupMessage,
    Terminate,
)
from ._query import ExtendedQuery
from ._rows import RowSink

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._copy import CopySink
    from ._frontend import Message

__all__ = ["Requests", "State"]

_ALONE = 16384


class State(Enum):
    """What a `Codec` is ready for; ``ERROR`` is for good."""

    START = "start"
    ENCRYPTION = "encryption"  # SSLRequest or GSSENCRequest is not answered yet
    STARTUP = "startup"  # until the first ReadyForQuery
    OPEN = "open"
    TERMINATED = "terminated"  # Terminate or CancelRequest is sent
    CLOSED = "closed"
    ERROR = "error"


_START = State.START
_WAITS_FOR_ENCRYPTION = State.ENCRYPTION
_STARTING = State.STARTUP
_OPEN = State.OPEN
_TERMINATED = State.TERMINATED

_END_WITH_READY = frozenset({SYNC, QUERY, FUNCTION_CALL, STARTUP})
_ANSWERS = (
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    GSSResponse,
)


class Requests:
    """The sending half of `Codec`."""

    __slots__ = (
        "_bound",
        "_challenged",
        "_copied",
        "_copy",
        "_copy_sink",
        "_discarding",
        "_due",
        "_error",
        "_first",
        "_head",
        "_remaining",
        "_sink",
        "_sinks",
        "_state",
    )

    def __init__(self) -> None:
        self._state = _START
        self._challenged = False  # an authentication request waits for our answer
        self._forget()

    def _forget(self) -> None:
        """Have nothing due."""
        self._due: list[int] = []  # what is due, in order, from _first on
        self._sinks: list[Any] = []  # for each: where its rows go; with the count of a BOUND
        self._first = 0
        self._head = NOTHING  # the first of _due
        self._sink: RowSink | None = None  # and its
        self._remaining: int = 0  # pairs of a BOUND whose end is still to come
        self._bound = False  # it is bound; or a QUERY's rows are described
        self._error: Exception | None = None  # what a decoder raised in the head's rows
        self._copy = 0  # the directions of the COPY under way
        self._copy_sink: CopySink | None = None  # where its data goes, None makes events
        self._copied = False  # it got some, and there is no event yet that says so
        self._discarding = False  # the server skips what is sent, up to Sync

    @property
    def state(self) -> State:
        """What the codec is ready for; the names of `State` say it."""
        return self._state

    @property
    def copying(self) -> bool:
        """Whether CopyData, CopyDone and CopyFail, and nothing else, may be sent."""
        return self._copy & COPY_IN != 0

    @property
    def lacks_sync(self) -> bool:
        """Whether what was sent leads to no ReadyForQuery without another Sync."""
        if not self._due:
            return self._discarding
        return self._due[len(self._due) - 1] not in _END_WITH_READY

    def send(self, *messages: Message | ExtendedQuery) -> bytes:
        """Return messages as they go on the wire.

        Raises:
            LocalProtocolError: one of them cannot be sent, or not in this state; then none is.
        """
        return b"".join(self._pack(messages))

    def send_buffers(self, *messages: Message | ExtendedQuery) -> list[Buffer]:
        """Return the same as `send` in pieces; data of 16 KiB and more stands alone, uncopied.

        Raises:
            LocalProtocolError: one of them cannot be sent, or not in this state; then none is.
        """
        pieces = self._pack(messages)
        buffers: list[Buffer] = []
        small: list[Buffer] = []
        for piece in pieces:
            if len(piece) < _ALONE:
                small.append(piece)
                continue
            if small:
                buffers.append(b"".join(small))
                small = []
            buffers.append(piece)
        if small:
            buffers.append(b"".join(small))
        return buffers

    def _pack(self, messages: tuple[Message | ExtendedQuery, ...]) -> list[Buffer]:
        pieces: list[Buffer] = []
        state = self._state
        copy = self._copy
        challenged = self._challenged
        discarding = self._discarding
        count = len(self._due)
        try:
            for message in messages:
                if type(message) is ExtendedQuery:
                    query = message
                    self._expect_query(query)
                    pieces.append(query.data)
                else:
                    self._pack_message(message, pieces)
        except BaseException:
            # None is sent, so nothing has changed.
            self._state = state
            self._copy = copy
            self._challenged = challenged
            self._discarding = discarding
            del self._due[count:]
            del self._sinks[count:]
            raise
        if self._head == NOTHING and self._due:
            self._load_head()
        return pieces

    def _expect_query(self, query: ExtendedQuery) -> None:
        if self._state is not _OPEN or self._copy & COPY_IN:
            raise self._refuse_output(query)
        if query.count == 0:
            raise LocalProtocolError("an ExtendedQuery without Bind and Execute")
        if not self._discarding:
            self._due.append(BOUND)
            self._sinks.append(query.sink if query.count == 1 else (query.count, query.sink))
        if query.sync:
            self._discarding = False
            self._due.append(SYNC)
            self._sinks.append(None)

    def _pack_message(self, message: Any, pieces: list[Buffer]) -> None:
        kind: type[Message] = message.__class__
        state = self._state
        if state is _OPEN and self._copy & COPY_IN and kind is not Terminate:
            if kind is CopyData:
                pieces.append(message.header())
                pieces.append(message.data)
                return
            if kind is not CopyDone and kind is not CopyFail:
                raise self._refuse_output(message)
            self._copy &= ~COPY_IN
        elif (state is _OPEN or state is _STARTING) and kind is Terminate:
            self._state = _TERMINATED
        elif state is _OPEN:
            self._pack_open(message, kind)
        elif state is _START:
            self._pack_opening(message, kind)
        elif state is _STARTING and kind in _ANSWERS and self._challenged:
            self._challenged = False
        else:
            raise self._refuse_output(message)
        pieces.append(message.encode())

    def _pack_open(self, message: Any, kind: type[Message]) -> None:
        due = DUE.get(kind, NOTHING)
        if kind is Describe:
            due = DESCRIBE_STATEMENT if message.kind == "S" else DESCRIBE_PORTAL
        if due == NOTHING:
            if kind is not Flush:
                raise self._refuse_output(message)
            return
        if due == SYNC:
            self._discarding = False
        sink = message.reader if due in (EXECUTE, QUERY) else None
        if sink is not None and not isinstance(sink, RowSink):
            raise LocalProtocolError(f"a reader is a RowSink, not {type(sink).__name__}")
        if not self._discarding:
            self._due.append(due)
            self._sinks.append(sink)

    def _pack_opening(self, message: Any, kind: type[Message]) -> None:
        if kind is CancelRequest:
            self._state = _TERMINATED
            return
        if kind is StartupMessage:
            self._state = _STARTING
            self._due.append(STARTUP)
        elif kind is SSLRequest or kind is GSSENCRequest:
            self._state = _WAITS_FOR_ENCRYPTION
            self._due.append(ENCRYPTION if kind is SSLRequest else GSS_ENCRYPTION)
        else:
            raise self._refuse_output(message)
        self._sinks.append(None)

    def _refuse_output(self, message: object) -> LocalProtocolError:
        name = type(message).__name__
        if self._copy & COPY_IN:
            return LocalProtocolError(f"{name} cannot be sent inside a COPY to the server")
        return LocalProtocolError(f"{name} cannot be sent in state {self._state.name}")

    # What is due

    def _advance(self) -> None:
        """Go on to what is due next."""
        self._first += 1
        self._error = None
        self._bound = False
        if self._first == len(self._due):
            self._due.clear()
            self._sinks.clear()
            self._first = 0
            self._head = NOTHING
            self._sink = None
            return
        if self._first >= 1024:
            del self._due[: self._first]
            del self._sinks[: self._first]
            self._first = 0
        self._load_head()

    def _load_head(self) -> None:
        self._head = self._due[self._first]
        sink = self._sinks[self._first]
        if type(sink) is tuple:
            self._remaining, self._sink = sink
        else:
            self._remaining, self._sink = 1, sink
