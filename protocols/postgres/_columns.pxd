cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec
from wirekit.protocols.postgres._rows cimport RowSink

cdef int _EPOCH_DAYS
cdef long long _EPOCH_MICROSECONDS
cdef long long _DAY
cdef int _MAX_INT32
cdef int _MIN_INT32
cdef long long _MAX_INT64
cdef long long _MIN_INT64
cdef int _MIN_DATE
cdef int _MAX_DATE
cdef long long _MIN_TIMESTAMP
cdef long long _MAX_TIMESTAMP


cdef class ColumnBuffer:
    cdef readonly object kind
    cdef readonly Py_ssize_t count
    cdef readonly bytearray validity
    cdef readonly bytearray values
    cdef readonly bytearray offsets
    cdef readonly list objects
    cdef TypeCodec _codec

    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1
    cdef int mark_null(self) except -1
    @cython.locals(missing=Py_ssize_t)
    cdef int pad(self, Py_ssize_t count) except -1


cdef class _BoolColumn(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _Column2(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _Column4(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _Column8(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _Column16(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _DateColumn(_Column4):
    @cython.locals(days=int)
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1


cdef class _TimestampColumn(_Column8):
    @cython.locals(microseconds="long long")
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1


cdef class _TimeColumn(_Column8):
    @cython.locals(microseconds="long long")
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1


cdef class _BytesColumn(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class _ObjectColumn(ColumnBuffer):
    cdef int append(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef int append_null(self) except -1


cdef class ColumnReader(RowSink):
    cdef tuple _columns
    cdef Py_ssize_t _width

    @cython.locals(
        count=Py_ssize_t,
        position=Py_ssize_t,
        number=Py_ssize_t,
        length=Py_ssize_t,
        column=ColumnBuffer,
    )
    cdef int read_row(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) except -1
    @cython.locals(columns=tuple, column=ColumnBuffer)
    cdef take(self)
