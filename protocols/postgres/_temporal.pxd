cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TypeCodec

cdef object _UTC
cdef object _MIN_DATE
cdef object _MAX_DATE
cdef object _MIN_DATETIME
cdef object _MAX_DATETIME

cdef long long _MIN_INT32
cdef long long _MAX_INT32
cdef long long _MIN_INT64
cdef long long _MAX_INT64

cdef long long _EPOCH_DAYS
cdef long long _LAST_DAY
cdef long long _DAY
cdef long long _EPOCH_MICROSECONDS
cdef long long _LAST_MICROSECOND
cdef long long _MAX_TIMEDELTA_DAYS


cdef _unrepresentable(TypeCodec codec)


cdef class DateCodec(TypeCodec):
    @cython.locals(days="long long")
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(days="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class TimestampCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(microseconds="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class TimestamptzCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(microseconds="long long")
cdef _read_timestamp(
    TypeCodec codec, const unsigned char *data, Py_ssize_t start, Py_ssize_t end, tzinfo
)
cdef int _write_timestamp(bytearray out, long long microseconds) except -1
cdef _no_datetime(value)


cdef class TimeCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(microseconds="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class TimetzCodec(TypeCodec):
    @cython.locals(west=int)
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(microseconds="long long", west=int)
    cdef int write(self, bytearray out, value) except -1


@cython.locals(microseconds="long long")
cdef _read_time(TypeCodec codec, const unsigned char *data, Py_ssize_t start, tzinfo)
cdef long long _microseconds_of_time(value) except -1


cdef class IntervalCodec(TypeCodec):
    @cython.locals(
        microseconds="long long",
        days="long long",
        months="long long",
        size="long long",
        of_months="long long",
        whole="long long",
    )
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(days="long long", microseconds="long long")
    cdef int write(self, bytearray out, value) except -1
