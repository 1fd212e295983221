"""The logs of a Humanloop export, which customers made before the service closed, as records.

Pure functions over decoded lines, no thread owns them. An export is a folder with
``files/<file id>/logs/N.jsonl``, one v5 log a line; lines of v4 logs are read too. Invariant: the
same export always gives the same ids and bytes, so an import can be repeated or resumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import attrs
import orjson

from sessiontrace.model import payload
from sessiontrace.model.ids import session_uuid
from sessiontrace.model.json_depth import TOO_DEEP, is_too_deep
from sessiontrace.model.record import END, EVENT, START, Record
from sessiontrace.vendors.shared.truncate import truncate_record

__all__ = ["BadLineError", "Survey", "read_line", "records_of"]

Body = dict[str, Any]

_LARGEST = 512 << 10
_KINDS = {
    "prompt": "model",
    "agent": "agent",
    "flow": "chain",
    "tool": "tool",
    "evaluator": "evaluator",
}
_CALL = ("prompt_tokens", "output_tokens", "reasoning_tokens", "finish_reason")
_EXTRAS = ("environment", "user", "judgment", "stdout", "log_status", "evaluation_results")
_SETTINGS = ("temperature", "max_tokens", "top_p", "stop", "seed", "presence_penalty",
             "frequency_penalty")  # fmt: skip


_FRACTION = re.compile(r"\.(\d+)")  # fromisoformat in Python 3.10 reads 3 or 6 digits only


class BadLineError(ValueError):
    """A line that is not a log; its text says why."""


@attrs.define
class _Span:
    """First and last time of a session in Unix ms, and whether it has a log of its own."""

    first: int
    last: int
    rooted: bool = False


class Survey:
    """All sessions of an export: their times, and whether they have a log of their own."""

    def __init__(self) -> None:
        self._spans: dict[str, _Span] = {}
        self._opened: set[str] = set()

    def note(self, log: Body) -> None:
        """Add a log to its session."""
        start, end = _times(log)
        session = _session_of(log)
        span = self._spans.setdefault(session, _Span(start, end))
        span.first, span.last = min(span.first, start), max(span.last, end)
        span.rooted = span.rooted or _is_root(log)

    def opening(self, session: str) -> Iterator[Record]:
        """The records of a session without a log of its own, at the first call only."""
        span = self._spans.get(session)
        if span is None or span.rooted or session in self._opened:
            return
        self._opened.add(session)
        yield from _session(
            {
                "event_id": session_uuid(session),
                "session_id": session_uuid(session),
                "event_type": "session",
                "event_name": "humanloop session",
                "source": "humanloop",
                "start_time": span.first,
                "end_time": span.last,
                "duration": float(span.last - span.first),
                "inputs": {},
                "metadata": {"humanloop": {"session_id": session}},
            }
        )


def read_line(line: bytes) -> Body:
    """One line as a log; ``BadLineError`` where it is not one."""
    try:
        log = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLineError(f"not JSON ({error})") from None
    if not isinstance(log, dict):
        raise BadLineError("not a JSON object")
    if not isinstance(log.get("id"), str) or not log["id"]:
        raise BadLineError("no id")
    _times(log)
    if is_too_deep(log):
        raise BadLineError(TOO_DEEP)
    return log


def records_of(log: Body, survey: Survey) -> Iterator[Record]:
    """The records of a log, after those of its session where that has no log of its own."""
    session = _session_of(log)
    start, end = _times(log)
    body: Body = {
        "event_id": session_uuid(log["id"]),
        "session_id": session_uuid(session),
        "parent_id": session_uuid(_parent_of(log, session)),
        "event_type": _type_of(log),
        "event_name": _name_of(log),
        "source": log["source"] if isinstance(log.get("source"), str) else "humanloop",
        "start_time": start,
        "end_time": end,
        "duration": _duration(log, start, end),
        "inputs": _inputs(log),
        "metadata": _metadata(log),
    }
    if (outputs := _outputs(log)) is not None:
        body["outputs"] = outputs
    if config := _config(log):
        body["config"] = config
    if log.get("error"):
        body["error"] = payload.text(log["error"])
    if feedback := _feedback(log):
        body["feedback"] = feedback
    if not _is_root(log):
        yield from survey.opening(session)
        yield _record(EVENT, body)
        return
    del body["parent_id"]
    body |= {"event_id": body["session_id"], "event_type": "session"}
    yield from _session(body)


def _session(body: Body) -> Iterator[Record]:
    later = ("end_time", "duration", "outputs", "error", "feedback")
    yield _record(START, {name: value for name, value in body.items() if name not in later})
    yield _record(END, body)


def _record(kind: bytes, body: Body) -> Record:
    record = Record(kind, b"*", orjson.dumps(body))
    return truncate_record(record, _LARGEST) or record


# -- which session, where in it -------------------------------------------------------------


def _session_of(log: Body) -> str:
    for name in ("trace_id", "session_id"):
        if isinstance(log.get(name), str) and log[name]:
            return str(log[name])
    return str(log["id"]) if _is_root(log) else f"session of {log['id']}"


def _parent_of(log: Body, session: str) -> str:
    for name in ("trace_parent_id", "parent_id"):
        if isinstance(log.get(name), str) and log[name]:
            return str(log[name])
    return session


def _is_root(log: Body) -> bool:
    """Whether the log is a whole trace: a flow without parent."""
    trace = log.get("trace_id")
    alone = not log.get("trace_parent_id") and (not trace or trace == log["id"])
    return alone and ("flow" in log or trace == log["id"])


def _type_of(log: Body) -> str:
    for name, kind in _KINDS.items():
        if log.get(name):
            return kind
    config = log.get("config")
    config_type = config.get("type") if isinstance(config, dict) else None
    return str(config_type) if config_type in ("model", "tool") else "chain"


def _file_of(log: Body) -> Body:
    """The prompt, tool, flow ... that the log belongs to; in v4 its config."""
    for name in (*_KINDS, "config"):
        if isinstance(log.get(name), dict):
            file: Body = log[name]
            return file
    return {}


def _name_of(log: Body) -> str:
    file = _file_of(log)
    for value in (file.get("path"), file.get("name"), log.get("project")):
        if isinstance(value, str) and value:
            return value
    return _type_of(log)


# -- its fields ----------------------------------------------------------------------------


def _ms(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    plain = _FRACTION.sub(lambda match: f".{match[1]:0<6}"[:7], value.replace("Z", "+00:00"))
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0, round(moment.timestamp() * 1000))


def _times(log: Body) -> tuple[int, int]:
    start = _ms(log.get("start_time"))
    if start is None:
        start = _ms(log.get("created_at"))
    if start is None:
        raise BadLineError("no start_time or created_at that can be read")
    end = _ms(log.get("end_time"))
    if end is None:
        end = start + round((_seconds(log) or 0.0) * 1000)
    return start, max(start, end)


def _seconds(log: Body) -> float | None:
    for name in ("duration", "provider_latency"):
        value = payload.number(log.get(name))
        if value is not None and value >= 0:
            return float(value)
    return None


def _duration(log: Body, start: int, end: int) -> float:
    """ms; the log's own where it agrees with its times, which have only whole ms."""
    seconds = _seconds(log)
    whole = float(end - start)
    return seconds * 1000 if seconds is not None and abs(seconds * 1000 - whole) < 1 else whole


def _inputs(log: Body) -> Body:
    inputs = dict(payload.bucket(log, "inputs"))
    if isinstance(log.get("messages"), list) and log["messages"]:
        inputs["chat_history"] = log["messages"]
    return inputs


def _outputs(log: Body) -> Body | None:
    message = log.get("output_message")
    if isinstance(message, dict) and message.get("role"):
        return message
    output = log.get("output")
    return None if output is None else {"result": output}


def _config(log: Body) -> Body:
    file = _file_of(log)
    config: Body = {}
    if _type_of(log) == "model":
        config = {name: file[name] for name in ("model", "provider", "tools") if file.get(name)}
        settings = {name: file[name] for name in _SETTINGS if file.get(name) is not None}
        if settings:
            config["hyperparameters"] = settings
        template = file.get("template") or file.get("chat_template") or file.get("prompt_template")
        if template:
            config["template"] = template
    return config


def _metadata(log: Body) -> Body:
    metadata = dict(payload.bucket(log, "metadata"))
    for name in _CALL:
        if log.get(name) is not None:
            metadata["completion_tokens" if name == "output_tokens" else name] = log[name]
    costs = [payload.number(log.get(name)) for name in ("prompt_cost", "output_cost")]
    if any(cost is not None for cost in costs):
        metadata["cost"] = sum(cost or 0 for cost in costs)
    extras = {name: log[name] for name in _EXTRAS if log.get(name) not in (None, [], "")}
    file = _file_of(log)
    for name in ("id", "version_id", "path"):
        if isinstance(file.get(name), str):
            extras[f"file_{name}"] = file[name]
    return {**metadata, "humanloop": {"log_id": log["id"], **extras}}


def _feedback(log: Body) -> Body:
    entries = log.get("feedback")
    return {
        str(entry["type"]): entry["value"]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and entry.get("type") and entry.get("value") is not None
    }
