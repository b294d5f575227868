cimport cython

from wirekit.protocols cimport _native
from wirekit.protocols.postgres cimport _faults
from wirekit.protocols.postgres._codecs cimport TextCodec, TypeCodec

cdef object _UUID_INT
cdef object _UUID_IS_SAFE
cdef object _UNKNOWN


cdef class UUIDCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(data=bytes)
    cdef int write(self, bytearray out, value) except -1


cdef bytes _bytes_of_uuid(value)
cdef bytes _parse_uuid(text)


cdef class JsonbCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(data=bytes)
    cdef int write(self, bytearray out, value) except -1


cdef class PlainTextCodec(TextCodec):
    pass


cdef class VoidCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef class MappedCodec(TypeCodec):
    cdef TypeCodec _base
    cdef object _decode
    cdef object _encode
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1
