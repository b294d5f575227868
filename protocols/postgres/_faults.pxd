from wirekit.protocols.postgres._codecs cimport TypeCodec


cpdef malformed(name, fault)
cpdef wrong_length(name, Py_ssize_t length)
cpdef only_text(name, TypeCodec codec)
