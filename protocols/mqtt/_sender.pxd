cimport cython

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
from wirekit.protocols.mqtt._properties cimport write_properties
from wirekit.protocols.mqtt._received cimport Unacknowledged
from wirekit.protocols.mqtt._writer cimport (
    integer_size,
    publish_length,
    write_acknowledgement,
    write_publish,
)

cdef Py_ssize_t _ALONE
cdef Py_ssize_t _SMALLEST
cdef int _PUBLISH
cdef int _PUBACK
cdef int _PUBREC
cdef int _PUBREL
cdef int _PUBCOMP
cdef int _CONNECTING_KINDS
cdef int _LAST_KINDS

cdef object _SUCCESS
cdef object _CONNECTING
cdef object _CONNECTED
cdef object _CLOSED
cdef object _ERROR


cdef class Sender:
    cdef readonly object role
    cdef object _peer_role
    cdef int _version
    cdef Py_ssize_t _maximum_packet_size
    cdef Py_ssize_t _largest
    cdef bint _automatic_topic_aliases
    cdef object _agreement
    cdef bint _failed
    cdef object _state
    cdef int _may_send
    cdef int _may_receive
    cdef Limits _own
    cdef Limits _peer
    cdef Unacknowledged _unacknowledged
    cdef Aliases _aliases
    cdef set _given_aliases

    @cython.locals(pieces=list, alone=bint, publish=Publish)
    cdef list _pack(self, tuple packets, bint apart)
    cdef _take_back(self, agreement)
    cdef _refresh(self)
    cdef _end_output(self)
    cdef _refuse_output(self, int kind)

    @cython.locals(
        packet_id=int, given=int, alias=int, block=bytes, length=Py_ssize_t, size=Py_ssize_t
    )
    cdef bytes _write_publish(self, Publish packet, bint whole)
    @cython.locals(qos=int)
    cdef int _check_publish(self, Publish packet) except -1
    @cython.locals(block=bytes)
    cdef bytes _write_publish_properties(self, Publish packet, properties)
    cdef _too_large(self, Py_ssize_t size)

    @cython.locals(kind=int, first=int)
    cdef bytes _write_acknowledgement(self, Acknowledgement packet)
    cdef int _acknowledge(self, Acknowledgement packet) except -1
    cdef bytes _write_control(self, packet)
    cdef _take(self, packet, sender)

