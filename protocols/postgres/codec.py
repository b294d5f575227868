# cython: annotation_typing=False
"""The codec of one connection to a PostgreSQL server, on the client's side.

It knows which answer is due to each message sent, so whatever the server sends out of turn is a
fault; and it gives each row to the reader of the query that it belongs to.
"""

from __future__ import annotations

import sys
from enum import Enum
from operator import index
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError

from wirekit.protocols import _native

from . import _backend, _frontend
from ._backend import (
    BindComplete,
    CloseComplete,
    CommandComplete,
    CopyProgress,
    EmptyQueryResponse,
    EncryptionResponse,
    NoData,
    ParseComplete,
    PortalSuspended,
    ReadyForQuery,
    TransactionStatus,
)
from ._copy import CopySink
from ._decoding import decode_message
from ._query import ExtendedQuery

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._backend import Event
    from ._frontend import Message
    from ._rows import RowSink

__all__ = ["Codec", "State"]

_MAX_LIMIT = sys.maxsize // 4
_UNTRUSTED = 65536  # bytes of a message before the server has let us in
_CONTROL = 16 * 1024 * 1024  # bytes of a message that holds no user data
_ALONE = 16384

# What is due: the answer to a message sent, or to a part of it.
_NOTHING = 0
_PARSE = 1
_BIND = 2
_DESCRIBE_STATEMENT = 3
_DESCRIBE_PORTAL = 4
_EXECUTE = 5
_BOUND = 6  # pairs of Bind and Execute
_CLOSE = 7
_SYNC = 8
_QUERY = 9
_FUNCTION_CALL = 10
_STARTUP = 11
_ENCRYPTION = 12

_END_WITH_READY = frozenset({_SYNC, _QUERY, _FUNCTION_CALL, _STARTUP})

# Directions in which CopyData may go.
_COPY_NONE = 0
_COPY_IN = 1
_COPY_OUT = 2
_COPY_BOTH = 3


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
_CLOSED = State.CLOSED
_ERROR = State.ERROR

_PARSE_COMPLETE = ParseComplete()
_BIND_COMPLETE = BindComplete()
_CLOSE_COMPLETE = CloseComplete()
_NO_DATA = NoData()
_EMPTY = EmptyQueryResponse()
_COPY_PROGRESS = CopyProgress()
_READY = {
    ord("I"): ReadyForQuery(TransactionStatus.IDLE),
    ord("T"): ReadyForQuery(TransactionStatus.IN_TRANSACTION),
    ord("E"): ReadyForQuery(TransactionStatus.FAILED),
}
_ANSWERS = (
    _frontend.PasswordMessage,
    _frontend.SASLInitialResponse,
    _frontend.SASLResponse,
    _frontend.GSSResponse,
)
_CHALLENGES = (
    _backend.AuthenticationCleartextPassword,
    _backend.AuthenticationMD5Password,
    _backend.AuthenticationSASL,
    _backend.AuthenticationSASLContinue,
    _backend.AuthenticationGSS,
    _backend.AuthenticationGSSContinue,
    _backend.AuthenticationSSPI,
    _backend.AuthenticationKerberosV5,
)
_COPY_DIRECTIONS = {
    _backend.CopyInResponse: _COPY_IN,
    _backend.CopyOutResponse: _COPY_OUT,
    _backend.CopyBothResponse: _COPY_BOTH,
}
# What is due for messages that are answered by one thing.
_DUE = {
    _frontend.Parse: _PARSE,
    _frontend.Bind: _BIND,
    _frontend.Execute: _EXECUTE,
    _frontend.Close: _CLOSE,
    _frontend.Sync: _SYNC,
    _frontend.Query: _QUERY,
    _frontend.FunctionCall: _FUNCTION_CALL,
}
_NAMES = {
    _NOTHING: "nothing",
    _PARSE: "ParseComplete",
    _BIND: "BindComplete",
    _DESCRIBE_STATEMENT: "ParameterDescription",
    _DESCRIBE_PORTAL: "RowDescription or NoData",
    _EXECUTE: "the result of Execute",
    _BOUND: "the result of Bind and Execute",
    _CLOSE: "CloseComplete",
    _SYNC: "ReadyForQuery",
    _QUERY: "the result of Query",
    _FUNCTION_CALL: "FunctionCallResponse",
    _STARTUP: "the answer to StartupMessage",
}


class Codec:
    """The codec of one connection, on the client's side.

    Args:
        max_message_length: bytes of one message that holds user data (a row, CopyData). Other
            messages may have 16 MiB, and 64 KiB until the server has let us in.
    """

    __slots__ = (
        "_bound",
        "_challenged",
        "_copied",
        "_copy",
        "_copy_sink",
        "_data",
        "_discarding",
        "_due",
        "_error",
        "_fault",
        "_first",
        "_head",
        "_let_in",
        "_mark",
        "_max_message_length",
        "_needed",
        "_offset",
        "_remaining",
        "_sink",
        "_sinks",
        "_state",
        "_waiting",
    )

    def __init__(self, *, max_message_length: int = 0x3FFFFFFF) -> None:
        limit = index(max_message_length)
        if not 65536 <= limit <= _MAX_LIMIT:
            raise ValueError(f"max_message_length must be from 65536 to {_MAX_LIMIT}")
        self._max_message_length = limit
        self._state = _START
        self._fault = RemoteProtocolError("an earlier receive_data() was interrupted")
        self._offset = 0  # where in the stream the input not parsed yet begins
        self._mark = 0  # where in the stream what is being parsed begins; faults name it
        self._data: list[bytes] = []  # an unfinished message in pieces
        self._waiting = 0  # bytes in _data
        self._needed = 0  # bytes that it must have to be looked at again
        self._challenged = False  # an authentication request waits for our answer
        self._let_in = False  # AuthenticationOk came
        self._forget()

    def _forget(self) -> None:
        """Have nothing due."""
        self._due: list[int] = []  # what is due, in order, from _first on
        self._sinks: list[Any] = []  # for each: where its rows go, or how many pairs it has
        self._first = 0
        self._head = _NOTHING  # the first of _due
        self._sink: RowSink | None = None  # and its
        self._remaining = 0  # pairs of a _BOUND whose end is still to come
        self._bound = False  # it is bound; or a _QUERY's rows are described
        self._error: Exception | None = None  # what a decoder raised in the head's rows
        self._copy = _COPY_NONE
        self._copy_sink: CopySink | None = None  # where its data goes, None makes events
        self._copied = False  # it got some, and there is no event yet that says so
        self._discarding = False  # the server skips what is sent, up to Sync

    @property
    def state(self) -> State:
        """What the codec is ready for; the names of `State` say it."""
        return self._state

    @property
    def trailing_data(self) -> bytes:
        """What came of a message that is not complete; empty after an error."""
        return b"".join(self._data)

    @property
    def copying(self) -> bool:
        """Whether CopyData, CopyDone and CopyFail, and nothing else, may be sent."""
        return self._copy == _COPY_IN or self._copy == _COPY_BOTH

    @property
    def ready_is_due(self) -> bool:
        """Whether ReadyForQuery comes without another Sync."""
        return bool(self._due) and self._due[len(self._due) - 1] in _END_WITH_READY

    # Input

    def receive_data(self, data: Buffer) -> list[Event]:
        """Take bytes from the server and return the events that they complete.

        Raises:
            RemoteProtocolError: the server broke the protocol; ``events`` holds what was complete
                before. Every later call raises it again, without events.
            MessageTooLarge: the same, because of a limit.
            LocalProtocolError: called after `receive_eof`.
        """
        state = self._state
        if state is _ERROR or state is _CLOSED:
            raise self._refuse_input()
        events: list[Any] = []
        input_bytes = data if type(data) is bytes else bytes(memoryview(data))
        self._state = _ERROR  # until all is parsed: an interrupted parse cannot go on
        try:
            self._receive(input_bytes, state, events)
        except RemoteProtocolError as exc:
            self._fail(exc, events)
            raise
        if self._state is _ERROR:
            self._state = state
        return events

    def receive_eof(self) -> list[Event]:
        """Take the end of the server's bytes; it completes nothing, so the list is empty.

        Raises:
            RemoteProtocolError: the end came inside a message, or with answers due, or after an
                earlier fault.
        """
        if self._state is _ERROR:
            raise self._refuse_input()
        if self._waiting or (self._head != _NOTHING and self._state is not _TERMINATED):
            self._mark = self._offset + self._waiting
            what = "inside a message" if self._waiting else f"where {_NAMES[self._head]} is due"
            fault = RemoteProtocolError(f"end of input {what}")
            self._fail(fault, [])
            raise fault
        self._state = _CLOSED
        return []

    def _fail(self, fault: RemoteProtocolError, events: list[Any]) -> None:
        fault.args = (f"{fault} at offset {self._mark}",)
        fault.events = events
        self._fault = type(fault)(*fault.args)
        self._state = _ERROR
        self._data.clear()
        self._waiting = 0
        self._forget()

    def _refuse_input(self) -> Exception:
        if self._state is _CLOSED:
            return LocalProtocolError("data received after receive_eof()")
        return type(self._fault)(*self._fault.args)

    def _receive(self, data: bytes, state: State, events: list[Any]) -> None:
        """Join ``data`` to the input that waits, and parse."""
        if state is _START:
            if data:
                raise RemoteProtocolError("data before anything was asked for")
            return
        if state is _WAITS_FOR_ENCRYPTION:
            self._encryption_response(data, events)
            return
        if self._waiting:
            self._data.append(data)
            self._waiting += len(data)
            if self._waiting < self._needed:
                return
            data = b"".join(self._data)
            self._data.clear()
            self._waiting = 0
        self._parse(data, events)

    def _encryption_response(self, data: bytes, events: list[Any]) -> None:
        if not data:
            self._state = _WAITS_FOR_ENCRYPTION
            return
        if data[0] not in b"SNG":
            # An error text of a server that nobody has verified is not to be shown either.
            raise RemoteProtocolError("an answer to the encryption request that is none")
        if len(data) > 1:
            # Whatever follows in clear may be injected (CVE-2021-23222).
            raise RemoteProtocolError("data behind the answer to the encryption request")
        self._offset += 1
        self._state = _START
        events.append(EncryptionResponse(data[0] != ord("N")))

    def _parse(self, data: bytes, events: list[Any]) -> None:
        pointer = data
        size = len(data)
        position = 0
        self._needed = 5
        while size - position >= 5:
            kind = pointer[position]
            length = _native.read_uint32(pointer, position + 1)
            start = position + 5
            end = position + 1 + length
            self._mark = self._offset + position
            if end > size or length < 4 or length > _UNTRUSTED:
                self._check_length(kind, length)
                if end > size:
                    self._needed = length + 1
                    break
            if kind == ord("D"):
                self._data_row(pointer, start, end)
            elif kind == ord("2") and self._head == _BOUND and not self._bound and end == start:
                self._bound = True
            elif kind == ord("C"):
                self._command_complete(data[start:end], events)
            elif kind == ord("Z"):
                self._ready_for_query(data[start:end], events)
            elif kind == ord("d"):
                if self._copy != _COPY_OUT and self._copy != _COPY_BOTH:
                    raise RemoteProtocolError("CopyData outside of a COPY to us")
                if self._copy_sink is None:
                    events.append(_frontend.CopyData(data[start:end]))
                else:
                    self._copied = True
                    self._copy_sink.read_copy(pointer, start, end)
            else:
                self._message(kind, data[start:end], events)
            position = end
        self._tell_copied(events)
        self._offset += position
        self._waiting = size - position
        if self._waiting:
            self._data.append(data[position:])

    def _tell_copied(self, events: list[Any]) -> None:
        if self._copied:
            self._copied = False
            events.append(_COPY_PROGRESS)

    def _check_length(self, kind: int, length: int) -> None:
        if length < 4:
            raise RemoteProtocolError(f"a message of length {length}")
        if not self._let_in:
            limit = _UNTRUSTED
        elif kind in b"DdV":
            limit = self._max_message_length
        else:
            limit = _CONTROL
        if length > limit:
            raise MessageTooLarge(f"a message of {length} bytes, and the limit is {limit}")

    # What comes with every query

    def _data_row(self, data: bytes, start: int, end: int) -> None:
        head = self._head
        if not (head == _EXECUTE or (self._bound and head in (_BOUND, _QUERY))):
            raise self._out_of_turn("DataRow")
        if self._copy != _COPY_NONE:
            raise RemoteProtocolError("a row inside a COPY")
        sink = self._sink
        if sink is None or self._error is not None:
            return
        try:
            sink.read_row(data, start, end)
        except RemoteProtocolError:
            raise
        except Exception as exc:  # a decoder's: it is its caller's
            self._error = exc
            sink.take()

    def _take_rows(self) -> Any:
        return [] if self._sink is None else self._sink.take()

    def _command_complete(self, body: bytes, events: list[Any]) -> None:
        head = self._head
        if not body or body.find(b"\0") != len(body) - 1:
            raise RemoteProtocolError("a CommandComplete without a tag")
        if self._copy != _COPY_NONE:
            raise RemoteProtocolError("a CommandComplete inside a COPY")
        if head == _BOUND and self._bound and self._remaining > 1:
            self._remaining -= 1
            self._bound = False
            return
        tag = body[: len(body) - 1].decode(errors="replace")
        if head == _QUERY:
            events.append(CommandComplete(tag, self._take_rows(), self._error))
            self._bound = False
            self._error = None
        elif head == _EXECUTE or (head == _BOUND and self._bound):
            events.append(CommandComplete(tag, self._take_rows(), self._error))
            self._advance()
        else:
            raise self._out_of_turn("CommandComplete")

    def _ready_for_query(self, body: bytes, events: list[Any]) -> None:
        event = _READY.get(body[0]) if len(body) == 1 else None
        if event is None:
            raise RemoteProtocolError("a ReadyForQuery with an unknown status")
        head = self._head
        if head == _STARTUP and self._let_in:
            self._state = _OPEN
        elif (head != _SYNC and head != _QUERY) or self._copy != _COPY_NONE:
            raise self._out_of_turn("ReadyForQuery")
        self._advance()
        events.append(event)

    def _advance(self) -> None:
        """Go on to what is due next."""
        self._first += 1
        self._error = None
        self._bound = False
        if self._first == len(self._due):
            self._due.clear()
            self._sinks.clear()
            self._first = 0
            self._head = _NOTHING
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
        self._remaining = 1
        if type(sink) is tuple:
            self._remaining, sink = sink
        self._sink = sink

    def _out_of_turn(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{what} where {_NAMES[self._head]} is due")

    # The rest

    def _message(self, kind: int, body: bytes, events: list[Any]) -> None:
        self._tell_copied(events)
        bare = _BARE.get(kind)
        if bare is not None:
            if body:
                raise RemoteProtocolError(f"a {bare[0]} with a body")
            self._bare(kind, bare[0], bare[1], events)
            return
        event = decode_message(kind, body)
        if kind in b"SNA":  # at any moment, but for what has no place before the session
            if kind != ord("N") and not self._let_in:
                raise self._out_of_turn(type(event).__name__)
        elif kind == ord("E"):
            self._error_response(event)
        elif kind in b"RKv":
            self._opening(kind, event)
        elif kind == ord("t"):
            if self._head != _DESCRIBE_STATEMENT:
                raise self._out_of_turn("ParameterDescription")
            self._head = _DESCRIBE_PORTAL
        elif kind == ord("T"):
            self._row_description(event)
        elif kind == ord("V"):
            if self._head != _FUNCTION_CALL:
                raise self._out_of_turn("FunctionCallResponse")
            self._head = _SYNC
        else:
            self._copy_response(event)
        events.append(event)

    def _bare(self, kind: int, name: str, event: Event, events: list[Any]) -> None:
        """Take a message without a body."""
        head = self._head
        if kind == ord("c"):
            if self._copy != _COPY_OUT and self._copy != _COPY_BOTH:
                raise RemoteProtocolError("CopyDone outside of a COPY to us")
            self._copy = _COPY_NONE if self._copy == _COPY_OUT else _COPY_IN
            if self._copy_sink is not None:
                self._copy_sink.end_copy()
                self._copy_sink = None
        elif self._copy != _COPY_NONE:
            raise RemoteProtocolError(f"{name} inside a COPY")
        elif head == _ANSWERED_BY.get(kind):
            self._advance()
        elif kind in b"Is" and head == _EXECUTE:
            self._end_execute(kind, event, events)
            return
        elif kind in b"Is" and head == _BOUND and self._bound:
            if self._remaining > 1:
                self._remaining -= 1
                self._bound = False
                return
            self._end_execute(kind, event, events)
            return
        elif kind != ord("I") or head != _QUERY:
            raise self._out_of_turn(name)
        events.append(event)

    def _end_execute(self, kind: int, event: Event, events: list[Any]) -> None:
        """Take the end of an Execute that ran no command, or not to its end."""
        if kind == ord("s"):
            event = PortalSuspended(self._take_rows(), self._error)
        events.append(event)
        self._advance()

    def _row_description(self, event: Any) -> None:
        head = self._head
        if self._copy != _COPY_NONE:
            raise RemoteProtocolError("RowDescription inside a COPY")
        if head == _DESCRIBE_PORTAL:
            self._advance()
            head = self._head
            if head != _EXECUTE:
                return
        elif head == _QUERY and not self._bound:
            self._bound = True
        else:
            raise self._out_of_turn("RowDescription")
        if self._sink is not None:
            try:
                self._sink.describe(event)
            except RemoteProtocolError:
                raise
            except Exception as exc:  # there is no reader for these columns
                self._error = exc

    def _error_response(self, event: Any) -> None:
        if event.fatal:
            return  # the end follows, whatever is due
        if self._head == _NOTHING:
            raise RemoteProtocolError("an error where nothing is due")
        if self._head == _STARTUP:
            return
        if self._sink is not None:
            self._sink.take()
        self._copy = _COPY_NONE
        self._copy_sink = None
        if self._head in (_QUERY, _FUNCTION_CALL):
            self._head = _SYNC
            self._sink = None
            return
        # "the backend reads and discards messages until a Sync is reached" (Extended Query)
        while self._head != _SYNC and self._head != _NOTHING:
            self._advance()
        self._discarding = self._head == _NOTHING

    def _opening(self, kind: int, event: Any) -> None:
        name = type(event).__name__
        if self._head != _STARTUP:
            raise self._out_of_turn(name)
        if (kind == ord("K")) != self._let_in:
            raise RemoteProtocolError(f"{name} out of turn")
        if kind != ord("R"):
            return
        if self._challenged:
            raise RemoteProtocolError(f"{name} before the last request was answered")
        self._challenged = isinstance(event, _CHALLENGES)
        self._let_in = isinstance(event, _backend.AuthenticationOk)

    def _copy_response(self, event: Any) -> None:
        name = type(event).__name__
        head = self._head
        if self._copy != _COPY_NONE:
            raise RemoteProtocolError(f"{name} inside a COPY")
        if head != _QUERY and head != _EXECUTE and not (head == _BOUND and self._bound):
            raise self._out_of_turn(name)
        self._copy = _COPY_DIRECTIONS[type(event)]
        if self._copy != _COPY_IN and isinstance(self._sink, CopySink):
            self._copy_sink = self._sink
            self._copy_sink.begin_copy(event)
        behind = len(self._due) - self._first - 1
        if self._copy == _COPY_OUT or behind == 0:
            return
        # "The backend will ignore Flush and Sync messages received during copy-in mode."
        if behind > 1 or self._due[self._first + 1] != _SYNC:
            raise RemoteProtocolError(f"{name} with other messages on their way")
        self._due.pop()
        self._sinks.pop()

    # Output

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
            # None is sent, so nothing more is due. A CopyDone comes alone, or last.
            self._state = state
            del self._due[count:]
            del self._sinks[count:]
            raise
        if self._head == _NOTHING and self._due:
            self._load_head()
        return pieces

    def _expect_query(self, query: ExtendedQuery) -> None:
        if self._state is not _OPEN or self.copying:
            raise self._refuse_output(query)
        if query.count == 0:
            raise LocalProtocolError("an ExtendedQuery without Bind and Execute")
        if not self._discarding:
            self._due.append(_BOUND)
            self._sinks.append(query.sink if query.count == 1 else (query.count, query.sink))
        if query.sync:
            self._discarding = False
            self._due.append(_SYNC)
            self._sinks.append(None)

    def _pack_message(self, message: Message, pieces: list[Buffer]) -> None:
        kind = type(message)
        state = self._state
        if kind is _frontend.CopyData:
            if not self.copying:
                raise self._refuse_output(message)
            self._pack_copy_data(message, pieces)
            return
        piece = message.encode()
        if kind is _frontend.Terminate and state in (_STARTING, _OPEN):
            self._state = _TERMINATED
        elif state is _OPEN and self.copying:
            self._pack_copying(message, kind)
        elif state is _OPEN:
            self._pack_open(message, kind)
        elif state is _START:
            self._pack_opening(message, kind)
        elif state is _STARTING and kind in _ANSWERS and self._challenged:
            self._challenged = False
        else:
            raise self._refuse_output(message)
        pieces.append(piece)

    def _pack_copy_data(self, message: Any, pieces: list[Buffer]) -> None:
        pieces.append(message.header())
        pieces.append(message.data)

    def _pack_open(self, message: Any, kind: type[Message]) -> None:
        due = _DUE.get(kind, _NOTHING)
        if kind is _frontend.Describe:
            due = _DESCRIBE_STATEMENT if message.kind == "S" else _DESCRIBE_PORTAL
        if due == _NOTHING:
            if kind is not _frontend.Flush:
                raise self._refuse_output(message)
            return
        if due == _SYNC:
            self._discarding = False
        if not self._discarding:
            self._due.append(due)
            self._sinks.append(getattr(message, "reader", None))

    def _pack_copying(self, message: Message, kind: type[Message]) -> None:
        if kind is _frontend.CopyDone:
            self._copy = _COPY_OUT if self._copy == _COPY_BOTH else _COPY_NONE
        elif kind is _frontend.CopyFail:
            self._copy = _COPY_NONE
            self._copy_sink = None
        else:
            raise self._refuse_output(message)

    def _pack_opening(self, message: Message, kind: type[Message]) -> None:
        if kind is _frontend.StartupMessage:
            self._state = _STARTING
            self._due.append(_STARTUP)
            self._sinks.append(None)
        elif kind is _frontend.SSLRequest or kind is _frontend.GSSENCRequest:
            self._state = _WAITS_FOR_ENCRYPTION
        elif kind is _frontend.CancelRequest:
            self._state = _TERMINATED
        else:
            raise self._refuse_output(message)

    def _refuse_output(self, message: object) -> LocalProtocolError:
        name = type(message).__name__
        if self.copying:
            return LocalProtocolError(f"{name} cannot be sent inside a COPY to the server")
        return LocalProtocolError(f"{name} cannot be sent in state {self._state.name}")


# What is due when one of these comes, and is then answered.
_ANSWERED_BY = {
    ord("1"): _PARSE,
    ord("2"): _BIND,
    ord("3"): _CLOSE,
    ord("n"): _DESCRIBE_PORTAL,
}
# Messages without a body.
_BARE: dict[int, tuple[str, Any]] = {
    ord("1"): ("ParseComplete", _PARSE_COMPLETE),
    ord("2"): ("BindComplete", _BIND_COMPLETE),
    ord("3"): ("CloseComplete", _CLOSE_COMPLETE),
    ord("n"): ("NoData", _NO_DATA),
    ord("I"): ("EmptyQueryResponse", _EMPTY),
    ord("s"): ("PortalSuspended", None),
    ord("c"): ("CopyDone", _frontend.CopyDone()),
}
