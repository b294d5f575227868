cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres._rows cimport RowSink, RowWriter

cdef Py_ssize_t _MAX_LENGTH
cdef bytes _EXECUTE
cdef bytes _SYNC


@cython.final
cdef class ExtendedQuery:
    cdef readonly bytearray data
    cdef readonly Py_ssize_t count
    cdef readonly RowSink sink
    cdef readonly bint sync


@cython.final
cdef class PreparedQuery:
    cdef bytes _head
    cdef bytes _tail
    cdef RowWriter _writer

    @cython.locals(start=Py_ssize_t, length=Py_ssize_t)
    cdef int _append(self, bytearray out, values, Py_ssize_t max_rows) except -1


@cython.locals(query=ExtendedQuery)
cdef ExtendedQuery _finish(bytearray out, RowSink sink, Py_ssize_t count, bint sync)
