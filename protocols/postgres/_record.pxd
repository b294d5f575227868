cimport cython


@cython.final
cdef class RecordKeys:
    cdef readonly tuple names
    cdef readonly dict positions


cdef class Record:
    cdef RecordKeys _keys
    cdef tuple _values


@cython.locals(record=Record)
@cython.locals(keys=RecordKeys)
cdef RecordKeys _keys_of(Record record)
@cython.locals(record=Record)
cdef _comparable(other)
@cython.locals(record=Record)
cpdef make_record(record_class, RecordKeys keys, tuple values)
