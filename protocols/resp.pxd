# The C types of resp.py, which also runs without them. cython: language_level=3

cimport cython

cdef int _CR
cdef int _LF
cdef int _ZERO

cdef int _SIMPLE_STRING
cdef int _SIMPLE_ERROR
cdef int _INTEGER
cdef int _NULL
cdef int _BOOLEAN
cdef int _DOUBLE
cdef int _BIG_NUMBER
cdef int _BULK_STRING
cdef int _BULK_ERROR
cdef int _VERBATIM_STRING
cdef int _ARRAY
cdef int _MAP
cdef int _SET
cdef int _PUSH
cdef int _ATTRIBUTE
cdef int _CHUNK
cdef int _END

cdef object _OPEN
cdef object _CLOSED
cdef object _ERROR
cdef tuple _HEADERS


@cython.final
cdef class _Aggregate:
    cdef int kind
    cdef list items
    cdef Py_ssize_t remaining
    cdef bint hashable
    cdef dict attributes
    cdef _Aggregate parent


cdef class Codec:
    cdef Py_ssize_t _max_bulk_length
    cdef Py_ssize_t _max_elements
    cdef Py_ssize_t _max_line_length
    cdef Py_ssize_t _max_depth
    cdef bint _keep_attributes

    cdef object _state
    cdef object _fault
    cdef unsigned long long _offset
    cdef unsigned long long _mark

    cdef list _data
    cdef Py_ssize_t _waiting
    cdef int _bulk
    cdef Py_ssize_t _missing
    cdef list _pieces
    cdef bint _streaming
    cdef Py_ssize_t _total
    cdef _Aggregate _top
    cdef Py_ssize_t _depth
    cdef Py_ssize_t _elements
    cdef dict _attributes

    cdef list _pack(self, message)
    cdef _malformed(self, str what)
    cdef _too_large(self, str what)
    cdef _fail(self, fault)
    cdef _forget(self)
    cdef _refuse_input(self)

    cdef void _receive(self, bytes data, list replies) except *
    @cython.locals(
        pointer="const unsigned char*",
        size=Py_ssize_t,
        kind=int,
        start=Py_ssize_t,
        cursor=Py_ssize_t,
        number=Py_ssize_t,
        limit=Py_ssize_t,
        after=Py_ssize_t,
        end=Py_ssize_t,
        top=_Aggregate,
    )
    cdef void _parse(self, bytes data, Py_ssize_t position, list replies) except *
    cdef void _wait(self, bytes data, Py_ssize_t position) except *
    @cython.locals(kind=int, end=Py_ssize_t, line=bytes)
    cdef Py_ssize_t _read_line(self, bytes data, Py_ssize_t position, list replies) except -2
    cdef _read_scalar(self, int kind, bytes line)
    cdef _read_integer(self, bytes line)
    cdef _read_double(self, bytes line)
    cdef _read_big_number(self, bytes line)
    cdef Py_ssize_t _read_length(self, bytes line) except -1

    @cython.locals(length=Py_ssize_t)
    cdef bint _open_bulk(self, int kind, bytes line, list replies) except -1
    @cython.locals(kind=int, piece=bytes)
    cdef Py_ssize_t _read_body(self, bytes data, Py_ssize_t position, list replies) except -2
    cdef _bulk_value(self, int kind, bytes body)
    cdef bytes _take_pieces(self)

    cdef void _read_count(self, int kind, bytes line, list replies) except *
    @cython.locals(parent=_Aggregate, top=_Aggregate, hashable=bint, in_pairs=bint, is_key=bint)
    cdef void _open(self, int kind, Py_ssize_t count, list replies) except *
    cdef void _count(self, Py_ssize_t elements) except *
    @cython.locals(top=_Aggregate)
    cdef void _end_streamed(self, bytes line, list replies) except *
    cdef void _end(self, _Aggregate top, list replies) except *
    @cython.locals(top=_Aggregate)
    cdef void _deliver(self, value, list replies) except *
    @cython.locals(items=list, pairs=dict)
    cdef _close(self, _Aggregate top)
    cdef _push(self, list items)


@cython.locals(pieces=list, size=Py_ssize_t)
cdef list _pack_command(message)
cdef _pack_argument(argument)
