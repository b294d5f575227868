cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres._copy cimport CopySink
from wirekit.protocols.postgres._requests cimport Requests

cdef Py_ssize_t _MAX_LIMIT
cdef Py_ssize_t _UNTRUSTED
cdef Py_ssize_t _CONTROL

cdef int BOUND
cdef int COPY_BOTH
cdef int COPY_IN
cdef int COPY_OUT
cdef int DESCRIBE_PORTAL
cdef int DESCRIBE_STATEMENT
cdef int ENCRYPTION
cdef int EXECUTE
cdef int FUNCTION_CALL
cdef int NOTHING
cdef int QUERY
cdef int STARTUP
cdef int SYNC

cdef object _START
cdef object _WAITS_FOR_ENCRYPTION
cdef object _STARTING
cdef object _OPEN
cdef object _TERMINATED
cdef object _CLOSED
cdef object _ERROR

cdef dict ANSWERED_BY
cdef dict BARE
cdef dict _READY


cdef class Codec(Requests):
    cdef Py_ssize_t _max_message_length

    cdef object _fault
    cdef unsigned long long _offset
    cdef unsigned long long _mark
    cdef list _data
    cdef Py_ssize_t _waiting
    cdef Py_ssize_t _needed
    cdef bint _let_in

    cdef _fail(self, fault, list events)
    cdef _refuse_input(self)

    cdef void _receive(self, bytes data, state, list events) except *
    @cython.locals(yes=int)
    cdef void _encryption_response(self, int answer, list events) except *
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
    cdef void _copy_data(
        self, bytes data, Py_ssize_t start, Py_ssize_t end, list events
    ) except *
    cdef void _tell_copied(self, list events) except *
    @cython.locals(limit=Py_ssize_t)
    cdef void _check_length(self, int kind, Py_ssize_t length) except *

    @cython.locals(length=Py_ssize_t)
    cdef Py_ssize_t _data_rows(
        self, const unsigned char *data, Py_ssize_t position, Py_ssize_t end, Py_ssize_t size
    ) except -1
    cdef _take_rows(self)
    cdef void _command_complete(self, bytes body, list events) except *
    cdef bint _executing(self)
    cdef bint _inside_copy(self)
    cdef bint _more_pairs(self)
    @cython.locals(head=int)
    cdef void _ready_for_query(self, bytes body, list events) except *
    cdef _out_of_turn(self, what)

    @cython.locals(bare=tuple)
    cdef void _message(self, int kind, bytes body, list events) except *
    @cython.locals(head=int)
    cdef void _bare(self, int kind, name, event, list events) except *
    @cython.locals(head=int)
    cdef void _row_description(self, event) except *
    cdef void _error_response(self, event) except *
    cdef void _opening(self, int kind, event) except *
    @cython.locals(behind=Py_ssize_t)
    cdef void _copy_response(self, event) except *
