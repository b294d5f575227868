from wirekit.protocols.postgres._codecs cimport TypeCodec


cdef malformed(name, fault)
cdef wrong_length(name, Py_ssize_t length)
cdef only_text(name, TypeCodec codec)
