cimport cython

from wirekit.protocols.mqtt cimport _primitives
from wirekit.protocols.mqtt._aliases cimport Aliases
from wirekit.protocols.mqtt._limits cimport Limits
from wirekit.protocols.mqtt._packets cimport (
    Acknowledgement,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
)

cdef Py_ssize_t _ALONE
cdef int _PUBLISH
cdef int _PUBACK
cdef int _PUBREC
cdef int _PUBREL
cdef int _PUBCOMP
cdef int _TOPIC_ALIAS
cdef int _ALIAS_SIZE
cdef int _CONNECTING_KINDS
cdef int _LAST_KINDS

cdef object _SUCCESS
cdef object _CONNECTING
cdef object _CONNECTED
cdef object _CLOSED
cdef object _ERROR


cdef class Sender:
    cdef readonly object role
    cdef int _version
    cdef bint _automatic_topic_aliases
    cdef object _agreement
    cdef bint _failed
    cdef object _state
    cdef object _stage
    cdef int _may_send
    cdef int _may_receive
    cdef Limits _own
    cdef Limits _peer
    cdef bytearray _unacknowledged
    cdef int _unacknowledged_count
    cdef Aliases _aliases
    cdef set _given_aliases

    @cython.locals(pieces=list, alone=bint, publish=Publish)
    cdef list _pack(self, tuple packets, bint apart)
    cdef _take_back(self, agreement)
    cdef _refresh(self)
    cdef _refuse_output(self, int kind)

    @cython.locals(
        payload=bytes,
        qos=int,
        topic_size=Py_ssize_t,
        remaining=Py_ssize_t,
        alias=int,
        block=bytes,
        length=Py_ssize_t,
        size=Py_ssize_t,
        room=bytes,
        place="unsigned char *",
        position=Py_ssize_t,
    )
    cdef bytes _write_publish(self, Publish packet, bint whole)
    @cython.locals(qos=int)
    cdef void _check_publish(self, Publish packet) except *
    cdef bytes _write_publish_properties(self, Publish packet)
    cdef _too_large(self, Py_ssize_t size)

    @cython.locals(kind=int, room=bytes, place="unsigned char *")
    cdef bytes _write_acknowledgement(self, Acknowledgement packet)
    @cython.locals(place=int, bit=int)
    cdef void _acknowledge(self, Acknowledgement packet) except *
    cdef bytes _write_control(self, packet)
    cdef _take(self, packet, sender)


cdef int _integer_size(Py_ssize_t number) noexcept
cdef Py_ssize_t _put_integer(unsigned char *place, Py_ssize_t position, Py_ssize_t number) noexcept
cdef Py_ssize_t _put_uint16(unsigned char *place, Py_ssize_t position, Py_ssize_t number) noexcept
