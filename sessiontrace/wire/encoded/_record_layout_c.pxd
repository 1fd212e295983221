from libc.stdint cimport int64_t


cdef struct Cut:
    # Offsets in a body; those of a part that is absent are negative. ``at``: the end of the ids,
    # 152 with a parent. The metadata is between ``flat`` + 12 and ``flat_end`` if that is not
    # negative; the ids of children between ``children`` + 16 and ``ids_end``.
    Py_ssize_t at
    Py_ssize_t times
    Py_ssize_t name
    Py_ssize_t tab
    Py_ssize_t flat
    Py_ssize_t flat_end
    Py_ssize_t children
    Py_ssize_t ids_end
    Py_ssize_t inputs
    Py_ssize_t inputs_end
    Py_ssize_t outputs
    Py_ssize_t outputs_end
    int64_t start_ms
    int64_t start_nanos
    int64_t end_ms
    double duration_ms
    unsigned char trace[16]
    unsigned char span[8]
    unsigned char parent_span[8]


# Whether a body is laid out as capture writes it, and where its parts are.
cdef bint read_layout(const char *raw, Py_ssize_t size, Cut *cut) except -1

# What is left of the body without its values, and a suffix.
cdef bytes shape_of(const char *raw, Cut *cut, const char *suffix, Py_ssize_t suffix_size)
