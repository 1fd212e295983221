# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``columns_of``; see ``event_columns``.

Invariant: it gives the columns that the form in ``_event_columns_py`` gives. What plain records lack
is left to the functions of that form.
"""

from sessiontrace.model.call_usage import CALL_COSTS, CALL_COUNTS, call_tokens
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store import models, summary_fields

cdef frozenset _CALLS = CALL_TYPES
cdef frozenset _COUNTS = CALL_COUNTS
cdef frozenset _COSTS = CALL_COSTS
cdef double _LATEST_MS = 9007199254740992.0
cdef double _MOST = 4294967296.0
cdef double _NANO = 1e9
cdef object _ENDED = models.ENDED
cdef object _ABANDONED = models.ABANDONED
cdef object _CANCELLED = models.CANCELLED
cdef object _error = summary_fields.error
cdef object _cost_nano = summary_fields.cost_nano
cdef object _tokens = call_tokens


def columns_of(dict event not None):
    """Parent, type, name, start, end, duration, status, error, tokens, cost, unpriced."""
    cdef object metadata = event.get("metadata")
    cdef object value, start, end, duration, status = _ENDED, tokens = 0, cost = None
    cdef object error = event.get("error")
    cdef object kind = _text(event.get("event_type")) or "chain"
    cdef bint is_call = kind in _CALLS, is_cached = False
    start = _time(event.get("start_time"))
    if start is None:
        start = 0
    end = _time(event.get("end_time"))
    value = event.get("duration")
    if type(value) is int or type(value) is float:
        duration = float(value) if 0 <= value < _LATEST_MS else None
    else:
        duration = None if end is None else float(end - start)
    if isinstance(metadata, dict):
        if (<dict>metadata).get("abandoned") is True:
            status = _ABANDONED
        elif (<dict>metadata).get("cancelled") is True:
            status = _CANCELLED
        is_cached = is_call and (<dict>metadata).get("cached") is True
    if is_call:
        tokens, cost = _usage(event, metadata)
    return (
        _text(event.get("parent_id")),
        kind,
        _text(event.get("event_name")) or "unknown",
        start,
        end,
        duration,
        status,
        None if error is None else _error(event),
        tokens,
        0 if cost is None else cost,
        1 if is_call and cost is None and tokens > 0 and not is_cached else 0,
    )


cdef inline object _text(object value):
    return value if isinstance(value, str) and value else None


cdef inline object _time(object value):
    if type(value) is int or type(value) is float:
        return int(value) if 0 <= value < _LATEST_MS else None
    return None


cdef tuple _usage(dict event, object metadata):
    """Tokens and cost of a call, read at one look where only its metadata has plain counts."""
    cdef object key, value, prompt = None, completion = None, total = None, cost = None
    cdef bint is_plain = True, has_cost = False
    if "metrics" not in event and not isinstance(metadata, dict):
        return 0, None
    if "metrics" in event:
        return _tokens(event), _cost_nano(event)
    for key, value in (<dict>metadata).items():
        if key == "prompt_tokens":
            prompt = value
        elif key == "completion_tokens":
            completion = value
        elif key == "total_tokens":
            total = value
        elif key == "cost":
            cost = value
        elif key in _COUNTS:
            is_plain = False
        elif key in _COSTS:
            has_cost = True
    if is_plain:
        for value in (prompt, completion, total):
            if value is not None and (type(value) is not int or not 0 <= value < _MOST):
                is_plain = False
    tokens = (total or (prompt or 0) + (completion or 0)) if is_plain else _tokens(event)
    if cost is None and not has_cost:
        return tokens, None
    if (type(cost) is float or type(cost) is int) and 0 <= cost < _MOST:
        return tokens, round(cost * _NANO)
    return tokens, _cost_nano(event)
