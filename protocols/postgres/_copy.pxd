cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres._rows cimport RowReader, RowSink

cdef bytes _SIGNATURE
cdef int _HEADER_LENGTH
cdef Py_ssize_t _ROOM
cdef unsigned int _CRITICAL_FLAGS
cdef int _AT_HEADER
cdef int _AT_ROWS
cdef int _AT_END


cdef class CopySink(RowSink):
    cdef public Py_ssize_t size
    cdef public object error
    cdef public bint dropping

    cpdef begin_copy(self, response)
    cdef int read_copy(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cpdef end_copy(self)
    cpdef take_copy(self)
    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef take(self)


cdef class CopyChunks(CopySink):
    cdef bytearray _room

    @cython.locals(length=Py_ssize_t, room=Py_ssize_t)
    cdef int read_copy(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cpdef take_copy(self)


cdef class CopyRows(CopySink):
    cdef RowReader _reader
    cdef Py_ssize_t _width
    cdef int _place

    cpdef begin_copy(self, response)
    @cython.locals(position=Py_ssize_t, count=int, row=Py_ssize_t)
    cdef int read_copy(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    @cython.locals(length=Py_ssize_t)
    cdef Py_ssize_t _after_header(
        self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
    ) except -1
    cpdef end_copy(self)
    cpdef take_copy(self)


@cython.locals(length=Py_ssize_t)
cdef Py_ssize_t _row_end(
    const unsigned char *data, Py_ssize_t position, Py_ssize_t end, Py_ssize_t count
) except -1
