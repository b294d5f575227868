cimport cython

cdef int _PUBACK
cdef int _PUBREC
cdef int _PUBREL

cdef object _SUCCESS
cdef dict TOPICS


@cython.final
@cython.no_gc  # it holds text, bytes and numbers, and a dict of these: there are no cycles
cdef class Publish:
    cdef readonly object topic
    cdef readonly bytes payload
    cdef readonly int qos
    cdef readonly bint retain
    cdef public bint duplicate
    cdef public object packet_id
    cdef object _properties


@cython.no_gc
cdef class Acknowledgement:
    cdef readonly int packet_id
    cdef readonly object reason_code
    cdef object _properties


@cython.final
@cython.no_gc
cdef class PubAck(Acknowledgement):
    pass


@cython.final
@cython.no_gc
cdef class PubRec(Acknowledgement):
    pass


@cython.final
@cython.no_gc
cdef class PubRel(Acknowledgement):
    pass


@cython.final
@cython.no_gc
cdef class PubComp(Acknowledgement):
    pass


@cython.locals(packet=Publish)
cpdef Publish received_publish(topic, int first, int packet_id, properties)
@cython.locals(packet=Acknowledgement)
cpdef Acknowledgement received_acknowledgement(int kind, int packet_id)
cdef _checked(properties)
