cimport cython

from wirekit.protocols.postgres._copy cimport CopySink
from wirekit.protocols.postgres._query cimport ExtendedQuery
from wirekit.protocols.postgres._rows cimport RowSink

cdef Py_ssize_t _ALONE

cdef int BOUND
cdef int COPY_IN
cdef int DESCRIBE_PORTAL
cdef int DESCRIBE_STATEMENT
cdef int ENCRYPTION
cdef int EXECUTE
cdef int FUNCTION_CALL
cdef int GSS_ENCRYPTION
cdef int NOTHING
cdef int QUERY
cdef int STARTUP
cdef int SYNC

cdef object _START
cdef object _WAITS_FOR_ENCRYPTION
cdef object _STARTING
cdef object _OPEN
cdef object _TERMINATED

cdef dict DUE
cdef frozenset _END_WITH_READY


cdef class Requests:
    cdef object _state
    cdef bint _challenged

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

    @cython.locals(
        pieces=list,
        copy=int,
        challenged=bint,
        discarding=bint,
        count=Py_ssize_t,
        query=ExtendedQuery,
    )
    cdef list _pack(self, tuple messages)
    cdef void _expect_query(self, ExtendedQuery query) except *
    cdef void _pack_message(self, message, list pieces) except *
    @cython.locals(due=int)
    cdef void _pack_open(self, message, kind) except *
    cdef void _pack_opening(self, message, kind) except *
    cdef _refuse_output(self, message)

    cdef void _advance(self) except *
    cdef void _load_head(self) except *
