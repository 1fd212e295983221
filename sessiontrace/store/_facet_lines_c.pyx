# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``lines_of``; see ``facet_lines``.

Invariant: it gives the lines that the form in ``_facet_lines_py`` gives. What it remembers of keys
and lines is bounded in number, and each of them in length.
"""

from sessiontrace.model.record import EVENT
from sessiontrace.store._facet_lines_py import (
    MOST_LINES,
    MOST_LINES_OF_KEY,
    is_measure_key,
)
from sessiontrace.store.summary_fields import scores_nano

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 highest)
    void *PyUnicode_DATA(object text)
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_FindChar(object text, Py_UCS4 letter, Py_ssize_t start, Py_ssize_t end, int direction)

cdef int _MOST_OF_KEY = 25, _KEY_CHARS = 100, _VALUE_CHARS = 200, _DEPTH = 3, _MOST_ENTRIES = 100
cdef int _PREFIXES = 64, _KEYS = 512, _LINES = 8192

cdef Py_ssize_t _MOST_LINES = MOST_LINES, _MOST_LINES_OF_KEY = MOST_LINES_OF_KEY

cdef dict _keys = {}
cdef dict _lines = {}


def lines_of(bytes kind not None, dict event not None):
    """The facets of a record, each as a line with its line breaks."""
    cdef list lines = []
    if event["event_id"] != event["session_id"]:
        if kind != EVENT and "event_name" in event and "start_time" in event:
            lines.append(_line("type", "turn"))
        else:
            _append(lines, "type", event.get("event_type"))
        _append(lines, "step", event.get("event_name"))
    error = event.get("error")
    if error is not None:
        _append(lines, "error", str(error)[:_VALUE_CHARS].partition(":")[0].strip())
    if "feedback" in event or "metrics" in event:
        for name in scores_nano(event):
            _append(lines, "score", name)
    config = event.get("config")
    if isinstance(config, dict):
        _append(lines, "model", (<dict>config).get("model"))
    metadata = event.get("metadata")
    if isinstance(metadata, dict):
        _append(lines, "model", (<dict>metadata).get("response_model"))
        tags = (<dict>metadata).get("tags")
        if isinstance(tags, list):
            for tag in <list>tags:
                _append(lines, "tag", tag)
        else:
            _append(lines, "tag", tags)
        _gather(lines, "metadata", <dict>metadata, _DEPTH)
    properties = event.get("user_properties")
    if isinstance(properties, dict):
        _gather(lines, "user", <dict>properties, _DEPTH)
    return lines


cdef int _gather(list lines, str prefix, dict values, int depth) except -1:
    """The entries of an object as facets ``prefix.key=value``; those of inner objects too."""
    cdef str key
    cdef int count
    for name, value in values.items():
        if len(lines) > _MOST_ENTRIES:
            return 0
        if value is None:
            continue
        key = _key(prefix, name)
        if not key:
            continue
        if isinstance(value, dict):
            if depth > 1:
                _gather(lines, key, <dict>value, depth - 1)
        elif isinstance(value, list):
            count = 0
            for item in <list>value:
                if count == _MOST_OF_KEY:
                    break
                count += 1
                _append(lines, key, item)
        else:
            _append(lines, key, value)
    return 0


cdef str _key(str prefix, str name):
    """The key of an entry; empty for a measure, and for a key that is too long."""
    cdef dict names
    if len(prefix) + len(name) >= _KEY_CHARS:
        return ""
    names = <dict>_keys.get(prefix)
    if names is None:
        if len(_keys) >= _PREFIXES:
            _keys.clear()
        names = _keys[prefix] = {}
    key = names.get(name)
    if key is None:
        key = "" if is_measure_key(name) else f"{prefix}.{name}"
        if len(names) >= _KEYS:
            names.clear()
        names[name] = key
    return <str>key


cdef int _append(list lines, str key, value) except -1:
    if value is None:
        return 0
    if isinstance(value, str):
        if value:
            lines.append(_line(key, <str>value))
    elif isinstance(value, bool):
        lines.append(_line(key, "true" if value else "false"))
    elif isinstance(value, (int, float)):
        lines.append(_line(key, str(value)))
    return 0


cdef str _plain_line(str key, str value):
    """The line of a text of printable ASCII; None for another."""
    cdef Py_ssize_t size = len(key), length = len(value)
    cdef unsigned char *target
    if not (PyUnicode_IS_ASCII(key) and PyUnicode_IS_ASCII(value)):
        return None
    line = PyUnicode_New(size + length + 3, 127)
    target = <unsigned char *>PyUnicode_DATA(line)
    target[0], target[size + 1], target[size + length + 2] = 10, 61, 10
    if not _fold(target + 1, <const unsigned char *>PyUnicode_DATA(key), size):
        return None
    if not _fold(target + size + 2, <const unsigned char *>PyUnicode_DATA(value), length):
        return None
    return <str>line


cdef bint _fold(unsigned char *target, const unsigned char *source, Py_ssize_t size) noexcept:
    """Copy letters in lower case; whether all of them can be printed."""
    cdef Py_ssize_t at
    cdef unsigned char letter, others = 0
    for at in range(size):
        letter = source[at]
        others |= <unsigned char>(letter - 32) > 94
        target[at] = letter | (<unsigned char>(<unsigned char>(letter - 65) < 26) << 5)
    return others == 0


cdef str _line(str key, str value):
    cdef tuple pair
    cdef str facet
    if len(value) > _VALUE_CHARS:
        value = value[:_VALUE_CHARS]
    facet = _plain_line(key, value)
    if facet is not None:
        return facet
    pair = (key, value)
    line = _lines.get(pair)
    if line is None:
        facet = f"{key}={value}".casefold()
        if not facet.isprintable():  # line breaks among them, which part facets
            facet = " ".join(facet.split())
        line = f"\n{facet}\n"
        if len(_lines) >= _LINES:
            _lines.clear()
        _lines[pair] = line
    return <str>line


def add_lines(list lines not None, dict present not None, dict counts not None):
    """Add lines to those of a session, as far as it keeps so many."""
    cdef str line, key
    cdef Py_ssize_t most = _MOST_LINES, of_key = _MOST_LINES_OF_KEY
    for line in lines:
        if line in present:
            continue
        key = line[: PyUnicode_FindChar(line, 61, 0, len(line), 1)]
        number = counts.get(key)
        count = 0 if number is None else number
        if len(present) < most and count < of_key:
            present[line] = None
            counts[key] = count + 1
