# The C types of resp.py, which runs without them too.

cimport cython

cdef int _CR
cdef int _LF
cdef int _ZERO

cdef int _SIMPLE_STRING
cdef int _INTEGER
cdef int _NULL
cdef int _DOUBLE
cdef int _BULK_STRING
cdef int _VERBATIM_STRING
cdef int _ARRAY
cdef int _MAP
cdef int _SET
cdef int _PUSH
cdef int _ATTRIBUTE
cdef int _CHUNK
cdef int _END

cdef object _TYPES
cdef Py_ssize_t _MAX_LIMIT
cdef Py_ssize_t _MAX_NUMBER_KEYS
cdef Py_ssize_t _MAX_AGGREGATE_KEYS
cdef Py_ssize_t _ALONE

cdef object _OPEN
cdef object _CLOSED
cdef object _ERROR

cdef tuple _COUNTS
cdef tuple _LENGTHS


@cython.final
@cython.freelist(8)
@cython.no_gc  # it holds parsed values only, which hold no aggregate: there are no cycles
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
    cdef unsigned long long _max_reply_length
    cdef Py_ssize_t _max_depth
    cdef bint _keep_attributes

    cdef object _state
    cdef object _fault
    cdef unsigned long long _offset
    cdef unsigned long long _mark
    cdef unsigned long long _started

    cdef list _data
    cdef Py_ssize_t _waiting
    cdef int _bulk
    cdef Py_ssize_t _missing
    cdef object _body
    cdef bint _streaming
    cdef Py_ssize_t _total
    cdef _Aggregate _top
    cdef Py_ssize_t _depth
    cdef Py_ssize_t _elements
    cdef dict _attributes

    @cython.locals(pieces=list)
    cdef list _pack(self, tuple messages)
    cdef _fail(self, fault, list replies)
    cdef _refuse_input(self)
    cdef _forget(self)

    @cython.locals(position=Py_ssize_t, begun="unsigned long long")
    cdef void _receive(self, bytes data, list replies) except *
    cdef _too_long(self)
    @cython.locals(
        pointer="const unsigned char*",
        size=Py_ssize_t,
        kind=int,
        start=Py_ssize_t,
        cursor=Py_ssize_t,
        number=Py_ssize_t,
        limit=Py_ssize_t,
        digits_end=Py_ssize_t,
        after=Py_ssize_t,
        end=Py_ssize_t,
        whole=bint,
        top=_Aggregate,
    )
    cdef void _parse(self, bytes data, Py_ssize_t position, list replies) except *
    cdef void _wait(self, bytes data, Py_ssize_t position) except *
    cdef void _expect(self, int kind) except *
    @cython.locals(end=Py_ssize_t)
    cdef Py_ssize_t _find_end(self, bytes data, Py_ssize_t position) except -2
    cdef Py_ssize_t _take_line(
        self, int kind, bytes line, bytes data, Py_ssize_t position, list replies
    ) except -2

    @cython.locals(length=Py_ssize_t)
    cdef bint _open_bulk(self, int kind, bytes line, list replies) except -1
    @cython.locals(kind=int, piece=bytes)
    cdef Py_ssize_t _read_body(self, bytes data, Py_ssize_t position, list replies) except -2
    cdef bytes _take_body(self)

    cdef void _open_line(self, int kind, bytes line, list replies) except *
    @cython.locals(in_pairs=bint, parent=_Aggregate, top=_Aggregate)
    cdef void _open(self, int kind, Py_ssize_t count, list replies) except *
    cdef void _count(self, Py_ssize_t elements) except *
    @cython.locals(top=_Aggregate)
    cdef void _end_streamed(self, bytes line, list replies) except *
    cdef void _end(self, _Aggregate top, list replies) except *
    @cython.locals(top=_Aggregate)
    cdef void _deliver(self, value, list replies) except *
    @cython.locals(items=list, pairs=dict, number=Py_ssize_t)
    cdef _close(self, _Aggregate top)


cdef Py_ssize_t _length(bytes line) except -1
@cython.locals(pointer="const unsigned char*", size=Py_ssize_t, cursor=Py_ssize_t)
cdef bint _is_decimal(bytes text) except -1
@cython.locals(pointer="const unsigned char*", size=Py_ssize_t, start=Py_ssize_t)
cdef Py_ssize_t _after_digits(bytes text, Py_ssize_t cursor, bint signed) except -2
@cython.locals(in_pairs=bint)
cdef bint _in_key(_Aggregate parent) except -1
cdef _push(list items)
@cython.locals(kind=type, numbers=Py_ssize_t, aggregates=Py_ssize_t)
cdef void _check_keys(list items) except *
@cython.locals(count=Py_ssize_t, number=Py_ssize_t, length=Py_ssize_t)
cdef void _pack_command(message, list pieces) except *
@cython.locals(buffers=list, number=Py_ssize_t, start=Py_ssize_t)
cdef list _join_small(list pieces)
@cython.locals(number=Py_ssize_t, default=bint, text=bytes)
cdef list _decode_list(list items, encoding, errors)
