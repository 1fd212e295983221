# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""The compiled form of ``event_span``; see ``event_span``.

Invariant: it writes what the form in ``_event_span_py`` writes, and reads nothing outside of its
arguments.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport rint
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

from sessiontrace.model.payload import EMPTY
from sessiontrace.wire.encoded import _event_span_py
from sessiontrace.wire.encoded._plain_chat_c cimport (
    Message,
    parts_size,
    put_parts,
    read_message,
)
from sessiontrace.wire.encoded._record_layout_c cimport Cut, read_layout, shape_of

cdef frozenset _EMPTY = EMPTY
cdef Py_ssize_t _COPY_MAX = _event_span_py.COPY_MAX
cdef int _MODEL = _event_span_py.MODEL, _TOOL = _event_span_py.TOOL
cdef int64_t _LATEST_MS = _event_span_py.LATEST_MS
cdef uint64_t _LATEST_NS = _event_span_py.LATEST_NS
cdef bytes _INPUT_MESSAGES, _OUTPUT_MESSAGES, _ARGUMENTS, _RESULT, _INPUT, _OUTPUT
_INPUT_MESSAGES, _OUTPUT_MESSAGES, _ARGUMENTS, _RESULT, _INPUT, _OUTPUT = _event_span_py.NAMES
cdef bytes _MESSAGES_FORM = _event_span_py.MESSAGES_FORM
cdef bytes _INPUT_TYPE = _event_span_py.INPUT_TYPE
cdef bytes _OUTPUT_TYPE = _event_span_py.OUTPUT_TYPE


# -- memory that grows ----------------------------------------------------------------------

cdef struct Memory:
    char *start
    Py_ssize_t size
    Py_ssize_t room


cdef int _grow(Memory *to, Py_ssize_t extra) except -1:
    cdef Py_ssize_t room = to.room
    while to.size + extra > room:
        room *= 2
    cdef char *larger = <char *>realloc(to.start, room)
    if larger == NULL:
        raise MemoryError
    to.start, to.room = larger, room
    return 0


cdef inline int _reserve(Memory *to, Py_ssize_t extra) except -1:
    if to.size + extra > to.room:
        _grow(to, extra)
    return 0


cdef inline void _put(Memory *to, const char *source, Py_ssize_t size) noexcept:
    memcpy(to.start + to.size, source, size)
    to.size += size


cdef inline int _add(Memory *to, const char *source, Py_ssize_t size) except -1:
    _reserve(to, size)
    _put(to, source, size)
    return 0


cdef inline int _add_bytes(Memory *to, bytes source) except -1:
    return _add(to, PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source))


cdef inline Py_ssize_t _width(uint64_t number) noexcept:
    cdef Py_ssize_t width = 1
    while number > 127:
        number >>= 7
        width += 1
    return width


cdef inline void _put_varint(Memory *to, uint64_t number) noexcept:
    while number > 127:
        to.start[to.size] = <char>(number & 127 | 128)
        to.size += 1
        number >>= 7
    to.start[to.size] = <char>number
    to.size += 1


# -- attributes -----------------------------------------------------------------------------

cdef int _open_attribute(Memory *to, bytes name, Py_ssize_t size) except -1:
    """Write an attribute up to its text, and reserve the ``size`` bytes of that."""
    cdef Py_ssize_t name_size = PyBytes_GET_SIZE(name), inner = 1 + _width(size) + size
    cdef Py_ssize_t whole = name_size + 1 + _width(inner) + inner
    _reserve(to, whole + 11)
    _put(to, b"\x4a", 1)
    _put_varint(to, whole)
    _put(to, PyBytes_AS_STRING(name), name_size)
    _put(to, b"\x12", 1)
    _put_varint(to, inner)
    _put(to, b"\x0a", 1)
    _put_varint(to, size)
    return 0


cdef int _add_attribute(Memory *to, bytes name, const char *text, Py_ssize_t size) except -1:
    _open_attribute(to, name, size)
    _put(to, text, size)
    return 0


cdef bint _has(const char *text, Py_ssize_t size, bytes sought) noexcept:
    """Whether a text has another in it, which begins with a quote."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(sought)
    cdef const char *end = text + size - length
    cdef const char *place = text
    while place <= end:
        place = <const char *>memchr(place, c'"', end - place + 1)
        if place == NULL:
            return False
        if memcmp(place, PyBytes_AS_STRING(sought), length) == 0:
            return True
        place += 1
    return False


cdef bint _add_input_chat(
    Memory *to, const char *inputs, Py_ssize_t size, bint *is_chat, bint *has_form
) except -1:
    """Write a plain chat; False where it is not plain."""
    cdef Py_ssize_t at = 0, whole
    has_form[0] = size >= 13 and memcmp(inputs, b'{"messages":[', 13) == 0
    if has_form[0]:
        at = 13
    elif size >= 17 and memcmp(inputs, b'{"chat_history":[', 17) == 0:
        at = 17
    is_chat[0] = at > 0
    if not at:
        return not _has(inputs, size, b'"chat_history":') and not _has(inputs, size, b'"messages":')
    whole = parts_size(inputs, at, size)
    if whole < 0:
        return False
    _open_attribute(to, _INPUT_MESSAGES, whole)
    put_parts(to.start + to.size, inputs, at, size)
    to.size += whole
    return True


cdef bint _add_answer(
    Memory *to, const char *outputs, Py_ssize_t size, bint *is_answer
) except -1:
    """Write a plain message; False where there is another one."""
    cdef Message message
    cdef Py_ssize_t role_size, text_size
    is_answer[0] = _has(outputs, size, b'"role":')
    if not is_answer[0]:
        return True
    if not read_message(outputs, 0, size, &message) or message.end + 1 != size:
        return False
    role_size, text_size = message.role_end - message.role, message.end - message.start
    _open_attribute(to, _OUTPUT_MESSAGES, role_size + text_size + 73)
    _put(to, b'[{"role":"', 10)
    _put(to, outputs + message.role, role_size)
    _put(to, b'","parts":[{"type":"text","content":', 36)
    _put(to, outputs + message.start, text_size)
    _put(to, b'}],"finish_reason":"stop"}]', 27)
    return True


cdef bint _add_content(Memory *to, int kind, bytes tool, const char *raw, Cut *cut) except -1:
    """Write inputs and outputs as attributes; False where they hold a chat that is not plain."""
    cdef const char *inputs = raw + cut.inputs
    cdef const char *outputs = raw + cut.outputs
    cdef Py_ssize_t input_size = cut.inputs_end - cut.inputs
    cdef Py_ssize_t output_size = cut.outputs_end - cut.outputs if cut.outputs >= 0 else -1
    cdef bint has_form = False, is_chat = False, is_answer = False
    _add_bytes(to, tool)
    if kind == _MODEL:
        if not _add_input_chat(to, inputs, input_size, &is_chat, &has_form):
            return False
        if output_size >= 0 and not _add_answer(to, outputs, output_size, &is_answer):
            return False
        if has_form:
            _add_bytes(to, _MESSAGES_FORM)
        if is_chat:
            input_size = -1
        if is_answer:
            output_size = -1
    elif kind == _TOOL:
        if input_size > 5 or PyBytes_FromStringAndSize(inputs, input_size) not in _EMPTY:
            _add_attribute(to, _ARGUMENTS, inputs, input_size)
        if output_size >= 0:
            _add_attribute(to, _RESULT, outputs, output_size)
        if input_size > _COPY_MAX:
            input_size = -1
        if output_size > _COPY_MAX:
            output_size = -1
    if input_size >= 0 and not (input_size == 2 and memcmp(inputs, b"{}", 2) == 0):
        _add_attribute(to, _INPUT, inputs, input_size)
        _add_bytes(to, _INPUT_TYPE)
    if output_size >= 0:
        _add_attribute(to, _OUTPUT, outputs, output_size)
        _add_bytes(to, _OUTPUT_TYPE)
    return True


# -- the span -------------------------------------------------------------------------------

cdef enum:  # as in ``template``
    TRACE, SPAN, PARENT_SPAN, START, END, SESSION, EVENT, PARENT, FIELDS, CONTENT, OTHERS, PAIRS


cdef inline int _add_time(Memory *to, uint64_t moment) except -1:
    cdef unsigned char text[8]
    cdef int i
    for i in range(8):
        text[i] = moment >> (8 * i) & 255
    return _add(to, <const char *>text, 8)


cdef int _add_pair(Memory *to, tuple pair, tuple session, const char *raw, Cut *cut) except -1:
    """An attribute of a session's user or conversation, or of the children."""
    cdef int value = pair[1]
    cdef bytes text
    if value < 2:
        text = session[1 + value]
        return _add_attribute(to, pair[0], PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    if cut.children < 0:
        return _add_attribute(to, pair[0], raw, 0)
    return _add_attribute(
        to, pair[0], raw + cut.children + 16, cut.ids_end - cut.children - 16
    )


cdef bint _add_value(
    Memory *to, int number, tuple plan, tuple session, const char *raw, Cut *cut,
) except -1:
    """Write the value that stands between two constant parts; False where it is not plain."""
    cdef uint64_t start, end
    if number == CONTENT:
        return _add_content(to, plan[2], plan[3], raw, cut)
    if number == TRACE:
        _add(to, <const char *>cut.trace, 16)
    elif number == SPAN:
        _add(to, <const char *>cut.span, 8)
    elif number == PARENT_SPAN:
        _add(to, <const char *>cut.parent_span, 8 if cut.at == 152 else 0)
    elif number == SESSION:
        _add(to, raw + 65, 36)
    elif number == EVENT:
        _add(to, raw + 13, 36)
    elif number == PARENT:
        _add(to, raw + (116 if cut.at == 152 else 65), 36)
    elif number == START or number == END:
        start = <uint64_t>cut.start_ms * 1_000_000 + <uint64_t>cut.start_nanos
        end = start + <uint64_t>rint(cut.duration_ms * 1e6)
        _add_time(to, start if number == START else min(end, _LATEST_NS))
    elif number >= PAIRS:
        _add_pair(to, (<tuple>plan[1])[number - PAIRS], session, raw, cut)
    return True


cdef bytes _written(tuple plan, tuple session, const char *raw, Cut *cut):
    """The span as a field of its scope; None where the event is not plain."""
    cdef Memory to
    cdef Py_ssize_t head = 11, size
    to.size, to.room = head, 4096
    to.start = <char *>malloc(to.room)
    if to.start == NULL:
        raise MemoryError
    try:
        for part in <tuple>plan[0]:
            if isinstance(part, bytes):
                _add_bytes(&to, <bytes>part)
            elif not _add_value(&to, part, plan, session, raw, cut):
                return None
        size = to.size - head
        head -= 1 + _width(size)
        to.size = head
        _put(&to, b"\x12", 1)
        _put_varint(&to, size)
        return PyBytes_FromStringAndSize(to.start + head, 11 - head + size)
    finally:
        free(to.start)


def event_span(bytes body not None, plans_of, session_of):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Cut cut
    cdef char suffix[2]
    cdef int letters = 0
    if not read_layout(raw, PyBytes_GET_SIZE(body), &cut) or cut.inputs < 0 or cut.flat_end >= 0:
        return None
    if cut.start_ms > _LATEST_MS or cut.duration_ms > <double>_LATEST_MS:
        return None
    if cut.at == 152:
        suffix[letters] = c"p"
        letters += 1
    if cut.children >= 0:
        suffix[letters] = c"c"
        letters += 1
    plans = plans_of(shape_of(raw, &cut, suffix, letters))
    if plans is None:
        return None
    session = session_of(PyBytes_FromStringAndSize(raw + 65, 36))
    if session is None:
        return None
    plan = (<list?>plans)[<Py_ssize_t?>_tuple(session)[0]]
    if plan is None:
        return None
    origin = (<dict?>_tuple(session)[3]).get(_tuple(plan)[4])
    if origin is None:
        return None
    span = _written(_tuple(plan), _tuple(session), raw, &cut)
    return None if span is None else (origin, span)


cdef inline tuple _tuple(value):
    """A tuple of any class."""
    if not isinstance(value, tuple):
        raise TypeError
    return <tuple>value
