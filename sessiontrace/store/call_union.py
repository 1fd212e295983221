"""One model call that several instrumentations recorded, as one record with what all of them know.

Pure functions over decoded records, no thread owns them. Invariant: a field that the outer record
states keeps its value, but for a poorer form of the same: an answer without its message, a chat
with fewer messages. Counts and cost come from one of the records, so that they agree: the one whose
counts most of them state, else the one with the most counts. A call ends, or
fails, with its stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sessiontrace.model.call_usage import call_usage, is_usage

__all__ = ["additions", "ending", "united"]

Record = Mapping[str, Any]

_SIDES = ("metadata", "metrics")
_OF_ONE = frozenset({"otel", "error"})
"""Entries of the metadata that say something of one record alone."""
_PRICED = ("cost_source", "cost_version")
_CHAT = "chat_history"


def united(outer: Record, inner: Sequence[Record]) -> dict[str, Any]:
    """The record ``outer`` with what the ``inner`` ones, of the same call, know beyond it."""
    result = dict(outer)
    for other in inner:
        for name in ("config", "feedback"):
            _set(result, name, _by_key(_bucket(result, name), _bucket(other, name)))
        _set(result, "inputs", _inputs(_bucket(result, "inputs"), _bucket(other, "inputs")))
        _set(result, "outputs", _outputs(result.get("outputs"), other.get("outputs")))
    giver = _with_usage([outer, *inner])
    for name in _SIDES:
        both = _without_usage(outer, name)
        for other in inner:
            beside = _without_usage(other, name)
            both = _by_key(both, {k: v for k, v in beside.items() if k not in _OF_ONE})
        usage = {k: v for k, v in _bucket(giver, name).items() if _is_of_call(k)}
        _set(result, name, {**both, **usage})
    for other in inner:
        _extend(result, other)
        _add_call(result, other)
    return result


def _without_usage(record: Record, name: str) -> dict[str, Any]:
    return {k: v for k, v in _bucket(record, name).items() if not _is_of_call(k)}


def _with_usage(records: Sequence[Record]) -> Record:
    """The record whose counts of tokens are those of the call."""
    counts = [_counts(record) for record in records]
    votes = [_sums(record) for record in records]
    ranks = [
        (bool(count), votes.count(vote), count, -at)
        for at, (count, vote) in enumerate(zip(counts, votes, strict=True))
    ]
    return records[-max(ranks)[3]]


def _sums(record: Record) -> tuple[Any, Any]:
    usage = call_usage(dict(record))
    return usage.prompt, usage.completion


def additions(outer: Record, inner: Record) -> dict[str, Any]:
    """What of ``inner`` its union with ``outer`` needs: chats that both have are left out."""
    union = united(outer, [inner])
    needed = {
        name: inner[name]
        for name in ("inputs", "outputs", "config", "feedback")
        if inner.get(name) and union.get(name) != outer.get(name)
    }
    return needed | {name: inner[name] for name in _SIDES if inner.get(name)}


def ending(outer: Record, late: Record) -> dict[str, Any]:
    """What makes ``outer`` end as ``late`` does, the record of the stream that it was answered."""
    start, end = _start_ms(outer), _start_ms(late) + _duration_ms(late)
    return {"end_time": late.get("end_time"), "duration": round(end - start, 6)}


def _extend(record: dict[str, Any], late: Record) -> None:
    """Let the call end where its stream did, unless it ends later itself, and fail with it.

    Before the answer a call may call the requested model the answering one.
    """
    if late.get("end_time") is not None and _duration_ms(record) < _duration_ms(late):
        record.update(end_time=late["end_time"], duration=late["duration"])
    of_answer = ["response_model"] if late.get("end_time") is not None else []
    if (error := late.get("error")) is not None and record.get("error") is None:
        record["error"] = error
        of_answer.append("error")
    said = _bucket(late, "metadata")
    if stated := {name: said[name] for name in of_answer if said.get(name)}:
        record["metadata"] = {**_bucket(record, "metadata"), **stated}


def _start_ms(record: Record) -> float:
    start, nanos = record.get("start_time"), record.get("start_nanos")
    at = float(start) if isinstance(start, (int, float)) else 0.0
    return at + nanos / 1e6 if isinstance(nanos, int) else at


def _duration_ms(record: Record) -> float:
    duration = record.get("duration")
    return float(duration) if isinstance(duration, (int, float)) else 0.0


def _bucket(record: Record, name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _set(record: dict[str, Any], name: str, value: Any) -> None:
    if value:
        record[name] = value


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _by_key(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """The outer object's values, and those that only the inner one has; inner objects likewise."""
    both = dict(outer)
    for key, value in inner.items():
        stated = both.get(key)
        if _is_empty(stated):
            both[key] = value
        elif isinstance(stated, dict) and isinstance(value, dict):
            both[key] = _by_key(stated, value)
    return both


def _inputs(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    if _CHAT in outer and _CHAT not in inner:
        inner = _without_copy(inner, outer[_CHAT])
    elif _CHAT in inner and _CHAT not in outer:
        outer = _without_copy(outer, inner[_CHAT])
    both = _by_key(outer, inner)
    if isinstance(chat := outer.get(_CHAT), list) and isinstance(other := inner.get(_CHAT), list):
        both[_CHAT] = _chat(chat, other)
    return both


def _without_copy(inputs: Mapping[str, Any], chat: Any) -> Mapping[str, Any]:
    """The inputs without their messages, which are as many as those of the chat and say less."""
    copy = inputs.get("messages")
    if not (isinstance(copy, list) and isinstance(chat, list) and len(copy) == len(chat)):
        return inputs
    return {name: value for name, value in inputs.items() if name != "messages"}


def _chat(outer: list[Any], inner: list[Any]) -> list[Any]:
    """The longer chat; of equally long ones, each message with what both say of it."""
    if len(outer) != len(inner):
        return outer if len(outer) > len(inner) else inner
    return [_message(mine, other) for mine, other in zip(outer, inner, strict=True)]


def _message(outer: Any, inner: Any) -> Any:
    if not (isinstance(outer, dict) and isinstance(inner, dict)):
        return outer
    return _by_key(outer, inner) if outer.get("role") == inner.get("role") else outer


def _outputs(outer: Any, inner: Any) -> Any:
    forms = [_form(outer), _form(inner)]
    if forms[0] != forms[1]:
        return outer if forms[0] > forms[1] else inner
    return _by_key(outer, inner) if isinstance(outer, dict) and isinstance(inner, dict) else outer


def _form(outputs: Any) -> int:
    """How much a form of an answer can say: choices, a message, any value, none."""
    if not isinstance(outputs, dict) or all(_is_empty(value) for value in outputs.values()):
        return 0
    return 3 if "choices" in outputs else 2 if "role" in outputs else 1


def _is_of_call(name: str) -> bool:
    return is_usage(name) or name in _PRICED


def _counts(record: Record) -> int:
    """How many counts of tokens a record has."""
    return sum(
        type(value) in (int, float)
        for name in _SIDES
        for key, value in _bucket(record, name).items()
        if key.endswith("_tokens")
    )


def _add_call(record: dict[str, Any], inner: Record) -> None:
    """Name the span of the inner record beside that of the outer one."""
    otel = _bucket(_bucket(inner, "metadata"), "otel")
    span = {name: otel[name] for name in ("span_id", "name", "scope") if name in otel}
    if span:
        metadata = dict(_bucket(record, "metadata"))
        own = dict(_bucket(metadata, "otel"))
        own["calls"] = [*own.get("calls", ()), span]
        record["metadata"] = {**metadata, "otel": own}
