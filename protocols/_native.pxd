# What stands in the place of _native.py in compiled modules.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    double PyFloat_Unpack4(const char *data, int little) except? -1.0
    double PyFloat_Unpack8(const char *data, int little) except? -1.0
    int PyFloat_Pack4(double number, char *data, int little) except -1
    int PyFloat_Pack8(double number, char *data, int little) except -1
    object PyTuple_New(Py_ssize_t count)
    void PyTuple_SET_ITEM(object items, Py_ssize_t number, object value)
    void Py_INCREF(object value)
    void PyObject_GC_UnTrack(void *value)
    object index "PyNumber_Index"(object value)
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    double PyFloat_AsDouble(object value) except? -1.0
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)


cdef inline uint16_t read_uint16(const unsigned char *data, Py_ssize_t position) noexcept:
    return <uint16_t>(data[position] << 8 | data[position + 1])


cdef inline int16_t read_int16(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int16_t>read_uint16(data, position)


cdef inline uint32_t read_uint32(const unsigned char *data, Py_ssize_t position) noexcept:
    return (
        <uint32_t>data[position] << 24
        | <uint32_t>data[position + 1] << 16
        | <uint32_t>data[position + 2] << 8
        | <uint32_t>data[position + 3]
    )


cdef inline int32_t read_int32(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int32_t>read_uint32(data, position)


cdef inline uint64_t read_uint64(const unsigned char *data, Py_ssize_t position) noexcept:
    return <uint64_t>read_uint32(data, position) << 32 | read_uint32(data, position + 4)


cdef inline int64_t read_int64(const unsigned char *data, Py_ssize_t position) noexcept:
    return <int64_t>read_uint64(data, position)


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


cdef inline int append_float4(bytearray out, double number) except -1:
    return PyFloat_Pack4(number, _room(out, 4), 0)


cdef inline int append_float8(bytearray out, double number) except -1:
    return PyFloat_Pack8(number, _room(out, 8), 0)


cdef inline int append_bytes(bytearray out, bytes data) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    memcpy(_room(out, size), PyBytes_AS_STRING(data), size)
    return 0


cdef inline int put_int32(bytearray out, Py_ssize_t position, int32_t number) except -1:
    _put32(PyByteArray_AS_STRING(out) + position, <uint32_t>number)
    return 0


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
