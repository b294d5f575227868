# What stands in the place of _native.py in compiled modules.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.datetime cimport (
    PyDate_Check,
    PyDateTime_Check,
    PyTime_Check,
    date_day,
    date_month,
    date_new,
    date_year,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_new,
    datetime_second,
    datetime_year,
    import_datetime,
    time_hour,
    time_microsecond,
    time_minute,
    time_new,
    time_second,
    timedelta_new,
)
from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        object (*tp_alloc)(PyTypeObject *of, Py_ssize_t count)
        int (*tp_descr_set)(object slot, object owner, object value) except -1
    PyTypeObject *Py_TYPE(object value)
    object PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    unsigned char *PyUnicode_1BYTE_DATA(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bytes PyUnicode_AsUTF8String(object text)
    object PyList_New(Py_ssize_t count)
    void PyList_SET_ITEM(object items, Py_ssize_t number, object value)
    object _PyLong_FromByteArray(
        const unsigned char *data, size_t size, int little, int is_signed
    )
    double PyFloat_Unpack4(const char *data, int little) except? -1.0
    double PyFloat_Unpack8(const char *data, int little) except? -1.0
    int PyFloat_Pack4(double number, char *data, int little) except -1
    int PyFloat_Pack8(double number, char *data, int little) except -1
    object PyTuple_New(Py_ssize_t count)
    void PyTuple_SET_ITEM(object items, Py_ssize_t number, object value)
    void Py_INCREF(object value)
    void PyObject_GC_UnTrack(void *value)
    void PyObject_GC_Track(void *value)
    int PyObject_GC_IsTracked(object value)
    object index "PyNumber_Index"(object value)
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    double PyFloat_AsDouble(object value) except? -1.0
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)


# Of bytes behind a pointer of its own, a compiler makes a single load.

cdef inline uint16_t read_uint16(const unsigned char *data, Py_ssize_t position) noexcept:
    cdef const unsigned char *first = data + position
    return <uint16_t>(first[0] << 8 | first[1])


cdef inline int16_t read_int16(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int16_t>read_uint16(data, position)


cdef inline uint32_t read_uint32(const unsigned char *data, Py_ssize_t position) noexcept:
    cdef const unsigned char *first = data + position
    return (
        <uint32_t>first[0] << 24
        | <uint32_t>first[1] << 16
        | <uint32_t>first[2] << 8
        | <uint32_t>first[3]
    )


cdef inline int32_t read_int32(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int32_t>read_uint32(data, position)


cdef inline uint64_t read_uint64(const unsigned char *data, Py_ssize_t position) noexcept:
    return <uint64_t>read_uint32(data, position) << 32 | read_uint32(data, position + 4)


cdef inline int64_t read_int64(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int64_t>read_uint64(data, position)


cdef inline object read_uuid_int(const unsigned char *data, Py_ssize_t position):
    return _PyLong_FromByteArray(data + position, 16, 0, 0)


cdef inline double read_float4(const unsigned char *data, Py_ssize_t position) except? -1.0:
    return PyFloat_Unpack4(<const char *>data + position, 0)


cdef inline double read_float8(const unsigned char *data, Py_ssize_t position) except? -1.0:
    return PyFloat_Unpack8(<const char *>data + position, 0)


cdef inline object read_text(const unsigned char *data, Py_ssize_t start, Py_ssize_t end):
    return PyUnicode_DecodeUTF8(<const char *>data + start, end - start, NULL)


cdef inline char *_room(bytearray out, Py_ssize_t size) except NULL:
    """Make ``out`` longer and return where the new bytes begin."""
    cdef Py_ssize_t length = PyByteArray_GET_SIZE(out)
    PyByteArray_Resize(out, length + size)
    return PyByteArray_AS_STRING(out) + length


cdef inline void _put32(char *place, uint32_t number) noexcept:
    place[0] = <char>(number >> 24)
    place[1] = <char>(number >> 16)
    place[2] = <char>(number >> 8)
    place[3] = <char>number


cdef inline int append_int16(bytearray out, int16_t number) except -1:
    cdef char *place = _room(out, 2)
    place[0] = <char>(<uint16_t>number >> 8)
    place[1] = <char>number
    return 0


cdef inline int append_int32(bytearray out, int32_t number) except -1:
    _put32(_room(out, 4), <uint32_t>number)
    return 0


cdef inline int append_int64(bytearray out, int64_t number) except -1:
    cdef char *place = _room(out, 8)
    _put32(place, <uint32_t>(<uint64_t>number >> 32))
    _put32(place + 4, <uint32_t>(<uint64_t>number))
    return 0


cdef inline int append_uint16(bytearray out, uint16_t number) except -1:
    return append_int16(out, <int16_t>number)


cdef inline int append_uint32(bytearray out, uint32_t number) except -1:
    return append_int32(out, <int32_t>number)


cdef inline int append_float4(bytearray out, double number) except -1:
    return PyFloat_Pack4(number, _room(out, 4), 0)


cdef inline int append_float8(bytearray out, double number) except -1:
    return PyFloat_Pack8(number, _room(out, 8), 0)


cdef inline int append_bytes(bytearray out, bytes data) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    memcpy(_room(out, size), PyBytes_AS_STRING(data), size)
    return 0


cdef inline int append_field32(bytearray out, int32_t number) except -1:
    cdef char *place = _room(out, 8)
    _put32(place, 4)
    _put32(place + 4, <uint32_t>number)
    return 0


cdef inline int append_field64(bytearray out, int64_t number) except -1:
    cdef char *place = _room(out, 12)
    _put32(place, 8)
    _put32(place + 4, <uint32_t>(<uint64_t>number >> 32))
    _put32(place + 8, <uint32_t>(<uint64_t>number))
    return 0


cdef inline int append_text_field(bytearray out, text) except -1:
    cdef Py_ssize_t size
    cdef char *place
    cdef bytes data
    if PyUnicode_IS_COMPACT_ASCII(text):
        size = PyUnicode_GET_LENGTH(text)
        place = _room(out, size + 4)
        memcpy(place + 4, PyUnicode_1BYTE_DATA(text), size)
    else:
        data = PyUnicode_AsUTF8String(text)
        size = PyBytes_GET_SIZE(data)
        place = _room(out, size + 4)
        memcpy(place + 4, PyBytes_AS_STRING(data), size)
    if size > 0x7FFFFFFF:
        raise OverflowError("text of 2 GiB or more")
    _put32(place, <uint32_t>size)
    return 0


cdef inline int append_span(
    bytearray out, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
) except -1:
    memcpy(_room(out, end - start), data + start, end - start)
    return 0


cdef inline int put_span(
    bytearray out, Py_ssize_t position, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
) except -1:
    memcpy(PyByteArray_AS_STRING(out) + position, data + start, end - start)
    return 0


cdef inline int append_native16(bytearray out, int16_t number) except -1:
    memcpy(_room(out, 2), &number, 2)
    return 0


cdef inline int append_native32(bytearray out, int32_t number) except -1:
    memcpy(_room(out, 4), &number, 4)
    return 0


cdef inline int append_native64(bytearray out, int64_t number) except -1:
    memcpy(_room(out, 8), &number, 8)
    return 0


cdef inline int put_int32(bytearray out, Py_ssize_t position, int32_t number) except -1:
    _put32(PyByteArray_AS_STRING(out) + position, <uint32_t>number)
    return 0


cdef inline int end_field(bytearray out, Py_ssize_t position) except -1:
    cdef Py_ssize_t length = PyByteArray_GET_SIZE(out) - position - 4
    if length > 0x7FFFFFFF:
        raise ValueError("value too large")
    return put_int32(out, position, <int32_t>length)


cdef inline int64_t as_int64(value) except? -1:
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(index(value), &overflow)
    if overflow:
        raise OverflowError("value out of int64 range")
    return number


cdef inline double as_float8(value) except? -1.0:
    return PyFloat_AsDouble(value)


cdef inline tuple new_items(Py_ssize_t count):
    return <tuple>PyTuple_New(count)


cdef inline void set_item(tuple items, Py_ssize_t number, value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(items, number, value)


cdef inline tuple to_tuple(tuple items):
    return items


cdef inline void untrack(value) noexcept:
    PyObject_GC_UnTrack(<void *>value)


cdef inline void track(value) noexcept:
    if not PyObject_GC_IsTracked(value):
        PyObject_GC_Track(<void *>value)


cdef inline list new_list(Py_ssize_t count):
    return <list>PyList_New(count)


cdef inline void set_list_item(list items, Py_ssize_t number, value) noexcept:
    Py_INCREF(value)
    PyList_SET_ITEM(items, number, value)


cdef inline object new_ascii(Py_ssize_t size):
    return PyUnicode_New(size, 127)


cdef inline unsigned char *ascii_bytes(room) noexcept:
    return PyUnicode_1BYTE_DATA(room)


cdef inline object to_text(room):
    return room


cdef inline object new_object(of):
    return (<PyTypeObject *>of).tp_alloc(<PyTypeObject *>of, 0)


cdef inline int set_slot(slot, owner, value) except -1:
    return Py_TYPE(slot).tp_descr_set(slot, owner, value)


# The proleptic Gregorian calendar by counting years from March on, so that a leap day is a year's
# last day: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

cdef struct _Civil:
    int year
    int month
    int day


cdef inline _Civil _civil_of_days(uint32_t days) noexcept:
    """From days since 0001-01-01, which are 306 since 0000-03-01."""
    cdef uint32_t shifted = days + 306
    cdef uint32_t era = shifted // 146097
    cdef uint32_t day_of_era = shifted % 146097
    cdef uint32_t year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096
    ) // 365
    cdef uint32_t day_of_year = day_of_era - (
        365 * year_of_era + year_of_era // 4 - year_of_era // 100
    )
    cdef uint32_t month = (5 * day_of_year + 2) // 153
    cdef _Civil civil
    civil.day = <int>(day_of_year - (153 * month + 2) // 5 + 1)
    civil.month = <int>(month + 3 if month < 10 else month - 9)
    civil.year = <int>(year_of_era + era * 400 + (1 if month >= 10 else 0))
    return civil


cdef inline uint32_t _days_of_civil(uint32_t year, uint32_t month, uint32_t day) noexcept:
    cdef uint32_t shifted = year - 1 if month <= 2 else year
    cdef uint32_t era = shifted // 400
    cdef uint32_t year_of_era = shifted % 400
    cdef uint32_t from_march = month - 3 if month > 2 else month + 9
    cdef uint32_t day_of_year = (153 * from_march + 2) // 5 + day - 1
    cdef uint32_t day_of_era = (
        year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    )
    return era * 146097 + day_of_era - 306


cdef inline int prepare_datetime() except -1:
    import_datetime()
    return 0


cdef inline object date_of_days(uint32_t days):
    cdef _Civil civil = _civil_of_days(days)
    return date_new(civil.year, civil.month, civil.day)


cdef inline int32_t days_of_date(value) except -1:
    return <int32_t>_days_of_civil(date_year(value), date_month(value), date_day(value))


cdef inline object datetime_of_microseconds(uint64_t microseconds, tzinfo):
    cdef _Civil civil = _civil_of_days(<uint32_t>(microseconds // 86400000000LL))
    cdef uint64_t of_day = microseconds % 86400000000LL
    cdef uint32_t second = <uint32_t>(of_day // 1000000)
    return datetime_new(
        civil.year,
        civil.month,
        civil.day,
        <int>(second // 3600),
        <int>(second // 60 % 60),
        <int>(second % 60),
        <int>(of_day % 1000000),
        tzinfo,
    )


cdef inline int64_t microseconds_of_datetime(value) except -1:
    cdef int64_t days = _days_of_civil(
        datetime_year(value), datetime_month(value), datetime_day(value)
    )
    cdef int64_t seconds = (
        (datetime_hour(value) * 60 + datetime_minute(value)) * 60 + datetime_second(value)
    )
    return (days * 86400 + seconds) * 1000000 + datetime_microsecond(value)


cdef inline object time_of_microseconds(uint64_t microseconds, tzinfo):
    cdef uint32_t second = <uint32_t>(microseconds // 1000000)
    return time_new(
        <int>(second // 3600),
        <int>(second // 60 % 60),
        <int>(second % 60),
        <int>(microseconds % 1000000),
        tzinfo,
    )


cdef inline int64_t microseconds_of_time(value) except -1:
    cdef int64_t seconds = (time_hour(value) * 60 + time_minute(value)) * 60 + time_second(value)
    return seconds * 1000000 + time_microsecond(value)


cdef inline object timedelta_of(int64_t days, int64_t microseconds):
    # Days are floored, because the C API takes seconds and microseconds as an int each.
    cdef int64_t whole = microseconds // 86400000000LL
    cdef int64_t rest = microseconds - whole * 86400000000LL
    return timedelta_new(<int>(days + whole), <int>(rest // 1000000), <int>(rest % 1000000))
