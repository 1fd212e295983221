cdef struct Message:
    # Offsets: the role is between ``role`` and ``role_end``, the text, in quotes, between ``start``
    # and ``end``; the message ends one byte later.
    Py_ssize_t role
    Py_ssize_t role_end
    Py_ssize_t start
    Py_ssize_t end


# Whether a plain message is at a position, and where its role and its text are.
cdef bint read_message(
    const char *first, Py_ssize_t at, Py_ssize_t size, Message *message
) noexcept

# The size of what ``plain_parts`` returns; -1 for None. Then ``put_parts`` writes it.
cdef Py_ssize_t parts_size(const char *first, Py_ssize_t at, Py_ssize_t size) noexcept
cdef char *put_parts(char *to, const char *first, Py_ssize_t at, Py_ssize_t size) noexcept
