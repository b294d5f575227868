# cython: annotation_typing=False
"""The codec of one connection to a PostgreSQL server, on the client's side.

It knows which answer is due to each message sent, so whatever the server sends out of turn is a
fault; and it gives each row to the reader of the query that it belongs to.
"""

from __future__ import annotations

import sys
from operator import index
from typing import TYPE_CHECKING, Any

from wirekit._errors import LocalProtocolError, MessageTooLarge, RemoteProtocolError
from wirekit.protocols import _native

from ._backend import (
    AuthenticationCleartextPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSSPI,
    CommandComplete,
    CopyBothResponse,
    CopyInResponse,
    CopyOutResponse,
    CopyProgress,
    EncryptionResponse,
    PortalSuspended,
    ReadyForQuery,
    TransactionStatus,
)
from ._copy import CopySink
from ._decoding import decode_message
from ._due import (
    ANSWERED_BY,
    BARE,
    BOUND,
    COPY_BOTH,
    COPY_IN,
    COPY_OUT,
    DESCRIBE_PORTAL,
    DESCRIBE_STATEMENT,
    ENCRYPTION,
    EXECUTE,
    FUNCTION_CALL,
    NAMES,
    NOTHING,
    QUERY,
    STARTUP,
    SYNC,
)
from ._frontend import CopyData
from ._requests import Requests, State

if TYPE_CHECKING:
    from wirekit.protocols._buffer import Buffer

    from ._backend import Event

__all__ = ["Codec"]

_MAX_LIMIT = sys.maxsize // 4
_UNTRUSTED = 65536  # bytes of a message before the server has let us in
_CONTROL = 16 * 1024 * 1024  # bytes of a message that holds no user data

_START = State.START
_WAITS_FOR_ENCRYPTION = State.ENCRYPTION
_STARTING = State.STARTUP
_OPEN = State.OPEN
_TERMINATED = State.TERMINATED
_CLOSED = State.CLOSED
_ERROR = State.ERROR

_COPY_PROGRESS = CopyProgress()
_READY = {
    ord("I"): ReadyForQuery(TransactionStatus.IDLE),
    ord("T"): ReadyForQuery(TransactionStatus.IN_TRANSACTION),
    ord("E"): ReadyForQuery(TransactionStatus.FAILED),
}
_CHALLENGES = (
    AuthenticationCleartextPassword,
    AuthenticationMD5Password,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationSSPI,
    AuthenticationKerberosV5,
)
_COPY_DIRECTIONS = {
    CopyInResponse: COPY_IN,
    CopyOutResponse: COPY_OUT,
    CopyBothResponse: COPY_IN | COPY_OUT | COPY_BOTH,
}


class Codec(Requests):
    """The codec of one connection, on the client's side.

    Args:
        max_message_length: bytes of one message that holds user data (a row, CopyData). Other
            messages may have 16 MiB, and 64 KiB until the server has let us in.
    """

    __slots__ = (
        "_data",
        "_fault",
        "_let_in",
        "_mark",
        "_max_message_length",
        "_needed",
        "_offset",
        "_waiting",
    )

    def __init__(self, *, max_message_length: int = 0x3FFFFFFF) -> None:
        limit = index(max_message_length)
        if not _UNTRUSTED <= limit <= _MAX_LIMIT:
            raise ValueError(f"max_message_length must be from {_UNTRUSTED} to {_MAX_LIMIT}")
        self._max_message_length = limit
        super().__init__()
        self._fault = RemoteProtocolError("an earlier receive_data() was interrupted")
        self._offset = 0  # where in the stream the input not parsed yet begins
        self._mark = 0  # where in the stream what is being parsed begins; faults name it
        self._data: list[bytes] = []  # an unfinished message in pieces
        self._waiting = 0  # bytes in _data
        self._needed = 0  # bytes that it must have to be looked at again
        self._let_in = False  # AuthenticationOk came

    @property
    def trailing_data(self) -> bytes:
        """What came of a message that is not complete; empty after an error."""
        return b"".join(self._data)

    def drop_rows(self) -> None:
        """Drop the rows of what is being answered, those that are here and those to come."""
        if self._sink is not None and not isinstance(self._sink, CopySink):
            self._sink.take()
            self._sink = None

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
        if state is _STARTING and self._head != STARTUP:
            state = _OPEN
        elif state is _WAITS_FOR_ENCRYPTION and self._head == NOTHING:
            state = _START
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
        if self._waiting or (self._head != NOTHING and self._state is not _TERMINATED):
            self._mark = self._offset + self._waiting
            place = "inside a message" if self._waiting else f"where {_name(self._head)} is due"
            fault = RemoteProtocolError(f"end of input {place}")
            self._fail(fault, [])
            raise fault
        self._state = _CLOSED
        self._forget()
        return []

    def _fail(self, fault: RemoteProtocolError, events: list[Any]) -> None:
        fault.args = (f"{fault} at offset {self._mark}",)
        fault.events = events
        self._fault = _again(fault)
        self._state = _ERROR
        self._data.clear()
        self._waiting = 0
        self._forget()

    def _refuse_input(self) -> Exception:
        if self._state is _CLOSED:
            return LocalProtocolError("data received after receive_eof()")
        return _again(self._fault)

    def _receive(self, data: bytes, state: State, events: list[Any]) -> None:
        """Join ``data`` to the input that waits, and parse."""
        if not data:
            return
        if state is _WAITS_FOR_ENCRYPTION:
            self._encryption_response(data[0], events)
            data = data[1:]
        if state is _START or state is _WAITS_FOR_ENCRYPTION:
            if data:
                # Behind the answer, in clear, it may be injected (CVE-2021-23222).
                self._mark = self._offset
                raise RemoteProtocolError("data that was not asked for")
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

    def _encryption_response(self, answer: int, events: list[Any]) -> None:
        yes = ord("S") if self._head == ENCRYPTION else ord("G")
        if answer != yes and answer != ord("N"):
            # An error text of a server that nobody has verified is not to be shown either.
            raise self._out_of_turn("something else")
        self._offset += 1
        self._advance()
        events.append(EncryptionResponse(answer == yes))

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
                end = self._data_rows(pointer, position, end, size)
            elif kind == ord("2") and self._head == BOUND and not self._bound and end == start:
                self._bound = True
            elif kind == ord("C"):
                self._command_complete(data[start:end], events)
            elif kind == ord("Z"):
                self._ready_for_query(data[start:end], events)
            elif kind == ord("d"):
                self._copy_data(data, start, end, events)
            else:
                self._message(kind, data[start:end], events)
            position = end
        self._tell_copied(events)
        self._offset += position
        self._waiting = size - position
        if self._waiting:
            self._data.append(data[position:])

    def _copy_data(self, data: bytes, start: int, end: int, events: list[Any]) -> None:
        if not self._copy & COPY_OUT:
            # A walsender may go on after its CopyDone, for example with a keepalive.
            if not self._copy & COPY_BOTH:
                raise RemoteProtocolError("CopyData outside of a COPY to us")
        elif self._copy_sink is None:
            events.append(CopyData(data[start:end]))
        else:
            self._copied = True
            self._copy_sink.read_copy(data, start, end)

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

    def _data_rows(self, data: bytes, position: int, end: int, size: int) -> int:
        """Give a DataRow, and those right behind it, to their reader; return where they end.

        The first is ``data[position:end]``; the others are taken as far as they are complete and
        need no second look at their length.
        """
        if not self._executing() and not (self._head == QUERY and self._bound):
            raise self._out_of_turn("DataRow")
        if self._inside_copy():
            raise RemoteProtocolError("DataRow inside a COPY")
        sink = self._sink
        if self._error is not None:
            return end
        try:
            while sink is not None:
                sink.read_row(data, position + 5, end)
                position = end
                sink = self._sink  # a decoder may have had the rest dropped
                if size - position < 5 or data[position] != ord("D"):
                    break
                length = _native.read_uint32(data, position + 1)
                if length < 4 or length > _UNTRUSTED or length >= size - position:
                    break
                end = position + 1 + length
                self._mark = self._offset + position
        except RemoteProtocolError:
            raise
        except Exception as exc:  # a decoder's: it is its caller's
            self._error = exc
            self._take_rows()
        return end

    def _take_rows(self) -> Any:
        return [] if self._sink is None else self._sink.take()

    def _command_complete(self, body: bytes, events: list[Any]) -> None:
        if not body or body.find(b"\0") != len(body) - 1:
            raise RemoteProtocolError("a CommandComplete without a tag")
        if self._copy:
            if not self._copy & COPY_BOTH:
                raise RemoteProtocolError("CommandComplete inside a COPY")
            # So ends a replication whose server shuts down.
            self._tell_copied(events)
            self._copy = 0
            self._copy_sink = None
        if not self._executing() and self._head != QUERY:
            raise self._out_of_turn("CommandComplete")
        if self._more_pairs():
            return
        tag = body[: len(body) - 1].decode(errors="replace")
        events.append(CommandComplete(tag, self._take_rows(), self._error))
        if self._head == QUERY:
            self._bound = False
            self._error = None
        else:
            self._advance()

    def _executing(self) -> bool:
        """Whether what an Execute brings is due."""
        return self._head == EXECUTE or (self._head == BOUND and self._bound)

    def _inside_copy(self) -> bool:
        return self._copy & (COPY_IN | COPY_OUT) != 0

    def _more_pairs(self) -> bool:
        """Go on to the next pair of Bind and Execute, if this is not the last."""
        if self._head != BOUND or self._remaining <= 1:
            return False
        self._remaining -= 1
        self._bound = False
        return True

    def _ready_for_query(self, body: bytes, events: list[Any]) -> None:
        event = _READY.get(body[0]) if len(body) == 1 else None
        if event is None:
            raise RemoteProtocolError("a ReadyForQuery with an unknown status")
        head = self._head
        if self._inside_copy() or not (
            head == SYNC
            or (head == QUERY and not self._bound)
            or (head == STARTUP and self._let_in)
        ):
            raise self._out_of_turn("ReadyForQuery")
        self._copy = 0
        self._advance()
        events.append(event)

    def _out_of_turn(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{what} where {_name(self._head)} is due")

    # The rest

    def _message(self, kind: int, body: bytes, events: list[Any]) -> None:
        self._tell_copied(events)
        bare = BARE.get(kind)
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
            if self._head != DESCRIBE_STATEMENT:
                raise self._out_of_turn("ParameterDescription")
            self._head = DESCRIBE_PORTAL
        elif kind == ord("T"):
            self._row_description(event)
        elif kind == ord("V"):
            if self._head != FUNCTION_CALL:
                raise self._out_of_turn("FunctionCallResponse")
            self._head = SYNC
        else:
            self._copy_response(event)
        events.append(event)

    def _bare(self, kind: int, name: str, event: Any, events: list[Any]) -> None:
        """Take a message without a body."""
        head = self._head
        if kind == ord("c"):
            if not self._copy & COPY_OUT:
                raise RemoteProtocolError("CopyDone outside of a COPY to us")
            self._copy &= ~COPY_OUT
            if self._copy_sink is not None:
                self._copy_sink.end_copy()
                self._copy_sink = None
        elif self._inside_copy():
            raise RemoteProtocolError(f"{name} inside a COPY")
        elif head == ANSWERED_BY.get(kind):
            self._advance()
        elif kind in b"Is" and self._executing():
            if self._more_pairs():
                return
            rows = self._take_rows()
            if kind == ord("s"):
                event = PortalSuspended(rows, self._error)
            self._advance()
        elif kind != ord("I") or head != QUERY or self._bound:
            raise self._out_of_turn(name)
        events.append(event)

    def _row_description(self, event: Any) -> None:
        head = self._head
        if head == DESCRIBE_PORTAL:
            self._advance()
            if self._head != EXECUTE:
                return
        elif head == QUERY and not self._bound and not self._inside_copy():
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
        if self._head == NOTHING:
            raise RemoteProtocolError("an error where nothing is due")
        if self._head == STARTUP:
            return
        if self._sink is not None:
            self._sink.take()
        self._copy = 0
        self._copy_sink = None
        if self._head == QUERY or self._head == FUNCTION_CALL:
            self._head = SYNC
            self._sink = None
            return
        # "the backend reads and discards messages until a Sync is reached" (Extended Query)
        while self._head != SYNC and self._head != NOTHING:
            self._advance()
        self._discarding = self._head == NOTHING

    def _opening(self, kind: int, event: Any) -> None:
        name = type(event).__name__
        if self._head != STARTUP or (kind == ord("K")) != self._let_in:
            raise self._out_of_turn(name)
        if kind != ord("R"):
            return
        if self._challenged:
            raise RemoteProtocolError(f"{name} before the last request was answered")
        self._challenged = isinstance(event, _CHALLENGES)
        self._let_in = isinstance(event, AuthenticationOk)

    def _copy_response(self, event: Any) -> None:
        name = type(event).__name__
        if self._inside_copy():
            raise RemoteProtocolError(f"{name} inside a COPY")
        if not self._executing() and not (self._head == QUERY and not self._bound):
            raise self._out_of_turn(name)
        self._copy = _COPY_DIRECTIONS[type(event)]
        if self._copy & COPY_OUT and isinstance(self._sink, CopySink):
            self._copy_sink = self._sink
            self._copy_sink.begin_copy(event)
        behind = len(self._due) - self._first - 1
        if self._copy == COPY_OUT or behind == 0:
            return
        # "The backend will ignore Flush and Sync messages received during copy-in mode."
        if behind > 1 or self._due[self._first + 1] != SYNC:
            raise RemoteProtocolError(f"{name} with other messages on their way")
        self._due.pop()
        self._sinks.pop()


def _name(due: int) -> str:
    return NAMES[due]


def _again(fault: RemoteProtocolError) -> RemoteProtocolError:
    """Return the same error anew, without what others have hung on it."""
    kind = MessageTooLarge if isinstance(fault, MessageTooLarge) else RemoteProtocolError
    return kind(*fault.args)
