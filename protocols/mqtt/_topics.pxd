cimport cython

cdef Py_ssize_t _MOST_BYTES
cdef Py_ssize_t _MOST_TOPICS
cdef Py_ssize_t _LONGEST_KEPT

cpdef make_topic(text)
@cython.locals(text=str)
cpdef read_topic(bytes data)
cpdef check_topic_name(name)
cpdef check_topic_filter(topic_filter)
cdef void _check_text(text) except *
cpdef check_name(name, statement=*)
cpdef check_filter(topic_filter)
cdef _invalid_name(text, statement)
cdef _invalid_filter(text, statement)
cpdef bint is_shared(topic_filter) except -1
