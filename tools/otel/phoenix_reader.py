"""A conversation as Phoenix shows it, read from the GraphQL API that its pages use."""

from __future__ import annotations

import datetime
import json
import urllib.request
from collections import defaultdict
from typing import Any

from conversation import Conversation, Document, Message, Span, Trace, decoded

__all__ = ["fetch", "read", "views"]

_PROJECTS = "{projects{edges{node{id name}}}}"
_PROJECT = """query($id:ID!){node(id:$id){...on Project{
 sessions(first:9){edges{node{id sessionId numTraces
  sessionAnnotations{name score}}}}
 spans(first:999){edges{node{id spanId parentId name spanKind statusCode statusMessage
  startTime endTime userId metadata attributes tokenCountPrompt tokenCountCompletion
  tokenCountTotal tokenPromptDetails{cacheRead} input{value} output{value}
  events{name attributes}
  costSummary{total{cost}} spanAnnotations{name score label explanation}
  trace{traceId userId costSummary{total{cost}}}}}}}}}"""


def fetch(url: str, project: str) -> dict[str, Any]:
    """The project's sessions and spans, as the API answers."""
    projects = _query(url, _PROJECTS)["projects"]["edges"]
    names = {edge["node"]["name"]: edge["node"]["id"] for edge in projects}
    if (identifier := names.get(project)) is None:  # Phoenix has inserted nothing yet
        return {"id": "", "sessions": {"edges": []}, "spans": {"edges": []}}
    answer = _query(url, _PROJECT, id=identifier)["node"]
    return {"id": identifier, **answer}


def _query(url: str, query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer = json.load(reply)
    if answer.get("errors"):
        raise RuntimeError(answer["errors"])
    return answer["data"]


def read(answer: dict[str, Any]) -> Conversation:
    """The conversation in an answer of ``fetch``."""
    nodes = [edge["node"] for edge in answer["spans"]["edges"]]
    by_trace = defaultdict(list)
    for node in sorted(nodes, key=lambda node: str(node["startTime"])):
        by_trace[node["trace"]["traceId"]].append(node)
    sessions = [edge["node"] for edge in answer["sessions"]["edges"]]
    session = sessions[0] if len(sessions) == 1 else {}
    return Conversation(
        session.get("sessionId", ""),
        session.get("numTraces", 0),
        tuple(_trace(identifier, nodes) for identifier, nodes in by_trace.items()),
        {entry["name"]: entry["score"] for entry in session.get("sessionAnnotations", ())},
        embedding_tokens=0,  # Phoenix counts those of chats only
    )


def _trace(identifier: str, nodes: list[dict[str, Any]]) -> Trace:
    root = next((node for node in nodes if node["parentId"] is None), nodes[0])
    attributes = decoded(root["attributes"])
    return Trace(
        identifier,
        str(root["trace"]["userId"] or ""),
        tuple(attributes.get("tag", {}).get("tags", ())),
        decoded(root["metadata"]) or {},
        sum(node["tokenCountTotal"] or 0 for node in nodes),
        _cost(root["trace"]),
        {
            entry["name"]: (entry["score"], entry["explanation"] or "")
            for entry in root["spanAnnotations"]
        },
        tuple(map(_span, nodes)),
    )


def _cost(node: dict[str, Any]) -> float:
    summary = node["costSummary"]
    return (summary["total"]["cost"] or 0.0) if summary else 0.0


def _span(node: dict[str, Any]) -> Span:
    attributes = decoded(node["attributes"])
    llm = attributes.get("llm", {})
    tokens = {
        "prompt": node["tokenCountPrompt"] or 0,
        "completion": node["tokenCountCompletion"] or 0,
        "total": node["tokenCountTotal"] or 0,
        "cached": node["tokenPromptDetails"]["cacheRead"] or 0,
        "reasoning": llm.get("token_count", {}).get("completion_details", {}).get("reasoning", 0),
    }
    tools = [decoded(tool["tool"]["json_schema"]) for tool in llm.get("tools", ())]
    exception = next((event for event in node["events"] if event["name"] == "exception"), {})
    return Span(
        id=node["spanId"],
        parent=node["parentId"] or "",
        name=node["name"],
        kind=node["spanKind"],
        start=_ns(node["startTime"]),
        end=_ns(node["endTime"]),
        failed=node["statusCode"] == "ERROR",
        error=node["statusMessage"],
        stack=_stack(exception),
        input=(node["input"] or {}).get("value") or "",
        output=(node["output"] or {}).get("value") or "",
        model=llm.get("model_name") or attributes.get("embedding", {}).get("model_name") or "",
        provider=llm.get("provider") or "",
        parameters=decoded(llm.get("invocation_parameters", "{}")),
        tokens=tokens,
        cost=_cost(node),
        tools=tuple(tool["function"]["name"] for tool in tools),
        asked=_messages(llm.get("input_messages", ())),
        answers=_messages(llm.get("output_messages", ())),
        documents=tuple(map(_document, attributes.get("retrieval", {}).get("documents", ()))),
    )


def _stack(event: dict[str, Any]) -> str:
    attributes = decoded(event.get("attributes")) or {}
    nested = attributes.get("exception", attributes)
    return str(nested.get("stacktrace") or attributes.get("exception.stacktrace") or "")


def _ns(time: str) -> int:
    return round(datetime.datetime.fromisoformat(time).timestamp() * 1e6) * 1000


def _messages(entries: Any) -> tuple[Message, ...]:
    return tuple(_message(entry["message"]) for entry in entries)


def _message(message: dict[str, Any]) -> Message:
    calls = [call["tool_call"]["function"] for call in message.get("tool_calls", ())]
    return Message(
        message["role"],
        message.get("content", ""),
        tuple((call["name"], decoded(call["arguments"])) for call in calls),
    )


def _document(entry: dict[str, Any]) -> Document:
    document = entry["document"]
    return Document(document.get("id", ""), document.get("content", ""), document.get("score"))


def views(url: str, answer: dict[str, Any], trace: Trace) -> list[str]:
    """The addresses of the conversation and of one of its traces."""
    place = f"{url}/projects/{answer['id']}"
    sessions = [edge["node"]["id"] for edge in answer["sessions"]["edges"]]
    conversation = f"{place}/sessions/{sessions[0]}" if sessions else f"{place}/sessions"
    return [conversation, f"{place}/traces/{trace.id}"]
