# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled forms of ``PlainCalls`` and ``identify``; see ``plain_call``.

Invariant: it adds what ``mapping`` adds for a span, or leaves the span to it. What the calls of one
place say of their session is said once, by the one that goes first.
"""

import orjson

from sessiontrace.model.record import EVENT
from sessiontrace.server.apis.otlp.event_layout import derived_id
from sessiontrace.server.apis.otlp.span_ids import OWN_IDS
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.gathered import NAME, SOURCE, USER
from sessiontrace.wire.decoded.name_plan import plan_of
from sessiontrace.wire.decoded.plain_span import encoded_chat
from sessiontrace.wire.dialects.coding_agents import is_coding_agent
from sessiontrace.wire.dialects.control_spans import SCOPES, SIGNS
from sessiontrace.wire.dialects.translation import is_conventional
from sessiontrace.wire.session_facts import NAMED_BY

cdef object _dumps = orjson.dumps
cdef object _is_conventional = is_conventional
cdef object _is_coding_agent = is_coding_agent
cdef frozenset _OWN_IDS = OWN_IDS
cdef object _EncodeError = orjson.JSONEncodeError
cdef object _Fragment = orjson.Fragment
cdef object _derived_id = derived_id
cdef object _plan_of = plan_of
cdef object _encoded_chat = encoded_chat
cdef object _record = DecodedRecord
cdef object _new = tuple.__new__
cdef bytes _EVENT = EVENT
cdef str _NAMED_BY = NAMED_BY
cdef long long _EARLIEST_NS = 946_684_800_000_000_000  # the year 2000, as in ``mapping``
cdef long long _AHEAD_NS = 31_622_400_000_000_000
cdef long long _MS_NS = 1_000_000
cdef long long _EXACT = 1LL << 53
cdef tuple _OTHER_SCOPES = (*SCOPES, "sessiontrace")
cdef frozenset _SIGNS = SIGNS


def identify(spans, prepare):
    """The spans that can be read, prepared, and the ids of their events."""
    cdef list readable = []
    cdef dict ids = {}, kinds = {}  # by scope and names: whether such spans stay as they are
    cdef tuple names
    for span in spans:
        event_id = None
        if not span.events:
            names = tuple(<dict?>span.attributes)
            kind = (span.scope, names, span.name)
            is_plain = kinds.get(kind)
            if is_plain is None:
                is_plain = kinds[kind] = _stays(span.scope, names, span.name)
            if is_plain:
                event_id = _derived_id(span.trace_id, span.span_id)
        if event_id is None:
            event_id = prepare(span)
            if event_id is None:
                continue
        ids[span.trace_id, span.span_id] = event_id
        readable.append(span)
    return readable, ids


cdef bint _stays(str scope, tuple names, str name) except -1:
    """Whether nothing is to prepare in a span, and its event has no id of its own."""
    return (
        _OWN_IDS.isdisjoint(names)
        and not _is_coding_agent(scope, name)
        and _is_conventional(scope, names)
    )


cdef class _Described:
    """What the calls of one place say of their session."""

    cdef object place, claim, scope, source
    cdef str session_id
    cdef dict users  # by order
    cdef bint is_named
    cdef long long at  # of the span that names the session
    cdef int rank  # the lowest one of a call
    cdef str tie, name


cdef class PlainCalls:
    """The plain calls of one request."""

    cdef object _add, _add_root, _add_orphan, _add_call, _place_of
    cdef dict _ids
    cdef dict _places, _scopes, _plans
    cdef long long _latest

    def __init__(self, assembly, dict ids not None, now, place_of):
        self._add = assembly.add
        self._add_root = assembly.add_root
        self._add_orphan = assembly.add_orphan
        self._add_call = assembly.add_call
        self._place_of = place_of
        self._ids = ids
        self._latest = now + _AHEAD_NS
        self._places = {}
        self._scopes = {}
        self._plans = {}

    def add(self, span):
        """Add the record of a span; returns its event's id, or None: the span is not plain."""
        cdef dict attributes, chat, otel, config, metadata, event
        cdef bint is_orphan
        cdef _Described described
        cdef str scope = span.scope, trace_id, span_id, session_id, name
        cdef object parent_span, parent_id, fields, start_ns, end_ns
        cdef long long start, end, nanos
        cdef int rank
        if span.events or span.failed or not self._is_plain_scope(scope):
            return None
        attributes = span.attributes
        if attributes.get("gen_ai.operation.name") != "chat":
            return None
        fields = self._plain_fields(attributes)
        start_ns, end_ns = span.start_ns, span.end_ns
        if fields is None or not (_EARLIEST_NS <= start_ns <= end_ns <= self._latest):
            return None
        if end_ns - start_ns >= _EXACT or not _is_reference(attributes.get("session.id")):
            return None
        if not _is_reference(attributes.get("gen_ai.conversation.id")):
            return None
        chat = _encoded_chat(attributes, fields)
        if chat is None:
            return None
        start, end = start_ns, end_ns
        trace_id, span_id, parent_span = span.trace_id, span.span_id, span.parent_id
        described = self._described(span, attributes, trace_id, parent_span is None)
        session_id = described.session_id
        event_id = self._ids[trace_id, span_id]
        config, metadata = chat["config"], chat["metadata"]
        model, title = config.get("model"), span.name
        name = f"chat {model}" if model else title
        otel = {"trace_id": trace_id, "span_id": span_id}
        if name != title:
            otel["name"] = title
        if described.claim is not None:
            otel[_NAMED_BY] = described.claim[1]
        if span.links:
            otel["links"] = span.links
        otel["scope"] = scope
        metadata["otel"] = otel
        is_orphan = False
        if parent_span is None or parent_span == span_id:
            parent_id = session_id
        else:
            parent_id = self._ids.get((trace_id, parent_span))
            if parent_id is None:
                is_orphan, parent_id = True, _derived_id(trace_id, parent_span)
        event = {
            "event_id": event_id, "session_id": session_id, "parent_id": parent_id,
            "event_type": "model", "event_name": name,
        }
        if described.source is not None:
            event["source"] = described.source
        event["start_time"] = start // _MS_NS
        nanos = start % _MS_NS
        if nanos:
            event["start_nanos"] = nanos
        event["end_time"] = end // _MS_NS
        event["duration"] = <double>(end - start) / 1e6
        event["inputs"] = chat["inputs"]
        outputs = chat.get("outputs")
        if outputs is not None:
            event["outputs"] = outputs
        if config:
            event["config"] = config
        event["metadata"] = metadata
        properties = chat.get("user_properties")
        if properties:
            event["user_properties"] = properties
        try:
            body = _dumps(event)
        except _EncodeError:
            return None
        if type(chat["inputs"]) is _Fragment:
            event["inputs"] = None
        if type(outputs) is _Fragment:
            event["outputs"] = None
        record = _new(_record, (_EVENT, event, (<bytes>body).decode()))
        self._add(record, described.place)
        if parent_span is None:
            self._add_root(trace_id, start_ns, event_id)
        elif is_orphan:
            self._add_orphan(trace_id, parent_span)
        if described.scope == scope:
            self._add_call(trace_id, event_id)
        else:
            described.scope = scope
            self._add_call(trace_id, event_id, scope)
        rank = 0 if parent_id == session_id else 1
        _say(described, rank, start, span_id, trace_id, name, properties)
        return event_id

    cdef bint _is_plain_scope(self, str scope) except -1:
        """Whether no producer that is known by its scope wrote the span."""
        is_plain = self._scopes.get(scope)
        if is_plain is None:
            is_plain = self._scopes[scope] = not scope.startswith(_OTHER_SCOPES)
        return is_plain

    cdef object _plain_fields(self, dict attributes):
        """The fields of a plan that is plain; None: it is not."""
        cdef tuple names = tuple(attributes)
        fields = self._plans.get(names, self)
        if fields is self:
            fields = _plan_of(attributes).plain if _SIGNS.isdisjoint(names) else None
            self._plans[names] = fields
        return fields

    cdef _Described _described(self, span, dict attributes, str trace_id, bint is_root):
        cdef _Described described
        resource = span.resource
        key = (
            trace_id, is_root, attributes.get("session.id"),
            attributes.get("gen_ai.conversation.id"), id(resource),
        )
        described = self._places.get(key)
        if described is None:
            described = _Described()
            described.claim, described.place = self._place_of(span)
            described.session_id = described.place.session_id
            source = resource.get("service.name")
            described.source = source if isinstance(source, str) and source else None
            described.users = {}
            described.rank = 2
            self._places[key] = described
        return described

    def finish(self):
        """Say of each session what the calls say of it."""
        cdef _Described described
        for described in self._places.values():
            if not described.is_named:
                continue
            offer = described.place.parts.offer
            order = (described.rank + 1, described.at, described.tie)
            offer(NAME, order, described.name)
            source = described.source
            if source is not None and not source.startswith("unknown_service"):
                offer(SOURCE, (described.rank, 0, source), source)
            for order, user in described.users.items():
                offer(USER, order, user)


cdef inline bint _is_reference(value) noexcept:
    return value is None or type(value) is str


cdef int _say(
    _Described described, int rank, long long at, str span_id, str trace_id, str name, properties
) except -1:
    """Remember the call where it goes before the others of its place."""
    cdef str tie
    if (
        not described.is_named or rank < described.rank
        or (rank == described.rank and at <= described.at)
    ):
        tie = span_id + trace_id
        if (
            not described.is_named or rank < described.rank or at < described.at
            or tie < described.tie
        ):
            described.is_named = True
            described.rank, described.at, described.tie = rank, at, tie
            described.name = name
    if properties is not None:
        user = (<dict>properties).get("user_id")
        if isinstance(user, (str, int)) and user != "":
            described.users.setdefault((rank, 0, str(user)), user)
    return 0
