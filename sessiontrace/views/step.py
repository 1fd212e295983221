"""One step, or a session, with its fields as text for the terminal.

Pure over records. Invariant: every recorded text passes through ``printable``, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.fields import HTML_SECTIONS, PAYLOADS
from sessiontrace.model.json_depth import encode
from sessiontrace.store.models import ENDED, EventSummary
from sessiontrace.text.format import amount, cost, duration, printable, when

__all__ = ["field_lines", "head_of"]

_CHAT = ("role", "content")


def head_of(event: EventSummary) -> str:
    """Name, type, duration and counts of a step, in one line."""
    parts = [
        "turn" if event.turn else event.type,
        "running" if event.duration is None else duration(event.duration),
    ]
    if event.status != ENDED:
        parts.append(event.status)
    if event.tokens:
        parts.append(amount(event.tokens, "token"))
    if money := cost(event.cost, event.unpriced, event.tokens):
        parts.append(money)
    parts.append(when(event.start_time))
    text = " · ".join(printable(part) for part in parts)
    return f"{printable(event.name)}  {text}  {printable(event.event_id)}"


def field_lines(record: Mapping[str, Any], *, only_io: bool = False) -> Iterator[str]:
    """The error and the objects of a record; with ``only_io``, of these inputs and outputs."""
    if record.get("error") is not None:
        yield f"✗ {printable(str(record['error']))}"
    for name in PAYLOADS if only_io else HTML_SECTIONS:
        value = record.get(name)
        if value in (None, {}, []):
            continue
        yield f"{name}:"
        yield from (f"  {line}" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    """A message as ``role: text``, a text as its lines, an object key by key, the rest as JSON."""
    if isinstance(value, str):
        yield from (printable(line) for line in value.splitlines() or [""])
    elif _is_message(value):
        yield from _titled(str(value["role"]), value["content"])
        others = {name: value[name] for name in value if name not in _CHAT}
        if others:
            yield from (f"  {line}" for line in _lines(others))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _titled(str(name), item)
    elif isinstance(value, Sequence) and any(isinstance(item, (Mapping, str)) for item in value):
        for item in value:
            yield from _lines(item)
    else:
        yield printable(encode(value, orjson.OPT_NON_STR_KEYS).decode())


def _titled(title: str, value: Any) -> Iterator[str]:
    lines = list(_lines(value))
    if len(lines) == 1 and not isinstance(value, Mapping):
        yield f"{printable(title)}: {lines[0]}"
        return
    yield f"{printable(title)}:"
    yield from (f"  {line}" for line in lines)


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and all(name in value for name in _CHAT)
