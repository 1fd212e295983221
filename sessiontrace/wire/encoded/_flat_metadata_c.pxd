cdef enum:
    ENTRIES_MAX = 32

cdef enum Kind:
    TEXT, INT, FLOAT, FLAG

cdef struct Entry:
    const char *key
    Py_ssize_t key_size
    Kind kind
    const char *value
    Py_ssize_t value_size


# Read the entries of an encoded object, up to ENTRIES_MAX; 0 for one that is not flat.
cdef int read_entries(const char *raw, Py_ssize_t size, Entry *entries) noexcept
