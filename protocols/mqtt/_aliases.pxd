cimport cython

cdef Py_ssize_t _MOST_CANDIDATES
cdef Py_ssize_t _SHORTEST


@cython.final
cdef class Aliases:
    cdef public int most
    cdef dict _numbers
    cdef dict _candidates

    cpdef int find(self, topic) except? -1
    cpdef give(self, topic, int alias)
    cpdef forget(self)
