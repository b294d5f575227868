cimport cython

from wirekit.protocols.mqtt cimport _primitives


@cython.final
cdef class Reader:
    cdef bytes _owner
    cdef const unsigned char *_data
    cdef Py_ssize_t _position
    cdef Py_ssize_t _end

    cdef void begin(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end) noexcept
    cpdef Py_ssize_t remaining(self)
    @cython.locals(position=Py_ssize_t)
    cpdef int byte(self, name) except -1
    @cython.locals(position=Py_ssize_t)
    cpdef Py_ssize_t two_byte_integer(self, name) except -1
    @cython.locals(position=Py_ssize_t)
    cpdef Py_ssize_t four_byte_integer(self, name) except -1
    @cython.locals(number=Py_ssize_t, shift=int, position=Py_ssize_t, byte=int)
    cpdef Py_ssize_t variable_byte_integer(self, name) except -1
    @cython.locals(length=Py_ssize_t, position=Py_ssize_t)
    cpdef bytes binary_data(self, name)
    @cython.locals(length=Py_ssize_t, position=Py_ssize_t)
    cpdef text(self, name)
    @cython.locals(part=Reader, position=Py_ssize_t)
    cpdef Reader part(self, Py_ssize_t length, name)
    cpdef end(self, name)
    @cython.locals(position=Py_ssize_t)
    cdef Py_ssize_t _take(self, Py_ssize_t length, name) except -1
    cdef _too_short(self, name)
