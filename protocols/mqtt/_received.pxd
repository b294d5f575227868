cimport cython

from wirekit.protocols.mqtt cimport _primitives
from wirekit.protocols.mqtt._topics cimport read_topic

cdef Py_ssize_t _SLOTS
cdef Py_ssize_t _LONGEST_KEPT


@cython.final
cdef class KnownTopics:
    cdef list _bytes
    cdef list _topics

    @cython.locals(slot=Py_ssize_t, name=bytes)
    cdef find(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)


@cython.final
cdef class GivenAliases:
    cdef dict _topics

    @cython.locals(alias=int)
    cpdef resolve(self, topic, dict properties, int most, sender)


@cython.final
cdef class Unacknowledged:
    cdef bytearray _bits
    cdef int _count

    @cython.locals(place=int, bit=int)
    cpdef bint add(self, int packet_id, int most) except -1
    @cython.locals(place=int, bit=int)
    cpdef int remove(self, int packet_id) except -1
