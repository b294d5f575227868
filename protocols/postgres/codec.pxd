cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres._copy cimport CopySink
from wirekit.protocols.postgres._query cimport ExtendedQuery
from wirekit.protocols.postgres._rows cimport RowSink

cdef Py_ssize_t _MAX_LIMIT
cdef Py_ssize_t _UNTRUSTED
cdef Py_ssize_t _CONTROL
cdef Py_ssize_t _ALONE

cdef int _NOTHING
cdef int _PARSE
cdef int _BIND
cdef int _DESCRIBE_STATEMENT
cdef int _DESCRIBE_PORTAL
cdef int _EXECUTE
cdef int _BOUND
cdef int _CLOSE
cdef int _SYNC
cdef int _QUERY
cdef int _FUNCTION_CALL
cdef int _STARTUP
cdef int _ENCRYPTION

cdef frozenset _END_WITH_READY

cdef int _COPY_NONE
cdef int _COPY_IN
cdef int _COPY_OUT
cdef int _COPY_BOTH

cdef object _START
cdef object _WAITS_FOR_ENCRYPTION
cdef object _STARTING
cdef object _OPEN
cdef object _TERMINATED
cdef object _CLOSED
cdef object _ERROR

cdef dict _READY
cdef dict _DUE
cdef dict _BARE
cdef dict _ANSWERED_BY


cdef class Codec:
    cdef Py_ssize_t _max_message_length

    cdef object _state
    cdef object _fault
    cdef unsigned long long _offset
    cdef unsigned long long _mark
    cdef list _data
    cdef Py_ssize_t _waiting
    cdef Py_ssize_t _needed
    cdef bint _challenged
    cdef bint _let_in

    cdef list _due
    cdef list _sinks
    cdef Py_ssize_t _first
    cdef int _head
    cdef RowSink _sink
    cdef Py_ssize_t _remaining
    cdef bint _bound
    cdef object _error
    cdef int _copy
    cdef CopySink _copy_sink
    cdef bint _copied
    cdef bint _discarding

    cdef _forget(self)
    cdef _fail(self, fault, list events)
    cdef _refuse_input(self)

    cdef void _receive(self, bytes data, state, list events) except *
    cdef void _encryption_response(self, bytes data, list events) except *
    @cython.locals(
        pointer="const unsigned char*",
        size=Py_ssize_t,
        position=Py_ssize_t,
        kind=int,
        length=Py_ssize_t,
        start=Py_ssize_t,
        end=Py_ssize_t,
    )
    cdef void _parse(self, bytes data, list events) except *
    cdef void _tell_copied(self, list events) except *
    @cython.locals(limit=Py_ssize_t)
    cdef void _check_length(self, int kind, Py_ssize_t length) except *

    @cython.locals(head=int, sink=RowSink)
    cdef void _data_row(
        self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
    ) except *
    cdef _take_rows(self)
    @cython.locals(head=int)
    cdef void _command_complete(self, bytes body, list events) except *
    @cython.locals(head=int)
    cdef void _ready_for_query(self, bytes body, list events) except *
    cdef void _advance(self) except *
    cdef void _load_head(self) except *
    cdef _out_of_turn(self, what)

    @cython.locals(bare=tuple)
    cdef void _message(self, int kind, bytes body, list events) except *
    @cython.locals(head=int)
    cdef void _bare(self, int kind, name, event, list events) except *
    cdef void _end_execute(self, int kind, event, list events) except *
    @cython.locals(head=int)
    cdef void _row_description(self, event) except *
    cdef void _error_response(self, event) except *
    cdef void _opening(self, int kind, event) except *
    @cython.locals(head=int, behind=Py_ssize_t)
    cdef void _copy_response(self, event) except *

    @cython.locals(pieces=list, count=Py_ssize_t, query=ExtendedQuery)
    cdef list _pack(self, tuple messages)
    cdef void _expect_query(self, ExtendedQuery query) except *
    cdef void _pack_message(self, message, list pieces) except *
    cdef void _pack_copy_data(self, message, list pieces) except *
    @cython.locals(due=int)
    cdef void _pack_open(self, message, kind) except *
    cdef void _pack_copying(self, message, kind) except *
    cdef void _pack_opening(self, message, kind) except *
    cdef _refuse_output(self, message)
