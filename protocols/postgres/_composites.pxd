cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec
from wirekit.protocols.postgres._record cimport RecordKeys

cdef int _MAX_DEPTH


cdef class CompositeCodec(TypeCodec):
    cdef RecordKeys _keys
    cdef tuple _codecs
    cdef tuple _types

    @cython.locals(
        count=Py_ssize_t,
        position=Py_ssize_t,
        items=tuple,
        number=Py_ssize_t,
        oid="unsigned int",
        length=Py_ssize_t,
        codec=TypeCodec,
        values=tuple,
    )
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(values=tuple, start=Py_ssize_t, number=Py_ssize_t, codec=TypeCodec)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(count=Py_ssize_t, values=list, items=tuple)
cpdef tuple attribute_values(name, RecordKeys keys, value)


cdef bint _is_mapping(value) except -1
cdef bint _is_iterable(value) except -1


cdef class RecordCodec(TypeCodec):
    cdef int _depth
    cdef object _find

    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(
        count=Py_ssize_t,
        position=Py_ssize_t,
        items=tuple,
        number=Py_ssize_t,
        oid="unsigned int",
        length=Py_ssize_t,
        codec=TypeCodec,
    )
    cdef _read_items(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1
