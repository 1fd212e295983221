"""Any value in any field of any request: it is stored and can be read, or refused in one answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from support.records import T0, event, session_end
from support.server_process import Served, serving

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import EVENT, UPDATE, Record
from sessiontrace.store.models import EventQuery, SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore

JSON = {"Content_Type": "application/json"}
Fields = dict[str, str]
"""The JSON text of each field, which need not be JSON."""

LITERALS = [
    "null", "true", "-0.0", "1e400", "-1e400", "NaN", "Infinity", "1e308", "5e-324", "-1",
    "123456789012345678901234567890", "-9223372036854775809", "9223372036854775808",
    "18446744073709551616", "9007199254740993", '"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"',
    '"\\u2028"', '"\U0001f600"', '""', '" "', '"a/b?c#d%20%"', '"../../x"', '"%2F"', '"\\n"',
    '"\\\\"', '"\\"<script>"', "[]", "{}", "[[]]", '{"":""}', '{"a":1,"a":2}', '{"\\u0000":1}',
    '{"a":"\\ud83d"}', f'"{"x" * 600}"', f'"{"x" * 9000}"', f'"{"é" * 500}"', '"ABC"', '"last"',
    '"9999-12-31T23:59:59.999999999Z"', '"NaN"', '"99999999999999999999"', '"2024-02-30"',
    "1700000000000000000", '{"user_id":{"x":[1]}}', '{"cost":1e300,"total_tokens":1e300}',
    '{"rating":"good","x":1e9,"y":true,"z":-1e9}',
]  # fmt: skip
PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner,
                                                                    max_size=3),
    max_leaves=6,
).map(json.dumps)  # fmt: skip
VALUES = some.sampled_from(LITERALS) | PLAIN


def texts(fields: Mapping[str, Any]) -> Fields:
    return {name: json.dumps(value) for name, value in fields.items()}


def honeyhive(sid: str) -> Fields:
    return texts(
        {"event_id": new_id(), "session_id": sid, "parent_id": sid, "event_type": "tool",
         "event_name": "t", "source": "s", "start_time": T0, "end_time": T0 + 1, "duration": 1,
         "inputs": {"q": 1}, "outputs": {"r": 1}, "error": None, "metadata": {"total_tokens": 1},
         "metrics": {"s": 1}, "feedback": {"rating": 1}, "user_properties": {"user_id": "a"},
         "config": {"model": "m"}, "children_ids": []}
    )  # fmt: skip


def posthog(sid: str) -> Fields:
    return texts(
        {"$ai_trace_id": sid, "$ai_span_id": new_id(), "$ai_parent_id": sid, "$ai_latency": 1.5,
         "$ai_input": [{"role": "user", "content": "x"}], "$ai_input_state": {"q": 1},
         "$ai_output_choices": [{"role": "assistant"}], "$ai_output_state": 1,
         "$ai_input_tokens": 3, "$ai_total_cost_usd": 0.1, "$ai_is_error": False,
         "$ai_error": None, "$ai_model": "m", "$ai_span_name": "n"}
    )  # fmt: skip


def humanloop(sid: str) -> Fields:
    return texts(
        {"project": "p", "path": "p", "session_reference_id": sid, "reference_id": new_id(),
         "metadata": {"session_id": sid}, "inputs": {"q": 1}, "output": "o", "duration": 1,
         "created_at": "2026-01-01T00:00:00Z", "start_time": "2026-01-01T00:00:00Z",
         "config": {"model": "m"}, "messages": [{"role": "user", "content": "x"}],
         "output_tokens": 3, "error": None, "user": "u", "source": "s", "log_status": "complete"}
    )  # fmt: skip


def span(sid: str) -> Fields:
    return texts(
        {"traceId": new_id().replace("-", ""), "spanId": new_id().replace("-", "")[16:],
         "parentSpanId": "", "name": "s", "startTimeUnixNano": str(T0 * 10**6),
         "endTimeUnixNano": str(T0 * 10**6 + 5), "status": {"code": 2, "message": "x"},
         "attributes": [{"key": "session.id", "value": {"stringValue": sid}}], "events": []}
    )  # fmt: skip


def joined(fields: Fields) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}"


def of_posthog(fields: Fields) -> str:
    return f'{{"event":"$ai_generation","distinct_id":"ada","properties":{joined(fields)}}}'


WAYS: dict[str, tuple[Callable[[str], Fields], Callable[[Fields], str]]] = {
    "/v1/events/batch": (honeyhive, lambda fields: f'{{"events":[{joined(fields)}]}}'),
    "/v1/events": (honeyhive, joined),
    "/events": (honeyhive, lambda fields: f'{{"event":{joined(fields)}}}'),
    "/v1/sessions": (honeyhive, joined),
    "/session/start": (honeyhive, lambda fields: f'{{"session":{joined(fields)}}}'),
    "/batch/": (posthog, lambda fields: f'{{"api_key":"k","batch":[{of_posthog(fields)}]}}'),
    "/i/v1/analytics/events": (posthog, lambda fields: f'{{"batch":[{of_posthog(fields)}]}}'),
    "/v4/logs": (humanloop, joined),
    "/v4/traces": (humanloop, lambda fields: f'{{"logs":[{joined(fields)}]}}'),
    "/v5/flows/log": (humanloop, joined),
    "/v5/prompts/log": (humanloop, joined),
    "/v1/traces": (
        span,
        lambda fields: f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{joined(fields)}]}}]}}]}}',
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hostile") / "store.db") as served:
        yield served


@settings(max_examples=80, deadline=None)
@given(some.data())
def test_D20_what_is_accepted_can_be_asked_for(server: Served, data: some.DataObject) -> None:
    """Up to three fields of a request hold anything. The server stores or refuses it, and what the
    list shows afterwards can be opened.
    """
    path = data.draw(some.sampled_from(sorted(WAYS)))
    make, wrap = WAYS[path]
    fields = make(new_id())
    for name in data.draw(some.lists(some.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        fields[name] = data.draw(VALUES)
    body = wrap(fields).encode(errors="surrogatepass")
    status, _, reply = server.request(path, "POST", body, **JSON)
    assert status in (200, 201, 400, 422), (body, reply)
    for session in server.json("/api/sessions?limit=3")["sessions"]:
        for step in server.json("/api/sessions/" + quote(session["session_id"], ""))["events"]:
            server.json("/api/events/" + quote(step["event_id"], ""))


@pytest.mark.parametrize("value", [[], {"a": 1}, "e" * 9000])
@pytest.mark.parametrize("name", ["event_id", "session_id", "event_type"])
def test_D20_one_odd_event_of_a_batch_is_refused_alone(
    server: Served, name: str, value: Any
) -> None:
    """A type that is not text refuses the batch in one answer; an id that fits into no URL refuses
    its event only.
    """
    sid = new_id()
    events = [honeyhive(sid) for _ in range(3)]
    events[1][name] = json.dumps(value)
    body = '{"events":[' + ",".join(map(joined, events)) + "]}"
    status, _, reply = server.request("/v1/events/batch", "POST", body.encode(), **JSON)
    assert status in (200, 400), reply
    if isinstance(value, str) and name != "event_type":
        assert status == 400
        assert b"event 1 is identified by more than 512 characters" in reply
        assert len(server.json(f"/api/sessions/{sid}")["events"]) == 2


FIELDS = (
    *("event_type", "event_name", "source", "start_time", "end_time", "duration", "inputs"),
    *("outputs", "error", "metadata", "metrics", "feedback", "user_properties", "config"),
    *("parent_id", "children_ids", "event_id", "session_id"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path_factory.mktemp("any") / "store.db")
    yield opened
    opened.close()


@settings(max_examples=60, deadline=None)
@given(
    some.lists(
        some.tuples(
            some.sampled_from([EVENT, UPDATE]),
            some.dictionaries(some.sampled_from(FIELDS), PLAIN, max_size=4),
        ),
        max_size=4,
    )
)
def test_D20_the_store_reads_what_it_took(
    store: SqliteStore, changes: list[tuple[bytes, Fields]]
) -> None:
    """Records that no exporter of ours would write, from an import or a spool: each is refused with
    a reason, or found again by every query.
    """
    records = [session_end(sid := new_id())]
    for kind, fields in changes:
        whole = texts(json.loads(event(sid).body)) | fields
        records.append(Record(kind, b"*", joined(whole).encode(errors="surrogatepass")))
    refused = store.write(records)
    store.index()
    assert store.session(sid) is not None
    for position, record in enumerate(records):
        if position not in refused and record.kind == EVENT:
            body = json.loads(record.body)
            assert store.record(body["event_id"]) is not None
            assert store.session(body["session_id"]) is not None
    store.sessions(SessionQuery())
    store.events(EventQuery())
    store.histogram(SessionQuery())
    store.count_properties(100)


def test_D20_a_session_of_any_id_is_found_by_the_command_line(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Ids of a caller's own: with capital letters, a slash, a word of ours, or a whole sentence."""
    store = SqliteStore(tmp_path / "store.db")
    ids = ["Order-4711", "ORDER/1", "last", "eine Übung, " * 30, new_id()]
    for session_id in ids:
        assert store.write([session_end(session_id), event(session_id, event_name="s")]) == {}
    assert store.write([session_end("x" * 513)]) == {0: "event_id of more than 512 characters"}
    store.close()
    for words in (["sessions", "show", "--json"], ["export", "--format", "json"]):
        for session_id in (*ids, "Order-4", ids[-1].upper()):
            assert main([*words, session_id, "--db", str(tmp_path / "store.db")]) == 0
            match = next(full for full in ids if full.lower().startswith(session_id.lower()))
            assert json.dumps(match, ensure_ascii=False).encode() in capfdbinary.readouterr().out


@pytest.mark.parametrize("value", ["5", '"x"', "true", "{}", "[5]", "[null]", "[[]]"])
@pytest.mark.parametrize("body", ['{"logs":%s}', '{"logs":[{"project":"p","children":%s}]}'])
def test_D20_logs_that_are_no_list_are_refused(server: Served, body: str, value: str) -> None:
    """The nested logs of old Humanloop clients, with anything in the place of a list of objects."""
    status, _, reply = server.request("/v4/traces", "POST", (body % value).encode(), **JSON)
    assert status == 422, reply
