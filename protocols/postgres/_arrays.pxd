cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec

cdef int _MAX_DIMENSIONS
cdef Py_ssize_t _MAX_SIZE


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
cpdef bint is_dimension(value) except -1
cdef bint _is_list(value) noexcept
cdef bint _is_container(value) except -1
