cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.mqtt cimport _primitives
from wirekit.protocols.mqtt._reader cimport Reader

cdef int _CONNECT
cdef int _CONNACK
cdef int _PUBLISH
cdef int _SUBSCRIBE
cdef int _SUBACK
cdef int _UNSUBSCRIBE
cdef int _UNSUBACK
cdef int _DISCONNECT
cdef int _AUTH
cdef int _WILL

cdef int _FLAG
cdef int _UINT16
cdef int _UINT32
cdef int _VARIABLE
cdef int _TEXT
cdef int _BINARY
cdef int _PAIR
cdef int _TOPIC

cdef Py_ssize_t _LARGEST
cdef Py_ssize_t _MOST_BYTES
cdef frozenset _NOT_ZERO
cdef dict _MOST
cdef list _BY_IDENTIFIER
cdef dict _BY_NAME


@cython.locals(
    properties=dict, identifier=Py_ssize_t, entry=tuple, of_type=int, kinds=int, pair=tuple, pairs=list
)
cpdef dict read_properties(Reader reader, int kind)
@cython.locals(number=Py_ssize_t)
cdef _read_value(Reader reader, name, int of_type)
cdef void _check_number(Py_ssize_t number, name, int of_type) except *
cdef void _check_response_topic(text) except *
@cython.locals(out=bytearray, entry=tuple, identifier=int, of_type=int, kinds=int)
cpdef bytes write_properties(properties, int kind)
cdef _several(value, name, int of_type, int kind)
cdef void _write_value(bytearray out, value, name, int of_type) except *
cdef void _write_number(bytearray out, value, name, int of_type) except *
@cython.locals(out=bytearray)
cpdef bytes write_text(text, name)
@cython.locals(size=Py_ssize_t)
cdef void _write_text(bytearray out, text, name) except *
@cython.locals(out=bytearray, byte=int)
cpdef bytes variable_byte_integer(Py_ssize_t number, name)
