cimport cython


@cython.final
cdef class Limits:
    cdef readonly int receive_maximum
    cdef readonly Py_ssize_t maximum_packet_size
    cdef readonly int topic_alias_maximum
    cdef readonly int maximum_qos
    cdef readonly bint retain_available
    cdef readonly bint wildcard_subscription_available
    cdef readonly bint subscription_identifier_available
    cdef readonly bint shared_subscription_available
