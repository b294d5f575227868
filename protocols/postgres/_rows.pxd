cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres._codecs cimport TypeCodec
from wirekit.protocols.postgres._record cimport Record, RecordKeys

cdef int _ANY
cdef int _INT4
cdef int _INT8
cdef int _FLOAT8
cdef int _TEXT
cdef dict _KINDS


cdef class RowSink:
    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef take(self)


cdef class RowReader(RowSink):
    cdef RecordKeys _keys
    cdef tuple _codecs
    cdef bytes _kinds
    cdef Py_ssize_t _width
    cdef object _record_class
    cdef bint _exact
    cdef bint _atomic
    cdef list _rows

    @cython.locals(
        count=Py_ssize_t,
        position=Py_ssize_t,
        items=tuple,
        number=Py_ssize_t,
        length=Py_ssize_t,
        kinds="const unsigned char *",
        kind=int,
        codec=TypeCodec,
        values=tuple,
        record=Record,
    )
    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    @cython.locals(record=Record)
    cdef take(self)


cdef class DescribedRowReader(RowSink):
    cdef object _make_reader
    cdef RowSink _reader

    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    @cython.locals(reader=RowSink)
    cdef take(self)


cdef class TextRowReader(RowSink):
    cdef list _rows

    @cython.locals(position=Py_ssize_t, length=Py_ssize_t, values=list)
    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef take(self)


@cython.final
cdef class RowWriter:
    cdef tuple _codecs
    cdef readonly tuple formats

    @cython.locals(count=Py_ssize_t, size=Py_ssize_t, number=Py_ssize_t, codec=TypeCodec)
    cpdef int write(self, bytearray out, values) except -1
    @cython.locals(size=Py_ssize_t)
    cpdef int write_row(self, bytearray out, values) except -1
    @cython.locals(count=Py_ssize_t)
    cpdef Py_ssize_t write_rows(self, bytearray out, rows, Py_ssize_t size) except -1


cdef list _untracked_list()
cdef _in_order(values)
