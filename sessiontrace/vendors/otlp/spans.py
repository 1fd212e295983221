"""A record as an OTLP span, in the form that both encodings are made from.

Pure functions, no thread owns them. Invariant: a span's ids follow from the record's ids alone, so
that parent and child meet whoever sends them, and however often.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sessiontrace import genai
from sessiontrace.record import END, EVENT, UPDATE, Record
from sessiontrace.vendors import forms

__all__ = ["CLIENT", "ERROR", "INTERNAL", "Span", "span_of"]

Event = dict[str, Any]
Value = str | bool | int | float | list[str]

INTERNAL, CLIENT = 1, 3
ERROR = 2
_ATTRIBUTES_MAX = 256  # backends cut spans with more, without saying which
_MS_NS = 1_000_000
_HEX = re.compile(r"[0-9a-f]{32}")


class Span(NamedTuple):
    """One span; ids in hex, times in Unix ns. ``exception``: attributes of its exception event."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Value]
    error: str | None = None
    exception: dict[str, Value] | None = None


def span_of(record: Record, names: forms.Named) -> Span | None:
    """The span that a record becomes; None for the start of a session or turn."""
    event = forms.decode(record)
    if record.kind == UPDATE:
        return _score(record, event, names)
    if record.kind != EVENT:
        names.learn(event)
        if record.kind != END:
            return None
    attributes = _attributes(event, names)
    error = event.get("error")
    exception = _exception(event)
    if error is not None:
        attributes.setdefault("error.type", (exception or {}).get("exception.type", "_OTHER"))
    start, end = _times(event, names)
    return Span(
        service=names.service(event) or "unknown_service",
        trace_id=_trace_id(event),
        span_id=_low64(event["event_id"]),
        parent_id=_parent(record, event),
        name=_span_name(event),
        kind=CLIENT if event.get("event_type") == "model" else INTERNAL,
        start_ns=start,
        end_ns=end,
        attributes=attributes,
        error=None if error is None else forms.text(error),
        exception=exception,
    )


def _score(record: Record, event: Event, names: forms.Named) -> Span:
    """A late score: a span of no length below the one that it is about."""
    attributes: dict[str, Value] = {"session.id": event["session_id"]}
    for part in ("inputs", "outputs", "config", "metadata", "metrics", "feedback"):
        _flatten(attributes, part, event)
    at, _ = _times(event, names)
    return Span(
        service=names.service(event) or "unknown_service",
        trace_id=_trace_id(event),
        span_id=_low64(forms.stable_uuid(record.body)),
        parent_id=_low64(event["event_id"]),
        name="score" if event.get("metrics") or event.get("feedback") else "update",
        kind=INTERNAL,
        start_ns=at,
        end_ns=at,
        attributes=attributes,
    )


# -- ids and times --------------------------------------------------------------------------


def _hex(identifier: str) -> str:
    found = identifier.replace("-", "").lower()
    if _HEX.fullmatch(found):
        return found
    return forms.stable_uuid(identifier.encode()).replace("-", "")


def _trace_id(event: Event) -> str:
    return _hex(event["session_id"])


def _low64(identifier: str) -> str:
    found = _hex(identifier)[16:]
    return found if found.strip("0") else "8000000000000000"  # all zeros is no span id


def _parent(record: Record, event: Event) -> str | None:
    """None for sessions and for turns: no record stands for the whole of a conversation."""
    parent = event.get("parent_id")
    if record.kind == END or not isinstance(parent, str) or not parent:
        return None
    return _low64(parent)


def _times(event: Event, names: forms.Named) -> tuple[int, int]:
    start = names.began(event) or 0
    took = forms.seconds(event) or 0.0
    # The start's own fraction of a ms is gone; the duration's is not, so the end keeps it.
    return start * _MS_NS, start * _MS_NS + round(took * 1e9)


def _span_name(event: Event) -> str:
    return forms.text(event.get("event_name") or "unknown")


# -- attributes -----------------------------------------------------------------------------


def _attributes(event: Event, names: forms.Named) -> dict[str, Value]:
    found: dict[str, Value] = {
        "session.id": event["session_id"],
        "gen_ai.conversation.id": event["session_id"],
        "sessiontrace.event.id": event["event_id"],
        "sessiontrace.event.type": forms.text(event.get("event_type") or "chain"),
    }
    if isinstance(event.get("source"), str):
        found["sessiontrace.source"] = event["source"]
    if (user := names.user(event)) is not None:
        found["user.id"] = user
    if (operation := genai.operation(event)) is not None:
        found["gen_ai.operation.name"] = operation
    taken: set[tuple[str, ...]] = {("metadata", "error")}
    for field, value in genai.fields_of(event):
        if field.otel and (plain := _plain(value, field.kind)) is not None:
            found.setdefault(field.otel[0], plain)
            taken.add(field.path)
    _content(found, event)
    for part in ("config", "metadata", "metrics", "feedback", "user_properties"):
        _flatten(found, part, event, taken)
    if len(found) > _ATTRIBUTES_MAX:
        gone = len(found) - _ATTRIBUTES_MAX + 1
        found = dict(list(found.items())[: _ATTRIBUTES_MAX - 1])
        found["sessiontrace.attributes_cut"] = gone
    return found


def _content(found: dict[str, Value], event: Event) -> None:
    """Inputs and outputs, under the names that suit the type of event."""
    inputs, outputs = event.get("inputs"), event.get("outputs")
    if event.get("event_type") == "model":
        asked, said = genai.messages(event), genai.choices(event)
        if asked is not None:
            found["gen_ai.input.messages"] = forms.json_text([genai.parts(one) for one in asked])
            shown = ("chat_history", "messages")
            rest = {k: v for k, v in inputs.items() if k not in shown} if inputs else {}
            inputs = rest or None
        if said is not None:
            found["gen_ai.output.messages"] = forms.json_text(_answers(event, said))
            outputs = None
    elif event.get("event_type") == "tool":
        found["gen_ai.tool.name"] = _span_name(event)
        if inputs:
            found["gen_ai.tool.call.arguments"] = forms.json_text(inputs)
        if outputs is not None:
            found["gen_ai.tool.call.result"] = forms.json_text(outputs)
        return
    for name, value in (("input", inputs), ("output", outputs)):
        if value:
            found[f"{name}.value"] = forms.json_text(value)
            found[f"{name}.mime_type"] = "application/json"


def _answers(event: Event, said: list[Event]) -> list[Event]:
    """Answers in OTel's form, each with the reason why it ended."""
    reasons = genai.finish_reasons(event)
    answers = [genai.parts(one) for one in said]
    for answer, reason in zip(answers, reasons, strict=False):
        answer.setdefault("finish_reason", reason)
    return answers


def _flatten(
    found: dict[str, Value],
    part: str,
    event: Event,
    taken: set[tuple[str, ...]] | None = None,
) -> None:
    """What the conventions have no name for: ``sessiontrace.<part>.<key>``, objects as JSON."""
    for key, value in forms.bucket(event, part).items():
        if taken and (part, key) in taken:
            continue
        if key == "hyperparameters" and part == "config" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if not taken or (part, key, k) not in taken}
            if not value:
                continue
        plain = _plain(value, "any")
        if plain is not None:
            found[f"sessiontrace.{part}.{key}"] = plain


def _plain(value: Any, kind: str) -> Value | None:
    """A value as an attribute may hold it; None when it does not suit the kind."""
    if value is None:
        return None
    if kind == "texts":
        many = value if isinstance(value, list) else [value]
        return [forms.text(one) for one in many]
    if kind == "json":
        return forms.json_text(value)
    if kind in ("int", "float", "ms"):
        given = forms.number(value)
        if given is None:
            return None
        if kind == "ms":
            return given / 1000
        return _int(given) if kind == "int" else float(given)
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "text":
        return forms.text(value)
    if isinstance(value, (str, bool, float)):
        return value
    return _int(value) if isinstance(value, int) else forms.json_text(value)


def _int(value: float) -> int | str:
    """OTLP's integers have 64 bits with a sign."""
    whole = int(value)
    return whole if -(1 << 63) <= whole < 1 << 63 else str(whole)


def _exception(event: Event) -> dict[str, Value] | None:
    told = forms.bucket(event, "metadata").get("error")
    error = event.get("error")
    if not isinstance(told, dict):
        return None if error is None else {"exception.message": forms.text(error)}
    names = {"type": "exception.type", "message": "exception.message"}
    found = {to: forms.text(told[name]) for name, to in names.items() if told.get(name)}
    if told.get("stack"):
        found["exception.stacktrace"] = forms.text(told["stack"])
    return dict(found) or None
