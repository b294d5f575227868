cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec

cdef int _EMPTY
cdef int _LOWER_INCLUSIVE
cdef int _UPPER_INCLUSIVE
cdef int _LOWER_INFINITE
cdef int _UPPER_INFINITE

cdef object _RANGE_EMPTY
cdef object _RANGE_LOWER
cdef object _RANGE_LOWER_INC
cdef object _RANGE_UPPER
cdef object _RANGE_UPPER_INC


cdef class RangeCodec(TypeCodec):
    cdef TypeCodec _bound

    @cython.locals(
        flags=int, position=Py_ssize_t, length=Py_ssize_t, lower_inc=bint, upper_inc=bint
    )
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(length=Py_ssize_t)
    cdef Py_ssize_t _bound_length(
        self, const unsigned char *data, Py_ssize_t position, Py_ssize_t end
    ) except -1
    @cython.locals(flags=int, start=Py_ssize_t)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(flags=int)
cdef tuple _range_parts(value)
cdef bint _is_range(value) except -1
cdef bint _is_pair(value) except -1
cdef bint _is_sequence(value) except -1


cdef class MultirangeCodec(TypeCodec):
    cdef TypeCodec _range

    @cython.locals(
        count=Py_ssize_t, position=Py_ssize_t, length=Py_ssize_t, ranges=list
    )
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(start=Py_ssize_t)
    cdef int write(self, bytearray out, value) except -1
