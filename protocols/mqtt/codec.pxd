cimport cython

from wirekit.protocols.mqtt cimport _primitives
from wirekit.protocols.mqtt._packets cimport (
    Acknowledgement,
    Publish,
    received_acknowledgement,
    received_publish,
)
from wirekit.protocols.mqtt._properties cimport read_properties
from wirekit.protocols.mqtt._reader cimport Reader
from wirekit.protocols.mqtt._received cimport GivenAliases, KnownTopics
from wirekit.protocols.mqtt._sender cimport Sender

cdef int _PUBLISH
cdef int _PUBACK
cdef int _PUBREC
cdef int _PUBCOMP
cdef tuple _FLAGS
cdef dict _FLAG_STATEMENTS

cdef object _CLOSED
cdef object _ERROR


cdef class Codec(Sender):
    cdef int _receive_maximum
    cdef object _fault
    cdef bint _closed
    cdef unsigned long long _offset
    cdef unsigned long long _origin
    cdef Py_ssize_t _mark
    cdef Reader _reader
    cdef KnownTopics _known_topics
    cdef GivenAliases _aliases_given
    cdef bytearray _pending
    cdef Py_ssize_t _needed
    cdef Publish _publish
    cdef Py_ssize_t _topic_end
    cdef int _packet_id
    cdef Py_ssize_t _block
    cdef Py_ssize_t _payload
    cdef Py_ssize_t _length
    cdef Py_ssize_t _filled
    cdef bytes _room

    cdef _fail(self, fault, list events)
    cdef _refuse_input(self)

    @cython.locals(position=Py_ssize_t)
    cdef int _receive(
        self, const unsigned char *data, Py_ssize_t size, list events
    ) except -1
    @cython.locals(end=Py_ssize_t, begun=bytes)
    cdef Py_ssize_t _take_pending(
        self, const unsigned char *data, Py_ssize_t position, Py_ssize_t size, list events
    ) except -1
    @cython.locals(end=Py_ssize_t, packet=Publish, place="unsigned char *")
    cdef Py_ssize_t _take_payload(
        self, const unsigned char *data, Py_ssize_t position, Py_ssize_t size, list events
    ) except -1
    cdef _forget_payload(self)
    @cython.locals(
        first=int,
        kind=int,
        start=Py_ssize_t,
        length=Py_ssize_t,
        shift=int,
        byte=int,
        end=Py_ssize_t,
        publish=Publish,
    )
    cdef Py_ssize_t _parse(
        self, const unsigned char *data, Py_ssize_t position, Py_ssize_t size, list events
    ) except -1
    cdef _too_large_for_us(self, Py_ssize_t size)

    @cython.locals(
        qos=int, packet_id=int, most=int
    )
    cdef Publish _read_publish(
        self,
        const unsigned char *data,
        int first,
        Py_ssize_t start,
        Py_ssize_t end,
        Py_ssize_t size,
    )
    @cython.locals(position=Py_ssize_t, length=Py_ssize_t, shift=int, byte=int)
    cdef bint _find_parts(
        self,
        const unsigned char *data,
        int qos,
        Py_ssize_t start,
        Py_ssize_t end,
        Py_ssize_t size,
    ) except -1
    cdef bint _wait(self, Py_ssize_t needed, Py_ssize_t end, name) except -1
    cdef int _check_accepted(self, int qos, int retain, properties) except -1
    cdef _too_many(self, int most)
    @cython.locals(start=Py_ssize_t, place="unsigned char *")
    cdef void _begin_payload(
        self,
        Publish packet,
        const unsigned char *data,
        Py_ssize_t position,
        Py_ssize_t end,
        Py_ssize_t size,
    ) except *
    @cython.locals(packet_id=int, packet=Acknowledgement)
    cdef Acknowledgement _read_acknowledgement(
        self, const unsigned char *data, int kind, Py_ssize_t start, Py_ssize_t end
    )
    cdef void _read_outcome(self, Acknowledgement packet, int kind) except *
    cdef _read_control(
        self, const unsigned char *data, int kind, Py_ssize_t start, Py_ssize_t end
    )
