# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""The compiled form of ``event_span``; see ``event_span``.

Invariant: it writes what the form in ``_event_span_py`` writes, and reads nothing outside of its
arguments.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.math cimport rint
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

from sessiontrace.model.payload import EMPTY
from sessiontrace.wire.encoded import _event_span_py
from sessiontrace.wire.encoded._flat_metadata_c cimport (
    ENTRIES_MAX,
    FLAG,
    FLOAT,
    INT,
    TEXT,
    Entry,
    read_entries,
)
from sessiontrace.wire.encoded._memory cimport (
    Memory,
    add,
    add_bytes,
    add_fixed,
    put,
    put_varint,
    reserve,
    width,
)
from sessiontrace.wire.encoded._plain_chat_c cimport (
    Message,
    parts_size,
    put_parts,
    read_message,
)
from sessiontrace.wire.encoded._record_layout_c cimport Cut, read_layout, shape_of

cdef extern from "Python.h":
    double PyOS_string_to_double(const char *s, char **endptr, PyObject *overflow) except? -1.0

cdef frozenset _EMPTY = EMPTY
cdef dict _REASONS = _event_span_py.REASONS
cdef int _REASON = _event_span_py.REASON, _TRACE_KEY = _event_span_py.TRACE_KEY
cdef Py_ssize_t _COPY_MAX = _event_span_py.COPY_MAX
cdef int _MODEL = _event_span_py.MODEL, _TOOL = _event_span_py.TOOL
cdef int64_t _LATEST_MS = _event_span_py.LATEST_MS
cdef uint64_t _LATEST_NS = _event_span_py.LATEST_NS
cdef bytes _INPUT_MESSAGES, _OUTPUT_MESSAGES, _ARGUMENTS, _RESULT, _INPUT, _OUTPUT
_INPUT_MESSAGES, _OUTPUT_MESSAGES, _ARGUMENTS, _RESULT, _INPUT, _OUTPUT = _event_span_py.NAMES
cdef bytes _MESSAGES_FORM = _event_span_py.MESSAGES_FORM
cdef bytes _INPUT_TYPE = _event_span_py.INPUT_TYPE
cdef bytes _OUTPUT_TYPE = _event_span_py.OUTPUT_TYPE


cdef inline tuple _tuple(value):
    """A tuple of any class."""
    if not isinstance(value, tuple):
        raise TypeError
    return <tuple>value


# -- attributes -----------------------------------------------------------------------------

cdef int _open_pair(Memory *to, bytes name, const Entry *own, Py_ssize_t size) except -1:
    """Write an attribute up to its value, and reserve the ``size`` bytes of that.

    ``name``: None for an entry of the metadata under a name of ours.
    """
    cdef Py_ssize_t name_size, key_size = 0
    if name is None:
        key_size = 22 + own.key_size
        name_size = 1 + width(key_size) + key_size
    else:
        name_size = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t whole = name_size + 1 + width(size) + size
    reserve(to, whole + 11)
    put(to, b"\x4a", 1)
    put_varint(to, whole)
    if name is None:
        put(to, b"\x0a", 1)
        put_varint(to, key_size)
        put(to, b"sessiontrace.metadata.", 22)
        put(to, own.key, own.key_size)
    else:
        put(to, PyBytes_AS_STRING(name), name_size)
    put(to, b"\x12", 1)
    put_varint(to, size)
    return 0


cdef inline Py_ssize_t _field_size(Py_ssize_t size) noexcept:
    return 1 + width(size) + size


cdef inline void _open_field(Memory *to, const char *tag, Py_ssize_t size) noexcept:
    put(to, tag, 1)
    put_varint(to, size)


cdef int _open_attribute(Memory *to, bytes name, Py_ssize_t size) except -1:
    """Write an attribute up to its text, and reserve the ``size`` bytes of that."""
    _open_pair(to, name, NULL, _field_size(size))
    _open_field(to, b"\x0a", size)
    return 0


cdef int _add_attribute(Memory *to, bytes name, const char *text, Py_ssize_t size) except -1:
    _open_attribute(to, name, size)
    put(to, text, size)
    return 0


# -- metadata -------------------------------------------------------------------------------

cdef struct Item:  # an entry of the metadata, and its rule's parts, which the plan keeps alive
    Entry entry
    int kind  # its rule's, else that of the entry
    PyObject *name  # NULL for a name of ours
    PyObject *copy


cdef struct Metadata:
    Item items[ENTRIES_MAX]
    int count


cdef bint _read_trace(const Entry *entry, unsigned char *trace) noexcept:
    """Whether an entry is the id of a trace, not all zeros, which it writes."""
    cdef int i
    cdef char letter
    cdef unsigned char digit, any_bit = 0
    if entry.kind != TEXT or entry.value_size != 32:
        return False
    for i in range(32):
        letter = entry.value[i]
        if c"0" <= letter <= c"9":
            digit = letter - c"0"
        elif c"a" <= letter <= c"f":
            digit = letter - c"a" + 10
        else:
            return False
        any_bit |= digit
        trace[i // 2] = trace[i // 2] << 4 | digit
    return any_bit != 0


cdef bint _read_item(Item *item, dict rules, Cut *cut) except -1:
    """Whether an entry of the metadata is plain; finds its rule."""
    cdef Entry *entry = &item.entry
    rule = rules.get(PyBytes_FromStringAndSize(entry.key, entry.key_size))
    item.kind, item.name, item.copy = entry.kind, NULL, NULL
    if rule is None:
        return not (
            entry.kind == TEXT
            and entry.value_size
            and (entry.value[0] == c"{" or entry.value[0] == c"[")
        )
    item.kind = _tuple(rule)[0]
    if item.kind == _TRACE_KEY:
        return _read_trace(entry, cut.trace)
    if entry.kind != (TEXT if item.kind == _REASON else item.kind):
        return False
    item.name = <PyObject *>_tuple(rule)[1]
    item.copy = <PyObject *>_tuple(rule)[2]
    return True


cdef bint _read_metadata(const char *raw, Cut *cut, tuple plan, Metadata *metadata) except -1:
    """Whether the metadata is plain; finds the rules of its entries."""
    cdef Entry entries[ENTRIES_MAX]
    cdef int i
    metadata.count = 0
    if cut.flat_end < 0:
        return True
    metadata.count = read_entries(raw + cut.flat + 12, cut.flat_end - cut.flat - 12, entries)
    if metadata.count == 0 or metadata.count > <int?>plan[6]:
        return False
    for i in range(metadata.count):
        metadata.items[i].entry = entries[i]
        if not _read_item(&metadata.items[i], plan[5], cut):
            return False
    return True


cdef int64_t _integer(const Entry *entry) noexcept:
    cdef int64_t number = 0
    cdef Py_ssize_t i, start = 1 if entry.value[0] == c"-" else 0
    for i in range(start, entry.value_size):
        number = number * 10 + (entry.value[i] - c"0")
    return -number if start else number


cdef int _add_item(Memory *to, const Item *item, bytes name) except -1:
    """Write an entry of the metadata as an attribute, without a name under one of ours."""
    cdef const Entry *entry = &item.entry
    cdef Py_ssize_t size = entry.value_size, inner
    cdef uint64_t number
    cdef double real
    cdef char *end
    if item.kind == TEXT:
        _open_pair(to, name, entry, _field_size(size))
        _open_field(to, b"\x0a", size)
        put(to, entry.value, size)
    elif item.kind == INT:
        number = <uint64_t>_integer(entry)
        _open_pair(to, name, entry, 1 + width(number))
        _open_field(to, b"\x18", number)
    elif item.kind == FLOAT:
        real = PyOS_string_to_double(entry.value, &end, NULL)
        _open_pair(to, name, entry, 9)
        put(to, b"\x21", 1)
        memcpy(&number, &real, 8)
        add_fixed(to, number)
    elif item.kind == FLAG:
        _open_pair(to, name, entry, 2)
        put(to, b"\x10\x01" if size == 4 else b"\x10\x00", 2)
    else:
        inner = _field_size(_field_size(size))
        _open_pair(to, name, entry, _field_size(inner))
        _open_field(to, b"\x2a", inner)
        _open_field(to, b"\x0a", _field_size(size))
        _open_field(to, b"\x0a", size)
        put(to, entry.value, size)
    return 0


cdef enum Group:
    NAMED, COPIED, OWN


cdef int _add_items(Memory *to, const Metadata *metadata, Group group) except -1:
    """Write the entries with a name by the conventions, their copies, or the others."""
    cdef int i
    cdef const Item *item
    for i in range(metadata.count):
        item = &metadata.items[i]
        if item.kind == _TRACE_KEY:
            continue
        if group == OWN:
            if item.name == NULL:
                _add_item(to, item, None)
        elif item.name != NULL:
            if group == NAMED:
                _add_item(to, item, <bytes>item.name)
            elif PyBytes_GET_SIZE(<bytes>item.copy):
                _add_item(to, item, <bytes>item.copy)
    return 0


cdef bytes _reason(const Metadata *metadata):
    """Why the model stopped, in the words of the conventions."""
    cdef int i
    cdef bytes reason = b""
    for i in range(metadata.count):
        if metadata.items[i].kind == _REASON:
            reason = PyBytes_FromStringAndSize(
                metadata.items[i].entry.value, metadata.items[i].entry.value_size
            )
            reason = _REASONS.get(reason, reason)
    return reason or b"stop"


# -- inputs and outputs ---------------------------------------------------------------------

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
    Memory *to, const char *outputs, Py_ssize_t size, const Metadata *metadata, bint *is_answer
) except -1:
    """Write a plain message; False where there is another one."""
    cdef Message message
    cdef Py_ssize_t role_size, text_size
    cdef bytes reason
    is_answer[0] = _has(outputs, size, b'"role":')
    if not is_answer[0]:
        return True
    if not read_message(outputs, 0, size, &message) or message.end + 1 != size:
        return False
    role_size, text_size = message.role_end - message.role, message.end - message.start
    reason = _reason(metadata)
    _open_attribute(
        to, _OUTPUT_MESSAGES, role_size + text_size + 69 + PyBytes_GET_SIZE(reason)
    )
    put(to, b'[{"role":"', 10)
    put(to, outputs + message.role, role_size)
    put(to, b'","parts":[{"type":"text","content":', 36)
    put(to, outputs + message.start, text_size)
    put(to, b'}],"finish_reason":"', 20)
    put(to, PyBytes_AS_STRING(reason), PyBytes_GET_SIZE(reason))
    put(to, b'"}]', 3)
    return True


cdef bint _add_content(
    Memory *to, tuple plan, const char *raw, Cut *cut, const Metadata *metadata
) except -1:
    """Write inputs and outputs as attributes; False where they hold a chat that is not plain."""
    cdef const char *inputs = raw + cut.inputs
    cdef const char *outputs = raw + cut.outputs
    cdef Py_ssize_t input_size = cut.inputs_end - cut.inputs
    cdef Py_ssize_t output_size = cut.outputs_end - cut.outputs if cut.outputs >= 0 else -1
    cdef bint has_form = False, is_chat = False, is_answer = False
    cdef int kind = plan[2]
    _add_items(to, metadata, COPIED)
    add_bytes(to, plan[3])
    if kind == _MODEL:
        if not _add_input_chat(to, inputs, input_size, &is_chat, &has_form):
            return False
        if output_size >= 0 and not _add_answer(
            to, outputs, output_size, metadata, &is_answer
        ):
            return False
        if has_form:
            add_bytes(to, _MESSAGES_FORM)
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
        add_bytes(to, _INPUT_TYPE)
    if output_size >= 0:
        _add_attribute(to, _OUTPUT, outputs, output_size)
        add_bytes(to, _OUTPUT_TYPE)
    return True


# -- the span -------------------------------------------------------------------------------

cdef enum:  # as in ``template``
    TRACE, SPAN, PARENT_SPAN, START, END, SESSION, EVENT, PARENT, FIELDS, CONTENT, OTHERS
    CHANGES, PAIRS


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
    const Metadata *metadata,
) except -1:
    """Write the value that stands between two constant parts; False where it is not plain."""
    cdef uint64_t start, end
    if number == CONTENT:
        return _add_content(to, plan, raw, cut, metadata)
    if number == TRACE:
        add(to, <const char *>cut.trace, 16)
    elif number == SPAN:
        add(to, <const char *>cut.span, 8)
    elif number == PARENT_SPAN:
        add(to, <const char *>cut.parent_span, 8 if cut.at == 152 else 0)
    elif number == SESSION:
        add(to, raw + 65, 36)
    elif number == EVENT:
        add(to, raw + 13, 36)
    elif number == PARENT:
        add(to, raw + (116 if cut.at == 152 else 65), 36)
    elif number == START or number == END:
        start = <uint64_t>cut.start_ms * 1_000_000 + <uint64_t>cut.start_nanos
        end = start + <uint64_t>rint(cut.duration_ms * 1e6)
        add_fixed(to, start if number == START else min(end, _LATEST_NS))
    elif number == FIELDS:
        _add_items(to, metadata, NAMED)
    elif number == OTHERS:
        _add_items(to, metadata, OWN)
    elif number >= PAIRS:
        _add_pair(to, (<tuple>plan[1])[number - PAIRS], session, raw, cut)
    return True


cdef bytes _written(tuple plan, tuple session, const char *raw, Cut *cut):
    """The span as a field of its scope; None where the event is not plain."""
    cdef Memory to
    cdef Metadata metadata
    if not _read_metadata(raw, cut, plan, &metadata):
        return None
    cdef Py_ssize_t head = 11, size
    to.size, to.room = head, 4096
    to.start = <char *>malloc(to.room)
    if to.start == NULL:
        raise MemoryError
    try:
        for part in <tuple>plan[0]:
            if isinstance(part, bytes):
                add_bytes(&to, <bytes>part)
            elif not _add_value(&to, part, plan, session, raw, cut, &metadata):
                return None
        size = to.size - head
        head -= 1 + width(size)
        to.size = head
        put(&to, b"\x12", 1)
        put_varint(&to, size)
        return PyBytes_FromStringAndSize(to.start + head, 11 - head + size)
    finally:
        free(to.start)


cdef int _letters(const char *raw, const Cut *cut, bint is_end, char *letters) noexcept:
    """Write what an event has besides its shape; how many letters."""
    cdef int count = 0
    if is_end:
        letters[0] = c"s" if memcmp(raw + 13, raw + 65, 36) == 0 else c"t"
        count = 1
    elif cut.at == 152:
        letters[0] = c"p"
        count = 1
    if cut.children >= 0:
        letters[count] = c"c"
        count += 1
    if cut.flat_end >= 0:
        letters[count] = c"v"
        count += 1
    return count


def event_span(bytes body not None, bint is_end, plans_of, session_of):
    cdef const char *raw = PyBytes_AS_STRING(body)
    cdef Cut cut
    cdef char letters[3]
    if not read_layout(raw, PyBytes_GET_SIZE(body), &cut) or cut.inputs < 0:
        return None
    if cut.start_ms > _LATEST_MS or cut.duration_ms > <double>_LATEST_MS:
        return None
    plans = plans_of(shape_of(raw, &cut, letters, _letters(raw, &cut, is_end, letters)))
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
