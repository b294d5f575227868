cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec

cdef int _POSITIVE
cdef int _NEGATIVE
cdef int _NAN
cdef int _INFINITY
cdef int _NEGATIVE_INFINITY

cdef int _MAX_DECIMALS
cdef int _MAX_WEIGHT
cdef int _MAX_GROUPS
cdef int _MAX_ZEROS

cdef object _create_decimal
cdef dict _SPECIAL


cdef class NumericCodec(TypeCodec):
    @cython.locals(groups=int, weight=int, sign=int, decimals=int, given=int)
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(text=bytes, data="const unsigned char *", position=Py_ssize_t)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(
    sign=int,
    data="const unsigned char *",
    end=Py_ssize_t,
    exponent="long long",
    mark=Py_ssize_t,
    point=Py_ssize_t,
    decimals="long long",
    count="long long",
    whole="long long",
    weight="long long",
    padding="long long",
    groups="long long",
    group=int,
)
cdef int _write_finite(bytearray out, bytes text, Py_ssize_t position) except -1
@cython.locals(
    group="unsigned int",
    position=Py_ssize_t,
    size=Py_ssize_t,
    number=int,
    characters="unsigned char *",
)
cdef _digits(
    TypeCodec codec,
    const unsigned char *data,
    Py_ssize_t start,
    int groups,
    int weight,
    int sign,
    int decimals,
)
@cython.locals(number=int)
cdef _with_exponent(
    TypeCodec codec, const unsigned char *data, Py_ssize_t start, int groups, int weight, int sign
)
cdef int _read_group(
    TypeCodec codec, const unsigned char *data, Py_ssize_t start, int number
) except -1
cdef int _write_header(
    bytearray out, int groups, int weight, int sign, int decimals
) except -1
