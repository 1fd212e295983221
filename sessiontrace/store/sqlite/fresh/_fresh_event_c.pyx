# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of ``fold_fresh`` and ``fold_records``; see ``fresh_event``.

Invariant: it gives the row that the form in ``_fresh_event_py`` gives and changes the session alike.
It leaves to that form what few new events have: scores, parts that were gathered, judgements.
"""

from bisect import insort

from libc.math cimport rint

from sessiontrace.model.fields import SCORES
from sessiontrace.model.record import END, EVENT, START
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.store import summary_fields
from sessiontrace.store.columns.event_columns import columns_of
from sessiontrace.store.dashboard.measures import MOST_VALUES, CallMeasures, micros
from sessiontrace.store.facet_lines import add_lines, lines_of
from sessiontrace.store.folding import SessionState, fold
from sessiontrace.store.gathered import FOLDED, GATHERED
from sessiontrace.store.judging.entries import JUDGEMENTS
from sessiontrace.store.sqlite.fresh import _fresh_event_py

cdef object _python_form = _fresh_event_py.fold_fresh
cdef object _record_of = _fresh_event_py.record_of
cdef tuple _OTHERS = (*SCORES, GATHERED, JUDGEMENTS, FOLDED)
cdef frozenset _CALLS = CALL_TYPES
cdef Py_ssize_t _MOST_VALUES = MOST_VALUES
cdef object _columns_of = columns_of
cdef object _lines_of = lines_of
cdef object _add_lines = add_lines
cdef object _model = summary_fields.model
cdef object _micros = micros
cdef object _insort = insort
cdef object _measures = CallMeasures
cdef object _fold = fold
cdef object _state = SessionState
cdef bytes _EVENT = EVENT
cdef bytes _START = START
cdef bytes _END = END


def fold_records(records, dict sessions not None, dict events not None, frozenset repeated not None):
    """Fold the records into the states; returns those of events that are new, in their order."""
    cdef list added = []
    cdef tuple decoded
    cdef dict event
    cdef bint is_new
    cdef _Session current = _Session(sessions)
    for record in records:
        if type(record) is tuple:
            event_id = (<tuple>record)[0]
            if event_id not in events and event_id not in repeated:
                current.add(<tuple>record)
                added.append(record)
                continue
            record = _record_of(record)
        decoded = <tuple>record  # a named tuple, whose type is not tuple itself
        event = <dict?>decoded[1]
        event_id = event["event_id"]
        is_new = event_id not in events
        if is_new and decoded[0] == _EVENT and event_id not in repeated:
            current.open(event["session_id"])
            added.append(_fold_event(record, current.state, current.lines, current.counts))
            continue
        current.close()
        if is_new and event_id == event["session_id"] and _fold_own(record, sessions):
            continue
        _fold(record, sessions, events)
        if is_new and event_id in events:
            added.append(events[event_id])
    current.close()
    return added


cdef class _Session:
    """The session of the last event, with what rows of events add to it until it is closed."""

    cdef dict sessions, lines, counts
    cdef object session_id, state, kind, name, measures
    cdef list latencies
    cdef bint is_call
    cdef Py_ssize_t events, calls
    cdef long long first, last

    def __init__(self, dict sessions):
        self.sessions = sessions
        self.events = self.calls = 0

    cdef int open(self, session_id) except -1:
        cdef tuple facets
        if self.state is not None and (session_id is self.session_id or session_id == self.session_id):
            return 0
        self.close()
        state = self.sessions.get(session_id)
        if state is None:
            state = self.sessions[session_id] = _state(session_id)
        facets = state.facets.open()
        self.session_id, self.state = session_id, state
        self.lines, self.counts = <dict>facets[0], <dict>facets[1]
        return 0

    cdef int add(self, tuple row) except -1:
        """Add the row of an event without metadata, scores, costs and errors."""
        cdef long long start, end
        self.open(row[1])
        if row[3] is not self.kind or row[4] is not self.name:
            self._enter(row[3], row[4])
        start = end = row[5]
        if row[6]:
            end = row[6]
        if not self.events or start < self.first:
            self.first = start
        if not self.events or end > self.last:
            self.last = end
        self.events += 1
        if self.is_call:
            self.calls += 1
            latency = _rounded(row[7])
            if latency is not None and len(self.latencies) < _MOST_VALUES:
                _insort(self.latencies, latency)
        return 0

    cdef int _enter(self, kind, name) except -1:
        """Prepare for events of this type and name."""
        cdef dict calls
        event = {"event_id": "e", "session_id": "s", "event_type": kind, "event_name": name}
        _add_lines(_lines_of(_EVENT, event), self.lines, self.counts)
        self.is_call = kind in _CALLS
        if self.is_call and self.measures is None:
            calls = <dict?>self.state.calls
            self.measures = calls.get("")
            if self.measures is None:
                self.measures = calls[""] = _measures()
            self.latencies = <list?>self.measures.latencies
        self.kind, self.name = kind, name
        return 0

    cdef int close(self) except -1:
        """Give the session what it is due."""
        if self.state is not None and self.events:
            totals = self.state.totals
            totals.events += self.events
            totals.models += self.calls
            _add_times(self.state, self.first, self.last)
            if self.calls:
                self.measures.calls += self.calls
                self.state.calls_changed = True
        self.events = self.calls = 0
        self.state = self.kind = self.name = self.measures = None
        return 0


cdef bint _fold_own(record, dict sessions) except -1:
    """Fold a session's own start or end in; False where that is left to ``fold``."""
    cdef tuple decoded = <tuple>record, facets
    cdef dict event = <dict>decoded[1]
    if decoded[0] != _END and decoded[0] != _START:
        return False
    for name in _OTHERS:
        if name in event:
            return False
    session_id = event["session_id"]
    session = sessions.get(session_id)
    if session is None:
        session = sessions[session_id] = _state(session_id)
    facets = session.facets.open()
    _add_lines(_lines_of(decoded[0], event), facets[0], facets[1])
    session.apply(record)
    return True


def fold_fresh(record, session):
    """Add an event to its session, and return its row."""
    cdef tuple facets = session.facets.open()
    return _fold_event(record, session, <dict>facets[0], <dict>facets[1])


cdef object _fold_event(record, session, dict lines, dict counts):
    """``lines`` and ``counts``: of the session's facets."""
    cdef tuple decoded = <tuple>record  # a named tuple, whose type is not tuple itself
    cdef tuple columns
    cdef dict event = <dict?>decoded[1]
    for name in _OTHERS:
        if name in event:
            return _python_form(record, session)
    _add_lines(_lines_of(decoded[0], event), lines, counts)
    columns = <tuple>_columns_of(event)
    if columns[1] in _CALLS:
        _add_call(session, event, columns)
    _add_totals(session.totals, columns)
    _add_times(session, columns[3], columns[4])
    return (
        event["event_id"], event["session_id"], columns[0], columns[1], columns[2], columns[3],
        columns[4], columns[5], columns[6], 0, 0 if columns[7] is None else columns[7], columns[8],
        columns[9], columns[10], 3, decoded[2], 0,
    )


cdef int _add_totals(totals, tuple columns) except -1:
    totals.events += 1
    if columns[1] in _CALLS:
        totals.models += 1
        totals.tokens += columns[8]
        totals.cost_nano += columns[9]
        totals.unpriced += columns[10]
    if columns[7] is not None:
        totals.errors += 1
    return 0


cdef int _add_times(session, start, end) except -1:
    """Extend the time in which the session was seen."""
    end = end or start
    first, last = session.first_seen, session.last_seen
    if first is None or start < first:
        session.first_seen = start
    if last is None or end > last:
        session.last_seen = end
    return 0


cdef object _rounded(duration):
    """``micros`` of a duration."""
    cdef double ms
    cdef long long value, unit = 1
    if type(duration) is not float:
        return _micros(duration)
    ms = duration
    if not 0 <= ms < 1e12:
        return _micros(duration)
    value = <long long>rint(ms * 1000)
    if value < 10_000:
        return value
    while value // unit >= 10_000:
        unit *= 10
    return (value + unit // 2) // unit * unit


cdef int _add_call(session, dict event, tuple columns) except -1:
    """Add a model call to the measures of its session."""
    cdef dict calls = <dict?>session.calls
    cdef list latencies
    config = event.get("config")
    model = (<dict>config).get("model") if type(config) is dict else None
    if type(model) is not str or not 0 < len(<str>model) <= 200:
        model = _model(event) if config is not None or "metadata" in event else ""
    own = calls.get(model)
    if own is None:
        own = calls[model] = _measures()
    own.calls += 1
    if columns[7] is not None:
        own.errors += 1
    own.tokens += columns[8]
    own.cost_nano += columns[9]
    own.unpriced += columns[10]
    latency = _rounded(columns[5])
    latencies = <list?>own.latencies
    if latency is not None and len(latencies) < _MOST_VALUES:
        _insort(latencies, latency)
    session.calls_changed = True
    return 0
