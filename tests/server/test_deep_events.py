"""Deeply nested events: what the server accepts it can show, and one of them spoils no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import T0, event, id_of, session_end
from support.server_process import Served, serving
from support.subprocesses import environment

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import EVENT, Record
from sessiontrace.store import folding
from sessiontrace.store.sqlite.store import SqliteStore

JSON = {"Content_Type": "application/json"}
LEVELS = [100, 126, 127, 128, 129, 140, 200, 251, 252, 253, 254, 255, 600, 1000]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("deep") / "store.db") as served:
        yield served


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def honeyhive(sid: str, inputs: str) -> str:
    return (
        f'{{"event_id":"{new_id()}","session_id":"{sid}","event_type":"tool","event_name":"t",'
        f'"source":"s","start_time":{T0},"end_time":{T0 + 1},"inputs":{inputs}}}'
    )


def posthog(sid: str, inputs: str) -> str:
    return (
        f'{{"event":"$ai_span","distinct_id":"ada","uuid":"{new_id()}","properties":'
        f'{{"$ai_trace_id":"{sid}","$ai_span_id":"{new_id()}","$ai_input_state":{inputs}}}}}'
    )


def humanloop(sid: str, inputs: str) -> str:
    return f'{{"project":"p","session_reference_id":"{sid}","inputs":{inputs},"output":"o"}}'


def humanloop_v5(sid: str, inputs: str) -> str:
    return f'{{"path":"p","metadata":{{"session_id":"{sid}"}},"inputs":{inputs}}}'


def span(sid: str, inputs: str) -> str:
    attributes = {"session.id": sid, "input.value": inputs, "input.mime_type": "application/json",
                  "gen_ai.tool.call.arguments": inputs, "honeyhive_metadata.x": inputs,
                  "metadata": inputs, "gen_ai.input.messages": f"[{inputs}]"}  # fmt: skip
    return json.dumps(
        {
            "traceId": new_id().replace("-", ""), "spanId": new_id().replace("-", "")[16:],
            "name": "s", "startTimeUnixNano": str(T0 * 10**6), "endTimeUnixNano": str(T0 * 10**6),
            "attributes": [
                {"key": key, "value": {"stringValue": value}} for key, value in attributes.items()
            ],
        }
    )  # fmt: skip


def otlp(spans: list[str]) -> str:
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}]}}'


BATCHES: dict[str, tuple[Callable[[str, str], str], Callable[[list[str]], str]]] = {
    "/v1/events/batch": (honeyhive, lambda events: f'{{"events":[{",".join(events)}]}}'),
    "/events/batch": (honeyhive, lambda events: f'{{"events":[{",".join(events)}]}}'),
    "/events/model/batch": (honeyhive, lambda events: f'{{"model_events":[{",".join(events)}]}}'),
    "/v1/sessions/SID/events/batch": (
        honeyhive,
        lambda events: f'{{"events":[{",".join(events)}]}}',
    ),
    "/session/SID/traces": (honeyhive, lambda events: f'{{"logs":[{",".join(events)}]}}'),
    "/batch/": (posthog, lambda events: f'{{"api_key":"k","batch":[{",".join(events)}]}}'),
    "/i/v1/analytics/events": (posthog, lambda events: f'{{"batch":[{",".join(events)}]}}'),
    "/v1/traces": (span, otlp),
    "/opentelemetry/v1/traces": (span, otlp),
}
SINGLES: dict[str, Callable[[str, str], str]] = {
    "/v1/events": honeyhive,
    "/events": lambda sid, inputs: f'{{"event":{honeyhive(sid, inputs)}}}',
    "/events/model": lambda sid, inputs: f'{{"model_event":{honeyhive(sid, inputs)}}}',
    "/v1/sessions": lambda sid, inputs: f'{{"session_id":"{sid}","inputs":{inputs}}}',
    "/session/start": lambda sid, inputs: (
        f'{{"session":{{"session_id":"{sid}","inputs":{inputs}}}}}'
    ),
    "/v4/logs": humanloop,
    "/v5/flows/log": humanloop_v5,
    "/v5/prompts/log": lambda sid, inputs: f'{{"path":"p","prompt":{inputs}}}',
    "/v4/projects": lambda sid, inputs: f'{{"name":"{sid}","x":{inputs}}}',
    "/v4/traces": lambda sid, inputs: (
        f'{{"logs":[{{"project":"p","children":[{humanloop(sid, inputs)}]}}]}}'
    ),
    "/capture": posthog,
}  # fmt: skip


def all_is_readable(server: Served, sid: str) -> None:
    """Every way of reading answers."""
    for path in ("/api/sessions", "/api/histogram", "/v4/projects", f"/api/sessions/{sid}"):
        status, _, reply = server.request(path)
        assert status in (200, 404), (path, reply)
    if status == 200:
        for step in json.loads(reply)["events"]:
            server.json(f"/api/events/{step['event_id']}")
            server.json(f"/v1/events/{step['event_id']}")
    for path, body in (
        ("/v1/events/export", b'{"filters": []}'),
        ("/v1/events/search", b'{"filters": [], "limit": 1000}'),
    ):
        status, _, reply = server.request(path, "POST", body, **JSON)
        assert status == 200, (path, reply[:200])
    for project in server.json("/v4/projects?size=1000")["records"]:
        server.json(f"/v4/logs?project_id={project['id']}&metadata_search=x")


@pytest.mark.parametrize("path", BATCHES)
def test_D16_one_deep_event_of_a_batch_is_refused_alone(server: Served, path: str):
    """The other events are stored, whatever the reply; and what is stored can be read."""
    one, whole = BATCHES[path]
    for levels in LEVELS:
        sid = new_id()
        events = [one(sid, "{}"), one(sid, deep(levels)), one(sid, "{}")]
        status, _, reply = server.request(
            path.replace("SID", sid), "POST", whole(events).encode(), **JSON
        )
        assert status in (200, 400), (levels, reply)
        if levels <= 120 or (path.endswith(("/traces", "/analytics/events")) and "SID" not in path):
            assert status == 200, (levels, reply)
        if status == 400:
            assert b"nested deeper than 128 levels" in reply
        assert len(server.json(f"/api/sessions/{sid}")["events"]) >= 2
        all_is_readable(server, sid)


@pytest.mark.parametrize("path", SINGLES)
def test_a_deep_event_is_stored_or_refused_in_the_vendors_form(server: Served, path: str):
    """A refusal is the vendor's own for a bad request, never a fault of the server."""
    for levels in LEVELS:
        sid = new_id()
        status, _, reply = server.request(
            path, "POST", SINGLES[path](sid, deep(levels)).encode(), **JSON
        )
        refusal = 422 if path.startswith(("/v4", "/v5")) else 400
        assert status in (200, 201, refusal), (levels, reply)
        assert status != refusal or b"nested deeper than 128 levels" in reply
        assert levels > 120 or status != refusal, reply
        all_is_readable(server, sid)


@pytest.mark.parametrize("levels", LEVELS)
def test_a_deep_late_change_is_refused(server: Served, levels: int):
    """Patches merge into a record, which must stay readable."""
    sid = new_id()
    body = honeyhive(sid, "{}")
    server.request("/v1/events", "POST", body.encode(), **JSON)
    event_id = json.loads(body)["event_id"]
    change = f'{{"metadata":{deep(levels)},"outputs":{deep(levels)}}}'.encode()
    status, _, reply = server.request(f"/v1/events/{event_id}", "PUT", change, **JSON)
    assert status == (200 if levels <= 131 else 400), reply
    all_is_readable(server, sid)


@pytest.mark.parametrize("levels", [252, 254, 600, 1000])
def test_D17_a_store_that_holds_a_deep_record_is_read_all_the_same(
    tmp_path: Path, levels: int, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
):
    """An earlier version accepted them: server and command line show them and what is beside."""
    db, sid = tmp_path / "store.db", new_id()
    monkeypatch.setattr(folding, "RECORD_DEPTH_MAX", 10_000)
    plain = event(sid)
    body = event(sid).body.replace(b'"inputs":{}', f'"inputs":{deep(levels)}'.encode())
    store = SqliteStore(db)
    assert store.write([session_end(sid), plain, Record(EVENT, b"*", body)]) == {}
    store.index()
    store.close()
    with serving(db) as server:
        all_is_readable(server, sid)
        assert server.json(f"/api/events/{id_of(plain)}")["event_id"] == id_of(plain)
    for words in (
        ["sessions", "list", "--json"], ["sessions", "show", sid, "--json"],
        *(["export", sid, "--format", kind] for kind in ("json", "otlp", "html")),
    ):  # fmt: skip
        assert main([*words, "--db", str(db)]) == 0, words
    assert id_of(plain).encode() in capfdbinary.readouterr().out


@pytest.mark.parametrize("levels", [*LEVELS, 1100])
def test_the_store_itself_refuses_what_cannot_be_read_back(tmp_path: Path, levels: int):
    """The local destination and imports write without a server."""
    store, sid = SqliteStore(tmp_path / "store.db"), new_id()
    plain = event(sid)
    body = plain.body.replace(b'"inputs":{}', f'"inputs":{deep(levels)}'.encode())
    refused = store.write([Record(EVENT, b"*", body), event(sid)])
    assert (refused == {}) == (levels < 136)
    stored = store.session(sid)
    assert stored is not None
    assert len(stored.events) == (1 if refused else 2)
    encode({"events": [store.event(step.event_id) for step in stored.events]})
    store.close()


def test_an_import_reports_the_line_that_is_too_deep(tmp_path: Path, monkeypatch, capsys):
    """By its number; the other lines are imported."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    lines = [
        f'{{"id":"log_{at}","path":"p","start_time":"2025-01-01T00:00:00Z","inputs":{inputs}}}'
        for at, inputs in enumerate(["{}", deep(300), "{}"])
    ]
    (tmp_path / "logs.jsonl").write_text("\n".join(lines))
    status = main(["import", "humanloop", str(tmp_path / "logs.jsonl")])
    printed = capsys.readouterr()
    assert (status, "2 logs imported to local, 1 line skipped" in printed.out) == (1, True)
    assert "logs.jsonl:2: nested deeper than 128 levels" in printed.err
