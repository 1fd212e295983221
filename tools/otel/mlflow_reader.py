"""A conversation as MLflow shows it, read from the REST API that its pages use."""

from __future__ import annotations

import base64
import json
import urllib.parse
import urllib.request
from typing import Any

from conversation import Conversation, Document, Span, Trace, decoded, messages

__all__ = ["create_experiment", "fetch", "read", "views"]

_KINDS = {"chat_model": "llm", "workflow": "chain", "task": "chain", "none": "unknown"}


def create_experiment(url: str, name: str) -> str:
    """The id of a new experiment."""
    return str(_call(url, "/api/2.0/mlflow/experiments/create", {"name": name})["experiment_id"])


def fetch(url: str, experiment: str) -> dict[str, Any]:
    """The experiment's traces with their spans, as the API answers."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    query = {"locations": [place], "max_results": 100}
    traces = _call(url, "/api/3.0/mlflow/traces/search", query).get("traces", [])
    get = "/ajax-api/3.0/mlflow/traces/get?allow_partial=true&trace_id="
    spans = {
        trace["trace_id"]: _call(url, get + trace["trace_id"])["trace"]["spans"] for trace in traces
    }
    return {"id": experiment, "traces": traces, "spans": spans}


def _call(url: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def read(answer: dict[str, Any]) -> Conversation:
    """The conversation in an answer of ``fetch``."""
    traces = sorted(answer["traces"], key=lambda trace: str(trace["request_time"]))
    sessions = [_metadata(trace, "session") for trace in traces]
    session = sessions[0] if len(set(sessions)) == 1 else ""
    return Conversation(
        session,
        sessions.count(session) if session else 0,
        tuple(_trace(trace, answer["spans"][trace["trace_id"]]) for trace in traces),
        {
            name: value
            for trace in traces
            for name, (value, _) in _scores(trace, of_session=True).items()
        },
        embedding_tokens=8,
    )


def _metadata(trace: dict[str, Any], name: str) -> str:
    return str(trace["trace_metadata"].get(f"mlflow.trace.{name}", ""))


def _trace(trace: dict[str, Any], spans: list[dict[str, Any]]) -> Trace:
    own = {
        name: value
        for name, value in trace["tags"].items()
        if not name.startswith(("mlflow.", "service.", "openinference.", "telemetry."))
    }
    usage = decoded(_metadata(trace, "tokenUsage") or "{}")
    cost = decoded(_metadata(trace, "cost") or "{}")
    return Trace(
        trace["trace_id"],
        _metadata(trace, "user"),
        tuple(name for name, value in own.items() if value == "true"),
        {name: value for name, value in own.items() if value != "true"},
        usage.get("total_tokens", 0),
        cost.get("total_cost", 0.0),
        _scores(trace, of_session=False),
        tuple(map(_span, spans)),
    )


def _scores(trace: dict[str, Any], *, of_session: bool) -> dict[str, tuple[Any, str]]:
    """The trace's assessments, or those that it has for its session."""
    return {
        entry["assessment_name"]: (entry["feedback"].get("value"), entry.get("rationale", ""))
        for entry in trace.get("assessments", ())
        if ("mlflow.trace.session" in entry.get("metadata", ())) == of_session
    }


def _plain(value: dict[str, Any]) -> Any:
    """An OTLP value in protobuf's JSON as a plain value."""
    if not value:
        return None
    ((kind, content),) = value.items()
    if kind == "array_value":
        return [_plain(item) for item in content.get("values", ())]
    if kind == "kvlist_value":
        return _pairs(content.get("values", ()))
    return int(content) if kind == "int_value" else content


def _pairs(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _plain(pair.get("value", {})) for pair in pairs}


def _span(span: dict[str, Any]) -> Span:
    attributes = _pairs(span["attributes"])
    usage = attributes.get("mlflow.chat.tokenUsage") or {}
    kind = str(attributes.get("mlflow.spanType") or "none").lower()
    failure = next((event for event in span.get("events", ()) if event["name"] == "exception"), {})
    inputs = attributes.get("mlflow.spanInputs")
    outputs = attributes.get("mlflow.spanOutputs")
    tools = decoded(attributes.get("mlflow.chat.tools")) or []
    return Span(
        id=_id(span["span_id"]),
        parent=_id(span.get("parent_span_id", "")),
        name=span["name"],
        kind=_KINDS.get(kind, kind),
        start=int(span["start_time_unix_nano"]),
        end=int(span["end_time_unix_nano"]),
        failed=span["status"].get("code") == "STATUS_CODE_ERROR",
        error=span["status"].get("message", ""),
        stack=str(_pairs(failure.get("attributes", ())).get("exception.stacktrace", "")),
        input=_shown(inputs),
        output=_shown(outputs),
        model=attributes.get("mlflow.llm.model") or "",
        provider=attributes.get("mlflow.llm.provider") or "",
        parameters=_parameters(attributes),
        tokens={
            "prompt": usage.get("input_tokens", 0),
            "completion": usage.get("output_tokens", 0),
            "total": usage.get("total_tokens", 0),
            "cached": usage.get("cache_read_input_tokens", 0),
            "reasoning": 0,
        },
        cost=(attributes.get("mlflow.llm.cost") or {}).get("total_cost", 0.0),
        tools=tuple(tool.get("name") or tool["function"]["name"] for tool in tools),
        asked=messages(inputs),
        answers=messages(outputs),
        documents=tuple(_documents(outputs)) if kind == "retriever" else (),
    )


def _id(identifier: str) -> str:
    return base64.b64decode(identifier).hex()


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _parameters(attributes: dict[str, Any]) -> dict[str, Any]:
    """The request's parameters, under the names of any convention."""
    parameters = decoded(attributes.get("llm.invocation_parameters")) or {}
    start = "gen_ai.request."
    others = {name: value for name, value in attributes.items() if name.startswith(start)}
    return {**{name.removeprefix(start): value for name, value in others.items()}, **parameters}


def _documents(outputs: Any) -> list[Document]:
    """The documents, where they have the form that MLflow's page shows as documents."""
    entries = decoded(outputs)
    if not isinstance(entries, list) or not all("page_content" in entry for entry in entries):
        return []
    return [
        Document(
            entry.get("id") or "",
            entry["page_content"],
            (entry.get("metadata") or {}).get("score"),
        )
        for entry in entries
    ]


def views(url: str, answer: dict[str, Any], trace: Trace) -> list[str]:
    """The addresses of the conversation and of one of its traces."""
    place = f"{url}/#/experiments/{answer['id']}"
    sessions = {_metadata(entry, "session") for entry in answer["traces"]} - {""}
    session = urllib.parse.quote(min(sessions, default=""))
    conversation = f"{place}/chat-sessions/{session}" if session else f"{place}/chat-sessions"
    return [conversation, f"{place}/traces?selectedEvaluationId={trace.id}"]
