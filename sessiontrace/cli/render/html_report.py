"""A stored session as one HTML file: its steps as a tree with bars, and the fields of each.

Pure. Invariant: every recorded text is escaped, there is no script, and the file's own policy
forbids the browser to load or run anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson

from sessiontrace.model.fields import HTML_SECTIONS
from sessiontrace.model.json_depth import encode
from sessiontrace.store.models import ENDED, EventSummary, StoredSession
from sessiontrace.text.format import amount, cost, duration, when
from sessiontrace.views.step_tree import steps_with_depth

__all__ = ["page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #667; }
@media (prefers-color-scheme: dark) { :root { --soft: #aab; } }
body { margin: 24px auto; max-width: 1100px; padding: 0 16px;
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px; } .facts { color: var(--soft); margin: 0 0 20px; }
.step { border-top: 1px solid var(--line); } summary { display: grid; cursor: pointer;
  grid-template-columns: minmax(0, 2fr) 3fr; gap: 12px; padding: 5px 0; align-items: center; }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.kind { color: var(--soft); font-size: 12px; margin-left: 8px; }
.lane { position: relative; height: 16px; } .lane svg { width: 100%; height: 100%; display: block; }
.model { fill: #8a5fe0; } .tool { fill: #12968a; } .chain { fill: #4f7ac8; }
.turn { fill: #b07a10; }
.bad { color: #d33; } rect.bad { fill: #d33; }
h3 { font-size: 13px; margin: 10px 0 2px; } .in { padding: 0 0 12px 16px; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12.5px;
  max-height: 480px; overflow: auto; border-left: 2px solid var(--line); padding-left: 10px; }
"""


def page(stored: StoredSession, records: Mapping[str, Mapping[str, Any] | None]) -> str:
    """The file's text; ``records`` are the whole records of the steps by id."""
    return "".join(_pieces(stored, records))


def _pieces(
    stored: StoredSession, records: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[str]:
    summary = stored.summary
    name = escape(summary.name or "unnamed session")
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n"
    )
    facts = [when(summary.start_time), duration(summary.duration), summary.outcome]
    facts.append(amount(summary.events, "step"))
    if summary.tokens:
        facts.append(amount(summary.tokens, "token"))
    if money := cost(summary.cost, summary.unpriced, summary.tokens):
        facts.append(money)
    if summary.user:
        facts.append(f"user {summary.user}")
    facts.append(summary.session_id)
    yield f'<p class="facts">{escape(" · ".join(facts))}</p>\n'
    if summary.error is not None:
        yield f'<p class="bad">{escape(summary.error)}</p>\n'
    yield from _content(stored.record)
    start = min([summary.start_time, *(event.start_time for event in stored.events)])
    end = max([summary.end_time, *(event.end_time or 0 for event in stored.events)])
    for event, depth in steps_with_depth(stored):
        yield from _step(event, depth, start, max(1, end - start), records.get(event.event_id))
    if stored.omitted:
        yield f"<p>and {amount(stored.omitted, 'step')} more</p>\n"
    yield "</body>\n</html>\n"


def _step(
    event: EventSummary, depth: int, start: int, length: int, record: Mapping[str, Any] | None
) -> Iterator[str]:
    kind = "turn" if event.turn else event.type
    colour = kind if kind in ("model", "tool", "turn") else "chain"
    failed = event.error is not None
    left = (event.start_time - start) / length * 100
    width = max(0.3, ((event.end_time or event.start_time) - event.start_time) / length * 100)
    took = "running" if event.duration is None else duration(event.duration)
    state = "" if event.status == ENDED else f" {event.status}"
    yield (
        f'<details class="step"><summary><span class="name" style="padding-left:{depth * 16}px">'
        f'<span class="{"bad" if failed else ""}">{escape(event.name)}</span>'
        f'<span class="kind">{escape(kind)} {took}{escape(state)}</span></span>'
        '<span class="lane">'
        '<svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{"bad" if failed else colour}" x="{left:.3f}" y="4" width="{width:.3f}" '
        f'height="8"/></svg></span></summary>\n<div class="in">\n'
    )
    if failed:
        yield f'<p class="bad">{escape(str(event.error))}</p>\n'
    yield from _content(record or {})
    yield "</div></details>\n"


def _content(record: Mapping[str, Any]) -> Iterator[str]:
    for part in HTML_SECTIONS:
        value = record.get(part)
        if value:
            text = encode(value, orjson.OPT_INDENT_2).decode()
            yield f"<h3>{part}</h3>\n<pre>{escape(text)}</pre>\n"
