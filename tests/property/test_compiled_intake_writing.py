"""The compiled forms that write what the server takes in do what their Python forms do."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessiontrace.capture.encoding.media import MEDIA_MIN, is_media
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record
from sessiontrace.server.apis.otlp import _plain_call_py, mapping
from sessiontrace.server.media_check import _media_check_py
from sessiontrace.store import _facet_lines_py, folding
from sessiontrace.store.folding import DecodedRecord, EventState, SessionState
from sessiontrace.store.media import _describing_py
from sessiontrace.store.sqlite.fresh import _fresh_event_py, _outline_py
from sessiontrace.wire.decoded.name_plan import plan_of
from sessiontrace.wire.dialects.control_spans import SCOPES, SIGNS
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.session_facts import SESSION_KEYS
from sessiontrace.wire.span_attributes import SESSION

_facet_lines_c: Any = pytest.importorskip(
    "sessiontrace.store._facet_lines_c", reason="not compiled"
)
_fresh_event_c: Any = pytest.importorskip(
    "sessiontrace.store.sqlite.fresh._fresh_event_c", reason="not compiled"
)
_outline_c: Any = pytest.importorskip(
    "sessiontrace.store.sqlite.fresh._outline_c", reason="not compiled"
)
_describing_c: Any = pytest.importorskip(
    "sessiontrace.store.media._describing_c", reason="not compiled"
)
_media_check_c: Any = pytest.importorskip(
    "sessiontrace.server.media_check._media_check_c", reason="not compiled"
)
_plain_call_c: Any = pytest.importorskip(
    "sessiontrace.server.apis.otlp._plain_call_c", reason="not compiled"
)

words = st.sampled_from(["", "a", "Ä", "ß", "A b\nc", "\x7f", "{}", "x" * 250, "=", "0.5"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 1 << 40), st.floats(), words)
objects = st.dictionaries(words, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=3)
events = st.fixed_dictionaries(
    {"event_id": st.just("e"), "session_id": st.just("s"), "start_time": st.integers(0, 9000)},
    optional={
        "event_type": st.sampled_from(["model", "model", "embedding", "tool", "chain", "", 3]),
        "parent_id": words,
        "event_name": words,
        "end_time": st.one_of(st.integers(0, 20_000), scalars),
        "duration": st.one_of(st.floats(0, 1e6), scalars),
        "error": words,
        "config": st.fixed_dictionaries({}, optional={"model": words, "provider": scalars}),
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "prompt_tokens": scalars, "cost": scalars, "response_model": words,
                "otel": objects, "tags": st.lists(words, max_size=3), "abandoned": st.booleans(),
            },
        ),
        "metrics": objects,
        "feedback": objects,
        "gathered": st.just({"name 01 00000000000000000001 x": "n"}),
        "folded": words,
        "user_properties": objects,
    },
)  # fmt: skip


@given(batch=st.lists(events, min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_new_events_fold_into_the_same_rows_and_session(batch: list[dict[str, Any]]) -> None:
    """Sums, measures of calls, times, facets and scores, whatever the events hold."""
    results = []
    for form in (_fresh_event_c, _fresh_event_py):
        session = SessionState("s")
        records = [DecodedRecord(EVENT, {**event}, "{}") for event in batch]
        rows = [form.fold_fresh(record, session) for record in records]
        text = str(session.facets)
        session.summarize()
        state = {
            name: getattr(session, name) for name in SessionState.__slots__ if name != "facets"
        }
        results.append(repr((rows, text, {k: v for k, v in state.items() if k[:2] != "__"})))
    assert results[0] == results[1]


kinds = st.sampled_from([EVENT, EVENT, EVENT, START, END, UPDATE, b"unknown"])
ids = st.sampled_from(["event-a", "event-b", "session-a"])


def state_of(state: object) -> str:
    """All of a state but its objects with an identity of their own."""
    fields = [name for name in type(state).__slots__ if name[:2] != "__"]  # type: ignore[attr-defined]
    return repr({name: str(getattr(state, name)) for name in fields if name != "facets"})


@given(
    batch=st.lists(
        st.tuples(kinds, ids, st.sampled_from(["session-a", "session-b"]), events), max_size=8
    )
)
@settings(max_examples=50, deadline=None)
def test_a_batch_folds_into_the_same_states(
    batch: list[tuple[bytes, str, str, dict[str, Any]]],
) -> None:
    """Starts, ends, updates and repeated events among events that are new and whole."""
    results = []
    for form in (_fresh_event_c, _fresh_event_py):
        records = [
            DecodedRecord(kind, fields, orjson.dumps(fields).decode())
            for kind, event_id, session_id, event in batch
            if kind != b"unknown"
            for fields in [{**event, "event_id": event_id, "session_id": session_id}]
        ]
        seen = [record.event["event_id"] for record in records]
        repeated = frozenset(event_id for event_id in seen if seen.count(event_id) > 1)
        sessions: dict[str, SessionState] = {}
        states: dict[str, EventState] = {}
        rows = form.fold_records(records, sessions, states, repeated)
        for session in sessions.values():
            session.summarize()
        folded = [row if isinstance(row, tuple) else state_of(row) for row in rows]
        texts = [(state_of(session), str(session.facets)) for session in sessions.values()]
        results.append(repr((folded, texts, [state_of(state) for state in states.values()])))
    assert results[0] == results[1]


def decoded_of(entries: list[Any]) -> list[DecodedRecord]:
    """What the form in Python gives: records only, without rows."""
    assert all(isinstance(entry, DecodedRecord) for entry in entries)
    return entries


def row_of(record: DecodedRecord) -> tuple[Any, ...]:
    """The row of an event of which nothing is stored."""
    return _fresh_event_py.fold_fresh(record, SessionState(record.event["session_id"]))


plain_texts = st.sampled_from(["model", "tool", "chain", "answer", 'a"b', "Ü", "", "x" * 300])
moments_ms = st.one_of(st.integers(0, 9000), st.sampled_from([1 << 53, 10**15, -1, 1.5]))
plain_events = st.fixed_dictionaries(
    {
        "event_id": st.sampled_from(["event-a", "event-b", "event-c", "session-a"]),
        "session_id": st.sampled_from(["session-a", "session-b"]),
        "event_type": plain_texts, "event_name": plain_texts, "start_time": st.integers(0, 9000),
    },
    optional={
        "parent_id": plain_texts, "source": plain_texts, "start_nanos": st.integers(0, 999_999),
        "end_time": moments_ms, "error": st.just("ValueError: no"),
        "duration": st.one_of(
            st.floats(0, 1e6), st.floats(0, 1e-3), st.integers(-1, 10**17),
            st.sampled_from([0.0, -1.0, 0.1, 1e22, 123456.789012345, 9007199254740993.0]),
        ),
        "metadata": st.just({"prompt_tokens": 3}),
    },
)  # fmt: skip


@given(batch=st.lists(st.tuples(kinds, plain_events), max_size=8))
@settings(max_examples=100, deadline=None)
def test_plain_events_fold_from_their_bytes(batch: list[tuple[bytes, dict[str, Any]]]) -> None:
    """Rows without decoding: the same rows, sums and facets, also of repeated events."""
    records = [
        Record(kind, b"*", orjson.dumps(event)[:-1] + b',"inputs":\t{"a":1}\t}')
        for kind, event in batch
    ]
    results = []
    for outline_form, form in ((_outline_c, _fresh_event_c), (_outline_c, _fresh_event_py),
                               (_outline_py, _fresh_event_py)):  # fmt: skip
        refused: dict[int, str] = {}
        entries = outline_form.outlines(records, 0, 9, refused)
        seen = outline_form.touched(entries).event_ids
        repeated = frozenset(event_id for event_id in seen if seen.count(event_id) > 1)
        sessions: dict[str, SessionState] = {}
        rows = form.fold_records(entries, sessions, {}, repeated)
        for session in sessions.values():
            session.summarize()
        folded = [row if isinstance(row, tuple) else state_of(row) for row in rows]
        texts = [(state_of(session), str(session.facets)) for session in sessions.values()]
        results.append(repr((folded, texts, refused)))
    assert results[0] == results[1] == results[2]


def test_a_plain_event_is_not_decoded() -> None:
    """The row comes from the bytes that capture wrote."""
    body = (
        b'{"event_id":"e","session_id":"s","parent_id":"s","event_type":"model","source":"app",'
        b'"start_time":1796000000123,"start_nanos":804032,"end_time":1796000000150,'
        b'"duration":27.25,"event_name":"answer","inputs":\t{}\t,"outputs":\t{}\t}'
    )
    (row,) = _outline_c.outlines([Record(EVENT, b"*", body)], 0, 0, {})
    assert type(row) is tuple
    (record,) = decoded_of(_outline_py.outlines([Record(EVENT, b"*", body)], 0, 0, {}))
    assert row == row_of(record)


heads = st.sampled_from(
    [
        b'{"event_id":"e","session_id":"s","start_time":1',
        b'{"event_id":"e","session_id":"s","event_type":"tool","event_name":"a","start_time":12',
        b'{"event_id":"e","session_id":"s","event_type":"tool","event_name":"a","start_time":012',
        b'{"event_id":"e","session_id":"s","event_type":"tool","event_name":"a","start_time":1.',
        b'{"event_id":"e","session_id":"s","event_type":"tool","event_name":"a","start_time":1, ',
        b'{"event_id":"e","session_id":"s","start_time":1.5,"metadata":{"a":[1,2]}',
        b'{"event_id":"s","session_id":"s","start_time":true',
        b'{"event_id":"","session_id":"s","start_time":1',
        b'{"event_id":"e","session_id":"' + b"s" * 300 + b'","start_time":1',
        b'{"event_id":"e","start_time":1,"metadata":{"a":1',
        b'{"event_id":"e","session_id":"s","start_time":1,"metadata":{"x":' + b"[" * 140,
        b'{"event_id":"e","session_id":"\xff","start_time":1',
        b"{",
        b"",
    ]
)
tails = st.lists(
    st.sampled_from(
        [
            b',"inputs":\t', b',"outputs":\t', b"\t", b"}", b"{}", b"null", b',"feedback":{"a":1}',
            b'{"medium":{"stored":true}}', b'[{"role":"user","content":"Wo? \xc3\x9c"}]',
            b'"' + b"[" * 150 + b'"', b"\t}", b'"stored":true', b"}}",
        ]
    ),
    max_size=7,
)  # fmt: skip
laid_out = st.sampled_from(
    [
        b',"inputs":\t{"question":"Wo?"}\t}',
        b',"outputs":\t[{"stored":true}]\t}',
        b',"inputs":\t{"a":{"stored":true}}\t,"outputs":\t"\xc3\x9c"\t}',
        b',"inputs":\t{}\t,"outputs":\t' + b"[" * 150 + b"]" * 150 + b"\t}",
        b',"outputs":\t1\t,"inputs":\t2\t}',
        b"}",
    ]
)
bodies = st.builds(
    lambda head, tail: head + b"".join(tail), heads, tails | laid_out.map(lambda b: [b])
)


@given(records=st.lists(st.builds(Record, kinds, st.just(b"*"), bodies), max_size=4))
@example([Record(EVENT, b"*", b'{,"inputs":\t\t}'), Record(EVENT, b"*", b'{"a":1,"inputs":\t\t}')])
@settings(max_examples=200, deadline=None)
def test_records_are_outlined_alike(records: list[Record]) -> None:
    """Both forms give the same fields and reasons, and miss only inputs and outputs."""
    refused: dict[int, str] = {}
    compiled: dict[int, str] = {}
    legal = decoded_of(_outline_py.outlines(records, 5, 9, refused))
    entries = _outline_c.outlines(records, 5, 9, compiled)
    assert compiled == refused
    for entry, outline in zip(entries, legal, strict=True):
        assert entry == (row_of(outline) if type(entry) is tuple else outline)
    touch, compiled_touch = _outline_py.touched(legal), _outline_c.touched(entries)
    assert compiled_touch == touch
    assert touch == _outline_py.touched(entries)
    assert touch.with_media == [outline for outline in legal if '"stored":true' in outline.body]
    outlines = iter(legal)
    for index, record in enumerate(records, 5):
        whole = folding.decode(record)
        if index in refused:
            assert whole in (refused[index], "no JSON")
            continue
        outline = next(outlines)
        if isinstance(whole, str):
            assert whole == "no JSON"
            assert b"\t" in record.body  # capture encodes no such thing
            continue
        if record.kind == UPDATE:
            continue
        assert {**whole.event, **outline.event} == whole.event
        assert set(whole.event) - set(outline.event) <= {"inputs", "outputs"}
        assert outline.body == whole.body


@given(event=events, kind=st.sampled_from([EVENT, b"E", b"U"]))
@settings(max_examples=50, deadline=None)
def test_the_facets_of_a_record_are_the_same(event: dict[str, Any], kind: bytes) -> None:
    """Letters of any case and alphabet, and texts with line breaks."""
    compiled, plain = (form.lines_of(kind, event) for form in (_facet_lines_c, _facet_lines_py))
    assert compiled == plain


pieces = st.sampled_from(['"', "sha256", '"sha256', '"sha25', '"s', "x", "Ü", '"sha256":"'])


@given(texts=st.lists(st.lists(pieces, max_size=6).map("".join), max_size=4))
@settings(max_examples=50, deadline=None)
def test_records_that_name_a_hash_are_the_same(texts: list[str]) -> None:
    """In bytes and in text, also where a body ends within the name."""
    for records in (
        [Record(EVENT, b"*", text.encode()) for text in texts],
        [DecodedRecord(EVENT, {}, text) for text in texts],
    ):
        indexes = [index for index, text in enumerate(texts) if '"sha256' in text]
        assert _describing_c.describing(records) == indexes
        assert _describing_py.describing(records) == indexes


letters = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
texts = st.one_of(
    st.builds(lambda head, count: head + letters * count, words, st.integers(0, 80)),
    st.builds(
        lambda blank, count: blank + "\n".join([letters[:64]] * count),
        st.sampled_from(["", " \n", "\t", "data:image/png;base64,", "data:", "\u2003"]),
        st.integers(0, 60),
    ),
    st.text(max_size=400),
)


@given(value=texts)
@example("data:image/png;base64," + letters * 20)
@example("\n" + "\r\n".join([letters] * 80))
@example("Fünfhundert Wörter sind kein Bild. " * 40)
@settings(max_examples=50, deadline=None)
def test_the_look_at_a_record_misses_no_medium(value: str) -> None:
    """Both forms answer alike, and what is a medium is looked at."""
    body = orjson.dumps({"inputs": {"image": value, "n": 1}})
    answer = _media_check_py.may_hold_media(body)
    assert _media_check_c.may_hold_media(body) == answer
    assert _media_check_c.may_hold_media(body.decode()) == answer
    assert answer or len(value) < MEDIA_MIN or not is_media(value)


def chat(*contents: str) -> str:
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": content}]} for content in contents
    ]
    return orjson.dumps(messages).decode()


calls = st.fixed_dictionaries(
    {
        "gen_ai.operation.name": st.sampled_from(["chat"] * 6 + ["embeddings", 3]),
        "gen_ai.provider.name": st.sampled_from(["openai", "x", 7]),
    },
    optional={
        "gen_ai.request.model": words,
        "session.id": st.sampled_from(["a", "b", "b", "", 4, ["a"]]),
        "gen_ai.conversation.id": st.sampled_from(["c", "d"]),
        "user.id": st.sampled_from(["ada", "", "bob", 5]),
        "gen_ai.input.messages": st.sampled_from(
            [chat("hello"), chat(), "no JSON", chat("a", "b")]
        ),
        "gen_ai.output.messages": st.sampled_from([chat("hi"), chat("x", "y"), "[1]"]),
        "gen_ai.usage.input_tokens": st.integers(0, 1 << 70),
        "service.note": words,
        "llm.model_name": words,
        "ai.telemetry.functionId": words,
        **dict.fromkeys(SIGNS, st.sampled_from(["log", "pending_span", "model_chunk"])),
        "honeyhive_event_id": st.just("3F2504E0-4F89-41D3-9A0C-0305E82C3301"),
    },
)
moments = st.sampled_from([0, 1, 10**9, 1_796_000_000 * 10**9, 1_796_000_000_123_456_789])
resources = st.sampled_from(
    [{}, {"service.name": "bot"}, {"service.name": "unknown_service:py"}, {"session.id": "r"}]
)
spans = st.builds(
    lambda trace, number, parent, name, start, took, attributes, resource, scope, failed, events: {
        "trace_id": f"{trace:032x}", "span_id": f"{number:016x}",
        "parent_id": None if parent == 0 else f"{parent:016x}", "name": name,
        "start_ns": start, "end_ns": start + took, "attributes": attributes, "resource": resource,
        "scope": scope, "failed": failed, "message": "", "events": events,
        "links": [{"trace_id": "x"}] if number == 3 else [],
    },
    st.integers(1, 2), st.integers(1, 9), st.integers(0, 9),
    st.sampled_from(["answer", "answer", "codex.tool", "x.stream_chat", "llm_call"]), moments,
    st.sampled_from([0, 5_000_000, 1 << 60]), calls, resources,
    st.sampled_from(["openai"] * 9 + ["other", "sessiontrace", "openlit", "traceai", *SCOPES]),
    st.sampled_from([False] * 5 + [True]),
    st.sampled_from([[]] * 5 + [[("gen_ai.user.message", {"content": "hi"})]]),
)  # fmt: skip


def converted(request: list[dict[str, Any]], form: Any, patch: pytest.MonkeyPatch) -> str:
    """What a request becomes, and what its spans say of their sessions, by their places."""
    patch.setattr(mapping, "PlainCalls", form.PlainCalls)
    patch.setattr(mapping, "identify", form.identify)
    patch.setattr(mapping, "now_ns", lambda: 1_796_000_100 * 10**9)
    received = [ReceivedSpan(**span) for span in copy.deepcopy(request)]
    answer = mapping.convert(received)
    bodies = [
        (record.kind, record.body, getattr(record, "whole", lambda: None)())
        for record in answer.records
    ]
    asked: set[str] = set(answer.assembly.touches)
    said = answer.assembly.plan(EmptyStore()).records  # type: ignore[arg-type]
    assert asked or not bodies
    # The order of the parts in an object says nothing.
    patches = sorted(
        orjson.dumps(orjson.loads(record.body), option=orjson.OPT_SORT_KEYS) for record in said
    )
    return repr((bodies, answer.event_ids, answer.reasons, patches))


class EmptyStore:
    """A store in which nothing is yet."""

    def gathered(self, session_ids: Any) -> dict[str, Any]:
        return {}

    def sessions_known(self, session_ids: Any) -> frozenset[str]:
        return frozenset()


@given(request=st.lists(spans, min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_plain_calls_become_the_same_records_and_sessions(request: list[dict[str, Any]]) -> None:
    """Roots, orphans, several sessions in one trace, users, resources, clocks that are wrong."""
    with pytest.MonkeyPatch.context() as patch:
        compiled = converted(request, _plain_call_c, patch)
        assert compiled == converted(request, _plain_call_py, patch)


def test_plain_calls_name_their_session_in_two_ways_only() -> None:
    """The compiled form finds the place of a call by these two attributes."""
    for name in {SESSION, *SESSION_KEYS, "session.name", "honeyhive.session_name"}:
        is_plain = plan_of({"gen_ai.operation.name": "chat", name: "x"}).plain is not None
        assert is_plain == (name in ("session.id", "gen_ai.conversation.id")), name
