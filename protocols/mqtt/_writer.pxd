cimport cython

from wirekit.protocols.mqtt cimport _primitives
from wirekit.protocols.mqtt._packets cimport Publish

cdef int _PUBLISH
cdef int _TOPIC_ALIAS
cdef int _ALIAS_SIZE


cpdef int integer_size(Py_ssize_t number)
@cython.locals(length=Py_ssize_t, properties=Py_ssize_t)
cpdef Py_ssize_t publish_length(
    Publish packet, int version, int alias, bytes block
) except -1
@cython.locals(
    payload=bytes,
    size=Py_ssize_t,
    room=bytes,
    place="unsigned char *",
    first=int,
    position=Py_ssize_t,
    properties=Py_ssize_t,
)
cpdef bytes write_publish(
    Publish packet,
    int version,
    int alias,
    bytes block,
    int packet_id,
    Py_ssize_t length,
    bint whole,
)
@cython.locals(room=bytes, place="unsigned char *")
cpdef bytes write_acknowledgement(int first, int packet_id)
cdef Py_ssize_t _put_integer(unsigned char *place, Py_ssize_t position, Py_ssize_t number) noexcept
cdef Py_ssize_t _put_uint16(unsigned char *place, Py_ssize_t position, Py_ssize_t number) noexcept
