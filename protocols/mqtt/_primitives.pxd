# What stands in the place of _primitives.py in compiled modules.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)


cdef inline Py_buffer *open_buffer(data) except NULL:
    cdef Py_buffer *buffer = <Py_buffer *>PyMem_Malloc(sizeof(Py_buffer))
    if buffer == NULL:
        raise MemoryError()
    try:
        PyObject_GetBuffer(data, buffer, PyBUF_SIMPLE)
    except BaseException:
        PyMem_Free(buffer)
        raise
    return buffer


cdef inline const unsigned char *buffer_data(Py_buffer *buffer) noexcept:
    return <const unsigned char *>buffer.buf


cdef inline Py_ssize_t buffer_size(Py_buffer *buffer) noexcept:
    return buffer.len


cdef inline void close_buffer(Py_buffer *buffer) noexcept:
    PyBuffer_Release(buffer)
    PyMem_Free(buffer)


cdef inline Py_ssize_t read_uint16(const unsigned char *data, Py_ssize_t position) noexcept:
    return data[position] << 8 | data[position + 1]


cdef inline Py_ssize_t read_uint32(const unsigned char *data, Py_ssize_t position) noexcept:
    return (
        <Py_ssize_t>data[position] << 24
        | <Py_ssize_t>data[position + 1] << 16
        | <Py_ssize_t>data[position + 2] << 8
        | <Py_ssize_t>data[position + 3]
    )


cdef inline bytes read_bytes(const unsigned char *data, Py_ssize_t start, Py_ssize_t end):
    return PyBytes_FromStringAndSize(<const char *>data + start, end - start)


cdef inline object read_text(const unsigned char *data, Py_ssize_t start, Py_ssize_t end):
    return PyUnicode_DecodeUTF8(<const char *>data + start, end - start, NULL)


cdef inline bint has_null(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end
) noexcept:
    return memchr(data + start, 0, end - start) != NULL


cdef inline uint64_t _load64(const unsigned char *place) noexcept:
    cdef uint64_t word
    memcpy(&word, place, 8)
    return word


cdef inline Py_ssize_t hash_span(
    const unsigned char *data, Py_ssize_t start, Py_ssize_t end
) noexcept:
    # Eight bytes at once, the last ones perhaps twice. A peer who makes topics collide gains
    # nothing but that they are not kept.
    cdef Py_ssize_t size = end - start
    cdef const unsigned char *place = data + start
    cdef uint64_t number = <uint64_t>size * 0x9E3779B97F4A7C15U
    cdef Py_ssize_t done = 0
    if size >= 8:
        while done + 8 <= size:
            number = (number ^ _load64(place + done)) * 0x9E3779B97F4A7C15U
            number ^= number >> 29
            done += 8
        if done < size:
            number = (number ^ _load64(place + size - 8)) * 0x9E3779B97F4A7C15U
            number ^= number >> 29
    else:
        while done < size:
            number = (number ^ place[done]) * 0x9E3779B97F4A7C15U
            number ^= number >> 29
            done += 1
    return <Py_ssize_t>(number >> 33)


cdef inline bint same_span(
    bytes known, const unsigned char *data, Py_ssize_t start, Py_ssize_t end
) noexcept:
    return PyBytes_GET_SIZE(known) == end - start and (
        memcmp(PyBytes_AS_STRING(known), data + start, end - start) == 0
    )


cdef inline bytes new_bytes(Py_ssize_t size):
    return PyBytes_FromStringAndSize(NULL, size)


cdef inline unsigned char *place_of(bytes room) noexcept:
    return <unsigned char *>PyBytes_AS_STRING(room)


cdef inline bytes to_bytes(bytes room):
    return room


cdef inline Py_ssize_t put_span(
    unsigned char *place,
    Py_ssize_t position,
    const unsigned char *data,
    Py_ssize_t start,
    Py_ssize_t end,
) noexcept:
    memcpy(place + position, data + start, end - start)
    return position + end - start


cdef inline Py_ssize_t put_bytes(
    unsigned char *place, Py_ssize_t position, bytes data
) noexcept:
    memcpy(place + position, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return position + PyBytes_GET_SIZE(data)


cdef inline int append_text(bytearray out, text) except -1:
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    cdef Py_ssize_t position = PyByteArray_GET_SIZE(out)
    PyByteArray_Resize(out, position + size)
    memcpy(PyByteArray_AS_STRING(out) + position, data, size)
    return 0


cdef inline Py_ssize_t text_size(text) except -1:
    cdef Py_ssize_t size
    PyUnicode_AsUTF8AndSize(text, &size)
    return size


cdef inline Py_ssize_t put_text(unsigned char *place, Py_ssize_t position, text) except -1:
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    memcpy(place + position, data, size)
    return position + size
