cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _record
from wirekit.protocols.postgres._codecs cimport TypeCodec
from wirekit.protocols.postgres._record cimport RecordKeys

cdef int _MAX_DIMENSIONS
cdef Py_ssize_t _MAX_LENGTH
cdef int _MAX_DEPTH

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


cdef _malformed(name, fault)
cdef _only_text(name, TypeCodec codec)
@cython.locals(length=Py_ssize_t)
cdef int _end_field(bytearray out, Py_ssize_t position) except -1


cdef class ArrayCodec(TypeCodec):
    cdef TypeCodec _element
    cdef unsigned int _element_type

    @cython.locals(found="unsigned int")
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(sizes=tuple, position=Py_ssize_t)
    cdef int write(self, bytearray out, value) except -1
    @cython.locals(count=Py_ssize_t)
    cdef int _write_nested(
        self, bytearray out, value, tuple sizes, Py_ssize_t dimension
    ) except -1
    @cython.locals(element=TypeCodec, count=Py_ssize_t)
    cdef int _write_items(self, bytearray out, value, Py_ssize_t size) except -1


cdef class AnyArrayCodec(TypeCodec):
    cdef object _find

    @cython.locals(oid="unsigned int", element=TypeCodec)
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(
    dimensions=int,
    position=Py_ssize_t,
    most=Py_ssize_t,
    count=Py_ssize_t,
    number=Py_ssize_t,
    size=Py_ssize_t,
    items=list,
    length=Py_ssize_t,
    first=Py_ssize_t,
)
cdef _read_array(
    name, TypeCodec element, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
)


@cython.locals(size=Py_ssize_t, sizes=list)
cpdef tuple array_sizes(value)
cdef bint _is_dimension(value) except -1
cdef bint _is_container(value) except -1


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


cdef class MultirangeCodec(TypeCodec):
    cdef TypeCodec _range

    @cython.locals(
        count=Py_ssize_t, position=Py_ssize_t, length=Py_ssize_t, ranges=list
    )
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(start=Py_ssize_t)
    cdef int write(self, bytearray out, value) except -1
