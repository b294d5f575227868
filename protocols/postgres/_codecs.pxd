cimport cython

from wirekit.protocols cimport _native


cdef class TypeCodec:
    cdef readonly object name
    cdef readonly int format
    cdef readonly bint atomic

    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef wrong_length(TypeCodec codec, Py_ssize_t length)


cdef class FunctionCodec(TypeCodec):
    cdef object _decode
    cdef object _encode
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef class BoolCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef class Int2Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class Int4Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class Int8Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class UInt4Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number="long long")
    cdef int write(self, bytearray out, value) except -1


cdef class UInt8Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef class Float4Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number=double)
    cdef int write(self, bytearray out, value) except -1


cdef class Float8Codec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(number=double)
    cdef int write(self, bytearray out, value) except -1


cdef class TextCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef class ByteaCodec(TypeCodec):
    cdef read(self, const unsigned char *data, Py_ssize_t start, Py_ssize_t end)
    cdef int write(self, bytearray out, value) except -1


cdef long long _integer(value) except? -1
cdef _whole(value)
